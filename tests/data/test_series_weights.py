"""Weights by which series of many windows do not drown those of few."""

import numpy as np
import pytest

import perceptory as pt
from perceptory.data import read_series
from perceptory.data.series.weights import weights_of_series
from perceptory.studies.prepare import prepare

OWNER = np.repeat([0, 1], [90, 10])


def test_the_sum_of_a_series_weights():
    assert weights_of_series(OWNER, "window") is None
    assert weights_of_series(np.repeat([0, 1], 5), "series") is None
    series, root = weights_of_series(OWNER, "series"), weights_of_series(OWNER, "root")
    np.testing.assert_allclose(np.bincount(OWNER, series), [50, 50])
    np.testing.assert_allclose(np.divide(*np.bincount(OWNER, root)), 3)
    assert series.mean() == pytest.approx(1) == root.mean()


@pytest.mark.parametrize("given", ["window", "series"])
def test_training_counts_them_and_scores_do_not(given):
    table = {"y": np.random.default_rng(0).normal(size=80), "name": ["long"] * 60 + ["short"] * 20}
    data = read_series(table, "y", predict="ahead", window=3, series="name", series_weights=given)
    made = prepare(pt.Study(networks=pt.Linear()), data)
    owner, trained = made.data.timeline.series, made.raw.w[: made.data.rows]
    counts, sums = np.bincount(owner), np.bincount(owner, trained)
    np.testing.assert_allclose(sums, counts if given == "window" else np.full(2, counts.sum() / 2), rtol=1e-5)
    assert (made.encoded.judged[1] == 1).all()
    assert data.plan.from_json(data.plan.to_json()) == data.plan


def test_refusals():
    table = {"y": np.arange(9.0), "u": np.arange(9.0) % 4}
    with pytest.raises(pt.InputError, match="unknown weight of series 'longest'"):
        read_series(table, "y", predict="ahead", window=3, series_weights="longest")
    with pytest.raises(pt.InputError, match="series_weights is for"):
        read_series(table, "y", predict="every step", series_weights="root")
