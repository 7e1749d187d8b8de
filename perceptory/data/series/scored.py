"""Targets of the examples that a table of series is cut into, and what they are scored by."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from perceptory.data.arrays.dataset import ArrayDataset
from perceptory.data.labels import Labels
from perceptory.data.series.clock import Clock
from perceptory.data.series.columns import ITSELF, ahead, every_step, groups_of_series, numbers, one_value
from perceptory.data.series.feedback import Known
from perceptory.data.series.rolled import Ahead
from perceptory.data.series.season import changes, season_of
from perceptory.data.series.timeline import Timeline
from perceptory.data.series.windows import Cut
from perceptory.data.tables.labels import labels_of
from perceptory.data.tables.table import RawColumn, Table
from perceptory.data.tables.targets import TASKS, Target
from perceptory.notes import Note, targets_missing, without_target

KNOWN = 0.75  # of each series, in which its season is looked for: what is sealed has no part in it


class Scored(NamedTuple):
    """Targets of the examples that a table is cut into, and where they stand."""

    target: Target
    names: tuple[str, ...]
    weights: np.ndarray | None
    owner: np.ndarray  # [n] the series of each example
    rows: np.ndarray  # [n] the row, in the clock's order, that an example's prediction belongs to
    keep: np.ndarray  # [n] bool: whether it has a target
    notes: tuple[Note, ...] = ()


def scored_by(
    use: str,
    columns: list[RawColumn],
    clock: Clock,
    cut: Cut,
    horizons: tuple[int, ...],
    task: str | None,
    washout: int,
    like: ArrayDataset | None,
    *,
    may_miss: bool,
) -> Scored:
    """What the examples of a cut are scored by. may_miss: whether what is missing in a forecast is no target."""
    owner = clock.starts.searchsorted(cut.starts, side="right") - 1
    keep, names = np.ones(len(cut.starts), bool), tuple(c.name for c in columns)
    if use == "every step":
        target, weights = every_step(columns, clock, cut, task, washout, like, may_miss=may_miss)
        return Scored(target, names, weights, owner, cut.starts, keep)
    if use == ITSELF:
        return Scored(Target("autoencode", np.zeros((len(keep), 0))), (), None, owner, cut.starts, keep)
    if use == "ahead":
        target, names, keep = ahead(columns, clock, cut, horizons, task, like, may_miss=may_miss)
        notes = () if keep.all() else (targets_missing(int((~keep).sum())),)
        return Scored(target, names, None, owner, cut.starts + cut.steps - 1 + min(horizons), keep, notes)
    target, has = one_value(columns, clock, task, like)
    keep = has[owner]
    place = np.cumsum(has) - 1  # of a series among those with a target
    target = replace(target, targets=target.targets[place[owner[keep]]])
    notes = () if has.all() else (without_target(int((~has).sum()), "series"),)
    return Scored(target, names, None, owner, cut.starts, keep, notes)


def timeline_of(
    use: str, clock: Clock, cut: Cut, scored: Scored, washout: int, horizons: tuple[int, ...], known: Known = 0
) -> Timeline:
    """Steps of the washout are not scored; a forecast is scored by its horizons alone. Where no output is known, what a
    network is given of a washout are inputs, which tell nothing of another example's targets. Of forecasts series are
    numbered as in `Ends`, without those shorter than a window."""
    seen = cut.spans
    judged = seen
    owner = scored.owner[scored.keep]
    if use == "ahead":
        first = cut.starts + cut.steps - 1
        owner = np.cumsum(clock.lengths >= cut.steps)[owner] - 1
        judged = np.stack([first + min(horizons), first + max(horizons) + 1], axis=1).astype(np.int64)
    elif washout:
        judged = np.stack([seen[:, 0] + washout, seen[:, 1]], axis=1)
        seen = seen if known else judged
    return Timeline.small(owner, seen, judged, use == "ahead")


def season_asked(
    columns: list[RawColumn], clock: Clock, season: int | None, task: str | None, like: ArrayDataset | None
) -> int:
    """Steps of a season of what is forecast: as asked, told by the time step, or found in the first part of each
    series."""
    if like is not None:
        return like.plan.season if like.plan is not None else 1
    if season is not None:
        return int(season)
    if (task is not None and TASKS[task] != "regression") or any(c.storage == "label" for c in columns):
        return 1
    values = np.stack([numbers(c, clock, "target", may_miss=True) for c in columns], axis=1)
    ends = zip(clock.starts, clock.starts[:-1] + (KNOWN * clock.lengths).astype(int), strict=False)
    return season_of([part for a, b in ends for part in values[a:b].T], clock.calendar.step, clock.calendar.unit)


def units_of(columns: list[RawColumn], clock: Clock, cut: Cut, season: int, scored: Scored) -> Ahead | None:
    """[n, out] the mean change over a season up to each example's origin, of numbers."""
    if scored.target.task != "regression":
        return None
    values = np.stack([numbers(c, clock, "target", may_miss=True) for c in columns], axis=1)
    by_row = changes(values, clock.starts, np.arange(1, len(values) + 1), season)
    return Ahead(by_row, cut.starts + cut.steps - 1, (0,) * (len(scored.names) // len(columns)))


def group_ids(
    table: Table, groups: str | None, clock: Clock, owner: np.ndarray, *, stay_together: bool
) -> np.ndarray | None:
    """[n] int64 of the examples that stay together: by a column, or each series its own; None where they may part."""
    if groups is not None:
        return groups_of_series(table.column(groups, "column of groups"), clock)[owner]
    return owner.astype(np.int64) if stay_together else None


def colors_of(table: Table, color: str | None, clock: Clock, cut: Cut) -> Labels | None:
    """The values in the first rows of examples."""
    if color is None:
        return None
    column = table.column(color, "column to color by").take(clock.order[cut.starts])
    return labels_of(color, column, len(cut.starts))
