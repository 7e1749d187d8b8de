"""Prediction intervals of forecasts, by horizon, from forecasts of origins that networks have not trained on.

Normalized conformal prediction (Papadopoulos, Vovk & Gammerman 2011): with s(x) the spread of the window x that a
forecast is made from, the scores of the n held-out forecasts at a horizon are z_i = (t_i - m_i) / s(x_i), and the
interval of coverage 1 - α around a forecast m is

    from m + s z_(⌊(α/2)(n + 1)⌋)  to  m + s z_(⌈(1 - α/2)(n + 1)⌉),

or, where a tail holds fewer than `TAIL` scores, m ± s |z|_(⌈(1 - α)(n + 1)⌉). s is the mean absolute step of the target
within the window, so that series of any level and scale have intervals of their own width; where all series have nearly
one spread it only adds noise, and s = 1 is taken where that gives narrower intervals at the held-out forecasts, by the
mean logarithm of their widths.
Horizons with too few scores for the coverage share them all, each divided by s_h, s_h² = (n z̄_h² + n₀ z̄²) / (n + n₀)
with the mean squares z̄_h² of its own scores and z̄² of all, so that a single score makes no narrow interval.

What series do changes, so a score whose forecast was made a steps before the last one of its series counts
w = 2^(-a / (2 H)), H the longest horizon (Barber, Candès, Ramdas & Tibshirani 2023). The weighted scores are kept as
m = (Σ w)² / Σ w² equal ones: with weights that sum to m, rank k of m + 1 is the score up to which they sum to k.

Some series are harder than others. Where there are several, a series that the model knows has its own factor,

    g = (n₀ z̄ + Σ w |z|) / (n₀ + Σ w) / z̄    over the series' own scores, z̄ the mean |z| of all,

and intervals from the scores z / g. Of these each half of a series, by time, is divided by the g of the other half, so
that they tell how little is known of g. A new series has intervals of all scores together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from perceptory.errors import InputError

KEY = "horizon_scores"  # in the model's facts
MOST = 400  # scores of a horizon that a model keeps
MOST_IN_ALL = 16_384
TAIL = 20
FLOOR = 1e-4  # of the level, below which no spread is taken: a window may be constant
USUAL = 0.9
SHARED = 5.0  # n₀: forecasts of a series' own, or of a horizon's, that count as much as all others
HALF_LIFE = 2.0  # longest horizons after which a score counts half


def with_horizon_intervals(
    model: Any,
    inputs: np.ndarray,
    truth: np.ndarray,
    prediction: np.ndarray,
    weights: np.ndarray,
    ages: np.ndarray | None = None,
    series: np.ndarray | None = None,
    least: np.ndarray | None = None,
) -> None:
    """Put into the model's facts what `ends_of_intervals` needs.

    inputs: [n, time, channel] windows in their own units. truth, prediction: [n, out] of forecasts by networks that did
    not train on them. weights: [n]; what has weight 0 does not count. ages: [n] of each forecast, in its model's
    longest horizons before the last one of its series; None where all count the same. series: [n] the name of each
    one's series. Nothing is put there where no forecast is left.
    """
    sound = (weights > 0) & np.isfinite(prediction).all(axis=1)
    inputs, error = inputs[sound], (truth - prediction)[sound]
    if not len(error):
        return
    fresh = np.ones(len(error)) if ages is None else 0.5 ** (ages[sound] / HALF_LIFE)
    spread = spreads(model, inputs)
    level = max(1, math.ceil(USUAL * (len(error) + 1)) - 1)
    widths = []
    for s in (spread, np.ones_like(spread)):
        score = np.sort(np.abs(error) / s, axis=0)[min(level, len(error) - 1)]
        widths.append(np.log(np.maximum(score * s, 1e-300)).mean(axis=0))
    relative = bool(np.mean(widths[0]) <= np.mean(widths[1]))
    scores = error / (spread if relative else 1.0)
    count = max(1, int(fresh.sum() ** 2 / (fresh**2).sum() + 1e-6))
    kept = _kept(scores, fresh, count, min(count, MOST, max(TAIL, MOST_IN_ALL // scores.shape[1])))
    model.facts[KEY] = {
        "count": count,
        "relative": relative,
        "scores": _rounded(kept),
    }
    above = [] if least is None else np.flatnonzero(least >= 0).tolist()
    model.facts[KEY] |= {"nonnegative": above} if above else {}
    if series is not None and ages is not None and len(names := np.unique(series[sound])) > 1:
        own = np.searchsorted(names, series[sound])
        factors, crossed = _factors(np.abs(scores).mean(axis=1), fresh, own, ages[sound])
        kept = _kept(scores / crossed[:, None], fresh, count, len(kept))
        model.facts[KEY] |= {
            "own_scores": _rounded(kept),
            "factors": dict(zip(names.tolist(), [float(f"{g:.6g}") for g in factors], strict=True)),
        }


def _rounded(kept: np.ndarray) -> list[list[float]]:
    return [[float(f"{z:.6g}") for z in column] for column in kept.T]


def _factors(
    sizes: np.ndarray, weights: np.ndarray, own: np.ndarray, ages: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """([series] g, [n] that of the other half of the series' scores) of mean |z| [n], their series and ages."""
    oldest = np.zeros(own.max() + 1)
    np.maximum.at(oldest, own, ages)
    late = ages <= oldest[own] / 2

    def found(some: np.ndarray) -> np.ndarray:
        count = np.bincount(own[some], weights[some], len(oldest))
        total = np.bincount(own[some], (weights * sizes)[some], len(oldest))
        usual = total.sum() / max(count.sum(), 1e-300)
        return (SHARED * usual + total) / (SHARED + count) / usual if usual > 0 else np.ones(len(oldest))

    return found(np.ones(len(own), bool)), np.where(late, found(~late)[own], found(late)[own])


def _kept(scores: np.ndarray, weights: np.ndarray, count: int, keep: int) -> np.ndarray:
    """[keep, out] sorted scores that stand for these [n, out] with weights [n], as if they were `count` equal ones:
    each rounded away from the middle."""
    share = np.arange(1, keep + 1) / (keep + 1)
    ranks = np.where(share < 0.5, np.floor(share * (count + 1) + 1e-9), np.ceil(share * (count + 1) - 1e-9))
    kept = []
    for column in scores.T:
        order = np.argsort(column, kind="stable")
        reached = np.cumsum(weights[order]) * (count / weights.sum())
        low = np.searchsorted(reached, ranks + 1e-6, side="right") - 1
        high = np.searchsorted(reached, ranks - 1e-6, side="left")
        places = np.clip(np.where(share < 0.5, low, high), 0, len(order) - 1)
        kept.append(column[order][places])
    return np.array(kept).T


def knows_intervals(model: Any) -> bool:
    return KEY in model.facts


def enough_for(model: Any, outputs: int, coverage: float) -> bool:
    """Whether the held-out forecasts can tell intervals of this coverage, of each horizon or of all together."""
    count, _, scores = _known(model, outputs)[:3]
    most = max(count, scores.size)
    return math.ceil(coverage * (most + 1) - 1e-9) <= most


def ends_of_intervals(
    model: Any, inputs: np.ndarray, prediction: np.ndarray, coverage: float, series: Sequence[str] = ()
) -> np.ndarray:
    """[n, out, 2] lower and upper ends around forecasts [n, out] from windows [n, time, channel]. series: [n] their
    names; none where they are not known.

    `InputError` where the model has too few held-out forecasts for the coverage, or its facts were altered.
    """
    count, relative, scores, own, factors, least = _known(model, prediction.shape[1])
    spread = spreads(model, inputs) if relative else np.ones_like(prediction)
    ends = np.broadcast_to(_of_horizons(scores, count, 1 - coverage), (len(prediction), 2, prediction.shape[1]))
    g = np.array([factors.get(name, np.nan) for name in series])
    if (~np.isnan(g)).any():
        known = g[:, None, None] * _of_horizons(own, count, 1 - coverage)
        ends = np.where(np.isnan(known), ends, known)
    both = np.stack([prediction + spread * ends[:, 0], prediction + spread * ends[:, 1]], axis=-1)
    return np.maximum(both, least[:, None])


def _of_horizons(scores: np.ndarray, count: int, alpha: float) -> np.ndarray:
    """[2, out] lower and upper scores of each horizon."""
    if math.ceil((1 - alpha) * (count + 1) - 1e-9) <= count:
        return np.array([_ends(column, count, alpha) for column in scores.T]).T
    squares, n = np.mean(scores**2, axis=0), len(scores)  # one horizon has too few: all share theirs
    size = np.sqrt((n * squares + SHARED * squares.mean()) / (n + SHARED))
    shared = (scores / np.where(size > 0, size, 1)).ravel()
    return np.outer(_ends(np.sort(shared), len(shared), alpha), size)


def _ends(scores: np.ndarray, count: int, alpha: float) -> tuple[float, float]:
    """Lower and upper score of one horizon; scores: sorted, all or every so many-th of `count`."""
    if alpha / 2 * count >= TAIL:
        places = np.arange(1, len(scores) + 1) / (len(scores) + 1)
        exact = len(scores) == count
        low, high = (_rank(alpha / 2, count, math.floor), _rank(1 - alpha / 2, count, math.ceil))
        if exact:
            return float(scores[low - 1]), float(scores[high - 1])
        low_place = int(np.searchsorted(places, low / (count + 1), side="right")) - 1
        high_place = int(np.searchsorted(places, high / (count + 1), side="left"))
        return float(scores[max(0, low_place)]), float(scores[min(len(scores) - 1, high_place)])
    sizes = np.sort(np.abs(scores))
    rank = math.ceil((1 - alpha) * (len(sizes) + 1) - 1e-9)
    if rank > len(sizes):
        least = math.ceil((1 - alpha) / alpha - 1e-9)
        raise InputError(
            f"a coverage of {1 - alpha:g} needs at least {least} held-out forecasts, and the model has {len(sizes)}. "
            "Ask for less."
        )
    return -float(sizes[rank - 1]), float(sizes[rank - 1])


def _rank(level: float, count: int, rounded: Any) -> int:
    return int(min(count, max(1, rounded(level * (count + 1) + (1e-9 if rounded is math.floor else -1e-9)))))


def spreads(model: Any, inputs: np.ndarray) -> np.ndarray:
    """[n, out] mean absolute step of each output's target within its window [n, time, channel]; 1 where the target is
    no input."""
    channels = model.encoder.feature_names
    columns = []
    for name in [name.rpartition("(t+")[0] or name for name in model.targets]:
        if name not in channels or inputs.shape[1] < 2:
            columns.append(np.ones(len(inputs)))
            continue
        own = inputs[..., channels.index(name)].astype(float)
        columns.append(np.mean(np.abs(np.diff(own, axis=1)), axis=1) + FLOOR * np.mean(np.abs(own), axis=1) + 1e-12)
    return np.stack(columns, axis=1)


def _known(model: Any, outputs: int) -> tuple[int, bool, np.ndarray, np.ndarray, dict[str, float], np.ndarray]:
    """(count, relative, scores, those of series that are known, by name their factors, the least end by output)."""
    facts = model.facts[KEY]
    try:
        count, relative, factors = facts["count"], facts["relative"], facts.get("factors", {})
        scores = np.asarray(facts["scores"], float).T
        own = np.asarray(facts["own_scores"], float).T if factors else scores
        fits = (
            type(count) is int
            and type(relative) is bool
            and all(
                each.ndim == 2 and each.shape[1] == outputs and 0 < len(each) <= count and np.isfinite(each).all()
                for each in (scores, own)
            )
            and all(isinstance(n, str) and type(g) is float and 0 < g < math.inf for n, g in factors.items())
            and all(type(k) is int and 0 <= k < outputs for k in facts.get("nonnegative", ()))
        )
        least = np.where(np.isin(np.arange(outputs), facts.get("nonnegative", ())), 0.0, -np.inf)
    except (TypeError, KeyError, ValueError, AttributeError):
        fits = False
    if not fits:
        raise InputError("the held-out scores do not fit the model: the file was altered. Take another copy.")
    return count, relative, np.sort(scores, axis=0), np.sort(own, axis=0), factors, least
