"""What each cost's minimum is, what it does far out, and its curvature."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import norm

from perceptory.errors import InputError
from perceptory.objectives.distribution import HALF_BELOW
from perceptory.objectives.table import (
    COSTS,
    GammaLikelihood,
    GaussianLikelihood,
    Huber,
    PoissonLikelihood,
    Quantile,
    SigmoidCrossEntropy,
    SigmoidSquaredError,
    SoftmaxCrossEntropy,
    SquaredError,
    mean_cost,
)

SKEWED = np.random.default_rng(0).gamma(2.0, size=101)[:, None]


def of_constant(cost, targets=SKEWED):
    """(mean cost, its gradient) by one row of outputs that stands for all rows, in double precision."""

    def value(z):
        output = jnp.broadcast_to(z, (len(targets), len(z)))
        return mean_cost(cost, output, jnp.asarray(targets), jnp.ones(len(targets)))

    both = jax.jit(jax.value_and_grad(value))

    def call(z):
        with jax.enable_x64(True):
            found, gradient = both(jnp.asarray(z, float))
            return float(found), np.asarray(gradient)

    return call


@pytest.mark.parametrize("delta", [0.1, 0.7, 50.0])
def test_huber_lies_between_median_and_mean(delta):
    found = minimize(of_constant(Huber(delta)), [1.0], jac=True, tol=1e-12).x[0]
    assert np.clip(found - SKEWED, -delta, delta).sum() == pytest.approx(0, abs=1e-5)  # as far as pull goes
    assert np.median(SKEWED) < found <= SKEWED.mean() + 1e-6
    if delta == 50:
        assert found == pytest.approx(SKEWED.mean(), abs=1e-6)


@pytest.mark.parametrize("cost", [PoissonLikelihood(), GammaLikelihood()])
def test_likelihoods_of_what_is_above_0_are_at_the_logarithm_of_the_mean(cost):
    counts = np.array([0.5, 3.0, 1.0, 6.5])[:, None]
    found = minimize(of_constant(cost, counts), [0.0], jac=True, tol=1e-12).x
    assert found[0] == pytest.approx(np.log(2.75), abs=1e-6)
    np.testing.assert_allclose(
        cost.host_link(np.array([1.5, 30.0])), cost.inverse_link(jnp.array([1.5, 30.0])), rtol=1e-6
    )


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0])
def test_gaussian_is_at_mean_and_deviation(beta):
    pair = np.hstack([SKEWED, 5 - 3 * SKEWED**2])
    cost = GaussianLikelihood(beta, floor=0.01)
    deviation = pair.std(axis=0)
    z = np.concatenate([pair.mean(axis=0), np.log(np.expm1(deviation - 0.01)) - HALF_BELOW])
    value, gradient = of_constant(cost, pair)(z)
    assert np.abs(gradient).max() < 1e-12
    assert value == pytest.approx(np.sum(np.log(deviation) + 0.5), abs=1e-12)
    with jax.enable_x64(True):
        np.testing.assert_allclose(cost.inverse_link(jnp.asarray(z)), [*pair.mean(axis=0), *deviation], rtol=1e-12)
    if beta == 0:
        found = minimize(of_constant(cost, pair), np.zeros(4), jac=True, tol=1e-12).x
        np.testing.assert_allclose(found, z, rtol=1e-4)


def test_beta_changes_the_gradient_and_not_the_value():
    random = np.random.default_rng(1)
    z, t = random.normal(size=(5, 2)), random.normal(size=(5, 1))
    with jax.enable_x64(True):
        z, t = jnp.asarray(z), jnp.asarray(t)
        (plain, slope), (value, pulled) = (
            jax.jit(jax.vmap(jax.value_and_grad(GaussianLikelihood(beta).per_row)))(z, t) for beta in (0.0, 0.5)
        )
        deviation = GaussianLikelihood().inverse_link(z)[:, 1:]
    np.testing.assert_allclose(value, plain, rtol=1e-14)
    np.testing.assert_allclose(pulled, deviation * slope, rtol=1e-12)


@pytest.mark.parametrize("levels", [(0.1, 0.5, 0.9), (0.04, 0.3, 0.35), (0.75,)])
def test_quantiles_are_those_of_the_targets(levels):
    """101 rows, so that i - 1 < 101 τ < i names one row at each level, and it is NumPy's too where 100 τ is whole."""
    cost = Quantile(levels)
    exact = np.sort(SKEWED[:, 0])[np.ceil(101 * np.array(levels)).astype(int) - 1]
    np.testing.assert_allclose(exact, np.quantile(SKEWED, levels), rtol=0.05)
    value = of_constant(cost)
    z = output_for(cost, exact)
    with jax.enable_x64(True):
        np.testing.assert_allclose(cost.inverse_link(jnp.asarray(z)), exact, rtol=1e-12)
    least = value(z)[0]
    pinball = sum(
        np.mean(np.maximum(q * (SKEWED - e), (q - 1) * (SKEWED - e))) for q, e in zip(levels, exact, strict=True)
    )
    assert least == pytest.approx(pinball, rel=1e-12)
    random = np.random.default_rng(2)
    assert all(value(z + step)[0] > least for step in 0.3 * random.normal(size=(100, len(z))))


def output_for(cost, quantiles):
    """The linear outputs that the link makes these quantiles of."""
    with jax.enable_x64(True):
        zero = np.asarray(cost.inverse_link(jnp.zeros(cost.heads, float)))
    gaps, own = np.diff(quantiles), np.diff(zero)
    steps = np.log(np.expm1(gaps)) - np.log(np.expm1(own))
    return np.insert(steps, cost.middle, quantiles[cost.middle])


def test_outputs_of_zero_stand_for_the_standard_normal():
    levels = (0.05, 0.25, 0.6, 0.99)
    np.testing.assert_allclose(
        Quantile(levels).inverse_link(jnp.zeros(4)),
        np.array([-1.6448536, -0.6744898, 0.2533471, 2.3263479]) - 0.2533471,
        rtol=1e-5, atol=1e-7,
    )  # fmt: skip
    assert Quantile(levels).middle == 2
    assert [Quantile(levels).middle for levels in ((0.4, 0.6), (0.45, 0.5), (0.9,))] == [0, 1, 0]
    np.testing.assert_allclose(GaussianLikelihood(floor=1e-9).inverse_link(jnp.zeros(2)), [0, 1], rtol=1e-6)


@pytest.mark.parametrize("shape", [(64, 1), (33, 2), (4, 7, 3)])
def test_links_are_right_when_compiled_in_double_precision(shape):
    """Against NumPy: jaxlib 0.10.1 compiles some concatenations of sums of slices wrongly."""
    cost, random = Quantile((0.05, 0.25, 0.5, 0.75, 0.95)), np.random.default_rng(8)
    z = random.normal(size=(*shape[:-1], 5, shape[-1]))
    steps = np.log1p(np.exp(z + np.insert(np.log(np.expm1(np.diff(norm.ppf(cost.levels)))), 2, 0)[:, None]))
    up = np.cumsum(steps[..., 3:, :], axis=-2)
    down = np.cumsum(steps[..., 1::-1, :], axis=-2)[..., ::-1, :]
    middle = z[..., 2:3, :]
    expected = np.concatenate([middle - down, middle, middle + up], axis=-2)
    pair = random.normal(size=(*shape[:-1], 2 * shape[-1]))
    mean, raw = np.split(pair, 2, axis=-1)
    with jax.enable_x64(True):
        found = jax.jit(cost.inverse_link)(jnp.asarray(z.reshape(*shape[:-1], -1)))
        np.testing.assert_allclose(found, expected.reshape(found.shape), rtol=1e-12)
        found = jax.jit(GaussianLikelihood(floor=0.1).inverse_link)(jnp.asarray(pair))
    both = np.concatenate([mean, 0.1 + np.log1p(np.exp(raw) * np.expm1(1))], axis=-1)
    np.testing.assert_allclose(found, both, rtol=1e-12)


@pytest.mark.parametrize("size", [1.0, 30.0, 1e4])
def test_quantiles_never_cross(size):
    cost = Quantile(tuple(np.linspace(0.05, 0.95, 19)))
    z = jnp.asarray(size * np.random.default_rng(3).normal(size=(500, 19 * 2)), jnp.float32)
    quantiles = np.asarray(cost.inverse_link(z)).reshape(500, 19, 2)
    assert np.all(np.diff(quantiles, axis=1) >= 0)
    own = cost.unscale(quantiles.reshape(500, -1), np.array([7.0, -1e6]), np.array([1e-3, 1e5]))
    assert np.all(np.diff(own.reshape(500, 19, 2), axis=1) >= 0)
    np.testing.assert_allclose(
        cost.point_prediction(own)[:, 1], quantiles[:, 9, 1].astype(float) * 1e5 - 1e6, rtol=1e-6
    )
    members = own.reshape(5, 100, -1)
    assert np.all(np.diff(cost.ensemble(members).reshape(100, 19, 2), axis=1) >= 0)


@pytest.mark.parametrize("name", [name for name, cost in COSTS.items() if not cost().context])
def test_values_and_gradients_are_finite_far_out(name):
    cost, random = COSTS[name](), np.random.default_rng(4)
    targets = 1 if name.startswith("sigmoid") else 2
    corners = random.choice([-1e4, -100.0, 0.0, 100.0, 1e4], (400, cost.outputs(targets)))
    t = np.eye(2)[random.integers(0, 2, 400), :targets]
    z, t = jnp.asarray(corners, jnp.float32), jnp.asarray(t, jnp.float32)
    value, gradient = jax.jit(jax.vmap(jax.value_and_grad(cost.per_row)))(z, t)
    assert np.isfinite(value).all()
    assert np.isfinite(gradient).all()
    assert np.isfinite(cost.inverse_link(z)).all()


def test_poisson_goes_on_straight_beyond_its_limit():
    with jax.enable_x64(True):
        cost, z = PoissonLikelihood(), jnp.array([[19.0], [21.0], [1e4]])
        gradient = jax.jit(jax.grad(lambda z: cost.per_row(z, jnp.full((3, 1), 2.0)).sum()))(z)
        np.testing.assert_allclose(gradient, np.exp([[19.0], [20.0], [20.0]]) - 2, rtol=1e-12)
        np.testing.assert_allclose(gradient, cost.inverse_link(z) - 2, rtol=1e-12)
        gradient = jax.jit(jax.grad(lambda z: GammaLikelihood().per_row(z, jnp.full((3, 1), 2.0)).sum()))(-z)
        np.testing.assert_allclose(gradient, 1 - 2 * np.exp([[19.0], [20.0], [20.0]]), rtol=1e-12)


def test_the_squared_error_of_a_sigmoid_fades():
    z = jnp.array([[-12.0], [0.0], [12.0]])
    gradient = jax.jit(jax.grad(lambda z: SigmoidSquaredError().per_row(z, jnp.ones((3, 1))).sum()))(z)
    y = 1 / (1 + np.exp(-np.array([[-12.0], [0.0], [12.0]])))
    np.testing.assert_allclose(gradient, (y - 1) * y * (1 - y), rtol=1e-4, atol=1e-11)
    assert abs(float(gradient[0, 0])) < 1e-5  # wrong and sure of it: nothing is learned
    likelihood = jax.jit(jax.grad(lambda z: SigmoidCrossEntropy().per_row(z, jnp.ones((3, 1))).sum()))(z)
    assert float(likelihood[0, 0]) == pytest.approx(-1, abs=1e-5)


# --- curvature ---------------------------------------------------------------------------------------------------


def hessian(cost, z, t):
    return jax.jit(jax.vmap(jax.hessian(cost.per_row)))(z, t)


@pytest.mark.parametrize("cost", [SquaredError(), PoissonLikelihood(), SigmoidCrossEntropy(), SoftmaxCrossEntropy()])
def test_curvature_is_the_second_derivative(cost):
    random = np.random.default_rng(5)
    width = 1 if cost == SigmoidCrossEntropy() else 3
    with jax.enable_x64(True):
        z = jnp.asarray(random.normal(size=(4, width)) * 3).at[0].set(0)
        t = jnp.asarray(np.eye(3)[[0, 1, 2, 0], :width])
        found = jax.jit(cost.curvature)(z, t)
        np.testing.assert_allclose(found, hessian(cost, z, t), rtol=1e-9, atol=1e-12)
        assert np.linalg.eigvalsh(np.asarray(found)).min() > -1e-12
        by_step = jax.jit(cost.curvature)(z.reshape(2, 2, width), t.reshape(2, 2, width))
        np.testing.assert_allclose(by_step, found.reshape(2, 2, width, width), rtol=1e-14)


def test_curvature_of_the_gaussian_is_the_expected_one():
    cost = GaussianLikelihood(beta=0, floor=0.2)
    with jax.enable_x64(True):
        z = jnp.asarray(np.random.default_rng(6).normal(size=(4, 4)))
        mean, deviation = np.split(np.asarray(jax.jit(cost.inverse_link)(z)), 2, axis=-1)
        # Gauss-Hermite with three places is exact: the second derivative is a polynomial of degree 2 in the target.
        places = [(0.0, 2 / 3), (np.sqrt(3), 1 / 6), (-np.sqrt(3), 1 / 6)]
        nine = [(a * b, mean + deviation * [p, q]) for p, a in places for q, b in places]
        second = jax.jit(jax.vmap(jax.hessian(cost.per_row)))
        expected = sum(share * np.asarray(second(z, jnp.asarray(t))) for share, t in nine)
        np.testing.assert_allclose(jax.jit(cost.curvature)(z, z[:, :2]), expected, rtol=1e-9, atol=1e-12)


def test_curvature_of_the_sigmoids_squared_error_is_gauss_newtons():
    cost = SigmoidSquaredError()
    with jax.enable_x64(True):
        z = jnp.array([[-2.0], [0.3], [4.0]])
        y = 1 / (1 + np.exp(-np.asarray(z)))
        found = jax.jit(cost.curvature)(z, z)
        np.testing.assert_allclose(found[..., 0], (y * (1 - y)) ** 2, rtol=1e-12)


def test_costs_without_curvature_say_so():
    z = jnp.zeros((2, 1))
    with pytest.raises(
        InputError, match=r"Huber 1 has no curvature.*squared, gaussian, poisson, gamma, transformed, sigmoid"
    ):
        Huber().curvature(z, z)
    with pytest.raises(InputError, match=r"beta is 0\.5\. Use GaussianLikelihood\(beta=0\)"):
        GaussianLikelihood().curvature(jnp.zeros((2, 2)), z)
    assert [name for name, cost in COSTS.items() if not cost().has_true_gradient] == ["gaussian"]


# --- the same in PyTorch -----------------------------------------------------------------------------------------


def test_values_are_those_of_pytorch():
    torch = pytest.importorskip("torch")
    random = np.random.default_rng(7)
    z, t = random.normal(size=(8, 1)) * 2, random.normal(size=(8, 1))
    counts, deviation = random.poisson(2.0, (8, 1)).astype(float), np.exp(random.normal(size=(8, 1)))
    y, target, count = torch.tensor(z), torch.tensor(t), torch.tensor(counts)
    raw = np.log(np.expm1(deviation)) - HALF_BELOW
    with jax.enable_x64(True):
        ours = [
            Huber(0.7).per_row(jnp.asarray(z), jnp.asarray(t)),
            PoissonLikelihood().per_row(jnp.asarray(z), jnp.asarray(counts)),
            GaussianLikelihood(floor=1e-12).per_row(jnp.asarray(np.hstack([z, raw])), jnp.asarray(t)),
        ]
    theirs = [
        torch.nn.functional.huber_loss(y, target, delta=0.7, reduction="none"),
        torch.nn.functional.poisson_nll_loss(y, count, log_input=True, reduction="none"),
        torch.nn.functional.gaussian_nll_loss(y, target, torch.tensor(deviation**2), reduction="none"),
    ]
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b.numpy()[:, 0], rtol=1e-9)
