"""Which features one column gives: decided from the study rows, then used for every row that comes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from perceptory import notes
from perceptory.data.ahead import on_all_cores
from perceptory.data.tables.cells import codes_of, counts_of, looked_up, places
from perceptory.data.tables.column import Column, Kind
from perceptory.data.tables.inference import MANY, convert
from perceptory.data.tables.table import RawColumn, label
from perceptory.errors import InputError
from perceptory.kernels.texts import MOST, Codes
from perceptory.notes import Note

if TYPE_CHECKING:
    import polars as pl

PERIODS = {"year": 365.2425, "week": 7.0, "day": 1.0}  # days
MISSES, OTHER = -1, -2  # instead of a category's place
CODES = 120  # categories that one small number tells apart
MOST_CATEGORIES, MOST_FLAGS = 1000, 40_000_000  # of all columns, and with them times rows, beyond `MANY` of a column
MOST_PLACES = 2**15 - 3  # of a column's categories
ROWS_EACH = 5  # of a category beyond the `MANY` most frequent


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
    unit: str = ""  # that its numbers were written with, such as "%"

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

    @property
    def stored_as(self) -> Any:
        """The type of its categories' places."""
        return np.int8 if len(self.categories) + self.missing <= CODES else np.int16

    def column(self, raw: RawColumn) -> Column:
        """A column of rows that come later, as it was learned."""
        self._check_unit(raw)
        return Column(self.name, self.kind, convert(raw, self.kind, self.layout, self.categories), layout=self.layout)

    def values(self, raw: RawColumn) -> np.ndarray:
        """[row] what the features are made of: float64 with NaN for missing, or the int8 place of each category in
        `categories`, -1 for a missing one and -2 for a rare or unseen one."""
        if self.kind != "categorical":
            self._check_unit(raw)
            return np.asarray(convert(raw, self.kind, self.layout, self.categories))
        cells = convert(raw, self.kind, self.layout, self.categories)
        of_category = places(cells.dtype.categories, self.categories, OTHER)
        return looked_up(np.append(of_category, MISSES).astype(self.stored_as), codes_of(cells))

    def places_in(self, column: Column) -> np.ndarray | None:
        """As `values`, of a column whose codes are known and whose every category has a place; None for others."""
        if column.codes is None or self.kind != "categorical":
            return None
        of_category = places(column.data.dtype.categories, self.categories, OTHER, self.stored_as)
        if (of_category < 0).any():
            return None
        table = np.full(MOST + 1, MISSES, self.stored_as)
        table[: len(of_category)] = of_category
        return looked_up(table, column.codes.by_row)

    def _check_unit(self, raw: RawColumn) -> None:
        """Raise `InputError` for numbers with another percent sign or currency than in training; those without one are
        in its unit."""
        if self.kind == "numeric" and raw.unit and raw.unit != self.unit:
            held = f"numbers with {self.unit!r}" if self.unit else "numbers without a unit"
            raise InputError(
                f"column {self.name!r} held {held} when the model was trained, and here they are written with"
                f" {raw.unit!r}. Write them as they were, or as plain numbers in that unit."
            )

    def write(self, values: np.ndarray, out: np.ndarray) -> None:
        """Write the features of these rows' `values` into out [row, feature]. A missing number or date is NaN; a
        missing, rare or unseen category is 0 in all features of the categories."""
        if self.missing:
            out[:, -1] = values == MISSES if self.kind == "categorical" else np.isnan(values)
        if not self.value:
            return
        if self.kind == "categorical":
            there = np.flatnonzero(values >= 0)
            out[:, : len(self.categories)] = 0
            out[there, values[there]] = 1
            return
        out[:, 0] = values - self.origin if self.kind == "date" else values
        for k, period in enumerate(self.periods):
            out[:, 2 * k + 1], out[:, 2 * k + 2] = waves(values, period)

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
        outcome = notes.joined(self.treatment) if self.used else f"ignored: {note}"
        return {"name": self.name, "kind": self.kind if self.used else "ignored", "made": outcome, "note": note}


@dataclass(frozen=True, eq=False)
class ColumnFacts:
    """What decides which features a column gives, of its study rows.

    rows: how many; empty: how many of them miss a value. low, high: ends of its numbers, NaN where there is none.
    whole: whether all of them are whole numbers. counts: rows of each category.
    """

    rows: int
    empty: int
    low: float = math.nan
    high: float = math.nan
    whole: bool = True
    counts: dict[str, int] = field(default_factory=dict)


def facts_of(column: Column) -> ColumnFacts:
    """Of a column that is not ignored."""
    if column.kind == "categorical":
        counts = counted_labels(column.data, column.codes)
        return ColumnFacts(len(column), column.data.null_count(), counts=counts)
    found, rows = column.facts, len(column)
    return ColumnFacts(rows, found.missing, found.low, found.high, found.whole == rows - found.missing)


def counted_labels(labels: pl.Series, codes: Codes | None = None) -> dict[str, int]:
    """Rows of each category that has any; codes: of an Enum, where they are known."""
    import polars as pl

    if not isinstance(labels.dtype, pl.Enum):
        return dict(labels.drop_nulls().value_counts().iter_rows())
    counts = counts_of(labels) if codes is None else codes.counts
    pairs = zip(labels.dtype.categories.to_list(), counts.tolist(), strict=True)
    return {name: count for name, count in pairs if count}


def plan_columns(columns: Sequence[Column], rows: int) -> tuple[ColumnPlan, ...]:
    """Decide which features columns of so many study rows give.

    Where columns have more than `MOST_CATEGORIES` together, or more than fit into memory beside so many rows, those
    with most of them keep their most frequent ones, equally many; `MANY` may be kept of each in any case.
    """
    facts = on_all_cores(lambda column: None if column.kind == "ignored" else facts_of(column), columns, rows)
    sizes = sorted(_frequent(one) for one in facts if one is not None and one.counts)
    left = most = min(MOST_CATEGORIES, MOST_FLAGS // max(1, rows))
    for place, size in enumerate(sizes):
        most = left // (len(sizes) - place)
        if size > most:
            break
        left -= size
    most = max(MANY, most)
    return tuple(plan_column(column, one, most) for column, one in zip(columns, facts, strict=True))


def _frequent(facts: ColumnFacts) -> int:
    """How many categories of a column could be features."""
    return max(min(MANY, len(facts.counts)), sum(count >= ROWS_EACH for count in facts.counts.values()))


def plan_column(column: Column, facts: ColumnFacts | None = None, most: int = MANY) -> ColumnPlan:
    """Decide which features a column gives, from its values in the study rows, or from what is known of them. most:
    categories, of more than `MANY` those with `ROWS_EACH` rows or more."""
    if column.kind == "ignored":
        return ColumnPlan(column.name, "ignored", notes=column.notes)
    facts = facts_of(column) if facts is None else facts
    if column.kind == "categorical":
        return _plan_categories(column, facts, min(most, _frequent(facts)))
    varies, missing = facts.high > facts.low, 0 < facts.empty < facts.rows
    if not varies and not missing:
        return ColumnPlan(column.name, column.kind, layout=column.layout, notes=(_constant(column.kind, facts),))
    origin, periods = 0.0, []
    if column.kind == "date" and varies:
        origin, span = facts.low, facts.high - facts.low
        if span >= 2 * 365:
            periods.append("year")
        if span >= 28:
            periods.append("week")
        if not facts.whole:
            periods.append("day")
    return ColumnPlan(
        column.name,
        column.kind,
        varies,
        missing,
        (),
        0,
        origin,
        tuple(periods),
        column.layout,
        column.notes,
        column.unit,
    )


def _plan_categories(column: Column, facts: ColumnFacts, most: int) -> ColumnPlan:
    counts = facts.counts
    missing = bool(counts) and facts.empty > 0
    if len(counts) < 2:
        remarks = column.notes if missing else (_constant(column.kind, facts),)
        return ColumnPlan(column.name, "categorical", False, missing, tuple(counts), notes=remarks)
    common = sorted(counts, key=lambda c: (-counts[c], c))[:most]
    rare = len(counts) - len(common)
    remarks = column.notes
    if rare:
        remarks = (*remarks, notes.categories_left_out(sorted(counts.keys() - set(common))))
    return ColumnPlan(column.name, "categorical", True, missing, tuple(sorted(common)), rare, notes=remarks)


def _constant(kind: Kind, facts: ColumnFacts) -> Note:
    if facts.empty == facts.rows:
        return notes.no_value()
    value = next(iter(facts.counts)) if facts.counts else label(facts.low)
    return notes.constant(None if kind == "date" else value)


def waves(days: np.ndarray, period: str) -> tuple[np.ndarray, np.ndarray]:
    """Sine and cosine [row] of where in a period a moment lies."""
    angle = 2 * math.pi * phase(days, period)
    return np.sin(angle), np.cos(angle)


def phase(days: np.ndarray, period: str) -> np.ndarray:
    """Where in the period a moment lies, 0 to 1. The phase of the week is that of the whole day."""
    whole = np.floor(days) if period == "week" else days
    return np.mod(whole / PERIODS[period], 1.0)
