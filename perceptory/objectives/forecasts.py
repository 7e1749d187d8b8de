"""Costs of forecasts that know where a window's zero lies, or how much its series changes (`Cost.context`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp

from perceptory.objectives.base import Cost

LEAST = 1e-6  # of |y| + |t|, on the trained scale, below which both count as 0


@dataclass(frozen=True)
class SMAPE(Cost):
    """Symmetric absolute percentage error as a cost: Σ 2 |y - t| / (|y| + |t|) over outputs, of values in their own
    units, from 0 to 2 each. For networks in `Windowed`, without logarithms: absolute errors of logarithms are nearly
    the same."""

    tasks: ClassVar[tuple[str, ...]] = ("regression",)
    context: ClassVar[tuple[str, ...]] = ("zero",)

    def per_row(self, output: jax.Array, target: jax.Array) -> jax.Array:
        t, zero = jnp.split(target, 2, axis=-1)
        size = jnp.abs(output - zero) + jnp.abs(t - zero)
        return jnp.sum(2 * jnp.abs(output - t) / jnp.maximum(size, LEAST), axis=-1)

    def working_response(self, target: jax.Array) -> jax.Array:
        return jnp.split(target, 2, axis=-1)[0]


@dataclass(frozen=True)
class ScaledAbsoluteError(Cost):
    """Σ |y - t| / c over outputs, c the mean |x(t) - x(t - m)| of the window, m the steps of a season: MASE as a cost,
    with the unit of the window in place of that of the series. For networks in `Windowed`."""

    tasks: ClassVar[tuple[str, ...]] = ("regression",)
    context: ClassVar[tuple[str, ...]] = ("change",)

    def per_row(self, output: jax.Array, target: jax.Array) -> jax.Array:
        t, change = jnp.split(target, 2, axis=-1)
        return jnp.sum(jnp.abs(output - t) / change, axis=-1)

    def working_response(self, target: jax.Array) -> jax.Array:
        return jnp.split(target, 2, axis=-1)[0]
