"""What is known of the data of a study, and a few of its examples to be shown."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from perceptory.data import ArrayDataset
from perceptory.data.examples import Examples
from perceptory.notes import Note

PICTURES, SERIES = 16, 3  # examples shown
PIXELS, STEPS, CHANNELS = 64, 400, 4  # of each at most


@dataclass(frozen=True)
class DataFacts:
    """What is known of the data that a study was given.

    rows: all examples, of which study_rows were seen by the study and test_rows were sealed.
    columns: what became of each column or channel, dicts of "name", "kind", "made" and "note".
    validation: the plan that the study rows were validated by, as JSON data.
    notes: what reading and sealing have to tell. examples: a few of them, None for a table.
    """

    rows: int
    study_rows: int
    test_rows: int
    columns: tuple[dict[str, str], ...] = ()
    validation: Any = None
    notes: tuple[Note, ...] = ()
    examples: ShownExamples | None = None

    @property
    def example_kind(self) -> str:
        """What one example is: "table", "series", "image" or "array"."""
        return "table" if self.examples is None else self.examples.kind

    @property
    def predict(self) -> str | None:
        """What is predicted of series from a table: "ahead", "every step" or "one value"; None elsewhere."""
        return None if self.examples is None else self.examples.predict

    def to_json(self) -> dict[str, Any]:
        """Plain JSON data; `from_json` reads it back."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return values | {
            "columns": list(self.columns),
            "notes": [note.to_json() for note in self.notes],
            "examples": None if self.examples is None else self.examples.to_json(),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> DataFacts:
        """Read `to_json`'s data. Raises `KeyError` or `TypeError` for what does not fit."""
        return cls(
            **data
            | {
                "columns": tuple(data["columns"]),
                "notes": tuple(map(Note.from_json, data["notes"])),
                "examples": None if data["examples"] is None else ShownExamples.from_json(data["examples"]),
            }
        )


@dataclass(frozen=True, eq=False)
class ShownExamples:
    """Facts of examples that are no table, and a few of them. Test examples are not among them."""

    kind: str  # "series", "image" or "array"
    shape: tuple[int, ...]  # of one example's inputs
    channels: tuple[str, ...]
    shortest: int | None  # steps of the shortest series, where they differ
    predict: str | None  # of series from a table: "ahead", "every step" or "one value"
    time: str | None  # the column that orders them
    several: bool  # whether they come from several series
    horizon: int | None  # rows from the last known one to the one that is predicted
    labels: tuple[str, ...]  # [shown] their targets or places, in words
    lengths: tuple[int, ...] | None  # [shown] steps of each
    inputs: np.ndarray | None = None  # [shown, *shape], thinned; None of arrays
    targets: np.ndarray | None = None  # [shown, time, target] of series with a target a step

    def to_json(self) -> dict[str, Any]:
        """Plain JSON data; `from_json` reads it back."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        arrays = {name: None if values[name] is None else packed(values[name]) for name in ("inputs", "targets")}
        return {k: list(v) if isinstance(v, tuple) else v for k, v in (values | arrays).items()}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> ShownExamples:
        """Read `to_json`'s data. Raises `KeyError` or `TypeError` for what does not fit."""
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
        for name in ("inputs", "targets"):
            values[name] = None if data[name] is None else unpacked(data[name])
        return cls(**values)


def shown_examples(data: Examples) -> ShownExamples | None:
    """A few of the examples with the facts of all; None for a table."""
    pick = _PICKED.get(data.kind)
    return None if pick is None else _facts(data, pick)  # type: ignore[arg-type]


Picked = tuple[np.ndarray | None, np.ndarray | None]  # inputs and targets of the examples that are shown


def _facts(data: ArrayDataset, pick: Callable[[ArrayDataset, np.ndarray], Picked]) -> ShownExamples:
    plan, places = data.plan, _chosen(data)
    inputs, targets = pick(data, places)
    return ShownExamples(
        kind=data.kind,
        shape=data.shape,
        channels=data.channels,
        shortest=None if data.lengths is None else int(data.lengths.min()),
        predict=None if plan is None else plan.predict,
        time=None if plan is None else plan.time,
        several=data.groups is not None or (plan is not None and plan.series is not None),
        horizon=_horizon(data),
        labels=tuple(_label(data, int(i)) for i in places),
        lengths=None if data.lengths is None else tuple(data.lengths[places].tolist()),
        inputs=inputs,
        targets=targets,
    )


def _thinned(data: ArrayDataset, places: np.ndarray) -> Picked:
    step = -(-max(data.shape[:2]) // PIXELS)
    return data.inputs[places][:, ::step, ::step], None


def _cut(data: ArrayDataset, places: np.ndarray) -> Picked:
    targets = data.targets[places, :STEPS, :CHANNELS].astype(np.float32) if data.targets.ndim == 3 else None
    return data.inputs[places, :STEPS, :CHANNELS].astype(np.float32), targets


_PICKED = {"image": _thinned, "series": _cut, "array": lambda data, places: (None, None)}


def _chosen(data: ArrayDataset) -> np.ndarray:
    """Places of the examples to show: one of each class in turn, or spread evenly over the data."""
    most = PICTURES if data.kind == "image" else SERIES
    if data.classes is None:
        return np.unique(np.linspace(0, data.rows - 1, min(most, data.rows)).round().astype(int))
    order = np.argsort(data.targets, kind="stable")
    index = np.arange(data.rows) - np.searchsorted(data.targets[order], data.targets[order])
    turns = order[np.lexsort((data.targets[order], index))]  # the first of each class, the second of each class, ...
    return np.sort(turns[:most]) if data.kind != "image" else turns[:most]


def _label(data: ArrayDataset, i: int) -> str:
    if data.classes is not None:
        return data.classes[int(data.targets[i])]
    if data.targets.ndim == 3 or (data.plan is not None and data.plan.predict == "ahead"):
        return f"row {data.row_numbers[i]}" if data.plan is not None else f"example {data.row_numbers[i]}"
    return ", ".join(f"{v:.4g}" for v in data.targets[i][:3])


def _horizon(data: ArrayDataset) -> int | None:
    """Rows from the last known one to the one that is predicted, where that is one row of one series."""
    alone = data.plan is not None and data.plan.predict == "ahead" and data.plan.series is None
    if not alone or data.timeline is None or len(data.target_names) != 1:
        return None
    return int(np.ptp(data.timeline.seen[0])) - data.shape[0]


def packed(array: np.ndarray) -> dict[str, Any]:
    """An array as JSON data."""
    array = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<")))
    return {"shape": list(array.shape), "dtype": array.dtype.name, "base64": base64.b64encode(array.tobytes()).decode()}


def unpacked(data: dict[str, Any]) -> np.ndarray:
    """The array of `packed`."""
    raw = np.frombuffer(base64.b64decode(data["base64"]), np.dtype(data["dtype"]).newbyteorder("<"))
    return raw.reshape(data["shape"])
