"""Metrics against hand-worked cases and scikit-learn."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from perceptory.errors import InputError
from perceptory.selection.metrics import (
    METRICS,
    Score,
    accuracy,
    auc,
    evaluate,
    log_loss,
    mae,
    metrics_of,
    mse,
    r2,
    rmse,
    score,
    score_for,
    vaf,
)

seeds = st.integers(0, 2**32 - 1)


REGRESSION, CLASSIFICATION = metrics_of("regression"), metrics_of("binary")


def near(value):
    return pytest.approx(value, rel=1e-12, abs=1e-12)


def regression(seed, rows=40, out=3):
    random = np.random.default_rng(seed)
    target = random.normal(size=(rows, out)) * [1, 100, 1e-3][:out] + 5
    return target, target + random.normal(size=(rows, out)), random.uniform(0.1, 3, rows)


def classes(seed, rows, k, ties):
    random = np.random.default_rng(seed)
    target = np.concatenate([np.arange(k), random.integers(0, k, rows - k)])
    p = random.integers(1, 5, (rows, k)).astype(float) if ties else random.random((rows, k)) + 1e-3
    return target, p / p.sum(axis=1, keepdims=True), random.uniform(0.1, 3, rows)


def test_regression_by_hand():
    t, y = np.array([[1.0], [2.0], [3.0], [6.0]]), np.array([[2.0], [2.0], [5.0], [5.0]])
    # errors -1, 0, -2, 1: squares 1, 0, 4, 1; mean error -0.5, var 1.5 - 0.25 = 1.25; var t = 14/4 = 3.5
    assert mse(t, y) == near([1.5])
    assert rmse(t, y) == near([math.sqrt(1.5)])
    assert mae(t, y) == near([1.0])
    assert r2(t, y) == near([1 - 6 / 14])
    assert vaf(t, y) == near([100 * (1 - 1.25 / 3.5)])


def test_vaf_does_not_see_an_offset():
    t, y, w = regression(0)
    assert vaf(t, y + 7, w) == pytest.approx(vaf(t, y, w), rel=1e-9)
    assert (r2(t, y + 7, w) < r2(t, y, w)).all()


@settings(max_examples=25, deadline=None)
@given(seeds, st.booleans())
def test_regression_as_scikit_learn(seed, weighted):
    t, y, w = regression(seed)
    w = w if weighted else None
    more = {"sample_weight": w, "multioutput": "raw_values"}
    assert mse(t, y, w) == near(reference.mean_squared_error(t, y, **more))
    assert rmse(t, y, w) == near(reference.root_mean_squared_error(t, y, **more))
    assert mae(t, y, w) == near(reference.mean_absolute_error(t, y, **more))
    # where the error is a thousand times the spread, R2 is near -1e6: rel covers it
    assert r2(t, y, w) == near(reference.r2_score(t, y, **more))
    assert vaf(t, y, w) == near(100 * reference.explained_variance_score(t, y, **more))


@settings(max_examples=40, deadline=None)
@given(seeds, st.integers(2, 5), st.booleans(), st.booleans())
def test_classification_as_scikit_learn(seed, k, ties, weighted):
    t, p, w = classes(seed, 40, k, ties)
    w = w if weighted else None
    assert accuracy(t, p, w) == near(reference.accuracy_score(t, p.argmax(axis=1), sample_weight=w))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # scikit-learn renames an argument
        assert log_loss(t, p, w) == near(reference.log_loss(t, p, sample_weight=w, labels=list(range(k))))
    scores, more = (p[:, 1], {}) if k == 2 else (p, {"multi_class": "ovr", "labels": list(range(k))})
    assert auc(t, p, w) == near(reference.roc_auc_score(t, scores, sample_weight=w, **more))


def test_auc_by_hand():
    value = np.array([0.1, 0.4, 0.4, 0.8])
    p = np.stack([1 - value, value], axis=1)
    assert auc(np.array([0, 0, 1, 1]), p) == near(3.5 / 4)
    assert auc(np.array([0, 0, 1, 1]), p, np.array([1, 3, 1, 1])) == near((1 + 1.5 + 4) / 8)
    assert auc(np.array([1, 1, 0, 0]), p) == near(0.5 / 4)


def test_log_loss_clips_by_the_type_of_the_probabilities():
    for kind in (np.float32, np.float64):
        sure = np.array([[0, 1], [1, 0]], kind)
        assert log_loss(np.array([0, 1]), sure) == near(-math.log(np.finfo(kind).eps))
        assert 0 <= log_loss(np.array([1, 0]), sure) < 1e-6


def test_a_class_without_rows_leaves_auc_undefined():
    t, p, w = classes(0, 20, 3, False)
    assert math.isnan(auc(np.minimum(t, 1), p))
    assert math.isnan(auc(np.where(t == 2, 1, t), p[:, :2] * 0 + 0.5, np.where(t == 0, 0.0, w)))
    assert math.isfinite(log_loss(np.minimum(t, 1), p))


def test_a_constant_target_leaves_r2_and_vaf_undefined():
    t = np.stack([np.full(7, 0.1), np.arange(7.0)], axis=1)
    for metric in (r2, vaf):
        assert np.isnan(metric(t, t + 1)).tolist() == [True, False]
    assert np.isnan(r2(t[:1], t[:1])).all()
    assert rmse(t, t + 1) == near([1, 1])


def test_rows_of_weight_zero_do_not_count():
    t, y, w = regression(1)
    padded = np.concatenate([y, np.full((5, 3), np.nan)])
    for metric in REGRESSION.values():
        assert metric(np.concatenate([t, t[:5]]), padded, np.concatenate([w, np.zeros(5)])) == near(metric(t, y, w))
    t, p, w = classes(1, 20, 3, False)
    for metric in CLASSIFICATION.values():
        long = np.concatenate([p, np.full((2, 3), np.nan)])
        assert metric(np.append(t, [0, 1]), long, np.append(w, [0, 0])) == near(metric(t, p, w))


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e300])
def test_hopeless_predictions_give_no_warning_and_no_good_number(bad):
    t, y, _ = regression(2)
    y[3, 0] = bad
    for name, metric in REGRESSION.items():
        value = metric(t, y)
        assert np.isfinite(value[1:]).all()
        assert not abs(value[0]) < 1e200, name
    t, p, _ = classes(2, 20, 2, False)
    p[3] = np.nan
    assert all(math.isnan(metric(t, p)) for metric in CLASSIFICATION.values())


def test_evaluate_keeps_order_and_lists_several_targets():
    t, y, w = regression(3)
    found = evaluate("regression", t, y, w)
    assert list(found) == ["mse", "rmse", "mae", "r2", "vaf"]
    assert found["mae"] == near(mae(t, y, w).tolist())
    assert [type(v) for v in found["mae"]] == [float] * 3
    assert {type(v) for v in evaluate("regression", t[:, :1], y[:, :1]).values()} == {float}
    t, p, w = classes(3, 20, 3, True)
    found = evaluate("multiclass", t, p, w)
    assert list(found) == ["accuracy", "log_loss", "auc"]
    assert {type(v) for v in found.values()} == {float}


def test_scores():
    t, y, w = regression(4)
    assert score("rmse", "regression", t, y, w) == near(rmse(t, y, w).mean())
    assert score_for("regression") == Score("rmse", "min")
    assert score_for("binary") == score_for("multiclass") == Score("log_loss", "min")
    assert score_for("multiclass", "auc") == Score("auc", "max")
    assert score_for("binary", "cost") == score_for("regression", "cost") == Score("cost", "min")
    forecasts = {"smape", "mase", "owa"}
    assert set(METRICS) == {*REGRESSION, *CLASSIFICATION, *forecasts, "cost", "reconstruction_error"}
    assert metrics_of("multiclass").keys() == CLASSIFICATION.keys()
    t, p, w = classes(5, 30, 3, False)
    for name, one in {**REGRESSION, **CLASSIFICATION}.items():  # a perfect prediction lies in the better direction
        if name in CLASSIFICATION:
            perfect, poor = score(name, "multiclass", t, np.eye(3)[t]), score(name, "multiclass", t, p)
        else:
            perfect, poor = (score(name, "regression", p, p + e) for e in (0, p**2))
        assert (perfect < poor) == (one.better == "min")
        assert one.ends[0] <= poor <= one.ends[1]


two = np.zeros((4, 2))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mse(np.zeros(4), np.zeros(4)), r"one shape \[row, out\], got \(4,\) and \(4,\)"),
        (lambda: mse(two, np.zeros((4, 1))), r"got \(4, 2\) and \(4, 1\)"),
        (lambda: mse(two, two, np.ones((4, 1))), "weights need one finite number"),
        (lambda: mse(two, two, [1, 1, 1, -1]), "weights need one finite number"),
        (lambda: mse(two, two, np.zeros(4)), "at least one row with a weight above 0"),
        (lambda: mse(two[:0], two[:0]), "at least one row"),
        (lambda: accuracy(np.array([0, 2, 1, 1]), two), "class indices from 0 to 1"),
        (lambda: accuracy(np.array([0.0, 1, 1, 1]), two), "whole class indices"),
        (lambda: auc(np.zeros(4, int), two[:, :1]), "at least two classes"),
        (lambda: score("rmze", "regression", two, two), "Did you mean 'rmse'"),
        (lambda: score("cost", "regression", two, two), "the cost is a score of studies only"),
        (lambda: score("auc", "regression", two, two), "score 'auc' is for another task than regression"),
        (lambda: score_for("regresion"), "Did you mean 'regression'"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(InputError, match=message) as error:
        call()
    assert "\n" not in str(error.value)
