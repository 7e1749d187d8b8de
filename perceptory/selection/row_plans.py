"""Plans for rows in no particular order: hold-out, k-fold in its kinds, two sets, leave one out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from perceptory.errors import InputError
from perceptory.selection import splitters
from perceptory.selection.base import ValidationPlan, two_or_more
from perceptory.selection.folds import Fold, Rows
from perceptory.specs import checked


def _share(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not 0 < value < 1:
        raise InputError(f"{name} needs a number above 0 and below 1, got {value!r}. Example: 0.2")


def _stratify(name: str, value: Any) -> None:
    if value is not None and not isinstance(value, bool):
        raise InputError(f"{name} needs True, False or None (where it can), got {value!r}.")


@dataclass(frozen=True)
class HoldOut(ValidationPlan):
    """One fold: a random share of the rows (rounded, at least one) is for validation, the others train.

    Where groups are given whole groups are held out, as near to the share as chance allows. Otherwise classes keep
    their proportions (stratify=None: where there are classes and each has two rows; True: or else it is an error).
    """

    share: float = checked(0.2, check=_share)
    stratify: bool | None = checked(None, check=_stratify)

    def _folds(self, table: Rows, seed: int) -> list[Fold]:
        table.at_least(2, "two parts")
        table.need_groups(2)
        if self.stratify:
            table.need_each_class(2, "HoldOut(stratify=True)")
            if table.groups is not None:
                raise InputError("HoldOut cannot hold out whole groups and stratify. Leave out stratify or the groups.")
        random = np.random.default_rng(seed)
        total = min(max(round(self.share * table.count), 1), table.count - 1)
        if table.groups is not None:
            fold = splitters.grouped_share(table.groups, total, random)
        elif self.stratify is not False and table.targets is not None and table.each_class_has(2):
            fold = splitters.stratified_share(table.targets, total, random)
        else:
            fold = np.ones(table.count, int)
            fold[random.permutation(table.count)[:total]] = 0
        return splitters.pairs(fold, 1)


@dataclass(frozen=True)
class KFold(ValidationPlan):
    """Every row is for validation once. shuffle=False keeps the rows in their order, in contiguous folds."""

    folds: int = checked(10, check=two_or_more)
    shuffle: bool = True

    @property
    def shuffles(self) -> bool:
        return self.shuffle

    def _folds(self, table: Rows, seed: int) -> list[Fold]:
        table.at_least(self.folds, f"{self.folds} folds")
        if not self.shuffle:
            return splitters.pairs(splitters.even_folds(table.count, self.folds), self.folds)
        return splitters.pairs(
            splitters.shuffled_folds(table.count, self.folds, np.random.default_rng(seed)), self.folds
        )


@dataclass(frozen=True)
class StratifiedKFold(ValidationPlan):
    """KFold in which every fold has the classes in their proportions, within one row."""

    folds: int = checked(10, check=two_or_more)

    def _folds(self, table: Rows, seed: int) -> list[Fold]:
        table.at_least(self.folds, f"{self.folds} folds")
        targets = table.need_each_class(self.folds, "StratifiedKFold", self.folds)
        return splitters.pairs(splitters.stratified_folds(targets, self.folds, np.random.default_rng(seed)), self.folds)


@dataclass(frozen=True)
class GroupKFold(ValidationPlan):
    """KFold over whole groups, in folds of as equal size as the groups allow."""

    folds: int = checked(5, check=two_or_more)

    def _folds(self, table: Rows, seed: int) -> list[Fold]:
        if table.groups is None:
            raise InputError(
                "GroupKFold needs the group of each row, got none. Name the column of groups, or use KFold."
            )
        table.need_groups(self.folds)
        return splitters.pairs(
            splitters.grouped_folds(table.groups, self.folds, np.random.default_rng(seed)), self.folds
        )


@dataclass(frozen=True)
class TwoSets(ValidationPlan):
    """Two halves A and B [E27]: train on A and judge on B, then the other way round. Classes keep their proportions."""

    def _folds(self, table: Rows, seed: int) -> list[Fold]:
        table.at_least(2, "two sets")
        random = np.random.default_rng(seed)
        if table.targets is not None and table.each_class_has(2):
            fold = splitters.stratified_folds(table.targets, 2, random)
        else:
            fold = splitters.shuffled_folds(table.count, 2, random)
        return splitters.pairs(fold, 2)[::-1]


@dataclass(frozen=True)
class LeaveOneOut(ValidationPlan):
    """As many folds as rows. R2, VAF and AUC are not defined on one row: choose by another score."""

    @property
    def shuffles(self) -> bool:
        return False

    def _folds(self, table: Rows, seed: int) -> list[Fold]:
        table.at_least(2, "two parts")
        return splitters.pairs(np.arange(table.count), table.count)
