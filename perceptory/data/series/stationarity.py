"""Whether a series returns to a mean of its own: two tests, one of each hypothesis."""

from __future__ import annotations

import numpy as np

LEAST = 30  # values below which neither test says anything
KPSS_5 = 0.463  # above it a level that stays is rejected at 5 % (Kwiatkowski et al. 1992, table 1)
UNIT_ROOT_5 = -2.86  # below it a unit root is rejected at 5 % (Dickey & Fuller 1979; MacKinnon 1994)


def stationary(values: np.ndarray) -> bool:
    """Whether a series [row] is stationary by both tests: that of Kwiatkowski, Phillips, Schmidt & Shin (1992) does not
    reject a level that stays, that of Dickey & Fuller (1979) rejects a unit root. Values are without NaN; a constant
    series, and one of fewer than 30 values, is not."""
    if len(values) < LEAST or np.ptp(values) == 0:
        return False
    return kpss(values) < KPSS_5 and dickey_fuller(values) < UNIT_ROOT_5


def kpss(values: np.ndarray) -> float:
    """Σ S_t² / (n² s²), S the running sum of what the series differs from its mean by, s² its long-run variance by
    Bartlett's weights over 3 √n / 13 lags."""
    e, n = values - values.mean(), len(values)
    lags = int(3 * np.sqrt(n) / 13)
    variance = e @ e + 2 * sum((1 - k / (lags + 1)) * (e[k:] @ e[:-k]) for k in range(1, lags + 1))
    return float(np.sum(np.cumsum(e) ** 2) / (n * variance))


def dickey_fuller(values: np.ndarray) -> float:
    """The t-ratio of ρ in Δy(t) = a + ρ y(t - 1) + Σ_k b_k Δy(t - k) + e(t), with the cube root of n lags."""
    change = np.diff(values)
    lags = round(len(change) ** (1 / 3))
    rows = np.arange(lags, len(change))
    x = np.column_stack([values[rows], np.ones(len(rows)), *(change[rows - k] for k in range(1, lags + 1))])
    x[:, 0] -= values.mean()
    weights = np.linalg.lstsq(x, change[rows], rcond=None)[0]
    error = change[rows] - x @ weights
    variance = error @ error / max(1, len(rows) - x.shape[1]) * np.linalg.pinv(x.T @ x)[0, 0]
    return float(weights[0] / np.sqrt(variance)) if variance > 0 else 0.0
