"""Plans for rows in the order of time, where neighbors are alike and the future must not train."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from perceptory.data.series.timeline import Timeline
from perceptory.errors import InputError, Remedy, Setting
from perceptory.selection import splitters
from perceptory.selection.base import ValidationPlan, two_or_more, zero_or_more
from perceptory.selection.folds import Fold, Rows
from perceptory.specs import checked, count
from perceptory.wording import count_of


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

    Blocks have `block` rows, by default rows // (folds + 1), and end with the last row; `gap` rows before each are left
    out; `window` is the largest number of training rows (the latest ones; None for all of the past).

    Forecasts of one or many series (`Timeline.ahead`) are cut in each series from its end: a block is so many origins
    one after the other, by default a tenth of the origins of the middle series, at least one horizon, and at most half
    of them in all folds together. Training examples have seen nothing from the block's first target on.
    """

    folds: int = checked(5, check=count)
    gap: int = checked(0, check=zero_or_more)
    window: int | None = checked(None, check=_window)
    block: int | None = checked(None, check=_window)

    @property
    def shuffles(self) -> bool:
        return False

    def _folds(self, table: Rows, seed: int) -> list[Fold]:
        if table.timeline is not None and table.timeline.ahead:
            return _of_series(self, table.timeline)
        rows, size = table.count, self.block or table.count // (self.folds + 1)
        first = rows - self.folds * size
        table.at_least(self.folds + 1, f"{self.folds} folds on a rolling origin", spare=1)
        if first - self.gap < 1:
            if self.gap == 0:
                raise InputError(
                    f"{self.folds} blocks of {size} rows leave none of {rows} rows to train on. Use fewer folds or a "
                    "smaller block."
                )
            raise InputError(
                f"a gap of {self.gap} rows leaves none of the first {first} of {rows} rows to train on. "
                f"Use a smaller gap or fewer folds."
            )
        row = np.arange(rows)
        ends = [start - self.gap for start in range(first, rows, size)]
        starts = [0 if self.window is None else max(0, end - self.window) for end in ends]
        return [(row[a:b], row[b + self.gap : b + self.gap + size]) for a, b in zip(starts, ends, strict=True)]


# --- forecasts: each series from its own end ------------------------------------------------------------------------

FOLDS = 3  # of forecasts, where no number is asked for
LARGEST = 0.5  # share of the origins that validation may take in all folds together
USUAL = 10  # a block is one part in so many of the origins, where that is more than a horizon


def forecast_plan(timeline: Timeline) -> RollingOrigin:
    """The plan for forecasts where none is asked for: three folds on a rolling origin, or as many as fit the series."""
    most = int(_origins(timeline)[1].max()) - timeline.horizon + 1  # origins that do not share targets with the last
    return RollingOrigin(max(1, min(FOLDS, most // 2)))


def _origins(timeline: Timeline) -> tuple[np.ndarray, np.ndarray]:
    """[n] rows from each example's origin to the last one of its series, and [series] rows that origins spread over."""
    origin = timeline.scored[:, 0]
    last, first = (
        np.zeros(int(timeline.series.max()) + 1, np.int64),
        np.full(int(timeline.series.max()) + 1, origin.max()),
    )
    np.maximum.at(last, timeline.series, origin)
    np.minimum.at(first, timeline.series, origin)
    there = np.bincount(timeline.series) > 0
    return last[timeline.series] - origin, np.where(there, last - first + 1, 0)


def _of_series(plan: RollingOrigin, timeline: Timeline) -> list[Fold]:
    back, spread = _origins(timeline)
    horizon, step = timeline.horizon, int(back[back > 0].min(initial=back.max(initial=1))) or 1
    usable = int(np.median(spread[spread > 0])) - horizon + 1
    usable = usable if usable >= 2 else int(spread.max()) - horizon + 1
    usual = min(max(horizon, usable // USUAL), int(LARGEST * usable / plan.folds))
    block = plan.block or max(1, step, usual)
    ends = timeline.scored[:, 0] + back  # the last origin of each example's series
    folds = []
    for k in range(plan.folds, 0, -1):
        cut = ends - k * block + 1  # the first origin of the block
        train = timeline.seen[:, 1] <= cut - plan.gap
        if plan.window is not None:
            train &= timeline.scored[:, 0] > cut - plan.gap - horizon - plan.window
        judged = (back >= (k - 1) * block) & (back < k * block)
        if not train.any() or not judged.any():
            _too_short(timeline, plan.folds, block, plan.gap)
        folds.append((np.flatnonzero(train), np.flatnonzero(judged)))
    return folds


def _too_short(timeline: Timeline, folds: int, block: int, gap: int = 0) -> NoReturn:
    """Says how many rows the longest series lacks."""
    horizon, one = timeline.horizon, int(np.ptp(timeline.seen[0]))
    first, last = timeline.ends()
    longest, needed = int((last - first).max()), one + horizon - 1 + gap + folds * block
    missing, each = max(1, needed - longest), "each need" if folds > 1 else "needs"
    smaller = (
        ("a smaller window", Remedy(" (", Setting("window"), ")"), ", " if folds > 1 else " or ")
        if one - horizon > missing
        else ()
    )
    raise InputError(
        f"{count_of(folds, 'fold')} on a rolling origin of {count_of(block, 'origin')} {each} {needed} rows of a "
        f"series that are not sealed, for an example takes {one}, and the longest has {longest}: "
        f"{missing} {'is' if missing == 1 else 'are'} missing. Use ",
        *smaller,
        f"a shorter horizon{', or fewer folds' if folds > 1 else ''}.",
    )
