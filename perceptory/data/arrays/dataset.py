"""Data that are no table: examples that are sequences, images or arrays of any shape, and their encoder."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from perceptory import files
from perceptory.data.aligned import aligned_take
from perceptory.data.arrays.checks import DTYPES, KINDS, ExampleKind, as_inputs, check_finite, check_lengths, padded
from perceptory.data.arrays.files import load_inputs
from perceptory.data.images.files import load_pictures, pictures_by_part
from perceptory.data.labels import Labels
from perceptory.data.model_inputs import ModelInputs
from perceptory.data.series.beside import unknown_future
from perceptory.data.series.ends import Ends
from perceptory.data.series.feedback import Known
from perceptory.data.series.plan import SeriesPlan, is_table
from perceptory.data.series.rolled import Rolled, taken, values_of
from perceptory.data.series.timeline import Timeline
from perceptory.data.tables.dataset import Task
from perceptory.data.tables.encoder import _keys, _texts
from perceptory.data.tables.table import listed
from perceptory.errors import InputError, Remedy, Setting
from perceptory.notes import Note, other_channels, other_range

TAKING = ("labels", "timeline")  # parts of a dataset with a `take` of their own
FAR = 50.0  # times as large or as small as in training: numbers of another unit, such as 0 to 1 for 0 to 255


@dataclass(frozen=True, eq=False)
class ArrayDataset:
    """Examples of one shape with their targets; every array is in the same order of examples.

    inputs: [n, *shape] of uint8, float32 or float64, kept as given; of forecasts `Rolled`. Series:
    [n, time, channel]; images: [n, height,
    width, channel], with one channel where they are gray. channels: names of the last axis.
    targets: regression [n, out], or [n, time, out] for a value every step, float64 in the target's units; of forecasts
    of numbers, as units, `Ahead`;
    classification [n] int64 index into `classes`. classes, class_values: as in `Dataset`.
    weights: [n] or [n, time] float64, 0 for an example or step that is not to be scored.
    lengths: [n] int64, steps of each series; later steps are padding: 0 in inputs and targets, not to be scored.
    groups: [n] int64, equal for examples that must stay together.
    timeline: which rows of a long table each example has seen and is scored by; None where no two examples are of one
    series: in no order, and independent.
    row_numbers: [n] int64, the place of each example in what was given, from 0; of an example made of table rows, the
    row that its prediction belongs to.
    units: [n, out] of forecasts, what scaled errors are measured by: the mean change over a season, up to the origin.
    ends: of forecasts, the last window of each series, sealed rows included: from where the future is forecast.
    labels: of the task "autoencode", what figures of the examples are colored by.
    """

    inputs: np.ndarray
    channels: tuple[str, ...]
    target_names: tuple[str, ...]
    task: Task
    targets: np.ndarray
    classes: tuple[str, ...] | None = None
    class_values: np.ndarray | None = None
    weights: np.ndarray | None = None
    lengths: np.ndarray | None = None
    groups: np.ndarray | None = None
    timeline: Timeline | None = None
    notes: tuple[Note, ...] = ()
    row_numbers: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    kind: ExampleKind = "array"
    plan: SeriesPlan | None = None  # how the table was cut that the examples are made of
    encoder: Any = None  # an `ArrayEncoder` that is to be used instead of one learned from the study examples
    labels: Labels | None = None
    units: Any = None
    ends: Ends | None = None

    def __post_init__(self) -> None:
        if not self.row_numbers.size:
            object.__setattr__(self, "row_numbers", np.arange(self.rows, dtype=np.int64))
        shape, rows = self.inputs.shape, self.rows
        if len(shape) < 2 or shape[-1] != len(self.channels) or self.inputs.dtype.name not in DTYPES:
            raise InputError(
                f"a dataset of {len(self.channels)} channels needs inputs [example, ..., channel] of "
                f"{', '.join(DTYPES)}, got {self.inputs.dtype} of the shape {shape}."
            )
        steps = self.targets.ndim == 3
        if self.targets.ndim > 3 or (steps and (len(shape) != 3 or self.targets.shape[1] != shape[1])):
            raise InputError(f"targets of the shape {self.targets.shape} do not fit inputs of the shape {shape}.")
        parts: dict[str, Any] = {
            "inputs": self.inputs,
            "weights": self.weights,
            "lengths": self.lengths,
            "groups": self.groups,
        }
        parts |= {"timeline": self.timeline, "row_numbers": self.row_numbers, "units": self.units}
        for name, values in parts.items():
            if values is not None and len(values) != rows:
                raise InputError(f"a dataset of {rows} examples cannot hold {name} of {len(values)} examples.")
        if self.weights is not None and self.weights.shape not in ((rows,), self.targets.shape[: 2 if steps else 1]):
            raise InputError(
                f"weights need one number an example{' or step' if steps else ''}, got the shape {self.weights.shape} "
                f"beside targets of the shape {self.targets.shape}."
            )

    def __repr__(self) -> str:
        from perceptory.data.words import data_lines

        return "\n".join(data_lines(self))

    @property
    def rows(self) -> int:
        """The number of examples."""
        return len(self.targets)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the inputs of one example."""
        return self.inputs.shape[1:]

    @property
    def outputs(self) -> int:
        """Numbers to predict (at each step): the targets, or the classes of "multiclass", or 1 for "binary"."""
        if self.task == "regression":
            return int(self.targets.shape[-1])
        return 1 if self.task == "binary" else len(self.classes or ())

    @property
    def target_shape(self) -> tuple[int, ...]:
        """Of the outputs of one example: (out,), or (time, out) for a value every step."""
        return (*self.targets.shape[1:-1], self.outputs)

    @property
    def known_outputs(self) -> Known:
        """How many measured outputs of a dynamic system are among its inputs, or "all"."""
        return 0 if self.plan is None else self.plan.known

    def take(self, rows: np.ndarray) -> Self:
        """The given examples only (indices, in their order, or a mask). Classes stay as they are."""
        names = ("targets", "weights", "lengths", "groups", "row_numbers", "units")
        given = {name: getattr(self, name) for name in names}
        kept: dict[str, Any] = {name: taken(values, rows) for name, values in given.items() if values is not None}
        windows = isinstance(self.inputs, Rolled)  # which are never copied
        kept["inputs"] = self.inputs[rows] if windows else aligned_take(self.inputs, rows)
        kept |= {name: part.take(rows) for name in TAKING if (part := getattr(self, name)) is not None}
        return replace(self, **kept)

    def describe(self) -> list[dict[str, str]]:
        """What was made of each channel: dicts of "name", "kind", "made" and "note"."""
        return _describe(self.kind, self.shape, self.channels, self.lengths)


@dataclass(frozen=True)
class ArrayEncoder:
    """Makes network inputs [n, *shape] of examples that come later: their shape is checked, their numbers are kept.

    Scaling is not its work: each fold fits its own. `low` and `high`, the smallest and the largest number of the study
    examples, only serve to notice inputs in other units.
    """

    kind: ExampleKind
    shape: tuple[int, ...]
    feature_names: tuple[str, ...]
    target_names: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 0.0
    plan: SeriesPlan | None = None

    @classmethod
    def fit(cls, dataset: ArrayDataset) -> ArrayEncoder:
        """Learn from the study examples. Raises `InputError` for missing or infinite inputs, and where none varies."""
        check_finite(dataset.inputs, dataset.kind, dataset.channels)
        values = values_of(dataset.inputs)
        low, high = float(values.min()), float(values.max())
        if low == high:
            raise InputError(
                f"all inputs are {low:g}, so there is nothing to learn from. Give inputs that vary",
                Remedy("; examples to test a study on are read with ", Setting("like"), ", the study's data"),
                ".",
            )
        return cls(dataset.kind, dataset.shape, dataset.channels, dataset.target_names, low, high, dataset.plan)

    def transform(self, source: Any, *, lengths: Any = None) -> np.ndarray:
        """Inputs [n, *shape] of whatever `examples` takes."""
        return self.examples(source, lengths=lengths).inputs

    def examples(self, source: Any, *, lengths: Any = None) -> ModelInputs:
        """Inputs [n, *shape] in the number format in which they came, lengths [n] or None, and row numbers [n].

        source: an `ArrayDataset`; an array; a NumPy file; for images a picture or a folder of pictures, which are
        scaled to the size and turned into the colors of training; for series that were cut out of a long table, such a
        table (see `SeriesPlan.cut`). Series may have another number of steps than in training; a single channel may be
        left out as an axis (gray images [n, height, width]). lengths: [n] steps of each series of an array; later
        steps become 0. Raises `InputError` for other shapes and for missing or infinite values.
        """
        steps, rows = None, None
        if isinstance(source, ArrayDataset):
            array, steps, rows = self._match(source), source.lengths, source.row_numbers
        elif self.plan is not None and is_table(source):
            array, steps, rows = self.plan.cut(source, self.feature_names)[:3]
            if self.plan.beside.known_ahead:
                array, rows = self._known(array, rows)
        else:
            array = self._match(source)
        if lengths is not None:
            if self.kind != "series" or rows is not None:
                raise InputError("lengths are for arrays of series, [n, time, channel]. Leave them out.")
            steps = check_lengths(lengths, *array.shape[:2])
            array = padded(array, steps)
        check_finite(array, self.kind, self.feature_names)
        return ModelInputs(array, steps, np.arange(len(array), dtype=np.int64) if rows is None else rows)

    def one(self, source: Any) -> None:
        """What is no table has no short way for a row."""

    def many(self, source: Any) -> None:
        """What is no table has no `Features`."""

    def batches(self, source: Any, rows: int) -> Iterator[ModelInputs]:
        """As `examples`, at most `rows` of them at a time; of a folder of pictures no more are in memory at once."""
        if isinstance(source, (str, Path)) and self._are_pictures(source):
            height, width, channels = self.shape
            for start, inputs, _ in pictures_by_part(source, (height, width, channels), rows):
                yield ModelInputs(inputs, None, np.arange(start, start + len(inputs)))
            return
        examples = self.examples(source)
        for start in range(0, max(1, len(examples.inputs)), rows):
            part = slice(start, start + rows)
            lengths = None if examples.lengths is None else examples.lengths[part]
            yield ModelInputs(examples.inputs[part], lengths, examples.rows[part])

    def notes_for(self, source: Any) -> tuple[Note, ...]:
        """What is strange about inputs that `transform` takes: other channel names, numbers in other units."""
        array = values_of(self.transform(source))
        notes: list[Note] = []
        if isinstance(source, ArrayDataset) and source.channels != self.feature_names:
            notes.append(other_channels(source.channels, self.feature_names))
        here, then = float(np.abs(array).max(initial=0)), max(abs(self.low), abs(self.high))
        if here and then and not 1 / FAR < here / then < FAR:
            notes.append(other_range(float(array.min()), float(array.max()), self.low, self.high))
        return tuple(notes)

    def describe(self) -> list[dict[str, str]]:
        """What became of each channel: dicts of "name", "kind", "made" and "note"."""
        return _describe(self.kind, self.shape, self.feature_names, None)

    def _known(self, windows: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Those windows of which all that is known ahead is there, and the rows that they end with."""
        there = ~np.isnan(windows).any(axis=(1, 2))
        if not there.any():
            raise InputError(*unknown_future(self.plan.beside))  # type: ignore[union-attr]
        return windows[there], rows[there]

    def _match(self, source: Any) -> np.ndarray:
        if isinstance(source, ArrayDataset) and source.kind != self.kind:
            raise InputError(f"the model was trained on {_plural(self.kind)}, but here are {_plural(source.kind)}.")
        array = source.inputs if isinstance(source, ArrayDataset) else as_inputs(self._loaded(source))
        wanted: tuple[Any, ...] = self.shape if self.kind != "series" else ("time", self.shape[-1])
        if len(self.shape) > 1 and self.shape[-1] == 1 and array.ndim == len(self.shape):
            array = array[..., None]
        if self.plan is not None and self.plan.beside.ahead:
            wanted = self.shape  # what is known ahead has its place in a window of so many steps
        free = 2 if self.kind == "series" and wanted != self.shape else 1
        fits = array.ndim == len(self.shape) + 1 and array.shape[free:] == self.shape[free - 1 :] and array.shape[1]
        if not fits:
            shown = ", ".join(map(str, ("n", *wanted)))
            one = array.shape[free - 1 :] == self.shape[free - 1 :] and array.ndim == len(self.shape)
            remedy = "Give a single example as x[None]." if one else f"The channels are {listed(self.feature_names)}."
            raise InputError(
                f"the model needs {_plural(self.kind)} [{shown}], got an array of the shape {array.shape}. {remedy}"
            )
        if not len(array):
            raise InputError("there are no examples to predict. Give at least one.")
        return array

    def _loaded(self, source: Any) -> Any:
        """What a path stands for; anything else as it is."""
        if not isinstance(source, (str, Path)):
            return source
        if self._are_pictures(source):
            height, width, channels = self.shape
            return load_pictures(source, size=(height, width), channels=channels)[0]
        return load_inputs(files.path_of(source))

    def _are_pictures(self, source: str | Path) -> bool:
        return self.kind == "image" and Path(source).suffix.lower() not in (".npy", ".npz")

    # --- JSON ---------------------------------------------------------------------------------------------------

    def to_json(self) -> dict[str, Any]:
        """Plain JSON data; `from_json` reads it back. Its "kind" tells it from the description of a table."""
        return {
            "kind": self.kind,
            "shape": list(self.shape),
            "channels": list(self.feature_names),
            "target_names": list(self.target_names),
            "range": [self.low, self.high],
            "plan": None if self.plan is None else self.plan.to_json(),
        }

    @classmethod
    def from_json(cls, data: Any) -> ArrayEncoder:
        """Read `to_json`'s data. Unknown or missing keys and values that do not fit raise `InputError`."""
        _keys(data, {"kind", "shape", "channels", "target_names", "range", "plan"}, "the description of the inputs")
        kind: Any = data["kind"]
        shape, span = data["shape"], data["range"]
        if kind not in KINDS:
            raise InputError(f"the inputs need a kind of {listed(KINDS)}, got {str(kind)[:40]!r}. It was altered.")
        channels = _texts(data["channels"], "channels")
        whole = isinstance(shape, list) and bool(shape) and all(type(n) is int and n > 0 for n in shape)
        axes = {"series": (2,), "image": (3,)}.get(kind, range(1, 33))
        if not whole or len(shape) not in axes or shape[-1] != len(channels):
            raise InputError(f"the shape {str(shape)[:40]} does not fit {len(channels)} channels of {kind} inputs.")
        numbers = isinstance(span, list) and len(span) == 2 and all(type(v) in (int, float) for v in span)
        if not numbers or not all(math.isfinite(v) for v in span) or span[0] > span[1]:
            raise InputError(f"the range of the inputs needs two numbers, got {str(span)[:40]}. It was altered.")
        targets = _texts(data["target_names"], "targets")
        plan = None if data["plan"] is None else SeriesPlan.from_json(data["plan"])
        if plan is not None and kind != "series":
            raise InputError(f"the description of {kind} inputs holds one of series. It was altered.")
        return cls(kind, tuple(shape), channels, targets, float(span[0]), float(span[1]), plan)


def fits(dataset: ArrayDataset, like: ArrayDataset) -> None:
    """Raise `InputError` where a model of the data `like` does not take these examples."""
    encoder = like.encoder or ArrayEncoder.fit(like)
    encoder.transform(dataset)


def _plural(kind: str) -> str:
    return {"series": "series", "image": "images", "array": "arrays"}[kind]


def _describe(
    kind: ExampleKind, shape: tuple[int, ...], channels: tuple[str, ...], lengths: np.ndarray | None
) -> list[dict[str, str]]:
    if kind == "series":
        steps = f"{shape[0]}" if lengths is None else f"{lengths.min()} to {lengths.max()}"
        outcome = f"{steps} steps, standardized"
    elif kind == "image":
        outcome = f"{shape[0]} x {shape[1]} pixels, standardized"
    else:
        outcome = "standardized" if len(shape) == 1 else f"{' x '.join(map(str, shape[:-1]))} numbers, standardized"
    return [{"name": name, "kind": kind, "made": outcome, "note": ""} for name in channels]
