"""The task, found from the target: numbers to predict, or classes to tell apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from perceptory import notes
from perceptory.data.tables.cells import identity, in_order, numbers_in, parse_truth, places, stripped
from perceptory.data.tables.dataset import Task
from perceptory.data.tables.dates import PATTERNS, days_in
from perceptory.data.tables.inference import FEW, MOST_BAD, NEARLY, UNIT, bad_cells, finite, of_two_units
from perceptory.data.tables.table import RawColumn, label, listed
from perceptory.data.tables.unit_signs import two_units
from perceptory.errors import InputError, Piece, Remedy, Setting
from perceptory.notes import Note, joined
from perceptory.registry import Registry as Names
from perceptory.wording import shown_value

if TYPE_CHECKING:
    import polars as pl

TASKS: Names[str] = Names(
    "task", {t: t for t in ("regression", "classification", "binary", "multiclass", "autoencode")}
)
MOST_CLASSES = 100
CLASSES = "classification"


@dataclass(frozen=True, eq=False)
class Target:
    """targets, classes and class_values as in `Dataset`, for the rows that have a target."""

    task: Task
    targets: np.ndarray
    classes: tuple[str, ...] | None = None
    class_values: np.ndarray | None = None
    notes: tuple[Note, ...] = ()


def typed(raw: RawColumn, task: str | None = None) -> RawColumn:
    """A target column as "number", "boolean" or "label"; text that holds numbers or true and false is read as such.

    Codes with zeros in front, such as 007, are labels. Text in which a few cells only are no numbers raises
    `InputError`, unless classes are asked for.
    """
    if raw.storage in ("date", "other"):
        what = "dates" if raw.storage == "date" else " ".join(["values", *joined(raw.notes).split()[1:4]])
        raise InputError(
            f"the target {raw.name!r} holds {what}, but numbers or classes are expected. Name another column."
        )
    if raw.storage != "text":
        return raw
    if raw.unclear:
        raise InputError(*raw.unclear)
    if raw.unit:
        return _with_unit(raw, task)
    if raw.cells is not None and raw.data.dtype.is_float() and _has_fraction(raw):
        return replace(raw, storage="number", cells=lambda: stripped(raw.text), read=(raw.numbers, raw.facts))
    cells = stripped(raw.text)
    truth = parse_truth(cells)
    if truth is not None:
        return RawColumn(raw.name, "boolean", truth)
    numbers = numbers_in(cells) if raw.cells is None else raw.data
    wrong = cells.is_not_null() & numbers.is_null()
    if not wrong.any():
        return _of_numbers(raw, cells, numbers, task)
    present = len(cells) - cells.null_count()
    if present > 4 and wrong.sum() <= MOST_BAD * present and task in (None, "regression"):
        few = cells.n_unique() <= min(MOST_CLASSES, present / 2)
        classes = (Remedy("; or read all values as classes: ", Setting("task", CLASSES)),) if few and not task else ()
        raise bad_cells("the target", raw.name, "numbers", cells, wrong, None, classes)
    if task in (None, "regression") and cells.n_unique() > FEW and two_units(cells) is not None:
        raise of_two_units("the target", raw.name, cells, None)
    if len(cells.unique()) > MOST_CLASSES or present < 2 * cells.n_unique():
        _check_no_dates(raw.name, cells.drop_nulls())
    if task in (None, "regression") and cells.n_unique() > FEW:
        _check_no_units(raw.name, cells, wrong, task)
    return _of_labels(raw, cells)


def _check_no_units(name: str, cells: pl.Series, wrong: pl.Series, task: str | None) -> None:
    """Raise `InputError` for many different numbers that are written with a unit, a percent sign or a currency."""
    odd = cells.filter(wrong)
    units = odd.str.contains(UNIT) | odd.str.contains(NEARLY)
    if len(odd) > len(cells) / 2 and units.sum() > (1 - MOST_BAD) * len(odd):
        classes = () if task else (Remedy(", or read all values as classes: ", Setting("task", CLASSES)),)
        raise InputError(
            f"the target {name!r} holds numbers with a unit, such as {shown_value(odd[0])} in row "
            f"{int(wrong.arg_max() or 0) + 1}, which cannot be read as numbers. Write the numbers alone",
            *classes,
            ".",
        )


def _with_unit(raw: RawColumn, task: str | None) -> RawColumn:
    """Numbers that were written with a percent sign or a currency; a few whole ones may be classes, such as doses."""
    quantity = task is None and (raw.data.n_unique() > FEW or _has_fraction(raw))
    if task != "regression" and not quantity:
        return _of_labels(raw, stripped(raw.text))
    return replace(raw, storage="number", cells=lambda: stripped(raw.text), read=(raw.numbers, raw.facts))


def _has_fraction(raw: RawColumn) -> bool:
    return raw.facts.whole + raw.facts.missing < len(raw)


def _check_no_dates(name: str, cells: pl.Series) -> None:
    """Raise `InputError` for many different texts that are dates, but for a few."""
    head = cells.head(50)
    for layout in PATTERNS:
        if np.isnan(days_in(head, layout)).mean() <= MOST_BAD:
            raise InputError(
                f"the target {name!r} holds dates, but numbers or classes are expected. Name another column."
            )


def _of_numbers(raw: RawColumn, cells: pl.Series, numbers: pl.Series, task: str | None) -> RawColumn:
    present = cells.drop_nulls()
    whole = bool(present.str.contains(r"^[+-]?[0-9]{1,18}$").all())
    codes = whole or bool(present.str.contains(r"^[0-9]{1,18}([eE][0-9]{1,3})?$").all())  # 1E3 beside 007 is a code
    if task != "regression" and codes and present.str.contains(r"^[+-]?0[0-9]").any():
        return RawColumn(raw.name, "label", cells, (notes.target_of_codes(raw.name),))
    data = cells.cast(numbers.dtype if not whole else _int64()) if raw.cells is None or whole else numbers
    return RawColumn(raw.name, "number", data, raw.notes, cells=lambda: cells)


def _of_labels(raw: RawColumn, cells: pl.Series) -> RawColumn:
    """Classes in text; "none" is one of them, beside other words."""
    import polars as pl

    inside = raw.text.str.strip_chars()
    none = inside.is_in(["none", "None", "NONE"]).fill_null(False)
    if not none.any():
        return RawColumn(raw.name, "label", cells, raw.notes)
    cells = pl.select(pl.when(pl.Series(none)).then(inside).otherwise(cells)).to_series()
    word = inside.filter(none)[0]
    return RawColumn(raw.name, "label", cells, (notes.none_as_class(raw.name, word, int(none.sum())),))


def _int64() -> Any:
    import polars as pl

    return pl.Int64


def sound_weights(values: np.ndarray, name: str, zeros: bool = False) -> np.ndarray:
    """Weights [row] as they are; `InputError` where they are none. zeros: whether all may be 0, as of some rows."""
    bad = "a missing value" if np.isnan(values).any() else "a negative value" if (values < 0).any() else ""
    if bad or not (zeros or (values > 0).any()):
        raise InputError(f"weights need numbers of at least 0, some above 0, but {name!r} holds {bad or 'only zeros'}.")
    return values


def has_value(raw: RawColumn) -> np.ndarray:
    """[row] bool: True where the typed target column has a value."""
    return ~raw.missing


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
        if raw.storage == "number" and raw.facts.infinite:
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
            texts = listed(raw.data.unique(maintain_order=True).to_list(), 2)
            raise InputError(
                f"the task 'regression' needs a target of numbers, but {raw.name!r} holds texts such as {texts}. Leave "
                "the task out, or name another target."
            )
        return _regression(columns, (notes.target_of_truth(raw.name),))
    if wanted == "regression":
        return _regression(columns, ())
    if wanted is not None:
        return _classes(raw, wanted, ())
    if _has_fraction(raw):
        return _regression(columns, ())
    distinct = np.unique(raw.values)
    few = 2 < len(distinct) <= 20 and len(raw.values) >= 2 * len(distinct)
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
        _varies(raw, 1 if raw.facts.low == raw.facts.high else 2)
    values = columns[0].values[:, None] if len(columns) == 1 else np.stack([c.values for c in columns], axis=1)
    return Target("regression", values, notes=remarks)


def _classes(raw: RawColumn, wanted: str | None, remarks: tuple[Note, ...]) -> Target:
    labels = identity(raw)
    distinct = labels.n_unique()
    _varies(raw, distinct)
    if distinct > MOST_CLASSES or distinct > max(2, len(labels) / 2):
        remedy: tuple[Piece, ...] = (" Name another column.",)
        if raw.storage == "number" or any(notes.target_of_codes.describes(note) for note in raw.notes):
            remedy = (Remedy(" Use ", Setting("task", "regression"), "."),)
        raise InputError(
            f"the target {raw.name!r} holds {distinct} different values in {len(labels)} rows, too many to be "
            f"classes (at most {MOST_CLASSES}, and two rows each on average).",
            *remedy,
        )
    if wanted == "binary" and distinct > 2:
        raise InputError(
            f"the task 'binary' needs a target of two classes, but {raw.name!r} holds {distinct}. Use 'multiclass'."
        )
    order = in_order(labels)
    original: np.ndarray
    if raw.storage == "boolean" or raw.of == "truth values":
        original = np.array([name == "True" for name in order])
    elif raw.storage == "number" or raw.of == "whole numbers":
        original = as_numbers(order, raw.storage == "label" or raw.integer)
    else:
        original = np.array(order, dtype=str)
    names = tuple(label(v) for v in original.tolist())
    task: Task = "multiclass" if distinct > 2 or wanted == "multiclass" else "binary"
    return Target(task, places(labels, order), names, original, remarks)


def as_numbers(names: list[str], whole: bool) -> np.ndarray:
    """Names of classes as the numbers that they are; as texts where two are one number, such as 1000 and 1E3."""
    try:
        values = np.array([int(n) for n in names], np.int64) if whole else np.array([float(n) for n in names])
    except (ValueError, OverflowError):
        return np.array(names, dtype=str)
    return values if len(np.unique(values)) == len(names) else np.array(names, dtype=str)


def _varies(raw: RawColumn, distinct: int) -> None:
    if distinct < 2 and raw.storage == "number" and identity(raw).n_unique() > 1:
        raise InputError(
            f"the target {raw.name!r} holds whole numbers that differ in digits which float64 does not hold (all are "
            f"{label(raw.values[0])[:40]})",
            Remedy("; ", Setting("task", CLASSES), " reads them as classes"),
            ".",
        )
    if distinct < 2:
        raise InputError(
            f"the target {raw.name!r} is constant (always {label(raw.values[0])[:40]}), so there is nothing to learn. "
            "Name another column",
            Remedy("; rows to test a study on are read with ", Setting("like"), ", the study's data"),
            ".",
        )
