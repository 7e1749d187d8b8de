"""The kernel of symmetric matrices as functions of JAX arrays; `symmetric.cc` has the formulas. Not differentiable;
members that `vmap` maps go into one call, and no bit of one depends on the others.

All floats are of one type, float32 or float64. `active`: where it is False nothing is computed, and zeros come back.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from perceptory.kernels import build

accepts = partial(build.accepts, "symmetric")


def normal(
    c: jax.Array, g: jax.Array, layers: Sequence[tuple[jax.Array, jax.Array]], active: Any = True
) -> tuple[jax.Array, jax.Array]:
    """(Σ Jᵀ C J [n, n], Σ Jᵀ g [n]) over rows, from c [row, m, m], g [row, m], and for each layer of neurons its inputs
    v [row, in] and the derivatives d [row, m, out] of the m outputs by its weighted sums.

    The n weights stand layer by layer, as [in, out] and then the biases [out].
    """
    n = sum((v.shape[-1] + 1) * d.shape[-1] for v, d in layers)
    shapes = (jax.ShapeDtypeStruct((n, n), c.dtype), jax.ShapeDtypeStruct((n,), c.dtype))
    return _call("normal", shapes, c, g, jnp.asarray(active, c.dtype), *(a for layer in layers for a in layer))


def product(a: jax.Array, b: jax.Array) -> jax.Array:
    """aᵀ b [n, n] of a [row, n] and b [row, n], where that is symmetric."""
    n = a.shape[-1]
    return _call("product", (jax.ShapeDtypeStruct((n, n), a.dtype),), a, b)[0]


def solution(h: jax.Array, shift: Any, b: jax.Array, active: Any = True) -> jax.Array:
    """x [n] with (h + diag shift) x = b, from the upper triangle of h [n, n], a number or [n], and b [n]; nan where the
    matrix is not positive definite."""
    shift = jnp.broadcast_to(jnp.asarray(shift, h.dtype), b.shape)
    return _call("solution", (jax.ShapeDtypeStruct(b.shape, h.dtype),), h, shift, b, jnp.asarray(active, h.dtype))[0]


def trace(h: jax.Array, shift: Any, active: Any = True) -> jax.Array:
    """The trace of (h + diag shift)⁻¹; nan where that is not positive definite."""
    shift = jnp.broadcast_to(jnp.asarray(shift, h.dtype), h.shape[-1:])
    return _call("trace", (jax.ShapeDtypeStruct((), h.dtype),), h, shift, jnp.asarray(active, h.dtype))[0]


def _call(name: str, out: tuple[Any, ...], *arrays: Any) -> tuple[Any, ...]:
    dtype = np.dtype(arrays[0].dtype).name
    call = jax.ffi.ffi_call(f"perceptory_symmetric_{name}_{dtype}", out, vmap_method="expand_dims")
    return tuple(call(*arrays, threads=np.int32(build.threads())))
