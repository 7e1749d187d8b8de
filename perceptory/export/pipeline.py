"""The whole of a model as one graph: raw columns or arrays in, predictions in the target's units or class names out."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from perceptory.data.tables.encoder import Encoder
from perceptory.errors import InputError
from perceptory.export.columns import check_names, columns_as_inputs, used_columns
from perceptory.export.convert import convert, stacked_module
from perceptory.export.graph import Builder, Scaling, Shape, Value
from perceptory.export.intervals import interval, scales
from perceptory.export.links import inverse_link, point_places, units
from perceptory.export.windows import in_own_units, seen
from perceptory.networks.base import layout
from perceptory.networks.custom import Custom

OPSET, ML_OPSET, IR = 18, 3, 9  # what onnxruntime reads since 1.16 (2023)
ARRAY, LENGTHS, CODE = "x", "lengths", "code"  # names of inputs that are no columns


@dataclass
class Whole:
    """A graph that is being made, with its inputs and outputs. outputs: name -> (tensor, element type, shape)."""

    builder: Builder
    inputs: list[Any] = field(default_factory=list)
    outputs: list[Any] = field(default_factory=list)

    def take(self, name: str, kind: Any, shape: Sequence[Any]) -> str:
        """Add an input."""
        from onnx import helper

        self.inputs.append(helper.make_tensor_value_info(name, _element(kind), list(shape)))
        return name

    def give(self, name: str, tensor: str, kind: Any, shape: Sequence[Any]) -> None:
        """Add an output."""
        from onnx import helper

        taken = {one.name for one in (*self.inputs, *self.outputs)}
        while name in taken:  # a column may be called like an output
            name += "_"
        self.builder.op("Identity", tensor, name=name)
        self.outputs.append(helper.make_tensor_value_info(name, _element(kind), list(shape)))

    def proto(self, description: str) -> Any:
        """The model as ONNX has it, checked."""
        from onnx import checker, helper

        from perceptory import __version__

        graph = helper.make_graph(
            self.builder.nodes, "perceptory", self.inputs, self.outputs, initializer=self.builder.initializers
        )
        opsets = [helper.make_opsetid("", OPSET)]
        if len(self.builder.domains) > 1:
            opsets.append(helper.make_opsetid("ai.onnx.ml", ML_OPSET))
        proto = helper.make_model(
            graph, ir_version=IR, opset_imports=opsets, producer_name="perceptory", producer_version=__version__,
            doc_string=description,
        )  # fmt: skip
        checker.check_model(proto)
        return proto


def _element(kind: Any) -> int:
    from onnx import TensorProto, helper

    return int(TensorProto.STRING if kind is str else helper.np_dtype_to_tensor_dtype(np.dtype(kind)))


def check_network(network: Any) -> None:
    """`InputError` for a network of the user's own, which no graph can hold."""
    if isinstance(network, Custom):
        raise InputError(
            f"{network.label} is a network of your own, which has no conversion to ONNX. Build it from the layers of"
            " Chain, such as Chain((DenseLayer(32), NormLayer())), train that, and export it."
        )


def dtype_of(model: Any) -> Any:
    return np.float64 if model.precision == "double" else np.float32


# --- inputs -------------------------------------------------------------------------------------------------------


def any_steps(model: Any) -> bool:
    """Whether series of another number of steps than in training can be given: no weight is tied to it."""
    shape, outputs = model.encoder.shape, model.outputs
    if getattr(model.encoder, "kind", "table") != "series":
        return False
    if any(part.network.fixed_steps for part in model.parts):
        return False

    def size(network: Any, steps: int) -> int:
        return layout(network, (steps, shape[1]), (steps, outputs[1]) if len(outputs) == 2 else outputs).size

    def any_of(network: Any) -> bool:
        with contextlib.suppress(InputError):
            return size(network, shape[0]) == size(network, shape[0] + 1) == size(network, 2 * shape[0] + 1)
        return False

    return all(any_of(part.network) for part in model.parts)


def common_center(model: Any) -> np.ndarray:
    """[in] what the centers of all networks have in common: taken off in double precision, it leaves small numbers."""
    return np.asarray(np.concatenate([part.in_center for part in model.parts]).mean(axis=0))


def raw_inputs(whole: Whole, model: Any) -> tuple[Value, list[int]]:
    """(inputs less `common_center`, places that may be NaN); the graph's own inputs."""
    b, common = whole.builder, common_center(model)
    if isinstance(model.encoder, Encoder):
        check_names(model.encoder)
        kinds = {"categorical": str, "date": np.int64}
        for plan in used_columns(model.encoder):
            whole.take(plan.name, kinds.get(plan.kind, np.float64), ["rows"])
        name, may_miss = columns_as_inputs(b, model.encoder, common)
        return Value(name, model.encoder.shape), may_miss
    shape: Shape = model.encoder.shape
    names: list[Any] = ["rows", *shape]
    if any_steps(model):
        shape, names[1] = (None, *shape[1:]), "steps"
    kind = np.float32 if model.encoder.kind == "image" and b.dtype == np.float32 else np.float64
    whole.take(ARRAY, kind, names)
    less = b.op("Sub", ARRAY, b.constant(common, kind)) if np.any(common) else ARRAY
    return Value(less if kind == b.dtype else b.cast(less, b.dtype), shape), []


def unscaled(model: Any, x: Value, may_miss: list[int], common: np.ndarray) -> Value:
    """Inputs less `common`, to be put on each network's own scale."""
    scaling = Scaling(common - model.in_center, np.asarray(model.in_factor, float), tuple(may_miss))
    return replace(x, scaling=scaling)


def take_lengths(whole: Whole) -> None:
    """An input with the number of real steps of each series; later ones are padding."""
    whole.builder.lengths = whole.take(LENGTHS, np.int64, ["rows"])


def varies_in_length(model: Any) -> bool:
    """Whether the study read whole series of a table, so that each may have a length of its own."""
    plan = getattr(model.encoder, "plan", None)
    return plan is not None and plan.predict != "ahead" and (plan.window is None or plan.predict == "every step")


# --- outputs ------------------------------------------------------------------------------------------------------


def in_units(b: Builder, model: Any, y: Value) -> Value:
    """Predictions of each network in the targets' units, or probabilities, in double precision."""
    name = y.name if b.dtype == np.float64 else b.cast(y.name, np.float64)
    if model.task in ("regression", "autoencode"):
        factor, offset = units(model.cost, model.out_center, model.out_scale, y.shape[-1] or 0)
        if np.any(factor != 1):
            name = b.op("Mul", name, b.stacked(factor, len(y.shape), np.float64))
        if np.any(offset):
            name = b.op("Add", name, b.stacked(offset, len(y.shape), np.float64))
    return b.put(y, name)


def mean_of_members(b: Builder, y: Value, shares: np.ndarray | None, some: Sequence[int] | None = None) -> Value:
    """The mean over the networks, or by their shares [member]; over some of them alone."""
    if not y.members:
        return y
    if some is not None and list(some) != list(range(b.members)):
        y = b.put(y, b.op("Gather", y.name, b.integers(*some), axis=0))
        shares = None if shares is None else shares[list(some)]
    if shares is None:
        return b.put(y, b.op("ReduceMean", y.name, b.integers(0), keepdims=0), members=False)
    weights = b.constant((shares / shares.sum()).reshape(-1, *(1,) * (y.axes - 1)), np.float64)
    return b.put(y, b.op("ReduceSum", b.op("Mul", y.name, weights), b.integers(0), keepdims=0), members=False)


def named_shape(shape: Shape) -> list[Any]:
    return ["rows", *("steps" if n is None else n for n in shape)]


def without_single(b: Builder, y: Value) -> Value:
    """A single target without an axis of its own, as `Model.predict` has it."""
    if y.shape[-1] != 1:
        return y
    return b.put(y, b.op("Squeeze", y.name, b.integers(-1)), y.shape[:-1])


def point_of(b: Builder, model: Any, y: Value) -> Value:
    """Of each network's predictions those that are given as its prediction of the targets."""
    count = y.shape[-1] or 0
    places = point_places(model.cost, count)
    if places == list(range(count)):
        return y
    return b.put(y, b.op("Gather", y.name, b.integers(*places), axis=-1), (*y.shape[:-1], len(places)))


def give_numbers(whole: Whole, model: Any, y: Value, point: Value) -> None:
    """The outputs of a regression: the prediction, and what the cost has learned of the target's distribution."""
    from perceptory.objectives.distribution import GaussianLikelihood, Quantile

    b = whole.builder
    single = without_single(b, mean_of_members(b, point, model.shares))
    whole.give("prediction", single.name, np.float64, named_shape(single.shape))
    if isinstance(model.cost, Quantile):
        mean = mean_of_members(b, y, model.shares)
        targets, levels = point.shape[-1] or 0, len(model.cost.levels)
        lead = b.op("Shape", mean.name, start=0, end=len(mean.shape))
        split = b.op("Reshape", mean.name, b.concat([lead, b.integers(levels, targets)], 0))
        last = len(mean.shape)
        turned = b.transpose(split, *range(last), last + 1, last)
        whole.give("quantiles", turned, np.float64, [*named_shape(mean.shape[:-1]), targets, levels])
    if isinstance(model.cost, GaussianLikelihood):
        deviation = without_single(b, mixture_deviation(b, y, model.shares))
        whole.give("deviation", deviation.name, np.float64, named_shape(deviation.shape))


def give_interval(whole: Whole, model: Any, inputs: Value, point: Value, residuals: Any) -> None:
    """The ends between which a target lies, and its deviation where the cost has not learned one; residuals: as of
    `models.intervals.check_coverage`."""
    b, (known, ends) = whole.builder, residuals
    mean = mean_of_members(b, point, model.shares)
    scale = scales(b, inputs, common_center(model), mean, known)
    if "deviation" not in {one.name for one in whole.outputs}:
        sizes = b.constant(np.array([one.law.deviation for one in known.targets]), np.float64)
        deviation = without_single(b, b.put(mean, b.op("Mul", scale, sizes)))
        whole.give("deviation", deviation.name, np.float64, named_shape(deviation.shape))
    both = interval(b, mean, scale, ends, known.least)
    if mean.shape[-1] == 1:
        both = b.put(both, b.op("Squeeze", both.name, b.integers(-2)), (*mean.shape[:-1], 2))
    whole.give("interval", both.name, np.float64, named_shape(both.shape))


def mixture_deviation(b: Builder, y: Value, shares: np.ndarray | None) -> Value:
    """√(mean of variances + variance of means) of members that give means and deviations."""
    targets = (y.shape[-1] or 0) // 2
    mean, deviation = (b.slice(y.name, y.axes - 1, i * targets, (i + 1) * targets) for i in (0, 1))
    each = b.put(y, mean, (*y.shape[:-1], targets))
    if not y.members:
        return b.put(each, deviation)
    centered = b.op("Sub", mean, mean_of_members(b, each, shares).name)
    both = b.op("Add", b.op("Mul", deviation, deviation), b.op("Mul", centered, centered))
    variance = mean_of_members(b, b.put(each, both), shares)
    return b.put(variance, b.op("Sqrt", variance.name))


def give_classes(whole: Whole, model: Any, y: Value) -> None:
    """The outputs of a classifier: the class as the user gave it, and all probabilities."""
    b, mean = whole.builder, mean_of_members(whole.builder, y, model.shares)
    if "temperature" in model.facts:
        power = b.op("Pow", mean.name, b.constant(1 / float(model.facts["temperature"]), np.float64))
        mean = b.put(mean, b.op("Div", power, b.op("ReduceSum", power, b.integers(-1), keepdims=1)))
    best = b.op("ArgMax", mean.name, axis=1, keepdims=0)
    classes = model.classes
    kind: Any = str if classes.dtype.kind in "OUS" else classes.dtype
    names = b.constant(classes.astype(object) if kind is str else classes, None if kind is str else kind)
    whole.give("prediction", b.op("Gather", names, best), kind, ["rows"])
    whole.give("probabilities", mean.name, np.float64, named_shape(mean.shape))


def predictor(model: Any, residuals: Any = None, lengths: bool = False) -> Whole:
    """The graph of a model that predicts a target. residuals: of its intervals, as `give_interval` has them.
    lengths: whether it takes the real steps of each series."""
    whole = Whole(Builder(len(model), dtype_of(model)))
    b = whole.builder
    x, may_miss = raw_inputs(whole, model)
    if lengths:
        take_lengths(whole)
    parts = [_of_part(b, part, x, may_miss, common_center(model)) for part in model.parts]
    y = _side_by_side(b, [one for part in parts for one in part])
    b.members = len(model)
    if model.classes is not None:
        give_classes(whole, model, y)
        return whole
    point = point_of(b, model, y)
    give_numbers(whole, model, y, point)
    if residuals is not None:
        give_interval(whole, model, x, point, residuals)
    return whole


def _of_part(b: Builder, part: Any, x: Value, may_miss: list[int], common: np.ndarray) -> list[Value]:
    """What the networks of one structure predict, each by itself, in the targets' units.

    Of rows of a table each network is a chain of Gemm nodes of its own, into which onnxruntime takes bias and
    activation, and whose values stay in cache: a third less time than with an axis of networks. Of all other examples
    equal layers are one node for all networks.
    """
    check_network(part.network)
    apart = len(part.encoder.shape) == 1
    each = [alone(part, k) for k in range(len(part))] if apart else [part]
    return [_of_networks(b, one, x, may_miss, common) for one in each]


def alone(model: Any, member: int) -> Any:
    """The model with one of its networks."""
    names = ("weights", "in_center", "in_factor", "out_center", "out_scale")
    return replace(model, heads=None, **{name: getattr(model, name)[[member]] for name in names})


def _of_networks(b: Builder, part: Any, x: Value, may_miss: list[int], common: np.ndarray) -> Value:
    b.members = len(part)
    network, shape, own = part.network, part.encoder.shape, None
    center, factor = part.in_center, np.asarray(part.in_factor, float)
    if network.windows is not None:
        windows = network.windows
        order = windows.order(shape[-1])
        center, factor, common = center[:, order], factor[:, order], center[:, order].mean(axis=0)
        numbers, own = seen(b, windows, Value(ARRAY, x.shape))
        less = b.op("Sub", numbers.name, b.constant(common, np.float64)) if np.any(common) else numbers.name
        x = b.put(numbers, less if b.dtype == np.float64 else b.cast(less, b.dtype))
        network, shape = windows.sight, windows.steps(shape)
    module = stacked_module(network, shape, part.outputs, part.weights, part.precision)
    scaling = Scaling(common - center, factor, tuple(may_miss))
    y = in_units(b, part, inverse_link(b, part.cost, b.scaled(convert(b, module, replace(x, scaling=scaling)))))
    return y if own is None else in_own_units(b, part, y, own)


def _side_by_side(b: Builder, parts: list[Value]) -> Value:
    """The networks of all parts of a model along one axis."""
    if len(parts) == 1:
        return parts[0]
    names = [y.name if y.members else b.op("Unsqueeze", y.name, b.integers(0)) for y in parts]
    return b.put(parts[0], b.concat(names, 0), members=True)
