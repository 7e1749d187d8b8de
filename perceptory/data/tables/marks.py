"""The marks in numbers: which stand before decimals, and which between thousands."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from perceptory.data.ahead import LARGE
from perceptory.data.tables.cells import EXPONENT, MARKS, Reading, first_of, numbers_in, stripped
from perceptory.data.tables.numbers import floats
from perceptory.data.tables.table import MISSING, RawColumn, composed, shown_value
from perceptory.data.tables.unit_signs import with_units, without_signs
from perceptory.errors import InputError, Remedy, Setting
from perceptory.notes import (
    Note,
    decimal_commas,
    decimals_possible,
    points_as_decimals,
    thousands_marked,
    thousands_possible,
)

if TYPE_CHECKING:
    import polars as pl

BLANKS = "\u00a0\u2009\u202f"  # that stand between thousands where a space does
MANY = 20  # different numbers with a comma, in a file whose cells commas part, are no list of codes such as "1,2"
_MAY_BE = re.compile(rf"\s*[+-]?[0-9.,'’ {BLANKS}]")
_LIKE = rf"^[+-]?[0-9.,'’ {BLANKS}]+" + EXPONENT


def read_cells(
    columns: Sequence[RawColumn], reading: Reading, delimiter: str | None = None
) -> tuple[list[RawColumn], list[Note]]:
    """Columns whose texts are numbers with a decimal comma, with marks between thousands, or with a percent sign or a
    currency, as numbers; and notes.

    delimiter: of the file that the columns are from. What the marks mean is told by `reading`, or by the cells of all
    columns: a mark that is not followed by exactly three digits stands before decimals, one that stands twice in a
    number separates thousands, and of two marks the one in front does. Where every mark is followed by exactly three
    digits and no other column tells, the column is `unclear`.
    """
    columns = [_without(_in_plain_characters(c), reading.missing) for c in columns]
    columns, taken = without_signs(columns)
    notes: list[Note] = []
    if reading.decimal:
        columns = [_as_asked(c, reading.decimal, reading.thousands) for c in columns]
    else:
        commas = delimiter not in (None, ",")  # in other files a comma may stand before decimals
        uses = {place: use for place, c in enumerate(columns) if c.storage == "text" and (use := _use(c, commas))}
        columns, notes = _by_use(columns, uses, commas, reading.usual)
    columns, more = with_units(columns, taken)
    return columns, [*notes, *more]


def usual_mark(notes: Sequence[Note]) -> str:
    """The mark before decimals that the notes of reading tell of; "" where they tell of none, or of both."""
    commas = any(decimal_commas.describes(n) for n in notes)
    marked = {str(n.facts["mark"]) for n in notes if thousands_marked.describes(n)}
    found = {","} if commas or "point" in marked else set()
    found |= {"."} if "comma" in marked else set()
    return found.pop() if len(found) == 1 else ""


@dataclass(frozen=True)
class _Use:
    """How the numbers of a column may be written."""

    mark: str  # "," or "."; of a column that is certain, the mark before decimals
    decimal: bool = False  # every cell is a number if the mark stands before decimals
    thousands: bool = False  # every cell is a number if the mark separates thousands
    groups: str = ""  # the mark between thousands, of a column that is certain to have one besides
    possible: bool = False  # `groups`, or else `mark`, may be no such mark


def _in_plain_characters(column: RawColumn) -> RawColumn:
    """Numbers with the minus sign of typography, wide, Arabic, Persian or Indian digits, or beside marks that are not
    seen, in ASCII."""
    if column.storage != "text" or column.cells is not None or not column.data.head(1000).str.contains(_TYPESET).any():
        return column
    plain = column.data.str.replace_many(_PLAIN).str.replace_all(f"[{_UNSEEN}]", "").str.normalize("NFKC")
    cells = stripped(plain).drop_nulls()
    return replace(column, data=plain) if len(cells) and cells.str.contains(_LIKE).all() else column


_UNSEEN = "\u200b\u200e\u200f\u2060\ufeff"  # spaces without width, and marks of the direction of writing
_PLAIN = {"\u2212": "-", "\u066b": ".", "\u066c": ","}
_PLAIN |= {chr(zero + k): f"{k}" for zero in (0x0660, 0x06F0, 0x0966) for k in range(10)}
_TYPESET = rf"^\s*[+\-]?[0-9]*[\u2212\uff0b\uff0d{_UNSEEN}\p{{Nd}}&&[^0-9]]"


def _without(column: RawColumn, missing: tuple[str, ...]) -> RawColumn:
    """The column with null in the cells that are one of the texts `missing`."""
    import polars as pl

    if not missing or column.storage in ("other", "boolean", "date"):
        return column
    mark: pl.Series | None
    if column.data.dtype == pl.String:
        mark = composed(column.data).str.strip_chars().is_in(list(missing))
    else:
        numbers = numbers_in(pl.Series(missing)).drop_nulls()
        mark = column.data.cast(pl.Float64).is_in(numbers.to_list()) if len(numbers) else None
    if mark is None or not mark.any():
        return column
    data = pl.select(pl.when(~mark.fill_null(False)).then(column.data)).to_series()
    cells = column.cells
    if cells is None:
        return replace(column, data=data)
    return replace(column, data=data, cells=lambda: pl.select(pl.when(data.is_not_null()).then(cells())).to_series())


# --- what the marks of one column may mean ------------------------------------------------------------------------


def _use(column: RawColumn, commas: bool) -> _Use | None:
    """What marks the column's numbers hold; None where it has none, or does not hold numbers. commas: whether decimal
    commas are to be expected; where they are not, points in whole numbers mean nothing."""
    cells = None
    if column.unit and column.cells is not None:  # read before, when its text has its unit
        return None
    if column.cells is None:
        first = first_of(column.data)
        if first is not None and first.strip() not in MISSING and not _MAY_BE.match(first):
            return None
        if not stripped(column.data.head(1000)).drop_nulls().str.contains(_LIKE).all():
            return None
        cells = stripped(column.data).drop_nulls()
        if not len(cells) or not cells.str.contains(_LIKE).all():
            return None
        numbers = numbers_in(cells)
    else:
        numbers = column.data
        if numbers.dtype.is_integer():
            return None
    if column.cells is not None or not numbers.null_count():  # plain numbers, with a point if with any mark
        few = column.numbers if numbers is column.data and len(column) < LARGE else floats(numbers.head(1000))
        if _surely_decimal(few[:1000]):
            return _Use(".", True)
        values = floats(numbers)
        if not commas and not (values != np.floor(values))[np.isfinite(values)].any():
            return None
        if _surely_decimal(values):
            return _Use(".", True)
    cells = stripped(column.text).drop_nulls() if cells is None else cells
    return _of_one_mark(cells, commas) or _of_two_marks(_plain(cells))


def _of_one_mark(cells: pl.Series, commas: bool) -> _Use | None:
    for mark in (",", "."):
        if not cells.str.contains(mark, literal=True).any():
            continue
        m = rf"\{mark}"
        decimal = bool(cells.str.contains(rf"^[+-]?(?:[0-9]+{m}?[0-9]*|{m}[0-9]+)" + EXPONENT).all())
        thousands = bool(cells.str.contains(rf"^[+-]?(?:0|{_grouped(m)}|[1-9][0-9]{{0,2}})$").all())
        if decimal and not thousands and mark == "," and not commas and cells.n_unique() <= MANY:
            return _Use(mark, decimal, possible=True)  # a list of codes, perhaps
        if decimal or thousands:
            return _Use(mark, decimal, thousands)
    return None


def _of_two_marks(cells: pl.Series) -> _Use | None:
    """Cells with marks of two kinds, or with spaces or apostrophes between thousands."""
    held = {mark: bool(cells.str.contains(mark, literal=True).any()) for mark in MARKS}
    for decimal, groups in ((".", ","), (",", "."), (".", "'"), (",", "'"), (".", " "), (",", " ")):
        if not held[groups] or any(held[m] for m in MARKS if m not in (decimal, groups)):
            continue
        if not _fit(cells, decimal, groups):
            continue
        if not held[decimal] and groups == " ":  # words such as "110 001" may be codes, which are all as long
            lengths = cells.str.replace_all(r"[^0-9]", "").str.len_chars()
            return _Use(decimal, decimal=True, groups=groups, possible=lengths.n_unique() < 2)
        return _Use(decimal, decimal=True, groups=groups)
    return None


def _grouped(mark: str) -> str:
    """A pattern of whole numbers with a mark between groups of three digits, or of two as in India. mark: escaped."""
    return rf"[1-9][0-9]{{0,2}}(?:{mark}[0-9]{{3}})+|[1-9][0-9]?(?:{mark}[0-9]{{2}})+{mark}[0-9]{{3}}"


def _plain(cells: pl.Series) -> pl.Series:
    """Texts with one kind of space and one of apostrophe."""
    return cells.str.replace_all(f"[{BLANKS}]", " ").str.replace_all("’", "'", literal=True)


def _fit(cells: pl.Series, decimal: str, thousands: str) -> bool:
    """Whether all cells are numbers that are written so."""
    d, t = rf"\{decimal}", rf"\{thousands}"
    digits = rf"(?:{_grouped(t)}|[0-9]+)" if thousands else r"[0-9]+"
    return bool(cells.str.contains(rf"^[+-]?(?:{digits}(?:{d}[0-9]*)?|{d}[0-9]+)" + EXPONENT).all())


def _surely_decimal(values: np.ndarray) -> bool:
    """Whether plain numbers have a point that is not followed by exactly three digits, or cannot separate thousands."""
    values = values[np.isfinite(values)]
    fractions = values[values != np.floor(values)]
    wide = (np.abs(values) >= 1000).any() or (np.abs(fractions) < 1).any()
    return bool(fractions.size and (wide or (np.round(values * 1000) / 1000 != values).any()))


# --- what all columns together tell -------------------------------------------------------------------------------


def _by_use(
    columns: list[RawColumn], uses: dict[int, _Use], commas: bool, usual: str
) -> tuple[list[RawColumn], list[Note]]:
    certain = [u for u in uses.values() if u.decimal != u.thousands and not u.possible]
    points = {"." for u in certain if u.mark == "." and u.decimal}  # as programs write them: they say little of commas
    told = {u.mark if u.decimal else _other(u.mark) for u in certain if u.mark == "," or u.thousands or u.groups == ","}
    told = told or ({usual} if usual else set())
    result = list(columns)
    commas_in: list[str] = []
    groups_in: dict[str, list[str]] = {}
    notes: list[Note] = []
    for place, use in uses.items():
        column, decimals = columns[place], told | points if use.mark == "." else told
        if use.possible:
            known = (column.name, MARKS[use.groups], use.groups) if use.groups else None
            notes.append(decimals_possible(column.name) if known is None else thousands_possible(*known))
            continue
        if use.decimal != use.thousands:
            decimal = use.mark if use.decimal else _other(use.mark)
        elif len(decimals) == 1:
            decimal = next(iter(decimals))
        elif use.mark == "." and not commas and not decimals:
            notes.append(points_as_decimals(column.name))
            continue
        else:
            result[place] = replace(column, unclear=_unclear(column, use.mark))
            continue
        groups = use.groups or (use.mark if use.mark != decimal else "")
        if decimal == "," or groups:
            result[place] = _as_written(column, decimal, groups)
        if decimal == "," and not (groups and not use.groups):
            commas_in.append(column.name)
        if groups:
            groups_in.setdefault(groups, []).append(column.name)
    first = [decimal_commas(commas_in)] if commas_in else []
    return result, [*first, *(thousands_marked(MARKS[m], names) for m, names in groups_in.items()), *notes]


def _other(mark: str) -> str:
    return "." if mark == "," else ","


def _unclear(column: RawColumn, mark: str) -> tuple[Any, ...]:
    cells = stripped(column.text)
    example = cells.filter(cells.str.contains(mark, literal=True).fill_null(False))[0]
    one, other = example.replace(mark, "."), example.replace(mark, "")
    return (
        f"column {column.name!r} holds numbers such as {shown_value(example)}, and every {MARKS[mark]} in it is "
        f"followed by three digits, so it may stand before decimals ({one}) or between thousands ({other}).",
        Remedy(" Say ", Setting("decimal", mark), " or ", Setting("thousands", mark), "."),
    )


def _as_asked(column: RawColumn, decimal: str, thousands: str) -> RawColumn:
    """As `_as_written`; a column that is written with the other mark before decimals is `unclear`."""
    if column.unit and column.cells is not None:
        return column
    read = _as_written(column, decimal, thousands)
    if decimal != "," or read.storage != "text" or read.cells is not None:
        return read
    cells = stripped(read.text).drop_nulls()
    points = cells.str.contains(".", literal=True)
    if not points.any() or numbers_in(cells).null_count():
        return read
    example = cells.filter(points)[0]
    reason = (
        f"column {column.name!r} holds numbers with a point, such as {shown_value(example)}, and ",
        Setting("decimal", ","),
        " says that a comma stands before decimals. Leave that out",
        *([] if thousands else [" or, where points stand between thousands, say ", Setting("thousands", ".")]),
        ".",
    )
    return replace(read, unclear=reason)


def _as_written(column: RawColumn, decimal: str, thousands: str) -> RawColumn:
    """A column of text as numbers, by their marks; itself where a cell is no such number."""
    import polars as pl

    if column.storage != "text":
        return column
    original = column.text
    cells = stripped(original)
    if thousands in (" ", "'"):
        cells = _plain(cells)
    present = cells.drop_nulls()
    if not len(present) or not _fit(present, decimal, thousands):
        # Numbers of another style are no numbers here, even where they could be read as such.
        return column if column.cells is None else replace(column, data=original, cells=None)
    if thousands:
        cells = cells.str.replace_all(thousands, "", literal=True)
    if decimal != ".":
        cells = cells.str.replace(decimal, ".", literal=True)
    return replace(column, data=cells.cast(pl.Float64), cells=column.cells or (lambda: original))


def refuse_unclear(raw: RawColumn) -> None:
    """Raise `InputError` for a column of rows to predict whose numbers can be read in two ways."""
    if raw.unclear:
        plain = [piece for piece in raw.unclear if not isinstance(piece, Remedy)]
        raise InputError(*plain, " Write the numbers with a point before decimals and no mark between thousands.")
