"""Targets, weights and groups that stand in arrays beside the inputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from perceptory.data.arrays.checks import ExampleKind, as_inputs, check_finite, check_names, padded
from perceptory.data.tables.cells import identity, in_order, places
from perceptory.data.tables.delimited import counted
from perceptory.data.tables.like import not_learned, targets_like
from perceptory.data.tables.sources import as_array, as_series, as_table, column_of, from_array
from perceptory.data.tables.table import RawColumn, label, listed, rows_of
from perceptory.data.tables.targets import MOST_CLASSES, TASKS, Target, has_value, read_target, typed
from perceptory.errors import InputError, Remedy, Setting
from perceptory.notes import Note, one_hot, phrase, target_as_classes, targets_of_one_example, without_target


def read_targets(
    targets: Any,
    x: np.ndarray,
    kind: ExampleKind,
    task: str | None,
    target: Any,
    lengths: np.ndarray | None,
    like: Any = None,
) -> tuple[np.ndarray, Target, tuple[str, ...], list[Note]]:
    """Targets of examples x: a mask of those that have one, the targets of those, their names, and notes.

    like: the data of a study that they are to test, whose task and classes they have.
    """
    y, own = as_array(targets), _own_columns(targets)
    notes: list[Note] = []
    if y.dtype == object and y.ndim > 1 and not own:
        y = as_inputs(y, "targets")
    if y.ndim not in (1, 2, 3) or len(y) != len(x) or 0 in y.shape:
        raise InputError(
            f"{counted(len(x), 'example')} need targets [n], [n, out] or [n, time, out] with n = {len(x)}, got an "
            f"array of the shape {y.shape}."
        )
    if y.ndim == 3:
        return _every_step(y, x, task, target, lengths, like)
    if y.ndim == 2 and x.ndim == 3 and 1 < y.shape[1] == x.shape[1]:
        notes.append(targets_of_one_example(y.shape))
    numbers = y.ndim == 2 and y.shape[1] > 1 and y.dtype.kind in "biuf" and (task or "") != "regression"
    if numbers and bool((((y == 0) | (y == 1)).all(axis=1) & (y.sum(axis=1) == 1)).all()):
        notes.append(one_hot(y.shape[1]))
        y, task, own = y.argmax(axis=1), task or "classification", []
    y = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
    if target is None and len(own) > 1:
        target = [c.name for c in own]
    names = _target_names(target, 1 if y.ndim == 1 else y.shape[1])
    given = own or [from_array(n, y if y.ndim == 1 else y[:, k]) for k, n in enumerate(names)]
    if like is not None:
        columns = [replace(c, name=n) for c, n in zip(given, names, strict=True)]
        values, keep, unknown = targets_like(columns, like, len(x))
        notes += _left_out(keep | unknown, names)
        notes += not_learned(columns[0], unknown, keep, None, "example") if unknown.any() else []
        return keep, target_of(like, values[keep]), names, notes
    columns = [typed(replace(c, name=n), task) for c, n in zip(given, names, strict=True)]
    keep = np.logical_and.reduce([has_value(c) for c in columns])
    notes += _left_out(keep, names)
    columns = [c.take(keep) for c in columns]
    if task is None and kind == "image" and y.ndim == 1 and columns[0].storage == "number" and columns[0].integer:
        distinct = len(np.unique(columns[0].values))
        if 1 < distinct <= min(MOST_CLASSES, int(keep.sum()) // 2):
            task = "classification"
            values = columns[0].values
            notes.append(target_as_classes(names[0], distinct, label(values.min()), label(values.max())))
    return keep, read_target(columns, task), names, notes


def _left_out(keep: np.ndarray, names: Sequence[str]) -> list[Note]:
    """A note on the examples without a target; `InputError` where none has one."""
    if not keep.any():
        raise InputError(f"no example has a value of every target ({listed(names)}).")
    return [] if keep.all() else [without_target(int((~keep).sum()), "example")]


def target_of(like: Any, values: np.ndarray) -> Target:
    """Targets of the task and classes of `like`."""
    return Target(like.task, values, like.classes, like.class_values)


def without_targets(count: int) -> tuple[np.ndarray, Target, tuple[str, ...], list[Note]]:
    """As `read_targets`, of examples that are to be given back themselves."""
    return np.ones(count, bool), Target("autoencode", np.zeros((count, 0))), (), []


def _own_columns(targets: Any) -> list[RawColumn]:
    """The columns of a series or frame, which may hold more than an array of them does; none of anything else."""
    import narwhals as nw

    given = as_series(targets)
    found = nw.from_native(given, pass_through=True, allow_series=True)
    if isinstance(found, nw.Series):
        return [column_of("y", given)]
    return list(as_table(given).columns) if isinstance(found, nw.DataFrame) else []


def _every_step(
    y: np.ndarray, x: np.ndarray, task: str | None, target: Any, lengths: np.ndarray | None, like: Any
) -> tuple[np.ndarray, Target, tuple[str, ...], list[Note]]:
    if task is not None and TASKS[task] != "regression":
        raise InputError(f"targets every step need the task 'regression', got {task!r}. Give classes as [n].")
    if x.ndim != 3 or y.shape[1] != x.shape[1]:
        raise InputError(
            f"targets of every step [n, time, out] need inputs [n, time, channel] of as many steps, got targets of the "
            f"shape {y.shape} beside inputs of the shape {x.shape}."
        )
    values = as_inputs(y, "targets").astype(np.float64)
    values = values if lengths is None else padded(values, lengths)
    names = _target_names(target, y.shape[2])
    check_finite(values, "series", names, what="targets")
    if like is None:
        real = values if lengths is None else values[np.arange(y.shape[1]) < lengths[:, None]]
        check_varies(real.reshape(-1, y.shape[2]), names)
    return np.ones(len(y), bool), Target("regression", values), names, []


def check_varies(values: np.ndarray, names: Sequence[str]) -> None:
    """Raise `InputError` where a column of targets [row, out] is constant."""
    for name, column in zip(names, values.T, strict=True):
        if np.ptp(column) == 0:
            raise InputError(
                f"the target {name!r} is constant (always {column[0]:g}), so there is nothing to learn",
                Remedy("; examples to test a study on are read with ", Setting("like"), ", the study's data"),
                ".",
            )


def _target_names(target: Any, count: int) -> tuple[str, ...]:
    if target is None:
        return ("y",) if count == 1 else tuple(f"y{k}" for k in range(count))
    return check_names(target, count, "target")


def read_weights(given: Any, keep: np.ndarray, targets: np.ndarray, lengths: np.ndarray | None) -> np.ndarray | None:
    steps = targets.ndim == 3
    shape = (len(keep), *targets.shape[1:2]) if steps else (len(keep),)
    if given is None and (lengths is None or not steps):
        return None
    weights = np.ones(shape) if given is None else as_inputs(given, "weights").astype(np.float64)
    if steps and weights.shape == shape[:1]:
        weights = np.repeat(weights[:, None], targets.shape[1], axis=1)
    if weights.shape != shape:
        raise InputError(
            f"weights need the shape {shape}, one for each {'step' if steps else 'example'}, got {weights.shape}."
        )
    weights = weights[keep]
    if steps and lengths is not None:
        weights = padded(weights, lengths)
    if not np.isfinite(weights).all() or (weights < 0).any() or not (weights > 0).any():
        raise InputError("weights need finite numbers of at least 0, some above 0.")
    return weights


def group_index(values: Any, keep: np.ndarray, what: str, name: str = "groups") -> np.ndarray:
    """Values of any sort as an index from 0 in sorted order; `InputError` where one is missing."""
    raw = values if isinstance(values, RawColumn) else column_of(name, values)
    if len(raw) != len(keep):
        raise InputError(f"{name} need one value for each of {len(keep)} {what}, got {len(raw)}.")
    if raw.storage == "other":
        raise InputError(f"{name} need texts or numbers, but have ", *phrase(raw.notes), ".")
    labels = rows_of(identity(raw), keep)
    if labels.null_count():
        raise InputError(f"{name} need a value for every one of the {what}, but some are missing. Fill them in.")
    return places(labels, in_order(labels))
