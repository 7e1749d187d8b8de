from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from perceptory.errors import InputError
from perceptory.models.intervals import interval_of, with_intervals


def model(members: int = 1, targets: int = 1) -> SimpleNamespace:
    class Fake(SimpleNamespace):
        def __len__(self):
            return members

    return Fake(task="regression", facts={}, targets=tuple(f"y{k}" for k in range(targets)))


def test_split_conformal_by_hand():
    m = model()
    with_intervals(m, np.array([[1.0], [-3.0], [2.0], [4.0]]), np.zeros(4, int))
    each = np.array([[[10.0], [20.0]]])
    # of 4 residuals 1, 2, 3, 4, the 4th smallest holds ceil(0.8 * 5) = 4 of 5
    np.testing.assert_array_equal(interval_of(m, each, 0.8), [[6, 14], [16, 24]])
    np.testing.assert_array_equal(interval_of(m, each, 0.6), [[7, 13], [17, 23]])
    with pytest.raises(InputError, match="at least 9 validation rows, and the model has 4"):
        interval_of(m, each, 0.9)


def test_cv_plus_is_its_formula():
    random = np.random.default_rng(0)
    each = random.normal(size=(3, 7, 2))
    residuals, groups = random.normal(size=(30, 2)), np.arange(30) % 3
    m = model(3, 2)
    with_intervals(m, residuals, groups, members=[[0], [1], [2]])
    found = interval_of(m, each, 0.8)
    for row in range(7):
        for k in range(2):
            low = np.sort(each[groups, row, k] - abs(residuals[:, k]))
            high = np.sort(each[groups, row, k] + abs(residuals[:, k]))
            last = int(np.ceil(0.8 * 31))
            np.testing.assert_allclose(found[row, k], [low[30 - last], high[last - 1]], rtol=1e-5)


@pytest.mark.parametrize("coverage", [0.5, 0.9])
def test_coverage_of_new_rows(coverage):
    random = np.random.default_rng(1)
    inside = []
    for _ in range(400):
        m = model()
        with_intervals(m, random.standard_t(3, size=(40, 1)), np.zeros(40, int))
        low, high = interval_of(m, np.zeros((1, 50, 1)), coverage).T
        new = random.standard_t(3, size=50)
        inside.append(np.mean((low <= new) & (new <= high)))
    assert coverage - 0.015 < np.mean(inside) < coverage + 0.04


def test_rows_of_weight_zero_and_steps():
    m = model()
    residuals = np.array([[[1.0], [99.0]], [[2.0], [3.0]]])  # [row, step, target]
    with_intervals(m, residuals, np.zeros(2, int), np.array([[1.0, 0.0], [1.0, 1.0]]))
    assert m.facts["intervals"][0]["residuals"] == [[1.0, 2.0, 3.0]]
    assert interval_of(m, np.zeros((1, 4, 2, 1)), 0.7).shape == (4, 2, 2)


def test_many_residuals_are_thinned_outwards():
    m = model()
    with_intervals(m, np.linspace(0, 1, 100_001)[:, None], np.zeros(100_001, int))
    assert len(m.facts["intervals"][0]["residuals"][0]) == 4096
    assert 0.9 <= interval_of(m, np.zeros((1, 1, 1)), 0.9)[0, 1] < 0.901


def test_bad_facts():
    m = model()
    each = np.zeros((1, 1, 1))
    with pytest.raises(InputError, match="no residuals"):
        interval_of(m, each)
    for bad in (
        [{"members": [5], "residuals": [[1.0]]}],
        [{"members": [0]}],
        "text",
        [{"members": [0], "residuals": 3}],
    ):
        m.facts["intervals"] = bad
        with pytest.raises(InputError, match="do not fit"):
            interval_of(m, each)
    with pytest.raises(InputError, match="coverage needs"):
        interval_of(m, each, 90)
