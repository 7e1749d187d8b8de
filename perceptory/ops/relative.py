"""Windows of series relative to their own level and scale, and back. NumPy on the host, JAX in the program: `xp`.

Whatever is computed starts from differences to the last value of a window (or, of logarithms, from ratios to it), so
that single precision keeps a series of level 10^6 and spread 1 as it keeps any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

STILL = 0.02  # of a season's change, as such a share: series that hardly move would outweigh all others
LEAST = 1e-3  # of a window's scale, as a share of its mean size: below, a window that stands still would be blown up


@dataclass(frozen=True)
class Relation:
    """How numbers of a window stand for its values; all of it static. See `networks.windowed.Windowed`."""

    level: str
    scale: str
    season: int
    log: bool
    horizons: tuple[int, ...]

    @property
    def lost(self) -> int:
        """Steps at the beginning of a window that its numbers do not stand for."""
        return {"difference": 1, "season": self.season}.get(self.level, 0)

    @property
    def bends(self) -> bool:
        """Whether a number stands for more than a share of the scale on top of the base."""
        return self.log or self.level == "difference"


class Units(NamedTuple):
    """What the numbers of windows stand for: value = last + base + scale · number, of logarithms last · exp(...); of
    differences the sum of the numbers up to a horizon stands in place of the number."""

    last: Any  # [n, 1, target] the last value; as the program holds it, rounded
    low: Any  # [n, 1, target] what that rounds off, or 0
    base: Any  # [n, 1 or horizon, target] what a number of 0 stands for, from the last value on
    scale: Any  # [n, 1, target]


def relative(xp: Any, how: Relation, x: Any, rest: Any = None) -> tuple[Any, Units]:
    """Numbers [n, steps - lost, target] of windows x [n, steps, target], and what they stand for.

    rest: what rounding took from x, or None.
    """
    last, low = x[:, -1:], 0.0 if rest is None else rest[:, -1:]
    if how.log:
        r, size = xp.log(x / last), xp.ones_like(last)
    else:
        r = x - last if rest is None else (x - last) + (rest - low)
        size = xp.mean(xp.abs(x), axis=1, keepdims=True)
    scale = _scale(xp, how, r, size)
    if how.level == "difference":
        return (r[:, 1:] - r[:, :-1]) / scale, Units(last, low, xp.zeros_like(last), scale)
    if how.level == "season":
        back = r[:, how.season :] - r[:, : -how.season]
        return back / scale, Units(last, low, r[:, seasonal_places(how.horizons, how.season)], scale)
    base = _base(xp, how, r, last)
    return (r - base) / scale, Units(last, low, base, scale)


def seasonal_places(horizons: Sequence[int], season: int) -> np.ndarray:
    """[horizon] where in a window, counted from its end, the last known value of the same phase stands."""
    return np.array([(h - 1) % season - season for h in horizons])


def relative_targets(xp: Any, how: Relation, t: Any, units: Units, rest: Any = None) -> Any:
    """Numbers [n, horizon, target] of values t that come after the windows."""
    low = units.low if rest is None else units.low - rest
    r = xp.log(t / units.last) if how.log else (t - units.last) - low
    if how.level == "difference":
        r = xp.concatenate([r[:, :1], r[:, 1:] - r[:, :-1]], axis=1)
    return (r - units.base) / units.scale


def absolute(how: Relation, numbers: np.ndarray, units: Units) -> np.ndarray:
    """Values [..., n, horizon, target] that numbers stand for; the inverse of `relative_targets`."""
    if how.level == "difference":
        numbers = np.cumsum(numbers, axis=-2)
    r = units.base + units.scale * numbers
    return units.last * np.exp(r) if how.log else units.last + (units.low + r)


def zeros(units: Units) -> Any:
    """[n, 1 or horizon, target] the number that stands for a value of 0, where numbers are in proportion to values."""
    return (-units.last - units.low - units.base) / units.scale


def change(xp: Any, how: Relation, x: Any, units: Units) -> Any:
    """[n, 1, target] the mean size of a change over a season, or, of shorter windows, from step to step, of windows x
    [n, steps, target], in numbers; at least a small share of the mean size of the values."""
    lag = how.season if how.season < x.shape[1] else 1
    if how.log:
        x, size = xp.log(x), 1.0
    else:
        size = xp.mean(xp.abs(x), axis=1, keepdims=True)
    mean = xp.mean(xp.abs(x[:, lag:] - x[:, :-lag]), axis=1, keepdims=True)
    mean = xp.maximum(mean, STILL * size)
    return xp.where(mean > 0, mean, 1) / units.scale


def _base(xp: Any, how: Relation, r: Any, last: Any) -> Any:
    if how.level == "mean":
        return xp.mean(r, axis=1, keepdims=True)
    return -last if how.level == "none" and not how.log else xp.zeros_like(last)


def _scale(xp: Any, how: Relation, r: Any, size: Any) -> Any:
    if how.scale == "none":
        return xp.ones_like(size)
    if how.scale == "level":
        spread = size
    elif how.scale == "spread":
        spread = xp.sqrt(xp.mean((r - xp.mean(r, axis=1, keepdims=True)) ** 2, axis=1, keepdims=True))
    else:
        spread = xp.mean(xp.abs(r[:, how.season :] - r[:, : -how.season]), axis=1, keepdims=True)
    spread = xp.maximum(spread, LEAST * size)
    return xp.where(spread > 0, spread, 1)
