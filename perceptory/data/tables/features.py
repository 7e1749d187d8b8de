"""Features of many rows, written block by block: a block stays in the cache while all columns are written into it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from perceptory.data.ahead import on_all_cores
from perceptory.data.tables.column_plan import MISSES, OTHER, ColumnPlan, waves

VALUES, LEAST = 1 << 16, 256  # numbers of a block, and the fewest rows of one: each column costs a call a block


@dataclass(frozen=True, eq=False)
class Features:
    """What the features [row, width] of a table are made of.

    ones: of each categorical column the one feature [row] that is 1, and where it is not to be (None: nowhere).
    numbers: (feature, its values [row]). missing: (feature, values [row] that it tells NaN of).
    tables: (features, place [row] in a table, the table): of dates on few days, the phases of each day.
    phases: (features, days [row], periods) of other dates.
    """

    rows: int
    width: int
    ones: list[tuple[np.ndarray, np.ndarray | None]] = field(default_factory=list)
    numbers: list[tuple[int, np.ndarray]] = field(default_factory=list)
    missing: list[tuple[int, np.ndarray]] = field(default_factory=list)
    tables: list[tuple[slice, np.ndarray, np.ndarray]] = field(default_factory=list)
    phases: list[tuple[int, np.ndarray, tuple[str, ...]]] = field(default_factory=list)

    @classmethod
    def of(cls, parts: Sequence[tuple[ColumnPlan, np.ndarray]]) -> Features:
        """parts: the columns that are used, each with its `ColumnPlan.values`."""
        widths = [len(plan.features) for plan, _ in parts]
        features = cls(len(parts[0][1]), sum(widths))
        place = 0
        for (plan, values), width in zip(parts, widths, strict=True):
            if plan.kind == "categorical":
                features.ones.append(_ones(plan, values, place))
            else:
                features._add(plan, values, place)
                if plan.missing:
                    features.missing.append((place + width - 1, values))
            place += width
        return features

    def _add(self, plan: ColumnPlan, values: np.ndarray, place: int) -> None:
        if not plan.value:
            return
        if not plan.periods:
            self.numbers.append((place, values - plan.origin if plan.kind == "date" else values))
            return
        table = _by_day(plan, values)
        if table is None:
            self.numbers.append((place, values - plan.origin))
            self.phases.append((place + 1, values, plan.periods))
        else:
            self.tables.append((slice(place, place + table[1].shape[1]), *table))

    def write(self, rows: slice, out: np.ndarray) -> None:
        """Write the features of these rows into out [row, width], which is contiguous."""
        size = max(LEAST, VALUES // self.width)

        def block(start: int) -> None:
            part = out[start : start + size]
            self._write(slice(rows.start + start, rows.start + start + len(part)), part)

        on_all_cores(block, range(0, len(out), size), len(out))

    def _write(self, at: slice, out: np.ndarray) -> None:
        if self.ones:
            out[:] = 0
            flat, first = out.reshape(-1), np.arange(0, out.size, self.width)
            for feature, there in self.ones:
                flat[first + feature[at]] = 1 if there is None else there[at]
        for place, values in self.numbers:
            out[:, place] = values[at]
        for features, places, table in self.tables:
            out[:, features] = table[places[at]]
        for place, days, periods in self.phases:
            for k, period in enumerate(periods):
                out[:, place + 2 * k], out[:, place + 2 * k + 1] = waves(days[at], period)
        for place, values in self.missing:
            out[:, place] = np.isnan(values[at])


def _ones(plan: ColumnPlan, places: np.ndarray, start: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Which feature [row] of all is 1, and whether [row] it is, where some rows have none."""
    named = len(plan.categories)
    feature = np.full(named + 2, start, np.int32)  # by place, from the end what stands instead of one
    there = np.zeros(named + 2, bool)
    if plan.value:
        feature[:named], there[:named] = start + np.arange(named), True
    if plan.missing:
        feature[MISSES], there[MISSES] = start + len(plan.features) - 1, True
    gone = not there[OTHER] and bool((places == OTHER).any())
    gone |= not there[MISSES] and bool((places == MISSES).any())
    return feature[places], there[places] if gone or not plan.value else None


def _by_day(plan: ColumnPlan, days: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Place [row] of a date in a table of days, and the features of each day; None where there is time of day, or where
    there are fewer rows than days between the first and the last."""
    with np.errstate(invalid="ignore"):
        low, high = np.fmin.reduce(days), np.fmax.reduce(days)
        if not high - low < len(days) or not (days == np.floor(days))[~np.isnan(days)].all():
            return None
        gone = np.isnan(days)
        places = np.where(gone, high - low + 1, days - low).astype(np.int32)
    each = np.append(np.arange(low, high + 1), np.nan)
    columns = [each - plan.origin, *(wave for period in plan.periods for wave in waves(each, period))]
    return places, np.stack(columns, axis=1)
