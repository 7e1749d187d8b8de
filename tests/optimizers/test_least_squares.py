"""Least squares of known problems, against known answers and scipy.optimize.least_squares."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize

from perceptory import LevenbergMarquardt, least_squares
from perceptory.errors import InputError
from perceptory.optimizers.least_squares import METHODS

T = np.linspace(0, 5, 40)
Y = 2.5 * np.exp(-1.3 * T) + 0.7 * np.exp(-0.2 * T) + 0.01 * np.random.default_rng(0).normal(size=40)


def rosenbrock(p):
    return jnp.stack([10 * (p[1] - p[0] ** 2), 1 - p[0]])


def powell(p):
    return jnp.stack([p[0] + 10 * p[1], 5**0.5 * (p[2] - p[3]), (p[1] - 2 * p[2]) ** 2, 10**0.5 * (p[0] - p[3]) ** 2])


def two_exponentials(p, t, y, np=jnp):
    return p[0] * np.exp(-p[1] * t) + p[2] * np.exp(-p[3] * t) - y


@pytest.fixture(scope="module")
def fitted():
    return least_squares(two_exponentials, [1.0, 2.0, 1.0, 0.1], args=(T, Y))


@pytest.mark.parametrize("method", METHODS)
def test_rosenbrocks_valley(method):
    found = least_squares(rosenbrock, np.array([-1.2, 1.0]), method=method)
    np.testing.assert_allclose(found.x, [1, 1], atol=1e-6)
    assert found.status == "converged"
    assert found.cost < 1e-12


def test_powells_function_whose_jacobian_is_singular_at_the_minimum():
    found = least_squares(powell, np.array([3.0, -1.0, 0.0, 1.0]))
    np.testing.assert_allclose(found.x, 0, atol=1e-4)
    assert found.cost < 1e-14
    assert np.isnan(found.covariance).all()


def test_exponentials_as_scipy_fits_them(fitted):
    start = np.array([1.0, 2.0, 1.0, 0.1])
    scipy = optimize.least_squares(lambda p: two_exponentials(p, T, Y, np), start, xtol=1e-14, ftol=1e-14, gtol=1e-14)
    np.testing.assert_allclose(np.stack(fitted.x), scipy.x, rtol=1e-5)
    np.testing.assert_allclose(fitted.cost, scipy.cost, rtol=1e-9)
    np.testing.assert_allclose(fitted.residuals, scipy.fun, atol=1e-7)
    np.testing.assert_allclose(fitted.jacobian, scipy.jac, atol=1e-4)
    np.testing.assert_allclose(fitted.gradient, 0, atol=1e-8)
    assert isinstance(fitted.x, list)


def test_covariance_as_curve_fit_has_it(fitted):
    def model(t, *p):
        return two_exponentials(p, t, 0, np)

    _, covariance = optimize.curve_fit(model, T, Y, p0=np.stack(fitted.x), xtol=1e-14, ftol=1e-14)
    np.testing.assert_allclose(fitted.covariance, covariance, rtol=1e-3)
    np.testing.assert_allclose(fitted.errors, np.sqrt(np.diag(covariance)), rtol=1e-3)


def test_a_certified_kind_of_problem_with_parameters_of_very_different_size():
    """As NIST's Misra1a: b₁(1 - e^(-b₂ x)) with b₁ some 240 and b₂ some 5e-4, data without noise, from afar."""
    x = np.array([77.6, 114.9, 141.1, 190.8, 239.9, 289.0, 332.8, 378.4, 434.8, 477.3, 536.8, 593.1, 689.1, 760.0])
    y = 238.94 * (1 - np.exp(-5.5015e-4 * x))
    found = least_squares(lambda b, x, y: b["top"] * (1 - jnp.exp(-b["rate"] * x)) - y, {"top": 500.0, "rate": 1e-4},
                          args=(x, y))  # fmt: skip
    assert found.x["top"] == pytest.approx(238.94, rel=1e-7)
    assert found.x["rate"] == pytest.approx(5.5015e-4, rel=1e-7)


def test_new_data_do_not_compile_again(fitted):
    import jax

    counted = []
    jax.monitoring.register_event_duration_secs_listener(lambda event, *_, **__: counted.append(event))
    again = least_squares(two_exponentials, [1.0, 2.0, 1.0, 0.1], args=(T, 2 * Y), iterations=150)
    assert not [event for event in counted if event.endswith("backend_compile_duration")]
    np.testing.assert_allclose(np.stack(again.x)[::2], 2 * np.stack(fitted.x)[::2], rtol=1e-5)


def test_what_ended_it():
    few = least_squares(rosenbrock, np.array([-1.2, 1.0]), iterations=2)
    assert (few.status, few.iterations) == ("iterations", 2)
    lost = least_squares(lambda p: jnp.log(p), np.array([-1.0]))
    assert (lost.status, lost.iterations) == ("diverged", 0)
    np.testing.assert_array_equal(lost.x, [-1.0])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: least_squares(rosenbrock, np.array([np.nan, 1.0])), "start needs finite numbers"),
        (lambda: least_squares(rosenbrock, np.ones(2), method="ml"), r"unknown method 'ml'\. Known: lm, "),
        (lambda: least_squares(rosenbrock, np.ones(2), method=3), "method needs a name or a second-order optimizer"),
        (lambda: least_squares(rosenbrock, np.ones(2), iterations=0), "iterations needs a whole number"),
        (lambda: least_squares(rosenbrock, np.ones(2), method=LevenbergMarquardt(trials=0)), "trials"),
    ],
)
def test_bad_values(make, message):
    with pytest.raises(InputError, match=message):
        make()
