"""Values that stand alone, far away from all others of their series: mistakes, most of the time.

One of them is enough to ruin what is forecast: the season is not found, every window that holds it has another level
and scale, squares of a few errors outweigh all others. So where a series is forecast the straight line between its
neighbors stands in its place, for networks and for scores, and a note says so.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from perceptory.data.series.clock import Clock
from perceptory.data.series.gaps import fill_one
from perceptory.data.tables.inference import infer
from perceptory.data.tables.table import Table
from perceptory.errors import InputError, Setting
from perceptory.notes import Note, spike_in_series
from perceptory.registry import Registry

FAR = 40.0  # deviations of all other values of the series: the farthest of 773 weekly and hourly ones is 27 away
LEAST = 10  # values of a series that tell what is usual
SHARE = 50  # one value in so many may be such a one; there may be one in any case
SPIKES: Registry[str] = Registry(
    "way to take spikes",
    {"fill": "the straight line between its neighbors stands in the place of each", "keep": "as they are"},
)


class Spike(NamedTuple):
    """place: of the value, in the order of the series; far: by how many deviations it is away."""

    place: int
    far: float


def without_spikes(table: Table, clock: Clock, names: tuple[str, ...], how: str) -> tuple[Table, tuple[Note, ...]]:
    """The table with spikes of these columns of numbers filled in, unless they are kept, and a note for each of the
    columns that has any. What is looked at is the whole series: it tells nothing of those values that stay."""
    notes, columns = [], {}
    for name in names:
        raw = table.column(name)
        column = infer(raw)
        if column.kind != "numeric":
            continue
        values = np.asarray(column.values, np.float64)[clock.order]
        found = spikes(values, clock.starts)
        if not found:
            continue
        place, far = max(found, key=lambda one: one.far)
        series = clock.names[int(np.searchsorted(clock.starts, place, side="right")) - 1]
        several = series if len(clock.names) > 1 else ""
        row, value = int(clock.rows[place]) + 1, float(values[place])
        notes.append(spike_in_series(name, row, value, float(f"{far:.2g}"), several, len(found) - 1, how))
        if how == "fill":
            whole = np.asarray(column.values, np.float64).copy()
            whole[clock.order] = _filled(values, [one.place for one in found], clock.starts)
            columns[name] = replace(raw, storage="number", data=whole, cells=None)
    if columns:
        table = replace(table, columns=tuple(columns.get(c.name, c) for c in table.columns))
    return table, tuple(notes)


def _filled(values: np.ndarray, places: list[int], starts: np.ndarray) -> np.ndarray:
    """The values with a straight line at these places; what was missing before stays so."""
    missing, values = np.isnan(values), values.copy()
    values[places] = np.nan
    for s in np.unique(np.searchsorted(starts, places, side="right") - 1):
        own = slice(starts[s], starts[s + 1])
        values[own] = fill_one(values[own], "linear")
    values[missing] = np.nan
    return values


def spikes(values: np.ndarray, starts: np.ndarray) -> list[Spike]:
    """Those values of each series that are more than `FAR` deviations of all others away from their mean, at most one
    in `SHARE`, or one; several at the end of a series are none, for it may go on so. values: [row] series after series,
    NaN where missing; starts: [series + 1]."""
    there = np.isfinite(values)
    first, lengths = starts[:-1], np.diff(starts)
    if not len(values) or not lengths.all():
        return []
    count = np.add.reduceat(there.astype(float), first)
    filled = np.where(there, values, 0.0)
    scaled = np.ldexp(filled, -np.frexp(np.max(np.abs(filled), initial=1.0))[1])  # no square is beyond arithmetic
    means = np.add.reduceat(scaled, first) / np.maximum(count, 1)
    squares = np.where(there, scaled - np.repeat(means, lengths), 0.0) ** 2
    most, total = np.maximum.reduceat(squares, first), np.add.reduceat(squares, first)
    many = np.maximum(1, lengths // SHARE)
    found = []
    for k in np.flatnonzero((2 * many * most > total) & (count >= LEAST)):  # beside spikes all others are little
        own = slice(int(starts[k]), int(starts[k + 1]))
        found += [Spike(own.start + place, far) for place, far in _of_one(values[own], int(many[k]))]
    return found


def _of_one(values: np.ndarray, most: int) -> list[Spike]:
    places = np.flatnonzero(np.isfinite(values))
    known = values[places] / 2  # so that no difference is beyond arithmetic
    order = np.argsort(-np.abs(known - np.median(known)), kind="stable")
    for k in range(most, 0, -1):
        top, others = order[:k], known[order[k:]]
        size = np.max(np.abs(others))
        spread = size * float(np.std(others / size)) if size > 0 else 0.0
        if spread == 0:
            continue
        far = np.abs(known[top] - others.mean()) / spread
        at_end = bool(np.isin(len(known) - 1, top)) and bool(np.isin(len(known) - 2, top))
        if far.min() > FAR and not at_end:
            return sorted(Spike(int(places[t]), float(f)) for t, f in zip(top, far, strict=True))
    return []


def check_spikes(how: str) -> str:
    """The way by its name; `InputError` for another one."""
    if not isinstance(how, str):
        raise InputError(Setting("spikes"), f" needs one of {', '.join(SPIKES)}, got {how!r}.")
    SPIKES[how]
    return how
