"""Transposed convolution over one axis (series) or two (images), channels last: every input value adds its kernel,
times itself, to the places of a larger output.

Of the outputs n = m · stride + p, those of one phase p see the same taps of the kernel. So all phases together are one
convolution with stride 1, of few taps and stride times as many channels, whose outputs are then put side by side: every
product is a useful one, and the kernel in C++ and Toom-Cook's products serve it as they do any other convolution. The
sums that are scattered to the output, as the definition has them, would be as many copies of it as the kernel has taps.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from perceptory import backend
from perceptory.errors import InputError
from perceptory.ops import blocked_convolution as blocks
from perceptory.ops.convolution import ConvolutionStage, compute_stage, path_of
from perceptory.ops.patches import Window, per_axis, windows_of

PADDINGS = ("valid", "same", "causal")


class Spread(NamedTuple):
    """One axis: input o adds tap t at the place o · stride + t · dilation; of all places those from `before` on are the
    output, `length` of them. Places that no tap reaches are 0."""

    size: int
    stride: int
    dilation: int
    before: int
    length: int


Spreads = tuple[Spread, ...]


def spreads_of(
    space: tuple[int, ...], size: Any, stride: Any = 1, padding: Any = "valid", dilation: Any = 1, output: Any = None
) -> Spreads:
    """One `Spread` per axis of `space`, the input's. A number holds for all axes, a tuple has one per axis.

    With n inputs along an axis and span = (size - 1) · dilation + 1 there are (n - 1) · stride + span places.
    padding: "valid": all are the output; "same": the output has n · stride places (as in Keras), what is cut off is as
    much on both sides, of an odd number the greater half behind; "causal": the output has n · stride places and begins
    with the first, so that none sees a later input (one axis only); a number: so many are cut off on both sides (as in
    PyTorch).
    output: places of the output instead, which is cut off or filled with zeros behind (PyTorch's `output_padding` asks
    for so many more); with "same" on both sides.
    """
    axes = len(space)
    windows = windows_of(size, stride, 0, dilation, axes)
    spreads = []
    for n, w, pad, length in zip(space, windows, per_axis(padding, axes), per_axis(output, axes), strict=True):
        if pad == "causal" and axes != 1:
            raise InputError('padding "causal" is for series, one axis, got two. Use "same" or "valid" for images.')
        if isinstance(pad, str) and pad not in PADDINGS:
            raise InputError(f'padding needs "valid", "same", "causal" or a number, got {pad!r}.')
        whole = (n - 1) * w.stride + w.span
        if length is None:
            length = {"valid": whole, "same": n * w.stride, "causal": n * w.stride}.get(pad, whole - 2 * _count(pad))
        before = {"valid": 0, "causal": 0, "same": max(whole - length, 0) // 2}.get(pad, _count(pad))
        if length < 1 or before >= whole:
            raise InputError(
                f"padding {pad!r} cuts all {whole} places of a transposed convolution off. Use less padding."
            )
        spreads.append(Spread(w.size, w.stride, w.dilation, before, length))
    return tuple(spreads)


def _count(pad: Any) -> int:
    return 0 if isinstance(pad, str) else int(pad)


def transposed_convolve(
    x: jax.Array,
    kernel: jax.Array,
    bias: jax.Array | None,
    spreads: Spreads,
    activation: Callable[..., Any] = lambda z: z,
) -> jax.Array:
    """σ(y + bias) with y the transposed convolution: [batch, *place, out].

    x: [batch, *space, in].
    kernel: [*k, in, out]; y(o · stride + t · dilation - before) = Σ_o Σ_t x(o) kernel(t).
    bias: [out], or None for 0.
    """
    if backend.native():
        y = _by_library(x, kernel, spreads)
        return activation(y if bias is None else y + bias)
    kernel, spreads = _without_gaps(kernel, spreads)
    phases = [_phases_of(n, spread) for n, spread in zip(x.shape[1:-1], spreads, strict=True)]
    counts, out = tuple(s.stride for s in spreads), kernel.shape[-1]
    stage = ConvolutionStage(
        x[(slice(None), *(slice(p.first, p.end) for p in phases))],
        _by_phase(kernel, phases, counts),
        None if bias is None else jnp.repeat(bias, prod(counts)),
        tuple(p.window for p in phases),
        (1,) * len(counts),
        activation=activation,
    )
    y = compute_stage(stage)
    cuts = [(p.skipped, p.skipped + s.length) for p, s in zip(phases, spreads, strict=True)]
    if path_of(stage).name == "blocks":  # y comes from blocks, so XLA leaves the way back to them out
        rows = 2 - len(counts)
        z = _side_by_side(blocks.to_blocks(y), out, (1,) * rows + counts, [(0, 1)] * rows + cuts)
        return blocks.from_blocks(z, x.shape[0], len(counts))
    return jnp.swapaxes(_side_by_side(jnp.swapaxes(y, 0, -1)[None], out, counts, cuts)[0], 0, -1)


def taps_a_place(inputs: tuple[int, ...], spreads: Spreads) -> int:
    """How many inputs a place of the output sees at most, zeros that fill a phase up included."""
    return prod(_phases_of(n, s).window.size for n, s in zip(inputs, spreads, strict=True))


class _Phases(NamedTuple):
    """How one axis is computed: inputs [first, end) under `window` give at each of its positions `stride` neighboring
    places, of which the first `skipped` are not wanted. `lead` zeros stand before the kernel's first tap."""

    window: Window
    first: int
    end: int
    lead: int
    skipped: int


def _phases_of(inputs: int, spread: Spread) -> _Phases:
    """Of the ways to cut the places into groups of neighbors, that with the fewest products."""
    size, stride, gap, before, length = spread
    if stride == 1:
        reach = (size - 1) * gap
        return _window(inputs, Window(size, 1, gap), before - reach, length, 0, 0)
    choices = []
    for skipped in range(stride):
        start = before - skipped  # the first place, which is the first phase
        last = (start + stride - 1) // stride  # the last input that a group of places sees, as seen from its number
        first = -((size - 1 - start) // stride)  # the first one
        window, groups = Window(last - first + 1), -(-(length + skipped) // stride)
        lead = last * stride - start
        if first >= inputs or last + groups <= 0:
            continue  # it begins in a gap that no tap reaches
        choices.append(_window(inputs, window, first, groups, lead, skipped))
    return min(choices, key=lambda p: (p.window.size * -(-(length + p.skipped) // stride), p.skipped))


def _window(inputs: int, window: Window, first: int, positions: int, lead: int, skipped: int) -> _Phases:
    """The window over the inputs from `first` on, which may be before them, for so many positions."""
    start, stop = first, first + positions - 1 + window.span
    begin, end = max(start, 0), min(stop, inputs)
    window = window._replace(before=begin - start, after=stop - end)
    return _Phases(window, begin, end, lead, skipped)


def _by_phase(kernel: jax.Array, phases: list[_Phases], counts: tuple[int, ...]) -> jax.Array:
    """kernel [*k, in, out] to [*j, in, out · phase], turned around: tap j of phase p is tap j · stride + p."""
    axes = len(counts)
    pads = [
        (p.lead, p.window.size * s - p.lead - k) for p, s, k in zip(phases, counts, kernel.shape[:axes], strict=True)
    ]
    kernel = jnp.pad(kernel, [*pads, (0, 0), (0, 0)])
    shape = [n for p, s in zip(phases, counts, strict=True) for n in (p.window.size, s)]
    kernel = kernel.reshape(*shape, *kernel.shape[axes:])
    taps, between = range(0, 2 * axes, 2), range(1, 2 * axes, 2)
    kernel = jnp.flip(kernel, tuple(taps)).transpose(*taps, 2 * axes, 2 * axes + 1, *between)
    return kernel.reshape(*kernel.shape[: axes + 1], -1)


def _side_by_side(z: jax.Array, out: int, counts: tuple[int, ...], cuts: list[tuple[int, int]]) -> jax.Array:
    """z [lead, out · phase, *group, lane] to [lead, out, *place, lane], of the places those that are not cut off."""
    axes = len(counts)
    if prod(counts) > 1:
        groups = z.shape[2:-1]
        z = z.reshape(z.shape[0], out, *counts, *groups, z.shape[-1])
        order = [at for i in range(axes) for at in (2 + axes + i, 2 + i)]
        z = z.transpose(0, 1, *order, 2 + 2 * axes)
        z = z.reshape(*z.shape[:2], *(g * c for g, c in zip(groups, counts, strict=True)), z.shape[-1])
    for axis, (start, stop) in enumerate(cuts, 2):
        z = lax.slice_in_dim(z, start, stop, 1, axis)
    return z


def _without_gaps(kernel: jax.Array, spreads: Spreads) -> tuple[jax.Array, Spreads]:
    """The same without dilation along axes of a stride above 1: taps of 0 stand in the gaps."""
    gaps = [(0, 0, s.dilation - 1 if s.stride > 1 else 0) for s in spreads]
    if not any(gap for *_, gap in gaps):
        return kernel, spreads
    kernel = lax.pad(kernel, jnp.zeros((), kernel.dtype), [*gaps, (0, 0, 0), (0, 0, 0)])
    spreads = tuple(
        s._replace(size=k, dilation=1) if s.stride > 1 else s for s, k in zip(spreads, kernel.shape, strict=False)
    )
    return kernel, spreads


def _by_library(x: jax.Array, kernel: jax.Array, spreads: Spreads) -> jax.Array:
    """The library's own: a convolution with zeros between the inputs, for accelerators."""
    space = "HW"[: len(spreads)]
    pads = []
    for n, s in zip(x.shape[1:-1], spreads, strict=True):
        reach = (s.size - 1) * s.dilation
        pads.append((reach - s.before, s.before + s.length - (n - 1) * s.stride - 1))
    return lax.conv_general_dilated(
        x,
        jnp.flip(kernel, tuple(range(len(spreads)))),
        window_strides=[1] * len(spreads),
        padding=pads,
        lhs_dilation=[s.stride for s in spreads],
        rhs_dilation=[s.dilation for s in spreads],
        dimension_numbers=(f"N{space}C", f"{space}IO", f"N{space}C"),
    )
