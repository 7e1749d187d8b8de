"""Forecasts from windows relative to their own level and scale: what a network sees of a window, and the way back.

All of it in double precision, as the model does it; see `ops.relative`, whose formulas these are.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from perceptory.errors import InputError
from perceptory.export.convert import convert
from perceptory.export.graph import Builder, Value
from perceptory.export.links import units
from perceptory.networks.smoothing import effects
from perceptory.networks.trend_season import patterns
from perceptory.ops.relative import LEAST, seasonal_places


@dataclass(frozen=True)
class WindowUnits:
    """What the numbers of a window stand for: tensors [row, 1 or horizon, target], as `ops.relative.Units` has them."""

    last: str
    base: str
    scale: str


def _double(b: Builder, value: Any) -> str:
    return b.constant(value, np.float64)


def seen(b: Builder, windows: Any, x: Value) -> tuple[Value, WindowUnits]:
    """(numbers [row, step, channel] in double precision, their units) of windows x [row, time, channel]."""
    channels = x.shape[-1] or 0
    window = x.name if windows.window is None else b.slice(x.name, 1, -windows.window, None)
    steps = x.shape[0] if windows.window is None else windows.window
    others = [c for c in range(channels) if c not in windows.channels]
    numbers, own = _relative(b, windows.how, b.op("Gather", window, b.integers(*windows.channels), axis=2))
    lost = windows.how.lost
    if windows.ahead:  # all steps of what stands beside the targets' past
        gone = (x.shape[0] or 0) - (steps or 0) + lost
        rest = b.op("Gather", x.name, b.integers(*others), axis=2)
        padded = b.op("Pad", numbers, b.integers(0, gone, 0, 0, 0, 0), mode="constant") if gone else numbers
        return Value(b.concat([padded, rest], 2), (x.shape[0], channels)), own
    if others:
        rest = b.op("Gather", window, b.integers(*others), axis=2)
        numbers = b.concat([numbers, b.slice(rest, 1, lost, None) if lost else rest], 2)
    return Value(numbers, (None if steps is None else steps - lost, channels)), own


def _relative(b: Builder, how: Any, x: str) -> tuple[str, WindowUnits]:
    last = b.slice(x, 1, -1, None)
    if how.log:
        r, size = b.op("Log", b.op("Div", x, last)), _constant_like(b, last, 1.0)
    else:
        r, size = b.op("Sub", x, last), _mean(b, b.op("Abs", x))
    scale = _scale(b, how, r, size)
    if how.level == "difference":
        change = b.op("Sub", b.slice(r, 1, 1, None), b.slice(r, 1, 0, -1))
        return b.op("Div", change, scale), WindowUnits(last, _constant_like(b, last, 0.0), scale)
    if how.level == "season":
        back = b.op("Sub", b.slice(r, 1, how.season, None), b.slice(r, 1, 0, -how.season))
        places = seasonal_places(how.horizons, how.season).tolist()
        return b.op("Div", back, scale), WindowUnits(last, b.op("Gather", r, b.integers(*places), axis=1), scale)
    if how.level == "mean":
        base = _mean(b, r)
    else:
        base = b.op("Neg", last) if how.level == "none" and not how.log else _constant_like(b, last, 0.0)
    return b.op("Div", b.op("Sub", r, base), scale), WindowUnits(last, base, scale)


def _mean(b: Builder, x: str) -> str:
    """Over the steps of a window."""
    return b.op("ReduceMean", x, b.integers(1))


def _constant_like(b: Builder, x: str, value: float) -> str:
    return b.op("Expand", _double(b, value), b.op("Shape", x))


def _scale(b: Builder, how: Any, r: str, size: str) -> str:
    if how.scale == "none":
        return _constant_like(b, size, 1.0)
    spread = size
    if how.scale == "spread":
        centered = b.op("Sub", r, _mean(b, r))
        spread = b.op("Sqrt", _mean(b, b.op("Mul", centered, centered)))
    elif how.scale == "season":
        change = b.op("Sub", b.slice(r, 1, how.season, None), b.slice(r, 1, 0, -how.season))
        spread = _mean(b, b.op("Abs", change))
    spread = b.op("Max", spread, b.op("Mul", size, _double(b, LEAST)))
    return b.where(b.op("Greater", spread, _double(b, 0.0)), spread, _double(b, 1.0))


def in_own_units(b: Builder, model: Any, y: Value, own: WindowUnits) -> Value:
    """Predictions [.., row, heads · horizon · target] of each network in the targets' units.

    y: in units of the numbers of windows, in double precision.
    """
    how, last = model.network.windows.how, y.axes - 1
    several = (model.cost.heads, len(how.horizons), len(model.network.windows.channels))
    lead = (0, 0) if y.members else (0,)
    each = b.reshape(y.name, *lead, *several)
    base, scale, level = (b.op("Unsqueeze", t, b.integers(1)) for t in (own.base, own.scale, own.last))
    if how.level == "difference":
        each = b.op("CumSum", each, b.constant(np.int64(last + 1), np.int64))
    added = b.op("Add", base, b.op("Mul", scale, each))
    if how.log:
        value = b.op("Mul", level, b.op("Exp", added))
    elif how.bends:
        value = b.op("Add", level, added)
    else:  # a deviation has no level
        has = _has_level(model).reshape(several)
        levels = b.op("Mul", b.op("Add", level, base), _double(b, has))
        value = b.op("Add", levels, b.op("Mul", scale, each))
    least = model.network.windows.least
    if least is not None:
        value = b.op("Max", value, _double(b, np.maximum(least, np.finfo(np.float64).min)))
    return b.put(y, b.reshape(value, *lead, y.shape[-1] or 0))


def _has_level(model: Any) -> np.ndarray:
    """[prediction] 1 where a prediction moves with the targets' center, 0 where it does not."""
    center = np.ones((1, model.out_center.shape[1]))
    return units(model.cost, center, center, model.outputs[-1])[1][0]


def repeat(b: Builder, module: Any, x: Value) -> Value:
    """The last season again, at the horizons, plus a drift."""
    x = b.last(x)
    places = seasonal_places(module.horizons, module.season).tolist()
    targets = module.drift.shape[-1] // len(module.horizons)
    steps = b.op("Gather", x.name, b.integers(*places), axis=x.axes - 2)
    some = b.put(x, b.slice(steps, -1, 0, targets), (len(module.horizons), targets))
    return b.plus(b.flat(some), module.drift)


def told(b: Builder, module: Any, x: Value) -> Value:
    """What stands beside the past put where the network within looks for it (`networks.beside.Places.arranged`)."""
    x, places = b.last(x), module.places
    axis, (all_steps, _) = x.axes - 1, x.shape

    def some(name: str, channels: Any) -> str:
        return b.op("Gather", name, b.integers(*channels), axis=axis)

    late = x.name if places.steps == all_steps else b.slice(x.name, -2, -places.steps, None)
    past, columns = some(late, places.past), len(places.past)
    future, known = "", 0
    if places.ahead:
        shifts = -(-places.reach // (all_steps or 1))
        known = len(places.ahead) // shifts
        each = [some(x.name, places.ahead[k * known : (k + 1) * known]) for k in reversed(range(shifts))]
        future = b.slice(b.concat(each, axis - 1), -2, -places.reach, None)
    if places.in_order:
        parts = [past, *([some(late, places.still)] if places.still else [])]
        if future:
            parts.append(_laid_out(b, x, future, places, known))
            columns += -(-places.reach // places.steps) * known
        shape = (places.steps if all_steps is not None else None, columns + len(places.still))
        return convert(b, module.inner, b.put(x, b.concat(parts, axis), shape))
    last = b.slice(x.name, -2, -1, None)
    more = [b.flat(b.put(x, some(last, places.still), (1, len(places.still)))).name] if places.still else []
    if future:
        more.append(b.flat(b.put(x, future, (places.reach, known))).name)
    numbers = len(places.still) + places.reach * known
    rows = -(-numbers // columns)
    filled = _padded(b, b.concat(more, axis - 1), axis, axis - 1, rows * columns - numbers)
    first = b.shaped(b.put(x, filled, (rows * columns,)), (rows, columns))
    whole = b.concat([first.name, past], axis - 1)
    return convert(b, module.inner, b.put(x, whole, (rows + places.steps, columns)))


def rolled_out(b: Builder, module: Any, x: Value) -> Value:
    """Refused: as many copies of the network as horizons, each fed by the one before."""
    raise InputError(
        "a recursive forecast feeds its own steps back, and has no conversion to ONNX. Train the direct one: leave"
        " recursive out."
    )


def _laid_out(b: Builder, x: Value, future: str, places: Any, known: int) -> str:
    shares = -(-places.reach // places.steps)
    axis = x.axes - 1
    filled = _padded(b, future, axis + 1, axis - 1, shares * places.steps - places.reach)
    lead = (0, 0) if x.members else (0,)
    apart = b.reshape(filled, *lead, shares, places.steps, known)
    turned = b.transpose(apart, *range(axis - 1), axis, axis - 1, axis + 1)
    return b.reshape(turned, *lead, places.steps, shares * known)


def _padded(b: Builder, name: str, axes: int, axis: int, before: int) -> str:
    """With zeros before, along one of so many axes."""
    return b.pad(name, [(before if k == axis else 0, 0) for k in range(axes)])


def continued(b: Builder, module: Any, x: Value) -> Value:
    """Level, trend and season continued to the horizons: as one product with the steps of the targets."""
    x = b.last(x)
    steps, weights = x.shape[0] or 0, np.asarray(module.weight, float)  # [member, horizon, target, pattern]
    members, horizons, targets, _ = weights.shape
    each = np.einsum("mhtp,hps->mtsh", weights, patterns(steps, module.season, module.horizons))
    whole = np.zeros((members, steps, targets, horizons, targets))
    for k in range(targets):
        whole[:, :, k, :, k] = each[:, k]
    own = b.put(x, b.slice(x.name, -1, 0, targets), (steps, targets))
    y = b.product(b.flat(own), whole.reshape(members, steps * targets, horizons * targets))
    return b.plus(y, np.asarray(module.bias, float).reshape(members, -1))


def smoothed(b: Builder, module: Any, x: Value) -> Value:
    """Exponential smoothing, whose forecasts are in proportion to the window: as one product."""
    x = b.last(x)
    steps, rates = x.shape[0] or 0, np.asarray(module.rates, float)  # [member, target, 4]
    members, targets, _ = rates.shape
    whole = np.zeros((members, steps, targets, len(module.horizons), targets))
    for m in range(members):
        for k in range(targets):
            whole[m, :, k, :, k] = effects(rates[m, k], steps, module.season, module.horizons)
    own = b.put(x, b.slice(x.name, -1, 0, targets), (steps, targets))
    return b.product(b.flat(own), whole.reshape(members, steps * targets, -1))


def residual_blocks(b: Builder, module: Any, x: Value) -> Value:
    """The blocks of N-BEATS and N-HiTS, each seeing what those before have not explained."""
    x = b.scaled(b.last(x))
    left = b.flat(x)
    y = convert(b, module.straight, left)
    if module.season:
        places = seasonal_places(module.horizons, module.season).tolist()
        steps = b.op("Gather", x.name, b.integers(*places), axis=x.axes - 2)
        again = b.put(x, b.slice(steps, -1, 0, module.several), (len(places), module.several))
        y = _joined(b, "Add", y, b.flat(again))
    for block in module.blocks:
        explained, ahead = _block(b, block, left)
        left, y = _joined(b, "Sub", left, explained), _joined(b, "Add", y, ahead)
    return y


def _joined(b: Builder, kind: str, one: Value, other: Value) -> Value:
    return b.put(one, b.op(kind, one.name, other.name), members=one.members or other.members)


def _block(b: Builder, block: Any, x: Value) -> tuple[Value, Value]:
    """What a block explains of x, and what it says ahead."""
    v, pool = x, block.pool
    if pool > 1:
        steps = prod(n or 0 for n in x.shape) // block.channels
        v = b.shaped(v, (steps, block.channels))
        if steps % pool:
            v = b.put(v, b.slice(v.name, -2, steps % pool, None), (steps - steps % pool, block.channels))
        v = b.shaped(v, (steps // pool, pool, block.channels))
        largest = b.op("ReduceMax", v.name, b.integers(-2), keepdims=0)
        v = b.flat(b.put(v, largest, (steps // pool, block.channels)))
    for layer in block.hidden:
        v = convert(b, layer, v)
    ahead = convert(b, block.ahead, v)
    if pool > 1:
        knots, horizons = (ahead.shape[0] or 0) // block.several, block.outputs // block.several
        ahead = b.shaped(ahead, (knots, block.several))
        places = np.linspace(0, knots - 1, horizons)[:, None]
        lines = np.maximum(0.0, 1 - np.abs(places - np.arange(knots)))  # straight lines between the values
        ahead = b.put(ahead, b.op("MatMul", b.constant(lines), ahead.name), (horizons, block.several))
    return convert(b, block.back, v), b.flat(ahead)
