"""What forecasts are given beside the past: what of it is asked for, and what is found in a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from perceptory.data.series.beside import Beside, Static, value_of_each
from perceptory.data.series.calendar_inputs import TIMES, times_that_suit
from perceptory.data.series.clock import Clock, times_of
from perceptory.data.series.future import Future
from perceptory.data.series.rolled import Rolled
from perceptory.data.series.windows import Cut
from perceptory.data.tables.cells import identity
from perceptory.data.tables.inference import infer
from perceptory.data.tables.table import RawColumn, Table, listed
from perceptory.errors import InputError, Setting
from perceptory.notes import Note, static_left_out, taken_for_static

if TYPE_CHECKING:
    from perceptory.data.arrays.dataset import ArrayDataset

MOST_CATEGORIES = 50  # of a static column that have an input of their own, the most frequent ones


def as_list(names: Any) -> list[Any]:
    """One name or several as a list."""
    return [names] if isinstance(names, str) else list(names)


def check_beside(use: str, known_ahead: Any, static: Any, calendar: Any) -> None:
    given = {"known_ahead": known_ahead not in (None, (), []), "static": static is not None}
    for name, asked in (given | {"calendar": calendar is not None}).items():
        if asked and use != "ahead":
            raise InputError(
                Setting(name), " is for ", Setting("predict", "ahead"), f", not for {use!r}. Leave it out."
            )


def columns_known_ahead(
    table: Table, targets: Sequence[RawColumn], inputs: Any, asked: Any, like: ArrayDataset | None
) -> tuple[list[str], Any]:
    """Names of the columns that are known ahead, and the inputs that are named, these among them."""
    if like is not None:
        return list(like.plan.beside.known_ahead if like.plan is not None else ()), inputs
    names = names_of(() if asked is None else asked, "known_ahead", table)
    for column in targets:
        if column.name in names:
            raise InputError(f"the target {column.name!r} cannot be known ahead. Name another column.")
    if inputs is not None and names:
        inputs = [*as_list(inputs), *(name for name in names if name not in as_list(inputs))]
    return names, inputs


def static_columns(
    table: Table, use: str, series: str | None, inputs: Any, asked: Any, used: set[str], like: ArrayDataset | None
) -> tuple[list[Static], list[str], list[Note]]:
    """As `statics_of`: the columns as asked; else, of several series, those that are so and are nothing else."""
    if use != "ahead" or like is not None or (asked is None and (series is None or inputs is not None)):
        return [], [], []
    names = [n for n in table.names if n not in used] if asked is None else names_of(asked, "static", table)
    if both := [name for name in names if name in used]:
        raise InputError(f"column {both[0]!r} cannot be static and have another use too. Name it once.")
    clock, _ = times_of(table, None, series)
    return statics_of(table, clock, names, asked is not None)


def with_others(
    beside: Beside, table: Table, clock: Clock, values: np.ndarray, names: Sequence[str], future: Future | None
) -> np.ndarray:
    """The values [row, channel] with what stands beside them."""
    if not beside.channels:
        return values
    known = values[:, [names.index(name) for name in beside.known_ahead]]
    return np.concatenate([values, beside.values(table, clock, known, future)], axis=1)


def rolled(values: np.ndarray, cut: Cut) -> Rolled:
    """Windows of values; what is not known ahead yet stands in none of them."""
    return Rolled(np.nan_to_num(values) if np.isnan(values).any() else values, cut.origins, cut.steps)


def names_of(given: Any, what: str, table: Table) -> list[str]:
    """The names of columns that an argument gives; `InputError` for one that the table lacks."""
    names = [given] if isinstance(given, str) else list(given) if isinstance(given, list | tuple) else None
    if names is None or not all(isinstance(name, str) for name in names):
        raise InputError(
            Setting(what), f" needs names of columns, got {str(given)[:40]!r}. Example: ", Setting(what, ["promotion"])
        )
    for name in names:
        table.column(name)
        if names.count(name) > 1:
            raise InputError(f"the column {name!r} is named twice in ", Setting(what), ". Name each column once.")
    return names


def statics_of(
    table: Table, clock: Clock, names: Sequence[str], asked: bool
) -> tuple[list[Static], list[str], list[Note]]:
    """The columns among these with one value a series, names of all such columns, and notes on them.

    asked: whether they were named as such; else those that have no value in common with other series, such as a number
    of the series, are left out.
    """
    found: list[Static] = []
    constant, notes = [], []
    for name in names:
        raw = table.column(name, "static column")
        column = infer(raw)
        if not asked and (
            column.kind not in ("categorical", "numeric", "boolean") or value_of_each(raw, clock)[1] is not None
        ):
            continue
        constant.append(name)
        static = _encoded(raw, clock)
        if static is None and asked:
            raise InputError(
                f"the static column {name!r} tells nothing: no two series have a value in common, or all have the "
                "same. Leave it out."
            )
        if static is None:
            notes.append(static_left_out(name))
            continue
        found.append(static)
    if found and not asked:
        notes.append(taken_for_static([one.name for one in found]))
    return found, constant, notes


def _encoded(raw: RawColumn, clock: Clock) -> Static | None:
    column, (first, _) = infer(raw), value_of_each(raw, clock)
    if column.kind in ("numeric", "boolean"):
        values = np.asarray(column.values, np.float64)[first]
        values = values[~np.isnan(values)]
        return Static(raw.name, None, float(values.mean())) if values.size and np.ptp(values) > 0 else None
    labels = [label for label in identity(raw).gather(first).to_list() if label is not None]
    names, counts = np.unique(np.array(labels, str), return_counts=True)
    shared = np.flatnonzero(counts > 1)
    if len(names) < 2 or not len(shared):
        return None
    kept = shared[np.argsort(-counts[shared], kind="stable")][:MOST_CATEGORIES]
    return Static(raw.name, tuple(names[np.sort(kept)].tolist()))


def times_asked(calendar: Any, clock: Clock, reach: int) -> tuple[str, ...]:
    """The times of the calendar that are inputs: as asked (True: all that suit the step), or none."""
    if calendar is None or calendar is False:
        return ()
    suit = times_that_suit(clock.calendar, int(clock.lengths.max()) - reach)
    if calendar is True:
        return suit
    names = [calendar] if isinstance(calendar, str) else list(calendar) if isinstance(calendar, list | tuple) else None
    if names is None or not all(isinstance(name, str) for name in names):
        raise InputError(Setting("calendar"), f" needs True, False or some of {listed(TIMES)}, got {calendar!r}.")
    for name in names:
        TIMES[name]
    if names and not clock.calendar.dates:
        raise InputError(
            Setting("calendar"), " needs a column of time that holds dates. Name one with ", Setting("time"), "."
        )
    return tuple(names)
