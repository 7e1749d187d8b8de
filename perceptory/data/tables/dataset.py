"""What a study learns from: input columns with their meaning, the target, row weights and groups."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from perceptory.data.tables.cells import PLAIN, Reading
from perceptory.data.tables.column import Column
from perceptory.errors import InputError
from perceptory.notes import Note

if TYPE_CHECKING:
    from perceptory.data.labels import Labels

Task = Literal["regression", "binary", "multiclass", "autoencode"]


@dataclass(frozen=True, eq=False)
class Dataset:
    """A table whose columns have a meaning; every array is in the same order of rows.

    targets: regression [row, out] float64 in the target's units; classification [row] int64 index into `classes`; of
        the task "autoencode", which has no target but the columns themselves, [row, 0].
    classes: names of the classes, in sorted order; class_values: the labels as the user gave them, in the same order.
    weights: [row] float64, at least 0. groups: [row] int64, equal for rows that must stay together.
    kept: [row] int64, the place of each row in the table that was given, from 0; None for all of them in their order
    (rows without a target are left out, so there may be gaps).
    labels: of the task "autoencode", what figures of the rows are colored by.
    """

    columns: tuple[Column, ...]
    target_names: tuple[str, ...]
    task: Task
    targets: np.ndarray
    classes: tuple[str, ...] | None = None
    class_values: np.ndarray | None = None
    weights: np.ndarray | None = None
    groups: np.ndarray | None = None
    notes: tuple[Note, ...] = ()
    kept: np.ndarray | None = None
    reading: Reading = PLAIN  # how cells of text were written
    encoder: Any = None  # an `Encoder` that is to be used instead of one learned from the study rows
    labels: Labels | None = None

    def __post_init__(self) -> None:
        parts = {f"column {c.name!r}": c.data for c in self.columns}
        parts |= {"weights": self.weights, "groups": self.groups, "row_numbers": self.kept}
        for name, values in parts.items():
            if values is not None and len(values) != self.rows:
                raise InputError(f"a dataset of {self.rows} rows cannot hold {name} with {len(values)} rows.")

    def __repr__(self) -> str:
        from perceptory.data.words import data_lines

        return "\n".join(data_lines(self))

    @property
    def kind(self) -> Literal["table"]:
        """What one example is: a row of a table."""
        return "table"

    @cached_property
    def row_numbers(self) -> np.ndarray:
        """[row] int64, the place of each row in the table that was given, from 0."""
        return np.arange(self.rows, dtype=np.int64) if self.kept is None else self.kept

    @property
    def lengths(self) -> None:
        """Rows have no length."""

    @property
    def timeline(self) -> None:
        """Rows are independent of one another, but for their groups."""

    @property
    def known_outputs(self) -> int:
        """No measured outputs of a dynamic system are among the columns."""
        return 0

    @property
    def rows(self) -> int:
        return len(self.targets)

    @property
    def outputs(self) -> int:
        """Numbers to predict a row: the targets, or the classes of "multiclass", or 1 for "binary"."""
        if self.task == "regression":
            return int(self.targets.shape[1])
        return 1 if self.task == "binary" else len(self.classes or ())

    def take(self, rows: np.ndarray) -> Self:
        """The given rows only (indices, in their order, or a mask). Classes stay as they are."""

        def cut(values: Any) -> Any:
            return None if values is None else values[rows]

        return replace(
            self,
            columns=tuple(c.take(rows) for c in self.columns),
            targets=self.targets[rows],
            weights=cut(self.weights),
            groups=cut(self.groups),
            kept=self.row_numbers[rows],
            labels=None if self.labels is None else self.labels.take(rows),
        )

    def describe(self) -> list[dict[str, str]]:
        """What was made of each input column: dicts of "name", "kind", "made" (the features) and "note"."""
        from perceptory.data.tables.column_plan import plan_columns

        return [plan.describe() for plan in plan_columns(self.columns, self.rows)]
