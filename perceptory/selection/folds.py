"""Folds: pairs of training and validation rows; what a plan may know of the rows; the checks that all folds pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from perceptory.data.series.timeline import Timeline
from perceptory.errors import InputError, Piece, Remedy, Setting, Written
from perceptory.specs import count

Fold = tuple[np.ndarray, np.ndarray]  # training rows, validation rows


@dataclass(frozen=True, eq=False)
class Rows:
    """What a plan may know of the rows that it splits."""

    count: int
    targets: np.ndarray | None  # [row] class index from 0
    groups: np.ndarray | None  # [row] group index from 0
    class_names: Sequence[str] | None
    group_names: np.ndarray | None  # [group] as the user wrote them
    timeline: Timeline | None = None  # where examples of series stand in time

    def at_least(self, least: int, what: str, spare: int = 0) -> None:
        """Raise `InputError` where there are fewer rows than `what` needs: one a fold and `spare` ones."""
        if self.count < least:
            folds = min(5, self.count - spare)
            needs = f"{what} need at least {least} rows, got {self.count}. Use "
            raise InputError(needs, *_fewer(folds), "more rows.")

    def each_class_has(self, least: int) -> bool:
        """Whether there are classes and each has that many rows."""
        return self.targets is not None and int(np.unique(self.targets, return_counts=True)[1].min()) >= least

    def need_each_class(self, least: int, what: str, folds: int | None = None) -> np.ndarray:
        """The class of each row; `InputError` where there are none or one has fewer rows than `least`."""
        if self.targets is None:
            raise InputError(
                f"{what} needs classes, and the target is a number. Use KFold, or HoldOut(stratify=False)."
            )
        classes, counts = np.unique(self.targets, return_counts=True)
        k = int(np.argmin(counts))
        if counts[k] < least:
            name = repr(str(self.class_names[classes[k]])) if self.class_names is not None else str(classes[k])
            fewer = ("use ", *_fewer(int(counts[k]), ", or ")) if counts[k] >= 2 and folds else ("or ",)
            needs = f"{folds} stratified folds need" if folds else f"{what} needs"
            unstratified = Written("HoldOut(stratify=False)", "holdout:stratify=false")
            if folds:
                unstratified = Written(f"KFold({folds})", f"kfold:{folds}")
            raise InputError(
                f"{needs} at least {least} rows of each class, got {counts[k]} of class {name} in the rows that are "
                "left for the study. Add rows of it, ",
                *fewer,
                "leave that class out",
                Remedy("; ", Setting("validation", unstratified), " does not need every class in every fold"),
                ".",
            )
        return self.targets

    def need_groups(self, least: int) -> None:
        """Raise `InputError` where there are groups, but fewer than `least`."""
        if self.groups is not None and self.group_names is not None and len(self.group_names) < least:
            n = len(self.group_names)
            needs = f"{least} parts of whole groups need at least {least} groups, got {n}. Use "
            raise InputError(needs, *_fewer(n), "another column of groups.")


def _fewer(folds: int, join: str = " or ") -> tuple[Piece, ...]:
    """'fewer folds (folds=3) or ', or nothing where so few are none."""
    return ("fewer folds", Remedy(" (", Setting("folds", folds), ")"), join) if folds >= 2 else ()


def describe(
    rows: int, targets: Any, groups: Any, class_names: Sequence[str] | None, timeline: Timeline | None = None
) -> Rows:
    """Check what is known of the rows. `InputError`: wrong lengths, targets no class indices, missing groups."""
    count("the number of rows", rows)
    if targets is not None:
        targets = np.ma.filled(np.ma.asarray(targets), -1) if np.ma.is_masked(targets) else np.asarray(targets)
        if targets.shape != (rows,) or not np.issubdtype(targets.dtype, np.integer) or targets.min() < 0:
            raise InputError(
                f"targets need one class index of at least 0 for each of {rows} rows, got {targets.dtype} of the shape "
                f"{targets.shape}. For regression leave them out."
            )
    names = None
    if groups is not None:
        masked = np.ma.is_masked(groups)
        groups = np.asarray(groups)
        if groups.shape != (rows,):
            raise InputError(f"groups need one value for each of {rows} rows, got the shape {groups.shape}.")
        if masked or _missing(groups):
            raise InputError("groups need a value in every row, got missing ones. Fill them, or leave those rows out.")
        try:
            names, groups = np.unique(groups, return_inverse=True)
        except TypeError:
            raise InputError("groups need values of one kind, got words and numbers mixed.") from None
    if timeline is not None and len(timeline) != rows:
        raise InputError(f"the timeline needs a place for each of {rows} rows, got {len(timeline)}.")
    return Rows(rows, targets, groups, class_names, names, timeline)


def _missing(values: np.ndarray) -> bool:
    if values.dtype == object:
        return any(v is None or type(v).__name__ in ("NAType", "NaTType") or v != v for v in values)
    return bool((values != values).any())


def row_numbers(value: Any, name: str, rows: int) -> np.ndarray:
    """Sorted row numbers from what a user or a splitter gave. `InputError` names what is wrong with them."""
    try:
        array = np.asarray(value)
    except ValueError:
        raise InputError(f"{name} needs a plain list of row numbers, got a {type(value).__name__} of lists.") from None
    if array.dtype == bool:
        raise InputError(f"{name} needs row numbers, got a mask. Use numpy.flatnonzero(mask).")
    if array.ndim != 1 or array.size == 0:
        got = "none" if array.ndim == 1 else f"the shape {array.shape}"
        raise InputError(f"{name} needs a list of at least one row number, got {got}.")
    if not np.issubdtype(array.dtype, np.integer):
        raise InputError(f"{name} needs whole row numbers, got {array.dtype}.")
    array = np.sort(array).astype(np.int64)
    if array[0] < 0 or array[-1] >= rows:
        bad = array[0] if array[0] < 0 else array[-1]
        raise InputError(f"{name} needs row numbers from 0 to {rows - 1}, got {bad}.")
    twice = array[1:][array[1:] == array[:-1]]
    if twice.size:
        raise InputError(
            f"{name} holds row {twice[0]} more than once. Give every row once; weights can count it twice."
        )
    return array


def check_folds(folds: Any, rows: int, name: str = "the validation plan") -> list[Fold]:
    """Check what any plan or user made of rows 0 to rows - 1; return it as pairs of sorted integer arrays.

    `InputError` for no folds, an empty part, a row out of range, a row twice in a part or in both parts of a fold.
    """
    try:
        folds = list(folds)
    except TypeError:
        raise InputError(f"{name} needs a list of folds, got a {type(folds).__name__}.") from None
    if not folds:
        raise InputError(f"{name} gave no folds. Give at least one pair of training and validation rows.")
    checked = []
    for i, fold in enumerate(folds, 1):
        where = f"fold {i} of {len(folds)} of {name}"
        if not isinstance(fold, (tuple, list)) or len(fold) != 2:
            raise InputError(f"{where} needs a pair of training and validation rows, got a {type(fold).__name__}.")
        train = row_numbers(fold[0], f"{where} (training)", rows)
        validation = row_numbers(fold[1], f"{where} (validation)", rows)
        both = np.intersect1d(train, validation, assume_unique=True)
        if both.size:
            raise InputError(
                f"{where} has {both.size} rows in training and in validation too, the first is row {both[0]}."
            )
        checked.append((train, validation))
    return checked


def check_groups_apart(folds: list[Fold], table: Rows, name: str) -> None:
    """No group may stand on both sides of a fold: its validation rows would not be new to the network."""
    if table.groups is None or table.group_names is None:
        return
    for i, (train, validation) in enumerate(folds, 1):
        both = np.intersect1d(table.groups[train], table.groups[validation])
        if both.size:
            raise InputError(
                f"fold {i} of {name} has rows of the group {str(table.group_names[both[0]])!r} in training and in "
                f"validation. Use GroupKFold, which keeps groups together."
            )
