"""Times of the calendar as inputs: where in the day, the week and the year a row stands, as points on circles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from perceptory.data.series.calendar import Calendar
from perceptory.registry import Registry

YEAR = 365.25
PERIODS_SEEN = 2  # of a time that a series has to hold: what was seen once may be anything


@dataclass(frozen=True)
class Time:
    """A phase of 0 to 1 as sin(2π k phase) and cos(2π k phase), k = 1 to `harmonics`; whole: of so many places, k up to
    half of which tells all of them apart. days: of a period."""

    days: float
    harmonics: int
    whole: int = 0
    help: str = ""

    @property
    def waves(self) -> list[tuple[str, int]]:
        """(sine or cosine, k) of each input; a sine that is 0 in all places is none."""
        pairs = [(kind, k) for k in range(1, self.harmonics + 1) for kind in ("sin", "cos")]
        return [(kind, k) for kind, k in pairs if not (kind == "sin" and 2 * k == self.whole)]


TIMES: Registry[Time] = Registry(
    "time of the calendar",
    {
        "hour of day": Time(1, 4, help="for steps below a day"),
        "day of week": Time(7, 3, 7, help="for steps of up to a day"),
        "month": Time(YEAR, 6, 12, help="for months and quarters"),
        "day of year": Time(YEAR, 2, help="for steps of up to some weeks"),
    },
)


def time_channels(name: str) -> tuple[str, ...]:
    """Names of the inputs that a time becomes."""
    return tuple(f"{name} {kind} {k}" for kind, k in TIMES[name].waves)


def time_values(name: str, moments: np.ndarray) -> np.ndarray:
    """[row, input] at moments [row], days since 1970-01-01."""
    angle = 2 * np.pi * _phase(name, moments)
    waves = {"sin": np.sin, "cos": np.cos}
    return np.stack([waves[kind](k * angle) for kind, k in TIMES[name].waves], axis=1)


def _phase(name: str, moments: np.ndarray) -> np.ndarray:
    days = np.floor(moments)
    if name == "hour of day":
        return np.asarray(moments - days)
    if name == "day of week":
        return (days % 7) / 7
    dates = days.astype("datetime64[D]")
    if name == "month":
        return (dates.astype("datetime64[M]").astype(np.int64) % 12) / 12
    start = dates.astype("datetime64[Y]").astype("datetime64[D]")
    return np.asarray((moments - start.astype(np.float64)) / YEAR)


def turns_of(times: Sequence[str], calendar: Calendar) -> tuple[tuple[str, str, float], ...] | None:
    """(channel of the sine, of the cosine, angle from one step to the next) of each wave of these times; a cosine
    without a sine stands twice. None where steps are no equal turns, as business days are none of a week."""
    if not times:
        return ()
    if calendar.step is None or calendar.unit == "business day":
        return None
    turns = []
    for name in times:
        time = TIMES[name]
        days = calendar.step * (YEAR / 12 if calendar.unit == "month" else 1)
        for k in range(1, time.harmonics + 1):
            cosine = f"{name} cos {k}"
            sine = f"{name} sin {k}" if ("sin", k) in time.waves else cosine
            turns.append((sine, cosine, 2 * np.pi * k * days / time.days))
    return tuple(turns)


def times_that_suit(calendar: Calendar, rows: int) -> tuple[str, ...]:
    """Times that change from step to step of a calendar, and that series of so many rows hold often enough."""
    step, unit = calendar.step, calendar.unit
    if step is None or not calendar.dates:
        return ()
    if unit == "month":
        names, days = ["month"] if step < 12 else [], step * YEAR / 12
    elif unit == "business day":
        names, days = ["day of week", "day of year"], step * 1.4
    else:
        names, days = ["hour of day"] if step < 1 else [], step
        names += ["day of week"] if step <= 1 else []
        names += ["day of year"] if step <= YEAR / 4 else []
    return tuple(name for name in names if rows * days >= PERIODS_SEEN * TIMES[name].days)
