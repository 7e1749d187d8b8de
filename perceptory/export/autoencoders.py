"""Graphs of an autoencoder: raw columns to the code, the code back to columns, and both one after the other.

One network makes codes that it alone understands: that which validated best, as `Model.encode` has it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from perceptory.data.tables.encoder import Encoder
from perceptory.data.tables.reconstruction import NOW, OTHER_NAME, ColumnTargets, column_targets
from perceptory.export.coder import decode, encode
from perceptory.export.convert import stacked_module
from perceptory.export.graph import Builder, Value
from perceptory.export.links import inverse_link
from perceptory.export.pipeline import (
    CODE,
    Whole,
    alone,
    check_network,
    common_center,
    dtype_of,
    in_units,
    named_shape,
    raw_inputs,
    take_lengths,
    unscaled,
)

MILLISECONDS = 86_400_000.0  # of a day
GIVEN_BACK = "{} given back"  # what is given back of a column whose name is an input's


def autoencoder(model: Any, member: int, part: str | None = None, lengths: bool = False) -> Whole:
    """The graph of one network. part: "encode", "decode", or None for both: code and what is given back of each column.
    lengths: whether it takes the real steps of each series."""
    check_network(model.network)
    one = alone(model, member)
    whole = Whole(Builder(1, dtype_of(model)))
    b = whole.builder
    module = stacked_module(one.network, one.encoder.shape, one.outputs, one.weights, one.precision)
    if part == "decode":
        width = one.network.code
        whole.take(CODE, np.float64, ["rows", width])
        code = Value(CODE if b.dtype == np.float64 else b.cast(CODE, b.dtype), (width,))
    else:
        x, may_miss = raw_inputs(whole, one)
        if lengths:
            take_lengths(whole)
        code = encode(b, module, unscaled(one, x, may_miss, common_center(one)))
        whole.give(CODE, code.name if b.dtype == np.float64 else b.cast(code.name, np.float64), np.float64,
                   named_shape(code.shape))  # fmt: skip
    if part != "encode":
        y = in_units(b, one, inverse_link(b, one.cost, decode(b, module, code)))
        give_examples(whole, one.encoder, y, "{}" if part == "decode" else GIVEN_BACK)
    return whole


def give_examples(whole: Whole, encoder: Any, y: Value, name: str) -> None:
    """The outputs of what is given back: a column each of a table, else one array."""
    b = whole.builder
    if not isinstance(encoder, Encoder):
        if getattr(encoder, "kind", "") == "image":
            y = b.put(y, b.op("Clip", y.name, *(b.constant(v, np.float64) for v in (encoder.low, encoder.high))))
        if getattr(encoder, "kind", "") != "series":
            y = b.shaped(y, encoder.shape)
        whole.give(name.format("x"), y.name, np.float64, named_shape(y.shape))
        return
    place = 0
    for column in column_targets(encoder):
        piece = b.slice(y.name, 1, place, place + column.width)
        place += column.width
        _give_column(whole, column, piece, name.format(column.name))


def _give_column(whole: Whole, column: ColumnTargets, piece: str, name: str) -> None:
    """One column of predictions [row, width]: numbers, or the most probable category."""
    b, plan = whole.builder, column.plan
    if column.kind == "number":
        number = b.op("Squeeze", b.slice(piece, 1, 0, 1), b.integers(1))
        if plan.kind != "date":
            whole.give(name, number, np.float64, ["rows"])
            return
        days = b.op("Add", number, b.constant(plan.origin, np.float64))
        days = b.op("Clip", days, b.constant(-NOW, np.float64), b.constant(NOW, np.float64))
        milliseconds = b.cast(b.op("Round", b.op("Mul", days, b.constant(MILLISECONDS, np.float64))), np.int64)
        whole.give(name, b.op("Mul", milliseconds, b.constant(1000, np.int64)), np.int64, ["rows"])
        return
    best = b.op("ArgMax", piece, axis=1, keepdims=0)
    if plan.kind == "boolean":
        whole.give(name, b.op("Equal", best, b.constant(1, np.int64)), bool, ["rows"])
        return
    names = [*plan.categories, *([""] if not plan.value else [OTHER_NAME] if plan.rare else [])]
    whole.give(name, b.op("Gather", b.constant(np.array(names, object)), best), str, ["rows"])
