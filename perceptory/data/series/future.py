"""The rows after the end of series: what is known ahead of them, and nothing else."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from perceptory.data.series.calendar import UNEVEN, Calendar
from perceptory.data.series.clock import Clock, is_index, times_of
from perceptory.data.tables.inference import infer
from perceptory.data.tables.table import Table, columns_are, listed
from perceptory.errors import InputError, Remedy, Setting


@dataclass(frozen=True, eq=False)
class Future:
    """What is known of the rows after each series: values by the name of the series, [row, column]."""

    values: dict[str, np.ndarray]
    columns: int

    def of(self, name: str) -> np.ndarray:
        return self.values.get(name, np.zeros((0, self.columns)))


@dataclass(frozen=True, eq=False)
class Ended:
    """A table without the rows that come after its series: rows, where each stood in the table as it was given; later,
    the clock of the rows that come after, and their values [row, column], in its order."""

    table: Table
    rows: np.ndarray
    later: Clock | None = None
    known: np.ndarray | None = None

    def numbered(self, clock: Clock) -> Clock:
        """The clock of the table with the numbers of the rows as they were given."""
        return clock if self.later is None else dataclasses.replace(clock, numbers=self.rows[clock.rows], given=None)

    @property
    def given(self) -> np.ndarray | None:
        """`Clock.given` of the table."""
        return None if self.later is None else self.rows

    def future(self, clock: Clock, columns: int) -> Future | None:
        """What comes after each series of the clock; `InputError` where it does not go on by the next step."""
        if self.later is None or self.known is None:
            return None
        last = dict(zip(clock.names, clock.moments[clock.starts[1:] - 1].tolist(), strict=True))
        return future_of(self.later, self.known, last, clock.calendar)


def ended(table: Table, time: str | None, series: str | None, known: Sequence[str], past: Sequence[str]) -> Ended:
    """Part a table that goes on after the end of its series: behind the last row of each in which one of the columns
    `past` has a value. Nothing of the other columns is taken from there but those that are `known` ahead."""
    rows = np.arange(table.rows)
    seen = [name for name in past if name in table.names]
    if not known or not seen:
        return Ended(table, rows)
    clock, _ = times_of(table, time, series)
    has = np.zeros(table.rows, bool)
    for name in seen:
        has |= ~table.column(name).missing
    owner = np.repeat(np.arange(len(clock.names)), clock.lengths)
    order = np.lexsort((clock.moments, owner))
    place = np.where(has[clock.order[order]], np.arange(table.rows), -1)
    last = np.maximum.reduceat(place, clock.starts[:-1])
    if (last < 0).any():
        name = clock.names[int(np.argmin(last))]
        raise InputError(f"the series {name!r} has no value of {listed(seen)}. Leave it out.")
    after = np.zeros(table.rows, bool)
    after[clock.order[order]] = np.arange(table.rows) > last[owner]
    if not after.any():
        return Ended(table, rows)
    later, numbers = table.take(after), np.flatnonzero(after)
    later_clock = times_of(later, time, series)[0]
    sort = np.lexsort((later_clock.moments, np.repeat(np.arange(len(later_clock.names)), later_clock.lengths)))
    later_clock = dataclasses.replace(
        later_clock, order=later_clock.order[sort], moments=later_clock.moments[sort],
        numbers=numbers[later_clock.order[sort]],
    )  # fmt: skip
    values = known_values(table, known)[after][later_clock.order]
    _check_known(values, known, later_clock)
    return Ended(table.take(~after), np.flatnonzero(~after), later_clock, values)


def known_values(table: Table, names: Sequence[str]) -> np.ndarray:
    """[row, column] of columns that are known ahead; `InputError` for one that holds no numbers."""
    columns = []
    for name in names:
        column = infer(table.column(name, "column known ahead"))
        if column.kind not in ("numeric", "boolean") and not is_index(column):
            raise InputError(
                f"the column {name!r}, which is known ahead, needs numbers, or true and false. Turn it into numbers."
            )
        columns.append(np.asarray(column.values, np.float64))
    return np.stack(columns, axis=1)


def _check_known(values: np.ndarray, names: Sequence[str], clock: Clock) -> None:
    gone = np.argwhere(np.isnan(values))
    if gone.size:
        row, column = gone[0]
        raise InputError(
            f"the column {names[column]!r} is known ahead, but has no value in {clock.where(int(row))}, after the end "
            "of what is forecast from. Fill it in",
            Remedy(", or leave it out of ", Setting("known_ahead")),
            ".",
        )


def future_of(later: Clock, known: np.ndarray, last: dict[str, float], calendar: Calendar) -> Future:
    """Values [row, column] in the order of the clock `later`, by series. last: the time of the last row of each."""
    values = {}
    for s, name in enumerate(later.names):
        a, b = later.starts[s], later.starts[s + 1]
        if calendar.step is not None and name in last:
            wanted = calendar.after(last[name], np.arange(1, b - a + 1))
            off = np.abs(calendar.positions(later.moments[a:b]) - calendar.positions(wanted)) > UNEVEN * calendar.step
            if off.any():
                raise InputError(
                    f"the rows after the end have to go on by equal steps, but do not in "
                    f"{later.where(int(a + np.argmax(off)))}. Give every row of the future, in the steps of the past."
                )
        values[name] = known[a:b]
    return Future(values, known.shape[1])


def future_table(
    source: Table, time: str | None, series: str | None, known: Sequence[str], names: Sequence[str],
    moments: np.ndarray, calendar: Calendar,
) -> Future:  # fmt: skip
    """The future of series `names`, whose last rows stand at `moments`, from a table of its own; rows up to there are
    passed over."""
    series = series if series in source.names else None
    need = [*known, *([time] if time is not None else []), *([series] if series is not None else [])]
    missing = [name for name in need if name not in source.names]
    if missing:
        raise InputError(f"the table of the future lacks {listed(missing)}. {columns_are(source.names)}")
    clock, _ = times_of(source, time, series)
    last = dict(zip(names, moments.tolist(), strict=True))
    if series is None:
        if len(names) > 1:
            raise InputError("the future of several series needs the column that tells them apart. Add it.")
        clock = dataclasses.replace(clock, names=tuple(names))
    owner = np.repeat(np.arange(len(clock.names)), clock.lengths)
    after = np.ones(len(owner), bool)
    if time is not None:
        after = clock.moments > np.array([last.get(name, np.inf) for name in clock.names])[owner]
    sort = np.flatnonzero(after)
    sort = sort[np.lexsort((clock.moments[sort], owner[sort]))]
    starts = np.concatenate([[0], np.cumsum(np.bincount(owner[sort], minlength=len(clock.names)))])
    clock = dataclasses.replace(clock, order=clock.order[sort], moments=clock.moments[sort], starts=starts)
    values = known_values(source, known)[clock.order]
    _check_known(values, known, clock)
    return future_of(clock, values, last if time is not None else {}, calendar)
