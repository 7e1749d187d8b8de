"""Months and quarters as series write them, 2024-05 or 2024Q2: dates, the first day of each."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from perceptory.data.tables.table import RawColumn, Table

PERIODS = {
    "month": (r"^\s*([0-9]{4})(?:[-/]|[- ]?[Mm])(0[1-9]|1[0-2])\s*$", 1),
    "quarter": (r"^\s*([0-9]{4})[-/ ]?[Qq]([1-4])\s*$", 3),
}
"""By name: a pattern of the year and the number in it, and how many months one takes."""


def with_dates(table: Table) -> Table:
    """The table, its columns of text that name a month or a quarter in every row as dates."""
    return replace(table, columns=tuple(map(_dated, table.columns)))


def _dated(raw: RawColumn) -> RawColumn:
    if raw.storage != "text" or raw.cells is not None or not len(raw):  # what is a number is no month
        return raw
    for pattern, months in PERIODS.values():
        days = _days(raw, pattern, months)
        if days is not None:
            return RawColumn(raw.name, "date", days, raw.notes)
    return raw


def _days(raw: RawColumn, pattern: str, months: int) -> np.ndarray | None:
    """[row] days since 1970-01-01; None where a cell is none of these."""
    import polars as pl

    first = raw.text.head(1).str.contains(pattern)
    if not first.item() or not raw.text.str.contains(pattern).all(ignore_nulls=False):
        return None
    year, number = (raw.text.str.extract(pattern, k).cast(pl.Int64).to_numpy() for k in (1, 2))
    begun = (year - 1970) * 12 + (number - 1) * months
    return np.asarray(begun.astype("datetime64[M]").astype("datetime64[D]").astype(np.float64))
