"""Rows that a study is tested on, read as its own data were: nothing is decided anew from rows that may be one."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from perceptory.data.tables.cells import identity, places
from perceptory.data.tables.column_plan import counted_labels
from perceptory.data.tables.dataset import Dataset
from perceptory.data.tables.encoder import Encoder
from perceptory.data.tables.inference import convert
from perceptory.data.tables.sources import as_table
from perceptory.data.tables.table import RawColumn, listed, series_of
from perceptory.data.tables.targets import sound_weights
from perceptory.errors import InputError
from perceptory.notes import Note, classes_not_learned, without_target


def read_like(source: Any, like: Dataset, weights: str | None = None) -> Dataset:
    """A table with the columns, target, task and classes of `like`; it may hold one row, one class, constant columns.

    Its columns are found by name and mean what they mean in `like`, of which the encoder learned; other columns are
    left aside. Rows without a target, and rows of classes that `like` has not, are left out, with a note. Raises
    `InputError` for columns that are missing or of another type.
    """
    encoder = like.encoder or Encoder.fit(like)
    used = [plan for plan in encoder.columns if plan.used]
    texts = [plan.name for plan in used if plan.kind in ("categorical", "date")]
    texts += like.target_names if like.classes is not None else ()
    table = as_table(source, reading=like.reading, as_text=texts).filled()
    table.needs((plan.name for plan in used), "was learned from")
    raw_targets = [table.column(name, "target") for name in like.target_names]
    targets, has, unknown = targets_like(raw_targets, like, table.rows)
    if not has.any():
        raise InputError(f"no row has a value of the target {listed(like.target_names)}.")
    lost = int((~has & ~unknown).sum())
    rows = np.flatnonzero(has)
    with_target = table if has.all() else table.take(rows)
    counts = None if weights is None else _weights(table.take(has | unknown).column(weights, "column of weights"))
    new = not_learned(raw_targets[0], unknown, has, counts) if unknown.any() else []
    return Dataset(
        columns=tuple(plan.column(with_target.column(plan.name)) for plan in used),
        target_names=like.target_names,
        task=like.task,
        targets=targets[rows],
        classes=like.classes,
        class_values=like.class_values,
        weights=None if weights is None else _weights(with_target.column(weights, "column of weights")),
        notes=(*table.notes, *([without_target(lost, "row", like.target_names)] if lost else []), *new),
        kept=rows.astype(np.int64),
        reading=like.reading,
    )


class LikeTargets(NamedTuple):
    """Targets [row, out] of numbers or [row] class index; has: [row] bool, which rows have one; unknown: [row] bool,
    which rows have a class that the study has not."""

    values: np.ndarray
    has: np.ndarray
    unknown: np.ndarray


def targets_like(columns: list[RawColumn], like: Any, rows: int) -> LikeTargets:
    """Targets of the task and classes of `like`, data of a study. `InputError` for columns of another type, and where
    no row has a class that `like` has."""
    return _numbers(columns, rows) if like.classes is None else _classes(columns[0], like.classes)


def known_targets(columns: list[RawColumn], like: Any, rows: int) -> np.ndarray:
    """The values of `targets_like`, of classes that `like` has all; `InputError` for others."""
    values, _, unknown = targets_like(columns, like, rows)
    if unknown.any():
        raise _new_classes(_names(columns[0], unknown), like.classes)
    return values


def not_learned(
    raw: RawColumn, unknown: np.ndarray, has: np.ndarray, weights: np.ndarray | None, examples: str = "row"
) -> list[Note]:
    """The note on rows of classes that the study has not. weights: of the rows that have a class, in their order."""
    there = unknown[has | unknown]
    share = float(there.mean() if weights is None else weights[there].sum() / weights.sum())
    return [classes_not_learned(_names(raw, unknown), int(unknown.sum()), share, examples)]


def _names(raw: RawColumn, rows: np.ndarray) -> list[str]:
    return sorted(set(identity(raw).filter(series_of(rows)).drop_nulls().to_list()))


def _new_classes(new: list[str], classes: tuple[str, ...]) -> InputError:
    return InputError(
        f"the test data hold classes that the study has not: {listed(new, 5)}. Its classes are: {listed(classes)}."
    )


def _numbers(columns: list[RawColumn], rows: int) -> LikeTargets:
    """Without columns, none can be missing."""
    if not columns:
        return LikeTargets(np.zeros((rows, 0)), np.ones(rows, bool), np.zeros(rows, bool))
    values = np.stack([np.asarray(convert(raw, "numeric"), np.float64) for raw in columns], axis=1)
    return LikeTargets(values, np.asarray(~np.isnan(values).any(axis=1)), np.zeros(rows, bool))


def _classes(raw: RawColumn, classes: tuple[str, ...]) -> LikeTargets:
    """0 where there is no class, or one that is not known."""
    labels = convert(raw, "categorical", "", classes)
    place = places(labels, classes)
    there, has = labels.is_not_null().to_numpy(), place >= 0
    if there.any() and not has.any():
        raise _new_classes(sorted(counted_labels(labels)), classes)
    return LikeTargets(np.maximum(place, 0), has, there & ~has)


def _weights(raw: RawColumn) -> np.ndarray:
    return sound_weights(np.asarray(convert(raw, "numeric"), np.float64), raw.name)
