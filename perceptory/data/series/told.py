"""Inputs of series that hold the target itself: told, since a network that leans on them is of no use."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from perceptory.data.series.found import Found
from perceptory.data.tables.beside import in_its_order
from perceptory.data.tables.inference import infer
from perceptory.notes import Note, ordered_as_later_target, ordered_as_target


def told_by_inputs(found: Found, values: np.ndarray, horizons: Sequence[int]) -> list[Note]:
    """A note on each input that is a function of the target: of the same row or series, or of a forecast's later row.

    values: [row, input] in the clock's order. Only where there are other inputs to learn from, and not of rows that are
    read as a study's own were.
    """
    asked, clock = found.asked, found.clock
    if asked.like is not None or len(found.columns) != 1 or len(found.names) < 2:
        return []
    goal = found.columns[0]
    column = infer(goal)
    if column.kind != "numeric":
        return []
    target = np.asarray(column.values, np.float64)[clock.order]
    others = [(k, name) for k, name in enumerate(found.names) if name != goal.name]
    if asked.use == "ahead":
        return _later(target, values, others, found, horizons)
    rows: slice | np.ndarray = clock.starts[:-1] if asked.use == "one value" else slice(None)
    return [ordered_as_target(name, goal.name) for k, name in others if in_its_order(target[rows], values[rows, k])]


def _later(
    target: np.ndarray, values: np.ndarray, others: Sequence[tuple[int, str]], found: Found, horizons: Sequence[int]
) -> list[Note]:
    owner = np.repeat(np.arange(len(found.clock.names)), found.clock.lengths)
    notes = []
    for k, name in others:
        if name in found.known_ahead:
            if in_its_order(target, values[:, k]):
                notes.append(ordered_as_target(name, found.columns[0].name))
            continue
        for h in horizons:
            both = owner[h:] == owner[:-h]
            if in_its_order(target[h:][both], values[:-h, k][both]):
                notes.append(ordered_as_later_target(name, found.columns[0].name, int(h)))
                break
    return notes
