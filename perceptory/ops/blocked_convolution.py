"""Correlation, bias, relu and max pooling by a kernel in C++ (`perceptory.kernels`), with the same numbers as XLA's
path but for rounding.

Examples stand in blocks, as many as a vector of the processor holds: [block, channel, row, column, lane]; a series is
one row. Between stages XLA leaves out the way from blocks to [batch, *space, channel] and back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from math import prod
from typing import Any

import jax
import jax.numpy as jnp

from perceptory.kernels import build
from perceptory.kernels import convolution as kernel
from perceptory.kernels.convolution import Axis, Stage
from perceptory.ops.derivatives import differentiated_as
from perceptory.ops.patches import (
    Window,
    Windows,
    correlate_backward,
    correlate_plain,
    first_greatest,
    scatter,
    to_winner,
    views,
)
from perceptory.ops.toom_cook import transforms


def pays(x: jax.Array, windows: Windows, size: tuple[int, ...], *weights: jax.Array) -> bool:
    """Whether the kernel is there for this x [batch, *space, in], and is the faster way."""
    if any(w.stride > 1 for w in windows) or prod(size) > MAX_POOL or not kernel.accepts(x, *weights):
        return False
    return 2 * x.shape[0] >= kernel.lanes(x.dtype)


def pooled_correlation(
    x: jax.Array, weight: jax.Array, bias: jax.Array, windows: Windows, size: tuple[int, ...], relu: bool
) -> jax.Array:
    """max over pools of x * weight + bias, and with relu that or 0, from blocks to blocks."""
    axes = [Axis(w.size, w.dilation, w.before, w.after, p) for w, p in zip(windows, size, strict=True)]
    if len(axes) == 1:
        axes, weight = [Axis(1), *axes], weight[None]
    rows, columns = axes
    return _differentiable_stage(Stage(rows, columns, relu, matrices(axes, weight), build.threads()))(x, weight, bias)


def matrices(axes: Sequence[Axis], weight: jax.Array) -> tuple[float, ...]:
    """For a kernel of one row of taps that is worth fewer products (`toom_cook`): their matrices, else none. Not where
    all zeros stand in front (causal), for the reason that `convolution` gives."""
    rows, last = axes
    causal = last.before > 0 and last.after == 0
    fits = rows.taps == 1 and last.gap == 1 and 1 < last.taps < kernel.POINTS
    if not fits or causal or min(weight.shape[-2:]) < MIN_CHANNELS:
        return ()
    return tuple(float(v) for m in transforms(kernel.POINTS + 1 - last.taps, last.taps) for v in m.ravel())


def to_blocks(x: jax.Array) -> jax.Array:
    """[batch, *space, channel] to [block, channel, row, column, lane], with zeros in the lanes that are left."""
    lanes = kernel.lanes(x.dtype)
    x = x if x.ndim == 4 else x[:, None]
    missing = -x.shape[0] % lanes
    x = jnp.pad(x, ((0, missing), *((0, 0),) * 3)) if missing else x
    return x.reshape(-1, lanes, *x.shape[1:]).transpose(0, 4, 2, 3, 1)


def from_blocks(x: jax.Array, batch: int, axes: int) -> jax.Array:
    """The inverse of `to_blocks`, for so many axes of space."""
    x = x.transpose(0, 4, 2, 3, 1)
    x = x.reshape(-1, *x.shape[2:])
    x = x if x.shape[0] == batch else x[:batch]
    return x if axes == 2 else x[:, 0]


@lru_cache(maxsize=256)
def _differentiable_stage(stage: Stage) -> Callable[..., Any]:
    windows = tuple(Window(a.taps, 1, a.gap, a.before, a.after) for a in stage[:2])
    pools = tuple(Window(a.pool, a.pool) for a in stage[:2])

    # The same by XLA, for what differentiates once more, such as a product with the Hessian.
    def plain(x: jax.Array, weight: jax.Array, bias: jax.Array) -> Any:
        y = correlate_plain(_to_first(x), _flat(weight), windows) + bias[:, None, None, None]
        z, which = first_greatest(views(y, pools))
        z, which = (_to_blocks(a, x.shape[-1]) for a in (z, which))
        return jax.nn.relu(z) if stage.relu else z, which if stage.pooled else jnp.zeros(kernel.NONE.shape, jnp.int8)

    def plain_back(x: jax.Array, weight: jax.Array, z: jax.Array, which: jax.Array, g: jax.Array) -> Any:
        g = _to_first(jnp.where(z > 0, g, 0) if stage.relu else g)
        if stage.pooled:
            space = tuple(w.positions(n) for w, n in zip(windows, x.shape[2:4], strict=True))
            parts = to_winner(_to_first(which), g, prod(w.size for w in pools))
            g = scatter(parts.reshape(-1, *g.shape[1:]), pools, space)
        dx, dweight = correlate_backward(windows, (_to_first(x), _flat(weight)), g)
        return _to_blocks(dx, x.shape[-1]), dweight.reshape(weight.shape), g.sum((1, 2, 3))

    value = differentiated_as(lambda *a: kernel.values(stage, *a), lambda *a: plain(*a)[0])
    keeping = differentiated_as(lambda *a: kernel.keeping(stage, *a), plain)
    by_inputs = differentiated_as(
        lambda x, weight, z, which, g: kernel.by_inputs(stage, x, g, z, which, weight), lambda *a: plain_back(*a)[0]
    )
    by_kernel = differentiated_as(
        lambda x, weight, z, which, g: kernel.by_kernel(stage, x, g, z, which, weight), lambda *a: plain_back(*a)[1:]
    )

    @jax.custom_vjp
    def run(x: jax.Array, weight: jax.Array, bias: jax.Array) -> jax.Array:
        return value(x, weight, bias)

    def forward_pass(x: jax.Array, weight: jax.Array, bias: jax.Array) -> Any:
        z, which = keeping(x, weight, bias)
        return z, (x, weight, z, which)

    # Two calls: where nobody asks for the gradient by x, as in the first stage, XLA leaves that one out.
    run.defvjp(forward_pass, lambda residuals, g: (by_inputs(*residuals, g), *by_kernel(*residuals, g)))
    return run


def _flat(weight: jax.Array) -> jax.Array:
    return weight.reshape(-1, weight.shape[-1])


def _to_first(x: jax.Array) -> jax.Array:
    """From blocks to [channel, *space, batch]."""
    x = x.transpose(1, 2, 3, 0, 4)
    return x.reshape(*x.shape[:3], -1)


def _to_blocks(x: jax.Array, lanes: int) -> jax.Array:
    return x.reshape(*x.shape[:3], -1, lanes).transpose(3, 0, 1, 2, 4)


MIN_CHANNELS = 8  # channels, in and out: below, the sums before and after cost more than the products that they save
MAX_POOL = 127  # places, as many as an int8 counts
