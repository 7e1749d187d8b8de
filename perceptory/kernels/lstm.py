"""The LSTM kernel as functions of JAX arrays; `lstm.cc` has the formulas. Not differentiable; members that `vmap` maps
go into one call.

Shapes, time-major: x [time, batch, in], input [in, 4H], recurrent [H, 4H], bias [4H], states [batch, H], lengths
[batch] int32. All floats are of one type, float32 or float64.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np

from perceptory.kernels import build

Arrays = tuple[jax.Array, ...]
Run = tuple[jax.Array, Arrays]


class SavedStates(NamedTuple):
    """What the way back needs: the memory cells c [time, batch, H], the values of tanh of all gates [time, batch, 4H];
    0 in the padding."""

    c: jax.Array
    gates: jax.Array


accepts = partial(build.accepts, "lstm")
threads = build.threads


def values(threads: int, x: jax.Array, weights: Arrays, state: Arrays, lengths: jax.Array) -> Run:
    """(h [time, batch, H], (last h, last c)) from (input, recurrent, bias) and the state (h, c)."""
    h, *last = _call("values", _shapes(x, state), threads, {}, x, *weights, *state, lengths)
    return h, tuple(last)


def keeping(threads: int, x: jax.Array, weights: Arrays, state: Arrays, lengths: jax.Array) -> tuple[Run, SavedStates]:
    """(`values`, what `backward` needs)."""
    first, *_ = shapes = _shapes(x, state)
    shapes = (*shapes, first, (*first[:2], 4 * first[2]))
    h, *last, c, gates = _call("keeping", shapes, threads, {}, x, *weights, *state, lengths)
    return (h, tuple(last)), SavedStates(c, gates)


def backward(
    threads: int,
    truncation: int,
    recurrent: jax.Array,
    c: jax.Array,
    saved: SavedStates,
    dh: jax.Array,
    last: Arrays,
    lengths: jax.Array,
) -> tuple[jax.Array, Arrays]:
    """(∂J/∂sums [time, batch, 4H], ∂J/∂(h, c) before the first step) from c before the first step, ∂J/∂h [time, batch,
    H] and ∂J/∂(last h, last c). truncation: the carried gradient ends every so many steps, 0 never."""
    shapes = (saved.gates.shape, c.shape, c.shape)
    attributes = {"truncation": np.int32(truncation)}
    da, *first = _call("backward", shapes, threads, attributes, recurrent, c, *saved, dh, *last, lengths)
    return da, tuple(first)


def _shapes(x: jax.Array, state: Arrays) -> tuple[Any, ...]:
    return (*x.shape[:2], state[0].shape[-1]), state[0].shape, state[0].shape


def _call(
    name: str, shapes: tuple[Any, ...], threads: int, attributes: dict[str, Any], *arrays: Any
) -> tuple[Any, ...]:
    dtype = np.dtype(arrays[0].dtype)
    out = tuple(jax.ShapeDtypeStruct(shape, dtype) for shape in shapes)
    call = jax.ffi.ffi_call(f"perceptory_lstm_{name}_{dtype.name}", out, vmap_method="expand_dims")
    return tuple(call(*arrays, threads=np.int32(threads), **attributes))
