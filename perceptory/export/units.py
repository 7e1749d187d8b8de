"""Conversions of layers that do the same at every place: neurons, normalization, kernels, shapes, sequences."""

from __future__ import annotations

from typing import Any

import numpy as np

from perceptory.export.activations import activate, power
from perceptory.export.convert import convert
from perceptory.export.graph import Builder, Value
from perceptory.layers.norm import EPSILON


def dense(b: Builder, module: Any, x: Value) -> Value:
    if x.scaling is not None and len(x.shape) == 1:
        z = b.scaled_product(x, x.scaling, module.weight, module.bias)
    else:
        z = b.plus(b.product(b.scaled(x), module.weight), module.bias)
    return activate(b, module.activation, z)


def activation(b: Builder, module: Any, x: Value) -> Value:
    return activate(b, module.activation, x)


def prelu(b: Builder, module: Any, x: Value) -> Value:
    x = b.last(x)
    slope = b.stacked(module.slope, len(x.shape))
    below = b.op("Mul", slope, b.op("Min", x.name, b.constant(0.0)))
    return b.put(x, b.op("Add", b.op("Relu", x.name), below), members=x.members or b.several)


def reshape(b: Builder, module: Any, x: Value) -> Value:
    return b.shaped(x, module.shape)


def dropout(b: Builder, module: Any, x: Value) -> Value:
    keep = 1 - float(module.rate.value)
    return x if keep == 1 else b.put(x, b.op("Mul", x.name, b.constant(keep)))


def unchanged(b: Builder, module: Any, x: Value) -> Value:
    """Noise, which is of training alone."""
    return x


def inner(b: Builder, module: Any, x: Value) -> Value:
    """What stands around a module in training alone."""
    return convert(b, module.inner, x)


def sequential(b: Builder, module: Any, x: Value) -> Value:
    for layer in module.layers:
        x = convert(b, layer, x)
    return x


def skip(b: Builder, module: Any, x: Value) -> Value:
    y = b.last(convert(b, module.inner, x))
    return b.put(y, b.op("Add", b.last(x).name, y.name))


def layer_norm(b: Builder, module: Any, x: Value) -> Value:
    x = b.last(x)
    last = b.integers(-1)
    centered = b.op("Sub", x.name, b.op("ReduceMean", x.name, last))
    variance = b.op("ReduceMean", b.op("Mul", centered, centered), last)
    scaled = b.op("Div", centered, b.op("Sqrt", b.op("Add", variance, b.constant(EPSILON))))
    y = b.put(x, b.op("Mul", scaled, b.per_unit(module.scale, x)), members=x.members or b.several)
    return b.plus(y, module.shift)


def batch_norm(b: Builder, module: Any, x: Value) -> Value:
    """(x - mean) f + shift with f = scale / √(variance + ε), computed once."""
    x = b.last(x)
    factor = module.scale / np.sqrt(module.variance + EPSILON)
    centered = b.plus(x, -module.mean)
    y = b.put(x, b.op("Mul", centered.name, b.per_unit(factor, x)), members=x.members or b.several)
    return b.plus(y, module.shift)


def kernels(b: Builder, module: Any, x: Value) -> Value:
    """exp(-‖x - c‖² / s²), the squares of differences, as the expanded form loses the digits that x and c share."""
    x = b.flat(x)
    centers = module.centers.reshape(len(module.centers), module.narrowness.shape[-1], -1)  # [k, center, in]
    rows = b.op("Unsqueeze", x.name, b.integers(-2))  # [k, row, 1, in]
    apart = b.op("Sub", rows, b.stacked(centers, 1))
    squares = b.op("ReduceSum", b.op("Mul", apart, apart), b.integers(-1), keepdims=0)
    exponent = b.op("Mul", squares, b.stacked(-(module.narrowness**2), 1))
    return b.put(x, b.op("Exp", exponent), (centers.shape[1],), x.members or b.several)


def past(b: Builder, module: Any, x: Value) -> Value:
    """The last `taps` steps side by side, zeros before the first one."""
    x = b.last(x)
    axis = 1 + x.members
    taps = module.taps
    if taps == 1:
        return x
    pads = [(0, 0)] * x.axes
    pads[axis] = (taps - 1, 0)
    padded = b.pad(x.name, pads)
    views = [b.slice(padded, axis, k, k - taps + 1 if k < taps - 1 else None) for k in range(taps)]
    return b.put(x, b.concat(views, axis + 1), (x.shape[0], taps * (x.shape[1] or 0)))


def embedding(b: Builder, module: Any, x: Value) -> Value:
    """A category's vector, gathered from a table with zeros behind the last category, which all unknown ones have."""
    x = b.spread(x)
    width, categories = module.weight.shape[-1], module.weight.shape[-2]
    others = [i for i in range(x.shape[-1] or 0) if i not in module.columns]
    parts = [b.op("Gather", x.name, b.integers(*others), axis=-1)] if others else []
    table = np.concatenate([module.weight, np.zeros((len(module.weight), 1, width))], axis=1)
    flat = b.constant(table.reshape(-1, width))  # all networks' tables, one below the other
    first = np.arange(len(table)) * (categories + 1)
    for column in module.columns:
        number = b.op("Round", b.op("Gather", x.name, b.constant(np.int64(column), np.int64), axis=-1))
        inside = b.op(
            "And",
            b.op("GreaterOrEqual", number, b.constant(0.0)),
            b.op("Less", number, b.constant(float(categories))),
        )
        place = b.cast(b.where(inside, number, b.constant(float(categories))), np.int64)
        if b.several:
            place = b.op("Add", place, b.constant(first.reshape(-1, *(1,) * len(x.shape)), np.int64))
        parts.append(b.op("Gather", flat, place, axis=0))
    return b.put(x, b.concat(parts, -1), (*x.shape[:-1], len(others) + width * len(module.columns)))


__all__ = [
    "activation", "batch_norm", "dense", "dropout", "embedding", "inner", "kernels", "layer_norm", "past", "power",
    "prelu", "reshape", "sequential", "skip", "unchanged",
]  # fmt: skip
