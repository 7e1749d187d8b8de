"""How a long table was cut into series, kept so that a table that comes later is cut the same way."""

from __future__ import annotations

import dataclasses
import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from perceptory.data.series.beside import ONLY_THE_PAST, Beside
from perceptory.data.series.calendar import UNEVEN, UNITS, UNKNOWN, Calendar
from perceptory.data.series.clock import Clock
from perceptory.data.series.columns import ITSELF, USES, input_values, parted
from perceptory.data.series.feedback import PREFIX, Known, known_outputs
from perceptory.data.series.future import ended
from perceptory.data.series.gaps import FILLS, regular
from perceptory.data.series.periods import with_dates
from perceptory.data.series.spikes import SPIKES, without_spikes
from perceptory.data.series.weights import SERIES_WEIGHTS
from perceptory.data.series.windows import Cut, cut_rows
from perceptory.data.tables.cells import PLAIN, Reading
from perceptory.data.tables.encoder import _keys, reading_from_json
from perceptory.data.tables.folders import FILE, named_after
from perceptory.data.tables.sources import as_table
from perceptory.data.tables.table import Table, columns_are, listed
from perceptory.errors import InputError
from perceptory.notes import NoteWarning, series_not_forecast

NO_TABLES = (".npy", ".npz")


@dataclass(frozen=True)
class SeriesPlan:
    """predict, window, time, series, known, fill, spikes: as in `read_series`. Of forecasts: horizons, the rows ahead
    in the order of the outputs; goals, the columns that are forecast; season, its steps, 1 for none; beside, what they
    are given beside the past; series_weights, what counts the same in training. calendar: the time from row to row, as
    far as it is known. found: the column of time was not named, and may be absent later. reading: how cells of text
    are written.
    """

    predict: str
    window: int | None = None
    time: str | None = None
    series: str | None = None
    calendar: Calendar = UNKNOWN
    known: Known = 0
    reading: Reading = PLAIN
    horizons: tuple[int, ...] = ()
    fill: str | None = None
    found: bool = False
    goals: tuple[str, ...] = ()
    season: int = 1
    beside: Beside = ONLY_THE_PAST
    series_weights: str = "window"
    spikes: str = "keep"

    def cut(self, source: Any, channels: tuple[str, ...]) -> Later:
        """The examples of a table that came later, and where they stand.

        "ahead": all windows, so that the last one predicts what comes after the table; its number is that of the last
        row that is known. "every step": each series as a whole, whatever the window in training; else series, or
        windows where training had windows; their number is that of their first row. A table without the column
        that tells series apart is one series. Gaps are filled in as in training. Of several series those too short for
        a forecast are left out, with a warning. Raises `InputError` as `read_series` does, and for another time step.
        """
        table = with_dates(as_table(source, reading=None if self.reading == PLAIN else self.reading))
        if self.series == FILE and FILE not in table.names and isinstance(source, str | Path):
            table = named_after(table, source)
        own = self.beside.columns_of(channels)
        columns = own[: sum(not n.startswith(PREFIX) for n in own)] if self.known else own
        outputs = [n.removeprefix(PREFIX) for n in own[len(columns) :]]
        inputs, marks = parted(columns, self.fill)
        time = None if self.found and self.time not in table.names and not self.beside.times else self.time
        needed = (*inputs, *outputs, *([time] if time else []), *(one.name for one in self.beside.static))
        missing = [n for n in needed if n not in table.names]
        if missing:
            raise InputError(f"the table lacks {listed(missing)}, which the model needs. {columns_are(table.names)}")
        if not table.rows:
            raise InputError("the table has no rows to predict.")
        series = self.series if self.series in table.names else None
        ahead_of = self.beside.known_ahead
        past = self.goals if any(n in table.names for n in self.goals) else [n for n in inputs if n not in ahead_of]
        whole = ended(table, time, series, ahead_of, past)
        table, clock = regular(whole.table, time, series, self.fill, found=self.found, given=whole.given)
        clock = whole.numbered(clock)
        self._same_step(clock)
        if self.predict == "ahead" and self.spikes != "keep":
            table, notes = without_spikes(table, clock, tuple(n for n in self.goals if n in table.names), self.spikes)
            for note in notes:
                warnings.warn(NoteWarning(note), stacklevel=2)
        windowed = self.window if self.predict != "every step" else None
        ahead = self.predict == "ahead"
        cut = cut_rows(clock, windowed, 1 if ahead else windowed, 0, latest=ahead, spare=ahead)
        if cut.short[0]:
            warnings.warn(NoteWarning(series_not_forecast(*cut.short, cut.steps)), stacklevel=2)
        values = input_values(table, inputs, clock, self.fill, marks)
        if self.beside.channels:
            known = values[:, [inputs.index(name) for name in ahead_of]]
            more = self.beside.values(table, clock, known, whole.future(clock, len(ahead_of)))
            values = np.concatenate([values, more], axis=1)
        rows = cut.starts + (cut.steps - 1 if ahead else 0)
        lengths = None if (cut.lengths == cut.steps).all() else cut.lengths.astype(np.int64)
        examples = cut.gather(values)
        if self.known:
            examples = np.concatenate([examples, known_outputs(table, outputs, clock, cut, self.known)], axis=2)
        return Later(examples, lengths, clock.rows[rows].astype(np.int64), clock, cut)

    def _same_step(self, clock: Clock) -> None:
        step, later = self.calendar.step, clock.calendar
        if step is None or later.step is None or self.calendar.unit != later.unit:
            return
        if abs(later.step - step) > UNEVEN * step:
            unit = f" ({self.calendar.unit}s)" if self.calendar.unit else ""
            raise InputError(
                f"the time {self.time!r} goes in steps of {later.step:.6g}, but in training in steps of {step:.6g}"
                f"{unit}. Resample the table to that step."
            )

    def to_json(self) -> dict[str, Any]:
        """Plain JSON data; `from_json` reads it back."""
        return dataclasses.asdict(self) | {
            "reading": dataclasses.asdict(self.reading) | {"missing": list(self.reading.missing)},
            "horizons": list(self.horizons),
            "goals": list(self.goals),
            "beside": self.beside.to_json(),
        }

    @classmethod
    def from_json(cls, data: Any) -> SeriesPlan:
        """Read `to_json`'s data. Unknown or missing keys and values that do not fit raise `InputError`."""
        _keys(data, {f.name for f in dataclasses.fields(cls)}, "the description of the series")
        window, horizons = data["window"], data["horizons"]
        fits = (
            data["predict"] in (*USES, ITSELF)
            and (window is None or (type(window) is int and window > 0))
            and (data["predict"] != "ahead" or window is not None)
            and all(data[name] is None or isinstance(data[name], str) for name in ("time", "series"))
            and (data["known"] == "all" or (type(data["known"]) is int and data["known"] >= 0))
            and isinstance(horizons, list)
            and all(type(h) is int and 0 < h <= MOST_HORIZON for h in (*horizons, data["season"]))
            and isinstance(data["goals"], list)
            and all(isinstance(name, str) for name in data["goals"])
            and (data["fill"] is None or data["fill"] in FILLS)
            and type(data["found"]) is bool
            and data["series_weights"] in SERIES_WEIGHTS
            and data["spikes"] in SPIKES
        )
        if not fits:
            raise InputError(ALTERED)
        reading = reading_from_json(data["reading"])
        parts = {"calendar": _calendar(data["calendar"]), "reading": reading, "horizons": tuple(horizons)}
        parts["goals"] = tuple(data["goals"])
        parts["beside"] = Beside.from_json(data["beside"])
        return cls(**data | parts)


class Later(NamedTuple):
    """Examples of a table that came after the study: inputs [n, time, channel], lengths [n] of series or None, rows [n]
    their numbers; the clock of the table's rows, and where the examples stand in it. owner: [n] the series of each."""

    inputs: np.ndarray
    lengths: np.ndarray | None
    rows: np.ndarray
    clock: Clock
    cut: Cut

    @property
    def complete(self) -> np.ndarray:
        """[n] bool: whether all that is known ahead is there."""
        return np.asarray(~np.isnan(self.inputs).any(axis=(1, 2)))

    @property
    def owner(self) -> np.ndarray:
        return self.clock.starts.searchsorted(self.cut.starts, side="right") - 1


ALTERED = "the description of the series does not fit together. It was altered."
MOST_HORIZON = 1 << 24


def _calendar(data: Any) -> Calendar:
    _keys(data, {f.name for f in dataclasses.fields(Calendar)}, "the calendar of the series")
    step, anchor = data["step"], data["anchor"]
    fits = (
        (step is None or (type(step) in (int, float) and math.isfinite(step) and step > 0))
        and data["unit"] in UNITS
        and type(anchor) is int
        and 1 <= anchor <= 31
    )
    if not fits:
        raise InputError(ALTERED)
    return Calendar(None if step is None else float(step), data["unit"], anchor)


def is_table(source: Any) -> bool:
    """Whether this is a table, rather than an array or a NumPy file."""
    import narwhals as nw

    if isinstance(source, (str, Path)):
        return Path(source).suffix.lower() not in NO_TABLES
    if isinstance(source, (Table, Mapping)):
        return True
    return isinstance(nw.from_native(source, pass_through=True), (nw.DataFrame, nw.LazyFrame))
