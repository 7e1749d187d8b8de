"""What everything after reading asks of the data, whether they are a table, series, images or arrays."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, Protocol, Self, runtime_checkable

import numpy as np

from perceptory.data.arrays.dataset import ArrayEncoder
from perceptory.data.model_inputs import ModelInputs
from perceptory.data.series.feedback import Known
from perceptory.data.series.timeline import Timeline
from perceptory.data.tables.dataset import Task
from perceptory.data.tables.encoder import Encoder
from perceptory.data.tables.features import Features
from perceptory.errors import InputError
from perceptory.notes import Note

ExamplesKind = Literal["table", "series", "image", "array"]


@runtime_checkable
class Examples(Protocol):
    """Examples with their targets, every array in one order; `Dataset` and `ArrayDataset` are its implementations.

    kind: what one example is; of a "table" it is a row. rows: how many there are.
    task, targets, target_names, classes, class_values, weights, groups, row_numbers: as in `Dataset`.
    lengths: [n] int64, the steps of each series, later ones being padding; None where every example is whole.
    timeline: which rows of a long table each example has seen and is scored by; None where examples know nothing of
    one another.
    known_outputs: how many measured outputs of a dynamic system are among its inputs, or "all"; 0 elsewhere.
    encoder: to be used instead of one learned from the study's examples, or None.
    notes: what reading has to tell.
    """

    @property
    def kind(self) -> ExamplesKind: ...
    @property
    def rows(self) -> int: ...
    @property
    def task(self) -> Task: ...
    @property
    def targets(self) -> np.ndarray: ...
    @property
    def target_names(self) -> tuple[str, ...]: ...
    @property
    def classes(self) -> tuple[str, ...] | None: ...
    @property
    def class_values(self) -> np.ndarray | None: ...
    @property
    def weights(self) -> np.ndarray | None: ...
    @property
    def lengths(self) -> np.ndarray | None: ...
    @property
    def groups(self) -> np.ndarray | None: ...
    @property
    def timeline(self) -> Timeline | None: ...
    @property
    def known_outputs(self) -> Known: ...
    @property
    def row_numbers(self) -> np.ndarray: ...
    @property
    def notes(self) -> tuple[Note, ...]: ...
    @property
    def encoder(self) -> Any: ...  # an `ExampleEncoder`, or None

    def take(self, rows: np.ndarray) -> Self:
        """The given examples only (indices, in their order, or a mask). Classes stay as they are."""

    def describe(self) -> list[dict[str, str]]:
        """What was made of each column or channel: dicts of "name", "kind", "made" and "note"."""


class ExampleEncoder(Protocol):
    """Makes network inputs of examples: `Encoder` of a table, `ArrayEncoder` of series, images and arrays.

    shape: of one example's inputs. feature_names: of its last axis.
    """

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def feature_names(self) -> tuple[str, ...]: ...

    def transform(self, source: Any) -> np.ndarray:
        """Inputs [n, *shape] of whatever it reads; in a table's a missing number is NaN."""

    def examples(self, source: Any) -> ModelInputs:
        """Those inputs with the lengths of series and the place of each example in its source."""

    def one(self, source: Any) -> np.ndarray | None:
        """The inputs [1, in] of one plain row of a table, on a short way; None for anything else."""

    def many(self, source: Any) -> Features | None:
        """The columns of a table, of which inputs can be made when they are asked for."""

    def batches(self, source: Any, rows: int) -> Iterator[ModelInputs]:
        """Those, at most `rows` of them at a time."""

    def notes_for(self, source: Any) -> tuple[Note, ...]:
        """What is strange about these inputs, in plain words."""

    def describe(self) -> list[dict[str, str]]:
        """What became of each column or channel."""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON data."""


ENCODERS: dict[ExamplesKind, Any] = {
    "table": Encoder,
    "series": ArrayEncoder,
    "image": ArrayEncoder,
    "array": ArrayEncoder,
}


class HandedOver:
    """Examples that their owner needs no more: who seals off rows takes them over, so that they are not held twice."""

    def __init__(self, data: Examples):
        self.kept: Examples | None = data


def taken_over(data: Any) -> Any:
    """The data, or what was handed over, once."""
    if not isinstance(data, HandedOver):
        return data
    kept, data.kept = data.kept, None
    return kept


def check_examples(data: Any) -> Examples:
    """The data, where they are examples that were read; else `InputError`."""
    if not isinstance(data, Examples):
        raise InputError(
            f"a study runs on a Dataset, got a {type(data).__name__}. Example: study.run(read_table(data, target='y'))"
        )
    return data


def encoder_for(data: Examples) -> ExampleEncoder:
    """What makes inputs of examples like these: the one that they bring, or one learned from them."""
    return ENCODERS[data.kind].fit(data) if data.encoder is None else data.encoder


def classes_of(data: Examples) -> np.ndarray | None:
    """[n] class indices, None for regression: what folds are stratified by."""
    return None if data.classes is None else data.targets
