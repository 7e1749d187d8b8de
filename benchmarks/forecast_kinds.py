"""Kinds of series beside statsforecast: `python -m benchmarks.forecast_kinds [KIND ...] [quick|normal|thorough]`.

Series that are made, of 150 to 420 rows, two draws each, 12 ahead from two origins: the mean absolute scaled error of
the default, of AutoETS, AutoARIMA and the seasonal naive forecast, over the better of the first two (bench extra).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np

HORIZON, ORIGINS = 12, (24, 12)
EFFORTS = "quick", "normal", "thorough"
Made = tuple[np.ndarray, int]  # values, season


def _season(rng: np.random.Generator, rows: int) -> np.ndarray:
    return np.resize(rng.normal(0, 10, 12), rows)


def _added(rng: np.random.Generator) -> Made:
    return 100 + 0.4 * np.arange(156) + _season(rng, 156) + rng.normal(0, 3, 156), 12


def _multiplied(rng: np.random.Generator) -> Made:
    return np.exp(4 + 0.008 * np.arange(156) + _season(rng, 156) / 40 + rng.normal(0, 0.04, 156)), 12


def _walk(rng: np.random.Generator) -> Made:
    return 100 + rng.normal(0, 1, 150).cumsum(), 1


def _autoregression(rng: np.random.Generator) -> Made:
    y = np.zeros(250)
    for t in range(2, 250):
        y[t] = 1.4 * y[t - 1] - 0.7 * y[t - 2] + rng.normal()
    return 50 + y[90:], 1


def _counts(rng: np.random.Generator) -> Made:
    return rng.poisson(0.5, 200).astype(float) * rng.integers(1, 5, 200), 1


def _two_seasons(rng: np.random.Generator) -> Made:
    t = np.arange(420)
    week, month = np.resize(rng.normal(0, 8, 7), 420), 12 * np.sin(2 * np.pi * t / 30.4)
    return 200 + week + month + rng.normal(0, 3, 420), 7


def _shift(rng: np.random.Generator) -> Made:
    y = 50 + rng.normal(0, 2, 160)
    y[rng.integers(80, 120) :] += 15
    return y, 1


def _moving(rng: np.random.Generator) -> Made:
    return 200 + rng.normal(0, 1.5, 156).cumsum() + _season(rng, 156) + rng.normal(0, 2, 156), 12


def _damped(rng: np.random.Generator) -> Made:
    return 100 + 60 * (1 - 0.96 ** np.arange(150)) + rng.normal(0, 1.5, 150), 1


KINDS: dict[str, Callable[[np.random.Generator], Made]] = {
    "trend and season": _added,
    "multiplied": _multiplied,
    "random walk": _walk,
    "AR(2)": _autoregression,
    "counts": _counts,
    "two seasons": _two_seasons,
    "shift": _shift,
    "moving level": _moving,
    "damped": _damped,
}


def errors(y: np.ndarray, season: int, effort: str) -> dict[str, float]:
    """By forecaster its mean absolute error over the last `HORIZON` of y, in changes over the season before."""
    from statsforecast.models import AutoARIMA, AutoETS, SeasonalNaive

    import perceptory as pt

    known, truth = y[:-HORIZON], y[-HORIZON:]
    unit = np.mean(np.abs(known[season:] - known[:-season]))
    data = pt.read_series({"y": known}, "y", predict="ahead", horizon=range(1, HORIZON + 1))
    model = pt.default_study(data, effort, test=0.0).run(data).model
    made = {"perceptory": model.forecast().values[0, :, 0]}
    rivals = {"AutoETS": AutoETS(season), "AutoARIMA": AutoARIMA(season_length=season), "naive": SeasonalNaive(season)}
    made |= {name: rival.forecast(known, HORIZON)["mean"] for name, rival in rivals.items()}
    return {name: float(np.mean(np.abs(forecast - truth)) / unit) for name, forecast in made.items()}


def main(asked: list[str], effort: str) -> None:
    every: dict[str, list[float]] = {}
    for kind in asked or list(KINDS):
        own: dict[str, list[float]] = {}
        start = time.process_time()
        for draw in range(2):
            y, season = KINDS[kind](np.random.default_rng(100 + draw))
            for before in ORIGINS:
                found = errors(y[: len(y) - before + HORIZON], season, effort)
                best = min(found["AutoETS"], found["AutoARIMA"])
                for name, error in found.items():
                    own.setdefault(name, []).append(np.log(error / best))
        for name, logs in own.items():
            every.setdefault(name, []).extend(logs)
        _say(f"{kind} ({time.process_time() - start:.0f} s of processor time)", own)
    _say("all", every)


def _say(what: str, logs: dict[str, list[float]]) -> None:
    print(f"{what}: " + ", ".join(f"{name} {np.exp(np.mean(own)):.2f}" for name, own in logs.items()), flush=True)


if __name__ == "__main__":
    main([name for name in sys.argv[1:] if name in KINDS], next((n for n in sys.argv[1:] if n in EFFORTS), "normal"))
