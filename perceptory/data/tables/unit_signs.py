"""Columns of numbers with a percent sign or a currency in every cell: 12.5 %, $1,234.50, 1.234,50 €.

The sign is taken off where all cells have the same one at the same end, and comes back as the column's `unit`; ($5.00)
is -$5.00. The marks in the numbers are looked at afterwards, as in any other column.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from perceptory.data.tables.cells import first_of, numbers_in, stripped
from perceptory.data.tables.table import MISSING, RawColumn
from perceptory.notes import Note, unit_taken_off

if TYPE_CHECKING:
    import polars as pl

SIGNS = ("%", "‰", "€", "$", "£", "¥", "₹", "US$", "EUR", "USD", "GBP", "CHF", "JPY")
_ANY = "|".join(re.escape(sign) for sign in sorted(SIGNS, key=len, reverse=True))
_BODY = r"[0-9.,](?:[0-9.,'’ \x{a0}\x{2009}\x{202f}]*[0-9])?[.,]?"
_FIRST = re.compile(rf"[+\-\u2212]?\s*(?:(?P<before>{_ANY})\s*[+\-\u2212]?\s*[0-9.,]|[0-9.,].*?\s*(?P<behind>{_ANY})$)")
HEAD = 1000  # cells that are looked at first

Taken = dict[int, RawColumn]  # by place: the column as it was


def without_signs(columns: Sequence[RawColumn]) -> tuple[list[RawColumn], Taken]:
    """The columns without the signs in their cells, and those that had any as they were."""
    bare, taken = list(columns), {}
    for place, column in enumerate(columns):
        if column.storage == "text" and column.cells is None and (found := _bare(column)) is not None:
            bare[place], taken[place] = found, column
    return bare, taken


def with_units(columns: Sequence[RawColumn], taken: Taken) -> tuple[list[RawColumn], list[Note]]:
    """Of the columns that had signs those whose cells are numbers without them as numbers, the others as they were;
    and a note on the former."""
    result, names = list(columns), dict[str, list[str]]()
    for place, original in taken.items():
        column = columns[place]
        if column.unclear:
            continue
        data = column.data if column.cells is not None else numbers_in(stripped(column.data))
        if data.null_count() > stripped(original.data).null_count():
            result[place] = original
            continue
        result[place] = replace(column, data=data, cells=partial(_data_of, original))
        names.setdefault(column.unit, []).append(column.name)
    return result, [unit_taken_off(sign, some) for sign, some in names.items()]


def _data_of(column: RawColumn) -> pl.Series:
    series: pl.Series = column.data
    return series


def _bare(column: RawColumn) -> RawColumn | None:
    """The column with the sign in `unit` and not in its cells; None where it is no such column."""
    first = first_of(column.data)
    if first is not None and first.strip() in MISSING:
        first = first_of(stripped(column.data.head(HEAD)))
    found = None if first is None else _FIRST.match(first.strip().strip("()"))
    if found is None:
        return None
    sign, before = found["before"] or found["behind"], found["before"] is not None
    pattern = _pattern(sign, before)
    for rows in (column.data.head(HEAD), column.data):
        cells = stripped(rows).str.replace(r"^\((.*)\)$", "-${1}")  # as accountants write what is below 0
        present = cells.drop_nulls()
        if not present.str.contains(pattern).all():
            return None
    bare = cells.str.replace(pattern, "${1}${2}${3}").str.replace("\u2212", "-", literal=True)
    return replace(column, data=bare, unit=sign)


def _pattern(sign: str, before: bool) -> str:
    """What each cell is: its sign of plus or minus stands before the currency or behind it, once."""
    s, minus = re.escape(sign), "[+\\-\u2212]"
    if before:
        return rf"^(?:({minus}) ?{s} ?|{s} ?({minus})? ?)({_BODY})$"
    return rf"^({minus}?)()({_BODY})[ \x{{a0}}\x{{2009}}\x{{202f}}]?{s}$"


def two_units(cells: pl.Series) -> tuple[int, int] | None:
    """Places of two cells of different units, or of which one has none, in a column that is nearly all numbers; None of
    another column. cells: stripped."""
    numbers = cells.str.contains(_MEASURED).fill_null(False)
    if numbers.sum() < NEARLY_ALL * (len(cells) - cells.null_count()):
        return None
    import polars as pl

    signs = pl.select(pl.when(numbers).then(cells.str.extract(f"({_ANY})", 1).fill_null(""))).to_series()
    if signs.drop_nulls().n_unique() < 2:
        return None
    first = int(signs.is_not_null().arg_max() or 0)
    return first, int((signs != signs[first]).fill_null(False).arg_max() or 0)


NEARLY_ALL = 0.8  # of the cells
_MEASURED = rf"^[+\-\x{{2212}}]? ?(?:{_ANY})? ?[+\-\x{{2212}}]? ?{_BODY} ?(?:{_ANY})?$"
