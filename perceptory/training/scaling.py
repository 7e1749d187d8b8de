"""Scaling to mean 0 and standard deviation 1, fitted on a fold's training rows alone (float64, on the host)."""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np


class Scaling(NamedTuple):
    """x ↦ (x - center) · factor. A column that is constant in the training rows has factor 0 as an input (what is
    new in it at prediction must not meet weights that were never trained) and 1 as a target."""

    in_center: np.ndarray  # [in]
    in_factor: np.ndarray  # [in]
    out_center: np.ndarray  # [out]
    out_scale: np.ndarray  # [out], target = center + scale · output


def fit_scaling(inputs: np.ndarray, targets: np.ndarray, *, scale_targets: bool) -> Scaling:
    """Fit on training rows; inputs [..., in] may hold NaN (missing), which do not count; targets [..., out].

    Every axis but the last is a row: steps of a sequence and places of an image share their channel's scaling.
    """
    inputs, targets = inputs.reshape(-1, inputs.shape[-1]), targets.reshape(-1, targets.shape[-1])
    center, spread = _moments(inputs)
    factor = np.where(spread > 0, 1 / np.where(spread > 0, spread, 1), 0.0)
    if not scale_targets:
        out = targets.shape[1]
        return Scaling(center, factor, np.zeros(out), np.ones(out))
    out_center, out_spread = _moments(targets)
    return Scaling(center, factor, out_center, np.where(out_spread > 0, out_spread, 1.0))


def _moments(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation by column; a spread below rounding error counts as 0."""
    if x.dtype == np.uint8:  # images: exact from counts, in a fraction of the memory
        return _moments_of_bytes(x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a column with no value at all: mean of empty
        center = np.nan_to_num(np.nanmean(x, axis=0))
        spread = np.nan_to_num(np.nanstd(x, axis=0))
    return center, np.where(spread > 1e-12 * np.abs(center), spread, 0.0)


def _moments_of_bytes(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    counts = np.stack([np.bincount(column, minlength=256) for column in x.T], axis=1)  # [256, column]
    values, share = np.arange(256.0)[:, None], counts / len(x)
    center = np.sum(share * values, axis=0)
    return center, np.sqrt(np.sum(share * (values - center) ** 2, axis=0))
