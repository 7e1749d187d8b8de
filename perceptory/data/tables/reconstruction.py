"""A table as what an autoencoder gives back: targets of each column, and columns made of targets again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from perceptory.data.tables.column_plan import MISSES, OTHER, ColumnPlan
from perceptory.data.tables.encoder import Encoder
from perceptory.errors import InputError

OTHER_NAME = "(other)"  # categories that have no feature of their own
NOW = 1e8  # days that a date can be away from 1970 and still have a name


@dataclass(frozen=True)
class ColumnTargets:
    """What stands for one column among the targets: a "number" (of a date its days and phases), or a "class", one
    target for each of its categories."""

    plan: ColumnPlan
    kind: str
    width: int

    @property
    def name(self) -> str:
        return self.plan.name

    def write(self, values: np.ndarray, out: np.ndarray) -> None:
        """Write the targets of these rows' `ColumnPlan.values` into out [row, width], NaN where there is none."""
        if self.kind == "number":
            self.plan.write(values, out)
            return
        if self.plan.kind == "boolean":
            out[:, 0], out[:, 1] = values != 1, values == 1
            out[np.isnan(values)] = np.nan
            return
        if not self.plan.value:  # one category, of which some rows have none
            out[:, 0], out[:, 1] = values != MISSES, values == MISSES
            return
        rows = np.zeros((self.width + 2, self.width))
        rows[: self.width] = np.eye(self.width)
        rows[MISSES] = np.nan
        rows[OTHER, -1] = 1.0 if self.plan.rare else np.nan
        out[:] = rows[values]

    def read(self, predicted: np.ndarray) -> pl.Series:
        """The column of predictions [row, width]: numbers, or the most probable category."""
        if self.kind == "number":
            days = predicted[:, 0]
            if self.plan.kind != "date":
                return pl.Series(self.name, days)
            days = np.clip(np.nan_to_num(days + self.plan.origin), -NOW, NOW)
            return pl.Series(self.name, np.round(days * 86_400_000).astype(np.int64)).cast(pl.Datetime("ms"))
        best = predicted.argmax(axis=1)
        if self.plan.kind == "boolean":
            return pl.Series(self.name, best == 1)
        names: list[str | None] = list(self.plan.categories)
        if not self.plan.value:
            names = [*names, None]
        elif self.plan.rare:
            names = [*names, OTHER_NAME]
        return pl.Series(self.name, [names[k] for k in best], dtype=pl.String)


def column_targets(encoder: Encoder) -> tuple[ColumnTargets, ...]:
    """What each used column of a table is given back as. `InputError` where none can be."""
    columns = [_targets_of(plan) for plan in encoder.columns if plan.used]
    kept = tuple(column for column in columns if column.width)
    if not kept:
        raise InputError("no column is left to give back: all are constant or empty. Add columns that vary.")
    return kept


def _targets_of(plan: ColumnPlan) -> ColumnTargets:
    if plan.kind == "categorical":
        named = len(plan.categories) + (plan.rare > 0) if plan.value else 2 * (len(plan.categories) == 1)
        return ColumnTargets(plan, "class", named)
    if plan.kind == "boolean":
        return ColumnTargets(plan, "class", 2 if plan.value else 0)
    return ColumnTargets(plan, "number", len(plan.features) - plan.missing if plan.value else 0)


def targets_of_table(encoder: Encoder, source: Any) -> np.ndarray:
    """[row, target] of a table that the encoder takes, NaN where a value is missing."""
    columns = column_targets(encoder)
    values = {plan.name: given for plan, given in encoder.values_of(source)}
    rows = len(next(iter(values.values())))
    targets = np.empty((rows, sum(column.width for column in columns)))
    place = 0
    for column in columns:
        column.write(values[column.name], targets[:, place : place + column.width])
        place += column.width
    return targets


def table_of(encoder: Encoder, predicted: np.ndarray) -> pl.DataFrame:
    """The columns that predictions [row, target] stand for, in their own units and names."""
    columns, place = [], 0
    for column in column_targets(encoder):
        columns.append(column.read(predicted[:, place : place + column.width]))
        place += column.width
    return pl.DataFrame(columns)
