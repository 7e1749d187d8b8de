"""Greedy selection with replacement: by hand, by brute force, and what it promises where there is nothing to learn."""

import numpy as np
import pytest

from perceptory.selection.greedy import cross_fitted, greedy_shares, losses_of, shares_by_error
from perceptory.selection.metrics import score


def by_brute_force(name, task, truth, outputs, weights, rounds):
    """Caruana's selection as it is written: all ensembles with one more, each judged by the metric itself."""
    sign = -1 if name in ("accuracy", "auc", "r2") else 1
    counts, best, least = np.zeros(len(outputs)), None, np.inf
    for _ in range(rounds):
        trials = [counts + (np.arange(len(outputs)) == c) for c in range(len(outputs))]
        losses = [sign * score(name, task, truth, np.tensordot(t / t.sum(), outputs, axes=1), weights) for t in trials]
        counts = trials[int(np.argmin(losses))]
        if min(losses) < least - 1e-12:
            best, least = counts, min(losses)
    return best / best.sum()


@pytest.mark.parametrize(
    ("name", "task"),
    [(name, "regression") for name in ("rmse", "mse", "mae")] + [("log_loss", "multiclass"), ("auc", "binary")],
)
def test_it_equals_the_selection_by_brute_force(name, task):
    random = np.random.default_rng(3)
    weights = random.uniform(0.2, 2, 40)
    if task == "regression":
        truth = random.normal(size=(40, 2)) * [1, 20]
        outputs = truth + random.normal(size=(5, 40, 2)) * [[[0.5, 9]]]
    else:
        classes = 3 if task == "multiclass" else 2
        truth = random.integers(classes, size=40)
        raw = random.normal(size=(5, 40, classes)) + 2 * np.eye(classes)[truth]
        outputs = np.exp(raw) / np.exp(raw).sum(axis=-1, keepdims=True)
    found = greedy_shares(losses_of(name, task, truth, outputs, weights), 5, rounds=12)
    np.testing.assert_allclose(found, by_brute_force(name, task, truth, outputs, weights, 12))


def test_errors_that_cancel_are_weighed_alike_and_a_bad_one_is_left_out():
    truth = np.zeros((4, 1))
    error = np.array([[1.0], [-1.0], [1.0], [-1.0]])
    outputs = np.stack([error, -error, truth + 50])
    shares = greedy_shares(losses_of("rmse", "regression", truth, outputs, np.ones(4)), 3)
    np.testing.assert_array_equal(shares, [0.5, 0.5, 0])
    one = greedy_shares(lambda counts: np.array([2.0, 1.0, np.nan]), 3)
    np.testing.assert_array_equal(one, [0, 1, 0])
    none = greedy_shares(lambda counts: np.full(3, np.nan), 3)
    np.testing.assert_array_equal(none, [1, 0, 0])


def test_of_noise_the_selection_flatters_and_the_cross_fitted_estimate_does_not():
    """Twenty candidates that know nothing: each predicts the mean, and noise of its own."""
    random = np.random.default_rng(0)
    selected, honest = [], []
    for _ in range(40):
        truth, rows, blocks = random.normal(size=(40, 1)), np.arange(40), np.arange(40) % 5
        outputs = 0.7 * random.normal(size=(20, 40, 1))
        shares = greedy_shares(losses_of("mse", "regression", truth, outputs, np.ones(40)), 20)
        nothing = np.mean(truth**2)
        selected.append(np.mean((np.tensordot(shares, outputs, axes=1) - truth) ** 2) / nothing)
        mixed = cross_fitted("mse", "regression", truth, outputs, np.ones(40), blocks, rows)
        honest.append(np.mean((mixed - truth) ** 2) / nothing)
    assert np.mean(selected) < 0.85  # promises a sixth of the variance, of nothing
    assert np.mean(honest) > 1.0


def test_a_row_that_is_held_out_twice_takes_no_part_in_its_own_shares():
    random = np.random.default_rng(1)
    truth = random.normal(size=(12, 1))
    rows, blocks = np.tile(np.arange(6), 2), np.repeat([0, 1], 6)  # both blocks hold the same rows
    outputs = random.normal(size=(3, 12, 1))
    mixed = cross_fitted("rmse", "regression", truth, outputs, np.ones(12), blocks, rows)
    np.testing.assert_allclose(mixed, outputs.mean(axis=0))  # nothing is left to select on: all alike


def test_shares_by_error_by_hand():
    """Three forecasts with errors of 1, 2 and 10: the last one's share would be below 0.02."""
    truth = np.zeros((6, 1))
    outputs = np.array([1.0, 2.0, 10.0])[:, None, None] * np.array([1, -1, 1, -1, 1, -1.0])[:, None]
    losses = losses_of("rmse", "regression", truth, outputs, np.ones(6))
    np.testing.assert_allclose(shares_by_error(losses, 3), [16 / 17, 1 / 17, 0])
    rows = np.arange(6)
    given = ("rmse", "regression", truth, outputs, np.ones(6), rows % 2, rows, None, shares_by_error)
    np.testing.assert_allclose(cross_fitted(*given), np.tensordot([16 / 17, 1 / 17, 0], outputs, axes=1))
