"""An ONNX graph while it is being made: nodes, constants that stand once, and values that know their shape.

A value is a tensor of examples, [row, *shape]. Where it differs between the k networks of a model it has a leading
axis of them, [member, row, *shape], so that equal layers of all networks are one node. Convolutions want channels
first, and the networks side by side in that axis, [row, member · channel, *place]: `Value.first` says which it is, and
`Builder.last` and `Builder.to_first` lead from one to the other, so that stages one after the other stay as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

Shape = tuple[int | None, ...]  # None: any number of time steps


@dataclass(frozen=True, eq=False)
class Scaling:
    """What is still to be done to inputs: (x + shift) · factor, and 0 where x is missing.

    shift, factor: [member, in]. may_miss: places that may be NaN. Left to the first product where there is one, it
    costs nothing but a column for each of these places.
    """

    shift: np.ndarray
    factor: np.ndarray
    may_miss: tuple[int, ...]


@dataclass(frozen=True)
class Value:
    """A tensor by name. shape: of one example, channels last in any case. members: whether it has an axis of networks.
    first: whether channels stand before places. scaling: of inputs [row, in] that are not scaled yet."""

    name: str
    shape: Shape
    members: bool = False
    first: bool = False
    scaling: Scaling | None = None

    @property
    def axes(self) -> int:
        """Of the tensor, the example's own and those before it."""
        return len(self.shape) + 1 + (self.members and not self.first)


class Builder:
    """Collects nodes. members: networks of the model; dtype: of all numbers from the scaled inputs on."""

    def __init__(self, members: int, dtype: Any) -> None:
        self.members = members
        self.dtype = np.dtype(dtype)
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []
        self._constants: dict[tuple[Any, ...], str] = {}
        self._count = 0
        self._made: dict[tuple[Any, ...], str] = {}
        self.lengths: str | None = None  # [row] int64 real steps of each series, where the graph is given them
        self.domains: set[str] = {""}

    # --- nodes ------------------------------------------------------------------------------------------------------

    def name(self, stem: str) -> str:
        """A name that no other tensor has, and hardly any column."""
        self._count += 1
        return f"/{stem}_{self._count}"

    def op(self, kind: str, *inputs: str, domain: str = "", name: str | None = None, **attributes: Any) -> str:
        """Add a node with one output, unless the same one is there; its name."""
        key = (kind, inputs, domain, repr(sorted(attributes.items())))
        if name is not None or key not in self._made:
            names = None if name is None else [name]
            self._made[key] = self.ops(kind, 1, *inputs, domain=domain, names=names, **attributes)[0]
        return self._made[key]

    def ops(
        self, kind: str, outputs: int, *inputs: str, domain: str = "", names: list[str] | None = None, **attributes: Any
    ) -> list[str]:
        """Add a node; the names of its outputs."""
        from onnx import helper

        found = names or [self.name(kind.lower()) for _ in range(outputs)]
        self.domains.add(domain)
        self.nodes.append(helper.make_node(kind, inputs, found, name=self.name("node"), domain=domain, **attributes))
        return found

    def constant(self, array: Any, dtype: Any = None) -> str:
        """An array as a constant of the graph; the same array is the same constant. dtype: that of the graph, unless it
        is given."""
        from onnx import numpy_helper

        values = np.asarray(array)
        if values.dtype.kind not in "OUS":
            values = np.ascontiguousarray(values, self.dtype if dtype is None else dtype).reshape(values.shape)
        else:
            values = values.astype(object)
        key = (values.dtype.str, values.shape, str(values.tolist()) if values.dtype == object else values.tobytes())
        if key not in self._constants:
            found = self._constants[key] = self.name("constant")
            self.initializers.append(numpy_helper.from_array(values, found))
        return self._constants[key]

    def integers(self, *numbers: int) -> str:
        """A constant vector of whole numbers, as shapes and axes are given."""
        return self.constant(np.array(numbers, np.int64), np.int64)

    def cast(self, name: str, dtype: Any) -> str:
        from onnx import helper

        return self.op("Cast", name, to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def slice(self, name: str, axis: int, start: int, stop: int | None, step: int = 1) -> str:
        end = np.iinfo(np.int64).max if stop is None else stop
        parts = (self.integers(n) for n in (start, end, axis, step))
        return self.op("Slice", name, *parts)

    def reshape(self, name: str, *shape: int) -> str:
        """0 keeps an axis, -1 is what is left."""
        return self.op("Reshape", name, self.integers(*shape))

    def transpose(self, name: str, *axes: int) -> str:
        return name if axes == tuple(range(len(axes))) else self.op("Transpose", name, perm=list(axes))

    def concat(self, names: Sequence[str], axis: int) -> str:
        return names[0] if len(names) == 1 else self.op("Concat", *names, axis=axis)

    def pad(self, name: str, pads: Sequence[tuple[int, int]], value: float = 0.0) -> str:
        """Put `value` around, (before, after) along each axis."""
        if not any(map(any, pads)):
            return name
        ends = [before for before, _ in pads] + [after for _, after in pads]
        return self.op("Pad", name, self.integers(*ends), self.constant(value), mode="constant")

    def where(self, condition: str, yes: str, no: str) -> str:
        return self.op("Where", condition, yes, no)

    # --- values -----------------------------------------------------------------------------------------------------

    @property
    def several(self) -> bool:
        """Whether the model has more than one network."""
        return self.members > 1

    def stacked(self, arrays: Any, axes: int = 0, dtype: Any = None) -> str:
        """A constant of each network's array [member, *shape], to be met with tensors [member, row, ...]: with `axes`
        axes of 1 behind that of the networks, which is left out where there is one network."""
        values = np.asarray(arrays, float)
        values = values.reshape(len(values), *(1,) * axes, *values.shape[1:])
        return self.constant(values if self.several else values[0], dtype)

    def per_unit(self, arrays: Any, x: Value) -> str:
        """[member, shape[-1]] as a constant that meets x, whatever the order of its axes."""
        values = np.asarray(arrays, float)
        if x.first:
            return self.constant(values.reshape(-1, *(1,) * (len(x.shape) - 1)))
        return self.stacked(values, len(x.shape))

    def put(self, x: Value, name: str, shape: Shape | None = None, members: bool | None = None) -> Value:
        """x with another tensor, and maybe another shape."""
        return replace(
            x,
            name=name,
            shape=x.shape if shape is None else shape,
            members=x.members if members is None else members,
        )

    def last(self, x: Value) -> Value:
        """The value with channels last."""
        if not x.first:
            return x
        places, channels = x.shape[:-1], self._known(x.shape[-1])
        count = len(places)
        if not x.members:
            return replace(x, name=self.transpose(x.name, 0, *range(2, 2 + count), 1), first=False)
        split = self.reshape(x.name, 0, self.members, channels, *self._lengths(places))
        return replace(x, name=self.transpose(split, 1, 0, *range(3, 3 + count), 2), first=False)

    def to_first(self, x: Value) -> Value:
        """The value with channels first, the networks side by side among them."""
        if x.first:
            return x
        places, channels = x.shape[:-1], self._known(x.shape[-1])
        count = len(places)
        if not x.members:
            return replace(x, name=self.transpose(x.name, 0, count + 1, *range(1, count + 1)), first=True)
        turned = self.transpose(x.name, 1, 0, count + 2, *range(2, count + 2))
        return replace(x, name=self.reshape(turned, 0, self.members * channels, *self._lengths(places)), first=True)

    @staticmethod
    def _known(size: int | None) -> int:
        return -1 if size is None else size

    def _lengths(self, places: Shape) -> list[int]:
        """Numbers for `reshape`: -1 for a number of steps that is not known."""
        return [self._known(n) for n in places]

    def flat(self, x: Value) -> Value:
        """All axes of an example as one."""
        x = self.last(x)
        if len(x.shape) == 1:
            return x
        size = prod(self._known(n) for n in x.shape)
        keep = (0, 0) if x.members else (0,)
        return self.put(x, self.reshape(x.name, *keep, size), (size,))

    def shaped(self, x: Value, shape: Shape) -> Value:
        """An example's values in another shape."""
        x = self.last(x)
        if x.shape == shape:
            return x
        keep = (0, 0) if x.members else (0,)
        return self.put(x, self.reshape(x.name, *keep, *self._lengths(shape)), shape)

    def spread(self, x: Value) -> Value:
        """x with an axis of the networks, where there are several."""
        x = self.last(x)
        if x.members or not self.several:
            return x
        one = self.op("Unsqueeze", x.name, self.integers(0))
        shape = self.constant(np.array([self.members] + [1] * (x.axes)), np.int64)
        return self.put(x, self.op("Expand", one, shape), members=True)

    def scaled(self, x: Value) -> Value:
        """x, its scaling done."""
        if x.scaling is None:
            return x
        scaling, before, members = x.scaling, x.name, self.several
        x = replace(x, scaling=None)
        shift, factor = scaling.shift, scaling.factor
        if members and not np.ptp(shift, axis=0).any() and not np.ptp(factor, axis=0).any():
            members = False  # what all have in common is done once
        for node, numbers, neutral in (("Add", shift, 0.0), ("Mul", factor, 1.0)):
            if np.any(numbers != neutral):
                own = self.per_unit(numbers, x) if members else self.constant(numbers[0])
                x = self.put(x, self.op(node, x.name, own), members=members)
        if scaling.may_miss:
            x = self.put(x, self.where(self.op("IsNaN", before), self.constant(0.0), x.name))
        return x

    def scaled_product(self, x: Value, scaling: Scaling, weights: Any, bias: Any) -> Value:
        """(scaled x) W + b of inputs [row, in] that are not scaled yet, from other weights: with x₀ = x, 0 where it is
        missing, and m = 1 there, (x₀ + s - m s) f W + b = x₀ (f W) - m (s f W) + (b + s f W)."""
        shift, factor, missing = scaling.shift, scaling.factor, list(scaling.may_miss)
        turned = factor[..., None] * np.asarray(weights, float)
        moved = shift[..., None] * turned
        name = x.name
        if missing:
            gone = self.op("IsNaN", name)
            name = self.where(gone, self.constant(0.0), name)
            if np.any(moved[:, missing]):
                some = gone if len(missing) == x.shape[-1] else self.op("Gather", gone, self.integers(*missing), axis=1)
                name = self.concat([name, self.cast(some, self.dtype)], 1)
                turned = np.concatenate([turned, -moved[:, missing]], axis=1)
        ready = Value(name, (turned.shape[1],))
        return self.plus(self.product(ready, turned), np.asarray(bias, float) + moved.sum(axis=1))

    def product(self, x: Value, weights: Any) -> Value:
        """x [..., in] times each network's weights [member, in, out], at every place alike: one node."""
        x = self.last(x)
        weights = np.asarray(weights, float)
        out = int(weights.shape[-1])
        w = self.stacked(weights)
        if not self.several or len(x.shape) == 1:
            y = self.op("MatMul", x.name, w)
            return self.put(x, y, (*x.shape[:-1], out), self.several)
        lead = 2 if x.members else 1  # axes before the places, which become rows
        size = self.op("Shape", x.name, start=lead - 1, end=lead - 1 + len(x.shape))  # rows and places
        rows = self.reshape(x.name, *((0, -1) if x.members else (-1,)), self._known(x.shape[-1]))
        y = self.op("MatMul", rows, w)
        shape = self.concat([self.integers(self.members), size, self.integers(out)], 0)
        return Value(self.op("Reshape", y, shape), (*x.shape[:-1], out), True)

    def plus(self, x: Value, arrays: Any) -> Value:
        """x with each network's numbers [member, shape[-1]] added; nothing is done for zeros."""
        if not np.any(arrays):
            return x
        return self.put(x, self.op("Add", x.name, self.per_unit(arrays, x)), members=x.members or self.several)
