"""Time series: a long table of rows in the order of time becomes windows, or whole series, with their targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from perceptory.data.arrays.dataset import ArrayDataset, ArrayEncoder, fits
from perceptory.data.series.asked import AUTO, check_cut, check_together, horizons_of, steps_of, use_of
from perceptory.data.series.beside import ONLY_THE_PAST, Beside, check_names
from perceptory.data.series.beside_asked import (
    check_beside,
    rolled,
    times_asked,
    with_others,
)
from perceptory.data.series.columns import input_values, missing_inputs, parted
from perceptory.data.series.ends import Ends
from perceptory.data.series.feedback import PREFIX, Known, check_known, known_outputs
from perceptory.data.series.found import Asked, Found, columns_of, measured
from perceptory.data.series.gaps import MISSING
from perceptory.data.series.plan import SeriesPlan
from perceptory.data.series.scored import (
    Scored,
    colors_of,
    group_ids,
    scored_by,
    season_asked,
    timeline_of,
    units_of,
)
from perceptory.data.series.told import told_of_rows
from perceptory.data.series.weights import check_series_weights
from perceptory.data.series.windows import Cut, cut_rows, record_cut, usual_cut
from perceptory.data.tables.cells import reading_of
from perceptory.data.tables.names import as_written
from perceptory.data.tables.reader import check_no_target
from perceptory.data.tables.sources import columns_of_rows


def read_series(
    source: Any,
    target: str | Sequence[str] | None = None,
    *,
    predict: str | None = None,
    inputs: Sequence[str] | str | None = None,
    time: str | None = None,
    series: str | None = None,
    groups: str | None = None,
    color: str | None = None,
    window: int | str | None = None,
    stride: int | None = None,
    horizon: int | Sequence[int] = 1,
    season: int | None = None,
    washout: int = 0,
    known: Known = 0,
    known_ahead: Sequence[str] | str = (),
    static: Sequence[str] | str | None = None,
    calendar: bool | Sequence[str] | str | None = None,
    series_weights: str = "window",
    task: str | None = None,
    ignore: Sequence[str] | str = (),
    together: bool | None = None,
    fill: str | None = None,
    spikes: str = "fill",
    missing: Sequence[str] | str = (),
    decimal: str | None = None,
    thousands: str | None = None,
    like: ArrayDataset | None = None,
) -> ArrayDataset:
    """Read a long table, one row a moment, and cut it into examples [n, time, channel].

    source: any table that `read_table` takes. target: the name of a column, or a list of names.
    predict: what a network makes of an example; there are three uses.

    - "every step": a dynamic system, inputs u(t) -> outputs y(t) at the same step; targets [n, window, out]. The
      network sees of the outputs' past only what is `known`. Without a window each series is one example. The first
      `washout` steps, when the network does not know the system's state yet, have weight 0.
    - "ahead": a forecast from the past `window` rows of the inputs and of the target itself; targets [n, out]. The
      target stands `horizon` rows after the last row of the window; several horizons, such as range(1, 13), are
      several outputs. `season`: steps after which the series repeat themselves, 1 for none; without it, it is told by
      the time step or found in the first three quarters of each series. Scaled errors are measured by it. Of all other
      columns no forecast sees anything after its origin, but of those that are `known_ahead`.
    - "one value": a number or class a series, which the target column repeats in all rows of that series; targets [n].
      Series of different lengths are padded with 0 at their end (`lengths`). With a window, each window is an example
      that has the value of its series.

    task: as in `read_table`. With "autoencode" there is nothing to predict and no target: each window, or each whole
    series, is itself what is given back.

    inputs: names of columns; all that are not used otherwise where it is not given. They hold numbers or true and
    false, without missing values. ignore: columns that are not inputs.
    time: a column of numbers or dates, which has to increase in equal steps (dates also by months or business days, or
    without leap days); it is not an input. Where none is named, a column that goes forward by equal steps is taken for
    it, so that the number of the year is no input by accident; where there is none, rows are taken as they come.
    series: a column that tells several series apart; no example has rows of two.
    fill: what becomes of missing rows and cells: "previous", "linear" or "missing" (see `gaps.regular`); None refuses
    them, by their place.
    spikes: of forecasts, what becomes of values that stand alone, more than forty deviations of all others away:
    "fill" puts the straight line between their neighbors in their place, "keep" leaves them.
    window: steps of an example; by default two seasons or horizons of forecasts (a week and a day of hours), as far as
    the series are long enough. "auto" cuts a single record of a dynamic system into windows that overlap, with a
    washout (`windows.record_cut`), as `perceptory fit` does, and is None for anything else. stride: rows from one
    window to the next; by default `window` for "every step" and "one value", so that no two examples share a row, and 1
    for "ahead". Windows begin with a series' first row, forecasts end with its last one; rows that fill no window are
    left out, with a note.
    known: measured outputs as inputs, one more channel an output. A number of steps: what the outputs were at the
    beginning, where a simulation starts (then the last of these values stays). "all": every measured value, for
    networks that feed outputs back (`NARX`).
    known_ahead: columns whose values are known before they come to pass, such as a planned promotion, a holiday or a
    weather forecast: a network sees them at the steps that it forecasts too. The table may go on after the end of its
    series, with rows in which only these columns have values: the future that is forecast.
    static: columns with one value a series, such as a region: numbers, or categories, of which those that two series
    have in common get an input each, and any other is 0 in all of them. By default all such columns of several series.
    calendar: times of the calendar as inputs, as sines and cosines: "hour of day", "day of week", "month", "day of
    year"; True for those that suit the time step and that the series hold twice; by default none.
    series_weights: what counts the same in training where series differ in their length: each "window", each "series",
    or between them "root", each series by the root of its number of windows. Scores count windows.
    groups: a column whose value is the same in all rows of a series, for examples that must stay together. Without it,
    the windows of one series stay together where there are several series, but forecasts do not: the last ones of every
    series are tested. together says otherwise; where windows of several series part, the examples are in the order of
    time over all series.
    color: with "autoencode", a column whose value in the first row of each example colors the figures of the codes.
    missing, decimal, thousands: how cells of text are written, as in `read_table`.
    like: the data of a study that these rows are to test: read with its task, classes, inputs and way of writing cells,
    so that one series or one class is enough. The other arguments are as they were there.

    Raises `InputError`, with the place of the first row that is wrong, for everything that cannot be read.
    """
    unlabeled = check_no_target(task if like is None else like.task, target)
    use = use_of(predict, unlabeled)
    reading = reading_of(missing, decimal, thousands)
    if like is not None:
        task, inputs, reading = like.task, measured(like), getattr(like.plan, "reading", reading)
    source = columns_of_rows(source)
    target, inputs, ignore, time, series, groups, color, known_ahead, static = (
        as_written(given, source, what)
        for given, what in (
            (target, "target"), (inputs, "input"), (() if ignore is None else ignore, "column to ignore"),
            (time, "column of time"), (series, "column of series"), (groups, "column of groups"),
            (color, "column to color by"), (known_ahead, "column that is known ahead"), (static, "static column"),
        )
    )  # fmt: skip
    check_beside(use, known_ahead, static, calendar)
    asked = Asked(
        use, target, inputs, time, series, groups, color, window, stride, horizon, season, washout, known, known_ahead,
        static, calendar, series_weights, task, ignore, together, fill, spikes, reading, like,
    )  # fmt: skip
    found = columns_of(source, asked)
    cut = _cut(found)
    return _dataset(found, cut)


class _Examples(NamedTuple):
    """Where examples stand, and what they are scored by. cut: those that have a target; of_all: before that."""

    window: int | None
    washout: int
    horizons: tuple[int, ...]
    season: int
    of_all: Cut
    cut: Cut
    scored: Scored


def _cut(found: Found) -> _Examples:
    asked, clock, like, use = found.asked, found.clock, found.asked.like, found.asked.use
    window, stride, washout = asked.window, asked.stride, asked.washout
    horizons = horizons_of(asked.horizon) if use == "ahead" else ()
    if window == AUTO and use == "every step" and like is None:
        window, stride, washout = record_cut(clock.lengths, stride, washout, asked.known)
    window = steps_of(window)
    check_cut(use, window, stride, washout, asked.horizon, asked.season)
    check_known(asked.known, use, window)
    check_together(asked.groups, asked.together)
    season = season_asked(found.columns, clock, asked.season, asked.task, like) if use == "ahead" else 1
    if use == "ahead":
        window, stride = usual_cut(clock.lengths, window, stride, horizons, season, like)
    reach, spare = max(horizons, default=0), use == "ahead" and asked.window is None and like is None
    cut = cut_rows(clock, window, stride or window, reach, latest=use == "ahead", spare=spare)
    may_miss = asked.fill == "missing"
    scored = scored_by(use, found.columns, clock, cut, horizons, asked.task, washout, like, may_miss=may_miss)
    keep = scored.keep
    own = cut if keep.all() else replace(cut, starts=cut.starts[keep], lengths=cut.lengths[keep])
    return _Examples(window, washout, horizons, season, cut, own, scored)


def _inputs(found: Found, examples: _Examples) -> tuple[Any, np.ndarray, tuple[str, ...], Beside]:
    """(inputs [n, time, channel] of the examples that have a target, values [row, channel] that they are cut from,
    names of the channels, what stands beside the past)."""
    asked, table, clock, like = found.asked, found.table, found.clock, found.asked.like
    names, marks = parted(found.names, asked.fill) if like is not None else (found.names, [])
    if asked.fill == "missing" and like is None:
        marks = missing_inputs(table, names, clock)
    values = input_values(table, names, clock, asked.fill, marks)
    channels = (*names, *(name + MISSING for name in marks))
    beside = ONLY_THE_PAST if like is None or like.plan is None else like.plan.beside
    if asked.use == "ahead" and like is None:
        reach, times = max(examples.horizons), times_asked(asked.calendar, clock, max(examples.horizons))
        beside = Beside(tuple(found.known_ahead), tuple(found.statics), times, examples.of_all.steps, reach)
        check_names(channels, beside)
    future = found.whole.future(clock, len(found.known_ahead))
    values = with_others(beside, table, clock, values, names, future)
    channels += beside.channels
    inputs: Any = rolled(values, examples.cut) if asked.use == "ahead" else examples.cut.gather(values)
    if asked.known:
        past = known_outputs(table, list(examples.scored.names), clock, examples.cut, asked.known)
        inputs = np.concatenate([inputs, past], axis=2)
        channels += tuple(PREFIX + name for name in examples.scored.names)
    return inputs, values, channels, beside


def _dataset(found: Found, examples: _Examples) -> ArrayDataset:
    asked, table, clock, like, use = found.asked, found.table, found.clock, found.asked.like, found.asked.use
    all_of, cut, scored = examples.of_all, examples.cut, examples.scored
    inputs, values, channels, beside = _inputs(found, examples)
    ahead = use == "ahead"
    known_plan = None if like is None else like.plan
    weighted_as = check_series_weights(asked.series_weights, use) if known_plan is None else known_plan.series_weights
    goals = tuple(c.name for c in found.columns) if ahead else ()
    windows = len(scored.rows) > len(clock.names) or ahead
    several = windows and len(clock.names) > 1
    together = not ahead if asked.together is None else asked.together
    ids = group_ids(table, asked.groups, clock, scored.owner, stay_together=several and together)
    plan = SeriesPlan(
        use, examples.window, asked.time, asked.series, clock.calendar, asked.known, asked.reading, examples.horizons,
        asked.fill, found.time_found, goals, examples.season, beside, weighted_as, asked.spikes,
    )  # fmt: skip
    dataset = ArrayDataset(
        inputs=inputs,
        channels=channels,
        target_names=scored.names,
        task=scored.target.task,
        targets=scored.target.targets,
        classes=scored.target.classes,
        class_values=scored.target.class_values,
        weights=scored.weights,
        lengths=all_of.lengths[scored.keep] if (all_of.lengths != all_of.steps).any() else None,
        groups=None if ids is None else ids[scored.keep],
        timeline=timeline_of(use, clock, cut, scored, examples.washout, examples.horizons, asked.known)
        if windows
        else None,
        notes=(
            *table.notes,
            *found.notes,
            *clock.notes,
            *all_of.notes(clock, ahead=ahead, to_learn=like is None),
            *scored.notes,
            *scored.target.notes,
            *told_of_rows(found, values, examples.horizons),
        ),
        row_numbers=clock.rows[scored.rows[scored.keep]].astype(np.int64),
        kind="series",
        plan=plan,
        units=units_of(found.columns, clock, cut, examples.season, scored) if goals else None,
        labels=colors_of(table, asked.color, clock, all_of),
        ends=Ends.of(clock, values, all_of.steps) if ahead else None,
    )
    if like is None:
        ArrayEncoder.fit(dataset)
    else:
        fits(dataset, like)
    if several and not together:
        dataset = dataset.take(np.argsort(clock.moments[scored.rows[scored.keep]], kind="stable"))
    return dataset
