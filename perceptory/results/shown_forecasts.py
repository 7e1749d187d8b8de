"""What the report shows of forecasts: the last windows of several series, what was forecast from them and what came."""

from __future__ import annotations

import dataclasses
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from perceptory.data.arrays.dataset import ArrayDataset
from perceptory.errors import InputError
from perceptory.models.forecasts import base_names
from perceptory.models.horizon_intervals import ends_of_intervals, knows_intervals
from perceptory.results.data_facts import packed, unpacked

SERIES = 6  # that are shown
COVERAGE = 0.9
ARRAYS = ("history", "horizons", "predicted", "truth", "lower", "upper")


@dataclass(frozen=True, eq=False)
class ShownForecasts:
    """Of k series, in the target's own units. part: "validation" or "test", of which these forecasts are. target: the
    column. series: [k] names. history: [k, window]. horizons: [h]. predicted, truth: [k, h]; lower, upper: [k, h] ends
    of intervals of `coverage`, NaN where the model knows none."""

    part: str
    target: str
    series: tuple[str, ...]
    history: np.ndarray
    horizons: np.ndarray
    predicted: np.ndarray
    truth: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    coverage: float = COVERAGE

    def to_json(self) -> dict[str, Any]:
        """Plain JSON data; `from_json` reads it back."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return values | {"series": list(self.series)} | {name: packed(values[name]) for name in ARRAYS}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> ShownForecasts:
        """Read `to_json`'s data. Raises `KeyError` or `TypeError` for what does not fit."""
        return cls(**data | {"series": tuple(data["series"])} | {name: unpacked(data[name]) for name in ARRAYS})


def shown_forecasts(part: str, data: Any, rows: np.ndarray, output: np.ndarray, model: Any) -> ShownForecasts | None:
    """The latest of some forecasts of each series: rows [n] are their places in the data, output [n, out] what was
    forecast. None where they are no forecasts of numbers from their own past."""
    plan = getattr(data, "plan", None)
    if not isinstance(data, ArrayDataset) or plan is None or data.timeline is None or data.task != "regression":
        return None
    names = base_names(data.target_names, max(1, len(plan.horizons)))
    if not plan.horizons or names[0] not in data.channels or not len(rows):
        return None
    order = np.lexsort((data.timeline.scored[rows, 0], data.timeline.series[rows]))
    owner = data.timeline.series[rows[order]]
    last = order[np.append(np.diff(owner) != 0, True)]
    chosen = last[np.unique(np.linspace(0, len(last) - 1, min(SERIES, len(last))).round().astype(int))]
    inputs, far = np.asarray(data.inputs[rows[chosen]]), np.argsort(plan.horizons)
    shape = (len(chosen), len(plan.horizons), -1)

    def first(outputs: np.ndarray) -> np.ndarray:
        return np.asarray(outputs.reshape(shape)[:, far, 0], np.float64)

    known = () if data.ends is None else data.ends.names
    series = [known[s] if s < len(known) else "" for s in data.timeline.series[rows[chosen]].tolist()]
    ends = np.full((*output[chosen].shape, 2), np.nan)
    if knows_intervals(model) and np.isfinite(output[chosen]).all():
        with suppress(InputError):  # too few forecasts were held out for such a band: none is drawn
            ends = ends_of_intervals(model, inputs, output[chosen], COVERAGE, series)
    return ShownForecasts(
        part,
        names[0],
        tuple(series),
        np.asarray(inputs[..., data.channels.index(names[0])], np.float64),
        np.asarray(plan.horizons, np.int64)[far],
        first(output[chosen]),
        first(data.targets[rows[chosen]]),
        first(ends[..., 0]),
        first(ends[..., 1]),
    )
