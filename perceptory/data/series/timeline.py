"""Where examples that were cut from long series stand in time: what each has seen, and what it is scored by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from perceptory.errors import InputError


@dataclass(frozen=True, eq=False)
class Timeline:
    """Rows of a long table, taken series by series, that examples touch; spans of different series never meet.

    series: [n] whole numbers, the series that each example is of.
    seen: [n, 2] the first and one past the last row of its inputs and targets.
    scored: [n, 2] int64, those of its targets alone, which lie within `seen`.
    ahead: whether the targets lie after the inputs, so that each example is a forecast from its own origin.
    """

    series: np.ndarray
    seen: np.ndarray
    scored: np.ndarray
    ahead: bool = False

    def __post_init__(self) -> None:
        n = len(self.series)
        for name in ("seen", "scored"):
            spans = getattr(self, name)
            if spans.shape != (n, 2) or spans.dtype.kind not in "iu" or (spans[:, 0] >= spans[:, 1]).any():
                raise InputError(
                    f"{name} needs a first row and a later end for each of {n} examples, [example, 2] whole numbers, "
                    f"got {spans.dtype} of the shape {spans.shape}."
                )

    @classmethod
    def small(cls, series: np.ndarray, seen: np.ndarray, scored: np.ndarray, ahead: bool) -> Self:
        """A timeline in half the memory, where rows are few enough for it."""
        kind = np.int32 if seen.max(initial=0) < np.iinfo(np.int32).max else np.int64
        return cls(series.astype(kind), seen.astype(kind), scored.astype(kind), ahead)

    def __len__(self) -> int:
        return len(self.series)

    def take(self, rows: np.ndarray) -> Self:
        """That of the given examples only (indices, in their order, or a mask)."""
        return type(self)(self.series[rows], self.seen[rows], self.scored[rows], self.ahead)

    @property
    def horizon(self) -> int:
        """Rows from the first to the last one that an example is scored by."""
        return int((self.scored[:, 1] - self.scored[:, 0]).max())

    def leaks(self, train: np.ndarray, judged: np.ndarray) -> np.ndarray:
        """[train] bool: whether an example has seen a row that one of the judged examples is scored by.

        train, judged: places of examples. Inputs that both share before those rows are no leak: every forecaster may
        look at the past of what it forecasts.
        """
        return overlaps(self.seen[train], self.scored[judged])

    def ends(self) -> tuple[np.ndarray, np.ndarray]:
        """Of each series that is there, by its number: (first row, one past the last row) of its examples. Numbers of
        absent series have 0 rows."""
        count = int(self.series.max()) + 1
        first = np.full(count, np.iinfo(np.int64).max)
        last = np.zeros(count, np.int64)
        np.minimum.at(first, self.series, self.seen[:, 0])
        np.maximum.at(last, self.series, self.seen[:, 1])
        return np.minimum(first, last), last


def overlaps(spans: np.ndarray, others: np.ndarray) -> np.ndarray:
    """[span] bool: whether a span has a row in common with any of `others`, both [n, 2]."""
    if not len(others):
        return np.zeros(len(spans), bool)
    others = others[np.argsort(others[:, 0], kind="stable")]
    last = np.maximum.accumulate(others[:, 1])
    # Of the others that begin before a span's end, the one that ends last decides.
    before = np.searchsorted(others[:, 0], spans[:, 1], side="left")
    return (before > 0) & (last[before - 1] > spans[:, 0])
