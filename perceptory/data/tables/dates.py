"""Dates in text: ISO 8601 and a few common layouts, as days since 1970-01-01."""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime

import numpy as np

_TIME = r"(?:[T ]\s*(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?\s*(Z|[+-]\d{2}:?\d{2})?)?"
PATTERNS = {
    "y-m-d": re.compile(r"(?P<y>\d{4})([-/])(?P<m>\d{1,2})\2(?P<d>\d{1,2})" + _TIME),
    "d.m.y": re.compile(r"(?P<d>\d{1,2})\.(?P<m>\d{1,2})\.(?P<y>\d{4})" + _TIME),
    "d/m/y": re.compile(r"(?P<d>\d{1,2})/(?P<m>\d{1,2})/(?P<y>\d{4})" + _TIME),
    "m/d/y": re.compile(r"(?P<m>\d{1,2})/(?P<d>\d{1,2})/(?P<y>\d{4})" + _TIME),
}
_EPOCH = date(1970, 1, 1).toordinal()


def parse_dates(cells: list[str | None], layout: str) -> np.ndarray | None:
    """Days since 1970-01-01 [row] with NaN for None, or None where a cell is not a date of that layout.

    A time zone is turned into universal time; a time without one is taken as it is.
    """
    pattern = PATTERNS[layout]
    known: dict[str, float] = {}
    days = np.full(len(cells), math.nan)
    for row, cell in enumerate(cells):
        if cell is None:
            continue
        value = known.get(cell)
        if value is None:
            match = pattern.fullmatch(cell)
            value = None if match is None else _days(match)
            if value is None:
                return None
            known[cell] = value
        days[row] = value
    return days


def find_dates(cells: list[str | None]) -> tuple[np.ndarray | None, str]:
    """Dates and the layout that fits every cell. Where 1/2/2020 may be read in two ways: None and "ambiguous"."""
    found = []
    for layout in PATTERNS:
        days = parse_dates(cells, layout)
        if days is not None:
            found.append((days, layout))
    if len(found) > 1 and not np.array_equal(found[0][0], found[1][0], equal_nan=True):
        return None, "ambiguous"
    return found[0] if found else (None, "")


def days_of(value: date) -> float:
    """Days since 1970-01-01 of a date, or of a datetime (in universal time where it has a zone)."""
    if not isinstance(value, datetime):
        return float(value.toordinal() - _EPOCH)
    if value.tzinfo is not None:
        value = value.astimezone(UTC).replace(tzinfo=None)
    return (value - datetime(1970, 1, 1)).total_seconds() / 86400


def _days(match: re.Match) -> float | None:
    part = match.groupdict()
    hour, minute, second, fraction, zone = match.groups()[-5:]
    try:
        days = float(date(int(part["y"]), int(part["m"]), int(part["d"])).toordinal() - _EPOCH)
    except ValueError:
        return None
    if hour is None:
        return days
    if int(hour) > 23 or int(minute) > 59 or int(second or 0) > 59:
        return None
    seconds = int(hour) * 3600 + int(minute) * 60 + int(second or 0) + float("0." + (fraction or "0"))
    if zone and zone != "Z":
        offset = int(zone[1:3]) * 3600 + int(zone[-2:]) * 60
        seconds -= offset if zone[0] == "+" else -offset
    return days + seconds / 86400
