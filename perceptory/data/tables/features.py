"""Features of many rows, written block by block: a block stays in the cache while all columns are written into it.

Nothing holds all features of all rows unless somebody asks for it: a category is one small number, not a row of zeros.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from perceptory.data.ahead import on_all_cores
from perceptory.data.tables.cells import looked_up
from perceptory.data.tables.column_plan import CODES, MISSES, OTHER, ColumnPlan, waves
from perceptory.data.tables.numbers import NumberFacts, facts_of
from perceptory.kernels.table import Coded, Stored
from perceptory.notes import Note

VALUES, LEAST = 1 << 16, 256  # numbers of a block, and the fewest rows of one: each column costs a call a block
Part = tuple[ColumnPlan, np.ndarray]  # a column that is used, with its `ColumnPlan.values`
At = slice | np.ndarray


@dataclass(frozen=True, eq=False)
class Features:
    """The features [row, width] of a table, made when they are asked for. parts: the columns that they are made of.
    known: facts of their values, by the name of the column, where they are known already. digits: notes on columns of
    whole numbers that have more digits than are kept."""

    parts: Sequence[Part]
    told: bool = True  # whether features tell of missing numbers, which are NaN anyway
    known: Mapping[str, NumberFacts] = field(default_factory=dict)
    digits: tuple[Note, ...] = ()

    @property
    def rows(self) -> int:
        return len(self.parts[0][1])

    @cached_property
    def width(self) -> int:
        return sum(map(self._width, self.parts))

    def _width(self, part: Part) -> int:
        return len(part[0].features) - (not self.told and _is_told(part[0]))

    @cached_property
    def layout(self) -> tuple[int, ...]:
        """Runs of features in their order: above 0 so many numbers; below 0 so many of which at most one is 1, the
        others 0; 0 is one that is 1 where the number before it is missing, else 0. () where all are numbers."""
        runs: list[int] = []
        for plan, _ in self.parts:
            width = len(plan.features)
            if plan.kind == "categorical":
                runs += [-size for _, size in _spans(plan)]
                continue
            told = _is_told(plan)
            if runs and runs[-1] > 0:
                runs[-1] += width - told
            else:
                runs.append(width - told)
            runs += [0] * told
        return tuple(runs) if min(runs) <= 0 else ()

    @cached_property
    def codes(self) -> list[np.ndarray]:
        """Of each categorical column which of its features [row] int8 is 1, -1 for none."""
        return on_all_cores(lambda coded: looked_up(coded.meant, coded.by_row), self.coded, self.rows)

    @cached_property
    def coded(self) -> list[Coded]:
        """What `codes` are looked up in, and by what."""
        return [code for plan, values in self.parts if plan.kind == "categorical" for code in _coded(plan, values)]

    @cached_property
    def numbers(self) -> Features | None:
        """The features that are numbers, of `layout`; None where there are none."""
        parts = [part for part in self.parts if part[0].kind != "categorical"]
        return Features(parts, told=not self.layout, known=self.known) if parts else None

    @property
    def digested(self) -> Iterator[np.ndarray]:
        """Arrays that tell these features from others of the same names."""
        yield from (values for plan, values in self.parts if plan.kind != "categorical")
        yield from self.codes

    def columns(self) -> Iterator[tuple[int, np.ndarray]]:
        """(number of the feature, its values [row]) of all that are not 0 or 1 only."""
        place = 0
        for plan, values in self.parts:
            if plan.kind != "categorical" and plan.value:
                yield place, values - plan.origin if plan.kind == "date" else values
                for k, period in enumerate(plan.periods):
                    yield from enumerate(waves(values, period), place + 1 + 2 * k)
            place += len(plan.features)

    def as_stored(self) -> tuple[list[Stored], Features | None]:
        """Of each feature, none of which is of a category, what it is of; None for one that has to be made, with what
        makes these, in their order."""
        stored: list[Stored] = []
        made: list[Part] = []
        for plan, values in self.parts:
            width = self._width((plan, values))
            waves_alone = plan.value and width > 1 and width == 1 + 2 * len(plan.periods)
            by_day = _by_day(plan, values, self.known.get(plan.name)) if waves_alone else None
            if plan.value and width == 1:
                stored.append(Stored(values, plan.origin if plan.kind == "date" else 0.0))
            elif by_day is not None:
                stored += [Stored(values, by_day[0], feature) for feature in by_day[1]]
            else:
                stored += [Stored(None)] * width
                made.append((plan, values))
        return stored, Features(made, self.told) if made else None

    def column(self, number: int) -> np.ndarray:
        """[row] of one feature."""
        for part in self.parts:
            width = self._width(part)
            if number < width:
                return Features([part]).dense()[:, number]
            number -= width
        raise IndexError(number)

    def dense(self, at: At | None = None) -> np.ndarray:
        """[row, width] float64, of all rows or of these."""
        if at is None:
            at = slice(0, self.rows)
        count = at.stop - at.start if isinstance(at, slice) else len(at)
        out = np.empty((count, self.width))
        self.write(at, out)
        return out

    def by_column(self, at: slice) -> np.ndarray:
        """[width, row] float64 of these rows, which where there are no categories is quicker to write."""
        if self.codes:
            return self.dense(at).T
        out = np.empty((self.width, at.stop - at.start))
        self.write(at, out.T)
        return out

    def blocks(self, rows: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
        """Some rows at a time: which places of `rows` they are, and their features, written anew each time."""
        size = max(LEAST, VALUES // self.width)
        for start in range(0, len(rows), size):
            yield slice(start, start + size), self.dense(rows[start : start + size])

    def write(self, at: At, out: np.ndarray) -> None:
        """Write the features of these rows into out [row, width], contiguous where there are categories."""
        size = max(LEAST, VALUES // self.width)

        def block(start: int) -> None:
            part = out[start : start + size]
            if isinstance(at, slice):
                self._write(slice(at.start + start, at.start + start + len(part)), part)
            else:
                self._write(at[start : start + size], part)

        on_all_cores(block, range(0, len(out), size), len(out))

    def _write(self, at: At, out: np.ndarray) -> None:
        if self.codes:
            out[:] = 0
        for write in self._writers:
            write(at, out)

    @cached_property
    def _writers(self) -> list[Callable[[At, np.ndarray], None]]:
        """Of each column what writes its features of some rows into out [row, width]."""
        writers, place, codes = [], 0, iter(self.codes)
        for plan, values in self.parts:
            if plan.kind == "categorical":
                writers += [_writes_one(next(codes), place + start) for start, _ in _spans(plan)]
            elif plan.value:
                writers.append(_writes_dates(plan, values, place) if plan.periods else _writes(plan, values, place))
            place += self._width((plan, values))
            if plan.missing and plan.kind != "categorical" and (self.told or not plan.value):
                writers.append(_writes_missing(values, place - 1))
        return writers


def _is_told(plan: ColumnPlan) -> bool:
    """Whether a feature behind numbers tells where they are missing."""
    return plan.kind != "categorical" and plan.value and plan.missing


def _writes(plan: ColumnPlan, values: np.ndarray, place: int) -> Callable[[At, np.ndarray], None]:
    def write(at: At, out: np.ndarray) -> None:
        out[:, place] = values[at] - plan.origin if plan.kind == "date" else values[at]

    return write


def _writes_missing(values: np.ndarray, place: int) -> Callable[[At, np.ndarray], None]:
    def write(at: At, out: np.ndarray) -> None:
        out[:, place] = np.isnan(values[at])

    return write


def _writes_one(codes: np.ndarray, start: int) -> Callable[[At, np.ndarray], None]:
    none = bool((codes < 0).any())

    def write(at: At, out: np.ndarray) -> None:
        here, first = codes[at], np.arange(start, out.size, out.shape[1])
        if none:
            out.reshape(-1)[first + np.maximum(here, 0)] = here >= 0
        else:
            out.reshape(-1)[first + here] = 1

    return write


def _writes_dates(plan: ColumnPlan, days: np.ndarray, place: int) -> Callable[[At, np.ndarray], None]:
    width, known = 1 + 2 * len(plan.periods), _by_day(plan, days)

    def write(at: At, out: np.ndarray) -> None:
        own = days[at]
        if known is None:
            out[:, place : place + width] = _of_days(plan, own).T
            return
        first, by_day = known
        since = np.where(np.isnan(own), by_day.shape[1] - 1, own - first).astype(np.int32)
        np.take(by_day, since, axis=1, out=out[:, place : place + width].T, mode="clip")

    return write


def _by_day(plan: ColumnPlan, days: np.ndarray, known: NumberFacts | None = None) -> tuple[float, np.ndarray] | None:
    """The first day, and [feature, day] what is made of each from it on, last of none; None where dates are no whole
    days, or fewer than those would be."""
    missing, _, whole, low, high = known or facts_of(days)
    few = high - low < len(days) and whole == len(days) - missing
    return (low, _of_days(plan, np.append(np.arange(low, high + 1), np.nan))) if few else None


def _of_days(plan: ColumnPlan, days: np.ndarray) -> np.ndarray:
    """[feature, row] of dates."""
    phases = [wave for period in plan.periods for wave in waves(days, period)]
    return np.stack([days - plan.origin, *phases])


def _spans(plan: ColumnPlan) -> list[tuple[int, int]]:
    """(first feature, how many) of a column's features that one code is about: of many categories there are several."""
    width = len(plan.features)
    return [(start, min(CODES, width - start)) for start in range(0, width, CODES)]


def _coded(plan: ColumnPlan, places: np.ndarray) -> list[Coded]:
    """For each of `_spans` which of its features is 1, by the places of the categories."""
    named, spans = len(plan.categories), _spans(plan)
    of_place = np.full(named + 2, -1, np.int64)  # from the end what stands instead of one
    if plan.value:
        of_place[:named] = np.arange(named)
    if plan.missing:
        of_place[MISSES] = len(plan.features) - 1
    if len(spans) == 1:
        codes = np.full(256, -1, np.int8)
        codes[:named], codes[OTHER:] = of_place[:named], of_place[OTHER:]
        return [Coded(places.view(np.uint8), codes)]
    coded, itself = [], np.arange(256).astype(np.int8)  # beyond 127 what a byte means with a sign
    for start, size in spans:
        own = of_place - start
        table = np.where((own >= 0) & (own < size), own, -1).astype(np.int8)
        coded.append(Coded(table[places].view(np.uint8), itself))
    return coded
