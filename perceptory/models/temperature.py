"""Probabilities that can be taken at their word: a temperature, found on rows that the networks did not train on.

    p_T = p^(1/T) / Σ_classes p^(1/T)

(Platt 1999; Guo, Pleiss, Sun & Weinberger 2017.) T has the least log loss on held-out rows, as the networks of one fold
predict them. The mean over networks of k folds is less sure than these, and is given T a_k / a_1: with v the variance
of logits over rows and n that between folds' networks, f = v - n is that of the logits without what scatters, and a
mean over k of them needs (n by rows that both folds trained on, or what a network knows by heart would count as
scatter; by the probit approximation of the mean of a sigmoid, MacKay 1992)

    a_k = (f + n/k) / f · √(1 + (π/8) f (n/k) / (f + n/k)) / √(1 + (π/8) n (1 - 1/k)).

A temperature is used only where, on the held-out rows, T has a log loss below that of a_1 / a_k, which stands for no
temperature, by more than twice the standard error of the difference.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

KEY = "temperature"  # in the model's facts; not there where it is 1
LEAST, MOST = 0.2, 5.0
SURE = 2.0  # standard errors
C = math.pi / 8
MEDIAN = 0.4549  # of the square of a standard normal number
BINS = 10


def tempered(probability: np.ndarray, temperature: float) -> np.ndarray:
    """[..., class] p_T."""
    log = np.log(np.maximum(probability, 1e-30)) / temperature
    power = np.exp(log - log.max(axis=-1, keepdims=True))
    return np.asarray(power / power.sum(axis=-1, keepdims=True))


def temperature_of(model: Any) -> float:
    """What the model's probabilities are tempered by; 1 where they are as they come."""
    value = getattr(model, "facts", {}).get(KEY, 1.0)
    fine = isinstance(value, int | float) and not isinstance(value, bool) and LEAST / MOST <= value <= MOST / LEAST
    return float(value) if fine else 1.0


def with_temperature(
    model: Any, probability: np.ndarray, truth: np.ndarray, weights: np.ndarray, noise: float = 0.0, folds: int = 1
) -> None:
    """Put a temperature into the model's facts where that helps.

    probability: [row, class] of held-out rows; truth: [row] class index; weights: [row]. noise, folds: n and k of this
    file's formulas.
    """
    sound = (weights > 0) & np.isfinite(probability).all(axis=1)
    p, t, w = probability[sound], truth[sound], weights[sound]
    if len(p) < 2 or len(np.unique(t)) < 2:
        return
    w = w / w.mean()
    best = _least(lambda log: float(np.mean(w * _cost(p, t, math.exp(log)))))
    own = _mean_needs(p, w, noise, 1) / _mean_needs(p, w, noise, folds)
    gain = w * (_cost(p, t, own) - _cost(p, t, best))
    if gain.mean() > SURE * gain.std() / math.sqrt(len(gain)):
        model.facts[KEY] = float(f"{best / own:.6g}")


def _mean_needs(p: np.ndarray, w: np.ndarray, noise: float, folds: int) -> float:
    """a_k of this file's formulas."""
    each = logits(p)
    varies = float(np.mean(np.average((each - np.average(each, axis=0, weights=w)) ** 2, axis=0, weights=w)))
    f, n = max(varies - noise, 0.05 * varies, 1e-12), noise / folds
    return (f + n) / f * math.sqrt((1 + C * f * n / (f + n)) / (1 + C * (noise - n)))


def logits(probability: np.ndarray) -> np.ndarray:
    """ln p / (1 - p) of each class, held between those of 0.001 and 0.999."""
    p = np.clip(probability, 1e-3, 1 - 1e-3)
    return np.asarray(np.log(p / (1 - p)))


def noise_between(differences: np.ndarray) -> float:
    """n from differences of the logits of two folds' networks, whose variance is 2 n: by the median of their squares,
    since a few rows differ by much where networks are sure of themselves."""
    return float(np.median(differences**2) / MEDIAN / 2) if differences.size else 0.0


def _cost(p: np.ndarray, t: np.ndarray, temperature: float) -> np.ndarray:
    return -np.log(np.maximum(tempered(p, temperature)[np.arange(len(t)), t], 1e-30))


def _least(f: Any) -> float:
    """The temperature at which f(ln T) is least, f being convex in 1 / T."""
    from scipy.optimize import minimize_scalar

    found = minimize_scalar(f, bounds=(math.log(LEAST), math.log(MOST)), method="bounded", options={"xatol": 1e-4})
    return math.exp(found.x)


def reliability_bins(probability: np.ndarray) -> np.ndarray:
    """[row] bin of equal width that a probability falls into."""
    return np.minimum((probability * BINS).astype(int), BINS - 1)


def calibration_error(truth: np.ndarray, probability: np.ndarray, weights: np.ndarray) -> float:
    """Expected calibration error: Σ over bins of equal width of (share of the weights) · |mean probability - share that
    came true|; of two classes the probability of the second one, of more that of the likeliest.

    truth: [row] class index; probability: [row, class]; weights: [row]. nan where a probability is not finite.
    """
    if not np.isfinite(probability).all():
        return float("nan")
    p = probability[:, 1] if probability.shape[1] == 2 else probability.max(axis=1)
    true = truth == 1 if probability.shape[1] == 2 else probability.argmax(axis=1) == truth
    gaps = np.bincount(reliability_bins(p), weights * (p - true), minlength=BINS)
    return float(np.abs(gaps).sum() / weights.sum())
