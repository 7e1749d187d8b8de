"""JAX's random numbers, to the bit, drawn by a kernel: `threefry.cc`. Members that `vmap` maps go into one call.

XLA makes some ten loops of every draw, split and fold, and compiling those of a network's start took as long as all
the rest of its training program.
"""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import Any

import jax
import jax.numpy as jnp

from perceptory.kernels import build

MOST = 2**32  # words of one draw


def kind() -> Any:
    """The kind of random keys for programs of this process, as `jax.random.wrap_key_data` takes it: the same numbers
    with the kernel and without."""
    config: Any = jax.config  # its attributes are made at run time
    able = config.jax_threefry_partitionable and build.loads("threefry", "float32")
    return _by_kernel() if able else "threefry2x32"


@lru_cache(maxsize=1)
def _by_kernel() -> Any:
    from jax.extend.random import define_prng_impl, threefry_prng_impl

    def split(key: Any, shape: tuple[int, ...]) -> Any:
        return _call("pairs", (prod(shape), 2), key, 0).reshape(*shape, 2)

    def random_bits(key: Any, width: int, shape: tuple[int, ...]) -> Any:
        if prod(shape) >= MOST:
            return threefry_prng_impl.random_bits(key, width, shape)
        if width < 64:
            return _call("bits", (prod(shape),), key, 0).reshape(shape).astype(f"uint{width}")
        high, low = _call("pairs", (prod(shape), 2), key, 0).astype(jnp.uint64).T
        return (high << jnp.uint64(32) | low).reshape(shape)

    def fold_in(key: Any, number: Any) -> Any:
        return _call("pairs", (1, 2), key, number)[0]

    return define_prng_impl(
        key_shape=(2,), seed=threefry_prng_impl.seed, split=split, random_bits=random_bits, fold_in=fold_in,
        name="threefry2x32 by kernel", tag="tfk",
    )  # fmt: skip


def _call(what: str, shape: tuple[int, ...], key: Any, first: Any) -> Any:
    out = jax.ShapeDtypeStruct(shape, jnp.uint32)
    if not prod(shape):
        return jnp.zeros(shape, jnp.uint32)
    call = jax.ffi.ffi_call(f"perceptory_threefry_{what}_float32", out, vmap_method="expand_dims")
    return call(jnp.asarray(key), jnp.asarray(first, jnp.uint32))
