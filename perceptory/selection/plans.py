"""Validation plans: which rows train a network and which judge it. Frozen specs; `split` gives the folds.

Every plan is checked the same way before anyone uses it: no row in both parts of a fold, none out of range, no part
empty, and, where groups are given, no group on both sides. Here are the plans made of other things (a plan, rows, a
splitter), the default plan, and the names of all others.
"""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from perceptory.data.series.timeline import Timeline
from perceptory.errors import InputError
from perceptory.selection.base import ValidationPlan
from perceptory.selection.folds import Fold, Rows, check_folds, describe
from perceptory.selection.row_plans import GroupKFold, HoldOut, KFold, LeaveOneOut, StratifiedKFold, TwoSets
from perceptory.selection.time_plans import BlockedKFold, RollingOrigin, forecast_plan
from perceptory.specs import checked, count

__all__ = [
    "BlockedKFold",
    "Fold",
    "Folds",
    "GroupKFold",
    "HoldOut",
    "KFold",
    "LeaveOneOut",
    "Repeated",
    "RollingOrigin",
    "Splitter",
    "StratifiedKFold",
    "TwoSets",
    "ValidationPlan",
    "check_folds",
    "default_plan",
    "in_time",
    "plan_json",
]

# The plan that suits a table's number of rows: many folds where rows are few and noise is large.
TEN_FOLDS_FROM, TEN_FOLDS_TO, FIVE_FOLDS_TO = 50, 5_000, 50_000


def _plan(name: str, value: Any) -> None:
    if not isinstance(value, ValidationPlan):
        raise InputError(f"{name} needs a validation plan, got {value!r}. Example: Repeated(KFold(10), times=3)")
    if not value.shuffles:
        raise InputError(
            f"{name} needs a plan that another seed changes, got {value.name}: it gives the same folds again."
        )


@dataclass(frozen=True)
class Repeated(ValidationPlan):
    """A plan several times, with a seed of its own each time (the first time with the seed itself)."""

    plan: ValidationPlan = field(metadata={"check": _plan})
    times: int = checked(3, check=count)

    def as_json(self) -> Any:
        return {"kind": "Repeated", "plan": self.plan.as_json(), "times": self.times}

    def _folds(self, table: Rows, seed: int) -> list[Fold]:
        seeds = [seed] + [int(np.random.SeedSequence([seed, i]).generate_state(1)[0]) for i in range(1, self.times)]
        return [fold for s in seeds for fold in self.plan._folds(table, s)]


@dataclass(frozen=True)
class Folds(ValidationPlan):
    """Explicit folds: pairs of lists of training and validation rows, numbered from 0 among the rows to be split."""

    folds: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]

    def __post_init__(self) -> None:
        top = np.iinfo(np.int64).max  # the number of rows is not known yet
        folds = tuple((tuple(a.tolist()), tuple(b.tolist())) for a, b in check_folds(self.folds, top, "Folds"))
        object.__setattr__(self, "folds", folds)

    @property
    def shuffles(self) -> bool:
        return False

    def _folds(self, table: Rows, seed: int) -> list[Any]:
        return list(self.folds)


def readable_name(thing: Any) -> str:
    """A readable name of an object, the same in every process."""
    return re.sub(r"\s+", " ", re.sub(r" at 0x[0-9a-fA-F]+", "", repr(thing)))


@dataclass(frozen=True)
class Splitter(ValidationPlan):
    """Any splitter with scikit-learn's `split(X, y, groups)`. It sees the number of rows, the classes and the groups.

    One whose random_state is None gets the plan's seed. It cannot be written to a file: `plan_json` writes its name.
    """

    splitter: Any

    def __post_init__(self) -> None:
        if isinstance(self.splitter, str):
            raise InputError(
                f"a file holds only the name of the splitter {self.splitter}. Pass the splitter again: Splitter(...)."
            )
        if isinstance(self.splitter, type) or not callable(getattr(self.splitter, "split", None)):
            raise InputError(f"Splitter needs an object with a split method, got {readable_name(self.splitter)}.")

    @property
    def shuffles(self) -> bool:
        return self._takes_seed and getattr(self.splitter, "shuffle", True) is not False

    @property
    def name(self) -> str:
        return readable_name(self.splitter)

    @property
    def _takes_seed(self) -> bool:
        return getattr(self.splitter, "random_state", 0) is None

    def as_json(self) -> Any:
        return {"kind": "Splitter", "splitter": self.name}

    def _folds(self, table: Rows, seed: int) -> list[Any]:
        splitter = copy.deepcopy(self.splitter)  # one that holds a random state gives the same folds every time
        if self._takes_seed:
            splitter.random_state = seed % 2**32
        try:
            return list(splitter.split(np.zeros((table.count, 1)), table.targets, table.groups))
        except (ValueError, TypeError) as error:
            raise InputError(f"{self.name} cannot split these rows: {' '.join(str(error).split())}") from None


def plan_json(plan: ValidationPlan) -> Any:
    """JSON data of a plan for a file. A `Splitter`'s is its name: enough to compare, not enough to read it back."""
    return plan.as_json()


def in_time(timeline: Timeline) -> ValidationPlan:
    """The plan of examples that were cut from series: forecasts on a rolling origin, others in blocks."""
    return forecast_plan(timeline) if timeline.ahead else BlockedKFold(min(5, len(timeline)))


def default_plan(task: str, rows: int, groups: Any = None, targets: Any = None) -> ValidationPlan:
    """The plan that is used where none is asked for.

    Groups given: five folds of whole groups (fewer where there are fewer groups). Otherwise ten folds up to 5000 rows,
    five up to 50,000, then one share of 0.2; folds are stratified for classes. Fewer than 50 rows, or a class
    (targets [row], class index) with fewer than ten, make the ten folds five. A class with fewer rows than folds cannot
    be in every one of them: then they are not stratified.
    """
    if groups is not None:
        names = describe(rows, None, groups, None).group_names
        return GroupKFold(min(5, max(2, len(names) if names is not None else 0)))
    if rows > FIVE_FOLDS_TO:
        return HoldOut()
    small = rows < TEN_FOLDS_FROM
    if targets is not None:
        small = small or not describe(rows, targets, None, None).each_class_has(10)
    folds = 5 if small or rows > TEN_FOLDS_TO else 10
    rare = targets is not None and not describe(rows, targets, None, None).each_class_has(folds)
    return KFold(folds) if task in ("regression", "autoencode") or rare else StratifiedKFold(folds)
