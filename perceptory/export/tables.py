"""Conversions of the network for tables: scaling by column, embeddings of numbers and categories, learned bends."""

from __future__ import annotations

from math import pi
from typing import Any

import numpy as np

from perceptory.export.activations import activate, times
from perceptory.export.graph import Builder, Value
from perceptory.layers.kernel import LEAST


def tabular(b: Builder, module: Any, x: Value) -> Value:
    """Features, times their scales, then a stack of dense layers."""
    v = features(b, module, b.last(x))
    if module.scale is not None:
        v = _times(b, v, module.scale)
    if module.adapters is not None:
        return b.shaped(_mean_of_predictions(b, module, v), module.outputs)
    return b.shaped(stack(b, module.stack, v), module.outputs)


def _mean_of_predictions(b: Builder, module: Any, v: Value) -> Value:
    """Of several predictions, which are places of one example."""
    adapters = np.asarray(module.adapters)
    members, k, features = adapters.shape
    v = b.spread(v)
    each = b.op("Mul", b.op("Unsqueeze", v.name, b.integers(-2)), b.stacked(adapters, 1))
    y = stack(b, module.stack, b.put(v, each, (k, features)))
    count = (y.shape[-1] or 0) // k
    own = np.kron(np.eye(k), np.full((1, count), 1 / k))  # of the outputs at each place
    summed = b.put(y, b.op("ReduceSum", b.op("Mul", y.name, b.constant(own)), b.integers(-2), keepdims=0), (k * count,))
    return b.product(summed, np.tile(np.eye(count), (members, k, 1)))


def features(b: Builder, module: Any, x: Value) -> Value:
    """[row, feature] numbers and what they are embedded as, flags, vectors of categories."""
    parts: list[Value] = []
    if module.scaling is not None:
        parts.append(column_scaling(b, module.scaling, _some(b, x, module.places[0])))
        if module.embedding is not None:
            parts.append(EMBEDDINGS[type(module.embedding).__name__](b, module.embedding, parts[0]))
    if module.flags is not None:
        parts.append(column_scaling(b, module.flags, _some(b, x, module.places[1])))
    if module.seen is not None:
        groups, seen = module.places[2:], np.asarray(module.seen)
        each = np.split(seen, np.cumsum([len(group) for group in groups])[:-1], axis=-1)
        for group, vectors, there in zip(groups, module.categories, each, strict=True):
            parts.append(b.product(_some(b, x, group), np.asarray(vectors) * there[..., None]))
    parts = [b.spread(part) for part in parts]
    return b.put(parts[0], b.concat([p.name for p in parts], -1), (sum(p.shape[-1] or 0 for p in parts),))


def _some(b: Builder, x: Value, places: tuple[int, ...]) -> Value:
    """Some columns of x."""
    if len(places) == x.shape[-1]:
        return x
    return b.put(x, b.op("Gather", x.name, b.integers(*places), axis=-1), (len(places),))


def _times(b: Builder, x: Value, factors: Any) -> Value:
    if np.all(np.asarray(factors) == 1):
        return x
    return b.put(x, b.op("Mul", x.name, b.per_unit(factors, x)), members=x.members or b.several)


def column_scaling(b: Builder, module: Any, x: Value) -> Value:
    """(x - center) · factor, maybe the place among the quantiles, and a smooth clip."""
    x = _times(b, b.plus(x, -np.asarray(module.center)), module.factor)
    if module.edges is not None:
        wide = np.diff(np.asarray(module.edges), axis=-1) > 0
        share = shares(b, x, np.asarray(module.edges))
        place = b.put(share, b.op("ReduceMean", share.name, b.integers(-1), keepdims=0), x.shape)
        place = _times(b, place, wide.shape[-1] / np.maximum(np.sum(wide, axis=-1), 1))
        x = b.put(place, times(b, b.op("Sub", place.name, b.constant(0.5)), 12**0.5))
    if module.clip is None:
        return x
    ratio = times(b, x.name, 1 / float(module.clip.value))
    size = b.op("Sqrt", b.op("Add", b.op("Mul", ratio, ratio), b.constant(1.0)))
    return b.put(x, b.op("Div", x.name, size))


def shares(b: Builder, x: Value, edges: np.ndarray) -> Value:
    """[row, column, bin] how much of each bin with a width lies below x; edges: [member, column, bins + 1]."""
    low, width = edges[..., :-1], np.diff(edges, axis=-1)
    own = b.op("Unsqueeze", x.name, b.integers(-1))
    slope = np.where(width > 0, 1 / np.where(width > 0, width, 1), 0)
    inside = b.op("Mul", b.op("Sub", own, b.stacked(low, 1)), b.stacked(slope, 1))
    share = b.op("Clip", inside, b.constant(0.0), b.constant(1.0))
    return b.put(x, share, (x.shape[-1], width.shape[-1]), x.members or b.several)


def periodic(b: Builder, module: Any, x: Value) -> Value:
    """Linear in cos(2π f x + φ), the cosine as a sine where older runtimes have none."""
    own = b.op("Unsqueeze", x.name, b.integers(-1))
    turns = b.op("Mul", own, b.stacked(2 * pi * np.asarray(module.frequency), 1))
    double = b.dtype == np.float64
    phase = np.asarray(module.phase) + (pi / 2 if double else 0.0)
    waves = b.op("Sin" if double else "Cos", b.op("Add", turns, b.stacked(phase, 1)))
    frequencies = module.frequency.shape[-1]
    v = _embedded(b, b.put(x, waves, (x.shape[-1], frequencies), x.members or b.several), module.weight)
    return b.plus(v, module.bias.reshape(len(module.bias), -1))


def piecewise(b: Builder, module: Any, x: Value) -> Value:
    share = shares(b, x, np.asarray(module.edges))
    return _embedded(b, b.put(share, b.op("Sub", share.name, b.constant(0.5))), module.weight)


EMBEDDINGS = {"Periodic": periodic, "Piecewise": piecewise}


def _embedded(b: Builder, values: Value, weight: Any) -> Value:
    """[row, column · width] of values [row, column, n] and weight [member, column, n, width]: a product a column."""
    columns, each, out = weight.shape[-3:]
    if b.dtype == np.float64:  # one product of all, as onnxruntime 1.20 cannot turn doubles around before it
        whole = np.zeros((len(weight), columns, each, columns, out))
        whole[:, np.arange(columns), :, np.arange(columns)] = np.moveaxis(np.asarray(weight, float), 1, 0)
        return b.product(b.flat(values), whole.reshape(len(weight), columns * each, -1))
    order = (0, 2, 1, 3) if values.members else (1, 0, 2)
    product = b.op("MatMul", b.transpose(values.name, *order), b.stacked(weight))
    return b.flat(b.put(values, b.transpose(product, *order), (columns, out)))


def stack(b: Builder, module: Any, x: Value) -> Value:
    """Dense layers whose hidden units bend by what they have learned: z + a (σ(z) - z)."""
    for place, layer in enumerate(module.layers):
        z = b.plus(b.product(x, layer.weight), layer.bias)
        if place + 1 == len(module.layers):
            return z
        x = activate(b, module.activation, z)
        if layer.strength is not None:
            bend = _times(b, b.put(x, b.op("Sub", x.name, z.name)), layer.strength)
            x = b.put(x, b.op("Add", z.name, bend.name))
    return x


def kernel_machine(b: Builder, module: Any, x: Value) -> Value:
    """Kernel values at the centers times their strengths, and what is linear beside them."""
    x = b.flat(x)
    numbers, flags = module.places
    parts = [] if module.scaling is None else [column_scaling(b, module.scaling, _some(b, x, numbers))]
    parts = [b.spread(part) for part in (*parts, *([_some(b, x, flags)] if flags else []))]
    v = b.put(parts[0], b.concat([p.name for p in parts], -1), (sum(p.shape[-1] or 0 for p in parts),))
    used = np.any(np.asarray(module.strengths) != 0, axis=(0, 2))
    narrowness = np.asarray(module.narrowness, float)
    centers = np.asarray(module.centers, float)[:, used]
    near = KERNELS[module.kernel](b, _times(b, v, narrowness), centers, narrowness, len(numbers))
    y = b.product(near, np.asarray(module.strengths)[:, used])
    linear = b.plus(b.product(v, module.weight), module.bias)
    return b.shaped(b.put(y, b.op("Add", y.name, linear.name)), module.outputs)


def thresholds(b: Builder, module: Any, x: Value) -> Value:
    """Which thresholds each number lies above, times their heights, and what is linear beside them."""
    x = b.flat(x)
    numbers, flags = module.places
    edges, heights = (np.asarray(a, float) for a in (module.edges, module.heights))
    terms: list[Value] = []
    if numbers:
        own = b.op("Unsqueeze", b.spread(_some(b, x, numbers)).name, b.integers(-1))
        above = b.cast(b.op("Greater", own, b.stacked(edges, 1)), b.dtype)
        units = b.flat(b.put(b.spread(x), above, edges.shape[1:]))
        terms.append(b.product(units, heights.reshape(len(heights), -1, heights.shape[-1])))
    if flags:
        terms.append(b.product(_some(b, x, flags), module.weight))
    y = terms[0] if len(terms) == 1 else b.put(terms[0], b.op("Add", terms[0].name, terms[1].name))
    return b.shaped(b.plus(y, module.bias), module.outputs)


def _laplacian(b: Builder, x: Value, centers: np.ndarray, narrowness: np.ndarray, numbers: int) -> Value:
    """exp(-Σ|x - c|), a column of numbers at a time, so that no row meets all centers in all columns at once; of
    columns of 0 and 1 the distance is linear in x."""
    flags = centers[..., numbers:] * narrowness[:, None, numbers:]
    terms = []
    for j in range(numbers):
        apart = b.op("Sub", b.slice(x.name, -1, j, j + 1), b.stacked(centers[..., j] * narrowness[:, j, None], 1))
        terms.append(b.op("Abs", apart))
    if flags.shape[-1]:
        own = b.put(x, b.slice(x.name, -1, numbers, None), (flags.shape[-1],))
        # |x - c| / s of x, c in {0, 1} is x/s + c/s - 2 (x/s) c
        terms.append(b.plus(b.product(own, np.swapaxes(1 - 2 * centers[..., numbers:], 1, 2)), flags.sum(axis=-1)).name)
    total = terms[0]
    for term in terms[1:]:
        total = b.op("Add", total, term)
    return b.put(x, b.op("Exp", b.op("Neg", total)), (centers.shape[1],), x.members or b.several)


def _by_distance(root: bool) -> Any:
    def kernel(b: Builder, x: Value, centers: np.ndarray, narrowness: np.ndarray, numbers: int) -> Value:
        centers = centers * narrowness[:, None]
        own = b.op("ReduceSum", b.op("Mul", x.name, x.name), b.integers(-1), keepdims=1)
        cross = b.plus(b.product(x, -2 * np.swapaxes(centers, 1, 2)), np.sum(centers**2, axis=-1))
        squares = b.op("Max", b.op("Add", cross.name, own), b.constant(LEAST))
        apart = b.op("Sqrt", squares) if root else b.op("Mul", squares, b.constant(0.5))
        return b.put(cross, b.op("Exp", b.op("Neg", apart)))

    return kernel


KERNELS = {"laplacian": _laplacian, "exponential": _by_distance(True), "gaussian": _by_distance(False)}
