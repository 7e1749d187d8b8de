"""A linear model of few numbers of a window: its level, trend and season, continued to the horizons."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from perceptory.layers.arrays import Shape
from perceptory.networks.base import Network
from perceptory.networks.baseline import Continuation
from perceptory.networks.windowed import SeriesFacts, Windowed, count_or_none
from perceptory.ops.relative import seasonal_places
from perceptory.ops.ridge import ridge_regression
from perceptory.specs import checked, not_negative, traced

LOCAL = 3  # a window's last third has a trend of its own


@lru_cache(maxsize=16)
def patterns(steps: int, season: int, horizons: tuple[int, ...]) -> np.ndarray:
    """[horizon, pattern, step] what each number is of a window of so many steps: the last value, the mean of the last
    season, the straight line through the window and through its last third, continued to the horizon, and, of windows
    of two seasons, the last value of the horizon's phase and the mean of all of that phase less the mean of all."""
    last, level = np.zeros(steps), np.zeros(steps)
    last[-1] = 1
    recent = min(steps, max(season, LOCAL))
    level[-recent:] = 1 / recent
    whole = steps // season * season
    made = []
    for place, h in zip(seasonal_places(horizons, season), horizons, strict=True):
        own = [last, level, _line(steps, steps, h), _line(steps, max(2, steps // LOCAL), h)]
        if season > 1 and 2 * season <= steps:
            again, phase = np.zeros(steps), np.zeros(steps)
            again[place] = 1
            phase[np.arange(steps + place, steps - whole - 1, -season)] = season / whole
            phase[-whole:] -= 1 / whole
            own += [again, phase]
        made.append(own)
    return np.array(made)


def _line(steps: int, long: int, h: int) -> np.ndarray:
    """[step] what gives the least squares line through the last `long` values of a window, h steps after its end."""
    long = min(steps, long)
    x = np.arange(long) - (long - 1) / 2
    weights = np.full(long, 1 / long)
    if long > 1:
        weights = weights + x * ((long - 1) / 2 + h) / np.sum(x**2)
    return np.concatenate([np.zeros(steps - long), weights])


class Continued(eqx.Module):
    """y_h = Σ_p w_hp (pattern p of the window) + b_h, of windows x [batch, time, channel] whose first channels are the
    targets."""

    weight: jax.Array  # [horizon, target, pattern]
    bias: jax.Array  # [horizon, target]
    season: int = eqx.field(static=True)
    horizons: tuple[int, ...] = eqx.field(static=True)
    takes: ClassVar[tuple[str, ...]] = ()

    def numbers(self, x: jax.Array) -> jax.Array:
        """[batch, horizon, target, pattern]"""
        made = patterns(x.shape[1], self.season, self.horizons).astype(x.dtype)
        return jnp.einsum("hps,bst->bhtp", made, x[:, :, : self.bias.shape[1]])

    def __call__(self, x: jax.Array, key: jax.Array | None = None) -> jax.Array:
        y = jnp.einsum("bhtp,htp->bht", self.numbers(x), self.weight) + self.bias
        return y.reshape(len(x), -1)


@dataclass(frozen=True)
class TrendSeason(Continuation):
    """The forecast of a window's level, trend and season, with a weight for each by horizon, solved by least squares: a
    handful of numbers a horizon, where a linear model of the whole window has one a step.

    season: in steps; None takes that of the data. ridge: λ, as in `Linear`. horizons: found in the data.

    It sees the targets' past alone, relative to the mean of the window.
    """

    season: int | None = checked(None, check=count_or_none)
    ridge: float = traced(1e-4, check=not_negative, log=True)
    horizons: tuple[int, ...] = ()

    def for_series(self, facts: SeriesFacts) -> Network:
        season = self.season or facts.season
        filled = replace(self, season=season, horizons=facts.horizons)
        return Windowed(filled, None, "mean", "spread", season, channels=facts.targets, horizons=facts.horizons)

    def build(self, inputs: Shape, outputs: Shape, *, key: jax.Array) -> Continued:
        self.check_windows(inputs)
        season = self.season or 1
        count = patterns(inputs[0], season, self.horizons).shape[1]
        shape = len(self.horizons), outputs[0] // len(self.horizons)
        return Continued(jnp.zeros((*shape, count)), jnp.zeros(shape), season, self.horizons)

    def prime(self, module: Any, rows: Callable[[], tuple[jax.Array, ...]], *, key: jax.Array) -> Any:
        """Weights by least squares from the training rows, each output by itself."""
        x, t, w = rows()
        if t.shape[1] != module.bias.size:  # a cost of several outputs a target
            return module
        numbers = module.numbers(x)
        by_output = jnp.moveaxis(numbers.reshape(len(x), -1, numbers.shape[-1]), 1, 0)

        def solve(own: jax.Array, target: jax.Array) -> tuple[jax.Array, jax.Array]:
            return ridge_regression(lambda v: v, own, target[:, None], w, self.ridge)

        weight, bias = jax.lax.map(lambda both: solve(*both), (by_output, t.T))
        shape = module.bias.shape
        found = weight.reshape(*shape, -1), bias.reshape(shape)
        return eqx.tree_at(lambda m: (m.weight, m.bias), module, found)

    @property
    def label(self) -> str:
        return f"linear trend{self.season_words}"
