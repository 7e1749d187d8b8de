from __future__ import annotations

import jax
import numpy as np
import pytest

from perceptory.data import Column, Dataset
from perceptory.networks.mlp import MLP
from perceptory.optimizers.first_order import Adam
from perceptory.selection.plans import HoldOut
from perceptory.studies.run import run
from perceptory.studies.study import Study
from perceptory.training.size_classes import bucket, coarse_bucket, epoch_bucket, padded_rows


def test_sizes():
    sizes = range(1, 20_000)
    assert [bucket(n) for n in (0, 1, 64, 65, 129, 900, 1025)] == [0, 64, 64, 128, 160, 1024, 1152]
    assert all(n <= bucket(n) <= max(128, 1.25 * n) for n in sizes)
    assert all(bucket(bucket(n)) == bucket(n) for n in sizes)
    assert len({bucket(n) for n in sizes}) < 60
    assert coarse_bucket(65) == 128
    assert (epoch_bucket(1), epoch_bucket(65)) == (64, 128)
    assert padded_rows(900, 200) == (1000, 200)
    assert padded_rows(150, 200) == (160, 160)


@pytest.fixture(scope="module", autouse=True)
def _quickly():
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


@pytest.mark.parametrize("batch", [16, None])
def test_padding_changes_no_result(batch):
    random = np.random.default_rng(0)
    X = random.normal(size=(70, 2))
    columns = tuple(Column(f"x{k}", "numeric", X[:, k]) for k in range(2))
    dataset = Dataset(columns, ("y",), "regression", (X[:, :1] - X[:, 1:]) ** 2, weights=random.uniform(1, 2, 70))
    study = Study(
        MLP((4,)), optimizer=Adam(0.02), batch_size=batch or 70, epochs=12, test=0.0, validation=HoldOut(0.3),
        precision="double",
    )  # fmt: skip
    plain, padded = run(study, dataset), run(study, dataset, padded=True)
    np.testing.assert_allclose(padded.model.weights, plain.model.weights, rtol=1e-9, atol=1e-12)
    for a, b in zip(plain.members, padded.members, strict=True):
        np.testing.assert_allclose(b.validation_cost, a.validation_cost, rtol=1e-9)
        assert (b.epochs, b.best_epoch) == (a.epochs, a.best_epoch)
