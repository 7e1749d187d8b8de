"""Rows of a long table in the order of time: which series they belong to, and whether they are evenly sampled."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from perceptory.data.series.calendar import UNKNOWN, Calendar, amount, calendar_of, reason, shown
from perceptory.data.tables.cells import identity, places
from perceptory.data.tables.column import Column
from perceptory.data.tables.inference import infer
from perceptory.data.tables.table import Table
from perceptory.errors import InputError, Piece, Remedy, Setting
from perceptory.notes import Note, counts_rows, leap_days_left_out, phrase


def is_index(column: Column) -> bool:
    """Whether `infer` left a column out because it counts the rows, which is a good time."""
    return any(counts_rows.describes(note) for note in column.notes)


@dataclass(frozen=True, eq=False)
class Clock:
    """Series in a table. order: [row] rows of the table, series by series, each in order of time. starts: [series + 1]
    where each begins in that order. names: one for each series. moments: [row] in that order, the time, or the place
    in its series. calendar: the step from row to row, unknown without a time column. numbers: [row] in that order,
    where each row stood in the table as it was given; one that was filled in has that of the row before it. given: of a
    table that is a part of one, [row of the table] where each stood in that; for messages."""

    order: np.ndarray
    starts: np.ndarray
    names: tuple[str, ...]
    moments: np.ndarray
    calendar: Calendar = UNKNOWN
    numbers: np.ndarray | None = None
    notes: tuple[Note, ...] = ()
    given: np.ndarray | None = None

    @property
    def rows(self) -> np.ndarray:
        """[row] in that order, where each row stood in the table as it was given."""
        return self.order if self.numbers is None else self.numbers

    @property
    def inside(self) -> np.ndarray:
        """[row - 1] whether the next row is of the same series."""
        inside = np.ones(max(0, len(self.order) - 1), bool)
        inside[self.starts[1:-1] - 1] = False
        return inside

    @property
    def lengths(self) -> np.ndarray:
        return np.diff(self.starts)

    def where(self, place: int) -> str:
        """A place in the order, in words: "row 5", or "row 5 (series 'a')", counted in the table from 1."""
        series = int(np.searchsorted(self.starts, place, side="right")) - 1
        name = f" (series {self.names[series]!r})" if len(self.names) > 1 else ""
        row = self.rows[place] if self.given is None else self.given[self.rows[place]]
        return f"row {row + 1}{name}"


def read_clock(
    table: Table, time: str | None, series: str | None, *, found: bool = False, given: np.ndarray | None = None
) -> Clock:
    """Sort out the series of a table and check their times.

    Series are the rows that have the same value in the column `series`, in their order of first appearance; rows of
    one series need not stand together. The column `time` (numbers or dates) must increase from row to row of a series,
    in equal steps of one calendar, the same for all series: dates may go by months, by business days, or leave out
    leap days. found: the column was not named but found to hold times. given: as in `Clock`. Raises
    `InputError` with the place of the first row that breaks this, and what to do.
    """
    clock, dates = times_of(table, time, series, given)
    return clock if time is None else even(clock, time, dates, found)


def times_of(table: Table, time: str | None, series: str | None, given: np.ndarray | None = None) -> tuple[Clock, bool]:
    """The series of a table with their times as they stand, and whether these are dates."""
    names, order, starts = _series(table, series)
    if time is None:
        moments = np.arange(table.rows, dtype=np.float64) - np.repeat(starts[:-1], np.diff(starts))
        return Clock(order, starts, names, moments, given=given), False
    raw = table.column(time, "column of time")
    column = infer(raw)
    if column.kind not in ("numeric", "date") and not is_index(column):
        example = next((v for v in raw.values.tolist() if v is not None and v == v), None)
        raise InputError(
            f"the column of time {time!r} needs numbers or dates, but holds "
            f"{'no value' if example is None else f'values such as {str(example)[:40]!r}'}. Write dates as 2020-12-31."
        )
    moments = np.asarray(column.values[order], np.float64)
    clock = Clock(order, starts, names, moments, given=given)
    missing = np.flatnonzero(np.isnan(moments))
    if missing.size:
        raise InputError(
            f"the column of time {time!r} has no value in {clock.where(missing[0])}. Fill it in, or leave that row out."
        )
    return clock, column.kind == "date"


def _series(table: Table, series: str | None) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
    if series is None:
        return ("",), np.arange(table.rows), np.array([0, table.rows])
    raw = table.column(series, "column of series")
    if raw.storage == "other":
        raise InputError(f"the column of series {series!r} needs texts or numbers, but has ", *phrase(raw.notes), ".")
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


def even(clock: Clock, time: str, dates: bool, found: bool = False) -> Clock:
    """The clock with its calendar, after a check that the times are equal steps in it."""
    moments, inside = clock.moments, clock.inside
    if not inside.any():
        return clock
    judged = calendar_of(moments, inside, dates)
    calendar = judged.calendar
    steps = np.diff(moments)
    back = np.flatnonzero(inside & (steps <= 0))
    why = "" if not back.size else reason(moments[back[0]], moments[back[0] + 1], calendar.step or 0, calendar.unit)
    if back.size:
        first = int(back[0])
        twice = steps[first] == 0
        what = f"has the time {shown(moments[first], dates)} twice" if twice else "goes back"
        remedy = "Keep one of the two rows" if twice else "Sort the rows by time"
        fill: tuple[Piece, ...] = (FILL_IT,) if twice or why else ()
        apart: tuple[Piece, ...] = (", or name the column that tells several series apart (", Setting("series"), ")")
        apart = () if len(clock.names) > 1 else apart
        raise InputError(
            f"the column of time {time!r} has to increase from row to row, but {what} in {clock.where(first + 1)}{why}"
            f"{_more(back)}. {remedy}",
            *apart,
            *fill,
            ".",
        )
    if not judged.wrong.size:
        notes = (leap_days_left_out(time),) if calendar.unit == "day but leap days" else ()
        return replace(clock, calendar=calendar, notes=notes)
    bad, unit, step = int(judged.wrong[0]), calendar.unit, calendar.step or 0
    wide = np.diff(calendar.positions(moments))
    gap = wide[bad] > step
    as_they_come = Setting("ignore", time) if found else Setting("time")
    raise InputError(
        f"the column of time {time!r} has to go in equal steps, but has {'a gap' if gap else 'a shorter step'} of "
        f"{amount(wide[bad], unit)} between {shown(moments[bad], dates)} and {shown(moments[bad + 1], dates)} in "
        f"{clock.where(bad + 1)}, where the step is {amount(step, unit)}"
        f"{reason(moments[bad], moments[bad + 1], step, unit)}{_more(judged.wrong)}. Fill in the missing rows",
        Remedy(" (", Setting("fill", "linear"), ")") if gap else "",
        " or resample, part the series there by a column of series, or take the rows as they come, ",
        "with " if found else "without ",
        as_they_come,
        ".",
    )


FILL_IT = Remedy(", or let the first row of each time stay (", Setting("fill", "previous"), ")")


def _more(wrong: np.ndarray) -> str:
    return f", and {wrong.size - 1} more such place{'s' * (wrong.size > 2)}" if wrong.size > 1 else ""
