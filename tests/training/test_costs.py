"""Linear networks trained under a cost reach what other programs find for it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import GammaRegressor, LogisticRegression, PoissonRegressor, QuantileRegressor

from perceptory import MLP, Cosine, Folds, GradientDescent, Linear, Study, read_arrays, read_table
from perceptory.objectives.table import (
    GammaLikelihood,
    PoissonLikelihood,
    Quantile,
    SigmoidCrossEntropy,
    SoftmaxCrossEntropy,
)
from perceptory.training.rows import rows_of

EXACT = {"networks": MLP(()), "patience": 0, "test": 0, "precision": "double"}


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(0).normal(size=(120, 2)) * [1.0, 20.0] + [5.0, -300.0]


def outputs(taken, group=0):
    """The linear outputs of the trained network for its rows."""
    x, _, _ = taken.scaled(0)[0]
    weights = taken.train(group=group)[0].weights
    w = weights[: x.shape[1] * (len(weights) // (x.shape[1] + 1))].reshape(x.shape[1], -1)
    return x @ w + weights[w.size :]


@pytest.mark.parametrize(
    ("cost", "theirs"), [(PoissonLikelihood(), PoissonRegressor), (GammaLikelihood(), GammaRegressor)]
)
def test_regression_of_what_is_above_0_is_that_of_scikit_learn(apart, x, cost, theirs):
    counts = 1 + np.random.default_rng(1).poisson(40 * np.exp(0.3 * (x[:, 0] - 5) - 0.01 * (x[:, 1] + 300)))
    study = Study(**EXACT, cost=cost, optimizer=GradientDescent(0.5), epochs=200)
    z = outputs(apart(study, read_table(x, counts), on_all_rows=True))
    scaled = (x - x.mean(axis=0)) / x.std(axis=0)
    fitted = theirs(alpha=0, tol=1e-12, max_iter=1000).fit(scaled, counts)
    np.testing.assert_allclose(counts.mean() * np.exp(z[:, 0]), fitted.predict(scaled), rtol=1e-6)


def pinball(level, target, quantile):
    return np.mean(np.maximum(level * (target - quantile), (level - 1) * (target - quantile)))


def test_quantile_regression_is_that_of_scikit_learn(apart, x):
    y = x[:, 0] - 0.05 * x[:, 1] + np.random.default_rng(2).gumbel(size=120)
    cost = Quantile((0.2, 0.5, 0.8))
    study = Study(**EXACT, cost=cost, optimizer=GradientDescent(Cosine(0.3)), epochs=800)
    taken = apart(study, read_table(x, y), on_all_rows=True)
    found = y.mean() + y.std() * np.asarray(cost.inverse_link(outputs(taken)))
    for k, level in enumerate(cost.levels):
        theirs = QuantileRegressor(quantile=level, alpha=0, solver="highs").fit(x, y).predict(x)
        # Steps between quantiles are softplus of a line and no lines, so they may even do a little better.
        assert pinball(level, y, found[:, k]) == pytest.approx(pinball(level, y, theirs), rel=0.02)
        assert np.mean(y < found[:, k]) == pytest.approx(level, abs=0.04)


def test_a_linear_model_of_classes_is_taken_down_to_the_minimum(apart, x):
    """From the solution of least squares by L-BFGS, with its ridge as penalty."""
    labels = (x[:, 0] - 5 + 0.05 * (x[:, 1] + 300) + np.random.default_rng(4).normal(size=120) > 0).astype(int)
    study = Study(Linear(0.01), epochs=60, patience=0, test=0, precision="double")
    z = outputs(apart(study, read_table(x, labels), on_all_rows=True))
    scaled = (x - x.mean(axis=0)) / x.std(axis=0)
    theirs = LogisticRegression(C=1 / (2 * 0.01 * 120), tol=1e-12).fit(scaled, labels).decision_function(scaled)
    np.testing.assert_allclose(z[:, 0], theirs, atol=1e-4)


def test_class_weights_are_repeated_rows(apart, x):
    cost = SoftmaxCrossEntropy((1.0, 3.0, 2.0))
    noisy = x[:, 0] - 5 + 0.8 * np.random.default_rng(3).normal(size=120)
    labels = np.digitize(noisy, [-0.5, 0.8])
    study = Study(**EXACT, cost=cost, optimizer=GradientDescent(1.0), epochs=800)
    z = outputs(apart(study, read_table(x, labels, task="classification"), on_all_rows=True))
    times = np.array(cost.class_weight).astype(int)[labels]
    scaled = (x - x.mean(axis=0)) / x.std(axis=0)
    repeated = np.repeat(scaled, times, axis=0), np.repeat(labels, times)
    theirs = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(*repeated)
    np.testing.assert_allclose(cost.inverse_link(z), theirs.predict_proba(scaled), atol=1e-5)


def test_class_weights_enter_the_members_rows_and_nothing_else(apart, x):
    labels, weights = np.arange(120) % 3, np.linspace(0.5, 2, 120)
    table = read_table({"a": x[:, 0], "w": weights, "c": labels.astype(str)}, "c", weights="w")
    study = Study(MLP((2,)), cost=SoftmaxCrossEntropy((1.0, 3.0, 0.5)), test=0, precision="double")
    taken = apart(study, table)
    member = jax.tree.map(lambda a: a[0], taken.groups[0].members)
    rows = jax.jit(rows_of, static_argnums=2)(member, taken.raw, taken.groups[0].plan)
    train, validation = taken.folds[0]
    expected = weights * np.array([1.0, 3.0, 0.5])[labels]
    np.testing.assert_allclose(rows.weight[: len(train)], expected[train], rtol=1e-6)
    np.testing.assert_allclose(rows.validation[: len(validation), -1], expected[validation], rtol=1e-6)
    np.testing.assert_array_equal(taken.table.weights, weights)  # what metrics take


def test_class_weights_enter_pictures_too(apart):
    x = np.random.default_rng(4).integers(0, 255, (20, 2, 2, 1)).astype(np.uint8)
    labels = np.arange(20) % 3
    study = Study(MLP((2,)), cost=SoftmaxCrossEntropy((1.0, 3.0, 0.5)), test=0)
    taken = apart(study, read_arrays(x, labels))
    plan = taken.groups[0].plan
    member = jax.tree.map(lambda a: a[0], taken.groups[0].members)

    def weights(member, data):
        rows = rows_of(member, data, plan)
        return rows.weight, rows.batch(jnp.arange(plan.batch)).w, rows.validation_truth()[1]

    train, validation = taken.folds[0]
    expected = np.array([1.0, 3.0, 0.5])[labels]
    ahead, batch, judged = jax.jit(weights)(member, taken.raw)
    np.testing.assert_allclose(ahead[: len(train)], expected[train])
    np.testing.assert_allclose(batch[: len(train)], expected[train][: plan.batch])
    np.testing.assert_allclose(judged[: len(validation)], expected[validation])


def test_each_fold_counts_the_classes_of_its_own_training_rows(apart):
    """No row that is validated moves a class weight; a refit counts them all."""
    x, train, validation = np.random.default_rng(0).normal(size=(40, 2)), np.arange(28), np.arange(28, 40)
    labels = np.where(np.arange(40) % 5 > 0, "often", "rare")
    other = np.where(np.arange(40) < 28, labels, "rare")
    study = Study(MLP((2,)), cost=SigmoidCrossEntropy("balanced"), epochs=2, validation=Folds([(train, validation)]))
    first, second = (apart(study, read_table(x, t)).groups[0].members.balance for t in (labels, other))
    np.testing.assert_array_equal(first, second)
    often = (labels[train] == "often").sum()
    np.testing.assert_allclose(first, [[14 / often, 14 / (28 - often)]], rtol=1e-6)
    every = apart(study, read_table(x, labels), on_all_rows=True).groups[0].members.balance
    np.testing.assert_allclose(every, [[40 / 2 / 32, 40 / 2 / 8]], rtol=1e-6)
    assert apart(study.replace(cost=None), read_table(x, labels)).groups[0].members.balance == ()
