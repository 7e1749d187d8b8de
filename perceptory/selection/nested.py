"""Nested cross-validation (Stone 1974; Varma & Simon 2006, BMC Bioinformatics 7): the error of a choice, all included.

The best of many validation scores is a promise too good: some of it is luck. Here the rows are split a second time,
around the first: on the training rows of each outer fold the whole procedure runs anew, inner folds, choice, final
model and all, and that model is judged on the rows that the outer fold held out and that took no part in anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from perceptory.errors import InputError
from perceptory.selection.base import ValidationPlan
from perceptory.selection.folds import Fold, Rows
from perceptory.selection.plans import Splitter


@dataclass(frozen=True)
class Nested(ValidationPlan):
    """A plan within each fold of another one.

    outer: whose folds judge the whole procedure. inner: by which candidates are compared, on all study rows, where the
    final model is chosen, and on the training rows of each outer fold; None takes the plan that suits the rows. Both
    may be splitters of scikit-learn.
    """

    outer: Any
    inner: Any = None

    def __post_init__(self) -> None:
        for name in ("outer", "inner"):
            plan = getattr(self, name)
            if isinstance(plan, Nested):
                raise InputError(
                    f"{name} needs a plain validation plan, got one that is nested already. Example: KFold(5)"
                )
            if plan is not None and not isinstance(plan, ValidationPlan):
                object.__setattr__(self, name, Splitter(plan))
        if self.outer is None:
            raise InputError("outer needs a validation plan, got None. Example: Nested(outer=KFold(5))")
        super().__post_init__()

    @property
    def name(self) -> str:
        return "Nested" if self.inner is None else self.inner.name

    @property
    def folds(self) -> Any:
        """How many inner ones, where that is known."""
        return getattr(self.inner, "folds", None)

    def as_json(self) -> Any:
        return {
            "kind": "Nested",
            "outer": self.outer.as_json(),
            "inner": None if self.inner is None else self.inner.as_json(),
        }

    def inner_seed(self, seed: int, outer_fold: int) -> int:
        """The seed of the inner folds within an outer fold."""
        return int(np.random.SeedSequence([seed, 1 + outer_fold]).generate_state(1)[0])

    def _folds(self, table: Rows, seed: int) -> list[Fold]:
        """The inner folds on all rows."""
        if self.inner is None:
            raise InputError("Nested has no inner plan to split by. Name one: Nested(outer=KFold(5), inner=KFold(5))")
        folds: list[Fold] = self.inner._folds(table, seed)
        return folds
