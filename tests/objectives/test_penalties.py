"""Weight penalties (E30): gradient, exact zeros, biases."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from perceptory.errors import InputError
from perceptory.objectives.penalties import WeightPenalty
from perceptory.optimizers.first_order import Adam, AdamW, GradientDescent, Momentum, Optax, RMSProp
from perceptory.optimizers.transforms import exact_zeros, stateless
from perceptory.selection.search import choice, expand
from perceptory.specs import from_json, partition, to_json

W = np.array([-2.0, -0.4, -1e-3, 0.03, 0.7, 1.9])
MASK = np.array([1.0, 1.0, 0.0, 1.0, 1.0, 0.0])


def settled(penalty, old, new, slope, mask):
    """The weights after a training step that an optimizer would take from `old` to `new`."""
    step = exact_zeros(penalty, (mask,), stateless(lambda u, w, _: (new - old,)))
    (update,), _ = step.update((slope,), step.init((old,)), (old,))
    return jnp.where(update == new - old, new, old + update)  # without the rounding of new - old where it goes on


@pytest.mark.parametrize("p", [1.2, 1.5, 2, 2.0, 3, 4.5])
def test_gradient_against_differences(p):
    penalty, h = WeightPenalty(0.3, p=p), 1e-7

    def value(w):
        return 0.3 * np.sum(MASK * np.abs(w) ** p)

    expected = [(value(W + h * e) - value(W - h * e)) / (2 * h) for e in np.eye(6)]
    with jax.enable_x64(True):
        np.testing.assert_allclose(jax.jit(penalty.slope)(np.zeros(6), W, MASK), expected, rtol=1e-5, atol=1e-8)


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
    ended = settled(penalty, old, new, jnp.array([1.0, 1.0, 0.0, -1.0, 1.0]), mask)
    np.testing.assert_array_equal(ended, jnp.array([0.0, -0.2, 0.0, 0.3, -0.2]))


@pytest.mark.parametrize("p", [1.5, 2, 3])
def test_other_powers_settle_nothing(p):
    w = jnp.asarray(W)
    assert settled(WeightPenalty(1.0, p=p), w, -w, w, jnp.asarray(MASK)).tolist() == (-w).tolist()


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
            return settled(penalty, w, w - 0.3 * slope, slope, jnp.ones(6)), None

        w = np.asarray(jax.lax.scan(step, jnp.zeros(6), length=200)[0])
    np.testing.assert_allclose(w, np.sign(least) * np.maximum(np.abs(least) - 0.1, 0), atol=1e-10)
    assert (w[[2, 3, 5]] == 0).all()


RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(60, 8)) @ np.linalg.cholesky(0.3 * np.ones((8, 8)) + 0.7 * np.eye(8)).T
T = X @ [1.0, -0.8, 0.05, 0.0, 0.3, -0.02, 0.0, 0.0] + 0.3 * RANDOM.normal(size=60)
FIRST_ORDER = [
    GradientDescent(0.2), Momentum(0.03), Momentum(0.03, nesterov=True), RMSProp(0.03),
    RMSProp(0.03, form="fourth_root"), Adam(0.05), AdamW(0.05, weight_decay=1e-9), Optax(optax.adam(0.05)),
    Optax(optax.lion(0.01)),
]  # fmt: skip


@pytest.mark.parametrize("optimizer", FIRST_ORDER, ids=lambda o: f"{o.label} {getattr(o, 'form', '')}")
def test_a_mix_ends_at_the_elastic_net_with_exact_zeros(optimizer):
    """scikit-learn's objective: α r ‖w‖₁ + ½ α (1 - r) ‖w‖²; ours: λ m ‖w‖₁ + λ (1 - m) ‖w‖². Step sizes fall to 0."""
    from sklearn.linear_model import ElasticNet

    penalty, steps = WeightPenalty(0.2, mix=0.6), 1500
    l1, l2 = 0.2 * 0.6, 2 * 0.2 * 0.4
    expected = ElasticNet(alpha=l1 + l2, l1_ratio=l1 / (l1 + l2), fit_intercept=False, tol=1e-12).fit(X, T).coef_
    with jax.enable_x64(True):
        transformation, mask = optax.with_extra_args_support(optimizer.transformation()), jnp.ones(8)
        H, b = jnp.asarray(X.T @ X / 60), jnp.asarray(X.T @ T / 60)

        def step(carry, t):
            w, state = carry
            slope = penalty.slope(H @ w - b, w, mask)
            extra = {
                "rate": optimizer.learning_rate * (1 - t / steps) ** 2,
                "precomputed": optimizer.precompute(t + 1, 0),
            }
            update, state = transformation.update((slope,), state, (w,), weight_mask=(mask,), **extra)
            shrink = (1 - t / steps) ** 2 if isinstance(optimizer, Optax) else 1
            return (settled(penalty, w, w + shrink * update[0], slope, mask), state), None

        first = (jnp.asarray(RANDOM.normal(size=8)),)
        w = jax.lax.scan(step, (first[0], transformation.init(first)), jnp.arange(steps, dtype=float))[0][0]
    np.testing.assert_allclose(w, expected, atol=1e-4)
    assert np.array_equal(np.asarray(w) == 0, expected == 0)
    assert (expected == 0).sum() >= 3


def test_p_2_ends_at_ridge_regression():
    from sklearn.linear_model import Ridge

    with jax.enable_x64(True):
        H, b = jnp.asarray(X.T @ X / 60), jnp.asarray(X.T @ T / 60)
        descend = lambda w, _: (w - 0.2 * WeightPenalty(0.2).slope(H @ w - b, w, jnp.ones(8)), None)  # noqa: E731
        w = jax.lax.scan(descend, jnp.zeros(8), length=400)[0]
    np.testing.assert_allclose(w, Ridge(alpha=2 * 0.2 * 60, fit_intercept=False).fit(X, T).coef_, atol=1e-9)


def test_a_mix_by_hand():
    """λ = 0.5, m = 0.4: 0.3 ‖w‖² and 0.2 ‖w‖₁."""
    w, mask = jnp.array([1.0, -2.0, 0.0, 0.0, 3.0]), jnp.array([1.0, 1.0, 1.0, 1.0, 0.0])
    slope = WeightPenalty(0.5, mix=0.4).slope(jnp.array([0.1, 0.1, 0.15, -0.7, 0.3]), w, mask)
    np.testing.assert_allclose(slope, [0.9, -1.3, 0.0, -0.5, 0.3], rtol=1e-6)
    assert WeightPenalty(0.5, p=3, mix=0.4).slope(jnp.zeros(1), jnp.array([2.0]), 1.0).tolist() == pytest.approx([3.8])


NAMES = ("layers.0.bias", "layers.0.weight", "layers.1.weight", "layers.10.weight")
WEIGHTS = (False, True, True, True)


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ({}, [0, 0.5, 0.5, 0.5]),
        ({"layers.1": 0.2}, [0, 0.5, 0.2, 0.5]),
        ({"layers": 0.1, "layers.0.weight": 0.0}, [0, 0.0, 0.1, 0.1]),
    ],
)
def test_strengths_by_layer(layers, expected):
    assert WeightPenalty(0.5, layers=layers).by_array(NAMES, WEIGHTS) == expected


def test_a_layer_that_is_not_there():
    with pytest.raises(InputError, match=r"no weights are called 'layer\.1'\. Did you mean 'layers\.1\.weight'"):
        WeightPenalty(layers={"layer.1": 0.1}).by_array(NAMES, WEIGHTS)
    with pytest.raises(InputError, match=r"no weights are called 'layers\.0\.bias'"):
        WeightPenalty(layers={"layers.0.bias": 0.1}).by_array(NAMES, WEIGHTS)


def test_layers_are_written_read_searched_and_named():
    penalty = WeightPenalty(1e-3, p=1.5, mix=0.25, layers={"layers.0": choice(0.1, 0.2)})
    assert from_json(to_json(penalty)) == penalty
    made = expand(penalty)
    assert [p.layers[0].strength for p in made] == [0.1, 0.2]
    assert partition(made[0])[0] == partition(made[1])[0]  # traced
    assert made[1].label == "L1.5+L1 0.25 0.001, layers.0 0.2"
    assert WeightPenalty(0.1).label == "L2 0.1"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"mix": 1.5}, r"WeightPenalty\.mix needs a share from 0 to 1, got 1\.5"),
        ({"layers": 0.1}, r"layers needs a dict of strengths by layer, got 0\.1"),
        ({"layers": {"layers.0": -1}}, r"LayerStrength\.strength needs a number of at least 0, got -1"),
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
