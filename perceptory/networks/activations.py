"""Activation functions σ(z), elementwise, by name. All are finite, gradients included, for |z| up to 1e4 in float32."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp

from perceptory.registry import Table


@dataclass(frozen=True)
class Activation:
    """`function` maps [..., unit] to [..., unit]; `initializer` names the start of the weights that suits it."""

    function: Callable[[jax.Array], jax.Array]
    initializer: str
    formula: str

    def __call__(self, z: jax.Array) -> jax.Array:
        return self.function(z)


def elu(z: jax.Array) -> jax.Array:
    """E7 with α = 1. The exponential sees no positive z, so its gradient cannot overflow behind the selection."""
    return jnp.where(z > 0, z, jnp.expm1(jnp.minimum(z, 0)))


ACTIVATIONS: Table[Activation] = Table(
    "activation",
    {
        "tanh": Activation(jnp.tanh, "glorot", "E5: 2 / (1 + e^(-2z)) - 1"),
        "relu": Activation(jax.nn.relu, "he", "E6: max(0, z)"),
        "elu": Activation(elu, "he", "E7: z for z > 0, else e^z - 1"),
        "sigmoid": Activation(jax.nn.sigmoid, "glorot", "E4: 1 / (1 + e^(-z))"),
        "steep_sigmoid": Activation(lambda z: jax.nn.sigmoid(2 * z), "glorot", "E2: 1 / (1 + e^(-2z))"),
        "linear": Activation(lambda z: z, "glorot", "z"),
        "threshold": Activation(lambda z: (z >= 0).astype(z.dtype), "glorot", "1 for z >= 0, else 0 (gradient 0)"),
        "piecewise_linear": Activation(lambda z: jnp.clip(z + 0.5, 0, 1), "glorot", "0, z + 1/2, 1: linear, saturated"),
        "leaky_relu": Activation(jax.nn.leaky_relu, "he", "z for z > 0, else 0.01 z"),
        "gelu": Activation(jax.nn.gelu, "he", "z Φ(z), tanh form"),
        "silu": Activation(jax.nn.silu, "he", "z / (1 + e^(-z))"),
        "softplus": Activation(jax.nn.softplus, "he", "ln(1 + e^z)"),
    },
)
