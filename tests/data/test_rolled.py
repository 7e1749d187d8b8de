"""Windows that are cut when they are looked at: the same examples, weights and networks as copied ones."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

import perceptory as pt
from perceptory.data import read_series
from perceptory.data.series.rolled import Rolled, counts_of, values_of
from perceptory.training.scaling import fit_scaling

RANDOM = np.random.default_rng(0)
VALUES = RANDOM.normal(size=(30, 2)) * 5 + 100
STARTS = np.array([0, 1, 4, 4, 20, 22], np.int32)
ROLLED = Rolled(VALUES, STARTS, 5)
COPIED = np.stack([VALUES[s : s + 5] for s in STARTS])


@pytest.mark.parametrize(
    "key",
    [
        slice(1, 4), np.array([5, 0]), np.arange(6) % 2 == 0, 3, -1, (np.array([1, 2]), slice(None, 3)), (2, 1),
        (slice(None), -1, 0), (..., (1,)), (..., 0), (slice(None, None, 2), slice(1, 3), slice(None, 1)),
    ],
)  # fmt: skip
def test_looked_at_like_an_array(key):
    np.testing.assert_array_equal(np.asarray(ROLLED[key]), COPIED[key])


def test_facts_of_all_windows():
    assert (ROLLED.shape, ROLLED.ndim, len(ROLLED), ROLLED.size, ROLLED.dtype) == ((6, 5, 2), 3, 6, 60, np.float64)
    np.testing.assert_array_equal(ROLLED.mean(axis=0), COPIED.mean(axis=0))
    assert np.array_equal(np.unique(values_of(ROLLED), axis=0), np.unique(COPIED.reshape(-1, 2), axis=0))
    weights = RANDOM.random(6)
    for own in (None, weights):
        right = np.zeros(30)
        np.add.at(right, STARTS[:, None] + np.arange(5), np.ones((6, 5)) if own is None else own[:, None])
        np.testing.assert_allclose(counts_of(ROLLED, own), right, atol=1e-12)
        expected = fit_scaling(COPIED, COPIED[:, 0], scale_targets=True, weights=own)
        for a, b in zip(fit_scaling(ROLLED, COPIED[:, 0], scale_targets=True, weights=own), expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12)


@pytest.fixture(scope="module")
def both():
    """One study on windows that are cut in the program and on the same windows copied."""
    season = np.sin(np.arange(60) * np.pi / 6)
    y = np.concatenate([size * (10 + season + RANDOM.normal(0, 0.1, 60)) for size in (1.0, 30.0)])
    data = read_series(
        {"name": np.repeat(["a", "b"], 60), "u": np.tile(season, 2), "y": y}, "y", predict="ahead", window=8,
        series="name", horizon=(1, 2),
    )  # fmt: skip
    copied = dataclasses.replace(data, inputs=np.asarray(data.inputs))
    study = pt.Study(networks=pt.MLP((4,)), epochs=4, patience=0)
    return SimpleNamespace(data=data, runs=[study.run(one, open_test=True) for one in (data, copied)])


def test_the_same_networks_as_of_copied_windows(both):
    assert isinstance(both.data.inputs, Rolled)
    cut, copied = both.runs
    np.testing.assert_allclose(cut.model.weights, copied.model.weights, rtol=2e-4, atol=1e-6)
    np.testing.assert_allclose(cut.tested["rmse"], copied.tested["rmse"], rtol=1e-4)
    np.testing.assert_allclose(cut.model.forecast().upper, copied.model.forecast().upper, rtol=1e-3)


def test_sealed_rows_tell_the_encoder_nothing(both):
    """The rows stand in one array with the sealed ones; what is learned of them is learned of study windows alone."""
    data = both.data
    changed = data.inputs.values.copy()
    last = data.timeline.ends()[1]
    for end in last.tolist():
        changed[end - 12 : end] += 1e6  # the sealed rows
    other = dataclasses.replace(data, inputs=Rolled(changed, data.inputs.starts, data.inputs.steps))
    run = pt.Study(networks=pt.MLP((4,)), epochs=4, patience=0).run(other)
    np.testing.assert_array_equal(run.model.weights, both.runs[0].model.weights)
    assert run.model.encoder.high < 1e5
