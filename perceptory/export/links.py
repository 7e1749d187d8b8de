"""From linear outputs to predictions: the inverse link of each cost, found by the cost's class in the catalog."""

from __future__ import annotations

from itertools import pairwise
from math import expm1, log
from statistics import NormalDist
from typing import Any

import numpy as np

from perceptory.catalog import LINK_CONVERSIONS
from perceptory.errors import InputError
from perceptory.export.activations import clipped, softplus
from perceptory.export.graph import Builder, Value
from perceptory.objectives.base import Cost
from perceptory.objectives.distribution import HALF_BELOW
from perceptory.objectives.regression import MOST_LOG


def inverse_link(b: Builder, cost: Any, z: Value) -> Value:
    """Predictions on the trained scale, or probabilities. `InputError` for a cost whose link has no conversion."""
    z = b.last(z)
    kind = type(cost).__name__
    if type(cost).inverse_link is Cost.inverse_link:
        return z
    if kind not in LINK_CONVERSIONS:
        raise InputError(
            f"the cost {kind} has an inverse link that has no conversion to ONNX. Train with CustomCost(...,"
            ' prediction="identity"), "exp", "sigmoid" or "softmax", or enter one:'
            f" perceptory.catalog.LINK_CONVERSIONS.add({kind!r}, function of (builder, cost, value))."
        )
    converted: Value = LINK_CONVERSIONS[kind](b, cost, z)
    return converted


def two_classes(b: Builder, cost: Any, z: Value) -> Value:
    """[..., 2] probabilities of [..., 1]: 1 - p and p."""
    p = b.op("Sigmoid", z.name)
    return b.put(z, b.concat([b.op("Sub", b.constant(1.0), p), p], -1), (*z.shape[:-1], 2))


def classes(b: Builder, cost: Any, z: Value) -> Value:
    return b.put(z, b.op("Softmax", z.name, axis=-1))


def labels(b: Builder, cost: Any, z: Value) -> Value:
    return b.put(z, b.op("Sigmoid", z.name))


def exponential(b: Builder, cost: Any, z: Value) -> Value:
    return b.put(z, b.op("Exp", clipped(b, z.name, None, MOST_LOG)))


def mean_and_deviation(b: Builder, cost: Any, z: Value) -> Value:
    targets = (z.shape[-1] or 0) // 2
    axis = z.axes - 1
    raw = b.op("Add", b.slice(z.name, axis, targets, 2 * targets), b.constant(HALF_BELOW))
    deviation = b.op("Add", softplus(b, raw), b.constant(float(cost.floor)))
    return b.put(z, b.concat([b.slice(z.name, axis, 0, targets), deviation], axis))


def transformed(b: Builder, cost: Any, z: Value) -> Value:
    """Of each target a line through places and scores, a sum over its pieces."""
    if not cost.knots:
        return z
    axis, found = z.axes - 1, []
    for place, (knots, scores) in enumerate(zip(map(np.array, cost.knots), map(np.array, cost.scores), strict=True)):
        own = b.op("Sub", b.slice(z.name, axis, place, place + 1), b.constant(scores[:-1]))
        inside = b.op("Min", b.op("Max", own, b.constant(0.0)), b.constant(np.diff(scores)))
        parts = b.op("Mul", inside, b.constant(np.diff(knots) / np.diff(scores)))
        total = b.op("ReduceSum", parts, b.integers(axis), keepdims=1)
        found.append(b.op("Add", total, b.constant(knots[0])))
    line = b.concat(found, axis)
    return b.put(z, b.op("Exp", line) if cost.by == "log" else line)


def rising_quantiles(b: Builder, cost: Any, z: Value) -> Value:
    """The middle one is an output; from there outwards steps of softplus are added one after the other."""
    heads, middle, axis = cost.heads, cost.middle, z.axes - 1
    targets = (z.shape[-1] or 0) // heads
    each = [b.slice(z.name, axis, i * targets, (i + 1) * targets) for i in range(heads)]
    normal = [NormalDist().inv_cdf(level) for level in cost.levels]
    gaps = [log(expm1(high - low)) for low, high in pairwise(normal)]
    quantiles = dict[int, str]({middle: each[middle]})
    for i in range(middle - 1, -1, -1):
        step = softplus(b, b.op("Add", each[i], b.constant(gaps[i])))
        quantiles[i] = b.op("Sub", quantiles[i + 1], step)
    for i in range(middle + 1, heads):
        step = softplus(b, b.op("Add", each[i], b.constant(gaps[i - 1])))
        quantiles[i] = b.op("Add", quantiles[i - 1], step)
    return b.put(z, b.concat([quantiles[i] for i in range(heads)], axis))


def own(b: Builder, cost: Any, z: Value) -> Value:
    """Of a cost of the user's own, whose link is one of four."""
    of = {"exp": lambda: b.put(z, b.op("Exp", z.name)), "softmax": lambda: classes(b, cost, z)}
    of["sigmoid"] = lambda: two_classes(b, cost, z)
    if cost.prediction in of:
        return of[cost.prediction]()
    first = (z.shape[-1] or 0) // cost.heads
    return b.put(z, b.slice(z.name, z.axes - 1, 0, first), (*z.shape[:-1], first))


def head(b: Builder, cost: Any, z: Value) -> Value:
    """Of an auxiliary objective, whose outputs stand among others."""
    part = b.slice(z.name, z.axes - 1, cost.first, cost.first + cost.count)
    return inverse_link(b, cost.inner, b.put(z, part, (*z.shape[:-1], cost.count)))


def given_back(b: Builder, cost: Any, z: Value) -> Value:
    """Of an autoencoder: numbers as they are, probabilities of each class column."""
    if "class" not in cost.kinds:
        return z
    parts, axis = [], z.axes - 1
    for part in cost._parts(z.shape[-1]):
        piece = b.slice(z.name, axis, part.places.start, part.places.stop)
        parts.append(b.op("Softmax", piece, axis=-1) if part.kind == "class" else piece)
    return b.put(z, b.concat(parts, axis))


# --- what follows a link, found by asking the cost ----------------------------------------------------------------


def units(cost: Any, center: np.ndarray, scale: np.ndarray, outputs: int) -> tuple[np.ndarray, np.ndarray]:
    """(factor, offset) [member, prediction]: in the targets' own units a prediction is factor · prediction + offset.

    center, scale: [member, target]. The cost is asked, and held to it: `InputError` where its units are no such line.
    """
    zeros = np.zeros((len(center), outputs))
    factor = np.asarray(cost.unscale(zeros + 1, np.zeros_like(center), scale), float)
    offset = np.asarray(cost.unscale(zeros, center, scale), float)
    probe = np.random.default_rng(0).normal(size=zeros.shape)
    if not np.allclose(cost.unscale(probe, center, scale), factor * probe + offset, rtol=1e-9, atol=1e-12):
        raise InputError(
            f"the cost {cost.label} turns predictions into the target's units by a function of its own, which has no"
            " conversion to ONNX. Train with one whose targets are only scaled."
        )
    return factor, offset


def point_places(cost: Any, predictions: int) -> list[int]:
    """Which of the predictions of a target's distribution are the ones that are given as the prediction."""
    chosen = np.asarray(cost.point_prediction(np.arange(float(predictions))))
    if not np.all(chosen == np.round(chosen)) or len(set(chosen.tolist())) < len(chosen):
        raise InputError(
            f"the point prediction of {cost.label} is no part of its outputs and has no conversion to ONNX."
        )
    return [int(place) for place in chosen]
