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

from perceptory.errors import InputError
from perceptory.kernels import build

POINTS = 8
MOST_NUMBERS = 2**31 - 1  # of a size of an axis, as in convolution.cc


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
    matrices: tuple[float, ...] = ()  # of fewer products (`ops.toom_cook`): B, G, A for `POINTS` points; or none
    threads: int = 1

    @property
    def pooled(self) -> bool:
        return self.rows.pool * self.columns.pool > 1


accepts = partial(build.accepts, "convolution")


def lanes(dtype: Any) -> int:
    """How many examples a block holds; the kernel must be there."""
    dtype = np.dtype(dtype)
    return build.library("convolution", dtype.name).convolution_vector() // dtype.itemsize


def values(stage: Stage, x: jax.Array, kernel: jax.Array, bias: jax.Array) -> jax.Array:
    """z: the correlation plus the bias, of each pool the greatest, with relu that or 0."""
    return _call("values", stage, (_pools(stage, x, kernel), NONE), x, kernel, bias)[0]


def keeping(stage: Stage, x: jax.Array, kernel: jax.Array, bias: jax.Array) -> tuple[jax.Array, jax.Array]:
    """(z, which value of each pool it is, int8, or nothing where there is no pool)."""
    z = _pools(stage, x, kernel)
    which = jax.ShapeDtypeStruct(z.shape, jnp.int8) if stage.pooled else NONE
    z, which = _call("values", stage, (z, which), x, kernel, bias)
    return z, which


def by_inputs(stage: Stage, x: Any, g: jax.Array, z: jax.Array, which: jax.Array, kernel: jax.Array) -> jax.Array:
    """∂J/∂x from g = ∂J/∂z; of x only the shape is used."""
    return _call("by_inputs", stage, (jax.ShapeDtypeStruct(x.shape, g.dtype),), g, z, which, kernel)[0]


def by_kernel(stage: Stage, x: jax.Array, g: jax.Array, z: jax.Array, which: jax.Array, kernel: Any) -> tuple[Any, ...]:
    """∂J/∂(kernel, bias) from g = ∂J/∂z; of the kernel only the shape is used."""
    shapes = (kernel.shape, kernel.shape[-1:])
    return _call("by_kernel", stage, tuple(jax.ShapeDtypeStruct(s, g.dtype) for s in shapes), x, g, z, which)


def _pools(stage: Stage, x: jax.Array, kernel: jax.Array) -> Any:
    n, _, h, w, lane = x.shape
    return jax.ShapeDtypeStruct((n, kernel.shape[-1], stage.rows.pools(h), stage.columns.pools(w), lane), x.dtype)


NONE = jax.ShapeDtypeStruct((0, 1, 1, 1, 1), jnp.int8)


def _call(name: str, stage: Stage, out: tuple[Any, ...], *arrays: Any) -> tuple[Any, ...]:
    if any(size < 0 or size > MOST_NUMBERS for axis in stage[:2] for size in axis):
        raise InputError(
            f"a convolution needs sizes from 0 to {MOST_NUMBERS} for taps, dilation, padding and pools, got"
            f" {tuple(stage.rows)} and {tuple(stage.columns)}. Choose a smaller kernel or dilation."
        )
    if any(min(result.shape, default=1) < 0 for result in out):
        raise InputError("the input of a convolution is shorter than its kernel reaches. Choose a smaller kernel.")
    dtype = np.dtype(arrays[0].dtype).name
    call = jax.ffi.ffi_call(f"perceptory_convolution_{name}_{dtype}", out, vmap_method="expand_dims")
    return tuple(
        call(
            *arrays,
            threads=np.int32(stage.threads),
            stage=np.array([*stage.rows, *stage.columns, stage.relu], np.int64),
            matrices=np.array(stage.matrices, np.float64),
        )
    )
