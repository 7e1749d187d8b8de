"""Time series: a long table of rows in the order of time becomes windows, or whole series, with their targets."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from perceptory.data.arrays.dataset import ArrayDataset, ArrayEncoder, fits
from perceptory.data.labels import Labels
from perceptory.data.series.beside import ONLY_THE_PAST, Beside, check_names
from perceptory.data.series.beside_asked import (
    as_list,
    check_beside,
    columns_known_ahead,
    rolled,
    static_columns,
    times_asked,
    with_others,
)
from perceptory.data.series.clock import Clock, read_clock
from perceptory.data.series.columns import (
    ITSELF,
    USES,
    ahead,
    every_step,
    groups_of_series,
    input_names,
    input_values,
    missing_inputs,
    numbers,
    one_value,
    parted,
    target_columns,
)
from perceptory.data.series.ends import Ends
from perceptory.data.series.feedback import PREFIX, Known, check_known, known_outputs
from perceptory.data.series.future import ended
from perceptory.data.series.gaps import MISSING, check_fill, regular
from perceptory.data.series.plan import SeriesPlan
from perceptory.data.series.season import changes, season_of
from perceptory.data.series.timeline import Timeline
from perceptory.data.series.times import find_time
from perceptory.data.series.weights import check_series_weights
from perceptory.data.series.windows import Cut, cut_rows, record_cut, usual_cut
from perceptory.data.tables.cells import Reading, reading_of
from perceptory.data.tables.labels import labels_of
from perceptory.data.tables.marks import usual_mark
from perceptory.data.tables.names import as_written
from perceptory.data.tables.reader import check_no_target
from perceptory.data.tables.sources import as_table, columns_of_rows
from perceptory.data.tables.table import RawColumn, Table
from perceptory.data.tables.targets import TASKS, Target
from perceptory.errors import InputError, Setting
from perceptory.notes import Note, taken_for_time, targets_missing, without_target
from perceptory.specs import count, flag

AUTO = "auto"
KNOWN = 0.75  # of each series, in which its season is looked for: what is sealed has no part in it


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
    use = _use(predict, unlabeled)
    reading = reading_of(missing, decimal, thousands)
    if like is not None:
        task, inputs, reading = like.task, _measured(like), getattr(like.plan, "reading", reading)
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
    table = _table(source, reading, target, series, groups)
    if like is None and not reading.decimal:
        reading = replace(reading, usual=usual_mark(table.notes))
    columns = [] if unlabeled else target_columns(table, target, None if like is None else like.task)
    roles = {"time": time, "series": series, "groups": groups, "color": color}
    _check_color(color, unlabeled)
    fill = check_fill(fill) if like is None else getattr(like.plan, "fill", None)
    times = _times(table, use, time, columns, inputs, ignore, roles, like)
    roles["time"], found = (time, False) if time is not None or not times else (times[0], True)
    time = roles["time"]
    known_ahead, inputs = columns_known_ahead(table, columns, inputs, known_ahead, like)
    whole = ended(table, time, series, known_ahead, [c.name for c in columns])
    if whole.later is not None:
        table = whole.table
        columns = target_columns(table, target, None if like is None else like.task)
    plain = [*as_list(ignore), *times[1:]]
    used = {
        *(n for n in plain if isinstance(n, str)),
        *known_ahead,
        *(c.name for c in columns),
        *(n for n in roles.values() if isinstance(n, str)),
    }
    statics, constant, remarks = static_columns(table, use, series, inputs, static, used, like)
    names, notes = input_names(table, use, columns, inputs, [*plain, *constant], roles)
    notes = [*remarks, *notes]
    if found and inputs is None:
        notes = [taken_for_time(times[0], times[1:]), *notes]
    table, clock = regular(table, time, series, fill, found=found)
    clock = whole.numbered(clock)
    if fill and columns:
        columns = target_columns(table, target, None if like is None else like.task)
    horizons = _horizons(horizon) if use == "ahead" else ()
    if window == AUTO and use == "every step" and like is None:
        window, stride, washout = record_cut(clock.lengths, stride, washout, known)
    window = _steps(window)
    _check_asked(use, window, stride, washout, horizon, season)
    check_known(known, use, window)
    _check_together(groups, together)
    phases = _season(columns, clock, season, task, like) if use == "ahead" else 1
    if use == "ahead":
        window, stride = usual_cut(clock.lengths, window, stride, horizons, phases, like)
    cut = cut_rows(clock, window, stride or window, max(horizons, default=0), latest=use == "ahead")
    names, marks = parted(names, fill) if like is not None else (names, [])
    if fill == "missing" and like is None:
        marks = missing_inputs(table, names, clock)
    values = input_values(table, names, clock, fill, marks)
    labels = _labels(use, columns, clock, cut, horizons, task, washout, like, may_miss=fill == "missing")
    keep = labels.keep
    with_target = cut if keep.all() else replace(cut, starts=cut.starts[keep], lengths=cut.lengths[keep])
    channels = (*names, *(name + MISSING for name in marks))
    beside = ONLY_THE_PAST if like is None or like.plan is None else like.plan.beside
    if use == "ahead" and like is None:
        reach = max(horizons)
        beside = Beside(tuple(known_ahead), tuple(statics), times_asked(calendar, clock, reach), cut.steps, reach)
        check_names(channels, beside)
    values = with_others(beside, table, clock, values, names, whole.future(clock, len(known_ahead)))
    channels += beside.channels
    examples: Any = with_target.gather(values) if use != "ahead" else rolled(values, with_target)
    if known:
        examples = np.concatenate(
            [examples, known_outputs(table, list(labels.names), clock, with_target, known)], axis=2
        )
        channels += tuple(PREFIX + name for name in labels.names)
    known_plan = None if like is None else like.plan
    weighted_as = check_series_weights(series_weights, use) if known_plan is None else known_plan.series_weights
    goals = tuple(c.name for c in columns) if use == "ahead" else ()
    units = _units(columns, clock, with_target, phases, labels) if goals else None
    windows = len(labels.rows) > len(clock.names) or use == "ahead"
    several = windows and len(clock.names) > 1
    together = use != "ahead" if together is None else together
    ids = _group_ids(table, groups, clock, labels.owner, stay_together=several and together)
    dataset = ArrayDataset(
        inputs=examples,
        channels=channels,
        target_names=labels.names,
        task=labels.target.task,
        targets=labels.target.targets,
        classes=labels.target.classes,
        class_values=labels.target.class_values,
        weights=labels.weights,
        lengths=cut.lengths[keep] if (cut.lengths != cut.steps).any() else None,
        groups=None if ids is None else ids[keep],
        timeline=_timeline(use, with_target, labels, washout, horizons) if windows else None,
        notes=(
            *table.notes,
            *notes,
            *clock.notes,
            *cut.notes(clock, ahead=use == "ahead", to_learn=like is None),
            *labels.notes,
            *labels.target.notes,
        ),
        row_numbers=clock.rows[labels.rows[keep]].astype(np.int64),
        kind="series",
        plan=SeriesPlan(
            use,
            window,
            time,
            series,
            clock.calendar,
            known,
            reading,
            horizons,
            fill,
            found,
            goals,
            phases,
            beside,
            weighted_as,
        ),
        units=units,
        labels=_colors(table, color, clock, cut),
        ends=Ends.of(clock, values, cut.steps) if use == "ahead" else None,
    )
    if like is None:
        ArrayEncoder.fit(dataset)
    else:
        fits(dataset, like)
    if several and not together:
        dataset = dataset.take(np.argsort(clock.moments[labels.rows[keep]], kind="stable"))
    return dataset


def _measured(like: ArrayDataset) -> list[str]:
    """Names of the columns that are inputs, without the known outputs, which come after them."""
    names = like.channels if like.plan is None else like.plan.beside.columns_of(like.channels)
    return [name for name in names if not (like.known_outputs and name.startswith(PREFIX))]


def _times(
    table: Table,
    use: str,
    time: str | None,
    targets: Sequence[RawColumn],
    inputs: Any,
    ignore: Any,
    roles: dict[str, str | None],
    like: ArrayDataset | None,
) -> list[str]:
    """Columns that hold the time, where none was named."""
    if time is not None:
        return []
    if like is not None:
        known = None if like.plan is None else like.plan.time
        return [known] if known in table.names else []
    given = [] if inputs is None else as_list(inputs)
    ignored = [name for name in as_list(ignore) if isinstance(name, str)]
    used = {*(c.name for c in targets), *given, *ignored, *(n for n in roles.values() if isinstance(n, str))}
    times = find_time(table, roles["series"], used)
    if inputs is None and use != "ahead" and used.issuperset(set(table.names) - set(times)):
        return []  # what is left as an input is one
    if inputs is None or not times:
        return times
    with contextlib.suppress(InputError):  # nobody asked for a time, and its gaps are nobody's fault
        read_clock(table, times[0], roles["series"])
        return times[:1]
    return []


def _table(source: Any, reading: Reading, target: Any, series: str | None, groups: str | None) -> Table:
    wanted = [series, groups, *(target if isinstance(target, (list, tuple)) else [target])]
    table = as_table(source, reading=reading, as_text=[n for n in wanted if isinstance(n, str)])
    if not table.rows or not table.columns:
        raise InputError("the table has no rows." if table.columns else "the table has no columns.")
    return table


class _Labels(NamedTuple):
    """Targets of the examples that a table is cut into, and where they stand."""

    target: Target
    names: tuple[str, ...]
    weights: np.ndarray | None
    owner: np.ndarray  # [n] the series of each example
    rows: np.ndarray  # [n] the row, in the clock's order, that an example's prediction belongs to
    keep: np.ndarray  # [n] bool: whether it has a target
    notes: tuple[Note, ...] = ()


def _labels(
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
) -> _Labels:
    owner = clock.starts.searchsorted(cut.starts, side="right") - 1
    keep, names = np.ones(len(cut.starts), bool), tuple(c.name for c in columns)
    if use == "every step":
        target, weights = every_step(columns, clock, cut, task, washout, like, may_miss=may_miss)
        return _Labels(target, names, weights, owner, cut.starts, keep)
    if use == ITSELF:
        return _Labels(Target("autoencode", np.zeros((len(keep), 0))), (), None, owner, cut.starts, keep)
    if use == "ahead":
        target, names, keep = ahead(columns, clock, cut, horizons, task, like, may_miss=may_miss)
        notes = () if keep.all() else (targets_missing(int((~keep).sum())),)
        return _Labels(target, names, None, owner, cut.starts + cut.steps - 1 + min(horizons), keep, notes)
    target, has = one_value(columns, clock, task, like)
    keep = has[owner]
    place = np.cumsum(has) - 1  # of a series among those with a target
    target = replace(target, targets=target.targets[place[owner[keep]]])
    notes = () if has.all() else (without_target(int((~has).sum()), "series"),)
    return _Labels(target, names, None, owner, cut.starts, keep, notes)


def _timeline(use: str, cut: Cut, labels: _Labels, washout: int, horizons: tuple[int, ...]) -> Timeline:
    """Steps of the washout are not scored; a forecast is scored by its horizons alone."""
    seen = cut.spans
    scored = seen
    if use == "ahead":
        first = cut.starts + cut.steps - 1
        scored = np.stack([first + min(horizons), first + max(horizons) + 1], axis=1).astype(np.int64)
    elif washout:
        scored = np.stack([seen[:, 0] + washout, seen[:, 1]], axis=1)
    return Timeline.small(labels.owner[labels.keep], seen, scored, use == "ahead")


def _season(
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


def _units(columns: list[RawColumn], clock: Clock, cut: Cut, season: int, labels: _Labels) -> np.ndarray | None:
    """[n, out] the mean change over a season up to each example's origin, of numbers."""
    if labels.target.task != "regression":
        return None
    values = np.stack([numbers(c, clock, "target", may_miss=True) for c in columns], axis=1)
    return np.tile(changes(values, clock.starts, cut.starts + cut.steps, season), len(labels.names) // len(columns))


def _group_ids(
    table: Table, groups: str | None, clock: Clock, owner: np.ndarray, *, stay_together: bool
) -> np.ndarray | None:
    """[n] int64 of the examples that stay together: by a column, or each series its own; None where they may part."""
    if groups is not None:
        return groups_of_series(table.column(groups, "column of groups"), clock)[owner]
    return owner.astype(np.int64) if stay_together else None


# --- what was asked for -------------------------------------------------------------------------------------------


def _use(predict: str | None, unlabeled: bool) -> str:
    """What is made of an example; with the task that has no target, itself."""
    if unlabeled:
        if predict is not None:
            raise InputError(
                Setting("task", "autoencode"),
                " predicts nothing but the example itself. Leave out ",
                Setting("predict"),
                ".",
            )
        return ITSELF
    return USES[predict] if predict is not None else _no_use()


def _check_color(color: str | None, unlabeled: bool) -> None:
    if color is not None and not unlabeled:
        raise InputError(Setting("color"), " is for ", Setting("task", "autoencode"), ", which has no target.")


def _colors(table: Table, color: str | None, clock: Clock, cut: Cut) -> Labels | None:
    """The values in the first rows of examples."""
    if color is None:
        return None
    column = table.column(color, "column to color by").take(clock.order[cut.starts])
    return labels_of(color, column, len(cut.starts))


def _no_use() -> str:
    raise InputError(
        "say what to predict: ",
        Setting("predict", "every step"),
        " (a dynamic system), ",
        Setting("predict", "ahead"),
        " (a forecast) or ",
        Setting("predict", "one value"),
        " (a number or class a series). ",
        Setting("task", "autoencode"),
        " learns to give the series back, which needs no target.",
    )


def _check_together(groups: str | None, together: bool | None) -> None:
    if together is not None:
        flag("together", together)
    if groups is not None and together is False:
        raise InputError(
            Setting("groups"),
            " keeps examples together, and ",
            Setting("together", False),
            " parts them. Give one of the two.",
        )


def _horizons(horizon: Any) -> tuple[int, ...]:
    given = list(horizon) if isinstance(horizon, (Sequence, range, np.ndarray)) else [horizon]
    for h in given:
        count(Setting("horizon"), h)
    if not given or len(set(given)) != len(given) or isinstance(horizon, str):
        raise InputError(
            Setting("horizon"), f" needs a number of rows ahead, or several different ones, got {horizon!r}."
        )
    return tuple(int(h) for h in given)


def _steps(window: Any) -> int | None:
    """A window without the word that leaves it open."""
    steps: int | None = None if window == AUTO else window
    return steps


def _check_asked(use: str, window: Any, stride: int | None, washout: int, horizon: Any, season: int | None) -> None:
    if season is not None:
        count(Setting("season"), season)
        if use != "ahead":
            raise InputError(
                Setting("season"), " is for ", Setting("predict", "ahead"), f", not for {use!r}. Leave it out."
            )
    if window is not None:
        count(Setting("window"), window)
    if stride is not None:
        count(Setting("stride"), stride)
        if window is None and use != "ahead":
            raise InputError(
                Setting("stride"),
                " is the way from one window to the next, so it needs ",
                Setting("window"),
                ". Example: ",
                Setting("window", 100),
            )
    count(Setting("washout"), washout, least=0)
    if washout and use != "every step":
        raise InputError(
            Setting("washout"), " is for ", Setting("predict", "every step"), f", not for {use!r}. Leave it out."
        )
    if use != "ahead" and not (isinstance(horizon, int) and horizon == 1):
        raise InputError(
            Setting("horizon"), " is for ", Setting("predict", "ahead"), f", not for {use!r}. Leave it out."
        )
