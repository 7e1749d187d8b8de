"""Ranking and choosing, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perceptory.errors import InputError
from perceptory.selection.ranking import RULES, rank

nan = math.nan


def folds(*rows):
    """One seed: [candidate, fold] -> [candidate, fold, 1]."""
    return np.array(rows, float)[..., None]


def test_numbers_by_hand():
    found = rank([[[1.0, 3.0], [5.0, 7.0]]], "min")
    assert found.mean.tolist() == [4.0]
    assert found.per_fold.tolist() == [[2.0, 6.0]]
    assert found.spread == pytest.approx([math.sqrt(20 / 3)])  # deviations -3 -1 1 3, three degrees of freedom
    assert found.standard_error == pytest.approx([math.sqrt(8) / math.sqrt(2)])
    assert found.members == 4


def test_diverged_members_count_as_such():
    found = rank([[[1.0, nan], [nan, math.inf]], [[nan, nan], [nan, nan]]], "min")
    assert found.mean[0] == 1.0
    assert math.isnan(found.mean[1])
    assert found.per_fold[0, 0] == 1.0
    assert np.isnan(found.per_fold[0, 1])
    assert np.isnan(found.spread).all()
    assert found.diverged.tolist() == [3, 4]
    assert [found.status(i) for i in (0, 1)] == ["partly diverged", "diverged"]


def test_order():
    scores = folds([3, 3], [1, nan], [nan, nan], [2, 2], [0.5, nan], [2, 2])
    assert rank(scores, "min").order.tolist() == [3, 5, 0, 4, 1, 2]
    assert rank(scores, "max").order.tolist() == [0, 3, 5, 1, 4, 2]
    # equal means: the simpler first
    assert rank(scores, "min", [1, 1, 1, 9, 1, 8]).order.tolist() == [5, 3, 0, 4, 1, 2]


def test_choose_the_best():
    scores = folds([3, 3], [1, 2], [5, 5])
    assert rank(scores, "min").choose(score="rmse").index == 1
    assert rank(scores, "min").choose(score="rmse").reason == "lowest mean validation RMSE of 3 candidates"
    assert rank(scores, "max").choose(score="auc").index == 2
    assert rank(scores, "max").choose(score="auc").reason == "highest mean validation AUC of 3 candidates"
    assert rank(scores[:1], "max").choose(score="auc").reason == "the only candidate"


@pytest.mark.parametrize("direction", ["min", "max"])
def test_one_standard_error(direction):
    # best: folds 1, 3 (mean 2, error sqrt(2)/sqrt(2) = 1): means up to 3 are near
    sign = 1 if direction == "min" else -1
    scores = sign * folds([1, 3], [3, 3], [2.5, 2.5], [3.1, 3.1])
    found = rank(scores, direction, [100, 20, 20, 1])
    chosen = found.choose("one_standard_error", "rmse", ["c04", "c05", "c06", "c07"])
    assert chosen.index == 2  # 20 weights as well as candidate 1, but the better mean
    assert chosen.reason == "the simplest within one standard error of the best (c04)"
    simple = rank(scores, direction, [1, 20, 20, 5]).choose("one_standard_error", "rmse")
    assert simple.index == 0
    assert simple.reason.endswith("RMSE of 4 candidates, and the simplest within one standard error")


def test_one_standard_error_leaves_diverged_candidates_out():
    scores = folds([1, 3], [2, nan], [2.5, 2.5])
    assert rank(scores, "min", [100, 1, 50]).choose("one_standard_error").index == 2


def test_one_fold_has_no_standard_error():
    chosen = rank(folds([1], [2]), "min", [9, 1]).choose("one_standard_error", "rmse")
    assert chosen.index == 0
    assert chosen.reason == "lowest mean validation RMSE of 2 candidates (one fold has no standard error)"


def test_a_partly_diverged_choice_says_so():
    chosen = rank(folds([1, nan], [nan, nan]), "min").choose(score="rmse")
    assert chosen.index == 0
    assert chosen.reason == "lowest mean validation RMSE of 2 candidates; 1 of its 2 trainings diverged"


def test_bad_input():
    with pytest.raises(InputError, match=r"all 2 candidates diverged.*smaller learning rate"):
        rank(folds([nan, nan], [nan, math.inf]), "min").choose()
    with pytest.raises(InputError, match="the only candidate diverged"):
        rank(folds([nan, nan]), "min").choose()
    with pytest.raises(InputError, match="Did you mean 'best'"):
        rank(folds([1, 2]), "min").choose("bset")
    with pytest.raises(InputError, match="needs the number of weights"):
        rank(folds([1, 2], [1, 2]), "min").choose("one_standard_error")
    with pytest.raises(InputError, match=r"\[candidate, fold, seed\].*\(3,\)"):
        rank([1, 2, 3], "min")
    with pytest.raises(InputError, match="direction needs 'min' or 'max'"):
        rank(folds([1, 2]), "less")
    with pytest.raises(InputError, match="complexity needs one finite number for each of 1"):
        rank(folds([1, 2]), "min", [1, 2])
    with pytest.raises(InputError, match="ids need one name"):
        rank(folds([1, 2]), "min").choose(ids=["a", "b"])
    assert set(RULES) == {"best", "one_standard_error", "narrow_code"}


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["min", "max"]))
def test_order_is_best_first_and_holds_everyone(seed, direction):
    random = np.random.default_rng(seed)
    scores = np.where(random.random((6, 3, 2)) < 0.15, nan, random.normal(size=(6, 3, 2)))
    found = rank(scores, direction)
    assert sorted(found.order.tolist()) == list(range(6))
    kinds = ["ok", "partly diverged", "diverged"]
    keys = [(kinds.index(found.status(i)), (1 if direction == "min" else -1) * found.mean[i]) for i in found.order]
    assert keys == sorted(keys)
    for flat, mean, spread in zip(scores.reshape(6, -1), found.mean, found.spread, strict=True):
        good = flat[np.isfinite(flat)]
        assert mean == pytest.approx(good.mean() if len(good) else nan, nan_ok=True)
        assert spread == pytest.approx(good.std(ddof=1) if len(good) > 1 else nan, nan_ok=True)
