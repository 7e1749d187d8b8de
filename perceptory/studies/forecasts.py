"""What a study of forecasts adds to its candidates: what their networks have to know of the data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from perceptory.data.examples import Examples
from perceptory.data.series.calendar_inputs import turns_of
from perceptory.data.series.rolled import lowest, values_of
from perceptory.errors import InputError, Setting
from perceptory.networks.windowed import SeriesFacts, Windowed
from perceptory.objectives.distribution import GaussianLikelihood
from perceptory.objectives.regression import LogLink
from perceptory.objectives.transformed import TransformedError
from perceptory.studies.design import Candidate


def series_facts(known: Examples) -> SeriesFacts | None:
    """What the study examples tell a forecaster; None where they are no forecasts of numbers from their own past."""
    plan: Any = getattr(known, "plan", None)
    if plan is None or not plan.horizons or known.task != "regression":
        return None
    channels = known.channels  # type: ignore[attr-defined]
    if not all(name in channels for name in plan.goals):
        return None
    places = tuple(channels.index(name) for name in plan.goals)
    past = values_of(known.inputs)[..., places]  # type: ignore[attr-defined]
    least = lowest(known.targets).reshape(-1, len(places)).min(axis=0)
    least = np.minimum(least, np.nanmin(past.reshape(-1, len(places)), axis=0, initial=np.inf))
    still, ahead = (
        tuple(channels.index(name) for name in names if name in channels)
        for names in (plan.beside.still, plan.beside.ahead)
    )
    own_past = tuple(channels.index(name) for name in plan.beside.known_ahead) if ahead else ()
    waves = turns_of(plan.beside.times, plan.calendar)
    turns = None if waves is None else tuple((channels.index(s), channels.index(c), angle) for s, c, angle in waves)
    above = tuple(np.flatnonzero(least >= 0).tolist())
    return SeriesFacts(
        places, plan.horizons, plan.season, bool((least > 0).all()), still, ahead, own_past, turns, above
    )


def for_forecasts(candidates: Sequence[Candidate], known: Examples) -> list[Candidate]:
    """The candidates with what the data say of their windows; where costs are searched, without those that a network
    does not go with, as long as it goes with another one. `InputError` for what does not go together else."""
    facts = series_facts(known)
    told: list[Candidate] = []
    refused: list[tuple[Candidate, InputError]] = []
    for candidate in candidates:
        network = candidate.network if facts is None else candidate.network.for_series(facts)
        try:
            told.append(_checked(candidate.replace(network=network), forecasts=facts is not None))
        except InputError as error:
            refused.append((candidate.replace(network=network), error))
    able = {c.network for c in told}
    for candidate, reason in refused:
        if candidate.network not in able:
            raise reason
    return told


def _checked(candidate: Candidate, forecasts: bool) -> Candidate:
    """The candidate; `InputError` where its network and its cost do not go together. forecasts: of numbers."""
    windows, cost = candidate.network.windows, candidate.cost
    if cost.context and windows is None:
        raise InputError(
            f"{cost.label} is for forecasts by networks in Windowed, got {candidate.network.label}. "
            "Example: Windowed(MLP((32,)))"
        )
    if not forecasts:
        return candidate
    if "zero" in cost.context and isinstance(windows, Windowed) and windows.log:
        raise InputError(
            f"{cost.label} does not go with logarithms, whose absolute errors are nearly the same. Use AbsoluteError."
        )
    if isinstance(windows, Windowed):
        if windows.recursive and cost.heads > 1:
            raise InputError(
                f"recursive forecasts go on from one number a target, and {cost.label} has {cost.heads}. Use another ",
                Setting("cost"),
                ", or leave recursive out.",
            )
        if windows.how.bends and (isinstance(cost, GaussianLikelihood) or (cost.heads > 1 and not windows.log)):
            raise InputError(
                f"{cost.label} does not go with differences, nor a deviation with logarithms. Use another ",
                Setting("cost"),
                ', or level="mean" without log.',
            )
        if isinstance(cost, TransformedError):
            raise InputError(
                f"{cost.label} is for targets as they are, and windows see theirs relative to their level. Take"
                " Windowed(..., log=True), or another ",
                Setting("cost"),
                ".",
            )
        if isinstance(cost, LogLink):
            raise InputError(
                f"{cost.label} needs numbers that are not below 0, and windows relative to their level hold some. Use "
                "another ",
                Setting("cost"),
                ".",
            )
    return candidate
