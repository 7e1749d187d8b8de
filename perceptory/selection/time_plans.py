"""Plans for rows in the order of time, where neighbors are alike and the future must not train."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from perceptory.errors import InputError
from perceptory.selection import splitters
from perceptory.selection.base import ValidationPlan, two_or_more, zero_or_more
from perceptory.selection.folds import Fold, Rows
from perceptory.specs import checked, count


@dataclass(frozen=True)
class BlockedKFold(ValidationPlan):
    """For rows in order of time: contiguous folds; `gap` rows on both sides of the validation block are left out."""

    folds: int = checked(5, check=two_or_more)
    gap: int = checked(0, check=zero_or_more)

    @property
    def shuffles(self) -> bool:
        return False

    def _folds(self, table: Rows, seed: int) -> list[Fold]:
        table.at_least(self.folds, f"{self.folds} folds")
        row = np.arange(table.count)
        folds = []
        for _, block in splitters.pairs(splitters.even_folds(table.count, self.folds), self.folds):
            train = row[(row < block[0] - self.gap) | (row > block[-1] + self.gap)]
            if not train.size:
                raise InputError(
                    f"a gap of {self.gap} rows leaves none of {table.count} rows to train on in {self.folds} blocks. "
                    f"Use a smaller gap or more folds."
                )
            folds.append((train, block))
        return folds


def _window(name: str, value: Any) -> None:
    if value is not None:
        count(name, value)


@dataclass(frozen=True)
class RollingOrigin(ValidationPlan):
    """For rows in the order of time: train on the past, judge on the next block, move on by one block.

    Blocks have rows // (folds + 1) rows and end with the last row; `gap` rows before each are left out; `window` is the
    largest number of training rows (the latest ones; None for all of the past).
    """

    folds: int = checked(5, check=count)
    gap: int = checked(0, check=zero_or_more)
    window: int | None = checked(None, check=_window)

    @property
    def shuffles(self) -> bool:
        return False

    def _folds(self, table: Rows, seed: int) -> list[Fold]:
        rows, size = table.count, table.count // (self.folds + 1)
        first = rows - self.folds * size
        table.at_least(self.folds + 1, f"{self.folds} folds on a rolling origin", spare=1)
        if first - self.gap < 1:
            raise InputError(
                f"a gap of {self.gap} rows leaves none of the first {first} of {rows} rows to train on. "
                f"Use a smaller gap or fewer folds."
            )
        row = np.arange(rows)
        ends = [start - self.gap for start in range(first, rows, size)]
        starts = [0 if self.window is None else max(0, end - self.window) for end in ends]
        return [(row[a:b], row[b + self.gap : b + self.gap + size]) for a, b in zip(starts, ends, strict=True)]
