"""The kernel of kernel ridge regression as functions of JAX arrays; `kernel_ridge.cc` has the formulas. Not
differentiable; members that `vmap` maps go into one call, and no bit of one depends on the others.

All floats are of one type, float32 or float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from perceptory.kernels import build
from perceptory.kernels.neurons import KINDS

accepts = partial(build.accepts, "kernel_ridge")
there = partial(build.accepts, "kernel_ridge", numbers=0)  # without waiting for it alone


def likely(
    kernel: str,
    numbers: int,
    x: jax.Array,
    t: jax.Array,
    w: jax.Array,
    learn: jax.Array,
    first: jax.Array,
    groups: np.ndarray,
    deviation: jax.Array,
    rate: float,
    limits: Sequence[tuple[float, float]],
) -> jax.Array:
    """Logarithms [group + 3] of the narrowness of each group of features, of the kernel's share, the linear part's and
    the noise, that make targets likely, by steps from `first`, each by the rows at its places `learn` [step, some].

    kernel: its name. numbers: features that are numbers, in front of those of 0 and 1. x [row, feature], t [row, out],
    w [row]; groups [feature]; deviation []: of the prior. limits: of the narrowness, the shares and the noise.
    """
    out = (jax.ShapeDtypeStruct(first.shape, first.dtype),)
    return _call(
        "likely", out, x, t, w, learn.astype(jnp.int32), first, deviation,
        kind=np.int64(KINDS[kernel]), numbers=np.int64(numbers), groups=np.asarray(groups, np.int64),
        rate=np.float64(rate), limits=np.asarray(limits, np.float64).ravel(),
    )[0]  # fmt: skip


def solution(
    kernel: str,
    numbers: int,
    x: jax.Array,
    t: jax.Array,
    w: jax.Array,
    scales: jax.Array,
    chosen: jax.Array,
    roundings: float,
) -> tuple[jax.Array, jax.Array]:
    """(strengths [row, out], of the rows `chosen` [some] the diagonal of the inverse); nan where the matrix is not
    positive definite.

    kernel, numbers, x, t, w: as in `likely`. scales: [feature + 3] as there, by feature. roundings: of the largest
    number on the diagonal and of each row, the least noise.
    """
    out = (jax.ShapeDtypeStruct(t.shape, t.dtype), jax.ShapeDtypeStruct(chosen.shape, t.dtype))
    return _call(
        "solution", out, x, t, w, scales, chosen.astype(jnp.int32),
        kind=np.int64(KINDS[kernel]), numbers=np.int64(numbers), roundings=np.float64(roundings),
    )  # fmt: skip


def values(
    kernel: str, numbers: int, v: jax.Array, centers: jax.Array, narrowness: jax.Array, strengths: jax.Array
) -> jax.Array:
    """Σ_c k(v, c) α_c [row, out] of v [row, feature] and centers c [center, feature] with strengths α [center, out].

    kernel, numbers: as in `likely`. narrowness: [feature], 1 / s.
    """
    out = (jax.ShapeDtypeStruct((len(v), strengths.shape[1]), v.dtype),)
    arrays = (v, centers, narrowness, strengths)
    return _call("values", out, *arrays, kind=np.int64(KINDS[kernel]), numbers=np.int64(numbers))[0]


def _call(name: str, out: tuple[Any, ...], *arrays: Any, **attributes: Any) -> tuple[Any, ...]:
    dtype = np.dtype(arrays[0].dtype).name
    call = jax.ffi.ffi_call(f"perceptory_kernel_ridge_{name}_{dtype}", out, vmap_method="expand_dims")
    return tuple(call(*arrays, threads=np.int32(build.threads()), **attributes))
