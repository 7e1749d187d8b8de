"""The linear model of level, trend and season."""

import numpy as np
import pytest

import perceptory as pt
from perceptory.data import read_series
from perceptory.networks.trend_season import patterns

HORIZONS = (1, 2, 7)


@pytest.mark.parametrize(("steps", "season"), [(12, 1), (13, 4), (2, 1), (9, 4)])
def test_what_the_patterns_are_of_a_line_and_a_season(steps, season):
    """A straight line is continued exactly; a season is found again in its phase, without the level."""
    made = patterns(steps, season, HORIZONS)
    line = 3 + 0.5 * np.arange(steps)
    ahead = 3 + 0.5 * (steps - 1 + np.array(HORIZONS))
    np.testing.assert_allclose(made[:, 2] @ line, ahead)
    np.testing.assert_allclose(made[:, 3] @ line, ahead)
    np.testing.assert_allclose(made[:, 0] @ line, line[-1])
    assert made.shape[1] == (6 if season > 1 and 2 * season <= steps else 4)
    if made.shape[1] == 6:
        wave = np.array([5.0, -1, -3, -1])
        own = 10 + wave[np.arange(steps) % 4]
        later = wave[(steps - 1 + np.array(HORIZONS)) % 4]
        np.testing.assert_allclose(made[:, 4] @ own, 10 + later)
        np.testing.assert_allclose(made[:, 5] @ own, later, atol=1e-12)
        np.testing.assert_allclose(made[:, 1] @ own, 10)


def test_a_series_of_trend_and_season_is_forecast_to_the_noise():
    rng, t = np.random.default_rng(0), np.arange(240)
    y = 50 + 0.3 * t + 6 * np.sin(np.pi * t / 3) + rng.normal(0, 0.5, len(t))
    data = read_series({"y": y}, "y", predict="ahead", window=12, horizon=HORIZONS, season=6)
    result = pt.Study(networks=pt.TrendSeason(), validation=pt.RollingOrigin(1)).run(data, open_test=True)
    assert result.candidates[0].label.startswith("linear trend and season 6")
    assert max(result.tested["rmse"]) < 0.85
    assert result.model.weights.shape[1] == len(HORIZONS) * 7


def test_it_is_ranked_by_default():
    y = np.random.default_rng(0).normal(size=80)
    data = read_series({"y": y}, "y", predict="ahead", window=8, horizon=(1, 2))
    assert any(isinstance(n, pt.TrendSeason) for n in pt.default_study(data, "quick").networks)
