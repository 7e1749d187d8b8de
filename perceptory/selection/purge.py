"""Purged folds: examples that have seen what validation scores do not train."""

from __future__ import annotations

from collections.abc import Sequence

from perceptory.data.series.timeline import Timeline
from perceptory.errors import InputError, Remedy, Setting, Written
from perceptory.selection.folds import Fold

IN_TIME = Written("RollingOrigin()", "rolling"), Written("BlockedKFold()", "blocked")


def purge(folds: Sequence[Fold], timeline: Timeline) -> list[Fold]:
    """Each fold without the training examples that have seen a target of its validation examples.

    Inputs that a training and a validation example share are no leak where they lie before those targets. `dropped`
    counts what is left out. Raises `InputError` where a fold loses all of its training examples.
    Source: López de Prado, Advances in Financial Machine Learning, 2018, section 7.4.1; for forecasts: Bergmeir &
    Benítez, On the use of cross-validation for time series predictor evaluation, 2012.
    """
    purged = []
    for number, (train, validation) in enumerate(folds, 1):
        apart = train[~timeline.leaks(train, validation)]
        if not apart.size:
            rolling, blocked = (Setting("validation", plan) for plan in IN_TIME)
            raise InputError(
                f"fold {number} of {len(folds)} has no training examples left, for all {len(train)} have seen targets "
                "of its validation examples. Use a plan in the order of time",
                Remedy(" (", rolling, " or ", blocked, ")"),
                ", fewer folds, a smaller window, or a larger stride.",
            )
        purged.append((apart, validation))
    return purged


def dropped(folds: Sequence[Fold], purged: Sequence[Fold]) -> list[int]:
    """How many training examples each fold has lost."""
    return [len(before) - len(after) for (before, _), (after, _) in zip(folds, purged, strict=True)]
