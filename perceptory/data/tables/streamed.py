"""A table that is read in pieces, since it does not fit into memory, or is not meant to.

What its columns mean is found from rows spread over the whole of it (`head`), which are read as a table of their own;
all others are held to that. Pieces begin at fixed places, whatever the row groups of a file are, so that nothing that
is computed from them depends on how the file was written.
"""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from perceptory.data.ahead import ahead
from perceptory.data.tables.cells import Reading, identity, reading_of
from perceptory.data.tables.column import Column
from perceptory.data.tables.damaged import damaged
from perceptory.data.tables.dataset import Dataset, Task
from perceptory.data.tables.endings import BINARY, TEXT
from perceptory.data.tables.inference import convert
from perceptory.data.tables.parquet_pages import check_pages
from perceptory.data.tables.reader import read_table
from perceptory.data.tables.sources import as_table
from perceptory.data.tables.spool import BYTES, spool, text_tables
from perceptory.data.tables.table import RawColumn, Table, one_form
from perceptory.data.tables.targets import sound_weights, typed
from perceptory.errors import InputError, Setting
from perceptory.files import no_temporary, path_of, readable
from perceptory.notes import Note, decimal_commas, meaning_from_some_rows, thousands_marked, without_target

if TYPE_CHECKING:
    import polars as pl

SPAN = 1 << 17  # rows that are read at once where a table is read from its beginning to its end
PREDICTED = 1 << 18  # rows of a file that are predicted at once: a row group as polars writes them
HEAD, PLACES = 1 << 17, 16  # rows that tell what columns mean, and from how many places they come


@dataclass(frozen=True, eq=False)
class StreamedTable:
    """What `stream_table` gives: a table to learn from, of which no more than some rows are in memory.

    scan: a lazy frame of polars. head: a `Dataset` of rows spread over it. rows: how many there are. weights: the name
    of the column of weights. held: what has to live as long as the table: the folder of a text file's copy.
    """

    scan: Any
    head: Dataset
    rows: int
    weights: str | None = None
    held: Any = None

    def __repr__(self) -> str:
        from perceptory.data.words import data_lines

        return "\n".join(data_lines(self))

    @property
    def kind(self) -> str:
        return "stream"

    @property
    def task(self) -> Task:
        return self.head.task

    @property
    def target_names(self) -> tuple[str, ...]:
        return self.head.target_names

    @property
    def classes(self) -> tuple[str, ...] | None:
        """Those of `head`; the rest may hold more."""
        return self.head.classes

    @property
    def columns(self) -> tuple[Column, ...]:
        """Those of `head`."""
        return self.head.columns

    @property
    def groups(self) -> None:
        """Rows of a stream are independent of one another."""

    @property
    def notes(self) -> tuple[Note, ...]:
        kept = (note for note in self.head.notes if not without_target.describes(note))  # of the head alone
        return (*kept, *(() if self.rows <= HEAD else (meaning_from_some_rows(HEAD),)))

    @property
    def reading(self) -> Reading:
        return self.head.reading

    @cached_property
    def names(self) -> list[str]:
        """The columns that are read."""
        used = [c.name for c in self.head.columns if c.kind != "ignored"]
        return list(dict.fromkeys([*used, *self.target_names, *([self.weights] if self.weights else [])]))

    def frame(self, start: int, rows: int) -> pl.DataFrame:
        """These rows of the columns that are used."""
        with damaged(f"rows from {start + 1} on cannot be read", "Write the file anew."):
            frame: pl.DataFrame = self.scan.slice(start, rows).select(self.names).collect()
        return frame

    def table(self, frame: pl.DataFrame) -> Table:
        """Rows of `frame` as a table, its texts read as those of `head` were."""
        reading = self.reading if self.reading.decimal else replace(self.reading, decimal=".")
        return as_table(frame, reading=reading)

    def frames(self) -> Iterator[tuple[int, pl.DataFrame]]:
        """All rows in their order, each piece with its first row's place; the next one is read meanwhile."""
        return ahead((start, self.frame(start, SPAN)) for start in range(0, self.rows, SPAN))

    def targets(self, table: Table) -> tuple[Any, np.ndarray]:
        """The targets of a table's rows, numbers [row, out] or a series of names of classes, and which rows have
        one [row]."""
        columns = [table.column(name, "target") for name in self.target_names]
        if self.task == "regression":
            values = np.stack([np.asarray(convert(_numbers(c), "numeric"), float) for c in columns], axis=1)
            return values, ~np.isnan(values).any(axis=1)
        labels = identity(typed(columns[0], self.task))
        return labels, labels.is_not_null().to_numpy()

    def weights_of(self, table: Table) -> np.ndarray | None:
        """[row], or None where rows have none."""
        if self.weights is None:
            return None
        values = np.asarray(convert(table.column(self.weights, "column of weights"), "numeric"), float)
        return sound_weights(values, self.weights, zeros=True)


def _numbers(raw: RawColumn) -> RawColumn:
    """Truth values as a target of numbers."""
    return replace(raw, storage="number") if raw.storage == "boolean" else raw


def stream_table(
    source: Any,
    target: str | Sequence[str],
    *,
    task: str | None = None,
    ignore: Sequence[str] | str = (),
    weights: str | None = None,
    missing: Sequence[str] | str = (),
    decimal: str | None = None,
    thousands: str | None = None,
) -> StreamedTable:
    """Read a table in pieces, each time anew, while networks train on it: for what does not fit into memory.

    source: a path (.parquet, .arrow, .feather, .csv, .txt, .tsv), or a lazy frame of polars, such as
    `polars.scan_parquet("parts/*.parquet")`. A text file is read once and written as Parquet into a temporary folder.
    target: the name of a column, or a list of names. weights: the name of a column.
    task, ignore, missing, decimal, thousands: as in `read_table`.

    What the columns mean is found from rows spread over the table, and all others are held to it. Raises `InputError`
    for what `read_table` refuses in those rows.
    """
    import polars as pl

    if task == "autoencode":
        raise InputError("an autoencoder is not trained on a stream. Read the table as a whole.")
    reading = reading_of(missing, decimal, thousands)
    scan, held, reading = _scanned(source, reading, [target] if isinstance(target, str) else list(target))
    scan = _composed(scan)
    with damaged("the table cannot be read"):
        rows = int(scan.select(pl.len()).collect().item())
        parts = [scan] if rows <= HEAD else [scan.slice(k, HEAD // PLACES) for k in _spread(rows)]
        frame = pl.concat(parts).collect()
    try:
        head = read_table(
            frame, target, task=task, ignore=ignore, weights=weights, missing=reading.missing,
            decimal=reading.decimal or None, thousands=reading.thousands or None,
        )  # fmt: skip
    except InputError as error:
        if len(frame) == rows:
            raise
        raise InputError(f"of {len(frame)} rows spread over the table: ", error) from None
    if not reading.decimal and any(k.describes(n) for k in (decimal_commas, thousands_marked) for n in head.notes):
        raise InputError("numbers with a decimal comma need ", Setting("decimal", ","), " where a table is streamed.")
    return StreamedTable(scan, replace(head, columns=tuple(map(_by_storage, head.columns))), rows, _one(weights), held)


def _one(name: str | None) -> str | None:
    return None if name is None else one_form(name)


def _composed(scan: pl.LazyFrame) -> pl.LazyFrame:
    """The frame with the letters of its columns' names in one form."""
    with damaged("the table cannot be read"):
        names = scan.collect_schema().names()
    new = [one_form(name) for name in names]
    twice = next((name for name in new if new.count(name) > 1), None) if len(set(new)) < len(new) else None
    if twice is not None:
        raise InputError(f"column {twice!r} stands twice, in two spellings of its letters. Rename one of them.")
    return scan if new == names else scan.rename(dict(zip(names, new, strict=True)))


def _spread(rows: int) -> Sequence[int]:
    return [k * (rows - HEAD // PLACES) // (PLACES - 1) for k in range(PLACES)]


def _by_storage(column: Column) -> Column:
    """A column of numbers that has no value in the head may have some below it."""
    empty = column.kind == "ignored" and isinstance(column.data, np.ndarray) and column.data.dtype == np.float64
    return replace(column, kind="numeric", notes=()) if empty and np.isnan(column.data).all() else column


def _scanned(source: Any, reading: Reading, targets: Sequence[str]) -> tuple[pl.LazyFrame, Any, Reading]:
    """A lazy frame, what has to be held as long as it is used, and how its cells are written."""
    import polars as pl

    if isinstance(source, pl.LazyFrame):
        return source, None, reading
    if not isinstance(source, (str, Path)):
        raise InputError(
            f"a stream is read from a file or from a lazy frame of polars, got a {type(source).__name__}. "
            "What is in memory needs no stream."
        )
    path, kind = path_of(source), Path(source).suffix.lower()
    if not path.is_file():
        raise InputError(f"there is no file {str(path)!r}.")
    if kind in BINARY:
        if BINARY[kind] == "parquet":
            check_pages(path)
        return (pl.scan_parquet if BINARY[kind] == "parquet" else pl.scan_ipc)(readable(path)), None, reading
    if kind not in TEXT:
        raise InputError(
            f"a stream is read from {', '.join([*TEXT, *BINARY])}, and {path.name} is none of them. Unpack it, or write"
            " it as Parquet."
        )
    folder = _Folder()
    files, reading = spool(path, folder.path, TEXT[kind], reading, targets)
    return pl.scan_parquet(files), folder, reading


def tables_of(path: Path, reading: Reading, as_text: Collection[str]) -> Iterator[Table]:
    """The rows of a table's file, piece by piece where it is large; reading, as_text: as in `as_table`."""
    import polars as pl

    kind = path.suffix.lower()
    if not path.is_file() or kind not in (*TEXT, *BINARY) or (kind in TEXT and path.stat().st_size <= BYTES):
        yield as_table(path, reading=reading, as_text=as_text)
    elif kind in TEXT:
        yield from (table for table, _ in text_tables(path, TEXT[kind], reading))
    else:
        scan, _, _ = _scanned(path, reading, ())
        with damaged(f"{path.name} cannot be read"):
            rows = int(scan.select(pl.len()).collect().item())
        if rows <= PREDICTED:
            yield as_table(path, reading=reading, as_text=as_text)
            return
        for start in range(0, rows, PREDICTED):
            with damaged(f"rows from {start + 1} on cannot be read"):
                frame = scan.slice(start, PREDICTED).collect()
            yield as_table(frame, reading=reading)


class _Folder:
    """A temporary folder that goes with whoever holds it."""

    def __init__(self) -> None:
        try:
            self.path = Path(tempfile.mkdtemp(prefix="perceptory-"))
        except OSError as error:
            raise no_temporary(tempfile.gettempdir(), error) from None
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)
