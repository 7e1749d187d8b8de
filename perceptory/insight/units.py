"""The hidden values of a network over rows, and which units are dead or saturated."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from perceptory.insight.derivatives import activation_name
from perceptory.layers.base import call
from perceptory.layers.convolution import Convolution, ConvolutionalNetwork
from perceptory.layers.dense import Activate, Dense
from perceptory.layers.noise import WeightNoise
from perceptory.layers.sequential import Sequential, Skip
from perceptory.ops.pooling import global_pool

# The flat ends of σ: values at which its slope is below about a fiftieth of its greatest. One-sided ones have the
# slope 0 at a whole side: a unit that stays there is dead.
FLAT: dict[str, tuple[float, float]] = {
    "tanh": (-0.99, 0.99),
    "sigmoid": (0.005, 0.995),
    "steep_sigmoid": (0.005, 0.995),
    "piecewise_linear": (1e-6, 1 - 1e-6),
    "softmax": (0.005, 0.995),
}
DEAD = ("relu",)


class Hidden(NamedTuple):
    """A hidden layer's values. `unit` is the last axis; rows, and places or steps, are the others."""

    activation: str
    v: jax.Array


def hidden_values(module: Any, x: jax.Array) -> list[Hidden]:
    """The hidden layers' values over x [row, ...], in order: what comes out of every σ that is not linear. Covers dense
    and convolutional modules; the list is empty for others."""
    layers: list[Hidden] = []
    _through(module, x, layers)
    return layers


def _through(module: Any, x: jax.Array, layers: list[Hidden]) -> jax.Array:
    if isinstance(module, WeightNoise):
        return _through(module.inner, x, layers)
    if isinstance(module, Sequential):
        for layer in module.layers:
            x = _through(layer, x, layers)
        return x
    if isinstance(module, Skip):
        return x + _through(module.inner, x, layers)
    if isinstance(module, ConvolutionalNetwork):
        for stage in module.stages:
            x = _through(stage, x, layers)
        if module.head == "global":
            x = global_pool(x, kind=module.pooling)
        return _through(module.dense, x if module.head is None else x.reshape(x.shape[0], -1), layers)
    y = call(module, x, None)
    if isinstance(module, Dense | Activate | Convolution):
        name = activation_name(module.activation)
        if name != "linear":
            layers.append(Hidden(name, y))
    return y


def flat_share(hidden: Hidden) -> tuple[str, jax.Array]:
    """("dead" | "saturated" | "", share [unit] of rows and places at which σ is flat)."""
    axes = tuple(range(hidden.v.ndim - 1))
    if hidden.activation in DEAD:
        return "dead", jnp.mean(hidden.v <= 0, axis=axes)
    if hidden.activation in FLAT:
        low, high = FLAT[hidden.activation]
        return "saturated", jnp.mean((hidden.v < low) | (hidden.v > high), axis=axes)
    return "", jnp.zeros(hidden.v.shape[-1])
