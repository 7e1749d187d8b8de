"""Targets beside predictions, row by row."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np


@dataclass
class Predictions:
    """Target and prediction of every row of a table, in the target's own units, in the order of `row`.

    For validation every study row is predicted by the best candidate's members that did not train on it (mean over
    them); for test by the final model. Of autoencoders `output` [row, column] are the errors of what is given back, and
    there is no target, [row, 0].
    """

    row: np.ndarray  # [row] place in the table that was given, from 0
    part: np.ndarray  # [row] "validation" | "test"
    target: np.ndarray  # [row, out] numbers; for classification [row] class index
    output: np.ndarray  # [row, out] numbers; for classification [row, class] probabilities
    step: np.ndarray | None = None  # [row] of sequences with a target a step: which step, from 0
    weight: np.ndarray | None = None  # [row] where rows have unequal weights

    def __add__(self, other: Predictions) -> Predictions:
        """These and the others after them."""
        if (self.weight is None) != (other.weight is None):
            return self._weighed() + other._weighed()
        names = [name for name in vars(self) if getattr(self, name) is not None]
        return Predictions(**{name: np.concatenate([getattr(self, name), getattr(other, name)]) for name in names})

    def _weighed(self) -> Predictions:
        return self if self.weight is not None else replace(self, weight=np.ones(len(self.row)))

    @classmethod
    def of(cls, part: str, row: Any, truth: np.ndarray, output: np.ndarray, weights: np.ndarray) -> Predictions:
        """Those of one part. Of sequences with a target a step, every step that counts has a line of its own.

        row: [row]. truth, output: as `target` and `output`, or with a time axis [row, time, ...]. weights: [row], or
        [row, time], 0 for a step that does not count.
        """
        step = None
        if weights.ndim == 2:
            places, step = np.nonzero(weights)
            row = np.asarray(row)[places]
        truth, output, weights = judged_rows(truth, output, weights)
        weight = None if not len(weights) or np.ptp(weights) == 0 else np.asarray(weights, np.float64)
        return cls(np.asarray(row), np.full(len(row), part), truth, output, step, weight)


def judged_rows(
    truth: np.ndarray, output: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What metrics take: of sequences, every step that counts is a row [row, out]."""
    if weights.ndim == 1:
        return truth, output, weights
    counts = weights > 0
    return truth[counts], output[counts], weights[counts]
