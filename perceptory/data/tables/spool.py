"""A text file that is streamed: read once, strictly, and written as Parquet, in which any row is found at once.

The file is read in pieces that end with a line, each as a file of its own below the header. Which columns hold numbers,
and by which marks they are written, the first piece tells, and all others are held to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from perceptory.data.tables.cells import MARKS, Reading
from perceptory.data.tables.delimited import read_text
from perceptory.data.tables.inference import convert, infer
from perceptory.data.tables.marks import read_cells
from perceptory.data.tables.numbers import floats
from perceptory.data.tables.table import RawColumn, Table
from perceptory.errors import InputError
from perceptory.files import write_part
from perceptory.notes import Note, decimal_commas, thousands_marked

if TYPE_CHECKING:
    import polars as pl

BYTES = 64 << 20  # of the file that are read at once
OTHER_UNICODE = (b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff")


def spool(
    path: Path, folder: Path, delimiter: str | None, reading: Reading, targets: Sequence[str]
) -> tuple[list[Path], Reading]:
    """Write the rows of a text file into Parquet files in a folder: columns of numbers as numbers, all others as they
    are written. Returns the files, and how cells are written. Raises `InputError` for what `read_delimited` refuses,
    and for columns of numbers that are none further down."""
    import polars as pl

    written: list[Path] = []
    numeric: set[str] = set()
    rows = 0
    for table, marks in text_tables(path, delimiter, reading):
        if not written:
            numeric, reading = {c.name for c in table.columns if _is_numeric(c, targets)}, marks
        try:
            frame = pl.DataFrame([_series(c, c.name in numeric) for c in table.columns])
        except InputError as error:
            raise InputError(f"of the rows from {rows + 1} on: ", error) from None
        written.append(folder / f"{len(written):06d}.parquet")
        write_part(frame, written[-1])
        rows += table.rows
    return written, reading


def text_tables(path: Path, delimiter: str | None, reading: Reading) -> Iterator[tuple[Table, Reading]]:
    """The rows of a text file, piece by piece, and how their cells are written: where that is to be found out, as the
    first piece tells. Raises `InputError` for what `read_delimited` refuses, with the line in the whole file."""
    lines = 0
    for data in _pieces(path):
        table, delimiter = read_text(data, path.name, delimiter, before=lines)
        if not lines:
            _, notes = read_cells(table.columns, reading, delimiter)
            reading = _told_by(notes, reading)
        columns, _ = read_cells(table.columns, replace(reading, decimal=reading.decimal or "."), delimiter)
        yield replace(table, columns=tuple(columns)), reading
        lines += data.count(b"\n") - 1


def _told_by(notes: Sequence[Note], reading: Reading) -> Reading:
    """The marks in numbers that notes tell of."""
    for note in notes:
        if decimal_commas.describes(note):
            reading = replace(reading, decimal=",")
        elif thousands_marked.describes(note):
            thousands = next(sign for sign, name in MARKS.items() if name == note.facts["mark"])
            decimal = "," if thousands == "." else reading.decimal or "."
            reading = replace(reading, decimal=decimal, thousands=thousands)
    return reading


def _is_numeric(column: RawColumn, targets: Sequence[str]) -> bool:
    """Whether a column holds plain numbers; whole numbers of a target may be names of classes."""
    if column.unit:  # stays as it is written, for the model has to know the unit
        return False
    if column.name not in targets:
        return infer(column).kind == "numeric"
    return column.cells is not None and bool((floats(column.data) % 1 != 0).any())


def _series(column: RawColumn, numeric: bool) -> pl.Series:
    import polars as pl

    if not numeric:
        return column.text.alias(column.name)
    return pl.Series(column.name, convert(column, "numeric"), pl.Float64)


def _pieces(path: Path) -> Iterator[bytes]:
    """The header line with some lines below it, until the file is through."""
    with path.open("rb") as file:
        header = file.readline()
        if header.startswith(OTHER_UNICODE):
            raise InputError(f"{path.name} is not in UTF-8, which a stream needs. Save it so.")
        rest = b""
        while data := file.read(BYTES):
            data = rest + data
            end = _last_line(data)
            rest = data[end:]
            if end:
                yield header + data[:end]
        if rest.strip():
            yield header + rest


def _last_line(data: bytes) -> int:
    """Where the last line ends that does so outside of a quoted cell; 0 where none does."""
    end, quotes = len(data), data.count(b'"')
    while end := data.rfind(b"\n", 0, end) + 1:
        if (quotes - data.count(b'"', end)) % 2 == 0:
            return end
        end -= 1
    return 0
