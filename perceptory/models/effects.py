"""How predictions move with one column while the others stay what they are: accumulated local effects."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from perceptory.data.tables.table import label

BINS, ROWS_A_BIN = 20, 10
CATEGORIES = 10  # drawn of a column, the most frequent ones
OUTPUTS = 5  # of several targets or classes, the first ones


@dataclass(frozen=True, eq=False)
class Effect:
    """Accumulated local effects of one column: values [point, output], around 0 over the rows.

    kind: "numeric", "date" (days since 1970-01-01), "boolean" or "categorical". points: [point] numbers, or names of
    categories. rows: [point] how many rows stand behind each. outputs: the targets, or the classes whose probability
    moves; of two classes the second one alone.
    """

    column: str
    kind: str
    points: tuple[float | str, ...]
    values: np.ndarray
    rows: tuple[int, ...]
    outputs: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON data; `from_json` reads it back."""
        return vars(self) | {
            "points": list(self.points), "values": self.values.tolist(), "rows": list(self.rows),
            "outputs": list(self.outputs),
        }  # fmt: skip

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Effect:
        """Read `to_json`'s data."""
        tuples = {name: tuple(data[name]) for name in ("points", "rows", "outputs")}
        values = np.array(data["values"], float).reshape(len(tuples["points"]), len(tuples["outputs"]))
        return cls(**data | tuples | {"values": values})


def effects_of(model: Any, columns: Any, places: list[int], predicted: np.ndarray) -> tuple[Effect, ...]:
    """The effects of the columns of these places; () for those of which a row has many numbers, as of series.

    predicted: what the model says of the columns as they are, by which categories are put in order.
    """
    if predicted.ndim != 2:
        return ()
    found = (_effect(model, columns, place, predicted) for place in places)
    return tuple(effect for effect in found if effect is not None)


def _effect(model: Any, columns: Any, place: int, predicted: np.ndarray) -> Effect | None:
    kind, names = columns.kind(place), columns.categories(place)
    if names:
        found = _of_categories(model, columns, place, predicted)
        points: tuple[float | str, ...] = () if found is None else tuple(names[k] for k in found[0])
    elif columns.numbers(place) is None:
        return None
    else:
        found = _of_numbers(model, columns, place)
        points = () if found is None else tuple(map(float, found[0]))
    if found is None or not np.isfinite(found[1]).all():
        return None
    _, values, rows = found
    outputs = tuple(model.targets) if model.classes is None else tuple(label(c) for c in model.classes)
    if len(outputs) == 2 and model.classes is not None:
        outputs, values = outputs[1:], values[:, 1:]
    return Effect(columns.names[place], kind, points, values[:, :OUTPUTS], tuple(map(int, rows)), outputs[:OUTPUTS])


def _of_numbers(model: Any, columns: Any, place: int) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """(edges z [point], effect [point, output], rows [point]) of a column of numbers (Apley & Zhu 2020, equation 15).

    Each row is predicted at both ends of the bin that it lies in, all else as it is; the means of these differences
    are summed up along the column, less their mean over the rows.
    """
    values = columns.numbers(place)
    there = np.flatnonzero(~np.isnan(values))
    if len(there) < 2:
        return None
    values = values[there]
    bins = max(2, min(BINS, len(values) // ROWS_A_BIN))
    edges = np.unique(np.quantile(values, np.linspace(0, 1, bins + 1), method="inverted_cdf"))
    if len(edges) < 2:
        return None
    of_rows = columns.take(there)
    place_in = np.clip(np.searchsorted(edges, values, side="left"), 1, len(edges) - 1)
    low, high = (of_rows.with_values({place: edges[place_in - k]}).predicted(model) for k in (1, 0))
    counts = np.bincount(place_in, minlength=len(edges))
    steps = _sums(place_in, high - low, len(edges)) / np.maximum(counts, 1)[:, None]
    effect = np.cumsum(steps, axis=0)
    middle = (effect[1:] + effect[:-1]) / 2  # of each bin
    effect = effect - (counts[1:, None] * middle).sum(axis=0) / len(values)
    return edges, effect, counts


def _of_categories(
    model: Any, columns: Any, place: int, predicted: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """(places of categories [point], effect [point, output], rows [point]).

    The categories stand in the order of what is predicted of their rows, so that neighbors are alike. From one to the
    next the rows of both are moved, those of the one forward and those of the other back.
    """
    codes = columns.codes(place)
    kinds, counts = np.unique(codes[codes >= 0], return_counts=True)
    kinds = kinds[np.argsort(-counts, kind="stable")][:CATEGORIES]
    if len(kinds) < 2:
        return None
    goal = predicted[:, -1] if predicted.shape[1] <= 2 else predicted[:, 0]
    kinds = np.array(sorted(kinds.tolist(), key=lambda k: float(goal[codes == k].mean())))
    steps = [np.zeros(predicted.shape[1])]
    for a, b in pairwise(kinds):
        rows = np.flatnonzero((codes == a) | (codes == b))
        of_rows = columns.take(rows)
        low, high = (of_rows.with_values({place: np.full(len(rows), k, codes.dtype)}).predicted(model) for k in (a, b))
        steps.append((high - low).mean(axis=0))
    effect = np.cumsum(steps, axis=0)
    counts = np.array([(codes == k).sum() for k in kinds])
    effect = effect - (counts[:, None] * effect).sum(axis=0) / counts.sum()
    shown = np.argsort(effect[:, -1 if predicted.shape[1] <= 2 else 0], kind="stable")
    return kinds[shown], effect[shown], counts[shown]


def _sums(places: np.ndarray, values: np.ndarray, count: int) -> np.ndarray:
    """[place, output] sums of the rows of each place."""
    sums = np.zeros((count, values.shape[1]))
    np.add.at(sums, places, values)
    return sums
