"""Conversions of layers on images and series: convolution, pooling, more places.

In single precision they are the runtime's own nodes, with channels first and all networks side by side as groups. In
double precision, for which onnxruntime has no convolution, a window is the concatenation of what each of its taps sees,
and the convolution a matrix product: channels last, as everything else is.
"""

from __future__ import annotations

from itertools import product
from math import prod
from typing import Any

import numpy as np

from perceptory.export.activations import activate
from perceptory.export.convert import convert
from perceptory.export.graph import Builder, Shape, Value
from perceptory.layers.convolution import Convolution
from perceptory.ops.patches import Window, Windows
from perceptory.ops.pooling import pools_of


def positions(shape: Shape, windows: Windows) -> Shape:
    """How many places are left along each axis."""
    return tuple(None if n is None else w.positions(n) for n, w in zip(shape, windows, strict=False))


# --- convolution --------------------------------------------------------------------------------------------------


def convolution(b: Builder, module: Convolution, x: Value) -> Value:
    """One stage; the greatest of a pool is taken before an activation that keeps order, as the module does."""
    z = correlate(b, x, np.asarray(module.weight, float), np.asarray(module.bias, float), module.windows)
    if all(size == 1 for size in module.size):
        return activate(b, module.activation, z)
    windows = tuple(Window(size, size) for size in module.size)
    if module.pooling == "max" and module.monotone:
        return activate(b, module.activation, pool(b, z, windows, "max"))
    return pool(b, activate(b, module.activation, z), windows, module.pooling)


def correlate(b: Builder, x: Value, weight: np.ndarray, bias: np.ndarray, windows: Windows) -> Value:
    """x * weight [member, *k, in / groups, out] + bias [member, out]."""
    run = _correlate_by_node if b.dtype == np.float32 else _correlate_by_taps
    return run(b, x, weight, bias, windows)


def _correlate_by_node(b: Builder, x: Value, weight: np.ndarray, bias: np.ndarray, windows: Windows) -> Value:
    axes, seen, out = len(windows), weight.shape[-2], weight.shape[-1]
    groups = (x.shape[-1] or 0) // seen
    if not x.members and groups > 1:
        x = b.spread(x)
    x = b.to_first(x)
    kernel = weight.transpose(0, axes + 2, axes + 1, *range(1, axes + 1)).reshape(-1, seen, *weight.shape[1 : axes + 1])
    name = b.op(
        "Conv",
        x.name,
        b.constant(kernel),
        b.constant(bias.reshape(-1)),
        kernel_shape=[w.size for w in windows],
        strides=[w.stride for w in windows],
        dilations=[w.dilation for w in windows],
        pads=[w.before for w in windows] + [w.after for w in windows],
        group=groups * (b.members if x.members else 1),
    )
    return b.put(x, name, (*positions(x.shape[:-1], windows), out), b.several)


def _correlate_by_taps(b: Builder, x: Value, weight: np.ndarray, bias: np.ndarray, windows: Windows) -> Value:
    x = b.last(x)
    axes, seen, out = len(windows), weight.shape[-2], weight.shape[-1]
    channels = x.shape[-1] or 0
    dense = np.zeros((len(weight), *weight.shape[1 : axes + 1], channels, out))
    each = out * seen // channels  # output channels of a group
    for group in range(channels // seen):
        ins, outs = slice(group * seen, (group + 1) * seen), slice(group * each, (group + 1) * each)
        dense[..., ins, outs] = weight[..., outs]
    patches = b.put(x, b.concat(taps(b, x, windows), x.axes - 1), (*positions(x.shape[:-1], windows), -1))
    patches = b.put(patches, patches.name, (*patches.shape[:-1], prod(w.size for w in windows) * channels))
    return b.plus(b.product(patches, dense.reshape(len(weight), -1, out)), bias)


def taps(b: Builder, x: Value, windows: Windows, around: float = 0.0) -> list[str]:
    """For each place in the window, row by row, the values that it sees at all positions; channels last."""
    lead = x.axes - len(windows) - 1
    pads = [(0, 0)] * lead + [(w.before, w.after) for w in windows] + [(0, 0)]
    padded = b.pad(x.name, pads, around)
    views = []
    for place in product(*(range(w.size) for w in windows)):
        view = padded
        for axis, (tap, w, n) in enumerate(zip(place, windows, x.shape, strict=False)):
            start = tap * w.dilation
            if n is None:  # stride 1: as many positions as there are, to the end of the padded series
                behind = w.span - 1 - start
                view = b.slice(view, lead + axis, start, -behind if behind else None, w.stride)
            else:
                view = b.slice(view, lead + axis, start, start + (w.positions(n) - 1) * w.stride + 1, w.stride)
        views.append(view)
    return views


# --- pooling ------------------------------------------------------------------------------------------------------


def pool(b: Builder, x: Value, windows: Windows, kind: str, zeros: bool = False) -> Value:
    """The greatest value or the average of windows; a remainder that fills none is left out."""
    space = positions(x.shape[:-1], windows)
    if b.dtype != np.float32:
        return _pool_by_taps(b, b.last(x), windows, kind, zeros)
    x = b.to_first(x)
    sizes: dict[str, Any] = {
        "kernel_shape": [w.size for w in windows],
        "strides": [w.stride for w in windows],
        "pads": [w.before for w in windows] + [w.after for w in windows],
    }
    if kind == "max":
        return b.put(x, b.op("MaxPool", x.name, **sizes), (*space, x.shape[-1]))
    return b.put(x, b.op("AveragePool", x.name, count_include_pad=int(zeros), **sizes), (*space, x.shape[-1]))


def _pool_by_taps(b: Builder, x: Value, windows: Windows, kind: str, zeros: bool) -> Value:
    shape = (*positions(x.shape[:-1], windows), x.shape[-1])
    if kind == "max":
        return b.put(x, b.op("Max", *taps(b, x, windows, -np.inf)), shape)
    total = b.op("Sum", *taps(b, x, windows))
    counts = np.full((), float(prod(w.size for w in windows)))
    if not zeros and any(w.before or w.after for w in windows):
        counts = np.ones((1,) * len(windows))
        for axis, (w, n) in enumerate(zip(windows, x.shape, strict=False)):
            places = np.arange(w.positions(n))[:, None] * w.stride - w.before + np.arange(w.size)
            real = np.sum((places >= 0) & (places < (n or 0)), axis=1)
            counts = counts * real.reshape([-1 if a == axis else 1 for a in range(len(windows))])
        counts = counts[..., None]
    return b.put(x, b.op("Div", total, b.constant(counts)), shape)


def pool_layer(b: Builder, module: Any, x: Value) -> Value:
    windows = pools_of(tuple(n or 0 for n in x.shape[:-1]), module.size, module.stride, module.padding)
    return pool(b, x, windows, module.pooling, module.zeros)


def global_pool(b: Builder, x: Value, kind: str) -> Value:
    """The greatest or the average over all places, of series over their real steps."""
    x = b.last(x)
    lead = 1 + x.members
    axes = b.integers(*range(lead, lead + len(x.shape) - 1))
    reduced = (x.shape[-1],)
    if b.lengths is None or len(x.shape) != 2:
        node = "ReduceMax" if kind == "max" else "ReduceMean"
        return b.put(x, b.op(node, x.name, axes, keepdims=0), reduced)
    real = real_steps(b, x)
    if kind == "max":
        greatest = b.op("ReduceMax", b.where(real, x.name, b.constant(-np.inf)), axes, keepdims=0)
        any_real = b.op("Unsqueeze", b.op("Greater", b.lengths, b.constant(0, np.int64)), b.integers(1))
        return b.put(x, b.where(any_real, greatest, b.constant(0.0)), reduced)
    total = b.op("ReduceSum", b.where(real, x.name, b.constant(0.0)), axes, keepdims=0)
    steps = b.op("Min", b.op("Max", b.lengths, b.integers(1)), _steps_of(b, x))
    counts = b.op("Unsqueeze", b.cast(steps, b.dtype), b.integers(1))
    return b.put(x, b.op("Div", total, counts), reduced)


def pooled(b: Builder, module: Any, x: Value) -> Value:
    return global_pool(b, x, module.pooling)


# --- padding of series --------------------------------------------------------------------------------------------


def _steps_of(b: Builder, x: Value) -> str:
    """[1] the number of steps of a series."""
    axis = x.axes - (1 if x.first else 2)
    return b.op("Shape", x.name, start=axis, end=axis + 1)


def real_steps(b: Builder, x: Value) -> str:
    """[row, time, 1] whether a step is before its row's length; [row, 1, time] where channels are first."""
    steps = b.op("Squeeze", _steps_of(b, x), b.integers(0))
    places = b.op("Range", b.constant(0, np.int64), steps, b.constant(1, np.int64))
    real = b.op("Less", places, b.op("Unsqueeze", b.lengths or "", b.integers(1)))
    return b.op("Unsqueeze", real, b.integers(1 if x.first else 2))


def without_padding(b: Builder, x: Value) -> Value:
    """x with zeros in the padding."""
    if b.lengths is None:
        return x
    return b.put(x, b.where(real_steps(b, x), x.name, b.constant(0.0)))


def zeros_in_padding(b: Builder, module: Any, x: Value) -> Value:
    return without_padding(b, x)


def convolutional_network(b: Builder, module: Any, x: Value) -> Value:
    """Stages, a head, dense layers; of series the padding is 0 in front of each stage, and shrinks with the series."""
    given = b.lengths
    for stage in module.stages:
        x = convert(b, stage, without_padding(b, x))
        if b.lengths is not None and isinstance(stage, Convolution):
            b.lengths = _shorter(b, stage)
    if module.head == "global":
        x = global_pool(b, x, module.pooling)
    else:
        x = without_padding(b, x)
        x = x if module.head is None else b.flat(x)
    y = convert(b, module.dense, x)
    y = y if module.head is not None else without_padding(b, y)
    b.lengths = given
    return y


def _shorter(b: Builder, stage: Convolution) -> str:
    """How many steps of a stage's output are real."""
    window, size = stage.windows[0], stage.size[0]
    more = window.before + window.after - window.span
    name = b.lengths or ""
    name = b.op("Max", b.op("Add", name, b.constant(more + window.stride, np.int64)), b.constant(0, np.int64))
    if window.stride > 1:
        name = b.op("Div", name, b.constant(window.stride, np.int64))
    return b.op("Div", name, b.constant(size, np.int64)) if size > 1 else name


# --- more places --------------------------------------------------------------------------------------------------


def nearest(b: Builder, module: Any, x: Value) -> Value:
    x = b.last(x)
    name, lead = x.name, 1 + x.members
    for axis, (places, n) in enumerate(zip(module.places, x.shape, strict=False)):
        if places != n:
            name = b.op(
                "Gather", name, b.integers(*(np.arange(places) * (n or 1) // places).tolist()), axis=lead + axis
            )
    return b.put(x, name, (*module.places, x.shape[-1]))


def transposed_convolution(b: Builder, module: Any, x: Value) -> Value:
    run = _transposed_by_node if b.dtype == np.float32 else _transposed_by_taps
    y = run(b, b.spread(x), np.asarray(module.weight, float), module.spreads)
    bias = np.asarray(module.bias, float)
    if np.any(bias):
        y = b.put(y, b.op("Add", y.name, b.per_unit(bias, y)))
    return activate(b, module.activation, y)


def _transposed_by_node(b: Builder, x: Value, weight: np.ndarray, spreads: Any) -> Value:
    """All places, of which those that are wanted are cut out."""
    axes, out = len(spreads), weight.shape[-1]
    x = b.to_first(x)
    kernel = weight.transpose(0, axes + 1, axes + 2, *range(1, axes + 1)).reshape(-1, out, *weight.shape[1 : axes + 1])
    name = b.op(
        "ConvTranspose",
        x.name,
        b.constant(kernel),
        kernel_shape=[s.size for s in spreads],
        strides=[s.stride for s in spreads],
        dilations=[s.dilation for s in spreads],
        group=b.members,
    )
    pads = [(0, 0), (0, 0)]
    for axis, (s, n) in enumerate(zip(spreads, x.shape, strict=False), 2):
        whole = ((n or 0) - 1) * s.stride + (s.size - 1) * s.dilation + 1
        if s.before or s.before + s.length < whole:
            name = b.slice(name, axis, s.before, min(s.before + s.length, whole))
        pads.append((0, max(0, s.before + s.length - whole)))
    return b.put(x, b.pad(name, pads), (*(s.length for s in spreads), out))


def _transposed_by_taps(b: Builder, x: Value, weight: np.ndarray, spreads: Any) -> Value:
    """A convolution of the inputs with zeros between them, the kernel turned around."""
    axes, out = len(spreads), weight.shape[-1]
    x = b.last(x)
    name, lead = x.name, 1 + x.members
    places: list[int] = []
    windows: list[Window] = []
    for axis, (s, n) in enumerate(zip(spreads, x.shape, strict=False)):
        count, reach = n or 0, (s.size - 1) * s.dilation
        at = lead + axis
        if s.stride > 1:
            name = b.op("Unsqueeze", name, b.integers(at + 1))
            name = b.pad(name, [(0, 0)] * (at + 1) + [(0, s.stride - 1)] + [(0, 0)] * (axes - axis))
            rest = [*places, count * s.stride, *(m or 0 for m in x.shape[axis + 1 :])]
            name = b.reshape(name, *(0,) * lead, *rest)
        before, after = reach - s.before, s.before + s.length - ((count - 1) * s.stride + 1)
        name = b.slice(name, at, max(0, -before), (count - 1) * s.stride + 1 + min(0, after))
        places.append((count - 1) * s.stride + 1 + min(0, after) - max(0, -before))
        windows.append(Window(s.size, 1, s.dilation, max(0, before), max(0, after)))
    turned = np.flip(weight, tuple(range(1, axes + 1)))
    spread = b.put(x, name, (*places, x.shape[-1]))
    return _correlate_by_taps(b, spread, turned, np.zeros((len(weight), out)), tuple(windows))
