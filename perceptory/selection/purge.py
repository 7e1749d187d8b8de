"""Purged folds: examples that share rows with the validation examples of a fold do not train in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from perceptory.errors import InputError
from perceptory.selection.folds import Fold


def purge(folds: Sequence[Fold], spans: Any) -> list[Fold]:
    """Each fold without the training examples whose span overlaps the span of one of its validation examples.

    spans: [example, 2], the first and one past the last row of the long table that an example touches, as in
    `ArrayDataset`; windows that share rows know of one another's targets. `dropped` counts what is left out. Raises
    `InputError` where a fold loses all of its training examples.
    Source: López de Prado, Advances in Financial Machine Learning, 2018, section 7.4.1.
    """
    spans = np.asarray(spans)
    if spans.ndim != 2 or spans.shape[1:] != (2,) or spans.dtype.kind not in "iu" or (spans[:, 0] >= spans[:, 1]).any():
        raise InputError(
            f"spans need a first row and a later end for each example, [example, 2] whole numbers, got {spans.dtype} "
            f"of the shape {spans.shape}."
        )
    purged = []
    for number, (train, validation) in enumerate(folds, 1):
        apart = train[~overlaps(spans[train], spans[validation])]
        if not apart.size:
            raise InputError(
                f"fold {number} of {len(folds)} has no training examples left, for all {len(train)} share rows with "
                "its validation examples. Use a plan of blocks in the order of time, BlockedKFold or RollingOrigin, "
                "fewer folds, a smaller window, or a larger stride."
            )
        purged.append((apart, validation))
    return purged


def dropped(folds: Sequence[Fold], purged: Sequence[Fold]) -> list[int]:
    """How many training examples each fold has lost."""
    return [len(before) - len(after) for (before, _), (after, _) in zip(folds, purged, strict=True)]


def overlaps(spans: np.ndarray, others: np.ndarray) -> np.ndarray:
    """[span] bool: whether a span has a row in common with any of `others`, both [n, 2]."""
    if not len(others):
        return np.zeros(len(spans), bool)
    others = others[np.argsort(others[:, 0], kind="stable")]
    last = np.maximum.accumulate(others[:, 1])
    # Of the others that begin before a span's end, the one that ends last decides.
    before = np.searchsorted(others[:, 0], spans[:, 1], side="left")
    return (before > 0) & (last[before - 1] > spans[:, 0])
