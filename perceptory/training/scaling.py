"""Scaling to mean 0 and standard deviation 1, fitted on a fold's training rows alone (float64, on the host)."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np

from perceptory.objectives.base import Cost

NARROW = 1e-10  # spread, as a share of the mean, below which both are found anew
ROUNDING = 8.0  # steps between neighboring float64 numbers that computing a constant may leave


class Scaling(NamedTuple):
    """x ↦ (x - center) · factor. A column that is constant in the training rows has factor 0 as an input (what is
    new in it at prediction must not meet weights that were never trained) and 1 as a target."""

    in_center: np.ndarray  # [in]
    in_factor: np.ndarray  # [in]
    out_center: np.ndarray  # [out]
    out_scale: np.ndarray  # [out], target = center + scale · output
    aim_center: np.ndarray = np.zeros(0)  # [auxiliary column], of a study with auxiliary objectives
    aim_scale: np.ndarray = np.zeros(0)


def fit_scaling(
    inputs: np.ndarray, targets: np.ndarray, *, scale_targets: bool, weights: np.ndarray | None = None
) -> Scaling:
    """Fit on training rows; inputs [..., in] may hold NaN (missing), which do not count; targets [..., out].

    Every axis but the last is a row: steps of a sequence and places of an image share their channel's scaling.
    weights: [row], a row of weight 2 counts as two rows; None counts every row once.
    """
    counts: list[Any] = [None, None]
    if weights is not None:
        counts = [np.repeat(weights, int(np.prod(x.shape[1:-1]))) for x in (inputs, targets)]
    inputs, targets = inputs.reshape(-1, inputs.shape[-1]), targets.reshape(-1, targets.shape[-1])
    outputs = _sure(targets, counts[1]) if scale_targets else targets.shape[1]
    return _scaling(_sure(inputs, counts[0]), outputs)


def scaling_of(inputs: tuple[np.ndarray, np.ndarray], targets: tuple[np.ndarray, np.ndarray] | int) -> Scaling:
    """The scaling of means and standard deviations [column] of training rows that are no more at hand; targets: theirs,
    or how many there are where they are not scaled. A spread that the means' own error may be counts as 0."""
    return _scaling(_varying(*inputs), targets if isinstance(targets, int) else _varying(*targets))


def _scaling(inputs: tuple[np.ndarray, np.ndarray], targets: tuple[np.ndarray, np.ndarray] | int) -> Scaling:
    center, spread = inputs
    factor = np.where(spread > 0, 1 / np.where(spread > 0, spread, 1), 0.0)
    if isinstance(targets, int):
        return Scaling(center, factor, np.zeros(targets), np.ones(targets))
    out_center, out_spread = targets
    return Scaling(center, factor, out_center, np.where(out_spread > 0, out_spread, 1.0))


def _varying(center: np.ndarray, spread: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return center, np.where(spread > 1e-12 * np.abs(center), spread, 0.0)


def _sure(x: np.ndarray, weights: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation by column; 0 where values differ by no more than rounding leaves (`ROUNDING`).

    Where a mean is some ten digits larger than the spread, its own error is no longer small: there both are found anew,
    from what is left when the mean is taken off.
    """
    center, spread = _moments(x, weights)
    for column in np.flatnonzero(spread <= NARROW * np.abs(center)):
        values = x[:, column].astype(float)
        there = ~np.isnan(values) if weights is None else ~np.isnan(values) & (weights > 0)
        left = values[there] - center[column]
        if not left.size or np.ptp(left) <= ROUNDING * np.spacing(abs(center[column])):
            spread[column] = 0.0
            continue
        share = None if weights is None else weights[there]
        more = np.average(left, weights=share)
        center[column] += more
        spread[column] = np.sqrt(np.average((left - more) ** 2, weights=share))
    return center, spread


def inputs_as_they_are(scaling: Scaling, columns: tuple[int, ...]) -> Scaling:
    """The scaling without these columns of the inputs (`Network.unscaled`)."""
    left = np.isin(np.arange(len(scaling.in_center)), columns)
    center, factor = np.where(left, 0.0, scaling.in_center), np.where(left, 1.0, scaling.in_factor)
    return scaling._replace(in_center=center, in_factor=factor)


def targets_as(scaling: Scaling, cost: Cost) -> Scaling:
    """The scaling with targets as a cost wants them (`Cost.scale_targets`)."""
    center, scale = cost.scale_targets(scaling.out_center, scaling.out_scale)
    return scaling._replace(out_center=center, out_scale=scale)


def _moments(x: np.ndarray, weights: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation by column."""
    if weights is not None:
        return _weighted_moments(x.astype(float), weights[:, None])
    if x.dtype == np.uint8:  # images: exact from counts, in a fraction of the memory
        return _moments_of_bytes(x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a column with no value at all: mean of empty
        center = np.nan_to_num(np.nanmean(x, axis=0))
        spread = np.nan_to_num(np.nanstd(x, axis=0))
    return center, spread


def _moments_of_bytes(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    counts = np.stack([np.bincount(column, minlength=256) for column in x.T], axis=1)  # [256, column]
    values, share = np.arange(256.0)[:, None], counts / len(x)
    center = np.sum(share * values, axis=0)
    return center, np.sqrt(np.sum(share * (values - center) ** 2, axis=0))


def _weighted_moments(x: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    there = ~np.isnan(x)
    total = np.sum(w * there, axis=0)
    total = np.where(total > 0, total, 1)
    center = np.sum(w * np.where(there, x, 0), axis=0) / total
    spread = np.sqrt(np.sum(w * np.where(there, x - center, 0) ** 2, axis=0) / total)
    return center, spread
