"""All that one look through a streamed table tells: what its columns and targets hold, and how they are spread.

Sums are those of fixed pieces, merged by the formulas of Chan, Golub & LeVeque (1983), so that a mean far from 0 takes
nothing from the spread, and the same rows give the same numbers however a file was cut into row groups.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from perceptory.data.tables.column import Column
from perceptory.data.tables.column_plan import PERIODS, ColumnFacts, ColumnPlan, waves
from perceptory.data.tables.inference import convert
from perceptory.data.tables.table import Table
from perceptory.errors import InputError, Setting

if TYPE_CHECKING:
    import polars as pl

MOST_TEXTS = 1_000_000  # different texts in one column that are counted


class Moments:
    """Weight, mean and summed squares around it [number] of rows that come in pieces; NaN does not count."""

    def __init__(self, count: int):
        self.weight, self.mean, self.squares = np.zeros(count), np.zeros(count), np.zeros(count)

    def add(self, k: int, values: np.ndarray, w: np.ndarray | None) -> None:
        """Rows of number k; values, w: [row], w None for 1 each."""
        there = ~np.isnan(values) if np.isnan(values.sum()) else None
        if there is not None:
            values, w = values[there], None if w is None else w[there]
        weight = float(len(values) if w is None else w.sum())
        if weight > 0:
            self._merge(k, weight, *_about(values, w, weight))

    def _merge(self, k: int, weight: float, mean: float, squares: float) -> None:
        total, apart = self.weight[k] + weight, mean - self.mean[k]
        self.squares[k] += squares + apart * apart * self.weight[k] * weight / total
        self.mean[k] += apart * weight / total
        self.weight[k] = total

    @property
    def spread(self) -> np.ndarray:
        """[number] standard deviation."""
        return np.asarray(np.sqrt(self.squares / np.where(self.weight > 0, self.weight, 1)))


def _about(values: np.ndarray, w: np.ndarray | None, weight: float) -> tuple[float, float]:
    if w is None:
        mean = float(values.mean())
        apart = values - mean
        return mean, float(np.square(apart, out=apart).sum())
    mean = float((values * w).sum()) / weight  # a product of BLAS would differ with the number of its threads
    apart = values - mean
    return mean, float((np.square(apart, out=apart) * w).sum())


@dataclass(eq=False)
class StreamedColumn:
    """A column of the study rows, as far as it has been seen."""

    column: Column  # of the table's head
    rows: int = 0
    empty: int = 0
    low: float = math.nan
    high: float = math.nan
    whole: bool = True
    counts: dict[str, int] = field(default_factory=dict)
    train: Any = None  # `Moments` of its numbers: itself, and of a date the phases
    train_counts: dict[str, float] = field(default_factory=dict)
    train_empty: float = 0.0
    train_weight: float = 0.0

    def __post_init__(self) -> None:
        self.train = Moments(1 + 2 * len(PERIODS) if self.column.kind == "date" else 1)

    def add(self, table: Table, weights: np.ndarray | None, trains: bool) -> None:
        """Study rows, all of which train, or none; weights [row]."""
        raw, kind = table.column(self.column.name), self.column.kind
        values = convert(raw, kind, self.column.layout)
        self.rows += len(values)
        if trains:
            self.train_weight += float(len(values) if weights is None else weights.sum())
        if kind == "categorical":
            self._add_texts(values, weights, trains)
        else:
            self._add_numbers(values, weights, trains)

    def _add_texts(self, values: pl.Series, w: np.ndarray | None, trains: bool) -> None:
        import polars as pl

        frame = pl.DataFrame({"key": values, "w": np.ones(len(values)) if w is None else w})
        for name, rows, weight in frame.group_by("key").agg(rows=pl.len(), w=pl.sum("w")).iter_rows():
            if name is None:
                self.empty += rows
                self.train_empty += weight if trains else 0.0
                continue
            self.counts[name] = self.counts.get(name, 0) + rows
            if trains:
                self.train_counts[name] = self.train_counts.get(name, 0.0) + weight
        if len(self.counts) > MOST_TEXTS:
            raise InputError(
                f"column {self.column.name!r} holds more than {MOST_TEXTS:,} different texts, too many for categories. "
                "Leave it out: ",
                Setting("ignore", self.column.name),
                ".",
            )

    def _add_numbers(self, values: np.ndarray, w: np.ndarray | None, trains: bool) -> None:
        present = values
        if np.isnan(values.sum()):
            missing = np.isnan(values)
            present = values[~missing]
            self.empty += len(values) - len(present)
            self.train_empty += float((missing.sum() if w is None else w[missing].sum()) if trains else 0.0)
        if len(present):
            self.low = float(np.fmin(self.low, present.min()))
            self.high = float(np.fmax(self.high, present.max()))
            if self.column.kind == "date" and self.whole:
                self.whole = not (present != np.floor(present)).any()
        if trains:
            for k, numbers in enumerate(_numbers_of(values, self.column.kind)):
                self.train.add(k, numbers, w)

    @property
    def facts(self) -> ColumnFacts:
        return ColumnFacts(self.rows, self.empty, self.low, self.high, self.whole, self.counts)

    def scaling(self, plan: ColumnPlan) -> tuple[np.ndarray, np.ndarray]:
        """Mean and spread [feature] of what the plan makes of the training rows."""
        total = self.train_weight if self.train_weight > 0 else 1.0
        means: list[float] = []
        spreads: list[float] = []
        if plan.value and plan.kind == "categorical":
            means += [self.train_counts.get(c, 0.0) / total for c in plan.categories]
        elif plan.value:
            waves = [1 + 2 * list(PERIODS).index(period) + k for period in plan.periods for k in (0, 1)]
            means += [float(self.train.mean[k]) - (plan.origin if k == 0 else 0.0) for k in (0, *waves)]
            spreads += [float(self.train.spread[k]) for k in (0, *waves)]
        means += [self.train_empty / total] if plan.missing else []
        spreads += [math.sqrt(max(p * (1 - p), 0.0)) for p in means[len(spreads) :]]
        return np.array(means), np.array(spreads)


def _numbers_of(values: np.ndarray, kind: str) -> list[np.ndarray]:
    """The numbers [row] of which the features are made, but for a shift."""
    if kind != "date":
        return [values]
    return [values, *(wave for period in PERIODS for wave in waves(values, period))]
