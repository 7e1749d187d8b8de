"""Single values that are far away from all others of their series: mistakes, most of the time."""

from __future__ import annotations

import numpy as np

from perceptory.data.series.clock import Clock
from perceptory.notes import Note, spike_in_series

FAR = 100.0  # deviations of all other values of the series
LEAST = 10  # values of a series that tell what is usual


def notes_on_spikes(names: tuple[str, ...], values: np.ndarray, clock: Clock) -> tuple[Note, ...]:
    """A note for each of these columns, values [row, column] in the clock's order, in which a value is far off."""
    notes = []
    for name, column in zip(names, values.T, strict=True):
        found = spikes(column, clock.starts)
        if found:
            place, far = max(found, key=lambda one: one[1])
            row = int(clock.rows[place]) + 1
            series = clock.names[int(np.searchsorted(clock.starts, place, side="right")) - 1]
            several = series if len(clock.names) > 1 else ""
            notes.append(spike_in_series(name, row, float(column[place]), float(f"{far:.2g}"), several, len(found) - 1))
    return tuple(notes)


def spikes(values: np.ndarray, starts: np.ndarray) -> list[tuple[int, float]]:
    """(place, distance) of the one value in each series that is more than `FAR` deviations of all others away from
    their mean, where there is one. values: [row] series after series, NaN where missing; starts: [series + 1]."""
    there = ~np.isnan(values)
    first, lengths = starts[:-1], np.diff(starts)
    if not len(values) or not lengths.all():
        return []
    count = np.add.reduceat(there.astype(float), first)
    filled = np.where(there, values, 0.0)
    means = np.add.reduceat(filled, first) / np.maximum(count, 1)
    away = np.where(there, filled - np.repeat(means, lengths), 0.0)
    squares = np.ldexp(away, -np.frexp(np.max(np.abs(away)))[1]) ** 2  # none is beyond arithmetic
    most, total = np.maximum.reduceat(squares, first), np.add.reduceat(squares, first)
    found = []
    for k in np.flatnonzero((most > total / 2) & (count >= LEAST)):  # beside a spike all others together are little
        own = slice(starts[k], starts[k + 1])
        place = int(starts[k] + squares[own].argmax())
        others = np.delete(values[own], place - starts[k])
        others = others[~np.isnan(others)]
        spread = float(others.std())
        far = abs(values[place] - others.mean()) / spread if spread > 0 else 0.0
        if far > FAR:
            found.append((place, float(far)))
    return found
