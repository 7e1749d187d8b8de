"""Conversions of what goes through time step by step: recurrent layers, NARX and state-space models, each as a Scan.

One loop serves all networks of a model, and all steps' products with the inputs are done before it. ONNX's own LSTM and
GRU have neither a double precision in onnxruntime nor an axis of networks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from perceptory.errors import InputError
from perceptory.export.activations import activate
from perceptory.export.convert import convert
from perceptory.export.graph import Builder, Value
from perceptory.export.places import real_steps, without_padding
from perceptory.ops.activations import ACTIVATIONS

Step = Callable[[Builder, list[str], list[str]], tuple[list[str], list[str]]]


def scan(b: Builder, step: Step, states: Sequence[str], each: Sequence[str], outputs: int = 1) -> list[str]:
    """A loop over the first axis of `each`: step(builder, states, one of each) -> (states, outputs).

    Gives the last states and then, stacked, the outputs of all steps.
    """
    from onnx import helper

    inner = _Body(b)
    before = [inner.name("state") for _ in states]
    now = [inner.name("now") for _ in each]
    after, given = step(inner, list(before), list(now))
    ends = [inner.op("Identity", name, name=inner.name("end")) for name in [*after, *given]]
    body = helper.make_graph(
        inner.nodes,
        b.name("body"),
        [_unknown(name) for name in [*before, *now]],
        [_unknown(name) for name in ends],
    )
    return b.ops("Scan", len(states) + outputs, *states, *each, body=body, num_scan_inputs=len(each))


def _unknown(name: str) -> Any:
    from onnx import ValueInfoProto

    return ValueInfoProto(name=name)


class _Body(Builder):
    """The nodes of a loop's body. Constants and names are those of the graph around it."""

    def __init__(self, outer: Builder) -> None:
        super().__init__(outer.members, outer.dtype)
        self._outer = outer
        self.lengths = outer.lengths

    def name(self, stem: str) -> str:
        return self._outer.name(stem)

    def constant(self, array: Any, dtype: Any = None) -> str:
        return self._outer.constant(array, dtype)


def time_first(b: Builder, x: Value) -> str:
    """[time, .., row, channel] of x."""
    x = b.last(x)
    return b.transpose(x.name, 2, 0, 1, 3) if x.members else b.transpose(x.name, 1, 0, 2)


def time_back(b: Builder, name: str, width: int, steps: int | None) -> Value:
    """What `scan` has stacked, as a value."""
    turned = b.transpose(name, 1, 2, 0, 3) if b.several else b.transpose(name, 1, 0, 2)
    return Value(turned, (steps, width), b.several)


def zeros(b: Builder, x: Value, width: int) -> str:
    """[.., row, width] of zeros, for as many rows as x has."""
    x = b.last(x)
    rows = b.op("Shape", x.name, start=1 if x.members else 0, end=2 if x.members else 1)
    shape = b.concat([*([b.integers(b.members)] if b.several else []), rows, b.integers(width)], 0)
    return b.op("Expand", b.constant(0.0), shape)


# --- cells --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cell:
    """One step of a recurrent layer, of each network. U: [member, H, gates · H]; extra: [member, H] or None."""

    cell: Any
    U: np.ndarray
    extra: Any

    @property
    def width(self) -> int:
        return int(self.U.shape[1])

    def gate(self, b: Builder, z: str, first: int, last: int | None = None) -> str:
        """Some neighboring gates of all, which stand in the last axis."""
        end = first + 1 if last is None else last
        return b.slice(z, -1, first * self.width, end * self.width)

    def advance(self, b: Builder, z: str, states: list[str]) -> list[str]:
        kind = type(self.cell).__name__
        if kind not in CELLS:
            raise InputError(
                f"the recurrent cell {kind} has no conversion to ONNX. Train an RNN, a GRU or an LSTM, or enter one:"
                f" perceptory.export.steps.CELLS[{kind!r}] = function of (builder, cell, sums, states)."
            )
        return CELLS[kind](b, self, z, states)

    def back(self, b: Builder, h: str, first: int = 0, last: int | None = None) -> str:
        """h U, of some gates."""
        end = self.U.shape[2] if last is None else last * self.width
        return b.op("MatMul", h, b.stacked(self.U[..., first * self.width : end]))


def simple(b: Builder, c: Cell, z: str, states: list[str]) -> list[str]:
    total = Value(b.op("Add", z, c.back(b, states[0])), (c.width,), b.several)
    return [activate(b, ACTIVATIONS[c.cell.activation].function, total).name]


def _mixed(b: Builder, u: str, n: str, h: str) -> str:
    """(1 - u) n + u h."""
    return b.op("Add", n, b.op("Mul", u, b.op("Sub", h, n)))


def gated(b: Builder, c: Cell, z: str, states: list[str]) -> list[str]:
    """A GRU whose reset gate acts after the product."""
    a = c.back(b, states[0])
    gates = b.op("Sigmoid", b.op("Add", c.gate(b, z, 0, 2), c.gate(b, a, 0, 2)))
    r, u = c.gate(b, gates, 0), c.gate(b, gates, 1)
    m = b.op("Add", c.gate(b, a, 2), b.stacked(c.extra, 1))
    n = b.op("Tanh", b.op("Add", c.gate(b, z, 2), b.op("Mul", r, m)))
    return [_mixed(b, u, n, states[0])]


def reset_first(b: Builder, c: Cell, z: str, states: list[str]) -> list[str]:
    """A GRU whose reset gate acts before the product."""
    gates = b.op("Sigmoid", b.op("Add", c.gate(b, z, 0, 2), c.back(b, states[0], 0, 2)))
    r, u = c.gate(b, gates, 0), c.gate(b, gates, 1)
    n = b.op("Tanh", b.op("Add", c.gate(b, z, 2), c.back(b, b.op("Mul", r, states[0]), 2)))
    return [_mixed(b, u, n, states[0])]


def memory(b: Builder, c: Cell, z: str, states: list[str]) -> list[str]:
    """An LSTM, its gates in the order i, f, o, g."""
    total = b.op("Add", z, c.back(b, states[0]))
    gates = b.op("Sigmoid", c.gate(b, total, 0, 3))
    i, f, o = (c.gate(b, gates, k) for k in range(3))
    new = b.op("Mul", i, b.op("Tanh", c.gate(b, total, 3)))
    cell = b.op("Add", b.op("Mul", f, states[1]), new)
    return [b.op("Mul", o, b.op("Tanh", cell)), cell]


CELLS: dict[str, Callable[[Builder, Cell, str, list[str]], list[str]]] = {
    "GatedCell": gated,
    "MemoryCell": memory,
    "ResetFirstCell": reset_first,
    "SimpleCell": simple,
}


# --- recurrent layers ---------------------------------------------------------------------------------------------


def recur(b: Builder, layer: Any, x: Value, start: Sequence[str] | None = None) -> tuple[Value, list[str]]:
    """(h at every step, 0 in the padding; the states after the last real step) of one direction of a layer."""
    cell = Cell(layer.options.cell, layer.recurrent, layer.extra)
    z = time_first(b, b.plus(b.product(without_padding(b, x), layer.weight), layer.bias))
    states = [zeros(b, x, cell.width) for _ in range(layer.options.cell.states)] if start is None else list(start)
    each = [z]
    if b.lengths is not None:
        each.append(b.transpose(real_steps(b, b.last(x)), 1, 0, 2))  # [time, row, 1]

    def step(inner: Builder, before: list[str], now: list[str]) -> tuple[list[str], list[str]]:
        after = cell.advance(inner, now[0], before)
        if len(now) == 1:
            return after, after[:1]
        after = [inner.where(now[1], new, old) for new, old in zip(after, before, strict=True)]
        return after, [inner.where(now[1], after[0], inner.constant(0.0))]

    *ends, h = scan(b, step, states, each)
    return time_back(b, h, cell.width, x.shape[0]), ends


def backwards(b: Builder, x: Value) -> Value:
    """x with each row's real steps in the opposite order; padding stays where it is."""
    x = b.last(x)
    axis = 1 + x.members
    if b.lengths is None:
        name = b.slice(x.name, axis, -1, np.iinfo(np.int64).min + 1, -1)
        return b.put(x, name)
    steps = b.op("Shape", x.name, start=axis, end=axis + 1)
    lengths = b.op("Min", b.lengths, steps)
    turned = b.transpose(x.name, *((2, 1, 0, 3) if x.members else (1, 0, 2)))  # [time, row, .., channel]
    turned = b.op("ReverseSequence", turned, lengths, time_axis=0, batch_axis=1)
    return b.put(x, b.transpose(turned, *((2, 1, 0, 3) if x.members else (1, 0, 2))))


def recurrent_network(b: Builder, module: Any, x: Value, start: Sequence[Sequence[str]] | None = None) -> Value:
    """Layers of one or two directions, then a linear readout of the last real step, or of each."""
    last: list[str] = []
    for i, layer in enumerate(module.layers):
        begin = None if start is None else start[i * len(layer) : (i + 1) * len(layer)]
        h, ends = recur(b, layer[0], x, None if begin is None else begin[0])
        last, width = [ends[0]], h.shape[-1] or 0
        if len(layer) == 2:
            back, back_ends = recur(b, layer[1], backwards(b, x), None if begin is None else begin[1])
            both = b.concat([h.name, backwards(b, back).name], -1)
            last, width = [ends[0], back_ends[0]], 2 * width
            h = b.put(h, both, (h.shape[0], width))
        x = h
        final = i == len(module.layers) - 1 and not module.every
        if module.dropout is not None and not final:
            x = convert(b, module.dropout, x)
    if module.every:
        return without_padding(b, convert(b, module.readout, x))
    end = Value(b.concat(last, -1), (x.shape[-1],), b.several)
    end = end if module.dropout is None else convert(b, module.dropout, end)
    return convert(b, module.readout, end)


def every_step(b: Builder, module: Any, x: Value) -> Value:
    """A recurrent layer's states as the output."""
    return recur(b, module.layer, x)[0]


def code_to_series(b: Builder, module: Any, x: Value) -> Value:
    """Recurrent layers that start at a code and see it at every step."""
    x = b.flat(x)
    states = b.spread(convert(b, module.start, x))
    widths = [
        [part.recurrent.shape[-2]] * part.options.cell.states for layer in module.network.layers for part in layer
    ]
    starts, place = [], 0
    for each in widths:
        parts = [b.slice(states.name, -1, place + i * w, place + (i + 1) * w) for i, w in enumerate(each)]
        starts.append(parts)
        place += sum(each)
    one = b.op("Unsqueeze", x.name, b.integers(-2))
    shape = [1] * (x.axes + 1)
    shape[-2] = module.steps
    code = b.put(x, b.op("Expand", one, b.integers(*shape)), (module.steps, x.shape[0]))
    return recurrent_network(b, module.network, code, starts)


# --- dynamic systems ----------------------------------------------------------------------------------------------


def split(b: Builder, x: Value, out: int) -> tuple[Value, Value]:
    """Inputs u and measured outputs y of [time, u and y]."""
    x = b.last(x)
    driving = (x.shape[-1] or 0) - out
    u = b.put(x, b.slice(x.name, -1, 0, driving), (x.shape[0], driving))
    return u, b.put(x, b.slice(x.name, -1, driving, None), (x.shape[0], out))


def steps_of(b: Builder, x: Value, start: int, stop: int | None) -> Value:
    """Some steps of a series."""
    count = None if x.shape[0] is None else (x.shape[0] if stop is None else stop) - start
    return b.put(x, b.slice(x.name, x.axes - 2, start, stop), (count, x.shape[-1]))


def delayed(b: Builder, u: Value, lags: int) -> Value:
    """u(t), u(t - 1), ... side by side; before the record u stood at u(0)."""
    axis = u.axes - 2
    first = b.slice(u.name, axis, 0, 1)
    padded = b.concat([first] * (lags - 1) + [u.name], axis)
    views = [b.slice(padded, axis, lags - 1 - k, -k if k else None) for k in range(lags)]
    return b.put(u, b.concat(views, axis + 1), (u.shape[0], lags * (u.shape[-1] or 0)))


def narx(b: Builder, module: Any, x: Value) -> Value:
    """A feedforward network whose outputs come back; the measured ones in its first steps, in all of an open loop."""
    out = module.layers[-1].weight.shape[-1]
    x = b.spread(x)
    if module.at_rest:
        none = np.zeros((*module.layers[0].weight.shape[:-2], x.shape[-1] or 0, out))
        u, y = x, b.put(x, b.product(x, none).name, (x.shape[0], out))
    else:
        u, y = split(b, x, out)
    first, reach = module.layers[0], module.input_lags * (u.shape[-1] or 0)
    driven = b.plus(b.product(delayed(b, u, module.input_lags), first.weight[:, :reach]), first.bias)
    back, wide = first.weight[:, reach:], out * module.output_lags
    steps = b.op("Squeeze", b.op("Shape", x.name, start=x.axes - 2, end=x.axes - 1), b.integers(0))
    places = b.op("Range", b.constant(0, np.int64), steps, b.constant(1, np.int64))
    start = module.start if module.closed else np.iinfo(np.int64).max
    measured = b.op("Less", places, b.constant(start, np.int64))  # [time]
    begin = steps_of(b, y, 0, 1)
    before = b.concat([b.op("Squeeze", begin.name, b.integers(y.axes - 2))] * module.output_lags, -1)

    def step(inner: Builder, states: list[str], now: list[str]) -> tuple[list[str], list[str]]:
        past = states[0]
        z = inner.op("Add", now[0], inner.op("MatMul", past, inner.stacked(back)))
        v = activate(inner, first.activation, Value(z, (first.weight.shape[-1],), b.several))
        for layer in module.layers[1:]:
            v = convert(inner, layer, v)
        given = v.name
        if module.increment:
            given = inner.op("Add", given, inner.slice(past, -1, 0, out))
        new = inner.where(now[2], now[1], given)
        kept = [inner.slice(past, -1, 0, wide - out)] if wide > out else []
        return [inner.concat([new, *kept], -1)], [given]

    _, outputs = scan(b, step, [before], [time_first(b, driven), time_first(b, y), measured])
    return time_back(b, outputs, out, x.shape[0])


def over_linear(b: Builder, module: Any, x: Value) -> Value:
    """A linear model's free run, and what a network adds that sees the inputs and that run."""
    x = b.spread(x)
    y = narx(b, module.linear, x)
    seen = b.put(x, b.concat([x.name, y.name], -1), (x.shape[0], (x.shape[-1] or 0) + (y.shape[-1] or 0)))
    added = convert(b, module.inner, seen)
    scaled = b.op("Mul", added.name, b.stacked(module.share, 2))
    return b.put(y, b.op("Add", y.name, scaled), y.shape)


def state_space(b: Builder, module: Any, x: Value) -> Value:
    """States that an encoder makes of the first steps and that go on by themselves; the known outputs as they were."""
    out, lead = module.readout[-1].weight.shape[-1], module.lead
    x = b.spread(x)
    u, y = split(b, x, out)
    known = b.flat(b.put(x, steps_of(b, x, 0, lead).name, (lead, x.shape[-1])))
    for layer in module.encoder:
        known = convert(b, layer, known)
    later = steps_of(b, u, lead, None)
    driven = b.plus(b.product(later, module.drive.weight), module.drive.bias)
    leak = np.asarray(module.leak, float)
    memory = np.exp(-np.logaddexp(0, leak))  # 1 - sigmoid(leak)

    def step(inner: Builder, states: list[str], now: list[str]) -> tuple[list[str], list[str]]:
        z = inner.op("Add", now[0], inner.op("MatMul", states[0], inner.stacked(module.recurrent)))
        v = activate(inner, module.drive.activation, Value(z, (module.drive.weight.shape[-1],), b.several))
        for layer in module.change:
            v = convert(inner, layer, v)
        kept = inner.op("Mul", inner.stacked(memory, 1), states[0])
        return [inner.op("Add", kept, v.name)], [states[0]]

    _, states = scan(b, step, [known.name], [time_first(b, driven)])
    width = leak.shape[-1]
    both = b.concat([time_back(b, states, width, later.shape[0]).name, later.name], -1)
    v = b.put(later, both, (later.shape[0], width + (u.shape[-1] or 0)))
    for layer in module.readout:
        v = convert(b, layer, v)
    first = steps_of(b, y, 0, lead)
    return b.put(v, b.concat([first.name, v.name], v.axes - 2), (x.shape[0], out))


__all__ = ["code_to_series", "every_step", "narx", "over_linear", "recurrent_network", "state_space"]
