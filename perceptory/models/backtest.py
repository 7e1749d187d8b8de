"""A backtest: forecasts from several moments of the past, beside what came, with scores by origin and by horizon."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from perceptory.data.series.calendar import shown
from perceptory.data.series.season import changes
from perceptory.errors import InputError, Setting
from perceptory.models.forecasts import LEARNED_FROM, Forecast, forecast
from perceptory.notes import NoteWarning, tested_on_what_was_learned
from perceptory.specs import count
from perceptory.wording import count_of, number

if TYPE_CHECKING:
    import polars as pl

MOST = 12  # lines of origins, and of horizons, that are printed
SCORES = ("mae", "rmse", "smape", "mase", "coverage")


@dataclass(frozen=True, eq=False)
class Backtest:
    """forecast: what was forecast, with what came (`Forecast.truth`). units: [n, target] the mean change over a season
    up to each origin, by which scaled errors count. All scores are means over what has come: "mae", "rmse", "smape" in
    percent, "mase", and "coverage", the share within the intervals, where the model knows any."""

    forecast: Forecast
    units: np.ndarray

    @property
    def scores(self) -> dict[str, float]:
        """Over all series, origins and horizons."""
        return self._scores(np.ones(self.forecast.values.shape[:2], bool))

    @property
    def by_origin(self) -> list[dict[str, Any]]:
        """A dict for each moment of an origin: "from", "forecasts" (how many) and the scores."""
        origins = self.forecast.origins
        return [
            {"from": origin, "forecasts": int((origins == origin).sum())}
            | self._scores((origins == origin)[:, None] & np.ones(len(self.forecast.horizons), bool))
            for origin in np.unique(origins).tolist()
        ]

    @property
    def by_horizon(self) -> list[dict[str, Any]]:
        """A dict for each horizon: "steps ahead" and the scores."""
        horizons = self.forecast.horizons
        each = np.ones((len(self.forecast.series), 1), bool)
        return [{"steps ahead": int(h)} | self._scores(each & (horizons == h)) for h in horizons]

    def _origins(self) -> list[tuple[str, dict[str, float]]]:
        found, dates = self.forecast.origins, self.forecast.calendar.dates
        each = np.unique(found)
        early = len(each) - MOST + 1 if len(each) > MOST else 0
        lines = [("from " + shown(one, dates), found == one) for one in each[early:].tolist()]
        if early:
            ends = [shown(one, dates) for one in each[[0, early - 1]].tolist()]
            lines.insert(0, (f"from {' to '.join(ends)}", found < each[early]))
        horizons = np.ones(len(self.forecast.horizons), bool)
        return [(name, self._scores(which[:, None] & horizons)) for name, which in lines]

    def _horizons(self) -> list[tuple[str, dict[str, float]]]:
        horizons = self.forecast.horizons
        near = MOST - 1 if len(horizons) > MOST else len(horizons)
        lines = [(f"t+{h}", horizons == h) for h in horizons[:near].tolist()]
        if near < len(horizons):
            lines.append((f"t+{horizons[near]} to t+{horizons[-1]}", horizons >= horizons[near]))
        each = np.ones((len(self.forecast.series), 1), bool)
        return [(name, self._scores(each & which)) for name, which in lines]

    def _scores(self, some: np.ndarray) -> dict[str, float]:
        found, truth = self.forecast, np.asarray(self.forecast.truth, float)
        error = np.where(some[..., None], found.values - truth, np.nan)
        size = np.abs(found.values) + np.abs(truth)
        with np.errstate(invalid="ignore", divide="ignore"):
            smape = np.where(size > 0, 200 * np.abs(error) / size, 0 * error)
        scores = {
            "mae": _mean(np.abs(error)),
            "rmse": float(np.sqrt(_mean(error**2))),
            "smape": _mean(smape),
            "mase": _mean(np.abs(error) / self.units[:, None]),
        }
        if found.lower is not None and found.upper is not None:
            inside = (found.lower <= truth) & (truth <= found.upper)
            scores["coverage"] = _mean(np.where(np.isnan(error), np.nan, inside))
        return scores

    def frame(self) -> pl.DataFrame:
        """The forecasts as a polars data frame, a line for each series, origin and horizon."""
        return self.forecast.frame()

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self) -> list[str]:
        """The scores as a table: over all, by origin, by horizon. Of more than `MOST` origins the earliest ones share a
        line, of more horizons the farthest."""
        names = [name for name in SCORES if name in self.scores]
        rows = [("all", self.scores), *self._origins(), *self._horizons()]
        table = [["", *map(str.upper, names)]] + [[name, *(_shown(row[s]) for s in names)] for name, row in rows]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = [
            "  ".join([row[0].ljust(widths[0]), *(v.rjust(w) for v, w in zip(row[1:], widths[1:], strict=True))])
            for row in table
        ]
        return [f"{count_of(len(self.forecast.series), 'forecast')} of {', '.join(self.forecast.targets)}", *lines]


def _mean(values: np.ndarray) -> float:
    there = ~np.isnan(values)
    return float(values[there].mean()) if there.any() else float("nan")


def _shown(value: float) -> str:
    return "-" if np.isnan(value) else number(value)


def backtest(
    model: Any, data: Any, origins: int, every: int | None, coverage: float | None, series: Any = None
) -> Backtest:
    """See `Model.backtest`."""
    count(Setting("origins"), origins)
    if model.classes is not None:
        raise InputError("a backtest scores forecasts of numbers, and this model forecasts classes. Use forecast.")
    plan = getattr(model.encoder, "plan", None)
    every = max(plan.horizons) if every is None and plan is not None and plan.horizons else every
    found = forecast(model, data, coverage, series, origins + 1, every, None)  # from the end on nothing has come yet
    truth = np.asarray(found.truth, float)
    came: np.ndarray = np.any(~np.isnan(truth), axis=(1, 2))
    if not came.any():
        raise InputError(
            "nothing of what is forecast has come in the data, so there is nothing to score. Give more rows."
        )
    kept = _some(found, came)
    if _learned_from(model, kept):
        warnings.warn(NoteWarning(tested_on_what_was_learned()), stacklevel=3)
    return Backtest(kept, _units(model, data, kept))


def _learned_from(model: Any, found: Forecast) -> bool:
    """Whether a model that has learned from all rows of its study is scored on some of them."""
    if LEARNED_FROM not in model.facts or model.ends is None:
        return False
    ends = dict(zip(model.ends.names, model.ends.moments.tolist(), strict=True))
    return any(o < ends.get(name, -np.inf) for name, o in zip(found.series, found.origins.tolist(), strict=True))


def _some(found: Forecast, which: np.ndarray) -> Forecast:
    def taken(array: Any) -> Any:
        return None if array is None else array[which]

    series = tuple(name for name, keep in zip(found.series, which.tolist(), strict=True) if keep)
    quantiles = None if found.quantiles is None else found.quantiles._replace(values=found.quantiles.values[which])
    return replace(
        found, series=series, origins=found.origins[which], times=found.times[which], values=found.values[which],
        lower=taken(found.lower), upper=taken(found.upper), quantiles=quantiles, truth=taken(found.truth),
    )  # fmt: skip


def _units(model: Any, data: Any, found: Forecast) -> np.ndarray:
    """[n, target] the mean change over a season of each series up to each origin."""
    plan, names = model.encoder.plan, model.encoder.feature_names
    later = plan.cut(data, names)
    clock, columns = later.clock, [names.index(name) for name in found.targets]
    first = np.flatnonzero(np.append(True, np.diff(later.owner) != 0))
    values = np.full((len(clock.moments), len(columns)), np.nan)
    ends = later.cut.starts + later.cut.steps - 1
    values[ends] = later.inputs[:, -1, columns]
    for k in first:  # the rows of the first window
        values[later.cut.starts[k] : ends[k] + 1] = later.inputs[k][:, columns]
    places = {name: s for s, name in enumerate(clock.names)}
    origins = []
    for name, moment in zip(found.series, found.origins.tolist(), strict=True):
        a, b = clock.starts[places[name]], clock.starts[places[name] + 1]
        origins.append(a + int(np.searchsorted(clock.moments[a:b], moment, side="right")))
    return changes(values, clock.starts, np.array(origins), plan.season)
