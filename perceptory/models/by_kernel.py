"""A model's networks applied to rows by kernels that Python calls itself, where they are nothing but layers of neurons
(`kernels.predict`) or kernel neurons (`kernels.neurons`), or by NumPy, where each column's steps add up.

No program is compiled and no JAX needed; what comes out is that of `models.forward` up to rounding.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from perceptory.data.ahead import in_threads
from perceptory.data.tables.features import Features
from perceptory.kernels import neurons, predict
from perceptory.kernels.stack import Stack

Link = Callable[[np.ndarray], np.ndarray]
Written = Callable[[slice, np.ndarray], None]  # some rows' outputs [k, row, out] into an array
MOST_WEIGHTS = 1 << 18  # of a network of layers: products of larger matrices are XLA's
MADE_OF = ("weights", "in_center", "in_factor", "network", "cost", "precision")


class ByKernel(ABC):
    """Of a model's arrays what a kernel takes."""

    rows_at_once: ClassVar[int]

    def __init__(self, model: Any, link: Link):
        self._link, self.dtype = link, dtype_of(model)
        self.weights, self.factor = model.weights, model.in_factor.astype(self.dtype)
        self.common = model.in_center.mean(axis=0)  # taken off in double precision; what is left is small
        self.shift = (self.common - model.in_center).astype(self.dtype)
        self.outputs = model.outputs[0]

    @staticmethod
    def of_model(model: Any) -> ByKernel | None:
        """None where no kernel knows its networks or it is not there. Made once for the arrays that a model holds,
        which cannot be written to from then on: give it others."""
        of = [getattr(model, name) for name in MADE_OF]
        kept = model.__dict__.get("by_kernel")
        if kept is None or not all(a is b for a, b in zip(kept[0], of, strict=True)):
            kept = of, _made(model)
            model.__dict__["by_kernel"] = kept
        found: ByKernel | None = kept[1]
        return found

    def of_inputs(self, inputs: np.ndarray, finished: Link) -> np.ndarray:
        """[k, row, out] of encoded inputs [row, in]. finished: of what `Cost.inverse_link` gives of some rows, on the
        trained scale."""
        return self._outputs(self._of_inputs(inputs), len(inputs), finished)

    def of_features(self, features: Features, finished: Link) -> np.ndarray:
        """As `of_inputs`, of a table's features."""
        return self._outputs(self._of_features(features), features.rows, finished)

    @abstractmethod
    def _of_inputs(self, inputs: np.ndarray) -> Written: ...

    @abstractmethod
    def _of_features(self, features: Features) -> Written: ...

    def _less_common(self, inputs: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore"):
            return (inputs - self.common).astype(self.dtype)

    def _outputs(self, write: Written, count: int, finished: Link) -> np.ndarray:
        def part(at: slice) -> np.ndarray:
            out = np.empty((len(self.weights), at.stop - at.start, self.outputs), self.dtype)
            write(at, out)
            return finished(self._link(out))

        size = self.rows_at_once
        if count <= size:
            return part(slice(0, count))
        none = finished(self._link(np.empty((len(self.weights), 0, self.outputs), self.dtype)))
        whole = np.empty((len(none), count, *none.shape[2:]), none.dtype)

        def kept(at: slice) -> None:
            whole[:, at] = part(at)

        for _ in in_threads(kept, [slice(i, min(i + size, count)) for i in range(0, count, size)]):
            pass
        return whole


def dtype_of(model: Any) -> np.dtype[Any]:
    return np.dtype(np.float64 if model.precision == "double" else np.float32)


def _made(model: Any) -> ByKernel | None:
    link, network, inputs = model.cost.host_link, model.network, model.encoder.shape
    if link is None or network.windows is not None or len(model.outputs) != 1 or len(inputs) != 1:
        return None
    stack, of_columns = network.used_stack(inputs, model.outputs), network.columns_stack(inputs[0], model.outputs[0])
    made: ByKernel | None = None
    if network.neurons is not None:
        made = ByNeurons(model, link) if neurons.accepts(dtype_of(model)) else None
    elif network.adds_steps:
        made = BySteps(model, link)
    elif of_columns is not None:
        made = ByLayers(model, link, of_columns) if predict.accepts(dtype_of(model)) else None
    elif stack is not None and not (stack.parametric or stack.dropout or stack.weights > MOST_WEIGHTS):
        made = ByLayers(model, link, stack) if predict.accepts(dtype_of(model)) else None
    if made is not None:
        for array in (model.weights, model.in_center, model.in_factor):
            array.flags.writeable = False
    return made


class ByLayers(ByKernel):
    """Of a table no features are made but the numbers: categories are looked up."""

    rows_at_once = 8192

    def __init__(self, model: Any, link: Link, stack: Stack):
        super().__init__(model, link)
        self._columns, self._stack, self._weights = _columns(model, stack)
        self._networks: dict[tuple[int, ...], predict.Networks] = {}  # by the layout of inputs

    def _of_inputs(self, inputs: np.ndarray) -> Written:
        networks = self._with(())

        def write(at: slice, out: np.ndarray) -> None:
            x = self._less_common(inputs[at])
            networks(predict.Rows(x, np.zeros((0, len(x)), np.int8)), out)

        return write

    def _of_features(self, features: Features) -> Written:
        networks, numbers = self._with(features.layout), features.numbers
        codes = np.stack(features.codes) if features.codes else np.zeros((0, features.rows), np.int8)
        common = self.common[_places_of_numbers(features.layout)] if features.layout else self.common

        def write(at: slice, out: np.ndarray) -> None:
            if numbers is None:
                x = np.zeros((out.shape[1], 0), self.dtype)
            else:
                with np.errstate(over="ignore"):
                    x = (numbers.by_column(at) - common[:, None]).astype(self.dtype).T
            networks(predict.Rows(x, codes[:, at]), out)

        return write

    def _with(self, layout: tuple[int, ...]) -> predict.Networks:
        if layout not in self._networks:
            self._networks[layout] = predict.Networks(
                self._stack, self._weights, self.common, self.shift, self.factor, layout, self.dtype, self._columns
            )
        return self._networks[layout]


def _columns(model: Any, stack: Stack) -> tuple[predict.Columns | None, Stack, np.ndarray]:
    """What networks for tables make of their inputs, None for others; the layers behind that, and their weights."""
    inputs, k = model.encoder.shape[0], len(model.weights)
    if model.network.columns_stack(inputs, model.outputs[0]) is None:
        return None, stack, model.weights
    of, (numbers, flags, *groups) = _arrays(model), model.network.places(inputs)
    center, factor = np.zeros((k, inputs)), np.ones((k, inputs))
    for name, places in (("scaling", numbers), ("flags", flags)):
        if places:
            center[:, places], factor[:, places] = of[f"{name}.center"], of[f"{name}.factor"]
    scale = of.get("scale", np.ones((k, stack.widths[0])))
    most = np.full(k, float(model.network.clip))
    weights = model.weights[:, -stack.weights :]
    if groups:
        factor[:, np.concatenate(groups)] = of["seen"]
        vectors = [of[f"categories.{g}"] for g in range(len(groups))]
        by = np.sqrt(1 + (1 / most) ** 2) if most.all() else np.ones(k)  # of a 1 that the clip makes smaller
        stack, weights = _without_vectors(stack, weights, scale, vectors, groups, flags, by)
        scale = np.ones((k, stack.widths[0]))
    beside = {name.partition(".")[2]: array for name, array in of.items() if name.startswith("embedding.")}
    columns = predict.Columns(numbers, center, factor, of.get("scaling.edges"), most, scale, beside)
    return columns, stack, weights


def _without_vectors(
    stack: Stack, weights: np.ndarray, scale: np.ndarray, vectors: Sequence[np.ndarray],
    groups: Sequence[Sequence[int]], flags: Sequence[int], by: np.ndarray,
) -> tuple[Stack, np.ndarray]:  # fmt: skip
    """A stack of the same outputs whose first layer has weights for each embedded category: its vector times the
    layer's, both times the features' scale.

    vectors: of each column of categories [k, category, width]; groups: places of its inputs; flags: those of the other
    inputs of 0 and 1; by: [k] factor of what is embedded.
    """
    features, units = stack.widths[:2]
    first = weights[:, : features * units].reshape(-1, features, units).astype(float) * scale[:, :, None]
    end = features - sum(own.shape[2] for own in vectors)
    rows, begin = dict[int, np.ndarray](), end
    for own, group in zip(vectors, groups, strict=True):
        of_group = by[:, None, None] * (own.astype(float) @ first[:, begin : begin + own.shape[2]])
        rows |= dict(zip(group, of_group.swapaxes(0, 1), strict=True))
        begin += own.shape[2]
    begin = end - len(flags)
    rows |= dict(zip(flags, first[:, begin:end].swapaxes(0, 1), strict=True))
    first = np.concatenate([first[:, :begin], np.stack([rows[place] for place in sorted(rows)], axis=1)], axis=1)
    weights = np.concatenate([first.reshape(len(first), -1), weights[:, features * units :]], axis=1)
    return stack._replace(widths=(first.shape[1], *stack.widths[1:])), weights


def _arrays(model: Any) -> dict[str, np.ndarray]:
    """[k, ...] of the arrays of all networks by their names."""
    from perceptory.networks.base import layout

    found = layout(model.network, model.encoder.shape, model.outputs)
    parts = zip(found.names, found.shapes, found.parts(model.weights.T), strict=True)
    return {name: part.T.reshape(len(model.weights), *shape) for name, shape, part in parts}


class ByRows(ByKernel):
    """From rows of all inputs, whose features are made some at a time."""

    def _of_inputs(self, inputs: np.ndarray) -> Written:
        return lambda at, out: self._write(self._less_common(inputs[at]), out)

    def _of_features(self, features: Features) -> Written:
        return lambda at, out: self._write(self._less_common(features.dense(at)), out)

    @abstractmethod
    def _write(self, x: np.ndarray, out: np.ndarray) -> None:
        """The outputs [k, row, out] of inputs [row, in] less what is common to the networks."""


class ByNeurons(ByRows):
    """Each row meets thousands of centers, beside which its features cost nothing."""

    rows_at_once = 512

    def __init__(self, model: Any, link: Link):
        super().__init__(model, link)
        network, inputs, of = model.network, model.encoder.shape, _arrays(model)
        (numbers, flags), none = network.parted(inputs[0]), np.zeros((len(self.weights), 0))
        self._machines = neurons.Machines(
            neurons.Centers(
                network.neurons, numbers, flags, of.get("scaling.center", none),
                of.get("scaling.factor", none), of.get("scaling.edges"), of["narrowness"], of["centers"],
                of["strengths"], of["weight"], of["bias"],
            ),
            self.shift, self.factor, self.dtype,
        )  # fmt: skip

    def _write(self, x: np.ndarray, out: np.ndarray) -> None:
        self._machines(x, out)


class BySteps(ByRows):
    """What a column adds is looked up by the place of its value between the thresholds."""

    rows_at_once = 65536

    def __init__(self, model: Any, link: Link):
        super().__init__(model, link)
        of, (self._numbers, flags) = _arrays(model), model.network.parted(model.encoder.shape[0])
        self._flags = list(flags)
        self._edges, heights = of["edges"].astype(self.dtype), of["heights"].astype(self.dtype)
        self._tables = np.cumsum(np.pad(heights, ((0, 0), (0, 0), (1, 0), (0, 0))), axis=2, dtype=self.dtype)
        self._weight, self._bias = of["weight"].astype(self.dtype), of["bias"].astype(self.dtype)

    def _write(self, x: np.ndarray, out: np.ndarray) -> None:
        for k, own in enumerate(out):
            scaled = np.nan_to_num((x + self.shift[k]) * self.factor[k], copy=False)  # missing: the mean
            own[:] = scaled[:, self._flags] @ self._weight[k] + self._bias[k]
            for j, column in enumerate(self._numbers):
                own += self._tables[k, j][np.searchsorted(self._edges[k, j], scaled[:, column])]


def _places_of_numbers(layout: Sequence[int]) -> np.ndarray:
    """[number] places of the numbers among the inputs."""
    ends = np.cumsum([abs(run) or 1 for run in layout])
    return np.concatenate([np.arange(end - max(run, 0), end) for run, end in zip(layout, ends, strict=True)])
