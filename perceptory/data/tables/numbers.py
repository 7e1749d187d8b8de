"""The numbers of a column, and what is asked of them in every study, found in one pass where there are many."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from perceptory.kernels import table

if TYPE_CHECKING:
    import polars as pl

MANY = 1000  # numbers that a kernel is worth its call


class NumberFacts(NamedTuple):
    """missing, infinite: how many of the numbers are. whole: how many have no fraction, the infinite ones among them.
    low, high: the least and the greatest, NaN where there is none."""

    missing: int
    infinite: int
    whole: int
    low: float
    high: float


def numbers_of(series: pl.Series) -> tuple[np.ndarray, NumberFacts | None]:
    """[row] float64 of a series of numbers, truth values or dates (days since 1970-01-01), NaN where it is null; and
    what is known of them by the way."""
    found = table.numbers_of(series) if len(series) >= MANY else None
    return (floats(series), None) if found is None else (found[0], NumberFacts(*found[1]))


def facts_of(values: np.ndarray) -> NumberFacts:
    """Of float64 numbers [row]."""
    if len(values) >= MANY and (found := table.facts_of(values)) is not None:
        return NumberFacts(*found)
    missing, infinite = (int(np.count_nonzero(are)) for are in (np.isnan(values), np.isinf(values)))
    return NumberFacts(missing, infinite, int(np.count_nonzero(values == np.floor(values))), *ends_of(values))


def floats(series: pl.Series) -> np.ndarray:
    """[row] float64 of a series of numbers, truth values or dates, NaN where it is null."""
    import polars as pl

    numbers = (series.to_physical() if series.dtype == pl.Date else series).cast(pl.Float64)
    if numbers.null_count():
        numbers = numbers.fill_null(math.nan)  # in half the time that `to_numpy` takes, and other threads run meanwhile
    return numbers.rechunk().to_numpy()


def ends_of(values: np.ndarray) -> tuple[float, float]:
    """The least and the greatest of numbers [row], NaN where there is none."""
    return (math.nan, math.nan) if not len(values) else (float(np.fmin.reduce(values)), float(np.fmax.reduce(values)))
