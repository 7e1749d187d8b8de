"""The study that `fit` runs on forecasts of numbers where nothing is asked; its candidates were chosen by measurement.

Every network sees windows relative to their own level and scale. What repeats itself is always among the candidates,
then linear models of the window, solved, then networks; the model is a weighted mean of several.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from perceptory.data import ArrayDataset
from perceptory.data.examples import Examples
from perceptory.data.series.rolled import values_of
from perceptory.data.series.scored import KNOWN
from perceptory.data.series.stationarity import stationary
from perceptory.errors import InputError, Setting
from perceptory.networks.base import Network
from perceptory.networks.cnn import CNN
from perceptory.networks.linear import Linear
from perceptory.networks.mlp import MLP
from perceptory.networks.naive import Naive
from perceptory.networks.nbeats import NBEATS
from perceptory.networks.recurrent import GRU, LSTM
from perceptory.networks.trend_season import TrendSeason
from perceptory.networks.windowed import Windowed
from perceptory.objectives.regression import AbsoluteError
from perceptory.optimizers.clipping import ClipByNorm
from perceptory.selection.search import choice
from perceptory.selection.time_plans import RollingOrigin
from perceptory.studies.forecasts import series_facts

RIDGES = 1e-3, 1e-1  # of windows relative to their level; few windows need the larger one
MANY, FEW = 20_000, 1000  # windows from which on networks are large, and one block is enough for validation; small ones
STEPS = 4  # of a window, at least
SHORT = 4, 8  # steps that an autoregressive model of a single series looks back, where there is no season
EACH = 10_000  # windows that are worth the seconds of an effort once more
MOST_TIME = 6.0
LAST = -1  # patience: few windows say little of when to stop, and what stops where it suits them looks too good


def forecasts_numbers(data: Examples) -> bool:
    """Whether examples are forecasts of numbers from some steps of their own past: enough to have a level and a
    scale."""
    if data.kind != "series" or series_facts(data) is None:
        return False
    steps: int = data.shape[0]  # type: ignore[attr-defined]
    return steps >= STEPS


def forecast_settings(data: ArrayDataset) -> dict[str, Any]:
    """What a study of forecasts differs in from others."""
    settings: dict[str, Any] = {"cost": AbsoluteError(), "final": "weighted", "clip": ClipByNorm(1.0)}
    if data.rows < FEW:  # the latest rows are worth most, and fold members have not seen them
        settings |= {"final": "weighted_refit", "patience": LAST}
    if data.rows >= MANY:
        settings["validation"] = RollingOrigin(1)
    return settings


def more_time(data: ArrayDataset) -> float:
    """By how much the seconds of an effort are multiplied."""
    return min(MOST_TIME, max(1.0, data.rows / EACH))


def forecasters(data: ArrayDataset, effort: str) -> list[Network]:
    """The networks that are compared, simplest first."""
    facts = series_facts(data)
    if facts is None:
        return []
    seasonal, positive = facts.season > 1 and facts.season < data.shape[0], facts.positive
    ridge: Any = choice(*RIDGES)
    naive: list[Network] = [Naive(1), *([Naive()] if seasonal else [])]
    linear: list[Network] = [
        Windowed(Linear(ridge), level="mean", scale="level" if positive else "spread"),
        Windowed(Linear(ridge), level="last", scale="spread"),
        *([Windowed(Linear(ridge), level="last", scale="none", log=True)] if positive else []),
        *(
            [Windowed(Linear(ridge), level="season", scale="spread")]
            if 2 * facts.season <= data.shape[0] and seasonal
            else []
        ),
        *(_autoregressive(ridge, data.shape[0], facts.season if seasonal else 1, positive) if _returns(data) else []),
    ]
    return [*naive, TrendSeason(), *linear, *_networks(data.rows, effort, seasonal, positive)]


def _returns(data: ArrayDataset) -> bool:
    """Whether all examples are of one series, of few windows, that returns to its mean: where a level may move, models
    of the values as they are look well in validation and fail."""
    if data.rows >= FEW or data.timeline is None or len(np.unique(data.timeline.series)) > 1 or data.plan is None:
        return False
    values = values_of(data.inputs)[:, [data.channels.index(name) for name in data.plan.goals]]
    known = values[: int(KNOWN * len(values))]  # what is sealed has no part in it
    return not np.isnan(known).any() and all(stationary(one) for one in known.T)


def _autoregressive(ridge: Any, steps: int, season: int, positive: bool) -> list[Network]:
    """Linear models of the values as they are: a series that returns to its mean does not do what its level does."""
    short = SHORT[0], season + 1 if season > 1 else SHORT[1]
    return [
        Windowed(Linear(ridge), window=window, level="none", scale="none", log=log)
        for window in sorted({min(one, steps) for one in short})
        for log in ([False, True] if positive else [False])
    ]


def rolled_out(data: Examples, networks: Sequence[Any]) -> tuple[Any, ...]:
    """The networks, and of each that is trained or solved for a window the one that forecasts step by step."""
    if series_facts(data) is None:
        raise InputError("recursive forecasts are for ", Setting("predict", "ahead"), " of numbers. Leave it out.")
    both: Any = choice(False, True)

    def told(network: Any) -> Any:
        if isinstance(network, Windowed):
            return network.replace(recursive=both)
        simple = isinstance(network, Naive | TrendSeason) or not isinstance(network, Network)
        return network if simple else Windowed(network, level="mean", scale="spread", recursive=both)

    return tuple(told(network) for network in networks)


def _networks(rows: int, effort: str, seasonal: bool, positive: bool) -> list[Network]:
    scale = "level" if positive else "spread"
    if rows < FEW:
        few: list[Network] = [Windowed(MLP((16,)), level="last", scale="spread")]
        if effort == "quick":
            return few
        few += [Windowed(MLP((32,)), level="mean", scale=scale), Windowed(GRU((16,)), level="last", scale="spread")]
        return few if effort == "normal" else [*few, Windowed(LSTM((16,)), level="last", scale="spread")]
    width = 128 if rows >= MANY else 64
    some: list[Network] = [Windowed(NBEATS(2, width), level="mean", scale=scale)]
    if effort == "quick":
        return some
    some.append(Windowed(NBEATS(2, width, seasonal=seasonal), level="mean", scale="spread"))
    if positive:
        some.append(Windowed(NBEATS(2, width), level="mean", scale="none", log=True))
    if effort == "normal":
        return some
    causal = CNN((16,) * 4, dilation=(1, 2, 4, 8), padding="causal", hidden=(32,))
    return [
        *some,
        Windowed(NBEATS(3, width, pool=(8, 4, 1)), level="mean", scale=scale),
        Windowed(causal, level="last", scale="spread"),
        Windowed(GRU((32,)), level="last", scale="spread"),
    ]
