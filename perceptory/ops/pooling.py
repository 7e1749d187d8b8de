"""Pooling over windows that slide, and over all places."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from perceptory.errors import InputError
from perceptory.ops.patches import Window, Windows, check_room, greatest_in_windows, views, windows_of
from perceptory.registry import Registry

POOLINGS: Registry[Callable[..., Any]] = Registry("pooling", {"max": jnp.max, "average": jnp.mean})


def pool(
    x: jax.Array, size: Any, *, stride: Any = None, kind: str = "max", padding: Any = "valid", zeros: bool = False
) -> jax.Array:
    """The greatest value or the average of windows that slide over the axes between the first and the last.

    x: [·, *space, ·], in either order of batch and channels.
    size: one number, or one per axis.
    stride: likewise; None is the size.
    kind: "max" or "average".
    padding: as in `windows_of`; places around x are never the greatest, and count in an average only with zeros=True.
    A remainder that fills no window is left out. Of equal greatest values the first one alone has the gradient.
    Raises `InputError` where a window would see nothing but padding.
    """
    POOLINGS[kind]
    space = x.shape[1:-1]
    windows = pools_of(space, size, stride, padding)
    around = [(0, 0), *((w.before, w.after) for w in windows), (0, 0)]
    counts = reduce(np.multiply.outer, [_real(n, w) for n, w in zip(space, windows, strict=True)])
    outside = -jnp.inf if kind == "max" else 0
    x = jnp.pad(x, around, constant_values=outside) if any(map(any, around)) else x
    windows = tuple(w._replace(before=0, after=0) for w in windows)
    if kind == "max":
        return greatest_in_windows(x, windows, x.shape[1:-1])
    size = prod(w.size for w in windows)
    return reduce(jnp.add, views(x, windows)) / (
        size if zeros or np.all(counts == size) else jnp.asarray(counts[..., None], x.dtype)
    )


def _real(length: int, window: Window) -> np.ndarray:
    """[position]: how many of the places that a window sees along one axis are no padding."""
    places = np.arange(window.positions(length))[:, None] * window.stride - window.before + np.arange(window.size)
    return np.sum((places >= 0) & (places < length), axis=1)


def pools_of(space: tuple[int, ...], size: Any, stride: Any, padding: Any) -> Windows:
    """The windows of `pool` over these places. Raises `InputError` where one does not fit, or would see nothing but
    padding."""
    windows = windows_of(size, size if stride is None else stride, padding, axes=len(space), space=space)
    check_room(space, windows, "a pool")
    for window in windows:
        if max(window.before, window.after) >= window.size:
            raise InputError(
                f"the padding of a pool needs to be smaller than the pool, got {max(window.before, window.after)} for"
                f" {window.size} places."
            )
    return windows


def global_pool(x: jax.Array, *, kind: str = "average", lengths: jax.Array | None = None) -> jax.Array:
    """[batch, *space, channel] to [batch, channel]: the greatest or the average over all places.

    lengths [batch]: of a series, steps from there on are left out; a length of 0 gives 0.
    """
    if lengths is None:
        return POOLINGS[kind](x, axis=tuple(range(1, x.ndim - 1)))
    real = real_steps(x, lengths)
    if kind == "average":
        return jnp.where(real, x, 0).sum(1) / jnp.maximum(lengths, 1)[:, None].astype(x.dtype)
    return jnp.where((lengths > 0)[:, None], jnp.where(real, x, -jnp.inf).max(1), 0)


def real_steps(x: jax.Array, lengths: jax.Array) -> jax.Array:
    """[batch, time, 1] bool for x [batch, time, ·]: steps before each row's length."""
    return (jnp.arange(x.shape[1]) < lengths[:, None])[..., None]
