"""Weight penalties (E30): gradient, exact zeros, biases."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from perceptory.errors import InputError
from perceptory.objectives.penalties import WeightPenalty

W = np.array([-2.0, -0.4, -1e-3, 0.03, 0.7, 1.9])
MASK = np.array([1.0, 1.0, 0.0, 1.0, 1.0, 0.0])


@pytest.mark.parametrize("p", [1.2, 1.5, 2, 2.0, 3, 4.5])
def test_gradient_against_differences(p):
    penalty, h = WeightPenalty(0.3, p=p), 1e-7

    def value(w):
        return 0.3 * np.sum(MASK * np.abs(w) ** p)

    expected = [(value(W + h * e) - value(W - h * e)) / (2 * h) for e in np.eye(6)]
    with jax.enable_x64(True):
        np.testing.assert_allclose(
            penalty.slope(jnp.zeros(6), jnp.asarray(W), jnp.asarray(MASK)), expected, rtol=1e-5, atol=1e-8
        )


@pytest.mark.parametrize("p", [1, 1.5, 2, 3])
def test_at_zero_and_at_extremes_everything_is_finite(p):
    w = jnp.array([0.0, -0.0, 1e4, -1e4, 1e-30], jnp.float32)
    gradient = np.asarray(jax.jit(WeightPenalty(1e-3, p=p).slope)(jnp.zeros(5), w, jnp.ones(5)))
    assert np.isfinite(gradient).all()
    assert not gradient[:2].any()


def test_the_least_subgradient_by_hand():
    penalty = WeightPenalty(0.5, p=1)
    w, mask = jnp.array([1.0, -1.0, 0.0, 0.0, 0.0, 2.0]), jnp.array([1, 1, 1, 1, 1, 0.0])
    slope = penalty.slope(jnp.array([0.1, 0.1, 0.4, -0.7, 0.6, 0.3]), w, mask)
    np.testing.assert_allclose(slope, [0.6, -0.4, 0, -0.2, 0.1, 0.3], rtol=1e-6, atol=1e-7)


def test_weights_that_cross_zero_or_rest_there_are_zero():
    penalty, mask = WeightPenalty(0.5, p=1), jnp.array([1, 1, 1, 1, 0.0])
    old, new = jnp.array([0.1, -0.1, 0.0, 0.0, 0.1]), jnp.array([-0.2, -0.2, 0.3, 0.3, -0.2])
    settled = penalty.settle(old, new, jnp.array([1.0, 1.0, 0.0, -1.0, 1.0]), mask)
    np.testing.assert_array_equal(settled, jnp.array([0.0, -0.2, 0.0, 0.3, -0.2]))


@pytest.mark.parametrize("p", [1.5, 2, 3])
def test_other_powers_settle_nothing(p):
    w = jnp.asarray(W)
    assert WeightPenalty(1.0, p=p).settle(w, -w, w, jnp.asarray(MASK)).tolist() == (-w).tolist()


def test_gradient_descent_with_p_1_ends_at_the_lasso_solution():
    """On an orthonormal design the solution is the soft threshold of least squares: some weights are 0, exactly."""
    random = np.random.default_rng(0)
    X = np.linalg.qr(random.normal(size=(30, 6)))[0] * np.sqrt(30)
    y = X @ np.array([1.0, -0.8, 0.05, 0.0, 0.3, -0.02]) + 0.01 * random.normal(size=30)
    least = X.T @ y / 30
    penalty = WeightPenalty(0.1, p=1)
    with jax.enable_x64(True):

        def step(w, _):
            slope = penalty.slope(jnp.asarray(X).T @ (jnp.asarray(X) @ w - y) / 30, w, jnp.ones(6))
            return penalty.settle(w, w - 0.3 * slope, slope, jnp.ones(6)), None

        w = np.asarray(jax.lax.scan(step, jnp.zeros(6), length=200)[0])
    np.testing.assert_allclose(w, np.sign(least) * np.maximum(np.abs(least) - 0.1, 0), atol=1e-10)
    assert (w[[2, 3, 5]] == 0).all()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"strength": -1}, r"WeightPenalty\.strength needs a number of at least 0, got -1"),
        ({"strength": float("inf")}, "finite"),
        ({"strength": True}, "finite number, got True"),
        ({"p": 0.5}, r"WeightPenalty\.p needs a number of at least 1, got 0\.5"),
        ({"p": float("nan")}, "finite"),
    ],
)
def test_bad_numbers(wrong, message):
    with pytest.raises(InputError, match=message):
        WeightPenalty(**wrong)
