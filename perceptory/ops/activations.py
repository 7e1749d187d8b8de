"""Activation functions σ(z) by name. All are finite, gradients included, for |z| up to 1e4 in float32."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import jax
import jax.numpy as jnp

from perceptory.errors import InputError
from perceptory.registry import Registry


@dataclass(frozen=True)
class Activation:
    """`function` maps [..., unit] to [..., unit]; `initializer` names the start of the weights that suits it.

    of: for a function with a parameter, what makes it from a number: "elu(0.5)" is `ACTIVATIONS["elu"].of(0.5)`.
    kernel: its name and parameter in `kernels.dense`, where it is known there.
    """

    function: Callable[[jax.Array], jax.Array]
    initializer: str
    formula: str
    of: Callable[[float], Callable] | None = None
    kernel: tuple[str, float] | None = None

    def __call__(self, z: jax.Array) -> jax.Array:
        return self.function(z)


class Activations(Registry[Activation]):
    """The table of activations. A name may carry a parameter, as in "elu(0.5)" and "leaky_relu(0.2)"."""

    def __getitem__(self, name: str) -> Activation:
        call = re.fullmatch(r"\s*(\w+)\s*\((.*)\)\s*", name) if isinstance(name, str) else None
        return super().__getitem__(name) if call is None else _with_parameter(*call.groups())


# Kept, since a module's activation is part of its static structure: two of the same name must be one function.
@lru_cache(maxsize=256)
def _with_parameter(name: str, text: str) -> Activation:
    plain = ACTIVATIONS[name]
    if plain.of is None:
        able = " and ".join(f"{k}({'α' if k == 'elu' else 'slope'})" for k, a in ACTIVATIONS.items() if a.of)
        raise InputError(f"the activation {name!r} takes no parameter, got {name}({text}). Those that do: {able}.")
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number <= 100:
        raise InputError(f"the parameter of {name} needs a number from 0 to 100, got {text!r}. Example: {name}(0.5)")
    kernel = plain.kernel and (plain.kernel[0], number)
    return Activation(plain.of(number), plain.initializer, f"{plain.formula}, with {number:g}", kernel=kernel)


def elu(alpha: float) -> Callable[[jax.Array], jax.Array]:
    """E7: z for z > 0, else α(e^z - 1). The exponential sees no positive z, so its gradient cannot overflow."""
    return lambda z: jnp.where(z > 0, z, alpha * jnp.expm1(jnp.minimum(z, 0)))


def leaky_relu(slope: float) -> Callable[[jax.Array], jax.Array]:
    """z for z > 0, else slope · z (Maas et al. 2013)."""
    return lambda z: jnp.where(z > 0, z, slope * z)


def softmax(z: jax.Array) -> jax.Array:
    """e^z / Σ e^z over the last axis, shifted by the greatest z so that nothing overflows."""
    return jax.nn.softmax(z, axis=-1)


ACTIVATIONS: Activations = Activations(
    "activation",
    {
        "tanh": Activation(jnp.tanh, "glorot", "E5: 2 / (1 + e^(-2z)) - 1", kernel=("tanh", 0.0)),
        "relu": Activation(jax.nn.relu, "he", "E6: max(0, z)", kernel=("relu", 0.0)),
        "elu": Activation(elu(1.0), "he", "E7: z for z > 0, else α (e^z - 1), α = 1", elu, kernel=("elu", 1.0)),
        "sigmoid": Activation(jax.nn.sigmoid, "glorot", "E4: 1 / (1 + e^(-z))", kernel=("sigmoid", 0.0)),
        "steep_sigmoid": Activation(
            lambda z: jax.nn.sigmoid(2 * z), "glorot", "E2: 1 / (1 + e^(-2z))", kernel=("steep_sigmoid", 0.0)
        ),
        "linear": Activation(lambda z: z, "glorot", "z", kernel=("linear", 0.0)),
        "threshold": Activation(lambda z: (z >= 0).astype(z.dtype), "glorot", "1 for z >= 0, else 0 (gradient 0)"),
        "piecewise_linear": Activation(lambda z: jnp.clip(z + 0.5, 0, 1), "glorot", "0, z + 1/2, 1: linear, saturated"),
        "leaky_relu": Activation(
            leaky_relu(0.01), "he", "z for z > 0, else slope · z, slope = 0.01", leaky_relu, kernel=("leaky_relu", 0.01)
        ),
        "gelu": Activation(jax.nn.gelu, "he", "z Φ(z), tanh form"),
        "silu": Activation(jax.nn.silu, "he", "z / (1 + e^(-z))"),
        "softplus": Activation(jax.nn.softplus, "he", "ln(1 + e^z)"),
        "softmax": Activation(softmax, "glorot", "e^z / Σ e^z over the units of a layer"),
    },
)
