"""Second-order optimizers on landscapes made by hand, against NumPy and scikit-learn."""

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from perceptory.errors import InputError
from perceptory.optimizers.descent import Landscape, derivatives, downhill, searched, second
from perceptory.optimizers.first_order import OPTIMIZERS
from perceptory.optimizers.second_order import (
    LBFGS,
    BayesianRegularization,
    GaussNewton,
    LevenbergMarquardt,
    Newton,
    SecondOrder,
    above_one,
)
from perceptory.specs import combine, from_json, partition, to_json

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(30, 2))
T = np.sin(2 * X[:, 0]) + 0.3 * X[:, 1] + 0.05 * RANDOM.normal(size=30)
START = 0.5 * RANDOM.normal(size=9)  # 2-2-1: 4 + 2 + 2 + 1 weights


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


def residuals(w, np=jnp):
    v = np.tanh(X @ w[:4].reshape(2, 2) + w[4:6])
    return v @ w[6:8] + w[8] - T


def on(function, **changes):
    """The landscape of the half mean square of residuals."""

    def value(w):
        return 0.5 * jnp.mean(function(w) ** 2)

    def gauss_newton(w):
        r, j = derivatives(function, w)
        return 0.5 * jnp.mean(r**2), r @ j / len(r), j.T @ j / len(r)

    def hessian(w):
        return (*jax.value_and_grad(value)(w), second(jax.grad(value), w))

    return Landscape(value, jax.value_and_grad(value), gauss_newton, hessian, **changes)


def path(optimizer, landscape, start, steps):
    """[(w, cost, state)] of every iteration, its numbers traced, and whether the last one has settled."""
    static, numbers = partition(optimizer)

    @jax.jit
    def run(numbers, w):
        spec = combine(static, numbers)

        def step(carry, _):
            moved = spec.iterate(landscape, *carry)
            return (moved.w, moved.state), moved

        return jax.lax.scan(step, (w, spec.begin(w)), None, length=steps)[1]

    return jax.tree.map(np.asarray, run(jnp.asarray(numbers), jnp.asarray(start)))


def by_hand(w, mu, steps, factor, trials, diagonal):
    """Levenberg-Marquardt in NumPy, its Jacobian written out."""
    out, scale = [], np.zeros(9)
    for _ in range(steps):
        v = np.tanh(X @ w[:4].reshape(2, 2) + w[4:6])
        d = (1 - v**2) * w[6:8]
        j = np.concatenate([(X[:, :, None] * d[:, None]).reshape(30, 4), d, v, np.ones((30, 1))], 1) / 30**0.5
        r = residuals(w, np) / 30**0.5
        h, g, cost = j.T @ j, j.T @ r, 0.5 * r @ r
        scale = np.maximum(scale, np.diag(h))
        for k in range(trials):
            step = -np.linalg.solve(h + mu * (np.diag(scale) if diagonal else np.eye(9)), g)
            fall = cost - 0.5 * np.mean(residuals(w + step, np) ** 2)
            if fall > 0:
                ratio = fall / -(g @ step + 0.5 * step @ h @ step)
                w, mu = w + step, mu * max(1 / factor, 1 - (2 * ratio - 1) ** 3)
                break
            mu *= 2 ** (k + 1)
        out.append((w, mu))
    return out


@pytest.mark.parametrize(
    ("optimizer", "diagonal"),
    [
        (LevenbergMarquardt(damping=1e-6, factor=7.0, trials=4), False),
        (LevenbergMarquardt(damping=1e-6, factor=7.0, trials=4, scale="diagonal"), True),
    ],
)
def test_levenberg_marquardt_equals_numpy(optimizer, diagonal):
    """Steps that are refused are among them."""
    found = path(optimizer, on(residuals), START, 12)
    expected = by_hand(START, 1e-6, 12, 7.0, 4, diagonal)
    mu = [m for _, m in expected]
    assert any(b > a for a, b in itertools.pairwise(mu))
    np.testing.assert_allclose(found.state.mu, mu, rtol=1e-10)
    np.testing.assert_allclose(found.w, [w for w, _ in expected], rtol=1e-6, atol=1e-9)
    costs = [0.5 * np.mean(residuals(w, np) ** 2) for w, _ in expected]
    np.testing.assert_allclose(found.cost, costs, rtol=1e-9)


H = np.array([[3.0, 0.4, 0.0], [0.4, 1.0, -0.3], [0.0, -0.3, 0.2]])
ROOT = np.linalg.cholesky(H).T
B = np.array([1.0, -2.0, 0.5])


def quadratic(w):
    return 3**0.5 * (ROOT @ w - B)


@pytest.mark.parametrize("optimizer", [Newton(), GaussNewton()])
def test_one_step_reaches_the_minimum_of_a_quadratic(optimizer):
    found = path(optimizer, on(quadratic), np.array([4.0, 5.0, -6.0]), 2)
    np.testing.assert_allclose(found.w[0], np.linalg.solve(ROOT, B), rtol=1e-10)
    assert not found.settled[0]


def test_lbfgs_reaches_it_as_well():
    found = path(LBFGS(memory=5), on(quadratic), np.array([4.0, 5.0, -6.0]), 25)
    np.testing.assert_allclose(found.w[-1], np.linalg.solve(ROOT, B), rtol=1e-6)
    np.testing.assert_array_equal(found.w[0], [4.0, 5.0, -6.0])  # it looks at the start first
    assert (np.diff(found.cost) <= 0).all()


def test_newton_takes_its_matrix_exactly():
    """A saddle: Gauss-Newton's matrix has no negative direction, the Hessian has; both go down."""

    def hollow(w):
        return jnp.stack([w[0] * w[1] - 1, w[0] - w[1]])

    w = jnp.array([0.1, -0.2])
    exact = np.asarray(on(hollow).hessian(w)[2])
    np.testing.assert_allclose(exact, 0.5 * np.array([[1.04, -0.02 - 1.02 - 1], [-2.04, 1.01]]), rtol=1e-9)
    assert np.linalg.eigvalsh(exact)[0] < 0
    found = path(Newton(), on(hollow), w, 20)
    assert (np.diff(found.cost) <= 0).all()
    assert found.cost[-1] < 1e-12


def test_what_is_not_positive_definite_is_shifted_until_it_is():
    step, shift = jax.jit(downhill)(jnp.diag(jnp.array([1.0, -2.0])), jnp.array([1.0, 1.0]), jnp.array(0.0))
    assert shift > 2
    np.testing.assert_allclose(step, -1 / (np.array([1.0, -2.0]) + shift), rtol=1e-12)


def test_the_line_search_keeps_wolfes_conditions():
    def value(w):
        return jnp.sum(jnp.cosh(w)) + 0.1 * jnp.sum(w**4)

    land = Landscape(value, jax.value_and_grad(value), None, None)
    w = jnp.array([2.0, -1.0])
    cost, gradient = land.slope(w)
    for first in (1e-4, 1.0, 50.0):
        best, lowest, slope, good = jax.jit(partial(searched, land, most=30))(w, cost, gradient, -gradient, first)
        s = float((best - w)[0] / -gradient[0])
        assert good
        assert lowest <= cost - 1e-4 * s * gradient @ gradient
        assert -slope @ gradient >= -0.9 * gradient @ gradient


SECOND_ORDER = [name for name, make in OPTIMIZERS.items() if isinstance(make(), SecondOrder) and name != "lm"]


@pytest.mark.parametrize("name", SECOND_ORDER)
def test_each_goes_down_stands_still_when_told_to_and_is_written_to_json(name):
    optimizer = OPTIMIZERS[name]()
    land = on(residuals, residuals=30, rows=30)

    @jax.jit
    @jax.vmap
    def both(active):
        def step(carry, _):
            moved = optimizer.iterate(land._replace(active=active), *carry)
            return (moved.w, moved.state), (moved.w, moved.cost)

        w = jnp.asarray(START)
        return jax.lax.scan(step, (w, optimizer.begin(w)), None, length=15)[1]

    w, cost = map(np.asarray, both(jnp.array([True, False])))
    assert cost[0, -1] < 0.5 * 0.5 * np.mean(residuals(START, np) ** 2)
    np.testing.assert_array_equal(w[1], np.broadcast_to(START, (15, 9)))
    assert from_json(to_json(optimizer)) == optimizer
    assert optimizer.label == type(optimizer).__name__


def test_a_start_without_finite_cost_is_left_alone():
    def nowhere(w):
        return jnp.log(w - 10)

    found = path(LevenbergMarquardt(), on(nowhere), START, 2)
    np.testing.assert_array_equal(found.w[-1], START)
    assert not np.isfinite(found.cost[-1])


# --- evidence ----------------------------------------------------------------------------------------------------


def test_bayesian_regularization_of_a_linear_model_is_the_evidence_fixed_point():
    """γ = n - α tr(βXᵀX + α)⁻¹, α = γ/Σw², β = (N - γ)/Σr², as scikit-learn's BayesianRidge has them (without its
    priors)."""
    linear_model = pytest.importorskip("sklearn.linear_model")
    random = np.random.default_rng(3)
    x = np.concatenate([random.normal(size=(25, 4)), np.ones((25, 1))], axis=1)
    t = x @ np.array([1.0, -0.5, 0.05, 0.0, 0.3]) + 0.4 * random.normal(size=25)
    land = on(lambda w: x @ w - t, rows=25, residuals=25)
    found = path(BayesianRegularization(), land, np.full(5, 0.1), 60)
    state = jax.tree.map(lambda a: a[-1], found.state)
    inverse = np.linalg.inv(state.beta * x.T @ x + state.alpha * np.eye(5))
    gamma = 5 - state.alpha * np.trace(inverse)
    w = state.beta * inverse @ x.T @ t
    np.testing.assert_allclose(found.w[-1], w, rtol=1e-6)
    np.testing.assert_allclose(state.gamma, gamma, rtol=1e-6)
    np.testing.assert_allclose(state.alpha, gamma / np.sum(w**2), rtol=1e-6)
    np.testing.assert_allclose(state.beta, (25 - gamma) / np.sum((x @ w - t) ** 2), rtol=1e-6)
    ridge = linear_model.BayesianRidge(
        fit_intercept=False, tol=1e-12, max_iter=3000, alpha_1=0, alpha_2=0, lambda_1=0, lambda_2=0
    ).fit(x, t)
    np.testing.assert_allclose(found.w[-1], ridge.coef_, rtol=1e-5)
    np.testing.assert_allclose([state.beta, state.alpha], [ridge.alpha_, ridge.lambda_], rtol=1e-4)


def test_where_there_is_nothing_to_learn_few_weights_are_in_effect():
    """Targets of noise alone: the evidence leaves hardly any weight in effect."""
    random = np.random.default_rng(5)
    x, t = random.normal(size=(40, 6)), random.normal(size=40)
    found = path(BayesianRegularization(), on(lambda w: x @ w - t, rows=40, residuals=40), np.full(6, 0.1), 60)
    assert found.state.gamma[-1] < 3
    assert np.sum(found.w[-1] ** 2) < 0.3 * np.sum(np.linalg.lstsq(x, t, rcond=None)[0] ** 2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LevenbergMarquardt(damping=0), r"LevenbergMarquardt\.damping needs a number above 0, got 0"),
        (lambda: LevenbergMarquardt(factor=1.0), r"factor needs a number above 1, got 1\.0"),
        (lambda: LevenbergMarquardt(scale="diag"), r"unknown scale of damping 'diag'\. Did you mean 'diagonal'\?"),
        (lambda: LBFGS(memory=0), r"LBFGS\.memory needs a whole number of at least 1"),
        (lambda: above_one("x", 0.5), "x needs a number above 1, got 0.5"),
    ],
)
def test_bad_values(make, message):
    with pytest.raises(InputError, match=message):
        make()
