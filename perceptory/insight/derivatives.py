"""What back-propagation multiplies by: σ'(z) of every activation, and ∂J/∂y of every cost, as they are written down."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from perceptory import backend
from perceptory.objectives.table import Cost
from perceptory.ops.activations import ACTIVATIONS, SELU_ALPHA, SELU_SCALE


def _sigmoid(z: np.ndarray) -> np.ndarray:
    return np.exp(-np.logaddexp(0, -z))


def _gelu_slope(z: np.ndarray, v: np.ndarray) -> np.ndarray:
    c = np.sqrt(2 / np.pi)
    u = np.tanh(c * (z + 0.044715 * z**3))
    return 0.5 * (1 + u) + 0.5 * z * (1 - u**2) * c * (1 + 3 * 0.044715 * z**2)


# σ'(z) by name, from z [unit] and v = σ(z) [unit].
SLOPES: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "tanh": lambda z, v: 1 - v**2,
    "relu": lambda z, v: np.where(z > 0, 1.0, 0.0),
    "elu": lambda z, v: np.where(z > 0, 1.0, v + 1),
    "sigmoid": lambda z, v: v * (1 - v),
    "steep_sigmoid": lambda z, v: 2 * v * (1 - v),
    "linear": lambda z, v: np.ones_like(z),
    "threshold": lambda z, v: np.zeros_like(z),
    "piecewise_linear": lambda z, v: np.where(np.abs(z) < 0.5, 1.0, 0.0),
    "leaky_relu": lambda z, v: np.where(z > 0, 1.0, 0.01),
    "gelu": _gelu_slope,
    "silu": lambda z, v: _sigmoid(z) * (1 + z * (1 - _sigmoid(z))),
    "softplus": lambda z, v: _sigmoid(z),
    "selu": lambda z, v: np.where(z > 0, SELU_SCALE, v + SELU_SCALE * SELU_ALPHA),
    "softsign": lambda z, v: (1 - np.abs(v)) ** 2,
    "hard_sigmoid": lambda z, v: np.where(np.abs(z) < 3, 1 / 6, 0.0),
}


def activation_name(function: Callable[..., Any]) -> str:
    """The name of σ in the table of activations, or what its Python function is called."""
    for name, activation in ACTIVATIONS.items():
        if activation.function is function:
            return name
    return str(getattr(function, "__qualname__", "σ")).partition(".")[0]


def activate(function: Callable[..., Any], z: np.ndarray) -> np.ndarray:
    """v = σ(z) [unit] in double precision."""
    with backend.precision("double"):
        return np.asarray(function(jnp.asarray(z)))


def behind(function: Callable[..., Any], z: np.ndarray, v: np.ndarray, dv: np.ndarray) -> np.ndarray:
    """∂J/∂z [unit] from ∂J/∂v: σ'(z) ∂J/∂v, for softmax v (∂J/∂v - Σ v ∂J/∂v).

    A function of one's own, or one with a parameter such as "elu(0.5)", is differentiated automatically; it alone.
    """
    name = activation_name(function)
    if name == "softmax":
        return v * (dv - np.sum(v * dv))
    if name in SLOPES and ACTIVATIONS[name].function is function:
        return SLOPES[name](z, v) * dv
    with backend.precision("double"):
        return np.asarray(jax.vjp(function, jnp.asarray(z))[1](jnp.asarray(dv))[0])


class OutputSide(NamedTuple):
    """The cost at one output: link (name of σ between z and y, or ""), its formula, y, J, ∂J/∂y and ∂J/∂z."""

    link: str
    formula: str
    y: np.ndarray
    cost: float
    dy: np.ndarray
    dz: np.ndarray


def _squared(z: np.ndarray, t: np.ndarray) -> tuple[Any, ...]:
    return "", "½ Σ (y - t)²", z, z - t, z - t


def _absolute(z: np.ndarray, t: np.ndarray) -> tuple[Any, ...]:
    return "", "Σ |y - t|", z, np.sign(z - t), np.sign(z - t)


def _cross_entropy(z: np.ndarray, t: np.ndarray) -> tuple[Any, ...]:
    y = _sigmoid(z)
    with np.errstate(divide="ignore", invalid="ignore"):
        dy = np.where(t == 0, 1 / (1 - y), np.where(t == 1, -1 / y, (y - t) / (y * (1 - y))))
    return "sigmoid", "-Σ [t ln y + (1 - t) ln(1 - y)]", y, dy, y - t


def _sigmoid_squared(z: np.ndarray, t: np.ndarray) -> tuple[Any, ...]:
    y = _sigmoid(z)
    return "sigmoid", "½ Σ (y - t)²", y, y - t, (y - t) * y * (1 - y)


def _softmax(z: np.ndarray, t: np.ndarray) -> tuple[Any, ...]:
    y = np.exp(z - z.max())
    y = y / y.sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        dy = np.where(t == 0, 0.0, -t / y)
    return "softmax", "-Σ t ln y", y, dy, y * t.sum() - t


# By the class's name: a cost that is not here is differentiated automatically at the output, and only there.
_COSTS: dict[str, Callable[[np.ndarray, np.ndarray], tuple[Any, ...]]] = {
    "SquaredError": _squared,
    "AbsoluteError": _absolute,
    "SigmoidCrossEntropy": _cross_entropy,
    "SigmoidSquaredError": _sigmoid_squared,
    "SoftmaxCrossEntropy": _softmax,
}


def output_side(cost: Cost, z: np.ndarray, t: np.ndarray) -> OutputSide:
    """J and its derivatives at the network's linear output z [out], for the target t in the cost's own form."""
    with backend.precision("double"):
        output, target = jnp.asarray(z)[None], jnp.asarray(t)[None]
        kind = type(cost).__name__
        if kind not in _COSTS:
            value, slope = jax.jit(jax.value_and_grad(lambda o: cost.per_row(o, target)[0]))(output)
            return OutputSide("", kind, z, float(value), np.asarray(slope)[0], np.asarray(slope)[0])
        value = jax.jit(cost.per_row)(output, target)[0]
    link, formula, y, dy, dz = _COSTS[kind](z, t)
    return OutputSide(link, formula, y, float(value), dy, dz)
