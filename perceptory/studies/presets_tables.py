"""The study that `fit` runs on tables where nothing is asked; its numbers were chosen by measurement
(docs/measurements.md)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from perceptory.networks.base import Network
from perceptory.networks.tabular import TabularMLP
from perceptory.optimizers.first_order import AdamW
from perceptory.optimizers.schedules import CosineCycles
from perceptory.selection.search import Choice

SMALL = 2000  # study rows up to which steps are of few rows, and bins few
STEPS = {True: (32, 128), False: (128, 64)}  # of a small table or not: rows a step, epochs
BINS = {True: 48, False: 128}


@dataclass(frozen=True)
class TableEffort:
    """How much a preset tries on a table."""

    hidden: tuple[int, ...]
    share: float  # of the usual epochs
    row_epochs: float  # most rows seen in all trainings together
    seeds: int


EFFORTS = {
    "quick": TableEffort((64, 64), 0.4, 3e6, 1),
    "normal": TableEffort((128, 128, 128), 1.0, 2e7, 1),
    "thorough": TableEffort((256, 256, 256), 1.5, 1e8, 2),
}


def table_networks(task: str, rows: int, effort: str, baseline: Network) -> list[Network]:
    """The networks that a preset compares on a table: the linear model, the honest baseline, then networks for tables
    that see the same numbers in several ways, smoothly too where a number is aimed at; of classes also one without
    hidden units, which adds up what each column says."""
    small = rows <= SMALL
    hidden = EFFORTS[effort].hidden
    if task == "regression":
        one = TabularMLP(hidden, "mish", bins=BINS[small], width=9 if small else 17)
        smooth = one.replace(numbers="periodic", bins=32, width=4)
        others = [smooth, one, one.replace(inputs="quantiles")]
    else:
        one = TabularMLP(hidden, "selu", dropout=0.4, inputs="quantiles")
        others = [one.replace(hidden=(), activation="mish", dropout=0.0), one, one.replace(inputs="robust")]
    return [baseline, others[-2]] if effort == "quick" else [baseline, *others]


def table_optimizer(task: str) -> AdamW:
    """Cycles of the rate, and a decay of the weights that falls to 0 over the second half."""
    rate = 3e-3 if task == "regression" else 1e-3
    return AdamW(CosineCycles(rate), beta2=0.95, weight_decay=0.3, decay_falls=True)


def table_training(effort: str, rows: int, members: int) -> dict[str, int]:
    """Epochs, patience and rows a step for so many networks on a table of so many study rows."""
    level = EFFORTS[effort]
    batch, usual = STEPS[rows <= SMALL]
    epochs = int(max(10, min(usual * level.share, level.row_epochs / (members * rows))))
    return {"epochs": epochs, "patience": epochs // 2 + 2, "batch_size": batch}


def for_tables(networks: Any) -> bool:
    """Whether there is a network for tables among these of a study, search values taken apart."""
    if isinstance(networks, Choice):
        return for_tables(networks.values)
    if isinstance(networks, Iterable):
        return any(map(for_tables, networks))
    return isinstance(networks, TabularMLP)
