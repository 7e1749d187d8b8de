"""Prediction intervals as a graph: the scale of a row's residual times what scaled residuals came to."""

from __future__ import annotations

from typing import Any

import numpy as np

from perceptory.export.graph import Builder, Value

CLIP = 4.0  # of scaled inputs and predictions, as `models.residual_scale` has it


def scales(b: Builder, inputs: Value, common: np.ndarray, mean: Value, known: Any) -> str:
    """[row, ..., target] how large residuals are, as `models.intervals` has it.

    inputs: less `common`, NaN where missing. mean: the model's prediction. known: as of `check_coverage`.
    """
    x = None if known.inputs is None else _scaled(b, inputs, common, *known.inputs)
    width = 0 if known.inputs is None else len(known.inputs[0])
    each = []
    for k, one in enumerate(known.targets):
        m = b.slice(mean.name, -1, k, k + 1)
        less = b.op("Sub", m, b.constant(one.center, np.float64))
        scaled = _clipped(b, b.op("Mul", less, b.constant(1 / one.spread, np.float64)), -CLIP, CLIP)
        each.append(_scale(b, one.scale, x, scaled, width))
    return b.op("Mul", b.concat(each, -1), b.constant(known.gain, np.float64))


def interval(b: Builder, mean: Value, scale: str, ends: np.ndarray, least: np.ndarray) -> Value:
    """[row, ..., target, 2] mean + scale · ends, ends: [target, 2], not below `least` [target]."""
    lower_upper = [b.op("Add", mean.name, b.op("Mul", scale, b.constant(ends[:, side], np.float64))) for side in (0, 1)]
    if np.isfinite(least).any():
        floor = b.constant(np.maximum(least, np.finfo(np.float64).min), np.float64)
        lower_upper = [b.op("Max", end, floor) for end in lower_upper]
    apart = [b.op("Unsqueeze", end, b.integers(-1)) for end in lower_upper]
    return Value(b.concat(apart, -1), (*mean.shape, 2))


def _scaled(b: Builder, inputs: Value, common: np.ndarray, center: np.ndarray, factor: np.ndarray) -> str:
    """[row, in] inputs as scales look at them, 0 where missing."""
    x = inputs.name if b.dtype == np.float64 else b.cast(inputs.name, np.float64)
    moved = b.op("Add", x, b.constant(common - center, np.float64))
    there = b.op("Where", b.op("IsNaN", moved), b.constant(0.0, np.float64), moved)
    return _clipped(b, b.op("Mul", there, b.constant(factor, np.float64)), -CLIP, CLIP)


def _scale(b: Builder, scale: Any, x: str | None, m: str, width: int) -> str:
    """[row, ..., 1] s of one target; m: [row, ..., 1] its scaled prediction."""
    log = b.op("Mul", m, b.constant(0.0, np.float64))  # the shape of the rows
    parts = scale.parts(width)
    if "prediction" in parts:
        columns = [m, b.op("Relu", m), b.op("Mul", m, m), b.op("Abs", m)]
        log = b.op("Add", log, _product(b, b.concat(columns, -1), parts["prediction"]))
    if "inputs" in parts:
        log = b.op("Add", log, _product(b, str(x), parts["inputs"]))
    if "ramps" in parts:
        z = b.concat([str(x), m], -1)
        # The cosine as a sine, since older runtimes have no cosine in double precision.
        for name, kind, moved in (("ramp", "Relu", 0.0), ("wave", "Sin", np.pi / 2)):
            units = b.op("MatMul", z, b.constant(parts[f"{name} weights"], np.float64))
            units = b.op(kind, b.op("Add", units, b.constant(parts[f"{name} offsets"] + moved, np.float64)))
            log = b.op("Add", log, _product(b, units, parts[f"{name}s"]))
    log = _clipped(b, b.op("Add", log, b.constant(scale.intercept, np.float64)), scale.low, scale.high)
    return b.op("Exp", b.op("Add", log, b.constant(scale.offset, np.float64)))


def _product(b: Builder, x: str, weights: np.ndarray) -> str:
    return b.op("MatMul", x, b.constant(weights[:, None], np.float64))


def _clipped(b: Builder, x: str, low: float, high: float) -> str:
    return b.op("Clip", x, b.constant(low, np.float64), b.constant(high, np.float64))
