"""Rows of a long table in the order of time: which series they belong to, and whether they are evenly sampled."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from perceptory.data.tables.cells import identity, places
from perceptory.data.tables.column import Column
from perceptory.data.tables.inference import infer
from perceptory.data.tables.table import Table
from perceptory.errors import InputError, Setting
from perceptory.notes import counts_rows, joined

UNEVEN = 0.1  # of a time step: rounded times are even, a missing row never is
UNITS = ("", "day", "month")  # of a time step: none for numbers


def is_index(column: Column) -> bool:
    """Whether `infer` left a column out because it counts the rows, which is a good time."""
    return any(counts_rows.describes(note) for note in column.notes)


@dataclass(frozen=True, eq=False)
class Clock:
    """Series in a table. order: [row] rows of the table, series by series, each in order of time. starts: [series + 1]
    where each begins in that order. names: one for each series. moments: [row] in that order, the time, or the place
    in its series. step: between two rows, None without a time column; unit: its unit, of UNITS."""

    order: np.ndarray
    starts: np.ndarray
    names: tuple[str, ...]
    moments: np.ndarray
    step: float | None = None
    unit: str = ""

    @property
    def lengths(self) -> np.ndarray:
        return np.diff(self.starts)

    def where(self, place: int) -> str:
        """A place in the order, in words: "row 5", or "row 5 (series 'a')", counted in the table from 1."""
        series = int(np.searchsorted(self.starts, place, side="right")) - 1
        name = f" (series {self.names[series]!r})" if len(self.names) > 1 else ""
        return f"row {self.order[place] + 1}{name}"


def read_clock(table: Table, time: str | None, series: str | None) -> Clock:
    """Sort out the series of a table and check their times.

    Series are the rows that have the same value in the column `series`, in their order of first appearance; rows of
    one series need not stand together. The column `time` (numbers or dates) must increase from row to row of a series,
    in equal steps, the same for all series; dates may also go by whole months. Raises `InputError` with the place of
    the first row that breaks this.
    """
    names, order, starts = _series(table, series)
    if time is None:
        moments = np.arange(table.rows, dtype=np.float64) - np.repeat(starts[:-1], np.diff(starts))
        return Clock(order, starts, names, moments)
    raw = table.column(time, "column of time")
    column = infer(raw)
    if column.kind not in ("numeric", "date") and not is_index(column):
        example = next((v for v in raw.values.tolist() if v is not None and v == v), None)
        raise InputError(
            f"the column of time {time!r} needs numbers or dates, but holds "
            f"{'no value' if example is None else f'values such as {str(example)[:40]!r}'}. Write dates as 2020-12-31."
        )
    moments = np.asarray(column.values[order], np.float64)
    clock = Clock(order, starts, names, moments)
    missing = np.flatnonzero(np.isnan(moments))
    if missing.size:
        raise InputError(
            f"the column of time {time!r} has no value in {clock.where(missing[0])}. Fill it in, or leave that row out."
        )
    return replace(clock, **_even(clock, moments, time, column.kind == "date"))


def _series(table: Table, series: str | None) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
    if series is None:
        return ("",), np.arange(table.rows), np.array([0, table.rows])
    raw = table.column(series, "column of series")
    if raw.storage == "other":
        raise InputError(f"the column of series {series!r} needs texts or numbers, but has {joined(raw.notes)}.")
    labels = identity(raw)
    if labels.null_count():
        raise InputError(
            f"the column of series {series!r} has no value in row {int(labels.is_null().arg_max() or 0) + 1}. Fill it "
            "in, or leave that row out."
        )
    names = tuple(labels.unique(maintain_order=True).to_list())
    index = places(labels, names)
    starts = np.concatenate([[0], np.cumsum(np.bincount(index))])
    return names, np.argsort(index, kind="stable"), starts


def _even(clock: Clock, moments: np.ndarray, time: str, dates: bool) -> dict[str, Any]:
    """The time step and its unit, after a check that it is the same all over."""
    steps = np.diff(moments)
    inside = np.ones(len(steps), bool)
    inside[clock.starts[1:-1] - 1] = False
    back = np.flatnonzero(inside & (steps <= 0))
    if back.size:
        first = int(back[0])
        twice = f"has the time {_shown(moments[first], dates)} twice" if steps[first] == 0 else "goes back"
        remedy = "Keep one of the two rows" if steps[first] == 0 else "Sort the rows by time"
        several = "" if len(clock.names) > 1 else ", or name the column that tells several series apart (series=)"
        raise InputError(
            f"the column of time {time!r} has to increase from row to row, but {twice} in {clock.where(first + 1)}. "
            f"{remedy}{several}."
        )
    if not inside.any():
        return {}
    bad, step = _uneven(steps, inside)
    unit = "day" if dates else ""
    exact = not np.ptp(steps[inside])
    months = _months(moments) if dates and not exact else None  # days would nearly do, but months are what is meant
    if months is not None:
        by_month, month = _uneven(np.diff(months), inside)
        if by_month is None or month >= 1:
            bad, step, steps, unit = by_month, month, np.diff(months), "month"
    if bad is None:
        return {"step": step, "unit": unit}
    what = "a gap" if steps[bad] > step else "a shorter step"
    raise InputError(
        f"the column of time {time!r} has to go in equal steps, but has {what} of {_amount(steps[bad], unit)} between "
        f"{_shown(moments[bad], dates)} and {_shown(moments[bad + 1], dates)} in {clock.where(bad + 1)}, where "
        f"the step is {_amount(step, unit)}. Fill in the missing rows or resample, part the series there by a column "
        "of series, or take the rows as they come, without ",
        Setting("time"),
        ".",
    )


def _uneven(steps: np.ndarray, inside: np.ndarray) -> tuple[int | None, float]:
    """The first place whose step differs from the usual one, or None; and the usual step."""
    usual = np.sort(steps[inside])[(inside.sum() - 1) // 2]
    step = float(np.mean(steps[inside & (np.abs(steps - usual) <= usual / 4)]))  # closer than one that was rounded
    wrong = np.flatnonzero(inside & (np.abs(steps - step) > UNEVEN * step))
    return (int(wrong[0]) if wrong.size else None), step


def _months(days: np.ndarray) -> np.ndarray | None:
    """Months since 1970-01 of dates that all stand on one day of the month, or all on its last day; else None."""
    whole = np.floor(days)
    if (whole != days).any():
        return None
    dates = whole.astype("datetime64[D]")
    months = dates.astype("datetime64[M]")
    day = (dates - months).astype(np.int64)
    last = ((dates + 1).astype("datetime64[M]") != months).all()
    return months.astype(np.float64) if last or (day == day[0]).all() else None


def _amount(number: float, unit: str) -> str:
    return f"{number:.6g} {unit}{'' if number == 1 else 's'}" if unit else f"{number:.6g}"


def _shown(moment: float, dates: bool) -> str:
    if not dates:
        return f"{moment:.10g}"
    if moment == np.floor(moment):
        return str(np.datetime64(int(moment), "D"))
    return str(np.datetime64(round(moment * 86400), "s")).replace("T", " ")
