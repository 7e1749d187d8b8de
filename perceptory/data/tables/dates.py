"""Dates in text: ISO 8601 and a few common layouts, months in English among them, as days since 1970-01-01.

Days are whole microseconds divided by those of a day, whatever source the date is from, so that they are the same
numbers from text and from a data frame.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from perceptory.data.tables.cells import first_of

if TYPE_CHECKING:
    import polars as pl

DAY = 86400e6  # microseconds
_TIME = (
    r"(?:[T ]\s*(?P<hour>[0-9]{1,2})"
    r"(?::(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?:[.,](?P<fraction>[0-9]{1,9}))?)?)?"
    r"\s*(?P<half>[AaPp]\.?[Mm]\.?)?\s*(?P<zone>Z|UTC|GMT|[+-][0-9]{2}:?(?:[0-9]{2})?)?)?$"
)
_NAMES: tuple[str, ...] = ("january", "february", "march", "april", "may", "june", "july", "august", "september")
_NAMES = (*_NAMES, "october", "november", "december")
_MONTH = "(?P<mon>" + "|".join(f"{name[:3]}(?:{name[3:]})?" if name[3:] else name for name in _NAMES) + "|sept)"
PATTERNS = {
    "y-m-d": r"^(?P<y>[0-9]{4})(?:-(?P<m>[0-9]{1,2})-(?P<d>[0-9]{1,2})|/(?P<m2>[0-9]{1,2})/(?P<d2>[0-9]{1,2}))" + _TIME,
    "d.m.y": r"^(?P<d>[0-9]{1,2})\.(?P<m>[0-9]{1,2})\.(?P<y>[0-9]{4})" + _TIME,
    "d/m/y": r"^(?P<d>[0-9]{1,2})/(?P<m>[0-9]{1,2})/(?P<y>[0-9]{4})" + _TIME,
    "d mon y": rf"(?i)^(?P<d>[0-9]{{1,2}})(?:[ .-]|\. ){_MONTH}\.?[ -](?P<y>[0-9]{{4}})" + _TIME,
    "mon d y": rf"(?i)^{_MONTH}\.? (?P<d>[0-9]{{1,2}}),? (?P<y>[0-9]{{4}})" + _TIME,
    "m/d/y": r"^(?P<m>[0-9]{1,2})/(?P<d>[0-9]{1,2})/(?P<y>[0-9]{4})" + _TIME,
}
_COMPILED = {layout: re.compile(pattern) for layout, pattern in PATTERNS.items()}
_MONTHS = np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])


def parse_dates(cells: pl.Series, layout: str) -> np.ndarray | None:
    """Days since 1970-01-01 [row] of stripped cells with NaN for null, or None where a cell is no date of that layout.

    A time zone is turned into universal time; a time without one is taken as it is.
    """
    first = first_of(cells)
    if first is not None and _COMPILED[layout].match(first) is None:  # most columns are seen by their first cell
        return None
    days = days_in(cells, layout)
    return days if int(np.isnan(days).sum()) == cells.null_count() else None


def find_dates(cells: pl.Series) -> tuple[np.ndarray | None, str]:
    """Dates and the layout that fits every cell. Where 1/2/2020 may be read in two ways: None and "ambiguous"."""
    fitting = []
    for layout in PATTERNS:
        days = parse_dates(cells, layout)
        if days is not None:
            fitting.append((days, layout))
    if len(fitting) > 1 and not np.array_equal(fitting[0][0], fitting[1][0], equal_nan=True):
        return None, "ambiguous"
    return fitting[0] if fitting else (None, "")


def days_of(value: date) -> float:
    """Days since 1970-01-01 of a date, or of a datetime (in universal time where it has a zone)."""
    if not isinstance(value, datetime):
        return float((value - date(1970, 1, 1)).days)
    if value.tzinfo is not None:
        value = value.astimezone(UTC).replace(tzinfo=None)
    return (value - datetime(1970, 1, 1)) // timedelta(microseconds=1) / DAY


def days_in(cells: pl.Series, layout: str) -> np.ndarray:
    """[row] days since 1970-01-01, NaN for cells that are no date of that layout."""
    import polars as pl

    parts = cells.str.extract_groups(PATTERNS[layout]).struct.unnest()
    if "m2" in parts.columns:
        parts = parts.with_columns(m=pl.coalesce("m", "m2"), d=pl.coalesce("d", "d2"))
    if "mon" in parts.columns:
        numbers = {name[:3]: f"{number}" for number, name in enumerate(_NAMES, 1)}
        month = pl.col("mon").str.slice(0, 3).str.to_lowercase()
        parts = parts.with_columns(m=month.replace_strict(numbers, default=None, return_dtype=pl.String))
    whole = [pl.col(n).cast(pl.Int64).fill_null(0) for n in ("y", "m", "d", "hour", "minute", "second")]
    micro = pl.col("fraction").str.slice(0, 6).str.pad_end(6, "0").cast(pl.Int64).fill_null(0).alias("micro")
    zone = pl.col("zone").str.replace_all(":", "", literal=True).str.extract(r"^([+-][0-9]{2,4})$")
    minutes = zone.str.slice(1, 2).cast(pl.Int64) * 60 + zone.str.slice(3, 2).cast(pl.Int64, strict=False).fill_null(0)
    offset = pl.when(zone.str.starts_with("-")).then(-minutes).otherwise(minutes).fill_null(0).alias("offset")
    half = pl.col("half").str.slice(0, 1).str.to_lowercase().fill_null("")
    flags = {"afternoon": half == "p", "twelve": half != "", "real": pl.col("y").is_not_null()}
    frame = parts.select(*whole, micro, offset, **flags)
    y, m, d, hour, minute, second, micros, shift, afternoon, twelve, real = (s.to_numpy() for s in frame)
    good = real & (y > 0) & (m >= 1) & (m <= 12) & (minute < 60) & (second < 60)
    leap = (m == 2) & (((y % 4 == 0) & (y % 100 != 0)) | (y % 400 == 0))
    good &= (d >= 1) & (d <= _MONTHS[np.clip(m, 1, 12) - 1] + leap)
    good &= np.where(twelve, (hour >= 1) & (hour <= 12), hour < 24)
    hour = np.where(twelve, hour % 12 + 12 * afternoon, hour)
    months = (y - 1970) * 12 + m - 1
    days = np.where(good, months, 0).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64) + d - 1
    seconds = days * 86400 + hour * 3600 + (minute - shift) * 60 + second
    return np.where(good, (seconds * 1_000_000 + micros) / DAY, np.nan)
