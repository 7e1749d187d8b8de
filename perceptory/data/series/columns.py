"""The columns of a long table: which are inputs, and what the targets of its windows are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from perceptory.data.arrays.targets import check_varies, group_index, target_of
from perceptory.data.series.clock import Clock, is_index
from perceptory.data.series.gaps import MISSING, marked
from perceptory.data.series.rolled import Ahead
from perceptory.data.series.windows import Cut
from perceptory.data.tables.cells import identity
from perceptory.data.tables.inference import infer
from perceptory.data.tables.like import known_targets
from perceptory.data.tables.table import RawColumn, Table, columns_are, listed
from perceptory.data.tables.targets import TASKS, Target, has_value, read_target, typed
from perceptory.errors import InputError, Piece, Remedy, Setting
from perceptory.notes import Note, not_an_input, past_not_an_input, phrase
from perceptory.registry import Registry as Names

USES: Names[str] = Names("way of prediction", {name: name for name in ("every step", "ahead", "one value")})


ITSELF = "itself"  # what an autoencoder gives back of an example: no use that is asked for by name


def target_columns(table: Table, target: Any, task: str | None = None) -> list[RawColumn]:
    names = [target] if isinstance(target, str) else list(target) if isinstance(target, (list, tuple)) else []
    if not names or not all(isinstance(n, str) for n in names) or len(set(names)) != len(names):
        raise InputError(f"name the target, the column to predict, or a list of columns. {columns_are(table.names)}")
    return [typed(table.column(n, "target"), task) for n in names]


def input_names(
    table: Table, use: str, targets: list[RawColumn], inputs: Any, ignore: Any, roles: dict[str, str | None]
) -> tuple[list[str], list[Note]]:
    """Names of the columns that are inputs, and notes on those that are not."""
    for role, name in roles.items():
        if name is not None and not isinstance(name, str):
            raise InputError(Setting(role), f" needs the name of a column, got a {type(name).__name__}.")
    taken = {name: role for role, name in roles.items() if name is not None}
    goals = [c.name for c in targets]
    for name in goals:
        if name in taken:
            raise InputError(f"column {name!r} cannot be both the target and the {taken[name]}. Name another column.")
    ignored = _names(ignore, "ignore")
    for name in ignored:
        table.column(name, "column to ignore", clear=False)
    notes: list[Note] = []
    if inputs is not None:
        names = _names(inputs, "inputs")
        for name in names:
            table.column(name, "input")
            if names.count(name) > 1:
                raise InputError(f"the input {name!r} is named twice. Name each column once.")
            if name in goals and use != "ahead":
                raise InputError(f"column {name!r} cannot be both the target and an input. Name another column.")
    else:
        left = [c for c in table.columns if c.name not in taken and c.name not in ignored and c.name not in goals]
        useless = {c.name: column.notes[0] for c in left if (column := infer(c)).kind == "ignored"}
        notes = [not_an_input(name, remark) for name, remark in useless.items()]
        names = [c.name for c in left if c.name not in useless]
    if use == "ahead":
        past = [c.name for c in targets if c.name not in names and c.name not in ignored]
        texts = [c.name for c in targets if c.storage == "label"]
        notes += [past_not_an_input(n) for n in past if n in texts]
        names += [n for n in past if n not in texts]
    if not names:
        raise InputError(f"no column is left as an input. {columns_are(table.names)}")
    return names, notes


def _names(given: Any, what: str) -> list[str]:
    names = (
        [given] if isinstance(given, str) else list(given) if isinstance(given, (list, tuple, set, frozenset)) else None
    )
    if names is None or not all(isinstance(name, str) for name in names):
        raise InputError(
            Setting(what), f" needs names of columns, got {str(given)[:40]!r}. Example: ", Setting(what, ["u", "v"])
        )
    return names


def numbers(raw: RawColumn, clock: Clock, what: str, *, may_miss: bool = False) -> np.ndarray:
    """The column [row] float64 in the clock's order; `InputError` where it is no numbers or misses one. may_miss: NaN
    stands where one is missing, and only a series without any value is refused."""
    column = infer(raw)
    if column.kind not in ("numeric", "boolean") and not is_index(column):
        held = ("texts or categories",) if column.kind == "categorical" else phrase(column.notes)
        remedy: tuple[Piece, ...] = ("Name another column",)
        if what == "input":
            remedy = ("Leave it out", Remedy(" (", Setting("ignore", raw.name), ")"))
        if column.kind == "date":
            raise InputError(
                f"the {what} {raw.name!r} of a series holds dates, which do not go forward from row to row, so they "
                "are not its time. Sort the rows by them, name the column that tells several series apart (",
                Setting("series"), "), or leave the dates out", *remedy[1:], ".",
            )  # fmt: skip
        note = (" (", *phrase(column.notes), ")") if column.kind == "categorical" and column.notes else ()
        raise InputError(
            f"the {what} {raw.name!r} of a series needs numbers, or true and false, but holds ",
            *held,
            *note,
            ". ",
            *remedy,
            ", or turn it into numbers.",
        )
    values = np.asarray(column.values, np.float64)[clock.order]
    missing = np.flatnonzero(np.isnan(values))
    if may_miss and missing.size:
        known = np.concatenate([[0], np.cumsum(~np.isnan(values))])[clock.starts]
        missing = clock.starts[:-1][np.diff(known) == 0]
    if missing.size:
        raise InputError(
            f"the {what} {raw.name!r} of a series needs a value in every row, but misses {missing.size} (the first in "
            f"{clock.where(int(missing[0]))}). Fill them in",
            Remedy(" (", Setting("fill", "previous"), ")"),
            ", or part the series there by a column of series.",
        )
    return values


def groups_of_series(raw: RawColumn, clock: Clock) -> np.ndarray:
    """[series] index of the group that each belongs to."""
    index = group_index(raw, np.ones(len(clock.order), bool), "rows", raw.name)[clock.order]
    for s, (a, b) in enumerate(zip(clock.starts, clock.starts[1:], strict=False)):
        if (index[a:b] != index[a]).any():
            raise InputError(
                f"the column of groups {raw.name!r} needs one value a series, but changes within series "
                f"{clock.names[s]!r} in {clock.where(a + int(np.argmax(index[a:b] != index[a])))}."
            )
    return index[clock.starts[:-1]]


# --- targets ------------------------------------------------------------------------------------------------------


def _target(columns: list[RawColumn], task: str | None, like: Any) -> Target:
    """What these columns without missing values are: found from them, or as in the data of a study."""
    return (
        read_target(columns, task) if like is None else target_of(like, known_targets(columns, like, len(columns[0])))
    )


def every_step(
    targets: list[RawColumn],
    clock: Clock,
    cut: Cut,
    task: str | None,
    washout: int,
    like: Any,
    *,
    may_miss: bool = False,
) -> tuple[Target, np.ndarray | None]:
    """Targets a step, and the weights of steps, 0 in the washout and where a target is missing."""
    if task is not None and TASKS[task] != "regression":
        raise InputError(
            Setting("predict", "every step"),
            f" needs the task 'regression', got {task!r}. Use ",
            Setting("predict", "ahead"),
            " or ",
            Setting("predict", "one value"),
            ".",
        )
    y = np.stack([numbers(c, clock, "target", may_miss=may_miss) for c in targets], axis=1)
    y, gone = marked(y, clock)
    if like is None:
        check_varies(y, [c.name for c in targets])
    if washout >= cut.lengths.min():
        raise InputError(
            f"a washout of {washout} steps leaves none of {cut.lengths.min()} steps to be scored. Use a smaller "
            "washout."
        )
    weights = cut.inside & (np.arange(cut.steps) >= washout) & (cut.gather(np.any(gone, axis=1).astype(float)) == 0)
    return Target("regression", cut.gather(y)), None if weights.all() else weights.astype(np.float64)


def ahead(
    targets: list[RawColumn],
    clock: Clock,
    cut: Cut,
    horizons: tuple[int, ...],
    task: str | None,
    like: Any,
    *,
    may_miss: bool = False,
) -> tuple[Target, tuple[str, ...], np.ndarray]:
    """Targets of the forecasts that have all of theirs, their names, and a mask [n] of these forecasts."""
    if task is None and all(c.storage == "number" for c in targets):
        task = "regression"  # a series of small whole numbers is counts, not classes
    if len(horizons) > 1 and (TASKS[task] if task else "classes") != "regression":
        raise InputError("several horizons are several numbers, but the target holds classes. Give one horizon.")
    if task is not None and TASKS[task] == "regression" and all(c.storage == "number" for c in targets):
        found = _numbers_ahead(targets, clock, cut, horizons, like, may_miss=may_miss)
        if found is not None:
            return found
    columns, keep = [], np.ones(len(cut.starts), bool)
    for h in horizons:
        rows = cut.starts + cut.steps - 1 + h
        for raw in targets:
            if raw.storage != "label":
                numbers(raw, clock, "target", may_miss=may_miss)  # raises where one is missing
            here = raw.take(clock.order[rows])
            has = has_value(here)
            if may_miss:
                keep &= has
            elif not has.all():
                raise InputError(
                    f"the target {raw.name!r} of a series needs a value in every row, but misses one in "
                    f"{clock.where(int(rows[np.argmin(has)]))}. Fill it in",
                    Remedy(" (", Setting("fill", "previous"), ")"),
                    ", or part the series there by a column of series.",
                )
            columns.append(replace(here, name=_name_ahead(raw, h, horizons)))
    if not keep.any():
        raise InputError("no forecast has all of its targets, since values are missing. Use a shorter horizon.")
    return _target([c.take(keep) for c in columns], task, like), tuple(c.name for c in columns), keep


def _name_ahead(raw: RawColumn, h: int, horizons: tuple[int, ...]) -> str:
    return raw.name if len(horizons) == 1 else f"{raw.name}(t+{h})"


def _numbers_ahead(
    targets: list[RawColumn], clock: Clock, cut: Cut, horizons: tuple[int, ...], like: Any, *, may_miss: bool
) -> tuple[Target, tuple[str, ...], np.ndarray] | None:
    """As `ahead`, of columns of numbers, which are not copied; None where they hold what is refused."""
    values = np.stack([numbers(raw, clock, "target", may_miss=may_miss) for raw in targets], axis=1)
    origins = cut.starts + cut.steps - 1
    missing, keep = np.isnan(values).any(axis=1), np.ones(len(origins), bool)
    if missing.any():
        for h in horizons:
            keep &= ~missing[origins + h]
    gathered = Ahead(values, origins[keep], horizons)
    if not keep.any() or np.isinf(values).any():
        return None
    if like is not None:
        target = target_of(like, gathered)  # type: ignore[arg-type]
    elif any((column == column[0]).all() for column in gathered.by_column):
        for k, raw in enumerate(targets):
            if np.ptp(values[~missing, k]) == 0:
                raise InputError(
                    f"{raw.name!r} is always {values[~missing, k][0]:g}, so there is nothing to learn: its forecast is "
                    "that value. Name another column, or give rows in which it changes."
                )
        return None
    else:
        target = Target("regression", gathered)  # type: ignore[arg-type]
    return target, tuple(_name_ahead(raw, h, horizons) for h in horizons for raw in targets), keep


def one_value(targets: list[RawColumn], clock: Clock, task: str | None, like: Any) -> tuple[Target, np.ndarray]:
    """The targets of those series that have one, and a mask [series] of these."""
    one_a_series, masks = [], []
    for raw in targets:
        values, has = identity(raw).gather(clock.order), has_value(raw)[clock.order]
        # The first row of each series that has a value, and whether every other one has the same.
        owner = np.repeat(np.arange(len(clock.names)), clock.lengths)
        known = np.flatnonzero(has)
        mask = np.bincount(owner[known], minlength=len(clock.names)) > 0
        first = np.zeros(len(clock.names), np.int64)
        first[mask] = known[np.unique(owner[known], return_index=True)[1]]
        other = np.flatnonzero(has & (values != values.gather(first[owner])).fill_null(False).to_numpy())
        if other.size:
            s, place, shown = owner[other[0]], int(other[0]), raw.values[clock.order]
            raise InputError(
                f"the target {raw.name!r} needs one value a series, but series {clock.names[s]!r} has "
                f"{shown[first[s]]!s:.40} and, in {clock.where(place)}, {shown[place]!s:.40}. "
                "A target that changes goes with ",
                Setting("predict", "every step"),
                " or ",
                Setting("predict", "ahead"),
                ".",
            )
        one_a_series.append(raw.take(clock.order[first]))
        masks.append(mask)
    has = np.logical_and.reduce(masks)
    if not has.any():
        raise InputError(f"no series has a value of every target ({listed(c.name for c in targets)}).")
    return _target([c.take(has) for c in one_a_series], task, like), has


# --- inputs -------------------------------------------------------------------------------------------------------


def parted(channels: Sequence[str], fill: str | None) -> tuple[list[str], list[str]]:
    """Names of the columns among the channels, and those that a further channel marks as missing."""
    if fill != "missing":
        return list(channels), []
    marks = [n.removesuffix(MISSING) for n in channels if n.endswith(MISSING)]
    marks = [n for n in marks if n in channels]
    return [n for n in channels if n.removesuffix(MISSING) not in marks or n in marks], marks


def input_values(table: Table, names: list[str], clock: Clock, fill: str | None, marks: Sequence[str]) -> np.ndarray:
    """[row, channel] values of columns in the clock's order, then a channel for each marked one that is 1 where it is
    missing."""
    may_miss = fill == "missing"
    values = np.stack([numbers(table.column(n), clock, "input", may_miss=may_miss) for n in names], axis=1)
    values, gone = marked(values, clock)
    return np.concatenate([values, gone[:, [names.index(n) for n in marks]]], axis=1) if marks else values


def missing_inputs(table: Table, names: Sequence[str], clock: Clock) -> list[str]:
    """Those columns that miss a value."""
    return [n for n in names if np.isnan(numbers(table.column(n), clock, "input", may_miss=True)).any()]
