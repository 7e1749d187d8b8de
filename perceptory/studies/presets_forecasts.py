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
from perceptory.data.series.windows import MANY, usual_sight
from perceptory.errors import InputError, Setting
from perceptory.networks.base import Network
from perceptory.networks.cnn import CNN
from perceptory.networks.linear import Linear
from perceptory.networks.mlp import MLP
from perceptory.networks.naive import Naive
from perceptory.networks.nbeats import NBEATS
from perceptory.networks.recurrent import GRU, LSTM
from perceptory.networks.smoothing import Smoothing
from perceptory.networks.trend_season import TrendSeason
from perceptory.networks.windowed import Windowed
from perceptory.objectives.forecasts import SMAPE
from perceptory.objectives.regression import AbsoluteError
from perceptory.optimizers.clipping import ClipByNorm
from perceptory.selection.search import choice
from perceptory.selection.time_plans import RollingOrigin
from perceptory.studies.forecasts import series_facts

RIDGES = 1e-3, 1e-1  # of windows relative to their level; few windows need the larger one
FEW = 1000  # windows below which networks are small; from `MANY` on they are large, and one block validates
LEAST = 80  # windows below which a network only finds what is not there, and draws shares in the model nonetheless
STEPS = 4  # of a window, at least
SHORT = 4, 8  # steps that an autoregressive model of a single series looks back, where there is no season
EACH = 4000  # windows that are worth the seconds of an effort once more
MOST_TIME = 14.0
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
        if _levels_differ(data):
            settings |= {"cost": choice(AbsoluteError(), SMAPE()), "score": "owa"}
    return settings


def _levels_differ(data: ArrayDataset) -> bool:
    """Whether errors in percent have a meaning, and say something else than scaled ones: many series above 0."""
    facts, timeline = series_facts(data), data.timeline
    return facts is not None and facts.positive and timeline is not None and len(np.unique(timeline.series)) > 1


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
    sight = usual_sight(max(facts.horizons), facts.season)
    window = sight if seasonal and sight < data.shape[0] else None  # level, trend and season are seen in all of it
    naive: list[Network] = [Naive(1), *([Naive()] if seasonal else [])]
    linear: list[Network] = [
        Windowed(Linear(ridge), window, level="mean", scale="level" if positive else "spread"),
        Windowed(Linear(ridge), window, level="last", scale="spread"),
        *([Windowed(Linear(ridge), window, level="last", scale="none", log=True)] if positive else []),
        *(
            [Windowed(Linear(ridge), window, level="season", scale="spread")]
            if 2 * facts.season <= data.shape[0] and seasonal
            else []
        ),
        *(_autoregressive(ridge, data.shape[0], facts.season if seasonal else 1, positive) if _returns(data) else []),
    ]
    smoothing = [Smoothing(), *([Smoothing(log=True)] if positive else [])] if data.rows < MANY else []
    return [*naive, *smoothing, TrendSeason(), *linear, *_networks(data.rows, effort, seasonal, positive, window)]


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
        simple = isinstance(network, Naive | Smoothing | TrendSeason) or not isinstance(network, Network)
        return network if simple else Windowed(network, level="mean", scale="spread", recursive=both)

    return tuple(told(network) for network in networks)


def _networks(rows: int, effort: str, seasonal: bool, positive: bool, window: int | None) -> list[Network]:
    """window: of most; where it is not that of the data, one network sees all of that."""
    scale = "level" if positive else "spread"
    if rows < LEAST:
        return []
    if rows < FEW:
        few: list[Network] = [Windowed(MLP((16,)), window, level="last", scale="spread")]
        if effort == "quick":
            return few
        few += [
            Windowed(MLP((32,)), window, level="mean", scale=scale),
            Windowed(GRU((16,)), window, level="last", scale="spread"),
        ]
        return few if effort == "normal" else [*few, Windowed(LSTM((16,)), window, level="last", scale="spread")]
    width = 128 if rows >= MANY else 64
    some: list[Network] = [Windowed(NBEATS(2, width), window, level="mean", scale=scale)]
    if effort == "quick":
        return some
    some.append(Windowed(NBEATS(2, width, seasonal=seasonal), window, level="mean", scale="spread"))
    if positive:
        some.append(Windowed(NBEATS(2, width), window, level="mean", scale="none", log=True))
    if window is not None:
        some.append(Windowed(NBEATS(2, width), level="mean", scale=scale))
    if effort == "normal":
        return some
    causal = CNN((16,) * 4, dilation=(1, 2, 4, 8), padding="causal", hidden=(32,))
    return [
        *some,
        Windowed(NBEATS(3, width, pool=(8, 4, 1)), window, level="mean", scale=scale),
        Windowed(causal, window, level="last", scale="spread"),
        Windowed(GRU((32,)), window, level="last", scale="spread"),
    ]
