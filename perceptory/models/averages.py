"""The mean over a model's networks: plain, or by the share that each has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from perceptory.models.temperature import temperature_of, tempered


def mean_of(model: Any, each: np.ndarray, members: Sequence[int] | None = None) -> np.ndarray:
    """[...] of each [member, ...], what a model's networks say: the plain mean, or that by the model's shares; of
    classes at the model's temperature (`models.temperature`).

    members: which of them, all by default; their shares are made to sum to 1.
    """
    shares = getattr(model, "shares", None)
    if members is not None:
        each, shares = each[list(members)], None if shares is None else shares[list(members)]
    mean, temperature = weighted_mean(each, shares), temperature_of(model)
    return mean if temperature == 1 else tempered(mean, temperature)


def weighted_mean(each: np.ndarray, shares: np.ndarray | None) -> np.ndarray:
    """Σ_i s_i y_i / Σ_i s_i over the first axis; shares None: the plain mean."""
    if shares is None:
        return np.asarray(each.mean(axis=0))
    return np.tensordot(np.asarray(shares, float) / np.sum(shares), each, axes=1)
