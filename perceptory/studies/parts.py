"""The parts of a study: its own folds and, with nested validation, the folds within each outer fold.

A choice is made within a part, of its folds alone. All parts' folds are trained together, as members of the same
programs: nothing is compiled for a part.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from perceptory.data.examples import Examples, classes_of
from perceptory.selection.base import ValidationPlan
from perceptory.selection.nested import Nested
from perceptory.selection.purge import purge

Fold = tuple[np.ndarray, np.ndarray]  # training rows and validation rows


@dataclass(frozen=True, eq=False)
class Part:
    """Folds of one choice, the study's folds begin to end (excluded). rows: that the choice may learn from; held: that
    judge it, in outer folds, else none."""

    begin: int
    end: int
    rows: np.ndarray
    held: np.ndarray


def folds_and_parts(plan: ValidationPlan, data: Examples, seed: int) -> tuple[list[Fold], tuple[Part, ...]]:
    """All folds of a study, and the parts that they are of: the study's own first, then one for each outer fold."""
    folds = _split(plan, data, np.arange(data.rows), seed)
    parts = [Part(0, len(folds), np.arange(data.rows), np.arange(0))]
    if isinstance(plan, Nested):
        for k, (rows, held) in enumerate(_split(plan.outer, data, np.arange(data.rows), seed)):
            within = _split(plan.inner, data, rows, plan.inner_seed(seed, k))
            parts.append(Part(len(folds), len(folds) + len(within), rows, held))
            folds = folds + within
    return folds, tuple(parts)


def _split(plan: ValidationPlan, data: Examples, rows: np.ndarray, seed: int) -> list[Fold]:
    """Pairs of training and validation rows among these. Examples cut from one series may share steps: a training
    example that has seen a target of a validation example of its fold is left out."""
    classes = classes_of(data)
    timeline = None if data.timeline is None else data.timeline.take(rows)
    folds = plan.split(
        len(rows), targets=None if classes is None else classes[rows],
        groups=None if data.groups is None else np.asarray(data.groups)[rows], seed=seed, class_names=data.classes,
        timeline=timeline,
    )  # fmt: skip
    folds = folds if timeline is None else purge(folds, timeline)
    return [(rows[train], rows[held]) for train, held in folds]
