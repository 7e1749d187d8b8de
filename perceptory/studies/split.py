"""Which rows train and which validate, and how each fold's numbers are scaled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from perceptory.data.examples import Examples, classes_of
from perceptory.data.series.rolled import Ahead
from perceptory.data.tables.features import Features
from perceptory.selection.base import ValidationPlan
from perceptory.selection.nested import Nested
from perceptory.selection.plans import default_plan, in_time
from perceptory.studies.design import StudyDesign
from perceptory.studies.encoded_examples import EncodedExamples
from perceptory.studies.parts import Fold
from perceptory.training.scaling import RowsOf, Scaling, fit_scaling


@dataclass(frozen=True)
class Split:
    """Encoded study examples with their folds, and each fold's own scaling, in the examples' units."""

    encoded: EncodedExamples
    folds: list[Fold]
    scalings: list[Scaling]


Splitting = Callable[[EncodedExamples], list[Fold]]  # what takes the place of a validation plan


def on_all_rows(encoded: EncodedExamples) -> list[Fold]:
    """One fold that trains on every row, without validation rows: for a refit."""
    rows = np.arange(encoded.count)
    return [(rows, rows[:0])]


def split_of(encoded: EncodedExamples, folds: list[Fold]) -> Split:
    """The split into these folds, each scaled by its own training rows alone."""
    return Split(encoded, folds, [_scaling_of(encoded, rows) for rows, _ in folds])


def validation_plan(study: StudyDesign, data: Examples) -> ValidationPlan:
    """The study's, or what suits the data: examples cut from one series are validated in time."""
    plan: ValidationPlan | None = study.validation
    if isinstance(plan, Nested):
        return plan if plan.inner is not None else plan.replace(inner=_suiting(data))
    return _suiting(data) if plan is None else plan


def _suiting(data: Examples) -> ValidationPlan:
    if data.timeline is not None and data.groups is None:
        return in_time(data.timeline)
    return default_plan(data.task, data.rows, data.groups, classes_of(data))


def _scaling_of(encoded: EncodedExamples, rows: np.ndarray) -> Scaling:
    targets: Any = encoded.targets
    t: Any = RowsOf(targets, rows) if isinstance(targets, Ahead) else targets[rows]
    x: Any = RowsOf(encoded.given, rows) if isinstance(encoded.given, Features) else encoded.given[rows]
    if encoded.lengths is not None:  # padding is no data
        padding = np.arange(x.shape[1]) >= encoded.lengths[rows, None]
        x = np.where(padding[..., None], np.nan, x)
        t = np.where(padding[..., None], np.nan, t) if t.ndim == 3 else t
    if encoded.task == "autoencode" and len(encoded.shape) > 1:
        return _channels_as_targets(fit_scaling(x, np.zeros((1, 1)), scale_targets=False), t.shape[-1])
    w = encoded.weights[rows]
    counts = None if w.ndim > 1 or len(np.unique(w)) < 2 else w  # equal weights change nothing
    scaling = fit_scaling(x, t, scale_targets=encoded.task in ("regression", "autoencode"), weights=counts)
    return scaling if encoded.auxiliary is None else encoded.auxiliary.scaling(scaling, rows, counts)


def _channels_as_targets(scaling: Scaling, targets: int) -> Scaling:
    """The scaling with that of the channels for targets that are the inputs themselves, channels last."""
    places = targets // len(scaling.in_center)
    spread = 1 / np.where(scaling.in_factor > 0, scaling.in_factor, 1)
    return scaling._replace(out_center=np.tile(scaling.in_center, places), out_scale=np.tile(spread, places))
