"""Rows that a study is tested on, read as its own data were: nothing is decided anew from rows that may be one."""

from __future__ import annotations

from typing import Any

import numpy as np

from perceptory.data.tables.cells import places
from perceptory.data.tables.column import Column
from perceptory.data.tables.column_plan import counted_labels
from perceptory.data.tables.dataset import Dataset
from perceptory.data.tables.encoder import Encoder
from perceptory.data.tables.inference import convert
from perceptory.data.tables.sources import as_table
from perceptory.data.tables.table import RawColumn, Table, columns_are, listed
from perceptory.errors import InputError
from perceptory.notes import without_target


def read_like(source: Any, like: Dataset, weights: str | None = None) -> Dataset:
    """A table with the columns, target, task and classes of `like`; it may hold one row, one class, constant columns.

    Its columns are found by name and mean what they mean in `like`, of which the encoder learned; other columns are
    left aside. Rows without a target are left out, with a note. Raises `InputError` for columns that are missing or of
    another type and for classes that `like` has not.
    """
    encoder = like.encoder or Encoder.fit(like)
    used = [plan for plan in encoder.columns if plan.used]
    texts = [plan.name for plan in used if plan.kind in ("categorical", "date")]
    texts += like.target_names if like.classes is not None else ()
    table = as_table(source, reading=like.reading, as_text=texts)
    if not table.rows or not table.columns:
        raise InputError("the table has no rows." if table.columns else "the table has no columns.")
    missing = [plan.name for plan in used if plan.name not in table.names]
    if missing:
        some = "columns" if len(missing) > 1 else "column"
        raise InputError(
            f"the table lacks the {some} {listed(missing)}, which was learned from. {columns_are(table.names)}"
        )
    raw_targets = [table.column(name, "target") for name in like.target_names]
    targets, has = targets_like(raw_targets, like, table.rows)
    if not has.any():
        raise InputError(f"no row has a value of the target {listed(like.target_names)}.")
    rows = np.flatnonzero(has)
    with_target = table if has.all() else table.take(rows)
    lost = int((~has).sum())
    return Dataset(
        columns=tuple(_column(with_target, plan) for plan in used),
        target_names=like.target_names,
        task=like.task,
        targets=targets[rows],
        classes=like.classes,
        class_values=like.class_values,
        weights=None if weights is None else _weights(with_target.column(weights, "column of weights")),
        notes=(*table.notes, *([without_target(lost, "row", like.target_names)] if lost else [])),
        row_numbers=rows.astype(np.int64),
        reading=like.reading,
    )


def _column(table: Table, plan: Any) -> Column:
    raw = table.column(plan.name, "column")
    return Column(plan.name, plan.kind, convert(raw, plan.kind, plan.layout, plan.categories), layout=plan.layout)


def targets_like(columns: list[RawColumn], like: Any, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Targets of the task and classes of `like`, data of a study: [row, out] numbers or [row] class index; and which
    rows have one [row] bool. `InputError` for columns of another type, and for classes that `like` has not."""
    return _numbers(columns, rows) if like.classes is None else _classes(columns[0], like.classes)


def _numbers(columns: list[RawColumn], rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Targets [row, out], and which rows have all of them; without columns, none of which can be missing."""
    if not columns:
        return np.zeros((rows, 0)), np.ones(rows, bool)
    values = np.stack([np.asarray(convert(raw, "numeric"), np.float64) for raw in columns], axis=1)
    return values, np.asarray(~np.isnan(values).any(axis=1))


def _classes(raw: RawColumn, classes: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Index [row] of each row's class, 0 where there is none, and which rows have one."""
    labels = convert(raw, "categorical", "", classes)
    new = sorted(counted_labels(labels).keys() - set(classes))
    if new:
        raise InputError(
            f"the test data hold classes that the study has not: {listed(new, 5)}. Its classes are: {listed(classes)}."
        )
    return places(labels, classes, 0), labels.is_not_null().to_numpy()


def _weights(raw: RawColumn) -> np.ndarray:
    values = np.asarray(convert(raw, "numeric"), np.float64)
    if np.isnan(values).any() or (values < 0).any() or not (values > 0).any():
        raise InputError(f"weights need numbers of at least 0, some above 0, and {raw.name!r} holds others.")
    return values
