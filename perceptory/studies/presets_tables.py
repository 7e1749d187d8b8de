"""The study that `fit` runs on tables where nothing is asked; its numbers were chosen by measurement
(docs/measurements.md)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from perceptory.data.tables.column_plan import ColumnPlan
from perceptory.networks.base import Network
from perceptory.networks.kernel_ridge import KernelRidge
from perceptory.networks.tabular import TabularMLP
from perceptory.networks.thresholds import ThresholdNetwork
from perceptory.optimizers.first_order import AdamW
from perceptory.optimizers.schedules import CosineCycles
from perceptory.selection.search import Choice

SMALL = 2000  # study rows up to which steps are of few rows, and bins few
BATCH = {True: 32, False: 128}  # rows a step, of a small table or not
EPOCHS = {True: (68, 96), False: (40, 48)}  # of a regression or not; of a large and of a small table
BINS = {True: 48, False: 128}
WIDTH = 9  # of embedded numbers
KERNEL_ROWS, KERNEL_CELLS = 10_000, 2_000_000  # study rows, and numbers in them, up to which kernels are solved
CENTERS = 6000  # of a kernel that learns from a sample of more rows
NEAR = {True: 0.5, False: 2.0}  # how near one another the widths of kernels are expected
THRESHOLDS = 256  # of a number, of large tables, where threshold units are many
UNITS, THRESHOLD_WORK = 2000, 1e9  # of them, and rows x columns², up to which they are solved
LEAST_BINS = 8  # of a number, with fewer of which they are left out
PENALTY = {True: 2.0, False: 0.3}  # of their weights
ONE_HOT = 64  # categories of a column that stand as columns of 0 and 1


@dataclass(frozen=True)
class TableEffort:
    """How much a preset tries on a table."""

    hidden: tuple[int, ...]
    share: float  # of the usual epochs
    row_epochs: float  # most rows seen in all trainings together
    seeds: int


EFFORTS = {
    "quick": TableEffort((64, 64), 0.4, 3e6, 1),
    "normal": TableEffort((128, 128, 128), 1.0, 1.5e7, 1),
    "thorough": TableEffort((256, 256, 256), 1.5, 1e8, 2),
}


def table_networks(
    task: str, rows: int, columns: Sequence[ColumnPlan], effort: str, baseline: Network
) -> list[Network]:
    """The networks that a preset compares on a table: the linear model, the honest baseline, then networks for tables
    that see the same numbers in several ways; of classes one that is held back more, and threshold units, which add up
    what each column says in steps; kernel ridge regression, which looks at the nearest rows where networks draw a
    surface through all of them."""
    small = rows <= SMALL
    hidden = EFFORTS[effort].hidden
    others: list[Network]
    if task == "regression":
        one = TabularMLP(hidden, "mish", one_hot=ONE_HOT, bins=BINS[small], width=WIDTH)
        smooth = one.replace(numbers="periodic", bins=32, width=4)
        others = [smooth, one, one.replace(inputs="quantiles")]
    else:
        one = TabularMLP(hidden, "mish", one_hot=ONE_HOT, dropout=0.2, bins=32 if rows <= KERNEL_ROWS else BINS[False])
        calm = one.replace(activation="selu", dropout=0.4, inputs="quantiles", numbers="periodic")
        others = [*_thresholds(rows, columns), one, calm]
    if effort == "quick":
        return [baseline, one]
    return [baseline, *others, *(_kernels(task, rows) if rows * len(columns) <= KERNEL_CELLS else [])]


def _thresholds(rows: int, columns: Sequence[ColumnPlan]) -> list[Network]:
    """Threshold units, as many as can be solved beside the networks."""
    flags = sum(len(one.features) if one.kind == "categorical" else one.missing for one in columns)
    numbers = sum(len(one.features) for one in columns) - flags
    usual = BINS[rows <= SMALL] if rows <= KERNEL_ROWS else THRESHOLDS
    bins = min(usual, (UNITS - flags) // max(1, numbers))
    able = numbers and bins >= LEAST_BINS and rows * len(columns) ** 2 <= THRESHOLD_WORK
    return [ThresholdNetwork(bins, PENALTY[rows <= SMALL])] if able else []


def _kernels(task: str, rows: int) -> list[Network]:
    """The kernel of a rough function, as wide as is likeliest; of numbers narrower too, as for more rows than the
    likelihood is of; of classes also one that takes columns together. Of many rows a sample: the narrow one alone, and
    none of classes, which gain nothing by it."""
    regression, whole = task == "regression", rows <= KERNEL_ROWS
    one = KernelRidge(centers=rows if whole else CENTERS, deviation=NEAR[rows <= SMALL])
    narrow = one.replace(narrow=3.5, ridge=0.2)
    if not whole:
        return [narrow] if regression else []
    return [one, narrow if regression else one.replace(kernel="exponential")]


def table_optimizer(task: str) -> AdamW:
    """Cycles of a high rate, and a decay of the weights that falls to 0 over the second half.

    eps is as large as the gradients of weights that few rows of a batch reach: those of a rare category or of a bin
    move in proportion to their gradients, as under gradient descent, and not as far as all others.
    """
    if task == "regression":
        return AdamW(CosineCycles(1e-2), beta2=0.95, eps=5e-4, weight_decay=0.2, decay_falls=True)
    return AdamW(CosineCycles(8e-3), beta2=0.95, eps=3e-3, weight_decay=0.3, decay_falls=True)


def table_training(task: str, effort: str, rows: int, members: int) -> dict[str, int]:
    """Epochs, patience and rows a step for so many networks on a table of so many study rows."""
    level = EFFORTS[effort]
    batch, usual = BATCH[rows <= SMALL], EPOCHS[task == "regression"][rows <= SMALL]
    epochs = int(max(10, min(usual * level.share, level.row_epochs / (members * rows))))
    return {"epochs": epochs, "patience": epochs // 2 + 2, "batch_size": batch}


def for_tables(networks: Any) -> bool:
    """Whether there is a network for tables among these of a study, search values taken apart."""
    if isinstance(networks, Choice):
        return for_tables(networks.values)
    if isinstance(networks, Iterable):
        return any(map(for_tables, networks))
    return isinstance(networks, TabularMLP)
