"""Calendars: in which unit the times of series are equal steps, and what stands in the way of that.

Months, business days and the days of a calendar without leap days are equal steps though they last differently long.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

UNEVEN = 0.1  # of a time step: rounded times are even, a missing row never is
UNITS = ("", "day", "month", "business day", "day but leap days")  # of a time step: none for numbers
HOUR = 1 / 24


@dataclass(frozen=True)
class Calendar:
    """step: between two rows, in `unit`, None where it is not known. anchor: of months the day on which rows stand, 31
    for the last day of each."""

    step: float | None = None
    unit: str = ""
    anchor: int = 1

    def positions(self, moments: np.ndarray) -> np.ndarray:
        """Times (numbers, or days since 1970-01-01) in the calendar's unit."""
        return TO_POSITIONS[self.unit](moments)

    def moments(self, positions: np.ndarray) -> np.ndarray:
        """The times of such positions: the other way round."""
        if self.unit == "month":
            return _days_of_months(positions, self.anchor)
        if self.unit == "business day":
            start = np.datetime64("1970-01-01")
            days = np.busday_offset(start, np.round(positions).astype(np.int64), roll="forward")
            return days.astype(np.int64).astype(np.float64)
        if self.unit == "day but leap days":
            return _days_with_leap_days(np.round(positions))
        return np.asarray(positions, np.float64)

    def after(self, moment: float, steps: np.ndarray) -> np.ndarray:
        """The times so many steps after a moment; NaN where the step is not known."""
        if self.step is None:
            return np.full(len(steps), np.nan)
        return self.moments(self.positions(np.array([moment])) + np.asarray(steps) * self.step)

    @property
    def dates(self) -> bool:
        """Whether times are dates rather than numbers."""
        return self.unit != ""


UNKNOWN = Calendar()


@dataclass(frozen=True)
class Found:
    """A calendar with the places where times are no equal steps in it: `wrong` [place] index of the row before."""

    calendar: Calendar
    wrong: np.ndarray


def calendar_of(moments: np.ndarray, inside: np.ndarray, dates: bool) -> Found:
    """The calendar in which these times of series are equal steps, or nearly so.

    moments: [row], series by series. inside: [row - 1] whether the step to the next row stays within a series.
    """
    found = _in_unit(moments, inside, "day" if dates else "")
    if not dates or not np.ptp(np.diff(moments)[inside]):
        return found
    anchor = _anchor(moments)
    if anchor is not None:
        by_month = _in_unit(moments, inside, "month", anchor)
        if not by_month.wrong.size or (by_month.calendar.step or 0) >= 1:
            return by_month
    if not found.wrong.size or (np.floor(moments) != moments).any():
        return found
    others = [_in_unit(moments, inside, unit) for unit in ("day but leap days", "business day") if _fits(moments, unit)]
    return min([found, *others], key=lambda one: one.wrong.size)


def _in_unit(moments: np.ndarray, inside: np.ndarray, unit: str, anchor: int = 1) -> Found:
    steps = np.diff(TO_POSITIONS[unit](moments))
    forward = inside & (steps > 0)
    if not forward.any():
        return Found(Calendar(None, unit, anchor), np.flatnonzero(inside))
    usual = np.sort(steps[forward])[(forward.sum() - 1) // 2]
    step = float(np.mean(steps[forward & (np.abs(steps - usual) <= usual / 4)]))  # closer than one that was rounded
    return Found(Calendar(step, unit, anchor), np.flatnonzero(inside & (np.abs(steps - step) > UNEVEN * step)))


def _fits(moments: np.ndarray, unit: str) -> bool:
    """Whether whole days may be of a calendar that leaves some out."""
    days = moments.astype("datetime64[D]")
    if unit == "business day":
        return bool(np.is_busday(days).all())
    return not _leap_days(days).any()


def _leap_days(days: np.ndarray) -> np.ndarray:
    months = days.astype("datetime64[M]")
    return (months.astype(np.int64) % 12 == 1) & ((days - months).astype(np.int64) == 28)


def _anchor(moments: np.ndarray) -> int | None:
    """The day of the month on which all dates stand, or None; a day that a month lacks is its last one."""
    whole = np.floor(moments)
    if (whole != moments).any():
        return None
    dates = whole.astype("datetime64[D]")
    months = dates.astype("datetime64[M]")
    day = (dates - months).astype(np.int64) + 1
    length = ((months + 1).astype("datetime64[D]") - months.astype("datetime64[D]")).astype(np.int64)
    if (day == length).all():
        return 31
    return int(day.max()) if (day == np.minimum(day.max(), length)).all() else None


def _months(moments: np.ndarray) -> np.ndarray:
    return np.floor(moments).astype("datetime64[D]").astype("datetime64[M]").astype(np.float64)


def _days_of_months(positions: np.ndarray, anchor: int) -> np.ndarray:
    months = np.round(positions).astype(np.int64).astype("datetime64[M]")
    first = months.astype("datetime64[D]")
    length = ((months + 1).astype("datetime64[D]") - first).astype(np.int64)
    return (first.astype(np.int64) + np.minimum(anchor, length) - 1).astype(np.float64)


def _business_days(moments: np.ndarray) -> np.ndarray:
    days = np.floor(moments).astype("datetime64[D]")
    return np.busday_count(np.datetime64("1970-01-01"), days).astype(np.float64)


def _leap_days_before(days: np.ndarray) -> np.ndarray:
    """How many 29 Februaries there were before each day, counted from a fixed year."""
    years = (days + 306).astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64) + 1970  # March begins a year
    past = years - 1
    return past // 4 - past // 100 + past // 400


def _without_leap_days(moments: np.ndarray) -> np.ndarray:
    days = np.floor(moments).astype(np.int64)
    return (days - _leap_days_before(days) + _leap_days_before(np.zeros(1, np.int64))).astype(np.float64)


def _days_with_leap_days(positions: np.ndarray) -> np.ndarray:
    guess = positions.astype(np.int64)
    for _ in range(4):  # each round corrects by the leap days that lie between
        guess = guess + (positions - _without_leap_days(guess)).astype(np.int64)
    return (guess + _leap_days(guess.astype("datetime64[D]"))).astype(np.float64)


TO_POSITIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "": lambda moments: moments,
    "day": lambda moments: moments,
    "month": _months,
    "business day": _business_days,
    "day but leap days": _without_leap_days,
}


# --- in words -----------------------------------------------------------------------------------------------------


PARTS = ((24, "hour"), (1440, "minute"), (86400, "second"))  # of a day


def amount(number: float, unit: str) -> str:
    """So many steps of a unit in words: '2 days', '0.5', '1 month'."""
    noun = unit.removesuffix(" but leap days")
    if unit == "day" and abs(number) < 0.999:
        number, noun = next(
            (number * per, name) for per, name in PARTS if abs(number) * per > 0.999 or per == PARTS[-1][0]
        )
    written = f"{number:.6g}"  # an hour as a share of a day is not quite 1 of 24
    return f"{written} {noun}{'' if written == '1' else 's'}" if noun else written


def shown(moment: float, dates: bool) -> str:
    """A time as it is written: 2020-12-31, 2020-12-31 06:00:00, 1949.25."""
    if not dates:
        return f"{moment:.10g}"
    if moment == np.floor(moment):
        return str(np.datetime64(int(moment), "D"))
    return str(np.datetime64(round(moment * 86400), "s")).replace("T", " ")


def reason(before: float, after: float, step: float, unit: str) -> str:
    """What is known to lie behind a wrong step between two dates, as ' (...)', or nothing."""
    if unit == "day" and before == np.floor(before) and after - before == 2 * step == 2:
        left_out = np.array([before + 1]).astype("datetime64[D]")
        return " (a leap day, 29 February, is left out)" if _leap_days(left_out)[0] else ""
    if unit == "day" and step <= HOUR * 1.01 and _clocks_change(after):
        if abs(after - before - step - HOUR) < UNEVEN * step:
            return " (clocks go forward: daylight saving time begins)"
        if abs(before - after + step - HOUR) < UNEVEN * step:
            return " (clocks go back: daylight saving time ends)"
    return ""


def goes_back_by_an_hour(before: float, after: float, step: float, unit: str) -> bool:
    """Whether a step back is that of clocks at the end of daylight saving time."""
    return reason(before, after, step, unit).endswith("ends)")


def _clocks_change(moment: float) -> bool:
    """Whether this is in the small hours of a Sunday, or of another day of the months in which clocks change."""
    day = np.datetime64(int(np.floor(moment)), "D")
    month = int(day.astype("datetime64[M]").astype(int)) % 12 + 1
    return month in (3, 4, 9, 10, 11) and (moment % 1) < 5 * HOUR
