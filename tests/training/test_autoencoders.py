"""Autoencoders in company: the bits that they have alone."""

import numpy as np
import pytest

from perceptory import Adam, Autoencoder, KFold, Study, TableAugmentation, choice, read_table
from perceptory.networks.mlp import MLP

ARRAYS = ("weights", "train_cost", "validation_cost", "train_output", "validation_output")


@pytest.fixture(scope="module")
def crowd(apart):
    random = np.random.default_rng(0)
    columns = {f"x{k}": random.normal(size=30) for k in range(3)}
    columns["kind"] = [["a", "b", "c"][k % 3] for k in range(30)]
    columns["gap"] = [None if k % 4 == 0 else k / 7 for k in range(30)]
    study = Study(
        Autoencoder(MLP((4,)), code=2, variational=choice(0.1, 0.5), sparsity=0.01), optimizer=Adam(choice(0.01, 0.05)),
        augmentation=TableAugmentation(0.3), epochs=5, patience=2, batch_size=8, validation=KFold(2), test=0,
    )  # fmt: skip
    taken = apart(study, read_table(columns, task="autoencode"))
    return taken, taken.train()


@pytest.mark.parametrize("place", [0, 5])
def test_a_member_alone_has_the_bits_it_has_in_company(crowd, place):
    taken, outcomes = crowd
    assert len(outcomes) == 8  # of the first group; principal components are another
    assert len({o.weights.tobytes() for o in outcomes.values()}) == 8
    (alone,) = taken.train(waiting=[place]).values()
    for name in ARRAYS:
        assert np.array_equal(getattr(alone, name), getattr(outcomes[place], name), equal_nan=True), name
    assert outcomes[place].validation_output.shape == (15, 5)  # errors by column
    assert np.isnan(outcomes[place].validation_output[:, 4]).any()
    assert not np.isnan(outcomes[place].validation_output[:, :4]).any()
