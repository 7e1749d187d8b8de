"""Noise in training: on values (inputs, hidden values, outputs) and on weights. In use there is none.

Noise on targets, and noise that spares columns which hold no numbers, are augmentation (`augmentation/numbers.py`).
"""

from __future__ import annotations

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from perceptory.layers.arrays import arrays_of, with_arrays
from perceptory.layers.base import Fixed, call, fixed_number


class Noise(eqx.Module):
    """x + std · ε with ε from the standard normal distribution, fresh for every value and step of training.

    On scaled inputs std is in units of an input's standard deviation. A linear network with squared error so gets the
    penalty std² ‖w‖² (Bishop 1995).
    """

    std: Fixed

    def __init__(self, std: jax.Array | float):
        self.std = fixed_number(std)

    def __call__(self, x: jax.Array, key: jax.Array | None = None) -> jax.Array:
        if key is None:
            return x
        return x + (self.std.value * jax.random.normal(key, x.shape)).astype(x.dtype)


class WeightNoise(eqx.Module):
    """A network whose weights (arrays with two or more axes, not biases) are W + std · ε in training (An 1996).

    All rows of a step see the same disturbed weights; the next step draws anew. std is in the weights' own units.
    """

    inner: Any
    std: Fixed
    takes: ClassVar[tuple[str, ...]] = ("weights", "lengths")

    def __init__(self, inner: Any, std: jax.Array | float):
        self.inner, self.std = inner, fixed_number(std)

    def __call__(
        self, x: jax.Array, key: jax.Array | None = None, weights: Any = None, lengths: Any = None
    ) -> jax.Array:
        if key is None:
            return call(self.inner, x, None, weights, lengths)
        noise_key, inner_key = jax.random.split(key)
        return call(disturbed(self.inner, self.std.value, noise_key), x, inner_key, weights, lengths)

    def calibrate(self, x: jax.Array, w: jax.Array) -> WeightNoise:
        if not hasattr(self.inner, "calibrate"):
            return self
        return WeightNoise(self.inner.calibrate(x, w), self.std.value)


def disturbed(module: Any, std: jax.Array, key: jax.Array) -> Any:
    """The module with std · ε added to every weight. One draw for all of them: each draw is a loop in the program."""
    arrays = arrays_of(module)
    sizes = [array.size if array.ndim >= 2 else 0 for array in arrays]
    noise = std * jax.random.normal(key, (sum(sizes),))
    parts = jnp.split(noise, np.cumsum(sizes)[:-1].tolist())
    pairs = zip(arrays, parts, strict=True)
    return with_arrays(module, [a + part.reshape(a.shape).astype(a.dtype) if part.size else a for a, part in pairs])
