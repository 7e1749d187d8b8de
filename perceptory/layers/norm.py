"""Layer and batch normalization: (x - mean) / sqrt(variance + ε), then a scale and a shift that are learned."""

from __future__ import annotations

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from perceptory.registry import Registry

EPSILON = 1e-5
MOST_VALUES = 1 << 22  # values that calibration keeps of one layer at once: 16 MiB a member in single precision
STORED = ("mean", "variance")  # arrays that live in the weight vector and that no optimizer moves


def is_stored(name: str) -> bool:
    """Whether the array of this path, such as "layers.1.mean", is a stored statistic: set by calibration alone."""
    return name.rpartition(".")[2] in STORED


class LayerNorm(eqx.Module):
    """Over the last axis (units, channels) of each row and place: no row sees another (Ba et al. 2016)."""

    scale: jax.Array
    shift: jax.Array

    def __init__(self, width: int):
        self.scale, self.shift = jnp.ones(width), jnp.zeros(width)

    def __call__(self, x: jax.Array, key: jax.Array | None = None) -> jax.Array:
        centered = x - jnp.mean(x, axis=-1, keepdims=True)
        variance = jnp.mean(centered**2, axis=-1, keepdims=True)
        return centered * jax.lax.rsqrt(variance + EPSILON) * self.scale + self.shift


class BatchNorm(eqx.Module):
    """Over all rows and places of each unit or channel, the last axis (Ioffe & Szegedy 2015).

    Training (a key): the batch's own mean and variance, both weighted by `weights` [batch], so that padding rows do
    not count; without `weights` all rows count alike. Use: the stored ones, which `calibrate` takes from training
    rows ("precise" statistics, Wu & Johnson 2021). Training does not read the stored ones, so their gradient is 0.
    A batch of one row and place has variance 0: its output is the shift. The steps of a sequence all count, also
    those past a row's own length: there layer normalization is the better choice.
    """

    scale: jax.Array
    shift: jax.Array
    mean: jax.Array
    variance: jax.Array
    takes: ClassVar[tuple[str, ...]] = ("weights",)

    def __init__(self, width: int):
        self.scale, self.shift = jnp.ones(width), jnp.zeros(width)
        self.mean, self.variance = jnp.zeros(width), jnp.ones(width)

    def __call__(self, x: jax.Array, key: jax.Array | None = None, weights: Any = None) -> jax.Array:
        mean, variance = (self.mean, self.variance) if key is None else _statistics(x, weights)
        return (x - mean) * (jax.lax.rsqrt(variance + EPSILON) * self.scale) + self.shift

    def calibrate(self, x: jax.Array, w: jax.Array) -> BatchNorm:
        mean, variance = _statistics(x, w)
        return eqx.tree_at(lambda m: (m.mean, m.variance), self, (mean, variance))


def _statistics(x: jax.Array, w: jax.Array | None) -> tuple[jax.Array, jax.Array]:
    """Mean and variance [unit] of x [row, ..., unit], weighted by w [row]; (0, 1) where all weights are 0."""
    share = jnp.full(x.shape[0], 1 / x.shape[0], x.dtype) if w is None else w.astype(x.dtype)
    total = jnp.sum(share)
    share = share / jnp.where(total > 0, total, 1)

    def mean_of(values: jax.Array) -> jax.Array:
        return jnp.tensordot(share, jnp.mean(values, axis=tuple(range(1, x.ndim - 1))), 1)

    mean = mean_of(x)
    variance = mean_of((x - mean) ** 2)
    return mean, jnp.where(total > 0, variance, 1)


NORMS: Registry[Any] = Registry("normalization", {"layer": LayerNorm, "batch": BatchNorm})


def calibrate(module: Any, x: jax.Array, w: jax.Array, values: int) -> Any:
    """The module with the statistics of its batch normalizations taken from rows x [row, ...] of weight w [row].

    Rows pass as in use, so dropout scales and noise is off: what is stored is what use will meet. Where the layer of
    most values (`values` a row) would not fit in memory, evenly spread rows stand for all of them.
    """
    most = max(256, MOST_VALUES // max(values, 1))
    step = -(-x.shape[0] // most)
    return module.calibrate(x[::step], w[::step])
