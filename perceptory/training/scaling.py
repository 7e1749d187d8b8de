"""Scaling to mean 0 and standard deviation 1, fitted on a fold's training rows alone (float64, on the host)."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from perceptory.data.series.rolled import Ahead, Rolled, counts_of
from perceptory.data.tables.features import Features
from perceptory.networks.windowed import Windowed
from perceptory.objectives.base import Cost

NARROW = 1e-10  # spread, as a share of the mean, below which both are found anew
ROUNDING = 8.0  # steps between neighboring float64 numbers that computing a constant may leave
COUNTED = 1 << 20  # bytes of a column that are counted at once, for which `bincount` takes eight times their memory


class Scaling(NamedTuple):
    """x ↦ (x - center) · factor. A column that is constant in the training rows has factor 0 as an input (what is
    new in it at prediction must not meet weights that were never trained) and 1 as a target."""

    in_center: np.ndarray  # [in]
    in_factor: np.ndarray  # [in]
    out_center: np.ndarray  # [out]
    out_scale: np.ndarray  # [out], target = center + scale · output
    aim_center: np.ndarray = np.zeros(0)  # [auxiliary column], of a study with auxiliary objectives
    aim_scale: np.ndarray = np.zeros(0)


class RowsOf(NamedTuple):
    """Some rows of a table, or targets of some forecasts, of which no more than a block is made at once."""

    features: Features | Ahead
    rows: np.ndarray

    @property
    def width(self) -> int:
        return self.features.width

    def column(self, k: int) -> np.ndarray:
        """[row] of one feature."""
        return self.features.column(k)[self.rows]

    def sums(self, values: Callable[[np.ndarray, slice], np.ndarray]) -> np.ndarray:
        """[feature] of values(block [row, feature], which rows), added up row by row, as NumPy adds the rows of an
        array."""
        total = None
        for at, block in self.features.blocks(self.rows):
            part = values(block, at)
            if total is not None:
                part[0] += total
            total = part.sum(axis=0)
        return np.asarray(total)


def fit_scaling(
    inputs: np.ndarray | RowsOf | Rolled,
    targets: np.ndarray | RowsOf,
    *,
    scale_targets: bool,
    weights: np.ndarray | None = None,
) -> Scaling:
    """Fit on training rows; inputs [..., in] may hold NaN (missing), which do not count; targets [..., out].

    Every axis but the last is a row: steps of a sequence and places of an image share their channel's scaling.
    weights: [row], a row of weight 2 counts as two rows; None counts every row once.
    """
    if isinstance(inputs, Rolled):  # each row as often as it stands in a window
        columns = _sure(inputs.values, counts_of(inputs, weights))
    else:
        columns = _sure(inputs, weights) if isinstance(inputs, RowsOf) else _of_last_axis(inputs, weights)
    if isinstance(targets, RowsOf):
        return _scaling(columns, _sure(targets, weights) if scale_targets else targets.width)
    return _scaling(columns, _of_last_axis(targets, weights) if scale_targets else targets.shape[-1])


def _of_last_axis(x: np.ndarray, weights: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    each = None if weights is None else np.repeat(weights, int(np.prod(x.shape[1:-1])))
    return _sure(x.reshape(-1, x.shape[-1]), each)


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


def _sure(x: np.ndarray | RowsOf, weights: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation by column; 0 where values differ by no more than rounding leaves (`ROUNDING`).

    Where a mean is some ten digits larger than the spread, its own error is no longer small: there both are found anew,
    from what is left when the mean is taken off.
    """
    center, spread = _moments(x, weights)
    for column in np.flatnonzero(spread <= NARROW * np.abs(center)):
        values = x.column(int(column)) if isinstance(x, RowsOf) else x[:, column].astype(float)
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


def relative_scaling(scaling: Scaling, windows: Windowed, x: np.ndarray | Rolled) -> Scaling:
    """The scaling of a network that sees windows relative to their own level (`Windowed`), from training windows x
    [n, time, channel]: the targets' past and the targets are brought to size 1, without a center. What is known ahead
    is scaled as its own past, and waves of the calendar have no center, so that both mean the same at every step."""
    sizes, channels = windows.sizes(x), np.array(windows.channels)
    center, factor = scaling.in_center.copy(), scaling.in_factor.copy()
    center[channels], factor[channels] = 0.0, 1 / sizes
    for place, channel in enumerate(windows.ahead):
        own = windows.known[place % len(windows.known)]
        center[channel], factor[channel] = center[own], factor[own]
    for wave in {c for sine, cosine, _ in windows.turns for c in (sine, cosine)}:
        center[wave], factor[wave] = 0.0, 2**0.5
    outputs = np.tile(sizes, len(windows.horizons))
    return scaling._replace(in_center=center, in_factor=factor, out_center=np.zeros_like(outputs), out_scale=outputs)


def targets_as(scaling: Scaling, cost: Cost) -> Scaling:
    """The scaling with targets as a cost wants them (`Cost.scale_targets`)."""
    center, scale = cost.scale_targets(scaling.out_center, scaling.out_scale)
    return scaling._replace(out_center=center, out_scale=scale)


def _moments(x: np.ndarray | RowsOf, weights: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation by column."""
    if isinstance(x, RowsOf):
        if x.width > 1:  # a single column is not added up row by row
            return _moments_by_blocks(x, weights)
        x = x.column(0)[:, None]
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
    counts = np.zeros((256, x.shape[1]), np.int64)
    for start in range(0, len(x), COUNTED):
        counts += np.stack([np.bincount(column, minlength=256) for column in x[start : start + COUNTED].T], axis=1)
    values, share = np.arange(256.0)[:, None], counts / len(x)
    center = np.sum(share * values, axis=0)
    return center, np.sqrt(np.sum(share * (values - center) ** 2, axis=0))


def _moments_by_blocks(x: RowsOf, weights: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """As of all rows at once, to the bit."""

    def weighed(values: np.ndarray, at: slice) -> np.ndarray:
        return values if weights is None else weights[at, None] * values

    def apart(block: np.ndarray, at: slice) -> np.ndarray:
        return weighed(np.where(np.isnan(block), 0, block - center) ** 2, at)

    total = x.sums(lambda block, at: weighed((~np.isnan(block)).astype(float), at))
    total = np.where(total > 0, total, 1)
    center = x.sums(lambda block, at: weighed(np.where(np.isnan(block), 0, block), at)) / total
    return center, np.sqrt(x.sums(apart) / total)


def _weighted_moments(x: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    there = ~np.isnan(x)
    total = np.sum(w * there, axis=0)
    total = np.where(total > 0, total, 1)
    center = np.sum(w * np.where(there, x, 0), axis=0) / total
    spread = np.sqrt(np.sum(w * np.where(there, x - center, 0) ** 2, axis=0) / total)
    return center, spread
