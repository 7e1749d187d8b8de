"""The one way in: `read_table` for tables to learn from, `read_inputs` for tables to predict."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from perceptory.data.ahead import on_all_cores
from perceptory.data.labels import Labels
from perceptory.data.tables.beside import check_order, held_inside, in_its_order
from perceptory.data.tables.cells import Reading, identity, in_order, places, reading_of
from perceptory.data.tables.column import Column
from perceptory.data.tables.column_plan import plan_column
from perceptory.data.tables.dataset import Dataset
from perceptory.data.tables.delimited import counted
from perceptory.data.tables.encoder import Encoder
from perceptory.data.tables.folders import for_use
from perceptory.data.tables.inference import infer
from perceptory.data.tables.labels import labels_of
from perceptory.data.tables.like import read_like
from perceptory.data.tables.lost_digits import about_digits
from perceptory.data.tables.marks import usual_mark
from perceptory.data.tables.missing_numbers import numbers_for_missing
from perceptory.data.tables.names import as_written
from perceptory.data.tables.sources import as_array, as_series, as_table, column_of, columns_of_rows, from_array
from perceptory.data.tables.table import RawColumn, Table, columns_are, listed, rows_of
from perceptory.data.tables.targets import TASKS, Target, has_value, read_target, sound_weights, typed
from perceptory.errors import InputError, Setting
from perceptory.notes import (
    READ_AS_TEXT,
    Note,
    about_column,
    ignored_as_asked,
    none_as_class,
    ordered_as_target,
    phrase,
    target_of_codes,
    values_beside,
    without_target,
)


def read_table(
    source: Any,
    target: Any = None,
    *,
    task: str | None = None,
    ignore: Sequence[str] | str | None = (),
    weights: Any = None,
    groups: Any = None,
    color: str | None = None,
    missing: Sequence[str] | str | None = (),
    decimal: str | None = None,
    thousands: str | None = None,
    like: Dataset | None = None,
) -> Dataset:
    """Read a table and say what each column is.

    source: a path (.csv, .txt, .tsv, .parquet, .arrow, .feather), a pandas, polars or Arrow table, an array [row, in]
    (its columns are called x0, x1, ...; a structured array has names), or a dict of columns.
    target: the name of a column, a list of names (several numbers to predict), or values [row] or [row, out] beside it.
    task: "regression", "classification", "binary" or "multiclass"; found from the target where it is not given. Or
        "autoencode", which has no target: the columns themselves are given back.
    ignore: names of columns that are not inputs.
    weights, groups: the name of a column, or values [row]; weights are at least 0, rows of one group stay together.
    color: of the task "autoencode" the name of a column, such as a class that is known of the rows: figures of the
    codes are colored by it, and it is not among what is given back.
    like: the data of a study that these rows are to test: read with its target, task, classes and columns, so that one
    row or one class is enough. Nothing but `weights`, the name of a column, goes with it.
    missing: texts that stand for a missing value, such as ["#REF!", "-999"], beside those named below; a single text is
    cut at its commas. decimal, thousands: the marks before decimals and between thousands in numbers, such as "," and
    "."; found from the cells where neither is given.

    Values beside the table (target, weights, groups) that a column of it holds as well make that column no input, with
    a note.

    Cells that are empty or read NA, N/A, #N/A, nan, NaN, NaT, null, None, ? or - are missing, in text columns of any
    source. Rows without a target are left out, with a note. Raises `InputError` for everything that cannot be read.
    """
    source = columns_of_rows(source)
    asked = _Asked.of(source, target, weights, groups, color, ignore)
    if like is not None:
        _check_like(like, asked.target)
        return read_like(source, like, asked.weights)
    reading = reading_of(missing, decimal, thousands)
    table = _table(source, reading, asked, task)
    labels = _color(table, asked.color, task)
    roles = _roles(table, asked, task, is_file=isinstance(source, (str, Path)))
    return _dataset(table, roles, reading, labels, task)


class _Asked(NamedTuple):
    """What columns are named for, each name as the table writes it, or values beside the table."""

    target: Any
    weights: Any
    groups: Any
    color: str | None
    ignore: frozenset[str]  # with the column of colors

    @classmethod
    def of(cls, source: Any, target: Any, weights: Any, groups: Any, color: str | None, ignore: Any) -> _Asked:
        target, weights, groups, color = (
            as_written(given, source, what)
            for given, what in (
                (target, "target"),
                (weights, "column of weights"),
                (groups, "column of groups"),
                (color, "column to color by"),
            )
        )
        ignore = () if ignore is None else as_written(ignore, source, "column to ignore")
        for what, given in (("target", target), ("weights", weights), ("groups", groups)):
            check_order(given, source, what)
        ignored = {ignore} if isinstance(ignore, str) else {str(name) for name in ignore}
        return cls(target, weights, groups, color, frozenset(ignored if color is None else ignored | {color}))


def _dataset(table: Table, roles: _Roles, reading: Reading, labels: Labels | None, task: str | None) -> Dataset:
    """The rows of a table that have a target, and what each column is."""
    rows, rows_left_out = _rows_with_target(roles.targets, table)
    copies = _copies(table, roles)
    targets = roles.targets if rows is None else [c.take(rows) for c in roles.targets]
    target = _target(targets, task, table.rows if rows is None else len(rows))
    taken = roles.taken.union(name for name, _ in copies)
    columns = _columns(table, rows, taken, roles.ignored)
    dataset = Dataset(
        columns=columns,
        target_names=tuple(c.name for c in roles.targets),
        task=target.task,
        targets=target.targets,
        classes=target.classes,
        class_values=target.class_values,
        weights=_weights(roles.weights, rows),
        groups=_groups(roles.groups, rows),
        notes=(
            *table.notes,
            *rows_left_out,
            *(values_beside(name, what) for name, what in copies),
            *_about_targets(roles.targets),
            *_about_texts(columns),
            *target.notes,
            *_functions_of(target, roles.targets, columns),
            *numbers_for_missing([*columns, *targets]),
            *about_digits(columns, targets if target.task == "regression" else ()),
        ),
        kept=rows,
        reading=replace(reading, usual="" if reading.decimal else usual_mark(table.notes)),
        labels=labels,
    )
    if not any(plan_column(c).used for c in columns):
        Encoder.fit(dataset)  # raises, since no column carries information, even over all rows
    return dataset


def _color(table: Table, color: str | None, task: str | None) -> Labels | None:
    """The column that figures are colored by, where one is named."""
    if color is None:
        return None
    if task is None or TASKS[task] != "autoencode":
        raise InputError(Setting("color"), " is for ", Setting("task", "autoencode"), ", which has no target.")
    return labels_of(color, table.column(color, "column to color by"), table.rows)


def read_inputs(source: Any, names: Sequence[str] | None = None) -> Table:
    """Read a table without a target, for prediction: what its columns mean, the model's `Encoder` decides.

    names: column names for an array that has none; without them its columns are matched by their order.
    """
    return as_table(source, names).filled(" to predict")


def _check_like(like: Dataset, target: Any) -> None:
    if target is not None and ([target] if isinstance(target, str) else list(target)) != list(like.target_names):
        raise InputError(Setting("like"), " says the target already. Leave out ", Setting("target"), ".")


def _target(columns: Sequence[RawColumn], task: str | None, rows: int) -> Target:
    return read_target(columns, task) if columns else Target("autoencode", np.zeros((rows, 0)))


def check_no_target(task: str | None, target: Any) -> bool:
    """Whether the task has no target. `InputError` where it has none and one is given."""
    if task is None or TASKS[task] != "autoencode":
        return False
    if target is not None:
        raise InputError(
            "the task 'autoencode' gives back the inputs and has no target, and ",
            Setting("target"),
            " was given. Leave it out, or ",
            Setting("ignore"),
            " that column.",
        )
    return True


def _table(source: Any, reading: Reading, asked: _Asked, task: str | None) -> Table:
    """The table, with rows, columns and a target to look for."""
    target, weights, groups = asked[:3]
    wanted = [weights, groups, *(target if isinstance(target, (list, tuple)) else [target])]
    table = as_table(source, reading=reading, as_text=[n for n in wanted if isinstance(n, str)]).filled()
    table = for_use(table, [asked.color, *(n for n in wanted if isinstance(n, str))])
    if not check_no_target(task, target) and target is None:
        raise InputError(
            "name the target, the column to predict, as ",
            Setting("target"),
            f". {columns_are(table.names)} Without one, ",
            Setting("task", "autoencode"),
            " learns a code of few numbers from which all columns are given back, to compress, to generate or to find"
            " what is unlike the rest.",
        )
    return table


# --- what each column is for --------------------------------------------------------------------------------------


class _Roles(NamedTuple):
    """What a table has beside inputs, in its own columns or beside them."""

    targets: list[RawColumn]
    weights: RawColumn | None
    groups: RawColumn | None
    beside: dict[str, list[RawColumn]]  # values that are no column of the table: "target", "weights", "groups"
    taken: set[str]  # names of the columns that are targets, weights or groups
    ignored: frozenset[str]  # names of the columns that are no inputs because they were named so


def _roles(table: Table, asked: _Asked, task: str | None, is_file: bool) -> _Roles:
    target = asked.target
    targets = [] if target is None else [typed(c, task) for c in _targets(table, target, is_file)]
    named = target is None or _is_names(target, table)
    names = {c.name for c in targets}
    taken = set(names) if named else set()
    side: dict[str, RawColumn | None] = {}
    for what, given in (("weights", asked.weights), ("groups", asked.groups)):
        side[what] = _beside(table, what, given)
        if isinstance(given, str):
            if given in taken:
                raise InputError(f"column {given!r} cannot be both the target and the {what}. Name another column.")
            taken.add(given)
    for name in sorted(asked.ignore):
        table.column(name, "column to ignore", clear=False)
        if name in names and name in taken:
            raise InputError(f"column {name!r} cannot be both the target and ignored. Name another column.")
    beside = {"target": [] if named else targets}
    beside |= {what: [c] for what, c in side.items() if c is not None and c.name not in taken}
    return _Roles(targets, side["weights"], side["groups"], beside, taken, asked.ignore)


def _is_names(target: Any, table: Table) -> bool:
    """Whether `target` names columns, rather than being values: a list of texts may be either."""
    if isinstance(target, str):
        return True
    if not isinstance(target, (list, tuple)) or not target or not all(isinstance(t, str) for t in target):
        return False
    return len(target) != table.rows or all(t in table.names for t in target)


def _targets(table: Table, target: Any, is_file: bool) -> list[RawColumn]:
    if _is_names(target, table):
        wanted = [target] if isinstance(target, str) else list(target)
        for name in wanted:
            if wanted.count(name) > 1:
                raise InputError(f"the target {name!r} is named twice. Name each target once.")
        return [table.column(name, "target") for name in wanted]
    if isinstance(target, (list, tuple)) and not target:
        raise InputError(f"the list of targets is empty. {columns_are(table.names)}")
    values = _side_columns(target)
    for column in values:
        if len(column) != table.rows:
            raise InputError(
                f"the target needs one value for each of the {table.rows} rows of the table, got {len(column)}."
            )
        if is_file and column.name in table.names:
            raise InputError(f"the file has a column {column.name!r} already; name it as the target, or rename yours.")
    return values


def _side_columns(target: Any) -> list[RawColumn]:
    """Target values beside the table, [row] or [row, out], as columns with their own names, or y, or y0, y1, ..."""
    import narwhals as nw

    target = as_series(target)
    given = nw.from_native(target, pass_through=True, allow_series=True)
    if isinstance(given, nw.Series):
        return [column_of(str(given.name) if given.name else "y", target)]
    if isinstance(given, nw.DataFrame):
        return list(as_table(target).columns)
    array = as_array(target)
    if array.ndim == 2 and array.shape[1] > 1:
        return [from_array(f"y{k}", array[:, k]) for k in range(array.shape[1])]
    if array.ndim not in (1, 2) or array.size == 0:
        raise InputError(f"the target needs values [row] or [row, out], got shape {array.shape}.")
    return [from_array("y", array.reshape(len(array)))]


def _beside(table: Table, what: str, given: Any) -> RawColumn | None:
    if given is None:
        return None
    column = table.column(given, f"column of {what}") if isinstance(given, str) else column_of(what, given)
    if len(column) != table.rows:
        raise InputError(f"{what} need one value for each of the {table.rows} rows, got {len(column)}.")
    return column


def _rows_with_target(targets: Sequence[RawColumn], table: Table) -> tuple[np.ndarray | None, list[Note]]:
    """Places of the rows that have every target, None for all."""
    present = {c.name: has_value(c) for c in targets}
    for name, has in present.items():
        if not np.count_nonzero(has):
            raise InputError(
                f"the target {name!r} is missing in all {counted(table.rows, 'row')}. Name another column."
            )
    keep = functools.reduce(np.logical_and, present.values(), np.ones(table.rows, bool))
    lost = table.rows - int(np.count_nonzero(keep))
    if lost == table.rows:
        raise InputError(f"no row has a value of every target ({listed(present)}). Name fewer targets.")
    return (np.flatnonzero(keep), [without_target(lost, "row", list(present))]) if lost else (None, [])


def _copies(table: Table, roles: _Roles) -> list[tuple[str, str]]:
    """Columns of the table that hold values given beside it as well: the name of each, and what the values are."""
    copies: list[tuple[str, str]] = []
    for what, columns in roles.beside.items():
        taken = roles.taken | roles.ignored | {name for name, _ in copies}
        copies += [(name, what) for name in held_inside(table, columns, taken, codes=what == "groups")]
    return copies


# --- the rows that have a target ----------------------------------------------------------------------------------


def _columns(table: Table, rows: np.ndarray | None, taken: set[str], ignored: frozenset[str]) -> tuple[Column, ...]:
    """The columns that are not taken, with their meaning. rows: those of the table that are meant; None for all."""

    def meant(column: RawColumn) -> Column:
        column = column if rows is None else column.take(rows)  # one at a time, so that no second table is held
        if column.name in ignored:
            return Column(column.name, "ignored", column.data, (ignored_as_asked(),))
        found = infer(column, rows)
        if found.kind in ("numeric", "date"):
            _ = found.facts  # kept, and found here by all cores
        return found

    return tuple(on_all_cores(meant, [c for c in table.columns if c.name not in taken], table.rows))


def _about_targets(targets: Sequence[RawColumn]) -> list[Note]:
    kinds = (target_of_codes, none_as_class)
    return [note for c in targets for note in c.notes if any(kind.describes(note) for kind in kinds)]


def _functions_of(target: Target, names: Sequence[RawColumn], columns: Sequence[Column]) -> list[Note]:
    """A note on each column of numbers that is a function of the target, where there are others to learn from."""
    if target.task != "regression" or len(names) != 1 or sum(c.kind != "ignored" for c in columns) < 2:
        return []
    numbers = [c for c in columns if c.kind == "numeric"]
    found = in_its_order(target.targets[:, 0], [c.values for c in numbers])
    return [ordered_as_target(c.name, names[0].name) for c, is_so in zip(numbers, found, strict=True) if is_so]


def _about_texts(columns: Sequence[Column]) -> list[Note]:
    """Every remark on the columns that were read as text."""
    texts = [c for c in columns if any(kind.describes(n) for kind in READ_AS_TEXT for n in c.notes)]
    return [about_column(c.name, remark) for c in texts for remark in c.notes]


def _weights(raw: RawColumn | None, rows: np.ndarray | None) -> np.ndarray | None:
    if raw is None:
        return None
    column = infer(replace(raw, name=raw.name or "weights"))
    values = column.values if rows is None else column.values[rows]
    if column.kind not in ("numeric", "boolean"):
        raise InputError(f"weights need numbers, but {raw.name!r} holds other values.")
    return sound_weights(values, raw.name)


def _groups(raw: RawColumn | None, rows: np.ndarray | None) -> np.ndarray | None:
    if raw is None:
        return None
    if raw.storage == "other":
        raise InputError(f"groups need texts or numbers, but {raw.name!r} has ", *phrase(raw.notes), ".")
    names = identity(raw) if rows is None else rows_of(identity(raw), rows)
    if names.null_count():
        raise InputError(f"every row needs a group, but {raw.name!r} holds missing values. Fill them in.")
    return places(names, in_order(names))
