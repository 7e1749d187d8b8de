"""How much each of several series counts where their lengths differ, so that none drowns the others."""

from __future__ import annotations

import numpy as np

from perceptory.errors import InputError, Setting
from perceptory.registry import Registry

SERIES_WEIGHTS: Registry[float] = Registry(
    "weight of series",
    {"window": 0.0, "root": 0.5, "series": 1.0},
)
"""What counts the same: each window, each series, or, between them, each series by the root of its windows.
The number p of the weight n^-p of a window of a series with n windows."""


def check_series_weights(given: str, use: str) -> str:
    """The name as it is; `InputError` for another one, and for what is no forecast."""
    if not isinstance(given, str):
        raise InputError(Setting("series_weights"), f" needs one of {', '.join(SERIES_WEIGHTS)}, got {given!r}.")
    if SERIES_WEIGHTS[given] and use != "ahead":
        raise InputError(
            Setting("series_weights"), " is for ", Setting("predict", "ahead"), f", not for {use!r}. Leave it out."
        )
    return given


def weights_of_series(series: np.ndarray, given: str) -> np.ndarray | None:
    """[n] weights of windows, 1 on average; None where all count the same. series: [n] the series that each is of."""
    power = SERIES_WEIGHTS[given]
    _, owner, counts = np.unique(series, return_inverse=True, return_counts=True)
    if not power or not np.ptp(counts):
        return None
    weights = counts[owner] ** -power
    return np.asarray(weights / weights.mean())
