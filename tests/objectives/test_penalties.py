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
        np.testing.assert_allclose(penalty.gradient(jnp.asarray(W), jnp.asarray(MASK)), expected, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("p", [1, 1.5, 2, 3])
def test_at_zero_and_at_extremes_everything_is_finite(p):
    w = jnp.array([0.0, -0.0, 1e4, -1e4, 1e-30], jnp.float32)
    gradient = np.asarray(jax.jit(WeightPenalty(1e-3, p=p).gradient)(w, jnp.ones(5)))
    assert np.isfinite(gradient).all()
    assert not gradient[:2].any()


def test_soft_threshold_by_hand():
    penalty = WeightPenalty(0.5, p=1)
    w, mask = jnp.array([1.0, -1.0, 0.05, -0.05, 0.1, 0.02]), jnp.array([1, 1, 1, 1, 1, 0.0])
    new = np.asarray(penalty.proximal(w, mask, 0.2))  # shrinks by 0.1
    np.testing.assert_allclose(new, [0.9, -0.9, 0, 0, 0, 0.02], rtol=1e-6, atol=0)
    assert (new[2:5] == 0).all()
    assert not np.asarray(penalty.gradient(w, mask)).any()


def test_soft_threshold_minimizes_its_objective():
    """The proximal step is the minimizer of ½ (u - w)² + α λ |u|."""
    alpha, strength = 0.4, 0.7
    u = np.linspace(-3, 3, 60_001)
    for w in (-1.3, -0.2, 0.0, 0.27, 0.29, 2.0):
        best = u[np.argmin(0.5 * (u - w) ** 2 + alpha * strength * np.abs(u))]
        got = float(WeightPenalty(strength, p=1).proximal(jnp.array([w]), jnp.ones(1), alpha)[0])
        assert got == pytest.approx(best, abs=2e-4)


@pytest.mark.parametrize("p", [1.5, 2, 3])
def test_other_powers_have_no_proximal_step(p):
    w = jnp.asarray(W)
    assert WeightPenalty(1.0, p=p).proximal(w, jnp.asarray(MASK), 0.1) is w


def test_gradient_descent_with_p_1_ends_at_the_lasso_solution():
    """On an orthonormal design the solution is the soft threshold of least squares: some weights are 0, exactly."""
    random = np.random.default_rng(0)
    X = np.linalg.qr(random.normal(size=(30, 6)))[0] * np.sqrt(30)
    y = X @ np.array([1.0, -0.8, 0.05, 0.0, 0.3, -0.02]) + 0.01 * random.normal(size=30)
    least = X.T @ y / 30
    penalty = WeightPenalty(0.1, p=1)
    with jax.enable_x64(True):

        def step(w, _):
            w = w - 0.3 * (jnp.asarray(X).T @ (jnp.asarray(X) @ w - y) / 30)
            return penalty.proximal(w, jnp.ones(6), 0.3), None

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
