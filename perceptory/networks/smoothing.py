"""Exponential smoothing of a window: level, trend and season that follow the series at rates which are found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from perceptory.errors import InputError
from perceptory.layers.arrays import Shape
from perceptory.networks.base import Network
from perceptory.networks.baseline import Continuation
from perceptory.networks.windowed import SeriesFacts, Windowed, count_or_none
from perceptory.ops.relative import seasonal_places
from perceptory.specs import checked, flag

LEVELS = 0.03, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9  # rates that are compared first
TRENDS = (0.0, 0.0), (0.0, 0.9), (0.0, 1.0), (0.1, 0.9), (0.1, 0.98), (0.3, 0.8), (0.3, 0.95)  # rate, damping
SEASONS = 0.0, 0.05, 0.15, 0.3, 0.6
ROUNDS, NARROWER = 3, 0.5  # of closer looks around the best, each so much narrower than the one before
REACH = 0.1  # of the first of them, to either side
ROWS = 2048  # windows that rates are compared on, spread over all
HELD = 1 << 20  # numbers of the states of windows that are compared at once
FIRST = 3  # steps that a level begins with, at least


@lru_cache(maxsize=4)
def rates_of(seasonal: bool) -> np.ndarray:
    """[way, 4] the rates of level, trend and season, and the damping of the trend, that are compared first."""
    made = product(LEVELS, TRENDS, SEASONS if seasonal else (0.0,))
    return np.array([(level, trend, season, damping) for level, (trend, damping), season in made])


@lru_cache(maxsize=16)
def beginnings(steps: int, season: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """What states a window begins with, each in proportion to its values: ([season, step] each phase less all, [step]
    the level without a trend, [step] the level and [step] the change a step of the least squares line). Levels and line
    are of the values less their season."""
    whole = steps // season * season if season > 1 else 0
    phases = np.zeros((season, steps))
    if whole >= 2 * season:
        for k in range(whole):  # the last whole seasons, so that phase (steps + j) mod season is j
            phases[k % season, steps - whole + k] += season / whole
        phases[:, steps - whole :] -= 1 / whole
        _, by_season = _line(whole // season)  # of the seasons' means, on which the phases have no part
        slopes = np.concatenate([np.zeros(steps - whole), np.repeat(by_season / season**2, season)])
        phases -= np.outer(np.arange(season) - (season - 1) / 2, slopes)
    own = np.eye(steps) - phases[(np.arange(steps) - (steps - whole)) % season]
    few = min(steps, max(season, FIRST))
    level = np.zeros(steps)
    level[:few] = 1 / few
    at, slope = _line(steps)
    return phases, level @ own, at @ own, slope @ own


def _line(steps: int) -> tuple[np.ndarray, np.ndarray]:
    """([step], [step]): what gives the least squares line one step before the first value, and its change a step."""
    x = np.arange(steps) - (steps - 1) / 2
    slope = x / max(np.sum(x**2), 1.0)
    return np.full(steps, 1 / steps) - slope * ((steps - 1) / 2 + 1), slope


def _moving(season: int) -> np.ndarray:
    """[4] 0 for the rate of a season that is not there."""
    return np.array([1.0, 1.0, float(season > 1), 1.0])


def smoothed(y: jax.Array, rates: jax.Array, season: int, horizons: tuple[int, ...]) -> jax.Array:
    """Forecasts [batch, horizon] of windows y [batch, step] by rates [4] of level a, trend b, season c, and damping d:

        level(t) = a (y(t) - s(t - m)) + (1 - a) (level(t - 1) + d trend(t - 1))
        trend(t) = b (level(t) - level(t - 1)) + (1 - b) d trend(t - 1)
        s(t) = c (y(t) - level(t - 1) - d trend(t - 1)) + (1 - c) s(t - m)

    and y(t + h) = level(t) + (d + ... + d^h) trend(t) + s(t + h - m ⌈h / m⌉).
    """
    a, b, c, d = jnp.clip(rates, 0, 1) * _moving(season).astype(rates.dtype)
    steps = y.shape[1]
    phases, plain, start, slope = (jnp.asarray(p, y.dtype) for p in beginnings(steps, season))
    trend = y @ slope
    level = jnp.where(d > 0, y @ start, y @ plain)
    whole = steps // season * season if season > 1 else 0
    first = (steps - whole) % season  # phases are counted from the window's end
    seasons = jnp.roll(y @ phases.T, first, axis=1)

    def step(state: Any, now: jax.Array) -> tuple[Any, None]:
        level, trend, seasons = state
        expected = level + d * trend
        new = a * (now - seasons[:, 0]) + (1 - a) * expected
        change = b * (new - level) + (1 - b) * d * trend
        phase = c * (now - expected) + (1 - c) * seasons[:, 0]
        return (new, change, jnp.concatenate([seasons[:, 1:], phase[:, None]], axis=1)), None

    (level, trend, seasons), _ = jax.lax.scan(step, (level, trend, seasons), y.T)
    far = jnp.cumsum(d ** jnp.arange(1, max(horizons) + 1))[np.array(horizons) - 1]
    return level[:, None] + far * trend[:, None] + seasons[:, seasonal_places(horizons, season)]


def effects(rates: np.ndarray, steps: int, season: int, horizons: tuple[int, ...]) -> np.ndarray:
    """[step, horizon] what each step of a window adds to `smoothed`, in double precision."""
    a, b, c, d = np.clip(rates, 0, 1) * _moving(season)
    phases, plain, start, trend = beginnings(steps, season)
    level = start if d > 0 else plain
    whole = steps // season * season if season > 1 else 0
    seasons = list(np.roll(phases, (steps - whole) % season, axis=0))
    for now in np.eye(steps):
        expected = level + d * trend
        new = a * (now - seasons[0]) + (1 - a) * expected
        seasons = [*seasons[1:], c * (now - expected) + (1 - c) * seasons[0]]
        level, trend = new, b * (new - level) + (1 - b) * d * trend
    far = np.cumsum(d ** np.arange(1, max(horizons) + 1))
    places = seasonal_places(horizons, season)
    return np.stack([level + far[h - 1] * trend + seasons[p] for h, p in zip(horizons, places, strict=True)], axis=1)


class Smoothed(eqx.Module):
    """Windows x [batch, time, channel], whose first channels are the targets, -> [batch, horizon · target]."""

    rates: jax.Array  # [target, 4]
    season: int = eqx.field(static=True)
    horizons: tuple[int, ...] = eqx.field(static=True)
    takes: ClassVar[tuple[str, ...]] = ()

    def __call__(self, x: jax.Array, key: jax.Array | None = None) -> jax.Array:
        each = [smoothed(x[:, :, k], self.rates[k], self.season, self.horizons) for k in range(len(self.rates))]
        return jnp.stack(each, axis=2).reshape(len(x), -1)


@dataclass(frozen=True)
class Smoothing(Continuation):
    """Exponential smoothing (Holt & Winters, with a damped trend, Gardner & McKenzie 1985): level, trend and season of
    a window follow its values, each at a rate of its own, and are continued to the horizons.

    season: in steps; None takes that of the data, 1 has none. log: of the logarithms of the target, so that season and
    trend are factors. horizons: found in the data.

    The three rates and the damping are those with the least mean absolute error on the training windows, of some
    hundred ways and then closer and closer around the best; they are the network's only weights. A window begins with
    the phases' means, and with the level of its first steps or its least squares line.
    """

    season: int | None = checked(None, check=count_or_none)
    log: bool = checked(False, check=flag)
    horizons: tuple[int, ...] = ()

    def for_series(self, facts: SeriesFacts) -> Network:
        season = self.season or facts.season
        filled = replace(self, season=season, horizons=facts.horizons)
        if self.log and not facts.positive:
            raise InputError("log needs targets above 0, and the data have others. Leave log out.")
        scale = "none" if self.log else "spread"
        places, horizons = facts.targets, facts.horizons
        return Windowed(filled, None, "last", scale, season, self.log, channels=places, horizons=horizons)

    def build(self, inputs: Shape, outputs: Shape, *, key: jax.Array) -> Smoothed:
        self.check_windows(inputs)
        targets = outputs[0] // len(self.horizons)
        return Smoothed(jnp.tile(jnp.asarray(rates_of(False)[0]), (targets, 1)), self._phases(inputs), self.horizons)

    def _phases(self, inputs: Shape) -> int:
        season = self.season or 1
        return season if 2 * season <= inputs[0] else 1

    def prime(self, module: Any, rows: Callable[[], tuple[jax.Array, ...]], *, key: jax.Array) -> Any:
        x, t, w = rows()
        targets = len(module.rates)
        if t.shape[1] != targets * len(self.horizons):  # a cost of several outputs a target
            return module
        some = np.unique(np.linspace(0, len(x) - 1, min(ROWS, len(x))).astype(int))
        x, t, w = x[some], t[some].reshape(len(some), -1, targets), w[some]
        found = [_best(x[:, :, k], t[:, :, k], w, module.season, self.horizons) for k in range(targets)]
        return eqx.tree_at(lambda m: m.rates, module, jnp.stack(found).astype(module.rates.dtype))

    @property
    def label(self) -> str:
        return f"exponential smoothing{self.season_words}{' of logarithms' if self.log else ''}"


def _best(y: jax.Array, t: jax.Array, w: jax.Array, season: int, horizons: tuple[int, ...]) -> jax.Array:
    """[4] the rates with the least mean absolute error over windows y [row, step] with targets t [row, horizon]."""

    def error(rates: jax.Array) -> jax.Array:
        return jnp.sum(w[:, None] * jnp.abs(smoothed(y, rates, season, horizons) - t))

    def least(ways: jax.Array) -> tuple[jax.Array, jax.Array]:
        at_once = max(1, min(len(ways), HELD // (y.shape[0] * season)))
        parts = -(-len(ways) // at_once)
        filled = jnp.pad(ways, ((0, parts * at_once - len(ways)), (0, 0)))
        errors = jax.lax.map(jax.vmap(error), filled.reshape(parts, at_once, 4)).ravel()[: len(ways)]
        errors = jnp.where(jnp.isfinite(errors), errors, jnp.inf)
        place = jnp.argmin(errors)
        return ways[place], errors[place]

    best, _ = least(jnp.asarray(rates_of(season > 1), y.dtype))
    around = np.unique(np.array(list(product((0, -1, 1), repeat=4))) * _moving(season), axis=0)
    around = around[np.argsort(np.abs(around).sum(axis=1), kind="stable")]  # of equal errors that which stays
    moves = jnp.asarray(around, y.dtype)

    def closer(best: jax.Array, wide: jax.Array) -> tuple[jax.Array, None]:
        ways = jnp.clip(best + wide * moves, 0.0, 1.0)
        ways = jnp.where(best[3] > 0, ways, ways.at[:, 1].set(0).at[:, 3].set(0))  # what has no trend gets none here
        return least(ways)[0], None

    best, _ = jax.lax.scan(closer, best, jnp.asarray(REACH * NARROWER ** np.arange(ROUNDS), y.dtype))
    return best
