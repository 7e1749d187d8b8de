"""A table as its source gave it, before anyone has said what its columns mean."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from perceptory import notes
from perceptory.errors import InputError
from perceptory.notes import Note
from perceptory.registry import did_you_mean
from perceptory.wording import listed as listed
from perceptory.wording import shown_value as shown_value

Storage = Literal["text", "label", "number", "boolean", "date", "other"]

MISSING = frozenset(
    ("", "?", "-", "NA", "Na", "na", "N/A", "n/a", "#N/A", "#NA", "<NA>", "NaN", "nan", "NAN", "NaT", "NULL", "Null")
) | {"null", "NONE", "None", "none"}
"""Texts that stand for a missing value (after spaces around them are taken off), in any source."""


@dataclass(frozen=True, eq=False)
class RawColumn:
    """One column as it was stored.

    values is [row]: float64 with NaN for missing where `storage` is "number", "boolean" (0 or 1) or "date" (days
    since 1970-01-01); objects, str or None, for "text" (may turn out to hold numbers or dates) and "label"
    (categories, taken as they are). "other" holds what no network can use, such as lists.
    """

    name: str
    storage: Storage
    values: np.ndarray
    integer: bool = False  # stored as whole numbers
    notes: tuple[Note, ...] = ()  # remarks on how it was read


@dataclass(frozen=True, eq=False)
class Table:
    """Columns of equal length. `named` is False for an array whose columns have no names of their own."""

    columns: tuple[RawColumn, ...]
    rows: int
    notes: tuple[Note, ...] = ()
    named: bool = True
    duplicated: frozenset[str] = field(default_factory=frozenset)  # names that stood more than once

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(c.name for c in self.columns)

    def column(self, name: str, what: str = "column", clear: bool = True) -> RawColumn:
        """The column of that name; `InputError` with the nearest name where there is none, or, where it has to be
        clear which one is meant, more than one."""
        if clear and name in self.duplicated:
            raise InputError(
                f"the {what} {name!r} stands more than once in the table, so it is not clear which one is meant. "
                "Rename or remove all but one."
            )
        for column in self.columns:
            if column.name == name:
                return column
        raise InputError(f"the table has no {what} {name!r}.{nearest(name, self.names)} {columns_are(self.names)}")

    def take(self, rows: np.ndarray) -> Table:
        """The same table with the given rows only (indices or a mask)."""
        if rows.dtype == bool:
            rows = np.flatnonzero(rows)
        columns = tuple(replace(c, values=c.values[rows]) for c in self.columns)
        return replace(self, columns=columns, rows=len(rows))


def nearest(name: object, known: Sequence[str]) -> str:
    """' Did you mean x?' or ''. Like `did_you_mean`, but a name that differs in case only comes first."""
    same = [k for k in known if k.lower() == str(name).strip().lower()]
    return f" Did you mean {same[0]!r}?" if same else did_you_mean(name, known)


def columns_are(names: Sequence[str]) -> str:
    return f"Its columns are: {listed(names)}."


def label(value: Any) -> str:
    """The text that stands for a value where it is a category: 3 and 3.0 are both '3'."""
    if isinstance(value, (bool, np.bool_)):
        return str(bool(value))
    if isinstance(value, (float, np.floating)):
        number = float(value)
        return str(int(number)) if math.isfinite(number) and number == int(number) else repr(number)
    return str(value)


def objects(values: Iterable[Any]) -> np.ndarray:
    """A one-dimensional object array [row] of the values, whatever they are."""
    values = list(values)
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def unique_names(names: Sequence[str], where: str) -> tuple[list[str], list[Note], frozenset[str]]:
    """Names made unique: a second 'a' becomes 'a.2', an empty name 'column 3'. Returns names, notes and the names
    that stood more than once."""
    taken, result, renamed, empty = {n for n in names if n}, [], [], []
    seen: set[str] = set()
    for place, name in enumerate(names, 1):
        new = name or f"column {place}"
        number = 2
        while new in seen or (new != name and new in taken):
            new = f"{name or f'column {place}'}.{number}"
            number += 1
        if not name:
            empty.append(new)
        elif new != name:
            renamed.append((name, new))
        seen.add(new)
        result.append(new)
    remarks = [notes.column_renamed(where, old, new) for old, new in renamed]
    if empty:
        remarks.append(notes.columns_named(where, empty))
    return result, remarks, frozenset(old for old, _ in renamed)
