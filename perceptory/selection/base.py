"""The base of the validation plans: one way in, one set of checks."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from functools import partial
from typing import Any

from perceptory.data.series.timeline import Timeline
from perceptory.selection.folds import Fold, Rows, check_folds, check_groups_apart, describe
from perceptory.specs import Spec, count, to_json

two_or_more = partial(count, least=2)
zero_or_more = partial(count, least=0)


class ValidationPlan(Spec):
    """Base of the validation plans."""

    @property
    def shuffles(self) -> bool:
        """Whether another seed gives other folds."""
        return True

    @property
    def name(self) -> str:
        return type(self).__name__

    def as_json(self) -> Any:
        """JSON data for a file."""
        return to_json(self)

    def split(
        self,
        rows: int,
        *,
        targets: Any = None,
        groups: Any = None,
        seed: int,
        class_names: Sequence[str] | None = None,
        timeline: Timeline | None = None,
    ) -> list[Fold]:
        """Training and validation rows of every fold: sorted integer arrays of numbers from 0 to rows - 1.

        targets: [row] class index, None for regression. groups: [row] of anything that can be sorted; rows of one group
        must not stand on both sides. class_names: [class], for messages only. timeline: where examples of series stand.
        The same seed gives the same folds.
        `InputError` where the rows do not suffice for the plan.
        """
        count("seed", seed, least=0, most=2**63 - 1)
        table = describe(rows, targets, groups, class_names, timeline)
        folds = check_folds(self._folds(table, seed), rows, self.name)
        check_groups_apart(folds, table, self.name)
        return folds

    @abstractmethod
    def _folds(self, table: Rows, seed: int) -> list[Any]: ...
