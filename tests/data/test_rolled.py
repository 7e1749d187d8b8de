"""Windows that are cut when they are looked at: the same examples, weights and networks as copied ones."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

import perceptory as pt
from perceptory.data import read_series
from perceptory.data.series.rolled import Ahead, Rolled, counts_of, target_columns, values_of
from perceptory.notes import training_scores_of_some
from perceptory.selection import metrics
from perceptory.studies.encoded_examples import EncodedExamples
from perceptory.studies.prepare import prepare
from perceptory.training.scaling import RowsOf, fit_scaling

RANDOM = np.random.default_rng(0)
VALUES = RANDOM.normal(size=(30, 2)) * 5 + 100
STARTS = np.array([0, 1, 4, 4, 20, 22], np.int32)
ROLLED = Rolled(VALUES, STARTS, 5)
AHEAD = Ahead(VALUES, STARTS + 4, (2, 1, 3))
GATHERED = np.stack([np.concatenate([VALUES[s + 4 + h] for h in (2, 1, 3)]) for s in STARTS])
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


@pytest.mark.parametrize(
    "key",
    [
        slice(1, 4), np.array([5, 0]), np.arange(6) % 2 == 0, 3, -1, (slice(None), 2), (..., 5), (..., [0, 3]),
        (np.array([1, 2]), 1), (2, slice(1, 4)), (slice(None), slice(2, None)), (slice(None), -1),
    ],
)  # fmt: skip
def test_targets_ahead_are_looked_at_like_an_array(key):
    np.testing.assert_array_equal(AHEAD[key], GATHERED[key])


def test_facts_of_all_targets_ahead():
    assert (AHEAD.shape, AHEAD.ndim, len(AHEAD), AHEAD.size, AHEAD.dtype) == ((6, 6), 2, 6, 36, np.float64)
    for found, right in (
        (AHEAD, GATHERED), (AHEAD - 1.0, GATHERED - 1.0), (AHEAD > 1.0, GATHERED > 1.0), (AHEAD.T, GATHERED.T),
        (AHEAD.take(np.array([4, 1])), GATHERED[[4, 1]]), (AHEAD.columns(slice(1, 3)), GATHERED[:, 1:3]),
        (np.stack(list(target_columns(AHEAD))), GATHERED.T),
        (np.concatenate([block for _, block in AHEAD.blocks(np.array([3, 0]))]), GATHERED[[3, 0]]),
    ):  # fmt: skip
        np.testing.assert_array_equal(found, right)
    rows, weights = np.array([5, 0, 2, 3]), RANDOM.random(4)
    for own in (None, weights):
        expected = fit_scaling(COPIED[rows], GATHERED[rows], scale_targets=True, weights=own)
        found = fit_scaling(COPIED[rows], RowsOf(AHEAD, rows), scale_targets=True, weights=own)
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_array_equal(a, b)


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
    arrays = {name: np.asarray(getattr(data, name)) for name in ("inputs", "targets", "units")}
    copied = dataclasses.replace(data, **arrays)
    study = pt.Study(networks=pt.MLP((4,)), epochs=4, patience=0, keep_sealed=True)
    return SimpleNamespace(data=data, runs=[study.run(one, open_test=True) for one in (data, copied)])


def test_the_same_networks_as_of_copied_windows(both):
    assert isinstance(both.data.inputs, Rolled)
    assert isinstance(both.data.targets, Ahead)
    cut, copied = both.runs
    np.testing.assert_allclose(cut.model.weights, copied.model.weights, rtol=2e-4, atol=1e-6)
    np.testing.assert_allclose(cut.tested["rmse"], copied.tested["rmse"], rtol=1e-4)
    np.testing.assert_allclose(cut.model.forecast().upper, copied.model.forecast().upper, rtol=1e-3)


def test_some_training_rows_tell_of_all(both, monkeypatch):
    """And what is validated and tested stays as it is; so it does where columns are judged some at a time."""
    monkeypatch.setattr(EncodedExamples, "shown", lambda self, rows: rows[::3])
    monkeypatch.setattr(metrics, "MANY", 1)
    run = pt.Study(networks=pt.MLP((4,)), epochs=4, patience=0, keep_sealed=True).run(both.data, open_test=True)
    whole = both.runs[0]
    told = [[note.facts for note in of.data.notes if training_scores_of_some.describes(note)] for of in (run, whole)]
    assert told[1] == []
    assert [-(-note["of"] // 3) for note in told[0]] == [told[0][0]["rows"]]
    np.testing.assert_allclose(run.model.weights, whole.model.weights, rtol=1e-6)
    for name in ("rmse", "mae", "smape", "mase", "owa", "r2"):
        np.testing.assert_allclose(run.tested[name], whole.tested[name], rtol=1e-5)
        np.testing.assert_allclose(run.validation[name], whole.validation[name], rtol=1e-5)
        assert run.train[name] != whole.train[name]


def test_what_is_shown_of_training_rows(both, monkeypatch):
    monkeypatch.setattr("perceptory.studies.encoded_examples.SHOWN", 20)
    monkeypatch.setattr("perceptory.studies.encoded_examples.MOST_SAMPLED", 1)
    monkeypatch.setattr("perceptory.studies.encoded_examples.sampled_rows", lambda rows: np.array([3, 4]))
    plan = prepare(pt.Study(networks=pt.MLP((4,)), validation=pt.RollingOrigin(1)), both.data)
    (group,), (rows, _) = plan.groups, plan.folds[0]
    (own,) = group.members.shown
    shown = own[own >= 0]
    assert set(shown) <= set(rows)
    assert {3, 4} <= set(shown)
    assert 10 <= len(shown) == group.plan.shown <= 12


def test_sealed_rows_tell_the_encoder_nothing(both):
    """The rows stand in one array with the sealed ones; what is learned of them is learned of study windows alone."""
    data = both.data
    changed = data.inputs.values.copy()
    last = data.timeline.ends()[1]
    for end in last.tolist():
        changed[end - 12 : end] += 1e6  # the sealed rows
    other = dataclasses.replace(data, inputs=Rolled(changed, data.inputs.starts, data.inputs.steps))
    run = pt.Study(networks=pt.MLP((4,)), epochs=4, patience=0, keep_sealed=True).run(other)
    np.testing.assert_array_equal(run.model.weights, both.runs[0].model.weights)
    assert run.model.encoder.high < 1e5
