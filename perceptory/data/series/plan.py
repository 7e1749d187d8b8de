"""How a long table was cut into series, kept so that a table that comes later is cut the same way."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from perceptory.data.series.clock import UNEVEN, UNITS, Clock, read_clock
from perceptory.data.series.columns import ITSELF, USES, numbers
from perceptory.data.series.feedback import PREFIX, Known, known_outputs
from perceptory.data.series.windows import cut_rows
from perceptory.data.tables.cells import PLAIN, Reading
from perceptory.data.tables.encoder import _keys, reading_from_json
from perceptory.data.tables.sources import as_table
from perceptory.data.tables.table import Table, columns_are, listed
from perceptory.errors import InputError

NO_TABLES = (".npy", ".npz")


@dataclass(frozen=True)
class SeriesPlan:
    """predict, window, time, series, known: as in `read_series`. step, unit: the time from row to row, if known.
    reading: how cells of text are written."""

    predict: str
    window: int | None = None
    time: str | None = None
    series: str | None = None
    step: float | None = None
    unit: str = ""
    known: Known = 0
    reading: Reading = PLAIN

    def cut(self, source: Any, channels: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
        """Inputs [n, time, channel] of a table, the lengths [n] of its series or None, and row numbers [n].

        "ahead": all windows, so that the last one predicts what comes after the table; its number is that of the last
        row that is known. "every step": each series as a whole, whatever the window in training; else series, or
        windows where training had windows; their number is that of their first row. A table without the column
        that tells series apart is one series. Raises `InputError` as `read_series` does, and for another time step.
        """
        table = as_table(source, reading=None if self.reading == PLAIN else self.reading)
        outputs = [n.removeprefix(PREFIX) for n in channels] if self.known else []
        outputs = outputs[sum(not n.startswith(PREFIX) for n in channels) :]
        channels = channels[: len(channels) - len(outputs)]
        missing = [n for n in (*channels, *outputs, *([self.time] if self.time else [])) if n not in table.names]
        if missing:
            raise InputError(f"the table lacks {listed(missing)}, which the model needs. {columns_are(table.names)}")
        if not table.rows:
            raise InputError("the table has no rows to predict.")
        clock = read_clock(table, self.time, self.series if self.series in table.names else None)
        self._same_step(clock)
        windowed = self.window if self.predict != "every step" else None
        ahead = self.predict == "ahead"
        cut = cut_rows(clock, windowed, 1 if ahead else windowed, 0, latest=ahead)
        x = np.stack([numbers(table.column(n), clock, "input") for n in channels], axis=1)
        rows = cut.starts + (cut.steps - 1 if ahead else 0)
        lengths = None if (cut.lengths == cut.steps).all() else cut.lengths.astype(np.int64)
        examples = cut.gather(x)
        if self.known:
            examples = np.concatenate([examples, known_outputs(table, outputs, clock, cut, self.known)], axis=2)
        return examples, lengths, clock.order[rows].astype(np.int64)

    def _same_step(self, clock: Clock) -> None:
        if self.step is None or clock.step is None or self.unit != clock.unit:
            return
        if abs(clock.step - self.step) > UNEVEN * self.step:
            raise InputError(
                f"the time {self.time!r} goes in steps of {clock.step:.6g}, but in training in steps of {self.step:.6g}"
                f"{f' ({self.unit}s)' if self.unit else ''}. Resample the table to that step."
            )

    def to_json(self) -> dict[str, Any]:
        """Plain JSON data; `from_json` reads it back."""
        return dataclasses.asdict(self) | {
            "reading": dataclasses.asdict(self.reading) | {"missing": list(self.reading.missing)}
        }

    @classmethod
    def from_json(cls, data: Any) -> SeriesPlan:
        """Read `to_json`'s data. Unknown or missing keys and values that do not fit raise `InputError`."""
        _keys(data, {f.name for f in dataclasses.fields(cls)}, "the description of the series")
        window, step = data["window"], data["step"]
        fits = (
            data["predict"] in (*USES, ITSELF)
            and (window is None or (type(window) is int and window > 0))
            and (data["predict"] != "ahead" or window is not None)
            and all(data[name] is None or isinstance(data[name], str) for name in ("time", "series"))
            and (step is None or (type(step) in (int, float) and math.isfinite(step) and step > 0))
            and data["unit"] in UNITS
            and (data["known"] == "all" or (type(data["known"]) is int and data["known"] >= 0))
        )
        if not fits:
            raise InputError("the description of the series does not fit together. It was altered.")
        reading = reading_from_json(data["reading"])
        return cls(**data | {"step": None if step is None else float(step), "reading": reading})


def is_table(source: Any) -> bool:
    """Whether this is a table, rather than an array or a NumPy file."""
    import narwhals as nw

    if isinstance(source, (str, Path)):
        return Path(source).suffix.lower() not in NO_TABLES
    if isinstance(source, (Table, Mapping)):
        return True
    return isinstance(nw.from_native(source, pass_through=True), (nw.DataFrame, nw.LazyFrame))
