"""What is kept of one finished member of a study, and of what it has learned before."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

MOST_SAMPLED = 1024

Place = tuple[int, int, int, int]  # of a network that learns first: lesson, candidate of the lesson, fold, seed


DISCARDED = "discarded"  # status of a member of a candidate that was given up before its last epoch


class Learned(NamedTuple):
    """What a network has learned before the study's own targets: its weights [weight], and its last training cost."""

    weights: np.ndarray
    cost: float


@lru_cache(maxsize=4)
def sampled_rows(rows: int) -> np.ndarray:
    """Places of study rows, spread over all, of which every member's predictions are kept: members are compared on
    them, so that it is known what their mean gains."""
    return np.unique(np.linspace(0, rows - 1, min(rows, MOST_SAMPLED)).astype(int))


@dataclass
class Record:
    """A finished member with what is kept of it."""

    status: str
    epochs: int
    best_epoch: int
    weights: np.ndarray
    train_cost: np.ndarray
    validation_cost: np.ndarray
    output: np.ndarray  # [row of the fold's validation rows, out], in the target's units
    train: dict[str, Any]
    validation: dict[str, Any]
    score: float
    train_score: float
    facts: dict[str, float] = field(default_factory=dict)
    auxiliary: np.ndarray = field(default_factory=lambda: np.zeros((0, 2, 0)))  # as in `Outcome`
    # [row of `sampled_rows`, ..., out]: what it says of some study rows, known to it or not; NaN of rows of no part
    sampled: np.ndarray = field(default_factory=lambda: np.zeros((0, 1), np.float32))

    @property
    def sound(self) -> bool:
        return self.status != "diverged"
