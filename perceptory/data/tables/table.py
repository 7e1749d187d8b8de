"""A table as its source gave it, before anyone has said what its columns mean."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from perceptory import notes
from perceptory.data.tables.numbers import NumberFacts, facts_of, numbers_of
from perceptory.errors import InputError
from perceptory.notes import Note
from perceptory.registry import did_you_mean
from perceptory.wording import listed as listed
from perceptory.wording import one_form as one_form
from perceptory.wording import shown_value as shown_value

if TYPE_CHECKING:
    import polars as pl

Storage = Literal["text", "label", "number", "boolean", "date", "other"]

MISSING = frozenset(
    ("", "?", "-", "NA", "Na", "na", "N/A", "n/a", "#N/A", "#NA", "<NA>", "NaN", "nan", "NAN", "NaT", "NULL", "Null")
) | {"null", "NONE", "None", "none"}
"""Texts that stand for a missing value (after spaces around them are taken off), in any source."""


@dataclass(frozen=True, eq=False)
class RawColumn:
    """One column as it was stored.

    data: [row] a polars series (an array is turned into one). By `storage`: "number", integers or Float64; "boolean";
    "date", Date, or Float64 days since 1970-01-01; "text", String (may turn out to hold numbers or dates); "label",
    String (categories, taken as they are); "other", what no network can use, such as lists. Null, or NaN, is missing.
    notes: remarks on how it was read. cells: of a "text" column whose every cell has been read as a number already
    (`data` is Float64), a function that gives the cells as they are written.
    read: of numbers that another column with the same `data` has read already, what `numbers_of` gave.
    unit: the percent sign or currency that every cell of a "text" column had, and that is no part of `data`.
    unclear: why numbers in the cells can be read in two ways, as pieces of an `InputError`.
    of: of "label" what its categories are where they are no texts, "whole numbers" or "truth values".
    """

    name: str
    storage: Storage
    data: Any
    notes: tuple[Note, ...] = ()
    cells: Callable[[], pl.Series] | None = None
    unclear: tuple[Any, ...] = ()
    of: Literal["texts", "whole numbers", "truth values"] = "texts"
    read: tuple[np.ndarray, NumberFacts | None] | None = field(default=None, repr=False)
    unit: str = ""

    def __post_init__(self) -> None:
        if isinstance(self.data, np.ndarray):
            object.__setattr__(self, "data", series_of(self.data))
        if self.storage == "label":
            object.__setattr__(self, "data", composed(self.data))

    def __len__(self) -> int:
        return len(self.data)

    @property
    def integer(self) -> bool:
        """Whether the column was stored as whole numbers."""
        return self.data.dtype.is_integer()

    @cached_property
    def values(self) -> np.ndarray:
        """[row]: float64 with NaN for missing, or objects, str or None, for "text", "label" and "other"."""
        if self.storage in ("text", "label", "other"):
            return objects(self.text.to_list())
        return self.numbers

    @cached_property
    def numbers(self) -> np.ndarray:
        """[row] float64 of `data` that holds numbers, truth values or dates, NaN for missing."""
        return self._numbers[0]

    @cached_property
    def facts(self) -> NumberFacts:
        """Of `numbers`."""
        return self._numbers[1] or facts_of(self.numbers)

    @cached_property
    def _numbers(self) -> tuple[np.ndarray, NumberFacts | None]:
        return self.read or numbers_of(self.data)

    @property
    def text(self) -> pl.Series:
        """[row] String: the cells of "text" as they are written, the categories of "label"."""
        return self.data if self.cells is None else self.cells()

    @cached_property
    def missing(self) -> np.ndarray:
        """[row] bool: True where there is no value."""
        if self.data.dtype.is_float():
            return np.isnan(self.numbers) if self.facts.missing else np.zeros(len(self), bool)
        return self.data.is_null().to_numpy()

    def take(self, rows: np.ndarray) -> RawColumn:
        """The same column with the given rows only (indices or a mask)."""
        cells = self.cells
        if cells is None:
            return replace(self, data=rows_of(self.data, rows), read=None)
        return replace(self, data=rows_of(self.data, rows), read=None, cells=lambda: rows_of(cells(), rows))

    def append(self, other: RawColumn) -> RawColumn:
        """The same column with the rows of another one below."""
        return replace(self, data=stacked(self.data, other.data), read=None)


@dataclass(frozen=True, eq=False)
class Table:
    """Columns of equal length. `named` is False for an array whose columns have no names of their own. by_file: of a
    folder of tables whose last column names the file of each row."""

    columns: tuple[RawColumn, ...]
    rows: int
    notes: tuple[Note, ...] = ()
    named: bool = True
    duplicated: frozenset[str] = field(default_factory=frozenset)  # names that stood more than once
    by_file: bool = False

    def __post_init__(self) -> None:
        names = [one_form(c.name) for c in self.columns]
        if names != [c.name for c in self.columns]:
            names, remarks, twice = unique_names(names, "the table")
            columns = (replace(c, name=name) for c, name in zip(self.columns, names, strict=True))
            object.__setattr__(self, "columns", tuple(columns))
            object.__setattr__(self, "notes", (*self.notes, *remarks))
            object.__setattr__(self, "duplicated", self.duplicated | twice)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(c.name for c in self.columns)

    @cached_property
    def _places(self) -> dict[str, int]:
        return {name: place for place, name in reversed(list(enumerate(self.names)))}

    def column(self, name: str, what: str = "column", clear: bool = True) -> RawColumn:
        """The column of that name; `InputError` with the nearest name where there is none, or, where it has to be
        clear which one is meant, more than one."""
        if not isinstance(name, str):
            raise InputError(f"the {what} needs the name of a column, got a {type(name).__name__}.")
        name = one_form(name)
        if clear and name in self.duplicated:
            raise InputError(
                f"the {what} {name!r} stands more than once in the table, so it is not clear which one is meant. "
                "Rename or remove all but one."
            )
        if name in self._places:
            return self.columns[self._places[name]]
        raise InputError(f"the table has no {what} {name!r}.{nearest(name, self.names)} {columns_are(self.names)}")

    def filled(self, use: str = "") -> Table:
        """The table itself; `InputError` where it has no rows or no columns. use: what its rows are for."""
        if not self.rows or not self.columns:
            raise InputError(f"the table has no rows{use}." if self.columns else "the table has no columns.")
        return self

    def needs(self, names: Iterable[str], why: str) -> None:
        """Raise `InputError` where columns of these names are not there, which are needed; why: says what for."""
        missing = [name for name in names if name not in self._places]
        if missing:
            some = "columns" if len(missing) > 1 else "column"
            raise InputError(f"the table lacks the {some} {listed(missing)}, which {why}. {columns_are(self.names)}")

    def take(self, rows: np.ndarray) -> Table:
        """The same table with the given rows only (indices or a mask)."""
        if rows.dtype == bool:
            rows = np.flatnonzero(rows)
        return replace(self, columns=tuple(c.take(rows) for c in self.columns), rows=len(rows))


def stacked(first: pl.Series, second: pl.Series) -> pl.Series:
    """Both series, one below the other, in a type that holds both."""
    import polars as pl

    return pl.concat([pl.DataFrame({"a": first}), pl.DataFrame({"a": second})], how="vertical_relaxed").to_series()


def rows_of(series: pl.Series, rows: np.ndarray | slice) -> pl.Series:
    """The given rows of a series (indices, a mask or a slice)."""
    if isinstance(rows, slice):
        return series[rows]
    return series.filter(series_of(rows)) if rows.dtype == bool else series.gather(rows)


def series_of(array: np.ndarray, name: str = "") -> pl.Series:
    """A one-dimensional array of numbers, truth values, or texts and None, as a polars series."""
    import polars as pl

    if array.dtype == object:
        return pl.Series(name, array.tolist(), pl.String)
    return pl.Series(name, np.ascontiguousarray(array))


def composed(texts: pl.Series) -> pl.Series:
    """`one_form` of each text."""
    import polars as pl

    if not isinstance(texts.dtype, pl.String) or bool((texts.str.len_bytes() == texts.str.len_chars()).all()):
        return texts  # of letters of ASCII alone
    return texts.str.normalize("NFC")


def nothing_at(path: Path, what: str = "file") -> InputError:
    """Of something that is not at its path."""
    return InputError(f"there is no {what} {str(path)!r} (looked for it in {shown_value(str(Path.cwd()))}).")


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
    assigned: set[str] = set()
    numbers: dict[str, int] = {}  # the next for each name: many may be alike
    for place, name in enumerate(names, 1):
        new = plain = name or f"column {place}"
        while new in assigned or (new != name and new in taken):
            numbers[plain] = numbers.get(plain, 1) + 1
            new = f"{plain}.{numbers[plain]}"
        if not name:
            empty.append(new)
        elif new != name:
            renamed.append((name, new))
        assigned.add(new)
        result.append(new)
    remarks = [notes.column_renamed(where, old, new) for old, new in renamed]
    if empty:
        remarks.append(notes.columns_named(where, empty))
    return result, remarks, frozenset(old for old, _ in renamed)
