"""Activation functions σ(z) by name. All are finite, gradients included, for |z| up to 1e4 in float32."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp

from perceptory import catalog
from perceptory.errors import InputError
from perceptory.registry import Registry


@dataclass(frozen=True)
class Activation:
    """`function` maps [..., unit] to [..., unit]; `initializer` names the start of the weights that suits it.

    of: for a function with a parameter, what makes it from a number: "elu(0.5)" is `ELU.of(0.5)`.
    """

    function: Callable[[jax.Array], jax.Array]
    initializer: str
    of: Callable[[float], Callable[[jax.Array], jax.Array]] | None = None

    def __call__(self, z: jax.Array) -> jax.Array:
        return self.function(z)

    def with_parameter(self, name: str, text: str) -> Activation:
        """The activation of this name with another parameter."""
        return _with_parameter(name, text)


ACTIVATIONS: Registry[Activation] = catalog.ACTIVATIONS


# Kept, since a module's activation is part of its static structure: two of the same name must be one function.
@lru_cache(maxsize=256)
def _with_parameter(name: str, text: str) -> Activation:
    plain = ACTIVATIONS[name]
    if plain.of is None:
        able = ", ".join(f"{k}({'α' if k == 'elu' else 'slope'})" for k, a in ACTIVATIONS.items() if a.of)
        raise InputError(f"the activation {name!r} takes no parameter, got {name}({text}). Those that do: {able}.")
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number <= 100:
        raise InputError(f"the parameter of {name} needs a number from 0 to 100, got {text!r}. Example: {name}(0.5)")
    function = plain.of(number)
    _PARAMETERS[function] = name, number
    return Activation(function, plain.initializer)


_PARAMETERS: dict[Callable[..., Any], tuple[str, float]] = {}  # of the functions that `_with_parameter` has made


def named(function: Callable[..., Any]) -> tuple[str, float | None]:
    """The name of an activation's function in the table, and its parameter where it has another than usual; ("", None)
    for a function that is none of them. A module holds the function alone."""
    if function in _PARAMETERS:
        return _PARAMETERS[function]
    return next((name for name, one in ACTIVATIONS.items() if one.function is function), ""), None


def elu(alpha: float) -> Callable[[jax.Array], jax.Array]:
    """[E7]: z for z > 0, else α(e^z - 1). The exponential sees no positive z, so its gradient cannot overflow."""
    return lambda z: jnp.where(z > 0, z, alpha * jnp.expm1(jnp.minimum(z, 0)))


def leaky_relu(slope: float) -> Callable[[jax.Array], jax.Array]:
    """z for z > 0, else slope · z (Maas et al. 2013)."""
    return lambda z: jnp.where(z > 0, z, slope * z)


SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805


def selu(z: jax.Array) -> jax.Array:
    """λ z for z > 0, else λ α (e^z - 1), which keeps mean 0 and variance 1 through layers (Klambauer et al. 2017)."""
    return SELU_SCALE * elu(SELU_ALPHA)(z)


def mish(z: jax.Array) -> jax.Array:
    """z tanh(ln(1 + e^z)) (Misra 2020), the tanh as u / (u + 2) with u = e^z (e^z + 2)."""
    e = jnp.exp(jnp.minimum(z, 20.0))  # beyond, the tanh is 1 in any precision
    u = e * (e + 2)
    return z * (u / (u + 2))


def hard_sigmoid(slope: float) -> Callable[[jax.Array], jax.Array]:
    """slope · z + 1/2, held between 0 and 1. PyTorch, Keras 3: slope 1/6; ONNX and Keras 2: 0.2."""
    return lambda z: jnp.clip(slope * z + 0.5, 0, 1)


def softmax(z: jax.Array) -> jax.Array:
    """e^z / Σ e^z over the last axis, shifted by the greatest z so that nothing overflows."""
    return jax.nn.softmax(z, axis=-1)


TANH = Activation(jnp.tanh, "glorot")
RELU = Activation(jax.nn.relu, "he")
ELU = Activation(elu(1.0), "he", elu)
SIGMOID = Activation(jax.nn.sigmoid, "glorot")
STEEP_SIGMOID = Activation(lambda z: jax.nn.sigmoid(2 * z), "glorot")
LINEAR = Activation(lambda z: z, "glorot")
THRESHOLD = Activation(lambda z: (z >= 0).astype(z.dtype), "glorot")
PIECEWISE_LINEAR = Activation(lambda z: jnp.clip(z + 0.5, 0, 1), "glorot")
LEAKY_RELU = Activation(leaky_relu(0.01), "he", leaky_relu)
GELU = Activation(jax.nn.gelu, "he")
SILU = Activation(jax.nn.silu, "he")
MISH = Activation(mish, "he")
SOFTPLUS = Activation(jax.nn.softplus, "he")
SOFTMAX = Activation(softmax, "glorot")
SELU = Activation(selu, "lecun")
SOFTSIGN = Activation(lambda z: z / (1 + jnp.abs(z)), "glorot")
HARD_SIGMOID = Activation(hard_sigmoid(1 / 6), "glorot", hard_sigmoid)
