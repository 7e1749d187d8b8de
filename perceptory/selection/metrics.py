"""How good predictions are, in the target's own units. NumPy only, in float64; rows may have weights.

Rows of weight zero (padding) are left out before anything is computed. A metric that is not defined on the rows that
it is given (R2 of a constant target, AUC where a class is absent) is nan, and so is one of predictions that hold nan.
Where a network learned more of a target than one number, they judge the point prediction (`Cost.point_prediction`): a
Gaussian's mean, the quantile whose level is nearest one half.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, update_wrapper
from typing import Any

import numpy as np

from perceptory import catalog
from perceptory.data.series.rolled import Ahead
from perceptory.errors import InputError
from perceptory.registry import Registry

# Predictions may be infinite or huge: the answer (inf or nan) says so, no warning is needed beside it.
quiet = np.errstate(invalid="ignore", divide="ignore", over="ignore")


@dataclass(eq=False)
class Metric:
    """A function of (target, prediction, weights) and what is known of its values.

    kind: "regression", "forecast" (of numbers, which regression's are of too), "classification" or "reconstruction".
    better: "min" where less of it is better, else "max".
    ends: the least and the greatest value that it may have.
    of_rows: whether it takes `_Rows` for the target, so that several metrics share what they take of them.
    """

    function: Callable[..., Any]
    kind: str
    better: str
    ends: tuple[float, float] = (0.0, np.inf)
    of_rows: bool = False

    def __call__(self, target: Any, prediction: Any, weights: Any = None, **more: Any) -> Any:
        return self.function(target, prediction, weights, **more)


def metric(
    kind: str, better: str, ends: tuple[float, float] = (0.0, np.inf), of_rows: bool = False
) -> Callable[[Callable[..., Any]], Metric]:
    """Decorator that makes a `Metric` of a function."""

    def made(function: Callable[..., Any]) -> Metric:
        one = Metric(quiet(function), kind, better, ends, of_rows)
        update_wrapper(one, function)
        return one

    return made


METRICS: Registry[Metric] = catalog.METRICS
MANY = 1 << 22  # numbers of which some columns are judged at a time
OWN_COST = "cost"  # the name of `own_cost`

# --- regression: f(target [row, out], output [row, out], weights [row] or None) -> [out] ---------------------------


@metric("regression", "min", of_rows=True)
def mse(target: Any, output: Any, weights: Any = None) -> np.ndarray:
    """Mean squared error [E28]: mean over rows of (t - y)². [row, out] twice -> [out], in squared units."""
    return _rows(target, output, weights).squared


@metric("regression", "min", of_rows=True)
def rmse(target: Any, output: Any, weights: Any = None) -> np.ndarray:
    """Root of the mean squared error, in the target's units. [row, out] twice -> [out]."""
    return np.sqrt(_rows(target, output, weights).squared)


@metric("regression", "min", of_rows=True)
def mae(target: Any, output: Any, weights: Any = None) -> np.ndarray:
    """Mean absolute error: mean over rows of |t - y|, in the target's units. [row, out] twice -> [out]."""
    rows = _rows(target, output, weights)
    return _mean(np.abs(rows.error), rows.w)


@metric("regression", "max", (-np.inf, 1.0), of_rows=True)
def r2(target: Any, output: Any, weights: Any = None) -> np.ndarray:
    """Coefficient of determination: 1 - Σ(t - y)² / Σ(t - mean t)². [row, out] twice -> [out]; nan for constant t."""
    rows = _rows(target, output, weights)
    return 1 - rows.squared / rows.variance


@metric("regression", "max", (-np.inf, 100.0), of_rows=True)
def vaf(target: Any, output: Any, weights: Any = None) -> np.ndarray:
    """Variance accounted for [E29], in percent: 100 · (1 - var(t - y) / var(t)).

    [row, out] twice -> [out]; nan where t is constant. Blind to a constant offset of y, which R2 is not.
    """
    rows = _rows(target, output, weights)
    spread = _mean((rows.error - _mean(rows.error, rows.w)) ** 2, rows.w)
    return 100 * (1 - spread / rows.variance)


# --- forecasts of numbers: f(target [row, out], output [row, out], weights [row] or None, units) -> [out] ------------


@metric("forecast", "min", (0.0, 200.0), of_rows=True)
def smape(target: Any, output: Any, weights: Any = None, units: Any = None) -> np.ndarray:
    """Symmetric mean absolute percentage error: 200 · mean over rows of |t - y| / (|t| + |y|), 0 where both are 0.

    [row, out] twice -> [out], in percent from 0 to 200. units: not looked at. Source: Makridakis & Hibon 2000.
    """
    t, y, w = _rows(target, output, weights).parts
    size = np.abs(t) + np.abs(y)
    return 200 * _mean(np.where(size > 0, np.abs(t - y) / np.where(size > 0, size, 1), 0 * t * y), w)


@metric("forecast", "min", of_rows=True)
def mase(target: Any, output: Any, weights: Any = None, units: Any = None) -> np.ndarray:
    """Mean absolute scaled error: mean over rows of |t - y| / u. [row, out] twice -> [out].

    units: [row, out] u, the mean |x(t) - x(t - m)| of the row's series up to the origin, m the steps of a season: 1 is
    what the seasonal naive forecast errs one season ahead. Source: Hyndman & Koehler 2006.
    """
    rows = _rows(target, output, weights)
    t, y, w = rows.parts
    u = np.asarray(units, float)
    if u.shape != rows.shape:
        raise InputError(f"scaled errors need one unit for each target, {rows.shape}, got the shape {u.shape}.")
    u = u[rows.weighted]
    return _mean(np.abs(t - y) / u, w)


NAIVE2 = 13.564, 1.912  # sMAPE in percent and MASE of Naive2 over the 100,000 series of M4


@metric("forecast", "min")
def owa(target: Any, output: Any, weights: Any = None, units: Any = None) -> np.ndarray:
    """Overall weighted average: ½ (sMAPE / 13.564 + MASE / 1.912), both relative to what Naive2 errs in M4 on average.
    [row, out] twice -> [out]. Source: Makridakis, Spiliotis & Assimakopoulos 2020; the reference is theirs, not that of
    the series at hand, so that it is a mean over rows.

    units: as of `mase`.
    """
    relative, scaled = smape.function(target, output, weights), mase.function(target, output, weights, units)
    return np.asarray((relative / NAIVE2[0] + scaled / NAIVE2[1]) / 2)


# --- classification: f(target [row] class index, probability [row, class], weights [row] or None) -> float ---------


@metric("classification", "max", (0.0, 1.0))
def accuracy(target: Any, probability: Any, weights: Any = None) -> float:
    """Share of rows whose most probable class (the first one in a tie) is the true one."""
    t, p, w = _classes(target, probability, weights)
    if not np.isfinite(p).all():
        return float("nan")
    return float(_mean((p.argmax(axis=1) == t).astype(float), w))


@metric("classification", "min")
def log_loss(target: Any, probability: Any, weights: Any = None) -> float:
    """Mean of -log(probability of the true class).

    Probabilities are clipped to [eps, 1 - eps] of their own floating type first, as scikit-learn does.
    """
    t, p, w = _classes(target, probability, weights)
    eps = np.finfo(p.dtype).eps if np.issubdtype(p.dtype, np.floating) else np.finfo(float).eps
    own = p[np.arange(len(t)), t]
    return float(_mean(-np.log(np.clip(own, eps, 1 - eps).astype(float)), w))


@metric("classification", "max", (0.0, 1.0))
def auc(target: Any, probability: Any, weights: Any = None) -> float:
    """Area under the ROC curve; for more than two classes the mean over the classes of one against the rest.

    The chance that a row of the class gets a higher probability than a row of another; ties count one half. nan where
    a class has no row.
    """
    t, p, w = _classes(target, probability, weights)
    if not np.isfinite(p).all():
        return float("nan")
    columns = [1] if p.shape[1] == 2 else range(p.shape[1])
    return float(np.mean([_area(t == k, p[:, k], w) for k in columns]))


def _area(positive: np.ndarray, value: np.ndarray, w: np.ndarray) -> float:
    distinct, place = np.unique(value, return_inverse=True)
    for_it = np.bincount(place, weights=w * positive, minlength=len(distinct))
    against = np.bincount(place, weights=w * ~positive, minlength=len(distinct))
    pairs = for_it.sum() * against.sum()
    below = np.cumsum(against) - against
    return float((for_it * (below + against / 2)).sum() / pairs) if pairs > 0 else float("nan")


# --- autoencoders: f(anything, errors [row, column] of `Reconstruction.errors`, weights [row] or None) -> [column] ----


@metric("reconstruction", "min")
def reconstruction_error(target: Any, errors: Any, weights: Any = None) -> np.ndarray:
    """Share of each column's variance (of a category: of its entropy) that is not reconstructed: 0 where all of
    it is, 1 where nothing but the mean is. The mean over the rows that have a value; nan where none has.

    target: not looked at.
    """
    e = np.asarray(errors, float)
    if e.ndim != 2 or not e.shape[1]:
        raise InputError(f"errors need the shape [row, column], got {e.shape}.")
    w, weighted = _weights(weights, len(e))
    e = e[weighted]
    counts = w[:, None] * ~np.isnan(e)
    return np.nansum(counts * np.nan_to_num(e, posinf=np.inf), axis=0) / counts.sum(axis=0)


# --- any task ----------------------------------------------------------------------------------------------------


@metric("any", "min", (-np.inf, np.inf))
def own_cost(target: Any, prediction: Any, weights: Any = None) -> float:
    """The validation cost that is trained and stopped by, on the trained scale; a study knows it of its members."""
    raise InputError("the cost is a score of studies only: it is not computed from predictions.")


# --- tables and scores -------------------------------------------------------------------------------------------

TASK_KINDS: Registry[str] = Registry(
    "task",
    {
        "regression": "regression",
        "binary": "classification",
        "multiclass": "classification",
        "autoencode": "reconstruction",
    },
)


USUAL = {
    "regression": "rmse",
    "forecast": "mase",
    "classification": "log_loss",
    "reconstruction": "reconstruction_error",
}


def metrics_of(task: str, ahead: bool = False) -> dict[str, Metric]:
    """The metrics of a task by name; ahead: with those of forecasts. `InputError` for an unknown task."""
    kinds = {TASK_KINDS[task], *(["forecast"] if ahead and TASK_KINDS[task] == "regression" else [])}
    return {name: one for name, one in METRICS.items() if one.kind in kinds}


@dataclass(frozen=True)
class Score:
    """The metric that candidates are ranked by, and whether less ("min") or more ("max") of it is better."""

    name: str
    direction: str


def score_for(task: str, name: str | None = None, ahead: bool = False) -> Score:
    """The score of that name, or the task's own, of `USUAL`; ahead: of forecasts, which have scores of their own.

    `InputError` for an unknown name and for one that does not fit the task.
    """
    known = metrics_of(task, ahead)
    if name is None:
        name = USUAL["forecast" if ahead and TASK_KINDS[task] == "regression" else TASK_KINDS[task]]
    one = METRICS[name]
    if name not in known and name != OWN_COST:
        what = "forecasts of numbers only" if one.kind == "forecast" else f"another task than {task}"
        raise InputError(f"the score {name!r} is for {what}. Use one of: {', '.join(known)}, {OWN_COST}.")
    return Score(name, one.better)


def evaluate(
    task: str, target: Any, output: Any, weights: Any = None, units: Any = None
) -> dict[str, float | list[float]]:
    """Every metric of the task: name -> number, or a list of numbers for several targets, in the order of the tables.

    units: [row, out] of forecasts, what scaled errors are measured by.

    Regression: target and output [row, out]. Classification: target [row] class index, output [row, class].
    """
    found: dict[str, list[np.ndarray]] = {name: [] for name in metrics_of(task, units is not None)}
    for t, y, u in _parts(task, target, output, units):
        rows = _rows(t, y, weights) if TASK_KINDS[task] == "regression" else t
        for name, values in found.items():
            one = METRICS[name]
            values.append(np.asarray(one(rows if one.of_rows else t, y, weights, **_more(one, u))))
    whole = {name: v[0] if len(v) == 1 else np.concatenate(list(map(np.atleast_1d, v))) for name, v in found.items()}
    return {name: v.tolist() if v.size > 1 else float(v.reshape(())) for name, v in whole.items()}


def _parts(task: str, target: Any, output: Any, units: Any) -> Iterator[tuple[Any, Any, Any]]:
    """(target, output, units) of numbers some columns at a time, each of which is judged by itself, where there are
    many."""
    shape = np.shape(output)
    if TASK_KINDS[task] != "regression" or len(shape) != 2 or shape[0] * shape[1] <= MANY or shape[1] < 2:
        yield target, output, units
        return
    each = max(1, MANY // shape[0])
    for k in range(0, shape[1], each):
        at = slice(k, k + each)
        yield _columns(target, at), _columns(output, at), None if units is None else _columns(units, at)


def _columns(values: Any, at: slice) -> np.ndarray:
    return values.columns(at) if isinstance(values, Ahead) else np.asarray(values)[:, at]


def score(name: str, task: str, target: Any, output: Any, weights: Any = None, units: Any = None) -> float:
    """One number for a ranking: the metric, for several targets its mean over them (each in its own units)."""
    one = METRICS[score_for(task, name, units is not None).name]
    parts = [one(t, y, weights, **_more(one, u)) for t, y, u in _parts(task, target, output, units)]
    return float(np.mean(parts[0] if len(parts) == 1 else np.concatenate(parts)))


def _more(one: Metric, units: Any) -> dict[str, Any]:
    return {"units": units} if one.kind == "forecast" else {}


# --- checks ------------------------------------------------------------------------------------------------------


class _Rows:
    """Targets t and outputs y [row, out] with weights w [row], those of weight 0 left out, and what several metrics
    take of them. It may stand for the target that it was made of."""

    def __init__(self, t: np.ndarray, y: np.ndarray, w: np.ndarray, weighted: np.ndarray):
        every = len(w) == len(weighted)
        self.shape, self.weighted = t.shape, weighted  # as given
        self.t: np.ndarray = t if every else t[weighted]
        self.y: np.ndarray = y if every else y[weighted]
        self.w = w

    @property
    def parts(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return self.t, self.y, self.w

    @cached_property
    def error(self) -> np.ndarray:
        return np.asarray(self.t - self.y)

    @cached_property
    def squared(self) -> np.ndarray:
        """Mean of squared errors [out]."""
        return _mean(self.error**2, self.w)

    @cached_property
    def variance(self) -> np.ndarray:
        """Variance of each target; nan where it is constant (a mean's rounding would leave a tiny number there)."""
        t = self.t
        variance = _mean((t - _mean(t, self.w)) ** 2, self.w)
        return np.where(t.min(axis=0) == t.max(axis=0), np.nan, variance)


def _rows(target: Any, output: Any, weights: Any) -> _Rows:
    if isinstance(target, _Rows):
        return target
    t, y = np.asarray(target, float), np.asarray(output, float)
    if t.ndim != 2 or t.shape != y.shape or t.shape[1] == 0:
        raise InputError(f"target and output need one shape [row, out], got {t.shape} and {y.shape}.")
    return _Rows(t, y, *_weights(weights, len(t)))


def _classes(target: Any, probability: Any, weights: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    t, p = np.asarray(target), np.asarray(probability)
    if p.ndim != 2 or p.shape[1] < 2 or t.shape != p.shape[:1]:
        raise InputError(
            f"target needs the shape [row] and probability [row, class] with at least two classes, "
            f"got {t.shape} and {p.shape}."
        )
    if not np.issubdtype(t.dtype, np.integer) or (t.size and not 0 <= t.min() <= t.max() < p.shape[1]):
        raise InputError(
            f"target needs whole class indices from 0 to {p.shape[1] - 1}, got {np.unique(t)[:8].tolist()}."
        )
    w, weighted = _weights(weights, len(t))
    return t[weighted], p[weighted], w


def _weights(weights: Any, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights of the rows that have any, and which rows those are."""
    w = np.ones(rows) if weights is None else np.asarray(weights, float)
    if w.shape != (rows,) or not np.isfinite(w).all() or (w < 0).any():
        raise InputError(f"weights need one finite number of at least 0 for each of {rows} rows, got shape {w.shape}.")
    weighted = w > 0
    if not weighted.any():
        raise InputError(f"metrics need at least one row with a weight above 0, got {rows} rows.")
    return w[weighted], weighted


def _mean(values: np.ndarray, w: np.ndarray) -> np.ndarray:
    """As `np.average` along the first axis, to the bit, in a fifth of the time."""
    w = w if values.ndim == 1 else w[:, None]
    return np.asarray((values * w).sum(axis=0) / w.sum(axis=0))
