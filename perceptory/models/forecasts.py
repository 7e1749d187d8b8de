"""What a model of forecasts says of the future: values, intervals by horizon, and the times that they are for."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from perceptory.data.series.beside import unknown_future
from perceptory.data.series.calendar import Calendar, shown
from perceptory.data.series.ends import Ends
from perceptory.data.series.future import future_table
from perceptory.data.series.periods import with_dates
from perceptory.data.tables.cells import PLAIN
from perceptory.data.tables.sources import as_table
from perceptory.errors import InputError, Setting
from perceptory.models.averages import mean_of
from perceptory.models.distribution import Quantiles, quantiles
from perceptory.models.horizon_intervals import USUAL, ends_of_intervals, enough_for, knows_intervals
from perceptory.notes import NoteWarning, beyond_what_was_learned
from perceptory.objectives.table import Quantile
from perceptory.specs import count

if TYPE_CHECKING:
    import polars as pl

LEARNED_FROM = "learned_from"  # in the facts of a model that has learned from sealed rows too
MUCH = 0.2  # share of networks that take values as they are
BEYOND = 0.5  # of the range that was learned from


@dataclass(frozen=True, eq=False)
class Forecast:
    """Forecasts of n series from their ends on.

    series: [n] their names. horizons: [h] rows ahead, in increasing order. targets: names of the columns.
    origins: [n] the time of the last row that is known. times: [n, h] the times that are forecast, numbers or days
    since 1970-01-01, NaN where the series have no column of time. values: [n, h, target] numbers, or [n, h] class
    labels. truth: [n, h, target] what came, NaN where it has not come yet; None where no origin lies in the past.
    lower, upper: [n, h, target] between which the target lies with the probability `coverage`; None where the model
    knows no intervals, or too few held-out forecasts for the usual ones. quantiles: (levels, [n, h, target, level]) of
    a model that was trained for them, else None.
    time, calendar: the column of time and its step.
    """

    series: tuple[str, ...]
    horizons: np.ndarray
    targets: tuple[str, ...]
    origins: np.ndarray
    times: np.ndarray
    values: np.ndarray
    lower: np.ndarray | None
    upper: np.ndarray | None
    coverage: float
    quantiles: Quantiles | None
    truth: np.ndarray | None
    time: str | None
    calendar: Calendar
    series_column: str | None = None

    def columns(self) -> list[tuple[str, Any]]:
        """(name, values) a line for each series and horizon: series, time, steps ahead, prediction, ends of the
        interval or quantiles."""
        n, h = self.times.shape
        named: list[tuple[str, Any]] = []
        if self.series_column is not None:
            named.append((self.series_column, np.repeat(np.asarray(self.series, object), h).tolist()))
        if self.time is not None and not np.isnan(self.times).any():
            dates = self.calendar.dates
            moments = self.times.ravel()
            named.append((self.time, [shown(m, True) for m in moments.tolist()] if dates else moments))
            if self.truth is not None:
                origin = np.repeat(self.origins, h)
                named.append(("from", [shown(m, True) for m in origin.tolist()] if dates else origin))
        named.append(("steps ahead", np.tile(self.horizons, n)))
        for k, target in enumerate(self.targets):
            if self.values.ndim == 2:
                named.append((f"predicted {target}", self.values.ravel().tolist()))
                continue
            named.append((f"predicted {target}", self.values[..., k].ravel()))
            if self.truth is not None:
                named.append((target, self.truth[..., k].ravel()))
            if self.quantiles is not None:
                levels = list(enumerate(self.quantiles.levels))
                named += [
                    (f"quantile {level:g} of {target}", self.quantiles.values[:, :, k, j].ravel())
                    for j, level in levels
                ]
            elif self.lower is not None and self.upper is not None:
                ends = (("lower", self.lower), ("upper", self.upper))
                named += [(f"{name} {target}", end[..., k].ravel()) for name, end in ends]
        return named

    def frame(self) -> pl.DataFrame:
        """The columns as a polars data frame."""
        import polars as pl

        return pl.DataFrame(dict(self.columns()))

    def __repr__(self) -> str:
        far = f"{self.horizons[0]} to {self.horizons[-1]}" if len(self.horizons) > 1 else f"{self.horizons[0]}"
        return f"Forecast({', '.join(self.targets)} of {len(self.series)} series, {far} steps ahead)"


def forecast(
    model: Any, data: Any, coverage: float | None, series: Any, origins: int, every: int | None, future: Any
) -> Forecast:
    """See `Model.forecast`."""
    asked, coverage = coverage is not None, USUAL if coverage is None else coverage
    if isinstance(coverage, bool) or not isinstance(coverage, int | float | np.number) or not 0 < coverage < 1:
        raise InputError(Setting("coverage"), f" needs a number above 0 and below 1, got {coverage!r}. Example: 0.9")
    count(Setting("origins"), origins)
    if origins > 1:
        if future is not None:
            raise InputError(Setting("future"), " is for the forecast from the end alone. Leave it out.")
        ends, truth = _origins_of(model, data, origins, every)
    else:
        ends, truth = ends_of(model, data), None
    if series is not None:
        places = ends.places(series)
        ends, truth = ends.take(places), None if truth is None else truth[places]
    plan = model.encoder.plan
    ends = _with_future(plan, ends, future)
    horizons = np.asarray(plan.horizons)
    order = np.argsort(horizons)
    names = base_names(model.targets, len(horizons))
    warn_of_other_levels(model, ends)
    learned = model.distributions_of(ends.windows, None)
    each = model.cost.point_prediction(learned)
    mean = mean_of(model, each)
    lower = upper = by_level = None
    if model.classes is not None:
        values = model.classes[mean.argmax(axis=1)][:, None]
    else:
        values = by_horizon(mean, len(horizons))[:, order]
        if isinstance(model.cost, Quantile):
            found = quantiles(model.cost, learned, shares=model.shares)
            shape = (len(mean), len(horizons), len(names), len(found.levels))
            by_level = Quantiles(found.levels, found.values.reshape(shape)[:, order])
        elif knows_intervals(model) and (asked or enough_for(model, mean.shape[1], float(coverage))):
            both = ends_of_intervals(model, ends.windows, mean, float(coverage), ends.names)
            lower, upper = (by_horizon(both[..., k], len(horizons))[:, order] for k in (0, 1))
    steps = horizons[order]
    times = np.stack([plan.calendar.after(moment, steps) for moment in ends.moments.tolist()])
    return Forecast(
        ends.names, steps, names, ends.moments, times, values, lower, upper, float(coverage), by_level,
        None if truth is None else truth[:, order], plan.time, plan.calendar, plan.series,
    )  # fmt: skip


def ends_of(model: Any, data: Any) -> Ends:
    """The last windows of new series, or those that the model keeps. `InputError` where it forecasts nothing."""
    plan = getattr(model.encoder, "plan", None)
    if plan is None or plan.predict != "ahead":
        raise InputError(
            "the future is forecast by models of ", Setting("predict", "ahead"), ", and this one is of another kind. "
            "Use predict.",
        )  # fmt: skip
    if data is not None:
        later = plan.cut(data, model.encoder.feature_names)
        last = np.flatnonzero(np.append(np.diff(later.owner) != 0, True))
        moments = later.clock.moments[later.cut.starts[last] + later.cut.steps - 1]
        return Ends(tuple(later.clock.names[s] for s in later.owner[last]), later.inputs[last], moments)
    if model.ends is None:
        raise InputError("the model keeps no series of its own to forecast from. Give the series up to now.")
    ends: Ends = model.ends
    return ends


def warn_of_other_levels(model: Any, ends: Ends) -> None:
    """Say which series ends beyond all values that the model has learned from, where much of it takes values as they
    are, so that it expects them to return. Of a single column, of which the range is known."""
    shares = getattr(model, "part_shares", np.ones(1))
    windows = [getattr(part.network, "windows", None) for part in model.parts]
    fixed = [w is not None and w.level == "none" and not w.log for w in windows]
    if model.encoder.shape[-1] != 1 or float(shares @ np.array(fixed, float)) < MUCH:
        return
    low, high = model.encoder.low, model.encoder.high
    last = ends.windows[:, -1, 0]
    off = np.maximum(low - last, last - high)
    if len(off) and off.max() > BEYOND * (high - low):
        place = int(off.argmax())
        name = base_names(model.targets, len(model.encoder.plan.horizons))[0]
        warnings.warn(NoteWarning(beyond_what_was_learned(name, float(last[place]), low, high)), stacklevel=4)


def _with_future(plan: Any, ends: Ends, future: Any) -> Ends:
    """The ends with what is known ahead put in; `InputError` where it is not known."""
    beside = plan.beside
    if future is not None:
        if not beside.known_ahead:
            raise InputError(
                Setting("future"), " is for columns that are known ahead, and the model has none. Leave it out."
            )
        table = with_dates(as_table(future, reading=None if plan.reading == PLAIN else plan.reading))
        time = None if plan.found and plan.time not in table.names else plan.time
        known = future_table(table, time, plan.series, beside.known_ahead, ends.names, ends.moments, plan.calendar)
        ends = Ends(ends.names, beside.put_ahead(ends.windows, [known.of(name) for name in ends.names]), ends.moments)
    unknown = np.isnan(ends.windows).any(axis=(1, 2))
    if beside.known_ahead and unknown.any():
        raise InputError(*unknown_future(beside, ends.names[int(np.argmax(unknown))], apart=True))
    return ends


def _origins_of(model: Any, data: Any, origins: int, every: int | None) -> tuple[Ends, np.ndarray]:
    """The windows of the last origins of each series, `every` so many rows, and [n, horizon, target] what came after
    each, NaN where nothing has come yet or the target is no input."""
    plan = model.encoder.plan
    if data is None:
        raise InputError("forecasts from several origins need the series, to tell what came. Give the data.")
    ends_of(model, data)
    later, reach = plan.cut(data, model.encoder.feature_names), max(plan.horizons)
    step = reach if every is None else every
    count(Setting("every"), step)
    owner, places = later.owner, np.arange(len(later.inputs))
    last = np.flatnonzero(np.append(np.diff(owner) != 0, True))
    back = last[np.searchsorted(owner[last], owner)] - places  # rows to the end of the series
    chosen = np.flatnonzero((back % step == 0) & (back < origins * step) & later.complete)
    if not len(chosen):
        raise InputError(*unknown_future(plan.beside))
    names = base_names(model.targets, len(plan.horizons))
    truth = np.full((len(chosen), len(plan.horizons), len(names)), np.nan)
    for k, name in enumerate(names):
        if name in model.encoder.feature_names:
            known = later.inputs[:, -1, model.encoder.feature_names.index(name)]
            for j, h in enumerate(plan.horizons):
                came = back[chosen] >= h
                truth[came, j, k] = known[chosen[came] + h]
    moments = later.clock.moments[later.cut.starts[chosen] + later.cut.steps - 1]
    return Ends(tuple(later.clock.names[s] for s in owner[chosen]), later.inputs[chosen], moments), truth


def base_names(targets: Sequence[str], horizons: int) -> tuple[str, ...]:
    """Names of the columns that are forecast, without the horizons that stand behind them."""
    first = targets[: len(targets) // horizons]
    return tuple(name.rpartition("(t+")[0] or name for name in first) if horizons > 1 else tuple(first)


def by_horizon(outputs: np.ndarray, horizons: int) -> np.ndarray:
    """[n, horizon, target] of outputs [n, horizon · target]."""
    return outputs.reshape(len(outputs), horizons, -1)
