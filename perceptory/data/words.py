"""What is said of data: how many there are, what each column was read as, what was noticed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from perceptory.data.tables.column_plan import ColumnPlan, plan_columns
from perceptory.errors import Door, python_words
from perceptory.notes import Note, about_column, cut_from_rows, in_common, joined, standardized
from perceptory.wording import count_of

NAMES_SHOWN = 6
ROWS = ("table", "stream")  # kinds of data whose examples are rows


def data_lines(data: Any, test: Any = None, door: Door = python_words) -> list[str]:
    """What was made of the data: one line for the whole, one for every kind of column that says more, then the notes.

    test: data that are sealed for the test, where they are not a share of these. door: whose words name settings.
    """
    examples = data.kind not in ROWS
    columns = () if examples else plan_columns(data.columns, data.rows)
    lines = [f"{_examples(data)}, {_target(data)}"] if examples else _columns(data, columns, door)
    if test is not None:
        lines.append(f"  test: {count_of(test.rows, 'row' if data.kind in ROWS else 'example')} of their own")
    ignored = {c.name for c in columns if not c.used}
    notes = [note for note in data.notes if not _stands_above(note, ignored)]
    return lines + [f"  note: {note.said(door)}" for note in notes]


def _stands_above(note: Note, ignored: set[str]) -> bool:
    """Whether the lines before the notes say it: how examples were cut, why a column is ignored."""
    return cut_from_rows.describes(note) or (about_column.describes(note) and note.facts["column"] in ignored)


def _examples(data: Any) -> str:
    """'1797 images of 8 x 8 pixels, gray'."""
    channels = listed(data.channels)
    if data.kind == "image":
        return f"{count_of(data.rows, 'image')} of {data.shape[0]} x {data.shape[1]} pixels, {channels}"
    if data.kind == "series":
        steps = "" if data.lengths is None else f"{data.lengths.min()} to "
        what = "window" if data.plan is not None and data.plan.window is not None else "example"
        inputs = f"{count_of(len(data.channels), 'input')} ({channels})"
        rows = "".join(_origin(note.facts) for note in data.notes if cut_from_rows.describes(note))
        return f"{count_of(data.rows, what)} of {steps}{count_of(data.shape[0], 'step')}{rows}, {inputs}"
    return f"{count_of(data.rows, 'example')} of {' x '.join(map(str, data.shape))} numbers"


def _origin(facts: Mapping[str, Any]) -> str:
    """' from 300 rows of 3 series'."""
    several = f" of {facts['series']} series" if facts["series"] > 1 else ""
    return f" from {count_of(facts['rows'], 'row')}{several}"


def _columns(data: Any, columns: Sequence[ColumnPlan], door: Door) -> list[str]:
    kinds = [c.kind if c.used else "ignored" for c in columns]
    counts = [
        f"{kinds.count(kind)} {kind}"
        for kind in ("numeric", "boolean", "categorical", "date", "ignored")
        if kind in kinds
    ]
    inputs = f"{', '.join(counts)} {'column' if len(columns) == 1 else 'columns'}"
    lines = [f"{count_of(data.rows, 'row')}, {inputs}, {_target(data)}"]
    alike: dict[tuple[Any, ...], list[ColumnPlan]] = {}
    for column, kind in zip(columns, kinds, strict=True):
        if column.treatment != (standardized(),):
            alike.setdefault((kind, column.rare > 0, *(note.kind for note in _fate(column))), []).append(column)
    for (form, *_), group in alike.items():
        remarks = [in_common(notes) for notes in zip(*map(_fate, group), strict=True)]
        fate = joined(remarks, door)
        if not fate.startswith(form):  # "ignored as asked"
            fate = f"{form}{': ' if form == 'ignored' else ', '}{fate}"
        lines.append(f"  {listed(c.name for c in group)}: {fate}")
    return lines


def _fate(column: ColumnPlan) -> tuple[Note, ...]:
    """What was made of a column, or why it is ignored."""
    return column.treatment if column.used else column.notes


def _target(data: Any) -> str:
    names = listed(data.target_names)
    if data.task == "autoencode":
        colored = "" if data.labels is None else f", colored by {data.labels.name}"
        return f"no target: what is learned is to give them back{colored}"
    what = "target" if len(data.target_names) == 1 else "targets"
    if data.classes is None:
        return f"{what} {names}: {data.task}"
    return f"{what} {names}: {len(data.classes)} classes ({listed(data.classes)})"


def listed(names: Iterable[str], most: int = NAMES_SHOWN) -> str:
    """'a, b, c and 4 more'."""
    names = [str(n) for n in names]
    more = f" and {len(names) - most} more" if len(names) > most + 1 else ""
    return ", ".join(names[:most] if more else names) + more
