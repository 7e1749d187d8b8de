"""Pooling over windows that slide, and over all places."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from math import prod
from typing import Any

import jax
import jax.numpy as jnp

from perceptory.ops.patches import check_room, greatest_in_windows, views, windows_of
from perceptory.registry import Registry

POOLINGS: Registry[Callable[..., Any]] = Registry("pooling", {"max": jnp.max, "average": jnp.mean})


def pool(x: jax.Array, size: Any, *, stride: Any = None, kind: str = "max") -> jax.Array:
    """The greatest value or the average of windows that slide over the axes between the first and the last.

    x: [·, *space, ·], in either order of batch and channels.
    size: one number, or one per axis.
    stride: likewise; None is the size.
    kind: "max" or "average".
    A remainder that fills no window is left out. Of equal greatest values the first one alone has the gradient.
    """
    POOLINGS[kind]
    windows = windows_of(size, size if stride is None else stride, axes=x.ndim - 2)
    check_room(x.shape[1:-1], windows, "a pool")
    if kind == "max":
        return greatest_in_windows(x, windows, x.shape[1:-1])
    return reduce(jnp.add, views(x, windows)) / prod(w.size for w in windows)


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
