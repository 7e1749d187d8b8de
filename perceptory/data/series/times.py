"""The column of a table that holds the time, where nobody has named it: it must not become an input by accident."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from perceptory.data.series.calendar import UNEVEN
from perceptory.data.series.clock import is_index, times_of
from perceptory.data.tables.inference import infer
from perceptory.data.tables.table import Table
from perceptory.errors import InputError

FEWEST = 12  # rows of numbers below which steps may be nearly equal by chance, unless they are years
FEWEST_EXACT = 4  # rows of whole numbers below which steps may be equal by chance
YEARS = 1000, 3000
MOST = 0.75  # of the steps of a time that are like the others


def find_time(table: Table, series: str | None, used: Collection[str], ahead: bool) -> list[str]:
    """Names of the columns that hold the time of each row: dates first, then numbers, such as years, whose steps are
    nearly all alike. used: columns that are something else. ahead: of forecasts, where a time has more to tell than an
    input of equal steps, so that few rows are enough."""
    dates, numbers = [], []
    for raw in table.columns:
        if raw.name in used or raw.name in table.duplicated:
            continue
        column = infer(raw)
        if column.kind == "date" and _counts(table, raw.name, series, least=2):
            dates.append(raw.name)
        elif (
            column.kind == "numeric"
            and not is_index(column)
            and _counts(table, raw.name, series, least=_fewest(column.values), exact=ahead)
        ):
            numbers.append(raw.name)
    return dates + numbers


def _fewest(values: np.ndarray) -> int:
    known = values[~np.isnan(values)]
    years = len(known) and known.min() > YEARS[0] and known.max() < YEARS[1] and not (known % 1).any()
    return 3 if years else FEWEST


def _counts(table: Table, name: str, series: str | None, least: int, exact: bool = False) -> bool:
    """Whether a column goes forward from row to row of each series, nearly always by the same step. exact: or, in fewer
    rows than `least`, in whole numbers and always by the same one."""
    try:
        clock, dates = times_of(table, name, series)
    except InputError:
        return False
    steps = np.diff(clock.moments)[clock.inside]
    exact = exact and len(steps) >= FEWEST_EXACT - 1 and not (clock.moments % 1).any() and not np.ptp(steps)
    if len(steps) < least - 1 and not exact:
        return False
    forward = steps[steps > 0]
    if dates:
        return len(forward) >= MOST * len(steps)
    usual = np.median(steps)
    alike = np.abs(steps - usual) <= UNEVEN * usual
    return len(forward) == len(steps) and int(alike.sum()) >= MOST * len(steps)
