"""What every forecaster has to beat: the last value, or the one of a season before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from perceptory.errors import InputError, Setting
from perceptory.layers.arrays import Shape
from perceptory.networks.base import Network
from perceptory.networks.baseline import Baseline
from perceptory.networks.windowed import SeriesFacts, Windowed, count_or_none
from perceptory.ops.relative import seasonal_places
from perceptory.specs import checked, flag


class Repeat(eqx.Module):
    """The last `season` steps of x [batch, time, target] again and again, at the horizons, plus a drift [out]."""

    drift: jax.Array
    season: int = eqx.field(static=True)
    horizons: tuple[int, ...] = eqx.field(static=True)
    takes: ClassVar[tuple[str, ...]] = ()

    def __call__(self, x: jax.Array, key: jax.Array | None = None) -> jax.Array:
        targets = self.drift.shape[0] // len(self.horizons)
        repeated = x[:, seasonal_places(self.horizons, self.season), :targets]
        return repeated.reshape(len(x), -1) + self.drift


@dataclass(frozen=True)
class Naive(Baseline):
    """A forecast without weights (but for a drift): the last value (season 1), or the last season again.

    season: in steps; None takes that of the data.
    drift: adds the mean change of the training rows up to each horizon, relative to the level of the window.
    horizons: found in the data.
    """

    season: int | None = checked(None, check=count_or_none)
    drift: bool = checked(False, check=flag)
    horizons: tuple[int, ...] = ()

    def for_series(self, facts: SeriesFacts) -> Network:
        season = self.season or facts.season
        level = "mean" if self.drift else "last"
        filled = replace(self, season=season, horizons=facts.horizons)
        return Windowed(filled, season, level, "level", season, channels=facts.targets, horizons=facts.horizons)

    def build(self, inputs: Shape, outputs: Shape, *, key: jax.Array) -> Repeat:
        if not self.horizons or len(inputs) != 2:
            raise InputError(
                "Naive is for forecasts of numbers. Read the series with ", Setting("predict", "ahead"), "."
            )
        if inputs[0] < (self.season or 1):
            raise InputError(f"Naive needs windows of at least a season, {self.season} steps, got {inputs[0]}.")
        return Repeat(jnp.zeros(outputs[0]), self.season or 1, self.horizons)

    def prime(self, module: Any, rows: Callable[[], tuple[jax.Array, ...]], *, key: jax.Array) -> Any:
        if not self.drift:
            return module
        x, t, w = rows()
        mean = jnp.sum(w[:, None] * (t - module(x)), axis=0) / jnp.maximum(jnp.sum(w), 1e-30)
        return eqx.tree_at(lambda m: m.drift, module, mean)

    @property
    def learns(self) -> bool:
        return self.drift

    @property
    def label(self) -> str:
        return f"{'seasonal naive ' + str(self.season) if self.season not in (None, 1) else 'naive'}" + (
            " with drift" if self.drift else ""
        )
