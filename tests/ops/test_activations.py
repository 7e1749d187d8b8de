"""Activations: values against the formulas, gradients against differences, sound at extremes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit

from perceptory.errors import InputError
from perceptory.ops.activations import ACTIVATIONS

FORMULAS = {
    "tanh": lambda z: 2 / (1 + np.exp(-2 * z)) - 1,
    "relu": lambda z: np.where(z > 0, z, 0),
    "elu": lambda z: np.where(z > 0, z, np.exp(np.minimum(z, 0)) - 1),
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "steep_sigmoid": lambda z: 1 / (1 + np.exp(-2 * z)),
    "linear": lambda z: z,
    "threshold": lambda z: np.where(z >= 0, 1.0, 0.0),
    "piecewise_linear": lambda z: np.where(z <= -0.5, 0, np.where(z >= 0.5, 1, z + 0.5)),
    "leaky_relu": lambda z: np.where(z > 0, z, 0.01 * z),
    "gelu": lambda z: 0.5 * z * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3))),
    "silu": lambda z: z / (1 + np.exp(-z)),
    "mish": lambda z: z * np.tanh(np.log(1 + np.exp(z))),
    "softplus": lambda z: np.log(1 + np.exp(z)),
    "selu": lambda z: 1.0507009873554805 * np.where(z > 0, z, 1.6732632423543772 * (np.exp(np.minimum(z, 0)) - 1)),
    "softsign": lambda z: z / (1 + np.abs(z)),
    "hard_sigmoid": lambda z: np.clip(z + 3, 0, 6) / 6,
    "elu(0.5)": lambda z: np.where(z > 0, z, 0.5 * (np.exp(np.minimum(z, 0)) - 1)),
    "leaky_relu(0.2)": lambda z: np.where(z > 0, z, 0.2 * z),
}
NAMES = list(FORMULAS)  # of those that work on each unit alone; softmax has its own tests
EXTREMES = np.array([-1e4, -1e3, -89.0, -20.0, -1.0, -1e-30, 0.0, 1e-30, 1.0, 20.0, 89.0, 1e3, 1e4])


def test_every_activation_has_its_formula_here():
    assert {name.partition("(")[0] for name in NAMES} | {"softmax"} == set(ACTIVATIONS)
    assert set(NAMES) >= set(ACTIVATIONS) - {"softmax"}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("precision", ["single", "double"])
def test_value_in_every_mode(name, precision):
    z = np.concatenate([np.linspace(-18, 18, 73), [0.25, -0.25, 1e-6]])
    with jax.enable_x64(precision == "double"):
        dtype = np.float64 if precision == "double" else np.float32
        x, f = jnp.asarray(z, dtype), ACTIVATIONS[name]
        expected = FORMULAS[name](np.asarray(x, np.float64))
        tolerance = 1e-12 if precision == "double" else 3e-6
        for got in (f(x), jax.jit(f)(x), jax.vmap(f)(x)):
            assert got.dtype == dtype
            np.testing.assert_allclose(np.asarray(got), expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", NAMES)
def test_gradient_against_differences(name):
    # Away from the kinks at 0 and ±1/2, where a difference has no meaning.
    z = np.array([-9.3, -2.1, -0.7, -0.31, -0.02, 0.03, 0.4, 0.9, 2.2, 11.0])
    with jax.enable_x64(True):
        f, h = ACTIVATIONS[name], 1e-6
        difference = (np.asarray(f(jnp.asarray(z + h))) - np.asarray(f(jnp.asarray(z - h)))) / (2 * h)
        gradient = jax.jit(jax.vmap(jax.grad(f)))(jnp.asarray(z))
        np.testing.assert_allclose(np.asarray(gradient), difference, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("name", NAMES)
def test_finite_at_extremes_in_single_precision(name):
    z = jnp.asarray(EXTREMES, jnp.float32)
    value, gradient = jax.vmap(jax.value_and_grad(ACTIVATIONS[name]))(z)
    assert np.isfinite(value).all(), f"{name} at {EXTREMES[~np.isfinite(value)]}"
    assert np.isfinite(gradient).all(), f"gradient of {name} at {EXTREMES[~np.isfinite(gradient)]}"
    low, high = np.asarray(value)[[0, -1]]
    limits = {
        "tanh": (-1, 1), "relu": (0, 1e4), "elu": (-1, 1e4), "sigmoid": (0, 1), "steep_sigmoid": (0, 1),
        "linear": (-1e4, 1e4), "threshold": (0, 1), "piecewise_linear": (0, 1), "leaky_relu": (-100, 1e4),
        "gelu": (0, 1e4), "silu": (0, 1e4), "mish": (0, 1e4), "softplus": (0, 1e4), "elu(0.5)": (-0.5, 1e4),
        "leaky_relu(0.2)": (-2000, 1e4), "selu": (-1.7580993, 10507.0098), "softsign": (-0.99990001, 0.99990001),
        "hard_sigmoid": (0, 1),
    }  # fmt: skip
    assert (low, high) == pytest.approx(limits[name], rel=1e-6, abs=1e-30)
    rising = {"relu", "elu", "linear", "leaky_relu", "gelu", "silu", "mish", "softplus"}
    slope = 1.05070099 if name == "selu" else float(name.partition("(")[0] in rising)
    assert float(gradient[-1]) == pytest.approx(slope, abs=1e-6)


def test_small_arguments_keep_their_digits():
    z = jnp.asarray([1e-6, -1e-6], jnp.float32)
    # e^z - 1 computed as written would be 0 or off by a tenth here.
    np.testing.assert_allclose(ACTIVATIONS["elu"](z), np.expm1([1e-6, -1e-6]).clip(max=[1e-6, 0]), rtol=1e-6)
    np.testing.assert_allclose(ACTIVATIONS["tanh"](z), [1e-6, -1e-6], rtol=1e-6)


def test_steep_sigmoid_is_the_sigmoid_of_twice_z_and_tanh_its_stretching():
    z = jnp.linspace(-3, 3, 31)
    np.testing.assert_allclose(ACTIVATIONS["steep_sigmoid"](z), expit(2 * np.asarray(z, float)), rtol=1e-6)
    np.testing.assert_allclose(ACTIVATIONS["tanh"](z), 2 * ACTIVATIONS["steep_sigmoid"](z) - 1, atol=3e-7)


@pytest.mark.parametrize("precision", ["single", "double"])
def test_softmax_over_the_units(precision):
    with jax.enable_x64(precision == "double"):
        z = jnp.asarray([[0.0, np.log(2), np.log(5)], [1e4, -1e4, 1e4 - 1]], jnp.result_type(float))
        f = ACTIVATIONS["softmax"]
        for value in (f(z), jax.jit(f)(z), jax.jit(jax.vmap(f))(z)):
            np.testing.assert_allclose(value[0], [1 / 8, 2 / 8, 5 / 8], rtol=1e-6)
            np.testing.assert_allclose(value[1], [1 / (1 + np.exp(-1)), 0, 1 / (1 + np.e)], rtol=1e-6)
        v = np.asarray(f(z), float)
        expected = [np.diag(row) - np.outer(row, row) for row in v]
        np.testing.assert_allclose(jax.jit(jax.vmap(jax.jacrev(f)))(z), expected, atol=1e-6)


def test_torch():
    torch = pytest.importorskip("torch")
    z = np.linspace(-8, 8, 33)
    theirs = {"selu": torch.selu, "softsign": torch.nn.functional.softsign}
    theirs["hard_sigmoid"] = torch.nn.functional.hardsigmoid
    with jax.enable_x64(True):
        for name, function in theirs.items():
            np.testing.assert_allclose(ACTIVATIONS[name](jnp.asarray(z)), function(torch.tensor(z)), atol=1e-14)
        np.testing.assert_allclose(ACTIVATIONS["hard_sigmoid(0.2)"](jnp.array([-3.0, 1, 2.5])), [0, 0.7, 1])


def test_a_parameter_in_the_name():
    elu = ACTIVATIONS["elu(0.5)"]
    assert elu.initializer == ACTIVATIONS["elu"].initializer
    assert elu.function is ACTIVATIONS["elu(0.5)"].function  # else two networks of one spec would differ in structure
    np.testing.assert_allclose(elu(jnp.array([-1.0, 2.0])), [0.5 * np.expm1(-1), 2], rtol=1e-6)
    np.testing.assert_allclose(ACTIVATIONS[" elu ( 2 ) "](jnp.array([-1.0])), [2 * np.expm1(-1)], rtol=1e-6)
    # the slope has no jump at 0 for α = 1 alone
    slopes = jax.vmap(jax.grad(elu.function))(jnp.array([-1e-6, 1e-6]))
    np.testing.assert_allclose(slopes, [0.5, 1], rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("elu(x)", r"the parameter of elu needs a number from 0 to 100, got 'x'\. Example: elu\(0\.5\)"),
        ("elu()", r"the parameter of elu needs a number"),
        ("elu(nan)", r"the parameter of elu needs a number"),
        ("elu(-1)", r"the parameter of elu needs a number from 0"),
        ("leaky_relu(1e9)", r"the parameter of leaky_relu needs a number"),
        (
            "tanh(2)",
            r"'tanh' takes no parameter, got tanh\(2\)\. Those that do: elu\(α\), leaky_relu\(slope\), hard_sigmoid",
        ),
        ("ellu(2)", r"unknown activation 'ellu'\. Did you mean 'elu'\?"),
        ("elu(0.5", r"unknown activation 'elu\(0\.5'"),
        (3, r"unknown activation 3"),
    ],
)
def test_bad_parameters(name, message):
    with pytest.raises(InputError, match=message) as caught:
        ACTIVATIONS[name]
    assert "\n" not in str(caught.value)


def test_unknown_name_gets_a_suggestion():
    with pytest.raises(InputError, match=r"unknown activation 'tahn'\. Did you mean 'tanh'\? Known: tanh, relu"):
        ACTIVATIONS["tahn"]
