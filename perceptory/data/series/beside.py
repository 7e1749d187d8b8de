"""What a forecast is given beside the past: columns known ahead, the calendar, and what is constant within a series."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from perceptory.data.series.calendar_inputs import TIMES, time_channels, time_values
from perceptory.data.series.clock import Clock
from perceptory.data.series.future import Future
from perceptory.data.tables.cells import identity
from perceptory.data.tables.encoder import _keys, _texts
from perceptory.data.tables.inference import infer
from perceptory.data.tables.table import RawColumn, Table, listed
from perceptory.errors import InputError, Piece, Remedy, Setting

MOST_CATEGORIES = 50  # of a static column that have an input of their own, the most frequent ones
ALTERED = "the description of what forecasts are given does not fit together. It was altered."


@dataclass(frozen=True)
class Static:
    """A column with one value a series. categories: those that have an input of their own, which is 1 where the series
    has it; any other one, and none at all, is 0 in all of them. None for numbers, of which a missing one is `usual`."""

    name: str
    categories: tuple[str, ...] | None = None
    usual: float = 0.0

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of its inputs."""
        return (self.name,) if self.categories is None else tuple(f"{self.name} = {c}" for c in self.categories)

    def values(self, raw: RawColumn, clock: Clock) -> np.ndarray:
        """[row, input] in the clock's order; `InputError` where the column changes within a series."""
        first, other = value_of_each(raw, clock)
        if other is not None:
            raise InputError(
                f"the static column {self.name!r} needs one value a series, but has another one in "
                f"{clock.where(other)}. Leave it out of ",
                Setting("static"),
                ", or name it among those that change.",
            )
        if self.categories is None:
            each = np.asarray(infer(raw).values, np.float64)[first][:, None]
            each = np.where(np.isnan(each), self.usual, each)
        else:
            labels = np.array(identity(raw).gather(first).to_list(), object)
            each = np.stack([labels == c for c in self.categories], axis=1).astype(np.float64)
        return np.repeat(each, clock.lengths, axis=0)


@dataclass(frozen=True)
class Beside:
    """known_ahead: columns whose values after the origin are known. static: those that are constant within a series.
    times: of the calendar, see `TIMES`. window, reach: steps of a window, and of the longest horizon.

    Each becomes channels of the windows, after those of the columns. A column that is known ahead has, beside its own
    channel, one a shift s that holds in each row the value s rows later; the shifts are such that a window's channels
    hold all `reach` rows after it, and no row farther on.
    """

    known_ahead: tuple[str, ...] = ()
    static: tuple[Static, ...] = ()
    times: tuple[str, ...] = ()
    window: int = 1
    reach: int = 1

    @property
    def shifts(self) -> tuple[int, ...]:
        return tuple(range(self.reach, 0, -self.window)) if self.known_ahead else ()

    @property
    def ahead(self) -> tuple[str, ...]:
        """Channels that hold the future, shift by shift."""
        return tuple(f"{name} {shift} ahead" for shift in self.shifts for name in self.known_ahead)

    @property
    def still(self) -> tuple[str, ...]:
        """Channels of which the last step of a window tells all."""
        return (*(c for one in self.static for c in one.channels), *(c for t in self.times for c in time_channels(t)))

    @property
    def channels(self) -> tuple[str, ...]:
        return (*self.still, *self.ahead)

    def columns_of(self, channels: Sequence[str]) -> tuple[str, ...]:
        """Those channels that are columns of the table themselves."""
        return tuple(channels[: len(channels) - len(self.channels)])

    def values(self, table: Table, clock: Clock, known: np.ndarray, future: Future | None) -> np.ndarray:
        """[row, channel] in the clock's order; NaN where a row later on is needed that is not known.

        known: [row, column] values of the columns that are known ahead, in that order. future: what comes after.
        """
        still = [one.values(table.column(one.name, "static column"), clock) for one in self.static]
        still += [time_values(name, clock.moments) for name in self.times]
        return np.concatenate([*still, *self._shifted(known, clock, future)], axis=1)

    def _shifted(self, known: np.ndarray, clock: Clock, future: Future | None) -> list[np.ndarray]:
        shifted = [np.full(known.shape, np.nan) for _ in self.shifts]
        for s, (a, b) in enumerate(zip(clock.starts, clock.starts[1:], strict=False)):
            whole = known[a:b] if future is None else np.concatenate([known[a:b], future.of(clock.names[s])])
            for shift, out in zip(self.shifts, shifted, strict=True):
                later = whole[shift : shift + b - a]
                out[a : a + len(later)] = later
        return shifted

    def put_ahead(self, windows: np.ndarray, future: Sequence[np.ndarray]) -> np.ndarray:
        """Windows [n, time, channel] with the values after them put in: future [n] of [row, column], as far as each
        goes."""
        windows = windows.copy()
        columns, first = len(self.known_ahead), windows.shape[2] - len(self.ahead)
        for n, rows in enumerate(future):
            for k in range(1, min(self.reach, len(rows)) + 1):
                place = (self.reach - k) // self.window
                step = self.window - 1 + k - self.shifts[place]
                at = first + place * columns
                windows[n, step, at : at + columns] = rows[k - 1]
        return windows

    def to_json(self) -> dict[str, Any]:
        """Plain JSON data; `from_json` reads it back."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: Any) -> Beside:
        """Read `to_json`'s data. Unknown or missing keys and values that do not fit raise `InputError`."""
        _keys(data, {f.name for f in dataclasses.fields(cls)}, "the description of what forecasts are given")
        static = data["static"]
        times = _texts(data["times"], "times")
        whole = all(type(data[name]) is int and 0 < data[name] < 1 << 24 for name in ("window", "reach"))
        if not isinstance(static, list | tuple) or not whole or any(name not in TIMES for name in times):
            raise InputError(ALTERED)
        return cls(
            _texts(data["known_ahead"], "known_ahead"), tuple(map(_static_from_json, static)), times,
            data["window"], data["reach"],
        )  # fmt: skip


ONLY_THE_PAST = Beside()


def _static_from_json(data: Any) -> Static:
    _keys(data, {f.name for f in dataclasses.fields(Static)}, "a static column")
    categories, usual = data["categories"], data["usual"]
    if not isinstance(data["name"], str) or type(usual) not in (int, float) or not math.isfinite(usual):
        raise InputError(ALTERED)
    return Static(data["name"], None if categories is None else _texts(categories, "categories"), float(usual))


def value_of_each(raw: RawColumn, clock: Clock) -> tuple[np.ndarray, int | None]:
    """([series] a row of the table with the series' value, the first place in the clock's order with another one)."""
    values = identity(raw).rank("dense").fill_null(0).to_numpy()[clock.order]
    own = np.repeat(np.maximum.reduceat(values, clock.starts[:-1]), clock.lengths)
    has = np.flatnonzero(values == own)
    first = has[np.searchsorted(has, clock.starts[:-1])]
    other = np.flatnonzero((values != own) & (values != 0))
    return clock.order[first], int(other[0]) if other.size else None


def check_names(channels: Sequence[str], beside: Beside) -> None:
    """`InputError` where a column is called as one of these channels."""
    for name in beside.channels:
        if name in channels:
            raise InputError(f"the column {name!r} is called as an input that is made of others. Rename it.")


def unknown_future(beside: Beside, name: str = "", apart: bool = False) -> tuple[Piece, ...]:
    """What is said where the future of columns that are known ahead is not given. apart: whether it may come in a table
    of its own."""
    whose = f" of series {name!r}" if name else ""
    one = len(beside.known_ahead) == 1
    own = Remedy(", or one of the rows after the end (", Setting("future"), ")")
    return (
        f"a forecast needs {listed(beside.known_ahead)}, which {'is' if one else 'are'} known ahead, for the "
        f"{beside.reach} row{'s' * (beside.reach > 1)} after the end{whose}. Give a table that goes on after the end "
        "with these columns",
        *((own,) if apart else ()),
        ".",
    )
