"""What is told of the rows of series: inputs that hold the target itself, since a network that leans on them is of no
use, and single values that are far off."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from perceptory.data.far_off import far_off
from perceptory.data.series.found import Found
from perceptory.data.tables.beside import in_its_order
from perceptory.data.tables.inference import infer
from perceptory.notes import Note, ordered_as_later_target, ordered_as_target, value_far_off


def told_of_rows(found: Found, values: np.ndarray, horizons: Sequence[int]) -> list[Note]:
    """Notes on what stands in single rows; values, horizons: as in `told_by_inputs`."""
    if found.asked.like is not None:
        return []
    return [*_far_off(found, values), *told_by_inputs(found, values, horizons)]


def _far_off(found: Found, values: np.ndarray) -> list[Note]:
    """A note on each input and target of which one value is more than a million deviations of all others away; of what
    is forecast `spikes` tells."""
    ahead, goals = found.asked.use == "ahead", [c.name for c in found.columns]
    columns = {n: v for n, v in zip(found.names, values.T, strict=False) if not (ahead and n in goals)}
    for goal in [] if ahead else found.columns:
        column = infer(goal)
        if column.kind == "numeric":
            columns[goal.name] = np.asarray(column.values, np.float64)[found.clock.order]
    places = {name: far_off(column) for name, column in columns.items()}
    rows = found.clock.rows
    return [value_far_off(n, int(rows[k]) + 1, float(columns[n][k])) for n, k in places.items() if k is not None]


def told_by_inputs(found: Found, values: np.ndarray, horizons: Sequence[int]) -> list[Note]:
    """A note on each input that is a function of the target: of the same row or series, or of a forecast's later row.

    values: [row, input] in the clock's order. Only where there are other inputs to learn from, and not of rows that are
    read as a study's own were.
    """
    asked, clock = found.asked, found.clock
    if len(found.columns) != 1 or len(found.names) < 2:
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
    told = in_its_order(target[rows], [values[rows, k] for k, _ in others])
    return [ordered_as_target(name, goal.name) for (_, name), is_so in zip(others, told, strict=True) if is_so]


def _later(
    target: np.ndarray, values: np.ndarray, others: Sequence[tuple[int, str]], found: Found, horizons: Sequence[int]
) -> list[Note]:
    owner = np.repeat(np.arange(len(found.clock.names)), found.clock.lengths)
    notes = []
    for k, name in others:
        if name in found.known_ahead:
            if in_its_order(target, [values[:, k]])[0]:
                notes.append(ordered_as_target(name, found.columns[0].name))
            continue
        for h in horizons:
            both = owner[h:] == owner[:-h]
            if in_its_order(target[h:][both], [values[:-h, k][both]])[0]:
                notes.append(ordered_as_later_target(name, found.columns[0].name, int(h)))
                break
    return notes
