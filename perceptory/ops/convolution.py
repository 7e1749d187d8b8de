"""Convolution and pooling over one axis (series) or two (images), channels last.

On a CPU a kernel in C++ (`blocks`), or, where there is none, one matrix product of gathered windows (`patches`);
elsewhere the library's own convolution.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from perceptory import backend
from perceptory.errors import InputError
from perceptory.ops import blocked_convolution as blocks
from perceptory.ops.patches import (
    Window,
    Windows,
    correlate,
    greatest,
    greatest_in_windows,
    views,
    widened,
)
from perceptory.ops.toom_cook import LONGEST, correlate_minimal
from perceptory.registry import Registry

POOLINGS: Registry[Callable] = Registry("pooling", {"max": jnp.max, "average": jnp.mean})
PADDINGS = ("valid", "same", "causal")


MOST_REACH = 1 << 20  # steps from a kernel's first tap to its last: so many zeros may be added for each channel


def windows_of(size: Any, stride: Any = 1, padding: Any = "valid", dilation: Any = 1, axes: int = 2) -> Windows:
    """One `Window` an axis. A number holds for all axes, a tuple has one an axis.

    padding: "valid": none; "same": zeros so that stride 1 keeps the length, of an odd number the greater half behind;
    "causal": all of them in front, so that no output sees a later input (one axis only); a number: on both sides.
    Where the zeros stand does not depend on the length, so a padded series has the values of the series alone.
    """
    sizes, strides, paddings, dilations = (_per_axis(v, axes) for v in (size, stride, padding, dilation))
    if "causal" in paddings and axes != 1:
        raise InputError('padding "causal" is for series, one axis, got two. Use "same" or "valid" for images.')
    found = []
    for n, s, pad, d in zip(sizes, strides, paddings, dilations, strict=True):
        window = Window(n, s, d)
        extra = window.span - 1
        if extra > MOST_REACH:
            raise InputError(
                f"a convolution of {n} taps with dilation {d} reaches over {extra} steps, and may over {MOST_REACH}."
                " Choose a smaller kernel or dilation."
            )
        if isinstance(pad, str) and pad not in PADDINGS:
            raise InputError(f'padding needs "valid", "same", "causal" or a number, got {pad!r}.')
        known = {"valid": (0, 0), "same": (extra // 2, extra - extra // 2), "causal": (extra, 0)}
        before, after = known.get(pad, (pad, pad))
        found.append(window._replace(before=before, after=after))
    return tuple(found)


def _per_axis(value: Any, axes: int) -> tuple:
    if not isinstance(value, tuple):
        return (value,) * axes
    if len(value) != axes:
        raise InputError(f"a tuple here needs one entry for each of {axes} axes, got {value!r}.")
    return value


def check_room(space: tuple[int, ...], windows: Windows, what: str) -> None:
    """Raise `InputError` where a window is longer than what it slides over."""
    for length, window in zip(space, windows, strict=True):
        if window.positions(length) < 1:
            raise InputError(
                f"{what} of {window.span} steps does not fit into {length + window.before + window.after}"
                " (zeros included). Use a smaller one, less pooling before it, or larger inputs."
            )


def convolve(
    x: jax.Array, kernel: jax.Array, *, stride: Any = 1, padding: Any = "valid", dilation: Any = 1, flip: bool = False
) -> jax.Array:
    """Convolution with a bank of kernels, summed over input channels.

    x: [batch, time, in] or [batch, h, w, in]; kernel: [k, in, out] or [k, k, in, out]. Returns [batch, *position, out].
    flip: True is convolution by definition, S(i, j) = Σ_m Σ_n I(m, n) K(i - m, j - n), with the kernel turned
    around; False is cross-correlation, S(i, j) = Σ_m Σ_n I(i + m, j + n) K(m, n), which libraries call convolution.
    padding, stride, dilation: see `windows_of`; zeros stand outside the input.
    Raises `InputError` where shapes do not fit.
    """
    axes = kernel.ndim - 2
    if axes not in (1, 2) or x.ndim != kernel.ndim or x.shape[-1] != kernel.shape[-2]:
        raise InputError(
            "convolution needs x [batch, time, in] with a kernel [k, in, out], or x [batch, h, w, in] with"
            f" [k, k, in, out], got {list(x.shape)} and {list(kernel.shape)}."
        )
    windows = windows_of(tuple(kernel.shape[:-2]), stride, padding, dilation, axes)
    check_room(x.shape[1:-1], windows, "a kernel")
    if flip:
        kernel = jnp.flip(kernel, tuple(range(axes)))
    if backend.native():
        return library_convolution(x, kernel, windows)
    if blocks.pays(x, windows, (1,) * axes, kernel):
        none = jnp.zeros(kernel.shape[-1], kernel.dtype)
        z = blocks.stage(blocks.to_blocks(x), kernel, none, windows, (1,) * axes, False)
        return blocks.from_blocks(z, x.shape[0], axes)
    return to_last(_correlate(to_first(x), kernel, windows))


def _correlate(x: jax.Array, kernel: jax.Array, windows: Windows) -> jax.Array:
    """x [in, *space, batch], kernel [*k, in, out] to [out, *position, batch], the faster way.

    Not by fewer products where all zeros stand in front (causal): an output would then not depend on the inputs after
    it in exact arithmetic alone, and a great one would disturb earlier outputs by its rounding.
    """
    last, (into, out) = windows[-1], kernel.shape[-2:]
    causal = last.before > 0 and last.after == 0
    plain = last.stride == last.dilation == 1 and 2 <= last.size < LONGEST
    if plain and not causal and min(into, out) >= LEAST_MINIMAL and last.positions(x.shape[-2]) >= 4:
        return correlate_minimal(x, kernel, windows)
    return correlate(x, kernel.reshape(-1, out), windows)


def library_convolution(x: jax.Array, kernel: jax.Array, windows: Windows) -> jax.Array:
    """The library's own cross-correlation, channels last."""
    space = "HW"[: len(windows)]
    return lax.conv_general_dilated(
        x,
        kernel,
        window_strides=[w.stride for w in windows],
        padding=[(w.before, w.after) for w in windows],
        rhs_dilation=[w.dilation for w in windows],
        dimension_numbers=(f"N{space}C", f"{space}IO", f"N{space}C"),
    )


def to_first(x: jax.Array) -> jax.Array:
    """[batch, *space, channel] to [channel, *space, batch]; its own inverse."""
    return jnp.swapaxes(x, 0, -1)


to_last = to_first


def pool(x: jax.Array, size: Any, *, stride: Any = None, kind: str = "max") -> jax.Array:
    """The greatest value or the average of windows that slide over the axes between the first and the last.

    x: [·, *space, ·], in either order of batch and channels; size: one number or one an axis; stride: None is the size.
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


def convolve_and_pool(
    x: jax.Array,
    kernel: jax.Array,
    bias: jax.Array,
    windows: Windows,
    size: tuple[int, ...],
    kind: str,
    activation: Callable,
    rising: bool,
) -> jax.Array:
    """One stage of a convolutional network: convolution, detector, pooling: pool(σ(x * kernel + bias)).

    x: [batch, *space, in], kernel: [*k, in, out], bias: [out]. Returns [batch, *position, out].
    size: the pool, one number an axis. rising: σ is nondecreasing, so max(σ(z)) = σ(max(z)) is found with fewer σ.
    """
    one = (1,) * len(size)
    if backend.native():
        x = activation(library_convolution(x, kernel, windows) + bias)
        return x if size == one else pool(x, size, kind=kind)
    if not blocks.pays(x, windows, size, kernel, bias):
        return to_last(_by_products(to_first(x), kernel, bias, windows, size, kind, activation, rising))
    positions = tuple(w.positions(n) for w, n in zip(windows, x.shape[1:-1], strict=True))
    check_room(positions, tuple(Window(p) for p in size), "a pool")
    first = kind == "max" and rising
    relu = activation is jax.nn.relu
    z = blocks.stage(blocks.to_blocks(x), kernel, bias, windows, size if first else one, relu)
    z = z if relu else activation(z)
    if not first and size != one:
        planes = z.reshape(-1, *z.shape[2:])
        planes = pool(planes, (1,) * (2 - len(size)) + size, kind=kind)
        z = planes.reshape(*z.shape[:2], *planes.shape[1:])
    return blocks.from_blocks(z, x.shape[0], len(windows))


def _by_products(
    x: jax.Array,
    kernel: jax.Array,
    bias: jax.Array,
    windows: Windows,
    size: tuple[int, ...],
    kind: str,
    activation: Callable,
    rising: bool,
) -> jax.Array:
    """`convolve_and_pool` by matrix products, from x [in, *space, batch] to [out, *position, batch]."""
    first = kind == "max" and rising
    bias = bias.reshape(-1, *(1,) * (x.ndim - 1))
    if all(p == 1 for p in size):
        return activation(_correlate(x, kernel, windows) + bias)
    if any(w.stride > 1 or w.dilation > 1 for w in windows) or kernel.shape[-1] > MOST_WIDENED:
        z = _correlate(x, kernel, windows)
        return activation(pool(z, size) + bias) if first else pool(activation(z + bias), size, kind=kind)
    wide = widened(kernel, size)
    wider = tuple(w._replace(size=w.size + p - 1, stride=p) for w, p in zip(windows, size, strict=True))
    z = correlate(x, wide.reshape(-1, wide.shape[-2] * wide.shape[-1]), wider)
    z = z.reshape(wide.shape[-2], wide.shape[-1], *z.shape[1:])
    if first:
        return activation(greatest(z, wide.shape[-2]) + bias)
    z = activation(z + bias)
    return greatest(z, wide.shape[-2]) if kind == "max" else z.mean(0)


LEAST_MINIMAL = 6  # channels, in and out: below, the sums before and after cost more than the products that they save
MOST_WIDENED = 12  # output channels: beyond, the additional products of a widened kernel cost more than they save
