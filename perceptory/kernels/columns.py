"""The kernel of the features of a table's columns as functions of JAX arrays; `columns.cc` has the formulas. Members
that `vmap` maps go into one call.

Shapes: u [batch, number], flags [batch, flag], known [batch, category] of all groups, one after the other; edges
[number · (bins + 1)]; weights [weight], in the order of `columns.cc`. All are of one type, float32 or float64.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import numpy as np

from perceptory.kernels import build

KINDS = {"none": 0, "piecewise": 1, "periodic": 2}


class Columns(NamedTuple):
    """What becomes of columns: a static description."""

    numbers: int
    flags: int
    kind: str  # of the embedding of numbers: one of `KINDS`
    bins: int  # or frequencies
    width: int  # of what stands beside each number
    groups: tuple[int, ...]  # how many categories each column of them has
    depth: int  # of a category's vector
    scaled: bool  # whether every feature has a scale

    @property
    def features(self) -> int:
        embedded = self.numbers * self.width if self.kind != "none" else 0
        return self.numbers + embedded + self.flags + len(self.groups) * self.depth

    @property
    def kept(self) -> int:
        """Numbers that a row's way forwards keeps."""
        return 2 * self.numbers if self.kind == "piecewise" else 0


def accepts(dtype: Any) -> bool:
    """Whether the kernel is there and computes in this type."""
    return build.loads("columns", np.dtype(dtype).name)


there = partial(build.accepts, "columns", numbers=0)  # without waiting for it alone


@lru_cache(maxsize=256)
def features(columns: Columns) -> Callable[..., jax.Array]:
    """(weights, u, flags, known, edges) -> [batch, feature]. Its gradient, in reverse and once, is by the weights.

    Raises TypeError where another one is asked for.
    """

    @jax.custom_vjp
    def run(weights: jax.Array, *arrays: jax.Array) -> jax.Array:
        return forward(weights, *arrays)[0]

    def forward(weights: jax.Array, u: jax.Array, *more: jax.Array) -> Any:
        shapes = (len(u), columns.features), (len(u) * columns.kept,)
        return _call("forward", columns, shapes, u, *more, weights)

    def there(weights: Any, *others: Any) -> tuple[jax.Array, Any]:
        if any(array.perturbed for array in others):
            raise TypeError("the kernel of a table's columns has a gradient by its weights alone")
        arrays = tuple(array.value for array in others)
        y, kept = forward(weights.value, *arrays)
        return y, (weights.value, arrays, kept)

    def back(stored: Any, dy: jax.Array) -> Any:
        weights, arrays, kept = stored
        (dw,) = _call("backward", columns, (weights.shape,), *arrays, weights, kept, dy)
        return dw, *(None for _ in arrays)

    run.defvjp(there, back, symbolic_zeros=True)
    return run


def places(x: jax.Array, edges: jax.Array) -> jax.Array:
    """[batch, number] how many of the bins that have a width lie below x, parts of bins included; edges: [number,
    bins + 1], ascending. Without a gradient."""
    out = jax.ShapeDtypeStruct(x.shape, x.dtype)
    call = jax.ffi.ffi_call(f"perceptory_columns_places_{x.dtype.name}", out, vmap_method="expand_dims")
    return call(jax.lax.stop_gradient(x), jax.lax.stop_gradient(edges))


def edges(x: jax.Array, w: jax.Array, levels: jax.Array) -> jax.Array:
    """[column, level] of x [row, column], of the rows with w [row] > 0, the first number up to which lies a share of
    the rows and of their distinct numbers, both counting half; levels: ascending from 0 to 1."""
    return _ordered("edges", x, w, levels)


def gaps(x: jax.Array, w: jax.Array, levels: jax.Array) -> jax.Array:
    """[column, level] ascending, the middle between each of the `edges` and the next larger number, each once; behind
    them 1e30."""
    return _ordered("gaps", x, w, levels)


def quantiles(x: jax.Array, w: jax.Array, levels: jax.Array) -> jax.Array:
    """[column, level] quantiles of x [row, column], of the rows with w [row] > 0, linear between neighbors."""
    return _ordered("quantiles", x, w, levels)


def _ordered(name: str, x: jax.Array, w: jax.Array, levels: jax.Array) -> jax.Array:
    out = jax.ShapeDtypeStruct((x.shape[1], len(levels)), x.dtype)
    call = jax.ffi.ffi_call(f"perceptory_columns_{name}_{x.dtype.name}", out, vmap_method="expand_dims")
    return call(*jax.lax.stop_gradient((x, w, levels)))


def _call(name: str, columns: Columns, shapes: tuple[Any, ...], *arrays: Any) -> tuple[Any, ...]:
    dtype = np.dtype(arrays[0].dtype)
    out = tuple(jax.ShapeDtypeStruct(shape, dtype) for shape in shapes)
    call = jax.ffi.ffi_call(f"perceptory_columns_{name}_{dtype.name}", out, vmap_method="expand_dims")
    return tuple(
        call(
            *arrays,
            kind=np.int32(KINDS[columns.kind]),
            sizes=np.array([columns.bins, columns.width, columns.depth], np.int64),
            groups=np.array(columns.groups, np.int64),
            scaled=np.int32(columns.scaled),
        )
    )
