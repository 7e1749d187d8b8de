"""Exponential smoothing of windows."""

import jax.numpy as jnp
import numpy as np
import pytest

import perceptory as pt
from perceptory.data import read_series
from perceptory.networks.smoothing import beginnings, effects, smoothed

HORIZONS = (1, 2, 7)


@pytest.mark.parametrize(("steps", "season"), [(12, 4), (13, 4), (9, 1)])
def test_lines_and_seasons_are_continued_whatever_the_rates(steps, season):
    t = np.arange(steps + max(HORIZONS))
    wave = np.tile([5.0, -1, -3, -1], 10)[: len(t)] if season > 1 else 0 * t
    for damping, slope in ((0.0, 0.0), (1.0, 0.5)):
        y = 3 + slope * t + wave
        for rates in ((0.3, 0.2, 0.4), (0.9, 0.0, 0.1)):
            ways = np.array([*rates, damping])
            ahead = y[:steps] @ effects(ways, steps, season, HORIZONS)
            np.testing.assert_allclose(ahead, y[steps - 1 + np.array(HORIZONS)], atol=1e-9)


def test_the_recursion_by_hand():
    """Level, trend and season of one window of noise, and the program's recursion beside its linear form."""
    rng = np.random.default_rng(0)
    y, (a, b, c, d) = rng.normal(size=10), (0.3, 0.2, 0.4, 0.9)
    phases, _, start, slope = beginnings(10, 3)
    s, level, trend = list(np.roll(phases @ y, 1)), start @ y, slope @ y
    for value in y:
        before = level
        level = a * (value - s[-3]) + (1 - a) * (level + d * trend)
        s.append(c * (value - before - d * trend) + (1 - c) * s[-3])
        trend = b * (level - before) + (1 - b) * d * trend
    hand = [level + sum(d**k for k in range(1, h + 1)) * trend + s[-3 + (h - 1) % 3] for h in HORIZONS]
    rates = np.array([a, b, c, d])
    np.testing.assert_allclose(y @ effects(rates, 10, 3, HORIZONS), hand, rtol=1e-9)
    found = smoothed(jnp.asarray(y[None], jnp.float32), jnp.asarray(rates, jnp.float32), 3, HORIZONS)
    np.testing.assert_allclose(found[0], hand, rtol=1e-4)


def test_a_level_that_moves_is_followed_at_the_rate_that_is_best():
    """Of a random walk under noise the best rate of the level follows from both variances (Muth 1960)."""
    rng, steps, noise = np.random.default_rng(1), 400, 2.0
    y = rng.normal(0, 1, steps).cumsum() + np.tile([4.0, -3, 0, -1], steps // 4) + rng.normal(0, noise, steps)
    data = read_series({"y": y}, "y", predict="ahead", window=24, season=4)
    result = pt.Study(networks=pt.Smoothing(), validation=pt.RollingOrigin(1), test=0.0).run(data)
    assert result.candidates[0].label.startswith("exponential smoothing and season 4")
    ratio = 1 / noise**2
    best = (-ratio + np.sqrt(ratio**2 + 4 * ratio)) / 2
    level, trend, season, _ = np.asarray(result.model.weights)[0]
    assert abs(level - best) < 0.15
    assert trend < 0.1
    assert season < 0.1
