"""Costs: hand-worked values, minimizers, gradients, extremes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from perceptory.errors import InputError
from perceptory.objectives.table import (
    COSTS,
    DEFAULT_COST,
    AbsoluteError,
    GammaLikelihood,
    GaussianLikelihood,
    Huber,
    PoissonLikelihood,
    Quantile,
    Reconstruction,
    SigmoidCrossEntropy,
    SigmoidSquaredError,
    SoftmaxCrossEntropy,
    SquaredError,
    check_task,
    mean_cost,
)

# Those with a context are looked at with the networks that tell them of it (networks/test_windowed.py).
BY_NAME = {name: cost() for name, cost in COSTS.items() if not cost().context} | {
    "gaussian": GaussianLikelihood(0, 0.3)
}


def some_rows(name, rows=6, seed=0):
    """Outputs and targets that suit the cost."""
    random = np.random.default_rng(seed)
    if name in ("sigmoid", "sigmoid_squared"):
        return random.normal(size=(rows, 1)) * 2, random.integers(0, 2, (rows, 1)).astype(float)
    output = random.normal(size=(rows, 3)) * 2
    if name == "softmax":
        return output, np.eye(3)[random.integers(0, 3, rows)]
    output = random.normal(size=(rows, BY_NAME[name].outputs(3))) * 2
    if name in ("poisson", "gamma"):
        return output, random.poisson(3.0, (rows, 3)) / 3 + (name == "gamma")
    return output, random.normal(size=(rows, 3))


@pytest.mark.parametrize(
    ("cost", "output", "target", "expected"),
    [
        (SquaredError(), [[1.0], [4.0]], [[3.0], [4.5]], [2.0, 0.125]),
        (SquaredError(), [[1.0, 2.0]], [[0.0, 4.0]], [2.5]),  # ½ (1 + 4), summed over outputs
        (AbsoluteError(), [[1.0, 2.0], [0.0, 0.0]], [[0.0, 4.0], [-1.0, 1.0]], [3.0, 2.0]),
        (SigmoidCrossEntropy(), [[0.0], [0.0]], [[1.0], [0.0]], [np.log(2)] * 2),
        (SigmoidCrossEntropy(), [[np.log(3.0)]], [[1.0]], [np.log(4 / 3)]),  # y = 3/4
        (SigmoidCrossEntropy(), [[np.log(3.0)]], [[0.0]], [np.log(4.0)]),
        (SigmoidCrossEntropy(), [[np.log(3.0)]], [[0.5]], [0.5 * np.log(4 / 3) + 0.5 * np.log(4)]),
        (SoftmaxCrossEntropy(), [[np.log(2.0), np.log(3.0), np.log(5.0)]], [[0.0, 0.0, 1.0]], [np.log(2.0)]),
        (SoftmaxCrossEntropy(), [[7.0, 7.0, 7.0, 7.0]], [[1.0, 0.0, 0.0, 0.0]], [np.log(4.0)]),
        (SigmoidSquaredError(), [[np.log(3.0)], [0.0]], [[1.0], [0.0]], [1 / 32, 1 / 8]),
        (Huber(2.0), [[1.0], [5.0], [-1.0]], [[0.0], [0.0], [3.0]], [0.5, 8.0, 6.0]),  # ½ 1, 2 (5 - 1), 2 (4 - 1)
        (Huber(1.0), [[1.0, 3.0]], [[0.5, 0.0]], [0.125 + 2.5]),
        (PoissonLikelihood(), [[np.log(3.0)], [0.0]], [[2.0], [0.0]], [3 - 2 * np.log(3), 1.0]),
        (GammaLikelihood(), [[np.log(2.0)], [0.0]], [[3.0], [4.0]], [np.log(2) + 1.5, 4.0]),
        (Quantile(0.9), [[1.0], [5.0]], [[3.0], [4.0]], [0.9 * 2, 0.1 * 1]),
        # The steps between outputs of 0 are those of the standard normal distribution: quantiles -1.2816, 0, 1.2816.
        (Quantile(), [[0.0] * 3], [[2.0]], [0.1 * 3.28155157 + 0.5 * 2 + 0.9 * 0.71844843]),
        (GaussianLikelihood(0, 1e-9), [[1.0, 0.0]], [[3.0]], [2.0]),  # σ = 1
        # Two targets: μ = (0, 1), s = (0, ln(e² - 1) - ln(e - 1)), so σ = (1, 2).
        (
            GaussianLikelihood(0.5, 1e-9),
            [[0.0, 1.0, 0.0, np.log(np.e**2 - 1) - np.log(np.e - 1)]],
            [[1.0, 5.0]],
            [0.5 + np.log(2) + 2],
        ),
    ],
)
def test_values_by_hand(cost, output, target, expected):
    found = jax.jit(cost.per_row)(np.array(output, np.float32), np.array(target, np.float32))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_links():
    z = jnp.array([[np.log(3.0)], [0.0]])
    np.testing.assert_allclose(SigmoidCrossEntropy().inverse_link(z), [[0.25, 0.75], [0.5, 0.5]], rtol=1e-6)
    z = jnp.log(jnp.array([[2.0, 3.0, 5.0]]))
    np.testing.assert_allclose(SoftmaxCrossEntropy().inverse_link(z), [[0.2, 0.3, 0.5]], rtol=1e-6)
    assert np.array_equal(SquaredError().inverse_link(z), z)
    assert np.array_equal(AbsoluteError().inverse_link(z), z)


def test_weighted_mean_by_hand():
    output, target = jnp.array([[1.0], [2.0], [3.0]]), jnp.zeros((3, 1))
    # rows cost ½, 2, 4½: (1·½ + 3·2 + 0·4½) / 4
    assert float(mean_cost(SquaredError(), output, target, jnp.array([1.0, 3.0, 0.0]))) == pytest.approx(1.625)
    assert float(mean_cost(SquaredError(), output, target, jnp.zeros(3))) == 0.0
    gradient = jax.grad(lambda y: mean_cost(SquaredError(), y, target, jnp.zeros(3)))(output)
    assert np.array_equal(gradient, jnp.zeros((3, 1)))


def test_minimizers_are_the_mean_and_the_median():
    targets = jnp.array([1.0, 2.0, 3.0, 7.0, 30.0])[:, None]
    guess = np.linspace(0, 31, 3101)

    @jax.jit
    def total(cost_of_guess):
        return jax.vmap(lambda y: jnp.array([c.per_row(jnp.full((5, 1), y), targets).mean() for c in both]))(
            cost_of_guess
        )

    both = (SquaredError(), AbsoluteError())
    squared, absolute = np.asarray(total(jnp.asarray(guess))).T
    assert guess[squared.argmin()] == pytest.approx(8.6, abs=0.011)
    assert guess[absolute.argmin()] == pytest.approx(3.0, abs=0.011)


@pytest.mark.parametrize("name", ["sigmoid", "softmax"])
def test_gradient_by_z_is_output_minus_target(name):
    z, t = some_rows(name, seed=1)
    z[0] = 0  # where a sigmoid's likelihood, written with maximum and abs, has kinks that cancel
    cost = COSTS[name]()
    with jax.enable_x64(True):
        gradient = jax.jit(jax.grad(lambda z: cost.per_row(z, t).sum()))(z)
        y = np.asarray(jax.jit(cost.inverse_link)(z))[:, -t.shape[1] :]
    np.testing.assert_allclose(gradient, y - t, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", BY_NAME)
def test_gradient_against_differences(name):
    z, t = some_rows(name, seed=2)
    weight, cost, h = np.array([1.0, 0.5, 2.0, 0.0, 1.0, 3.0]), BY_NAME[name], 1e-6
    with jax.enable_x64(True):
        both = jax.jit(jax.value_and_grad(lambda z: mean_cost(cost, z, t, weight)))
        gradient = both(z)[1]
        for place in np.ndindex(z.shape):
            up, down = z.copy(), z.copy()
            up[place] += h
            down[place] -= h
            difference = (float(both(up)[0]) - float(both(down)[0])) / (2 * h)
            assert gradient[place] == pytest.approx(difference, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("size", [1e4, 89.0, 700.0])
@pytest.mark.parametrize("name", ["squared", "absolute", "sigmoid", "softmax"])
def test_values_at_extremes_in_single_precision(name, size):
    cost = COSTS[name]()
    if name == "sigmoid":
        z, t = [[size], [size], [-size], [-size]], [[1.0], [0.0], [1.0], [0.0]]
        values, gradients = [0, size, size, 0], [[0], [1], [-1], [0]]
    elif name == "softmax":
        z, t = [[size, -size], [size, -size]], [[1.0, 0.0], [0.0, 1.0]]
        values, gradients = [0, 2 * size], [[0, 0], [1, -1]]
    else:
        z, t = [[size], [-size]], [[0.0], [0.0]]
        values = [size**2 / 2] * 2 if name == "squared" else [size] * 2
        gradients = [[size], [-size]] if name == "squared" else [[1], [-1]]
    z, t = jnp.array(z, jnp.float32), jnp.array(t, jnp.float32)
    np.testing.assert_allclose(cost.per_row(z, t), values, rtol=1e-6, atol=1e-30)
    gradient = jax.jit(jax.grad(lambda z: cost.per_row(z, t).sum()))(z)
    np.testing.assert_allclose(gradient, gradients, rtol=1e-6, atol=1e-30)
    assert np.isfinite(cost.inverse_link(z)).all()
    if name in ("sigmoid", "softmax"):
        np.testing.assert_allclose(np.asarray(cost.inverse_link(z)).sum(1), 1.0)


@pytest.mark.parametrize(
    ("output", "target", "weight"),
    [
        ((4, 1), (4,), (4,)),
        ((4, 1), (4, 3), (4,)),
        ((4, 1), (1, 1), (4,)),
        ((4, 1), (4, 1), (1,)),
        ((4,), (4, 1), (4,)),
    ],
)
def test_refuses_to_broadcast(output, target, weight):
    with pytest.raises(InputError, match="one shape and a weight per row, got") as caught:
        jax.eval_shape(
            lambda y, t, w: mean_cost(SquaredError(), y, t, w), jnp.zeros(output), jnp.zeros(target), jnp.zeros(weight)
        )
    assert str(output) in str(caught.value)


def test_each_task_has_its_cost_and_others_are_refused():
    assert {
        "regression": SquaredError(),
        "binary": SigmoidCrossEntropy(),
        "multiclass": SoftmaxCrossEntropy(),
        "autoencode": Reconstruction(),
    } == DEFAULT_COST
    for task, cost in DEFAULT_COST.items():
        check_task(cost, task)
    check_task(AbsoluteError(), "regression")
    with pytest.raises(
        InputError, match=r"SquaredError does not suit binary\. Costs that do: sigmoid, sigmoid_squared\."
    ):
        check_task(SquaredError(), "binary")
    with pytest.raises(InputError, match=r"does not suit regression\. Costs that do: squared, absolute"):
        check_task(SoftmaxCrossEntropy(), "regression")
