"""What the columns of a table of series are: the time, the targets, the inputs, and what stands beside them."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from perceptory.data.arrays.dataset import ArrayDataset
from perceptory.data.series.asked import check_color
from perceptory.data.series.beside_asked import as_list, columns_known_ahead, static_columns
from perceptory.data.series.clock import Clock, read_clock
from perceptory.data.series.columns import ITSELF, input_names, target_columns
from perceptory.data.series.feedback import PREFIX, Known
from perceptory.data.series.future import Ended, ended
from perceptory.data.series.gaps import check_fill, regular
from perceptory.data.series.periods import with_dates
from perceptory.data.series.spikes import check_spikes, without_spikes
from perceptory.data.series.times import find_time
from perceptory.data.tables.cells import Reading
from perceptory.data.tables.folders import FILE, for_use
from perceptory.data.tables.inference import infer
from perceptory.data.tables.lost_digits import about_digits
from perceptory.data.tables.marks import usual_mark
from perceptory.data.tables.sources import as_table
from perceptory.data.tables.table import RawColumn, Table
from perceptory.errors import InputError
from perceptory.notes import Note, taken_for_time


@dataclass(frozen=True, eq=False)
class Asked:
    """The arguments of `read_series`, with the names of columns as they are written in the table."""

    use: str
    target: Any
    inputs: Any
    time: str | None
    series: str | None
    groups: str | None
    color: str | None
    window: Any
    stride: int | None
    horizon: Any
    season: int | None
    washout: int
    known: Known
    known_ahead: Any
    static: Any
    calendar: Any
    series_weights: str
    task: str | None
    ignore: Any
    together: bool | None
    fill: str | None
    spikes: str
    reading: Reading
    like: ArrayDataset | None

    @property
    def like_task(self) -> Any:
        """The task of the study whose examples these are read like, if there is one."""
        return None if self.like is None else self.like.task


class Found(NamedTuple):
    """What the columns of a table are. table: regular, without what comes after its series; columns: the targets;
    names: the inputs; time_found: whether nobody named the time."""

    asked: Asked
    table: Table
    clock: Clock
    whole: Ended
    columns: list[RawColumn]
    names: list[str]
    statics: list[Any]
    known_ahead: list[str]
    time_found: bool
    notes: list[Note]


def columns_of(source: Any, asked: Asked) -> Found:
    """Read the table, and tell its columns apart."""
    like, use, inputs = asked.like, asked.use, asked.inputs
    table = _table(source, asked.reading, asked.target, asked.series, asked.groups)
    if table.by_file:  # each file of a folder is a series, unless a column tells them apart
        asked = replace(asked, series=asked.series or FILE)
        table = for_use(table, [asked.series, asked.groups, asked.color])
    if like is None and not asked.reading.decimal:
        asked = replace(asked, reading=replace(asked.reading, usual=usual_mark(table.notes)))
    unlabeled = asked.use == ITSELF
    columns = [] if unlabeled else target_columns(table, asked.target, asked.like_task)
    roles = {"time": asked.time, "series": asked.series, "groups": asked.groups, "color": asked.color}
    check_color(asked.color, unlabeled)
    fill = check_fill(asked.fill) if like is None else getattr(like.plan, "fill", None)
    times = _times(table, use, asked.time, columns, inputs, asked.ignore, roles, like)
    time, found = (asked.time, False) if asked.time is not None or not times else (times[0], True)
    roles["time"] = time
    known_ahead, inputs = columns_known_ahead(table, columns, inputs, asked.known_ahead, like)
    whole = ended(table, time, asked.series, known_ahead, [c.name for c in columns])
    if whole.later is not None:
        table = whole.table
        columns = target_columns(table, asked.target, asked.like_task)
    plain = [*as_list(asked.ignore), *times[1:]]
    used = {
        *(n for n in plain if isinstance(n, str)),
        *known_ahead,
        *(c.name for c in columns),
        *(n for n in roles.values() if isinstance(n, str)),
    }
    statics, constant, remarks = static_columns(table, use, asked.series, inputs, asked.static, used, like)
    names, notes = input_names(table, use, columns, inputs, [*plain, *constant], roles)
    goals = [c.name for c in columns]
    inner = [
        c if c.cells or c.storage != "text" else infer(c) for n in names if (c := table.column(n)).name not in goals
    ]
    notes = [*remarks, *notes, *about_digits(inner, columns)]
    if found and inputs is None:
        notes = [taken_for_time(times[0], times[1:]), *notes]
    table, clock = regular(table, time, asked.series, fill, found=found, given=whole.given)
    clock = whole.numbered(clock)
    spikes = check_spikes(asked.spikes) if like is None else getattr(like.plan, "spikes", "keep")
    far_off: tuple[Note, ...] = ()
    if use == "ahead":
        table, far_off = without_spikes(table, clock, tuple(c.name for c in columns), spikes)
    if (fill or far_off) and columns:
        columns = target_columns(table, asked.target, asked.like_task)
    notes = [*notes, *far_off]
    asked = replace(asked, fill=fill, spikes=spikes, time=time, inputs=inputs)
    return Found(asked, table, clock, whole, columns, names, statics, known_ahead, found, notes)


def measured(like: ArrayDataset) -> list[str]:
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
    times = find_time(table, roles["series"], used, ahead=use == "ahead")
    past = use == "ahead" and any(c.storage != "label" for c in targets)  # which is an input
    if inputs is None and not past and used.issuperset(set(table.names) - set(times)):
        return []  # what is left as an input is one
    if inputs is None or not times:
        return times
    with contextlib.suppress(InputError):  # nobody asked for a time, and its gaps are nobody's fault
        read_clock(table, times[0], roles["series"])
        return times[:1]
    return []


def _table(source: Any, reading: Reading, target: Any, series: str | None, groups: str | None) -> Table:
    wanted = [series, groups, *(target if isinstance(target, (list, tuple)) else [target])]
    return with_dates(as_table(source, reading=reading, as_text=[n for n in wanted if isinstance(n, str)])).filled()
