"""Quantiles of what a model learned of a target's distribution."""

from __future__ import annotations

from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np

from perceptory.errors import InputError
from perceptory.models.averages import weighted_mean
from perceptory.objectives.distribution import by_head
from perceptory.objectives.table import Cost, GaussianLikelihood, Quantile


class Quantiles(NamedTuple):
    """Quantiles of each row's targets, in the targets' own units."""

    levels: tuple[float, ...]
    values: np.ndarray  # [row, target, quantile], or [row, time, target, quantile]


def check_quantiles(cost: Cost, levels: Any) -> tuple[float, ...]:
    """The levels that are asked of a model trained by this cost; `InputError` where it has none or not those."""
    if not isinstance(cost, Quantile | GaussianLikelihood):
        raise InputError(
            f"a model trained by {cost.label} has no quantiles. Train one with cost=Quantile((0.1, 0.5, 0.9)) or"
            " cost=GaussianLikelihood()."
        )
    known = cost.levels if isinstance(cost, Quantile) else Quantile().levels
    wanted = known if levels is None else Quantile(levels).levels
    missing = [level for level in wanted if level not in known]
    if missing and isinstance(cost, Quantile):
        raise InputError(
            f"the model learned the levels {', '.join(f'{one:g}' for one in known)}, and {missing[0]:g} is not among"
            " them. Train one with all that you need."
        )
    return wanted


def quantiles(cost: Cost, members: np.ndarray, levels: Any = None, shares: np.ndarray | None = None) -> Quantiles:
    """Of `members` [member, row, prediction] in the targets' units, under the cost that they were trained by.

    Of a quantile model the mean over members, at its own levels or some of them; of a Gaussian one those of the
    mixture of its members, at any levels; shares: [member] in that mean or mixture. `InputError` as `check_quantiles`.
    """
    wanted = check_quantiles(cost, levels)
    if isinstance(cost, Quantile):
        values = np.moveaxis(by_head(cost.ensemble(members, shares), cost.heads), -2, -1)
        return Quantiles(wanted, values[..., [cost.levels.index(level) for level in wanted]])
    mean, deviation = np.split(members, 2, axis=-1)
    return Quantiles(wanted, np.stack([mixture_quantile(mean, deviation, level, shares) for level in wanted], axis=-1))


def mixture_quantile(
    mean: np.ndarray, deviation: np.ndarray, level: float, shares: np.ndarray | None = None
) -> np.ndarray:
    """[...] q with Σ s Φ((q - μ) / σ) = level, over the first axis of mean and deviation [member, ...]; s = 1/k, or the
    shares [member].

    By bisection between the least and the greatest quantile of the members, among which it lies.
    """
    from scipy.special import ndtr

    own = mean + NormalDist().inv_cdf(level) * deviation
    low, high = own.min(axis=0), own.max(axis=0)
    for _ in range(60):
        middle = 0.5 * (low + high)
        below = weighted_mean(ndtr((middle - mean) / deviation), shares) < level
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return 0.5 * (low + high)


def knows_deviation(cost: Cost) -> bool:
    """Whether models trained by this cost learn a deviation of their own."""
    return isinstance(cost, GaussianLikelihood)


def check_deviation(cost: Cost) -> None:
    """`InputError` where models trained by this cost have learned no deviation."""
    if not knows_deviation(cost):
        raise InputError(
            f"a model trained by {cost.label} has learned no deviation. Train one with cost=GaussianLikelihood()."
        )


def deviation(cost: Cost, members: np.ndarray, shares: np.ndarray | None = None) -> np.ndarray:
    """[row, target] standard deviation of the mixture of a Gaussian model's `members` [member, row, prediction], each
    with its share [member]."""
    check_deviation(cost)
    return np.split(cost.ensemble(members, shares), 2, axis=-1)[1]
