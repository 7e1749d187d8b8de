"""A folder of tables as one table: parts of a large one, or a file for each series."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perceptory import files
from perceptory.data.ahead import in_threads
from perceptory.data.tables.endings import named_as_table
from perceptory.data.tables.table import RawColumn, Table, columns_are
from perceptory.errors import InputError
from perceptory.notes import Note
from perceptory.wording import listed

if TYPE_CHECKING:
    import polars as pl

FILE = "file"  # the column that names the file of each row, where the tables have none of that name
KINDS = {
    "number": "numbers",
    "boolean": "truth values",
    "date": "dates",
    "text": "text",
    "label": "categories",
    "other": "values that are neither numbers nor text",
}


def tables_in(path: Any) -> list[Path]:
    """The tables of a folder, by name; [] of what is none of tables: a file, a folder with folders or pictures in it.
    Hidden files and those that begin with _ are no part of it, as where other programs write a table in parts."""
    path = files.path_of(path)
    if not path.is_dir():
        return []
    with os.scandir(path) as entries:  # which knows what is a file without asking for each
        inside = {path / one.name: one.is_dir() for one in entries if not one.name.startswith((".", "_"))}
    tables = sorted(filter(named_as_table, inside))
    others = sorted(one.name for one in inside if not named_as_table(one))
    if not tables or any(inside.values()) or any(map(_holds_pictures, others)):
        return []
    if others:
        raise InputError(
            f"the folder {str(path)!r} holds tables, and {listed(others)} beside them, which are none. Give a folder of"
            " tables alone."
        )
    return tables


def _holds_pictures(name: str) -> bool:
    """Whether a file does so by its name."""
    from perceptory.data.images.files import ENDINGS
    from perceptory.data.images.idx import is_idx

    return name.lower().endswith(ENDINGS) or is_idx(name)


def stacked_tables(paths: Sequence[Path], read: Callable[[Path], tuple[Table, str | None]]) -> tuple[Table, str | None]:
    """(The rows of all files, one file below the other, with a column `FILE`; what separates their cells)."""
    import numpy as np
    import polars as pl

    both = list(in_threads(read, paths))
    tables, delimiters = [table for table, _ in both], {delimiter for _, delimiter in both}
    if len(delimiters) > 1:
        raise InputError(
            f"the files in {paths[0].parent.name} separate their cells by different characters. Write them alike."
        )
    names = tables[0].names
    for path, table in zip(paths, tables, strict=True):
        _check_names(paths[0].name, names, path.name, table.names)
    columns = [_stacked(name, [table.column(name, clear=False) for table in tables], paths) for name in names]
    rows = [table.rows for table in tables]
    if FILE not in names:
        of_row = pl.Series(np.repeat(np.arange(len(paths)), rows))
        columns.append(RawColumn(FILE, "label", pl.Series([path.stem for path in paths]).gather(of_row)))
    duplicated = frozenset(name for table in tables for name in table.duplicated)
    whole = Table(
        tuple(columns),
        sum(rows),
        _one_of_a_kind([table.notes for table in tables]),
        duplicated=duplicated,
        by_file=FILE not in names,
    )
    return whole, delimiters.pop()


def _check_names(first: str, names: Sequence[str], file: str, own: Sequence[str]) -> None:
    lacks, more = [n for n in names if n not in own], [n for n in own if n not in names]
    if lacks or more:
        what = [f"lacks {listed(lacks)}"] if lacks else []
        what += [f"has {listed(more)} besides"] if more else []
        raise InputError(
            f"the files of a folder need the same columns, and {file} {' and '.join(what)}. {first}: "
            f"{columns_are(names)}"
        )


def _stacked(name: str, parts: list[RawColumn], paths: Sequence[Path]) -> RawColumn:
    """One column of all files. One without any value is of the kind of the others."""
    import polars as pl

    filled = [k for k, part in enumerate(parts) if part.data.null_count() < len(part)] or [0]
    first = parts[filled[0]]
    for k in filled:
        if parts[k].storage != first.storage:
            raise InputError(
                f"column {name!r} holds {KINDS[first.storage]} in {paths[filled[0]].name} and {KINDS[parts[k].storage]}"
                f" in {paths[k].name}. Write both alike."
            )
    read = all(parts[k].cells is not None for k in filled)  # cells of text that have been read as numbers
    kind = first.data.dtype if read or first.cells is None else pl.String

    def values(k: int, part: RawColumn) -> pl.Series:
        if k not in filled:
            return pl.Series([None] * len(part), dtype=kind)
        return part.data if read else part.text if part.storage == "text" else part.data

    def cells() -> pl.Series:
        return pl.concat([part.text.alias("") for part in parts])

    data = [values(k, part).alias("").to_frame() for k, part in enumerate(parts)]
    of = first.of if len({parts[k].of for k in filled}) == 1 else "texts"
    return replace(
        first,
        data=pl.concat(data, how="vertical_relaxed", rechunk=True).to_series(),
        notes=_one_of_a_kind([part.notes for part in parts]),
        cells=cells if read else None,
        of=of,
        read=None,
    )


def _one_of_a_kind(notes: Sequence[tuple[Note, ...]]) -> tuple[Note, ...]:
    """The notes on all files, of many of one kind that of the first file."""
    return tuple({note.kind: note for some in reversed(notes) for note in some}.values())


def for_use(table: Table, wanted: Collection[Any]) -> Table:
    """The table without the column that names its files, unless that is among the wanted ones: where a row stands says
    nothing of it."""
    if not table.by_file or FILE in wanted:
        return table
    return replace(table, columns=tuple(c for c in table.columns if c.name != FILE), by_file=False)


def named_after(table: Table, path: Any) -> Table:
    """The table of a single file as one of a folder would be."""
    import polars as pl

    names = pl.Series([Path(path).stem]).new_from_index(0, table.rows)
    return replace(table, columns=(*table.columns, RawColumn(FILE, "label", names)))
