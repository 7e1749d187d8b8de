"""Gaps of series: missing rows and cells are filled in where that is asked for, and rows that stand twice left out."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from perceptory.data.series.calendar import UNEVEN, Calendar, calendar_of, goes_back_by_an_hour
from perceptory.data.series.clock import Clock, even, is_index, read_clock, times_of
from perceptory.data.tables.inference import infer
from perceptory.data.tables.table import RawColumn, Table
from perceptory.errors import InputError, Setting
from perceptory.notes import Note, cells_filled, filled_in
from perceptory.registry import Registry

FILLS: Registry[str] = Registry(
    "way to fill gaps",
    {
        "previous": "the value before",
        "linear": "a straight line from the value before to the one behind",
        "missing": "the value before, marked as missing by a further input; what is missing is no target",
    },
)
MISSING = " missing"  # after the name of a column: the further input that is 1 where its value is missing


def regular(
    table: Table,
    time: str | None,
    series: str | None,
    fill: str | None,
    *,
    found: bool = False,
    given: np.ndarray | None = None,
) -> tuple[Table, Clock]:
    """The table with its gaps filled in, and the clock of its rows; without `fill`, the table as it is, with a clock
    that refuses gaps (`read_clock`).

    fill: "previous", "linear" or "missing" (see `FILLS`); the first missing values of a series take the first known
    one. Rows are put in where times leave some out (leap days and clocks that go forward among them); of rows with the
    same time, and of the hour that clocks repeat, the first ones stay. Raises `InputError` for times that go back, that
    stand between the steps, or of which more are missing than there are. given: as in `Clock`.
    """
    if fill is None:
        return table, read_clock(table, time, series, found=found, given=given)
    clock, dates = times_of(table, time, series, given)
    if time is not None and clock.inside.any():
        clock = _without_repeats(clock, time, dates)
        source, clock = _with_missing_rows(clock, time, dates, fill)
    else:
        source = np.arange(len(clock.order))
    added = np.zeros(len(clock.order), bool)
    added[1:] = source[1:] == source[:-1]
    keys = {name for name in (time, series) if name is not None}
    columns, filled = [], []
    for column in table.columns:
        taken = column.take(clock.rows)
        new, cells = (taken, False) if column.name in keys else _filled(taken, infer(column), clock, added, fill)
        columns.append(new)
        filled += [column.name] * cells
    notes = (*clock.notes, cells_filled(filled, fill)) if filled else clock.notes
    order = np.arange(len(clock.order))
    clock = replace(clock, order=order, numbers=clock.rows, notes=notes)
    return replace(table, columns=tuple(columns), rows=len(order)), clock


def _without_repeats(clock: Clock, time: str, dates: bool) -> Clock:
    """The clock without rows whose time a row before has, or that belong to the hour that clocks repeat."""
    moments, inside = clock.moments, clock.inside
    steps = np.diff(moments)
    calendar = calendar_of(moments, inside, dates).calendar
    for place in np.flatnonzero(inside & (steps < 0)).tolist():
        if not goes_back_by_an_hour(moments[place], moments[place + 1], calendar.step or 0, calendar.unit):
            even(clock, time, dates)
    latest = np.concatenate(
        [np.maximum.accumulate(moments[a:b]) for a, b in zip(clock.starts, clock.starts[1:], strict=False)]
    )
    keep = np.ones(len(moments), bool)
    keep[1:] = ~inside | (moments[1:] > latest[:-1])
    if keep.all():
        return clock
    starts = np.concatenate([[0], np.cumsum(keep)])[clock.starts]
    note = filled_in(0, 0, clock.where(int(np.argmin(keep))), int((~keep).sum()), "")
    return replace(clock, order=clock.order[keep], moments=moments[keep], starts=starts, notes=(note,))


@dataclass(frozen=True)
class _Steps:
    """positions [row] in the calendar; missing [row]: how many rows are missing behind each."""

    calendar: Calendar
    positions: np.ndarray
    missing: np.ndarray


def _steps(clock: Clock, time: str, dates: bool) -> _Steps:
    calendar = calendar_of(clock.moments, clock.inside, dates).calendar
    if calendar.unit == "day but leap days":
        calendar = replace(calendar, unit="day")
    step = calendar.step
    positions = calendar.positions(clock.moments)
    missing = np.zeros(len(positions), np.int64)
    if step is None:
        return _Steps(calendar, positions, missing)
    each = np.diff(positions)
    whole = np.maximum(np.round(each / step), 1)
    if (clock.inside & (np.abs(each - whole * step) > UNEVEN * step)).any():
        even(clock, time, dates)  # raises: a time between the steps cannot be filled in
    missing[:-1] = np.where(clock.inside, whole - 1, 0)
    return _Steps(calendar, positions, missing)


def _with_missing_rows(clock: Clock, time: str, dates: bool, fill: str) -> tuple[np.ndarray, Clock]:
    """[row] the row that each one is made of, and the clock with the missing rows put in."""
    steps = _steps(clock, time, dates)
    missing, count = steps.missing, int(steps.missing.sum())
    if count > len(missing):
        first = int(np.argmax(missing))
        raise InputError(
            f"the column of time {time!r} leaves out {count} rows, more than the {len(missing)} that there are (the "
            f"most behind {clock.where(first)}). Resample it to longer steps, or part the series at its gaps."
        )
    source = np.repeat(np.arange(len(missing)), missing + 1)
    behind = np.arange(len(source)) - np.concatenate([[0], np.cumsum(missing + 1)[:-1]])[source]
    moments = clock.moments[source]
    put_in = behind > 0
    if put_in.any():
        step = steps.calendar.step or 1.0
        moments[put_in] = steps.calendar.moments(steps.positions[source] + behind * step)[put_in]
    notes: tuple[Note, ...] = clock.notes
    if count:
        where, dropped = clock.where(int(np.argmax(missing > 0)) + 1), 0
        if notes:
            dropped = notes[0].facts["dropped"]
        notes = (filled_in(count, int((missing > 0).sum()), where, dropped, fill),)
    starts = np.concatenate([[0], np.cumsum(missing + 1)])[clock.starts]
    rows = clock.rows[source]
    calendar = steps.calendar
    return source, replace(
        clock, order=rows, numbers=rows, moments=moments, starts=starts, calendar=calendar, notes=notes
    )


def _filled(raw: RawColumn, column: object, clock: Clock, added: np.ndarray, fill: str) -> tuple[RawColumn, bool]:
    """A column in the clock's order with the rows that were put in, and whether cells of its own were filled."""
    kind = column.kind  # type: ignore[attr-defined]
    if kind not in ("numeric", "boolean") and not is_index(column):  # type: ignore[arg-type]
        return (_unknown(raw, added) if fill == "missing" else raw), False
    values = np.asarray(column.values, np.float64)[clock.rows]  # type: ignore[attr-defined]
    own = np.isnan(values) & ~added
    values[added] = np.nan
    if fill == "missing" or not (own.any() or added.any()):
        return replace(raw, storage="number", data=values, cells=None), False
    way = "previous" if kind == "boolean" else fill
    for a, b in zip(clock.starts, clock.starts[1:], strict=False):
        values[a:b] = fill_one(values[a:b], way)
    return replace(raw, storage="number", data=values, cells=None), bool(own.any())


def _unknown(raw: RawColumn, added: np.ndarray) -> RawColumn:
    """A column of texts without a value in the rows that were put in."""
    import polars as pl

    text = pl.DataFrame({"text": raw.data, "added": added})
    data = text.select(pl.when("added").then(None).otherwise(pl.col("text"))).to_series()
    return replace(raw, data=data, cells=None) if raw.cells is None else raw


def fill_one(values: np.ndarray, how: str) -> np.ndarray:
    """The values [step] of one series without gaps; "previous" or "linear". One without any value stays as it is."""
    known = np.flatnonzero(~np.isnan(values))
    if not known.size or known.size == len(values):
        return values
    places = np.arange(len(values))
    if how == "linear":
        return np.interp(places, known, values[known])
    return values[known[np.maximum(np.searchsorted(known, places, side="right") - 1, 0)]]


def marked(values: np.ndarray, clock: Clock) -> tuple[np.ndarray, np.ndarray]:
    """(values [row, channel] with the value before where one is missing, [row, channel] 1 where one is missing)."""
    gone = np.isnan(values)
    values = values.copy()
    for channel in np.flatnonzero(gone.any(axis=0)):
        for a, b in zip(clock.starts, clock.starts[1:], strict=False):
            values[a:b, channel] = fill_one(values[a:b, channel], "previous")
    return values, gone.astype(np.float64)


def check_fill(fill: str | None) -> str | None:
    """The way by its name; `InputError` for another one."""
    if fill is None:
        return None
    if not isinstance(fill, str):
        raise InputError(Setting("fill"), f" needs one of {', '.join(FILLS)}, got {fill!r}.")
    FILLS[fill]
    return fill
