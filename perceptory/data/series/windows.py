"""Windows: where in a long table examples begin and end."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from perceptory.data.series.clock import Clock
from perceptory.errors import InputError
from perceptory.notes import Note, cut_from_rows, few_windows, rows_in_no_window, series_too_short
from perceptory.specs import count


def windows(array: np.ndarray, length: int, stride: int = 1) -> np.ndarray:
    """Windows [n, length, ...] of an array [row, ...]: rows k·stride to k·stride + length − 1, for every k that fits.

    A read-only view: nothing is copied. Raises `InputError` where the array has fewer rows than a window.
    """
    count("the length of a window", length)
    count("the stride of windows", stride)
    array = np.asarray(array)
    if array.ndim < 1 or len(array) < length:
        raise InputError(f"a window of {length} rows does not fit into an array of the shape {array.shape}.")
    view = np.lib.stride_tricks.sliding_window_view(array, length, axis=0)[::stride]
    return np.moveaxis(view, -1, 1)


FEW = 30  # windows of a table below which a note names a way to more


# --- where examples stand -----------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Cut:
    """Examples in the rows of a `Clock`: starts [n], lengths [n], `steps` (the longest), and `reach`, the rows after
    them that their targets stand in. unused: rows of a series that fill no window, over all series. stride: from one
    window to the next, 0 for whole series. short: of series that are left out, how many, and the name of the first."""

    starts: np.ndarray
    lengths: np.ndarray
    steps: int
    reach: int
    unused: int
    stride: int = 0
    short: tuple[int, str] = (0, "")

    @property
    def spans(self) -> np.ndarray:
        return np.stack([self.starts, self.starts + self.lengths + self.reach], axis=1).astype(np.int64)

    @property
    def origins(self) -> np.ndarray:
        """[n] the first row of each example, in as few bytes as that takes."""
        return self.starts.astype(np.int32 if self.starts.max(initial=0) < np.iinfo(np.int32).max else np.int64)

    @property
    def inside(self) -> np.ndarray:
        """[n, steps] bool: steps that are not padding."""
        return np.arange(self.steps) < self.lengths[:, None]

    def gather(self, values: np.ndarray) -> np.ndarray:
        """[n, steps, ...] of values [row, ...] in the clock's order, 0 where a series has ended."""
        places = self.starts[:, None] + np.arange(self.steps)
        if (self.lengths == self.steps).all():
            return values[places]
        gathered = values[np.minimum(places, len(values) - 1)]
        gathered[~self.inside] = 0
        return gathered

    def notes(self, clock: Clock, ahead: bool, to_learn: bool) -> list[Note]:
        """What was made of the rows; to_learn: not to test on."""
        shortest, series = int(self.lengths.min(initial=self.steps)), len(clock.names)
        notes = [cut_from_rows(len(self.starts), shortest, self.steps, len(clock.order), series)]
        if self.unused:
            notes.append(rows_in_no_window(self.unused, "before the first" if ahead else "after the last"))
        if self.short[0]:
            notes.append(series_too_short(*self.short, self.steps + self.reach))
        closer = self.steps // 4
        if to_learn and closer > 0 and self.stride >= self.steps and 1 < len(self.starts) < FEW:
            notes.append(few_windows(len(self.starts), closer))
        return notes


def cut_rows(
    clock: Clock, window: int | None, stride: int | None, reach: int, *, latest: bool = False, spare: bool = False
) -> Cut:
    """Windows of every series, or, without a window, whole series. latest: the last window ends with the last row, and
    rows that fill no window are the first ones. spare: series shorter than window and reach are left out, where others
    are there; else `InputError` for them."""
    if window is None or stride is None:
        return Cut(clock.starts[:-1], clock.lengths, int(clock.lengths.max()), 0, 0)
    need = window + reach
    short = np.flatnonzero(clock.lengths < need)
    left_out = (0, "")
    if spare and 0 < short.size < len(clock.names):
        left_out = short.size, clock.names[short[0]]
    elif short.size:
        name = f"series {clock.names[short[0]]!r}" if len(clock.names) > 1 else "the table"
        horizon = f" and a horizon of {reach}" if reach else ""
        also = f" ({short.size} series are too short)" if short.size > 1 else ""
        remedy = "smaller window" if window > 1 else "shorter horizon"
        remedy += ", or leave that series out" if len(clock.names) > 1 else ""
        raise InputError(
            f"a window of {window} row{'s' if window > 1 else ''}{horizon} needs at least {need} rows, but {name} has "
            f"{clock.lengths[short[0]]}{also}. Use a {remedy}."
        )
    counts = np.maximum((clock.lengths - need) // stride + 1, 0)
    rest = np.where(counts > 0, (clock.lengths - need) % stride, 0)
    offsets = rest if latest else np.zeros_like(rest)
    first = np.repeat(clock.starts[:-1] + offsets, counts)
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return Cut(first + within * stride, np.full(len(first), window), window, reach, int(rest.sum()), stride, left_out)


# --- how a single record of a dynamic system is cut ---------------------------------------------------------------

SHORTEST_RECORD, MOST_STEPS = 128, 256  # rows of a record that is worth cutting; steps of a window at most


def record_cut(lengths: np.ndarray, stride: int | None, washout: int, known: Any) -> tuple[int | None, int | None, int]:
    """(window, stride, washout) of the examples of one record; a window of None where there are several series, or too
    few rows.

    A window is an eighth of the record, at least 100 steps where four of these fit; the next one begins after a quarter
    of it. Where no output is known, three tenths of each are the washout: a network does not know the state in which a
    window begins, and judged by these steps models of short memory look best, and fail on a record from its start.
    """
    rows = int(lengths[0])
    if len(lengths) > 1 or rows < SHORTEST_RECORD:
        return None, stride, washout
    window = min(MOST_STEPS, max(rows // 8, min(100, rows // 4)))
    return window, stride or window // 4, washout if washout or known else 3 * window // 10


# --- how forecasts are cut where nothing is asked -----------------------------------------------------------------

MOST_EXAMPLES = 60_000  # from which on windows lie farther apart: neighbors tell little that is new
DAY, WEEK_AND_DAY, TWO_WEEKS = 24, 192, 336  # of hours, whose weeks differ in their days
MANY = 20_000  # windows from which on longer ones are worth what they take from the number of examples
LEAST_WINDOW, MOST_WINDOW = 10, 512
SEASONS, LEAST_LEFT = 4, 70  # seasons of a longer window, and windows that it has to leave


def usual_sight(reach: int, season: int) -> int:
    """Steps that networks look back where nothing is asked: two seasons (of hours a week and a day) or two horizons,
    four horizons where there is no season, at least ten."""
    seasons = WEEK_AND_DAY if season == DAY else 2 * season
    return max(4 * reach if season == 1 else max(seasons, 2 * reach), LEAST_WINDOW)


def usual_cut(
    lengths: np.ndarray,
    window: int | None,
    stride: int | None,
    horizons: Sequence[int],
    season: int,
    like: Any = None,
) -> tuple[int, int]:
    """Window and stride of forecasts, those that are given as they are.

    A window is what `usual_sight` says, or four seasons of it where there are any, so that each phase is seen more than
    twice (of hours two weeks, where that leaves many examples); shorter where the shortest series could not give two
    examples, the longest none to train on beside one to validate and one to test, or half of the series too few. A
    stride of 1, or more where that would make more than 60,000 windows, without a common divisor with the season. like:
    data that were cut before.
    """
    reach = max(horizons)
    if window is None and like is not None and like.plan is not None:
        window = like.plan.window
    if window is None:
        wanted, share = usual_sight(reach, season), 3
        middle = int(np.median(lengths)) - reach
        if season == DAY:
            many = int(np.maximum(lengths - TWO_WEEKS - reach + 1, 0).sum()) >= MANY
            wanted, share = (max(wanted, TWO_WEEKS), 2) if many else (wanted, 3)
        elif season > 1:
            wanted = max(wanted, min(SEASONS, middle // 3 // season, (middle + 1 - LEAST_LEFT) // season) * season)
        long = lengths[lengths >= LEAST_WINDOW + 2 * reach]  # a few short series do not shorten the window of all
        shortest = int((long if 2 * len(long) >= len(lengths) else lengths).min())
        fits = min(shortest - 2 * reach, middle // share)
        if int(lengths.max()) > 3 * reach:
            fits = min(fits, int(lengths.max()) - 3 * reach)
        window = max(1, min(wanted, fits, max(MOST_WINDOW, 2 * season)))
    if stride is None:
        total = int(np.maximum(lengths - window - reach + 1, 0).sum())
        stride = max(1, -(-total // MOST_EXAMPLES))
        while stride > 1 and math.gcd(stride, season) > 1:
            stride += 1
    return window, stride
