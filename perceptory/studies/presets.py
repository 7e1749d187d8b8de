"""The study that `fit` runs where nothing is asked; its candidates were chosen by measurement."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from perceptory.data import ArrayDataset, Dataset
from perceptory.data.examples import Examples
from perceptory.data.tables.column_plan import plan_columns
from perceptory.networks.base import Network
from perceptory.networks.mlp import MLP
from perceptory.objectives.table import DEFAULT_COST
from perceptory.optimizers.first_order import Adam
from perceptory.optimizers.schedules import Cosine
from perceptory.optimizers.second_order import SecondOrder
from perceptory.registry import Registry
from perceptory.selection.greedy import BY_ERROR
from perceptory.selection.plans import HoldOut
from perceptory.selection.search import choice
from perceptory.studies.forecasts import for_forecasts
from perceptory.studies.presets_codes import RULE, code_networks
from perceptory.studies.presets_examples import (
    batch_size,
    default_validation,
    example_networks,
    linear_model,
    seconds_of,
    simulated,
)
from perceptory.studies.presets_forecasts import LAST, forecast_settings, forecasts_numbers, more_time
from perceptory.studies.presets_tables import EFFORTS as TABLE_EFFORTS
from perceptory.studies.presets_tables import for_tables, table_networks, table_optimizer, table_training
from perceptory.studies.study import Study

SMALL = 2000  # study rows up to which small networks are worth a try
LEAST_EPOCHS, MOST_EPOCHS = 10, 2000  # of networks for series and images


@dataclass(frozen=True)
class Effort:
    """How much a preset tries."""

    words: str
    rates: tuple[float, ...]
    row_epochs: float  # rows seen in all trainings together; what sets the number of epochs
    most_epochs: int
    seeds: int
    seconds: float  # of training on series and images
    steps: int  # that a network for them is given, where few examples make short epochs


EFFORTS: Registry[Effort] = Registry(
    "effort",
    {
        "quick": Effort("some ten seconds", (1e-2,), 1e7, 100, 1, 8, 1500),
        "normal": Effort("about a minute", (3e-3, 1e-2), 6e7, 300, 1, 45, 5000),
        "thorough": Effort("several minutes", (1e-3, 3e-3, 1e-2), 6e8, 600, 3, 400, 10_000),
    },
)


def default_networks(rows: int, effort: str, baseline: Network) -> list[Network]:
    """The networks that a preset compares, simplest first: the linear model, the honest baseline, before the others."""
    either: Any = choice("tanh", "relu")
    if effort == "quick":
        return [baseline, MLP((32, 32), "relu"), MLP((64, 64), "tanh")]
    small = [MLP((16,), "tanh"), MLP((32, 32), "relu")] if rows <= SMALL else []
    large = [MLP((128, 128), "relu")] if rows > SMALL or effort == "thorough" else []
    more = [MLP((64, 64), either, dropout=0.1), MLP((256, 256), "relu")] if effort == "thorough" else []
    return [baseline, *small, MLP((64, 64), either), MLP((64, 64, 64), "tanh"), *large, *more]


def study_of(data: Examples, effort: str, changes: dict[str, Any]) -> Study:
    """See `usual.default_study`."""
    return _STUDIES[data.kind](data, EFFORTS[effort], effort, changes)


def _table_study(data: Dataset, level: Effort, effort: str, changes: dict[str, Any]) -> Study:
    """With networks for tables, unless others are asked for."""
    networks = changes.get("networks")
    if data.task != "autoencode" and (for_tables(networks) if networks is not None else not _small_ones(changes)):
        return _tabular_study(data, effort, changes)
    study: dict[str, Any] = {
        **_without_target(data, changes),
        "networks": code_networks(data, effort)
        if data.task == "autoencode"
        else default_networks(data.rows, effort, linear_model(data)),
        "optimizer": Adam(Cosine(choice(*level.rates) if len(level.rates) > 1 else level.rates[0])),
        "seeds": level.seeds,
        "epochs": level.most_epochs,
    }
    study, members, rows = _counted(data, study, changes)
    epochs = int(np.clip(level.row_epochs / (members * rows), 20, level.most_epochs))
    study |= {"epochs": epochs, "patience": max(10, epochs // 5)}
    return Study(**{**study, **changes})


def _small_ones(changes: dict[str, Any]) -> bool:
    """Whether a study asks for what networks for tables are not made for: layers that were trained before, and matrices
    of weights by weights."""
    optimizers = getattr(changes.get("optimizer"), "values", (changes.get("optimizer"),))
    before = (changes.get(name) is not None for name in ("start", "pretraining"))
    return any(before) or any(isinstance(one, SecondOrder) for one in optimizers)


def _tabular_study(data: Dataset, effort: str, changes: dict[str, Any]) -> Study:
    columns = plan_columns(data.columns, data.rows)
    study: dict[str, Any] = {
        "networks": table_networks(data.task, data.rows, columns, effort, linear_model(data)),
        "optimizer": table_optimizer(data.task),
        "final": "weighted",
        "seeds": TABLE_EFFORTS[effort].seeds,
    }
    study, members, rows = _counted(data, study, changes)
    return Study(**{**study, **table_training(data.task, effort, rows, members), **changes})


def _counted(data: Examples, study: dict[str, Any], changes: dict[str, Any]) -> tuple[dict[str, Any], int, int]:
    """The fields of a study on a table, how many networks it trains, and its rows without sealed ones."""
    draft = Study(**{**study, **changes})
    rows = round(data.rows * (1 - draft.test))
    plan = draft.validation or default_validation(data)
    folds = getattr(plan, "folds", None)
    folds = folds if isinstance(folds, int) else 1
    if folds == 1 and "seeds" not in changes:
        study = {**study, "seeds": draft.seeds + 2}  # one fold would leave an ensemble of one
        draft = Study(**{**study, **changes})
    trained = [c for c in draft.candidates(DEFAULT_COST[data.task]) if not c.network.solved]
    return study, max(1, len(trained)) * folds * draft.seeds, rows


def _stream_study(data: Any, level: Effort, effort: str, changes: dict[str, Any]) -> Study:
    """As for tables, on one share that is held out; of a large table a single pass is what an effort allows."""
    study: dict[str, Any] = {
        "networks": default_networks(data.rows, effort, MLP(())),
        "optimizer": Adam(Cosine(choice(*level.rates) if len(level.rates) > 1 else level.rates[0])),
        "seeds": level.seeds,
    }
    draft = Study(**{**study, **changes})
    members = len(draft.candidates(DEFAULT_COST[data.task])) * draft.seeds
    passes = int(np.clip(level.row_epochs / (members * data.rows * (1 - draft.test)), 1, level.most_epochs))
    return Study(**{**study, "epochs": passes, "patience": max(1, passes // 5), **changes})


def _without_target(data: Examples, changes: dict[str, Any]) -> dict[str, Any]:
    """The rule that chooses among widths of a code; other scores than the usual one have no such rule."""
    return {"rule": RULE} if data.task == "autoencode" and changes.get("score") is None else {}


def _example_study(data: ArrayDataset, level: Effort, effort: str, changes: dict[str, Any]) -> Study:
    """As for tables, by seconds: networks of sequences and images differ a thousandfold in what an example costs.

    Where five folds would leave too few epochs, one share of the examples is held out; and where that is too much
    as well, a study takes longer than its effort says.
    """
    unlabeled, ahead = data.task == "autoencode", forecasts_numbers(data)
    study: dict[str, Any] = {
        **_without_target(data, changes),
        "networks": code_networks(data, effort) if unlabeled else example_networks(data, effort),
        "optimizer": Adam(Cosine(choice(1e-3, 3e-3) if effort == "thorough" else 3e-3)),
        "seeds": level.seeds,
        "epochs": level.most_epochs,
        **(forecast_settings(data) if ahead else {}),
        **({"final": BY_ERROR} if "networks" not in changes and simulated(data) else {}),
    }
    draft = Study(**{**study, **changes})
    rows = round(data.rows * (1 - draft.test))
    small = batch_size(rows)
    if small is not None:
        study["batch_size"] = small
    outputs = data.shape if unlabeled else (*data.targets.shape[1:-1], data.outputs)
    asked = for_forecasts(draft.candidates(DEFAULT_COST[data.task]), data)
    networks = [c.network for c in asked if not c.network.solved]
    seconds = level.seconds * (more_time(data) if ahead else 1)
    once = sum(seconds_of(network, data.shape, outputs) for network in networks) * rows * draft.seeds
    once = max(once, 1e-6)  # a linear model alone
    plan = draft.validation or default_validation(data)
    folds = getattr(plan, "folds", None)
    folds = folds if isinstance(folds, int) else 1
    if draft.validation is None and data.timeline is None and data.groups is None:
        if once * folds * LEAST_EPOCHS > level.seconds:
            plan, folds = HoldOut(), 1
        study["validation"] = plan
    steps = -(-rows * (folds - 1 or 4) // (folds if folds > 1 else 5) // (small or 32))  # an epoch
    most = max(level.most_epochs, min(MOST_EPOCHS, level.steps // max(1, steps)))
    if study.get("patience") == LAST:
        most = level.most_epochs
    epochs = int(np.clip(seconds / (once * folds), LEAST_EPOCHS, most))
    study = {"patience": max(10, epochs // 4), **study, "epochs": epochs}
    return Study(**{**study, **changes})


_STUDIES: dict[str, Callable[[Any, Effort, str, dict[str, Any]], Study]] = {
    "table": _table_study,
    "stream": _stream_study,
    "series": _example_study,
    "image": _example_study,
    "array": _example_study,
}
