"""The linear model is solved: what least squares and scikit-learn find, by every way to it."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import Ridge

from perceptory import (
    LBFGS,
    MLP,
    SGD,
    Adam,
    Cosine,
    Linear,
    Quantile,
    Study,
    WeightPenalty,
    choice,
)  # fmt: skip
from perceptory.errors import InputError
from perceptory.networks import linear_module
from perceptory.objectives.table import AbsoluteError, SigmoidCrossEntropy, SquaredError
from perceptory.studies.design import Candidate

RANDOM = np.random.default_rng(0)
KEY = jax.random.key(0)


def primed(spec, x, t, w):
    @eqx.filter_jit
    def solved(*rows):
        return spec.prime(spec.build(x.shape[1:], t.shape[1:], key=KEY), lambda: rows, key=KEY)

    return solved(*map(jnp.asarray, (x, t, w)))


@pytest.mark.parametrize("way", ["matrix", "conjugate gradients"])
@pytest.mark.parametrize(("shape", "ridge"), [((40, 60), 0.1), ((1100, 3), 1e-3), ((50, 4, 3), 1e-3)])
def test_ridge_regression_is_that_of_scikit_learn(way, shape, ridge, monkeypatch):
    monkeypatch.setattr(linear_module, "MOST_BY_MATRIX", 512 if way == "matrix" else 0)
    x = RANDOM.normal(size=shape)
    flat = x.reshape(len(x), -1)
    t = np.stack([flat[:, 0] - flat[:, 1], RANDOM.normal(size=len(x))], 1) + 0.5
    w = RANDOM.integers(0, 3, len(x)).astype(float)
    with jax.enable_x64(True):
        predicted = primed(Linear(ridge), x, t, w)(jnp.asarray(x))
    theirs = Ridge(alpha=2 * ridge * w.sum(), tol=1e-12).fit(flat, t, sample_weight=w).predict(flat)
    np.testing.assert_allclose(predicted, theirs, atol=1e-8 if way == "matrix" else 1e-3)


def test_columns_that_are_the_same_or_constant():
    x = RANDOM.normal(size=(50, 3)).astype(np.float32)
    x[:, 1], x[:, 2] = x[:, 0], 0
    t = (2 * x[:, :1] + 1).astype(np.float32)
    np.testing.assert_allclose(primed(Linear(), x, t, np.ones(50, np.float32))(x), t, atol=1e-3)


def test_means_of_series_of_any_length():
    x, lengths = RANDOM.normal(size=(60, 7, 2)), RANDOM.integers(1, 8, 60)
    x[np.arange(7) >= lengths[:, None]] = 9.0  # padding, which is not looked at
    means = np.stack([x[i, :n].mean(axis=0) for i, n in enumerate(lengths)])
    t = means @ np.array([[1.0], [-2.0]]) + 0.1 * RANDOM.normal(size=(60, 1))

    class Rows:
        lengths = None

        def __call__(self):
            return jnp.asarray(x), jnp.asarray(t), jnp.ones(60)

    rows, spec = Rows(), Linear(1e-3, pooled=True)
    with jax.enable_x64(True):
        rows.lengths = jnp.asarray(lengths)
        net = spec.prime(spec.build((7, 2), (1,), key=KEY), rows, key=KEY)
        predicted = net(jnp.asarray(x), lengths=rows.lengths)
    theirs = Ridge(alpha=2e-3 * 60, tol=1e-12).fit(means, t).predict(means)
    np.testing.assert_allclose(predicted, theirs.reshape(-1, 1), atol=1e-8)
    for inputs, outputs in (((4,), (1,)), ((7, 2), (7, 1))):
        with pytest.raises(InputError, match="pooled is for series"):
            spec.build(inputs, outputs, key=KEY)


@pytest.mark.parametrize("way", ["matrix", "conjugate gradients"])
def test_a_value_every_step_is_a_finite_impulse_response(way, monkeypatch):
    """Least squares over the steps that count; what stands in others, and before a series begins, does not."""
    monkeypatch.setattr(linear_module, "MOST_BY_MATRIX", 512 if way == "matrix" else 0)
    x = RANDOM.normal(size=(20, 15, 2))
    w = np.ones((20, 15))
    w[:, :2] = 0
    past = np.concatenate([np.pad(x, ((0, 0), (2, 0), (0, 0)))[:, k : k + 15] for k in range(3)], axis=2)
    t = past @ RANDOM.normal(size=(6, 1)) + 3.0
    t[:, :2] = 1e3
    with jax.enable_x64(True):
        net = primed(Linear(1e-9, taps=3), x, t, w)
        np.testing.assert_allclose(net(jnp.asarray(x))[:, 2:], t[:, 2:], atol=1e-3)
        longer = np.concatenate([x, RANDOM.normal(size=(20, 4, 2))], axis=1)
        np.testing.assert_allclose(net(jnp.asarray(longer))[:, :15], net(jnp.asarray(x)))
    with pytest.raises(InputError, match=r"taps is for series with a value at every step"):
        Linear(taps=2).build((15, 2), (1,), key=KEY)


OTHERS = {"optimizer": Adam(Cosine(choice(0.1, 0.01))), "penalty": WeightPenalty(0.3), "batch_size": 7}


@pytest.mark.parametrize(
    ("cost", "expected"),
    [
        (SquaredError(), Candidate(Linear(0.01), SquaredError(), Adam())),
        (
            SigmoidCrossEntropy(),
            Candidate(Linear(0.01, train="descent"), SigmoidCrossEntropy(), LBFGS(), WeightPenalty(0.01)),
        ),
    ],
)
def test_a_study_needs_no_optimizer_for_it(cost, expected):
    study = Study([Linear(0.01), MLP((3,))], **OTHERS)
    ours, *others = study.candidates(cost)
    assert ours == expected
    assert [c.optimizer for c in others] == [Adam(Cosine(0.1)), Adam(Cosine(0.01))]
    assert len(Study(Linear(choice(0.1, 0.2)), **OTHERS).candidates(cost)) == 2


@pytest.mark.parametrize("cost", [Quantile((0.1, 0.9)), AbsoluteError()])
def test_costs_that_no_line_search_follows(cost):
    for candidate in Study(Linear(), optimizer=SGD(0.1), penalty=WeightPenalty(0.3)).candidates(cost):
        smooth = cost.heads == 1 and cost.has_true_gradient
        assert candidate.network.train == "descent"
        assert candidate.optimizer == (LBFGS() if smooth else SGD(0.1))
