"""Prediction intervals and densities from residuals of rows that a network has not trained on.

Normalized conformal prediction (Papadopoulos, Gammerman & Vovk 2008): with s(x) the scale of residuals at a row
(`models.residual_scale`) and s_i that of row i, learned without the rows that it was held out with, the scores are

    z_i = (t_i - m_i) / s_i,    m_i the prediction of row i by networks that did not train on it,

and the interval of coverage 1 - α around the final model's prediction m(x) is m(x) ± g s(x) q, with q the
⌈(1 - α) (n + 1)⌉-th smallest of the n |z_i|; of weighted rows the score that so great a share of the weights reaches.
Where each tail of the scores holds `TAIL` rows, its ends are the scores' own quantiles to either side, so that an
interval follows a skewed residual. Of a target that is never below 0 in training no end is below 0.
For one network and its validation rows, g = 1 and this is split conformal prediction: if rows are exchangeable, a new
target lies within with probability of at least 1 - α, but for what s was learned from, and what early stopping saw, the
same rows.

The mean over networks of k folds errs less than the networks of one fold, whose residuals these are. If all folds'
networks err by E[(t - m_f)²] = V and differ by E[(m_f - m_h)²] = D on rows that neither knows, their mean errs by
V - D (k - 1) / (2k). D is measured between held-out predictions and those of networks that know the row. Early stopping
and the choice among candidates saw the validation rows and make residuals too small; measured, that takes back half:

    g = ½ (1 + √(1 - D (k - 1) / (2 k V))).

The density is that of m(x) + g s(x) τ T with T of a Student distribution, whose freedom ν and scale τ have the greatest
likelihood on the scores (a normal distribution where ν is infinite).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from perceptory.data.ahead import ahead
from perceptory.errors import InputError
from perceptory.models.averages import mean_of
from perceptory.models.residual_law import LEAST_SCORES, MOST_IN_ALL, MOST_SCORES, Law, law_of
from perceptory.models.residual_scale import MOST_ROWS, Inputs, Scale, learn

MOST_TARGETS = 8  # whose scales are learned from inputs, and from many rows
COLUMNS = 256  # whose means and deviations are taken at a time
FEW_ROWS = 1000  # that scales of more targets are learned from
ROWS_AT_ONCE = 65_536
LEAST_FOR_90 = 9  # held-out rows that a coverage of 0.9 needs


@dataclass(frozen=True)
class HeldOut:
    """What networks say of rows that they did not train on.

    inputs: [row, in] encoded, or examples of another shape, which scales do not look at. truth, prediction: [row, ...,
    target] in the target's units. weights: [row], or [row, time]; what has weight 0 does not count. groups: [row] index
    of what was held out together. gain: g of this file's formulas. least: [target] the least value of each target that
    is known, of more rows than these; None for that of these.
    """

    inputs: np.ndarray
    truth: np.ndarray
    prediction: np.ndarray
    weights: np.ndarray
    groups: np.ndarray
    gain: float = 1.0
    least: np.ndarray | None = None

    def flat(self, most: int) -> HeldOut:
        """As rows [row, target] with a weight above 0, at most so many, spread over all; steps of time are rows."""
        shape = self.truth.shape[:-1]
        ones = (1,) * (len(shape) - 1)
        weights = self.weights if self.weights.shape == shape else self.weights.reshape(-1, *ones)
        weights = np.broadcast_to(weights, shape).astype(float)
        groups = np.broadcast_to(self.groups.reshape(-1, *ones), shape)
        places = np.flatnonzero(weights.ravel() > 0)
        places = places[np.linspace(0, len(places) - 1, min(len(places), most)).astype(int)] if len(places) else places
        truth, prediction = (a.reshape(-1, a.shape[-1])[places] for a in (self.truth, self.prediction))
        inputs = np.zeros((len(places), 0))
        if self.inputs.ndim == 2 and len(shape) == 1:  # not copied where all rows count: of a wide table they are large
            inputs = self.inputs if len(places) == len(self.inputs) else self.inputs[places]
        groups = groups.ravel()[places]
        return HeldOut(inputs, truth, prediction, weights.ravel()[places], groups, self.gain, self.least)


def gain_of(squares: float, difference: float, folds: int) -> float:
    """g from V = squares, D = difference and k = folds; 1 for one fold, and where nothing was measured."""
    if folds < 2 or not squares > 0 or not np.isfinite(difference):
        return 1.0
    return 0.5 * (1 + math.sqrt(max(0.0, 1 - difference * (folds - 1) / (2 * folds * squares))))


@dataclass(frozen=True)
class Residuals:
    """What a model knows of one target's residuals. center, spread: of the target, to scale predictions; nll: mean
    `density_cost` of the held-out rows, by scales that were learned without them. nonnegative: whether no value of the
    target is below 0."""

    center: float
    spread: float
    scale: Scale
    law: Law
    nll: float
    nonnegative: bool = False


class Known(NamedTuple):
    """What a model knows of its residuals. inputs: ([in] center, [in] factor) of what scales look at, None where they
    look at no input; gain: g of this file's formulas."""

    gain: float
    inputs: tuple[np.ndarray, np.ndarray] | None
    targets: list[Residuals]

    @property
    def least(self) -> np.ndarray:
        """[target] the least end that an interval may have."""
        return np.where([one.nonnegative for one in self.targets], 0.0, -np.inf)


def with_intervals(model: Any, held: HeldOut) -> None:
    """Put into the model's facts what `predict_interval` and `predict_deviation` need; nothing where no row counts, or
    a prediction is not finite. The inputs of `held` may be scaled in place: of a wide table they are large."""
    targets = held.truth.shape[-1]
    rows = held.flat(MOST_ROWS if targets <= MOST_TARGETS else FEW_ROWS)
    if not len(rows.truth) or not np.isfinite(rows.prediction).all():
        return
    scaling = _scaling(rows.inputs, rows.weights) if rows.inputs.shape[1] and targets <= MOST_TARGETS else None
    inputs = None if scaling is None else _scaled(rows.inputs, *scaling, out=rows.inputs)
    most = min(MOST_SCORES, max(LEAST_SCORES, MOST_IN_ALL // targets))
    known = []
    above = (rows.truth.min(axis=0) if rows.least is None else rows.least) >= 0
    for t, m, nonnegative in zip(rows.truth.T, rows.prediction.T, above.tolist(), strict=True):
        center = float(np.average(t, weights=rows.weights))
        spread = float(np.sqrt(np.average((t - center) ** 2, weights=rows.weights))) or 1.0
        scale, own = learn(Inputs(inputs, (m - center) / spread), np.abs(t - m), rows.weights, rows.groups)
        law = law_of((t - m) / own, rows.weights, most)
        nll = np.average(law.cost((t - m) / own) + np.log(own), weights=rows.weights)
        nll = float(f"{nll:.9g}") if np.isfinite(nll) else 0.0
        known.append(Residuals(center, spread, scale, law, nll, nonnegative))
    facts: dict[str, Any] = {
        "gain": float(f"{held.gain:.6g}"),
        "targets": [vars(one) | {"scale": one.scale.to_json(), "law": one.law.to_json()} for one in known],
    }
    if scaling is not None and any(one.scale.level > 1 for one in known):
        facts["inputs"] = [[float(f"{value:.9g}") for value in part] for part in scaling]
    model.facts["intervals"] = facts


def _scaling(inputs: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """([in] center, [in] factor) of inputs by mean and deviation of the values that are there."""
    center, spread = np.empty(inputs.shape[1]), np.empty(inputs.shape[1])
    for start in range(0, inputs.shape[1], COLUMNS):  # some at a time, for what follows takes five copies of them
        at = slice(start, start + COLUMNS)
        there = ~np.isnan(inputs[:, at]) * weights[:, None]
        count = np.maximum(there.sum(axis=0), 1e-300)
        center[at] = (np.nan_to_num(inputs[:, at]) * there).sum(axis=0) / count
        spread[at] = np.sqrt((np.nan_to_num(inputs[:, at] - center[at]) ** 2 * there).sum(axis=0) / count)
    least = np.maximum(1e-12 * np.abs(center), 1e-150)
    return center, np.where(spread > least, 1 / np.maximum(spread, least), 0.0)


def _scaled(inputs: np.ndarray, center: np.ndarray, factor: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    scaled = np.empty_like(inputs) if out is None else out
    for start in range(0, inputs.shape[1], COLUMNS):
        at = slice(start, start + COLUMNS)
        scaled[:, at] = np.nan_to_num((inputs[:, at] - center[at]) * factor[at], copy=False)
    return scaled


# --- use ----------------------------------------------------------------------------------------------------------


def predict_interval(model: Any, table: Any, coverage: float = 0.9) -> np.ndarray:
    """`interval_of` the rows of a table, whatever `Model.predict` takes."""
    check_coverage(model, coverage)
    return _by_parts(model, table, lambda inputs, each: interval_of(model, inputs, each, coverage))


def predict_deviation(model: Any, table: Any) -> np.ndarray:
    """`deviation_of` the rows of a table, whatever `Model.predict` takes."""
    return _by_parts(model, table, lambda inputs, each: deviation_of(model, inputs, each))


def _by_parts(model: Any, table: Any, f: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> np.ndarray:
    _read(model)
    parts = [
        f(b.inputs, model.members_of(b.inputs, b.lengths)) for b in ahead(model.encoder.batches(table, ROWS_AT_ONCE))
    ]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def interval_of(model: Any, inputs: np.ndarray, each: np.ndarray, coverage: float = 0.9) -> np.ndarray:
    """[row, 2] lower and upper end of the interval that holds the target with probability `coverage`.

    Of several targets [row, target, 2], each with a coverage of its own; of a target a step [row, time, 2].
    inputs: [row, ...] encoded. each: the members' predictions [member, row, ..., target]. `InputError` for a
    classifier, a model without residuals, and a coverage beyond what its residuals can tell.
    """
    known, ends = check_coverage(model, coverage)
    mean, scales = _scales(known, mean_of(model, each), inputs)
    out = np.maximum(mean[..., None] + scales[..., None] * ends, known.least[:, None])
    return out[..., 0, :] if out.shape[-2] == 1 else out


def deviation_of(model: Any, inputs: np.ndarray, each: np.ndarray) -> np.ndarray:
    """[row, ..., target] standard deviation of each row's target; arguments and errors as `interval_of`."""
    known = _read(model)
    _, scales = _scales(known, mean_of(model, each), inputs)
    return scales * np.array([one.law.deviation for one in known.targets])


def density_cost(model: Any, inputs: np.ndarray, each: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """[row, ..., target] -ln of the density that the model gives the truth; arguments and errors as `interval_of`.

    -ln s + ln of the density of `Law` at (t - m) / s. The unit is that of ln of the target's unit.
    """
    known = _read(model)
    mean, scales = _scales(known, mean_of(model, each), inputs)
    z = (truth - mean) / scales
    return np.stack([one.law.cost(z[..., k]) for k, one in enumerate(known.targets)], axis=-1) + np.log(scales)


def density_metrics(model: Any, inputs: np.ndarray, each: np.ndarray, truth: np.ndarray, weights: np.ndarray) -> Any:
    """{"nll": mean of `density_cost`, "coverage_90": share of targets within intervals of 0.9} of rows with weights
    [row] or [row, time]; numbers, or lists for several targets. {} where the model knows no residuals, and without the
    coverage where they are too few."""
    if model.task != "regression" or not model.facts.get("intervals"):
        return {}
    shape = truth.shape[:-1]
    w = np.broadcast_to(weights.reshape(weights.shape + (1,) * (len(shape) - weights.ndim)), shape)
    counts = w > 0
    if not counts.any():
        return {}
    found = {"nll": density_cost(model, inputs, each, truth)}
    known = _read(model)
    if all(one.law.rows >= LEAST_FOR_90 for one in known.targets):
        low, high = np.moveaxis(interval_of(model, inputs, each).reshape(*truth.shape, 2), -1, 0)
        found["coverage_90"] = ((low <= truth) & (truth <= high)).astype(float)
    metrics = {name: np.average(values[counts], axis=0, weights=w[counts]) for name, values in found.items()}
    return {name: _metric(value) for name, value in metrics.items()}


def held_out_metrics(model: Any) -> Any:
    """{"nll": ...} of the held-out rows that the model's residuals are of; {} where it knows none."""
    if model.task != "regression" or not model.facts.get("intervals"):
        return {}
    targets = _read(model).targets
    return {"nll": _metric(np.array([one.nll if one.law.scale > 0 else np.nan for one in targets]))}


def _metric(values: np.ndarray) -> Any:
    values = np.where(np.isfinite(values), values, np.nan)
    return values.tolist() if values.size > 1 else float(values.reshape(()))


def _scales(known: Known, mean: np.ndarray, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """([row, ..., target] prediction as it is, [row, ..., target] g s)."""
    flat = mean.reshape(-1, mean.shape[-1])
    scaled = None if known.inputs is None else _scaled(inputs, *known.inputs)
    columns = [
        one.scale.of(Inputs(scaled, (m - one.center) / one.spread))
        for m, one in zip(flat.T, known.targets, strict=True)
    ]
    return mean, known.gain * np.stack(columns, axis=1).reshape(mean.shape)


def check_coverage(model: Any, coverage: float) -> tuple[Known, np.ndarray]:
    """(what is known of residuals, [target, 2] ends in scales of a row). `InputError` for a model that knows none, and
    for a coverage beyond what its residuals can tell."""
    if isinstance(coverage, bool) or not isinstance(coverage, int | float | np.number) or not 0 < coverage < 1:
        raise InputError(f"coverage needs a number above 0 and below 1, got {coverage!r}. Example: coverage=0.9")
    known = _read(model)
    return known, np.array([one.law.ends(float(coverage)) for one in known.targets])


NO_REGRESSION = "is a classifier", "predict_proba"


def _read(model: Any) -> Known:
    """What the model knows of its residuals; `InputError` where that is nothing, or does not fit."""
    if model.task != "regression":
        what, use = ("gives back its inputs", "anomaly_score") if model.task == "autoencode" else NO_REGRESSION
        raise InputError(f"intervals are for regression, and this model {what}. Use {use}.")
    facts = model.facts.get("intervals")
    if not facts:
        raise InputError(
            "the model holds no residuals of validation rows, so it knows no intervals. Train with a share of"
            " validation rows, or by a study."
        )
    try:
        return _facts(facts, len(model.targets))
    except (TypeError, KeyError, ValueError, AttributeError):
        raise InputError("the residuals do not fit the model: the file was altered. Take another copy.") from None


def _facts(facts: Any, targets: int) -> Known:
    """As `_read`; raises whatever comes of facts that are not sound."""
    known = []
    for one in facts["targets"]:
        scale = Scale(**{**one["scale"], "coefficients": tuple(map(float, one["scale"]["coefficients"]))})
        center, spread, nll = (float(one[name]) for name in ("center", "spread", "nll"))
        nonnegative = one.get("nonnegative", False)
        if type(nonnegative) is not bool:
            raise ValueError("nonnegative")
        known.append(Residuals(center, spread, scale, Law.from_json(one["law"]), nll, nonnegative))
    gain, scaling, width = float(facts["gain"]), None, 0
    if "inputs" in facts:
        centers, factors = (np.asarray(part, float) for part in facts["inputs"])
        width = len(centers)
        if centers.shape != factors.shape or not np.isfinite(centers).all() or not np.isfinite(factors).all():
            raise ValueError("scaling")
        scaling = centers, factors
    sound = all(one.scale.fits(width) and one.spread > 0 and np.isfinite(one.center) for one in known)
    if not sound or len(known) != targets or not 0 < gain <= 1:
        raise ValueError("targets")
    return Known(gain, scaling, known)
