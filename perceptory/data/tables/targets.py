"""The task, found from the target: numbers to predict, or classes to tell apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from perceptory import notes
from perceptory.data.tables.dataset import Task
from perceptory.data.tables.inference import finite, parse_numbers, parse_truth, stripped
from perceptory.data.tables.table import RawColumn, label, listed
from perceptory.errors import InputError, Piece, Remedy, Setting
from perceptory.notes import Note, joined
from perceptory.registry import Registry as Names

TASKS: Names[str] = Names("task", {t: t for t in ("regression", "classification", "binary", "multiclass")})
MOST_CLASSES = 100


@dataclass(frozen=True, eq=False)
class Target:
    """targets, classes and class_values as in `Dataset`, for the rows that have a target."""

    task: Task
    targets: np.ndarray
    classes: tuple[str, ...] | None = None
    class_values: np.ndarray | None = None
    notes: tuple[Note, ...] = ()


def typed(raw: RawColumn) -> RawColumn:
    """A target column as "number", "boolean" or "label"; text that holds numbers or true and false is read as such."""
    if raw.storage in ("date", "other"):
        what = "dates" if raw.storage == "date" else joined(raw.notes) or "values that cannot be read"
        raise InputError(
            f"the target {raw.name!r} holds {what}, but numbers or classes are expected. Name another column."
        )
    if raw.storage != "text":
        return raw
    cells = stripped(raw.values)
    truth = parse_truth(cells)
    if truth is not None:
        return RawColumn(raw.name, "boolean", truth)
    numbers = parse_numbers(cells)
    if numbers is not None:
        integer = all(c.lstrip("+-").isdigit() for c in cells if c is not None)
        return RawColumn(raw.name, "number", numbers, integer)
    values = np.empty(len(cells), dtype=object)
    values[:] = cells
    return RawColumn(raw.name, "label", values, notes=raw.notes)


def has_value(raw: RawColumn) -> np.ndarray:
    """[row] bool: True where the typed target column has a value."""
    if raw.storage == "label":
        return np.fromiter((v is not None for v in raw.values), bool, len(raw.values))
    return ~np.isnan(raw.values)


def read_target(columns: Sequence[RawColumn], task: str | None) -> Target:
    """Find the task of typed target columns without missing values and give the targets their form.

    Text, categories and truth values are classes. Numbers are classes where they are exactly {0, 1}, {-1, 1} or
    {1, 2}, or whole numbers (stored as such) that run from 0 or 1 without a gap and make 3 to 20 classes of two rows
    each on average; all other numbers are a regression. Several targets are one regression. `task` sets it:
    "regression", "classification", "binary" or "multiclass". Raises `InputError` for a target that is constant,
    infinite, or of too many classes.
    """
    wanted = None if task is None else TASKS[task]
    for raw in columns:
        if raw.storage == "number":
            finite(raw.name, raw.values, "the target")
    if len(columns) > 1:
        if wanted not in (None, "regression"):
            raise InputError(
                f"several targets ({listed(c.name for c in columns)}) make a regression, but the task "
                f"{wanted!r} was asked for. Name one target."
            )
        return _regression(columns, ())
    raw = columns[0]
    if raw.storage != "number":
        if wanted != "regression":
            return _classes(raw, wanted, ())
        if raw.storage == "label":
            raise InputError(
                f"the task 'regression' needs a target of numbers, but {raw.name!r} holds texts such as "
                f"{listed(dict.fromkeys(raw.values), 2)}. Leave the task out, or name another target."
            )
        return _regression(columns, (notes.target_of_truth(raw.name),))
    if wanted == "regression":
        return _regression(columns, ())
    if wanted is not None:
        return _classes(raw, wanted, ())
    distinct = np.unique(raw.values)
    whole = bool((distinct == np.floor(distinct)).all())
    few = whole and 2 < len(distinct) <= 20 and len(raw.values) >= 2 * len(distinct)
    pair = tuple(distinct) in ((0, 1), (-1, 1), (1, 2))
    if pair or (few and raw.integer and distinct[0] in (0, 1) and bool((np.diff(distinct) == 1).all())):
        first, last = label(distinct[0]), label(distinct[-1])
        return _classes(raw, None, (notes.target_as_classes(raw.name, len(distinct), first, last),))
    if few:
        return _regression(columns, (notes.target_as_number(raw.name, len(distinct)),))
    return _regression(columns, ())


def _regression(columns: Sequence[RawColumn], remarks: tuple[Note, ...]) -> Target:
    for raw in columns:
        if raw.storage == "label":
            raise InputError(
                f"several targets make a regression, but {raw.name!r} holds texts. Name targets that are numbers."
            )
        _varies(raw, len(np.unique(raw.values)))
    return Target("regression", np.stack([c.values for c in columns], axis=1), notes=remarks)


def _classes(raw: RawColumn, wanted: str | None, remarks: tuple[Note, ...]) -> Target:
    values: Any = raw.values.tolist()
    counts = Counter(values)
    _varies(raw, len(counts))
    if len(counts) > MOST_CLASSES or len(counts) > max(2, len(values) / 2):
        remedy: tuple[Piece, ...] = (" Name another column.",)
        if raw.storage == "number":
            remedy = (Remedy(" Use ", Setting("task", "regression"), "."),)
        raise InputError(
            f"the target {raw.name!r} holds {len(counts)} different values in {len(values)} rows, too many to be "
            f"classes (at most {MOST_CLASSES}, and two rows each on average).",
            *remedy,
        )
    if wanted == "binary" and len(counts) > 2:
        raise InputError(
            f"the task 'binary' needs a target of two classes, but {raw.name!r} holds {len(counts)}. Use 'multiclass'."
        )
    order = sorted(counts, key=_order(counts) if raw.storage == "label" else None)
    place = {value: k for k, value in enumerate(order)}
    index = np.fromiter((place[v] for v in values), np.int64, len(values))
    original: np.ndarray
    if raw.storage == "boolean":
        original = np.array(order).astype(bool)
    elif raw.storage == "number":
        original = np.array(order)
        original = original.astype(np.int64) if raw.integer else original
    else:
        original = np.array(order, dtype=str)
    names = tuple(label(v) for v in original.tolist())
    task: Task = "multiclass" if len(counts) > 2 or wanted == "multiclass" else "binary"
    return Target(task, index, names, original, remarks)


def _order(counts: Counter) -> Any:
    """Sort key of class names: as numbers where all are whole numbers, else as text."""
    if all(c.lstrip("+-").isdecimal() and c.isascii() for c in counts):
        return lambda c: (int(c), c)
    return None


def _varies(raw: RawColumn, distinct: int) -> None:
    if distinct < 2:
        raise InputError(
            f"the target {raw.name!r} is constant (always {label(raw.values[0])[:40]}), so there is nothing to learn. "
            "Name another column."
        )
