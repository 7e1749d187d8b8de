"""Where training ends: exact zeros of a 1-norm, small weights of a 2-norm, least squares, means and medians."""

import numpy as np
import optax
import pytest

from perceptory import (
    Adam,
    AdamW,
    Cosine,
    GradientDescent,
    HoldOut,
    Momentum,
    Optax,
    RMSProp,
    Study,
    WeightPenalty,
    choice,
    read_table,
)
from perceptory.networks.base import layout
from perceptory.networks.mlp import MLP
from perceptory.objectives.table import AbsoluteError, SquaredError

LASSO = [GradientDescent(0.3), Momentum(0.05), Adam(0.01), RMSProp(Cosine(0.02)), Optax(optax.adam(0.01))]


@pytest.mark.parametrize("optimizer", LASSO, ids=lambda o: o.label)
def test_p_1_minimizes_e30_with_exact_zeros(apart, optimizer):
    """Against scikit-learn's lasso, whose objective is the same for a linear model, whatever the optimizer."""
    from sklearn.linear_model import Lasso

    random = np.random.default_rng(0)
    x = random.normal(size=(60, 8))
    y = x @ [1.0, -0.8, 0.05, 0.0, 0.3, -0.02, 0.0, 0.0] + 0.3 * random.normal(size=60)
    study = Study(
        networks=MLP(()), optimizer=optimizer, penalty=WeightPenalty(0.1, p=1), epochs=600, patience=0, test=0,
        batch_size=100, precision="double",
    )  # fmt: skip
    taken = apart(study, read_table(x, y), on_all_rows=True)
    weights = taken.train()[0].weights
    x, t, _ = taken.scaled(0)[0]
    lasso = Lasso(alpha=0.1, fit_intercept=False, tol=1e-12).fit(x, t[:, 0]).coef_
    np.testing.assert_allclose(weights[:8], lasso, atol=1e-5)
    assert np.array_equal(weights[:8] == 0, lasso == 0)
    assert (lasso == 0).sum() == 5


def test_p_1_with_batches_and_a_hidden_layer_leaves_exact_zeros_p_2_small_weights(apart, sums):
    study = Study(
        networks=MLP((6,)), optimizer=Adam(Cosine(0.03)), epochs=100, patience=0, test=0, batch_size=16,
        penalty=choice(WeightPenalty(0.05, p=1), WeightPenalty(0.05), WeightPenalty(0.0)),
    )  # fmt: skip
    taken = apart(study, sums(40), on_all_rows=True)
    mask = layout(MLP((6,)), (3,), (1,)).weight_mask()
    ones, twos = (taken.train(group=g) for g in (0, 1))
    free, small = twos[1].weights, twos[0].weights
    assert (ones[0].weights[mask] == 0).sum() >= 6
    assert np.abs(ones[0].weights[~mask]).min() > 0  # biases are left out
    assert (small == 0).sum() == 0
    assert np.sum(small[mask] ** 2) < 0.5 * np.sum(free[mask] ** 2)


def test_decay_of_adamw_reaches_weights_and_not_biases(apart, sums):
    """At a decay that undoes the weights in one step only the biases are left."""
    study = Study(
        networks=MLP((3,)), optimizer=AdamW(1e-6, weight_decay=1e6), epochs=1, patience=0, batch_size=100,
        validation=HoldOut(0.3), test=0, precision="double",
    )  # fmt: skip
    taken = apart(study, sums(20))
    weights = taken.train()[0].weights
    mask = layout(MLP((3,)), (3,), (1,)).weight_mask()
    assert np.abs(weights[mask]).max() < 2e-6  # w - α λ w = 0, and Adam's own step of α
    assert np.abs(weights[~mask]).min() > 1e-8


def test_the_linear_model_reaches_least_squares(apart, sums):
    study = Study(networks=MLP(()), optimizer=GradientDescent(0.4), epochs=300, patience=0, test=0, precision="double")
    taken = apart(study, sums(40), on_all_rows=True)
    x, t, _ = taken.scaled(0)[0]
    best = np.linalg.lstsq(np.hstack([x, np.ones((40, 1))]), t, rcond=None)[0].ravel()
    np.testing.assert_allclose(taken.train()[0].weights, best, atol=1e-9)


@pytest.mark.parametrize("cost", [SquaredError(), AbsoluteError()])
def test_a_constant_output_is_the_mean_or_the_median(apart, cost):
    y = np.array([0.0] * 7 + [1.0] * 4 + [10.0] * 4)
    x = np.zeros(15)
    x[0] = 1  # one column must vary, and scaled it is left out by a penalty that no weight survives
    study = Study(
        networks=MLP(()), optimizer=GradientDescent(Cosine(0.5)), cost=cost, penalty=WeightPenalty(50.0, p=1),
        epochs=500, patience=0, test=0, precision="double",
    )  # fmt: skip
    taken = apart(study, read_table({"x": x, "y": y}, "y"), on_all_rows=True)
    weight, bias = taken.train()[0].weights
    output = bias * y.std() + y.mean()
    assert weight == 0
    assert output == pytest.approx(
        y.mean() if cost == SquaredError() else 1.0, abs=1e-6 if cost == SquaredError() else 0.02
    )
