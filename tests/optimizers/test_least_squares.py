"""Least squares of known problems, against known answers and scipy.optimize.least_squares."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize

from perceptory import least_squares
from perceptory.errors import InputError

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


def test_rosenbrocks_valley():
    fit = least_squares(rosenbrock, np.array([-1.2, 1.0]))
    np.testing.assert_allclose(fit.x, [1, 1], atol=1e-12)
    assert fit.success
    assert fit.cost < 1e-24


def test_powells_function_whose_jacobian_is_singular_at_the_minimum():
    found = least_squares(powell, np.array([3.0, -1.0, 0.0, 1.0]))
    np.testing.assert_allclose(found.x, 0, atol=1e-4)
    assert found.cost < 1e-14
    assert np.isnan(found.covariance).all()
    assert found.without_errors == "4 numbers from 4 residuals leave none to tell the deviation from."


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


@pytest.fixture
def compilations():
    import jax

    events = []

    def listen(event, *_, **__):
        if event.endswith("backend_compile_duration"):
            events.append(event)

    jax.monitoring.register_event_duration_secs_listener(listen)
    return events


def test_new_data_do_not_compile_again(fitted, compilations):
    again = least_squares(two_exponentials, [1.0, 2.0, 1.0, 0.1], args=(T, 2 * Y), iterations=150)
    assert not compilations
    np.testing.assert_allclose(np.stack(again.x)[::2], 2 * np.stack(fitted.x)[::2], rtol=1e-5)


def test_arrays_from_outside_are_looked_at_anew():
    """A loop over data sets, an array changed in place, a global name, a bound method: none answers for old data."""
    t = np.linspace(0, 4, 30)
    for a, k in ((3.0, 2.0), (5.0, 0.5)):
        y = a * np.exp(-k * t)
        np.testing.assert_allclose(least_squares(lambda p: p[0] * jnp.exp(-p[1] * t) - y, np.ones(2)).x, [a, k])  # noqa: B023

    y = np.ones(30)

    def from_closure(p):
        return p[0] * jnp.ones(30) - y

    assert least_squares(from_closure, np.zeros(1)).x[0] == pytest.approx(1)
    y[:] = 7
    assert least_squares(from_closure, np.zeros(1)).x[0] == pytest.approx(7)

    class Held:
        value = 2.0

        def residuals(self, p):
            return p - self.value

    held = Held()
    assert least_squares(held.residuals, 0.0).x == pytest.approx(2)
    held.value = 4.0
    assert least_squares(held.residuals, 0.0).x == pytest.approx(4)


def test_new_arrays_from_outside_do_not_compile_again(compilations):
    def fit(t, y):
        return least_squares(lambda p: p[0] * jnp.exp(-p[1] * t) - y, np.ones(2))

    fit(T, Y)
    before = len(compilations)
    again = fit(T, 2 * Y)
    assert len(compilations) == before
    np.testing.assert_allclose(again.cost, 4 * fit(T, Y).cost, rtol=1e-9)


def test_lists_and_the_order_in_which_a_start_is_written():
    fit = least_squares(lambda p: [p["z"] * T, p["a"] - Y], {"z": 1.0, "a": np.zeros(2)[0]})
    assert list(fit.x) == list(fit.errors) == ["z", "a"]
    assert fit.names == ("z", "a")
    assert fit.x["a"] == pytest.approx(Y.mean())
    np.testing.assert_allclose(fit.covariance[1, 1], fit.errors["a"] ** 2)
    np.testing.assert_allclose(least_squares(lambda p: [p[0] - 1, p[1] - 2], [0, 0]).x, [1, 2])  # whole numbers, a list


@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e12])
def test_errors_do_not_depend_on_units(fitted, unit):
    def in_units(p):
        return two_exponentials((p[0] / unit, p[1], p[2] / unit, p[3] * unit), T, Y)

    fit = least_squares(in_units, [unit, 2.0, unit, 0.1 / unit])
    expected = np.stack(fitted.errors) * [unit, 1, unit, 1 / unit]
    np.testing.assert_allclose(np.stack(fit.errors), expected, rtol=1e-5)


def test_why_a_fit_has_no_errors():
    two = least_squares(lambda p: p["a"] * p["b"] * T - Y, {"a": 1.0, "b": 1.0})
    assert two.without_errors == "The residuals do not tell a and b apart."
    assert np.isnan(two.errors["a"])
    one = least_squares(lambda p: p[0] * T - Y + 0 * p[1], np.ones(2))
    assert one.without_errors == "The residuals do not depend on x[1]."
    assert one.without_errors in repr(one)


def test_what_ended_it():
    few = least_squares(rosenbrock, np.array([-1.2, 1.0]), iterations=2)
    assert (few.status, few.iterations, few.success) == ("iterations", 2, False)
    lost = least_squares(lambda p: jnp.log(p), np.array([-1.0]))
    assert (lost.status, lost.iterations) == ("diverged", 0)
    np.testing.assert_array_equal(lost.x, [-1.0])
    # The cost is finite, its slope is not.
    steep = least_squares(lambda p: jnp.sqrt(p) + 1, np.array([0.0]))
    assert steep.status == "diverged"


def test_what_is_no_minimum_has_not_converged():
    """A kink that no step gets below, a plateau on the way to infinity, a slope that is wrong."""
    kink = least_squares(lambda p: jnp.stack([1 + jnp.abs(p[0]), 1 + 2 * jnp.abs(p[0])]), np.array([1.0]))
    assert (kink.status, kink.success) == ("stalled", False)
    assert kink.offset > 0.1
    flat = least_squares(lambda p: jnp.exp(-p * jnp.arange(1.0, 5.0)) - jnp.array([-1.0, -2.0, -1.0, -2.0]), 1.0)
    assert (flat.status, flat.success) == ("flat", False)
    assert "no longer depend on x" in flat.message


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: least_squares(rosenbrock, np.array([np.nan, 1.0])), "start needs finite numbers"),
        (lambda: least_squares(rosenbrock, ["a", "b"]), "start needs finite numbers"),
        (lambda: least_squares(rosenbrock, []), "start needs finite numbers"),
        (lambda: least_squares(rosenbrock, np.ones(2), iterations=0), "iterations needs a whole number"),
        (lambda: least_squares(rosenbrock, np.ones(2), tolerance=0), "tolerance needs a number above 0"),
        (lambda: least_squares(lambda p: np.exp(p), np.ones(2)), "needs a function that JAX can trace: jnp.exp"),
        (lambda: least_squares(lambda p: p if p[0] > 0 else -p, np.ones(2)), r"jnp\.where instead of if"),
    ],
)
def test_bad_values(make, message):
    with pytest.raises(InputError, match=message):
        make()
