"""Starting weights, small and random; biases start at 0, but for Nguyen and Widrow's.

An initializer is `(key, uniform [fan_in, fan_out] in [-1, 1), fan_in, fan_out) -> [fan_in, fan_out]`. The uniform
numbers of all layers are drawn at once, since each draw adds a loop to the compiled program.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from perceptory import catalog
from perceptory.ops.cholesky import orthonormal
from perceptory.registry import Registry

INITIALIZERS: Registry[Callable[[jax.Array, jax.Array, int, int], jax.Array]] = catalog.INITIALIZERS


def glorot(key: jax.Array, uniform: jax.Array, fan_in: int, fan_out: int) -> jax.Array:
    """±√(6 / (fan_in + fan_out)) (Glorot & Bengio 2010)."""
    return uniform * (6 / (fan_in + fan_out)) ** 0.5


def he(key: jax.Array, uniform: jax.Array, fan_in: int, fan_out: int) -> jax.Array:
    """±√(6 / fan_in) (He et al. 2015)."""
    return uniform * (6 / fan_in) ** 0.5


def lecun(key: jax.Array, uniform: jax.Array, fan_in: int, fan_out: int) -> jax.Array:
    """±√(3 / fan_in) (LeCun et al. 1998)."""
    return uniform * (3 / fan_in) ** 0.5


def small(key: jax.Array, uniform: jax.Array, fan_in: int, fan_out: int) -> jax.Array:
    """±0.1."""
    return uniform * 0.1


def orthogonal(key: jax.Array, uniform: jax.Array, fan_in: int, fan_out: int) -> jax.Array:
    """Orthonormal rows or columns, whichever are fewer (Saxe et al. 2014)."""
    q = orthonormal(jax.random.normal(key, (max(fan_in, fan_out), min(fan_in, fan_out)), uniform.dtype))
    return q if fan_in >= fan_out else q.T


def nguyen_widrow(key: jax.Array, uniform: jax.Array, fan_in: int, fan_out: int) -> jax.Array:
    """Random directions, all of the length with which the neurons' slopes share out the range of scaled inputs, ±√3
    (Nguyen & Widrow 1990); `starting_bias` puts the slopes side by side."""
    length = 0.7 * fan_out ** (1 / fan_in) / 3**0.5
    return length * uniform * jax.lax.rsqrt(jnp.sum(uniform**2, axis=0) + jnp.finfo(uniform.dtype).tiny)


def starting_bias(name: str, weight: jax.Array) -> jax.Array:
    """[fan_out] the biases of a hidden layer that go with its starting weights [fan_in, fan_out]."""
    if name != "nguyen_widrow":
        return jnp.zeros(weight.shape[1], weight.dtype)
    reach = jnp.sqrt(3 * jnp.sum(weight**2, axis=0)) * jnp.where(weight[0] < 0, -1, 1)
    return reach * jnp.linspace(-1, 1, weight.shape[1], dtype=weight.dtype)


def initial_weights(key: jax.Array, names: Sequence[str], fans: Sequence[tuple[int, int]]) -> list[Any]:
    """Starting weights of several layers: names of initializers and (fan_in, fan_out) of each."""
    ends = np.cumsum([0] + [a * b for a, b in fans]).tolist()
    drawn = jax.random.uniform(key, (ends[-1],), minval=-1, maxval=1)
    return [
        INITIALIZERS[name](jax.random.fold_in(key, i), drawn[start:end].reshape(fan), *fan)
        for i, (name, fan, (start, end)) in enumerate(zip(names, fans, pairwise(ends), strict=True))
    ]
