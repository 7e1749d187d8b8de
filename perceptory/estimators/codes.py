"""How wide a code is, and where outliers begin: two rules of the autoencoders."""

from __future__ import annotations

import numpy as np

EXPLAINED = 0.85  # share of the variance that principal components of the width "auto" hold
ROWS = 4096  # that the rule looks at, at most


def code_width(inputs: np.ndarray, weights: np.ndarray | None) -> int:
    """The number of principal components that hold 85 % of the variance of inputs [row, in], each at deviation 1
    and at its mean where it is missing (nan)."""
    step = max(1, len(inputs) // ROWS)
    x = np.asarray(inputs[::step], np.float64)
    w = np.ones(len(x)) if weights is None else weights[::step]
    w = w / w.sum()
    there = ~np.isnan(x)
    total = np.maximum(w @ there, 1e-300)
    x = np.where(there, x - (w @ np.where(there, x, 0)) / total, 0.0)
    spread = np.sqrt(w @ x**2)
    x = np.sqrt(w)[:, None] * x / np.where(spread > 1e-9 * np.abs(inputs[::step]).max(initial=1e-300), spread, np.inf)
    variances = np.linalg.svd(x, compute_uv=False) ** 2
    if not variances.sum() > 0:
        return 1
    return int(np.searchsorted(np.cumsum(variances), EXPLAINED * variances.sum()) + 1)


def threshold(scores: np.ndarray, weights: np.ndarray, share: float) -> float:
    """Halfway between the lowest scores [row] that make at most this share of the weights [row], and the next one."""
    order = np.argsort(scores, kind="stable")
    ranked, below = scores[order], np.cumsum(weights[order])
    count = int(np.searchsorted(below, share * below[-1] * (1 + 1e-9), side="right"))
    if count == 0:
        return float(ranked[0])
    return float((ranked[count - 1] + ranked[min(count, len(ranked) - 1)]) / 2)
