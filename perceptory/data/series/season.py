"""How many steps a season has: asked for, told by the time step, or found in the series."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

FOUND = 0.3  # the least autocorrelation at the season's lag
CLOSE = 0.9  # of the largest: an earlier lag with so much of it is the season, the later ones its multiples
SERIES = 200  # that are looked at
MOST = 400  # steps of a season that is looked for
PER_YEAR = {1.0: 12, 3.0: 4, 6.0: 2}  # seasons of months, quarters and half-years
DAY, HOUR = 1.0, 1 / 24


def season_of(series: Sequence[np.ndarray], step: float | None = None, unit: str = "") -> int:
    """Steps of a season, 1 where there is none. series: each [row], NaN where missing; step, unit: of a `Calendar`.

    A year of months, quarters or weeks, a week of days and a day of hours or minutes are seasons where the series
    repeat themselves at all after so many steps; of other steps the season is the lag at which most series are most
    like themselves.
    """
    lags = [lag for values in _spread(series) if (lag := _repeats(values)) > 1]
    usual = _of_calendar(step, unit)
    looked = len(_spread(series))
    if usual > 1:
        alike = [_autocorrelation(values, usual)[usual] for values in _spread(series) if len(values) > 2 * usual]
        return usual if alike and np.median(alike) > FOUND / 3 else 1
    if 2 * len(lags) <= looked:
        return 1
    found, counts = np.unique(lags, return_counts=True)
    return int(found[counts.argmax()]) if 2 * counts.max() >= len(lags) else 1


def _of_calendar(step: float | None, unit: str) -> int:
    """Steps of the usual season of such a time step, 1 where there is none that is usual."""
    if step is None:
        return 1
    if unit == "month":
        return PER_YEAR.get(step, 1)
    if unit == "business day":
        return 5 if step == 1 else 1
    if unit not in ("day", "day but leap days"):
        return 1
    if step < DAY:
        return round(DAY / step)
    return 7 if step == DAY else 52 if step == 7 * DAY else 1


def _spread(series: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Some of the series, spread over them, their ends alone where they are long."""
    some = series[:: max(1, -(-len(series) // SERIES))]
    return [_evened(one[-8 * MOST :]) for values in some if (one := _filled(values)).size and np.ptp(one) > 0]


def _evened(values: np.ndarray) -> np.ndarray:
    """Logarithms of a series above 0, for a season that grows with the level would be that of its last years alone."""
    return np.log(values) if values.min() > 0 else values


def _filled(values: np.ndarray) -> np.ndarray:
    there = ~np.isnan(values)
    return np.interp(np.arange(len(values)), np.flatnonzero(there), values[there]) if there.any() else values[:0]


def _autocorrelation(values: np.ndarray, most: int) -> np.ndarray:
    """[most + 1] of the series without its trend, a running mean over two seasons or so."""
    n = len(values)
    wide = min(2 * most + 1, n)
    sums = np.cumsum(np.concatenate([[0.0], values]))
    first = np.clip(np.arange(n) - wide // 2, 0, n - wide)
    x = values - (sums[first + wide] - sums[first]) / wide
    x = np.ldexp(x, -np.frexp(np.max(np.abs(x)))[1])  # so that no square is beyond arithmetic; no digit changes
    size = 1 << (2 * n - 1).bit_length()
    power = np.abs(np.fft.rfft(x, size)) ** 2
    sums = np.fft.irfft(power, size)[: most + 1]
    return sums / sums[0] if sums[0] > 0 else np.zeros(most + 1)


def _repeats(values: np.ndarray) -> int:
    """The lag at which the series is most like itself, 1 where there is none."""
    most = min(MOST, len(values) // 3)
    if most < 2:
        return 1
    c = _autocorrelation(values, most)
    peaks = 1 + np.flatnonzero((c[1:-1] > c[:-2]) & (c[1:-1] >= c[2:]))
    if not len(peaks) or c[peaks].max() < FOUND:
        return 1
    return int(peaks[c[peaks] >= CLOSE * c[peaks].max()][0])


def changes(values: np.ndarray, starts: np.ndarray, origins: np.ndarray, season: int) -> np.ndarray:
    """[n, column] the mean of |x(t) - x(t - season)| over the rows of the series before each origin: the unit of scaled
    errors (Hyndman & Koehler 2006). values: [row, column] series after series, NaN where missing; starts:
    [series + 1]; origins: [n], one past the last row that is known. Where a series has no two such rows, or never
    changes, its unit is that of all series together.
    """
    own = np.zeros(len(values), bool)  # rows that have one a season before
    for a, b in pairwise(starts):
        own[a + season : b] = True
    steps = np.zeros_like(values, dtype=float)
    places = np.flatnonzero(own)
    steps[places] = np.abs(values[places] - values[places - season])
    there = own[:, None] & ~np.isnan(steps)
    sums, counts = (
        np.concatenate([np.zeros((1, values.shape[1])), a.cumsum(axis=0)])
        for a in (np.where(there, steps, 0), there.astype(float))
    )
    first = starts[np.searchsorted(starts, origins, side="left") - 1]
    total, number = sums[origins] - sums[first], counts[origins] - counts[first]
    usual = sums[-1] / np.maximum(counts[-1], 1)
    units = np.where((number > 0) & (total > 0), total / np.maximum(number, 1), usual)
    return np.where(units > 0, units, 1.0)
