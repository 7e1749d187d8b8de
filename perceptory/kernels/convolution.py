"""The convolution kernel as functions of JAX arrays; `convolution.cc` has the formulas. Not differentiable; members
that `vmap` maps go into one call.

Examples stand in blocks, as many as a vector of the processor holds: x [block, in, h, w, lane], kernel [k, l, in, out],
z [block, out, p, q, lane]. All floats are of one type, float32 or float64.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from perceptory.kernels import build

POINTS = 8


class Axis(NamedTuple):
    """One axis of a correlation with stride 1, and of the pools that do not overlap: the static side of a call."""

    taps: int
    gap: int = 1
    before: int = 0
    after: int = 0
    pool: int = 1

    def pools(self, length: int) -> int:
        return (length + self.before + self.after - (self.taps - 1) * self.gap) // self.pool


class Stage(NamedTuple):
    rows: Axis
    columns: Axis
    relu: bool = False
    matrices: tuple[float, ...] = ()  # of fewer products (`networks.minimal`): B, G, A for `POINTS` points; or none
    threads: int = 1

    @property
    def pooled(self) -> bool:
        return self.rows.pool * self.columns.pool > 1


accepts = partial(build.accepts, "convolution")


def lanes(dtype: Any) -> int:
    """How many examples a block holds; the kernel must be there."""
    dtype = np.dtype(dtype)
    return build.library("convolution", dtype.name).convolution_vector() // dtype.itemsize


def values(how: Stage, x: jax.Array, kernel: jax.Array, bias: jax.Array) -> jax.Array:
    """z: the correlation plus the bias, of each pool the greatest, with relu that or 0."""
    return _call("values", how, (_pools(how, x, kernel), NONE), x, kernel, bias)[0]


def keeping(how: Stage, x: jax.Array, kernel: jax.Array, bias: jax.Array) -> tuple[jax.Array, jax.Array]:
    """(z, which value of each pool it is, int8, or nothing where there is no pool)."""
    z = _pools(how, x, kernel)
    which = jax.ShapeDtypeStruct(z.shape, jnp.int8) if how.pooled else NONE
    z, which = _call("values", how, (z, which), x, kernel, bias)
    return z, which


def by_inputs(how: Stage, x: Any, g: jax.Array, z: jax.Array, which: jax.Array, kernel: jax.Array) -> jax.Array:
    """∂J/∂x from g = ∂J/∂z; of x only the shape is used."""
    return _call("by_inputs", how, (jax.ShapeDtypeStruct(x.shape, g.dtype),), g, z, which, kernel)[0]


def by_kernel(how: Stage, x: jax.Array, g: jax.Array, z: jax.Array, which: jax.Array, kernel: Any) -> tuple:
    """∂J/∂(kernel, bias) from g = ∂J/∂z; of the kernel only the shape is used."""
    shapes = (kernel.shape, kernel.shape[-1:])
    return _call("by_kernel", how, tuple(jax.ShapeDtypeStruct(s, g.dtype) for s in shapes), x, g, z, which)


def _pools(how: Stage, x: jax.Array, kernel: jax.Array) -> Any:
    n, _, h, w, lane = x.shape
    return jax.ShapeDtypeStruct((n, kernel.shape[-1], how.rows.pools(h), how.columns.pools(w), lane), x.dtype)


NONE = jax.ShapeDtypeStruct((0, 1, 1, 1, 1), jnp.int8)


def _call(what: str, how: Stage, out: tuple, *arrays: Any) -> tuple:
    dtype = np.dtype(arrays[0].dtype).name
    call = jax.ffi.ffi_call(f"perceptory_convolution_{what}_{dtype}", out, vmap_method="expand_dims")
    numbers = np.array([*how.rows, *how.columns, how.relu], np.int64)
    return tuple(call(*arrays, threads=np.int32(how.threads), how=numbers, matrices=np.array(how.matrices, np.float64)))
