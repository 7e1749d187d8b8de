"""Starting weights: `initializer(key, fan_in, fan_out)` returns [fan_in, fan_out], small and random; biases start at 0."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from perceptory.registry import Table


def _uniform(scale: Callable[[int, int], float]) -> Callable:
    def initializer(key: jax.Array, fan_in: int, fan_out: int) -> jax.Array:
        limit = scale(fan_in, fan_out)
        return jax.random.uniform(key, (fan_in, fan_out), minval=-limit, maxval=limit)

    return initializer


def orthogonal(key: jax.Array, fan_in: int, fan_out: int) -> jax.Array:
    return jax.nn.initializers.orthogonal()(key, (fan_in, fan_out), jnp.result_type(float))


INITIALIZERS: Table[Callable] = Table(
    "initializer",
    {
        "glorot": _uniform(lambda fan_in, fan_out: (6 / (fan_in + fan_out)) ** 0.5),  # Glorot & Bengio 2010
        "he": _uniform(lambda fan_in, fan_out: (6 / fan_in) ** 0.5),  # He et al. 2015
        "lecun": _uniform(lambda fan_in, fan_out: (3 / fan_in) ** 0.5),  # LeCun et al. 1998
        "small": _uniform(lambda fan_in, fan_out: 0.1),
        "orthogonal": orthogonal,  # Saxe et al. 2014
    },
)
