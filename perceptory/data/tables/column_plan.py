"""Which features one column gives: decided from the study rows, then used for every row that comes."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

import numpy as np

from perceptory import notes
from perceptory.data.tables.dataset import Column, Kind
from perceptory.data.tables.inference import MANY, convert
from perceptory.data.tables.table import RawColumn, label
from perceptory.notes import Note

PERIODS = {"year": 365.2425, "week": 7.0, "day": 1.0}  # days


@dataclass(frozen=True)
class ColumnPlan:
    """How one column becomes features. A column of which neither `value` nor `missing` is set gives none."""

    name: str
    kind: Kind
    value: bool = False  # its values are features
    missing: bool = False  # so is, apart from them, whether there is a value (1 where it is missing)
    categories: tuple[str, ...] = ()  # a feature for each
    rare: int = 0  # categories of the study rows that have no feature
    origin: float = 0.0  # the day from which dates are counted, in days since 1970-01-01
    periods: tuple[str, ...] = ()  # those of PERIODS whose phase is given as sine and cosine
    layout: str = ""
    notes: tuple[Note, ...] = ()  # remarks; the first one says why it is not used

    @property
    def used(self) -> bool:
        return self.value or self.missing

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features, in their order."""
        names: list[str] = []
        if self.value and self.kind == "categorical":
            names += [f"{self.name}={category}" for category in self.categories]
        elif self.value:
            names.append(f"{self.name} (days)" if self.kind == "date" else self.name)
            names += [f"{self.name} ({wave} of {period})" for period in self.periods for wave in ("sin", "cos")]
        return (*names, f"{self.name} is missing") if self.missing else tuple(names)

    def encode(self, raw: RawColumn) -> np.ndarray:
        """Features [row, feature] float64 of the column. A missing number or date is NaN; a missing, rare or unseen
        category is 0 in all features of the categories."""
        values = convert(raw, self.kind, self.layout, self.categories)
        rows = len(values)
        parts: list[np.ndarray] = []
        if self.kind == "categorical":
            empty = np.fromiter((v is None for v in values), bool, rows)
            if self.value:
                place = {category: k for k, category in enumerate(self.categories)}
                index = np.fromiter((place.get(v, -1) for v in values), np.int64, rows)
                parts.append((index[:, None] == np.arange(len(place))).astype(np.float64))
        else:
            empty = np.isnan(values)
            if self.value:
                parts.append((values - self.origin if self.kind == "date" else values)[:, None])
                for period in self.periods:
                    angle = 2 * math.pi * _phase(values, period)
                    parts.append(np.stack([np.sin(angle), np.cos(angle)], axis=1))
        if self.missing:
            parts.append(empty.astype(np.float64)[:, None])
        return np.concatenate(parts, axis=1) if parts else np.zeros((rows, 0))

    @property
    def treatment(self) -> tuple[Note, ...]:
        """What was made of its values: remarks, none where it is not used."""
        remarks: list[Note] = []
        if self.value and self.kind == "categorical":
            remarks.append(notes.column_a_category(len(self.categories), self.rare))
        elif self.value and self.kind == "date":
            remarks += [notes.days_since_first(), *map(notes.waves, self.periods)]
        elif self.value:
            remarks.append(notes.truth_standardized() if self.kind == "boolean" else notes.standardized())
        return (*remarks, notes.missing_as_column()) if self.missing else tuple(remarks)

    def describe(self) -> dict[str, str]:
        """{"name", "kind", "made", "note"}: what became of the column, in words."""
        note = notes.joined(self.notes)
        made = notes.joined(self.treatment) if self.used else f"ignored: {note}"
        return {"name": self.name, "kind": self.kind if self.used else "ignored", "made": made, "note": note}


def plan_column(column: Column) -> ColumnPlan:
    """Decide which features a column gives, from its values in the study rows."""
    if column.kind == "ignored":
        return ColumnPlan(column.name, "ignored", notes=column.notes)
    if column.kind == "categorical":
        return _plan_categories(column)
    present = column.values[~np.isnan(column.values)]
    varies = present.size > 0 and bool((present != present[0]).any())
    missing = 0 < present.size < column.values.size
    if not varies and not missing:
        return ColumnPlan(column.name, column.kind, layout=column.layout, notes=(_constant(column, present),))
    origin, periods = 0.0, []
    if column.kind == "date" and varies:
        origin = float(present.min())
        span = float(present.max()) - origin
        if span >= 2 * 365:
            periods.append("year")
        if span >= 28:
            periods.append("week")
        if (present != np.floor(present)).any():
            periods.append("day")
    return ColumnPlan(
        column.name, column.kind, varies, missing, (), 0, origin, tuple(periods), column.layout, column.notes
    )


def _plan_categories(column: Column) -> ColumnPlan:
    counts = Counter(v for v in column.values if v is not None)
    missing = 0 < counts.total() < column.values.size
    if len(counts) < 2:
        remarks = column.notes if missing else (_constant(column, np.array(list(counts), dtype=object)),)
        return ColumnPlan(column.name, "categorical", False, missing, tuple(counts), notes=remarks)
    common = sorted(counts, key=lambda c: (-counts[c], c))[:MANY]
    rare = len(counts) - len(common)
    remarks = column.notes
    if rare:
        last = [c for c in sorted(counts) if c not in set(common)]
        remarks = (*remarks, notes.categories_left_out(last))
    return ColumnPlan(column.name, "categorical", True, missing, tuple(sorted(common)), rare, notes=remarks)


def _constant(column: Column, present: np.ndarray) -> Note:
    if not present.size:
        return notes.no_value()
    return notes.constant(None if column.kind == "date" else label(present[0]))


def _phase(days: np.ndarray, period: str) -> np.ndarray:
    """Where in the period a moment lies, 0 to 1. The phase of the week is that of the whole day."""
    whole = np.floor(days) if period == "week" else days
    return np.mod(whole / PERIODS[period], 1.0)
