"""Text files read column by column by polars, where it can be proven that this gives what the exact reader gives.

polars fills short rows with missing values and is lenient with quotes, so nothing is taken from it unproven. What is
proven from the bytes first: the quotes stand in pairs, the first of each where a cell begins and the second where one
ends; no line ends by a carriage return alone. What is proven afterwards: all delimiters of the file are accounted for,
each either between two cells of a row of full length or inside a cell; so are all line ends. polars refuses rows that
are too long, so if the delimiters add up, no row is too short either. Everything else is left to `delimited`.
"""

from __future__ import annotations

import contextlib
import csv
import io
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from perceptory.backend import cores
from perceptory.data.ahead import on_all_cores
from perceptory.data.tables.damaged import damaged
from perceptory.errors import InputError
from perceptory.files import readable
from perceptory.kernels.table import WORTH

if TYPE_CHECKING:
    import polars as pl

LEAST_SHARE = 1 << 22  # bytes of a file that a thread is worth its start
BLOCK = 1 << 18  # bytes that are counted at once, so that they stay in the cache
SAMPLED_ROWS, SAMPLED_CELLS = 200, 50_000
QUOTE, LINE = 34, 10

Cells = tuple[Any, Callable[[], Any] | None]  # a series; where its cells were read as numbers, how to get the texts


def read_whole_columns(
    data: bytes | Scanned,
    sample: str,
    delimiter: str,
    as_text: frozenset[str],
    numbers: bool,
    numeric: Callable[[str], bool],
) -> tuple[list[str], list[Cells]] | None:
    """Header cells and columns of a file in UTF-8; None where it is not proven that they are what is written there.

    data: its bytes, or what a look through the file has told of it.

    sample: the beginning of the text. as_text: names of columns whose texts are wanted. numbers: whether columns of
    numbers may be read as such, where the cells of the sample are `numeric`.
    """
    import polars as pl

    header, rows = _sampled(sample, delimiter)
    if not header or not rows or any(len(row) != len(header) for row in rows):
        return None
    names = [f"c{k}" for k in range(len(header))]
    if isinstance(data, Scanned):
        marks: _Marks | None = data.marks
        file = _File(data.path, names, delimiter, quotes=False)
    else:
        start = data.find(b"\n") + 1
        data = _without_last_lines(data, start)
        marks = _count(data, start, ord(delimiter)) if start else None
        file = _File(data, names, delimiter, marks is not None and marks.quotes)
    if marks is None:
        return None
    texts = [pl.String] * len(header)
    types = _types(header, rows, delimiter, as_text, numeric) if numbers else texts
    frame = file.read(types) if types != texts else None
    if frame is None:
        frame, types = file.read(texts), texts
    if frame is None or not _accounts_for(frame, marks, delimiter):
        return None
    if 1 < frame.n_chunks() > frame.height // WORTH:
        frame = frame.rechunk()  # all columns at once
    texts_of = _Texts(file)
    again = [partial(texts_of.column, k) if kind != pl.String else None for k, kind in enumerate(types)]
    return header, list(zip(frame.get_columns(), again, strict=True))


class Scanned(NamedTuple):
    """A file that was looked through piece by piece: of plain lines without quotes."""

    path: Path
    marks: _Marks


def scan(path: Path, start: int, delimiter: str) -> Scanned | None:
    """Look through a file below its header, which ends at `start`, without holding it; None where it has quotes, bytes
    that are not ASCII, a zero, carriage returns, or lines without a cell at its end."""
    size = path.stat().st_size
    each = max(LEAST_SHARE, -(-(size - start) // cores()))
    shares = [(first, min(first + each, size)) for first in range(start, size, each)]
    counts = on_all_cores(lambda share: _plain_marks(path, *share, ord(delimiter)), shares, size - start)
    with path.open("rb") as file:
        file.seek(max(start, size - 2))
        last = (b"\n" + file.read(2))[-2:]
    if any(count is None for count in counts) or last == b"\n\n":
        return None
    delimiters, lines = (sum(one) for one in zip((0, 0), *filter(None, counts), strict=True))
    return Scanned(path, _Marks(delimiters, lines + (not last.endswith(b"\n")), quotes=False))


def _plain_marks(path: Path, start: int, end: int, delimiter: int) -> tuple[int, int] | None:
    """Delimiters and line ends between two places of a file; None where there is what `scan` refuses."""
    delimiters, lines = 0, 0
    with path.open("rb") as file:
        file.seek(start)
        while piece := file.read(min(BLOCK, end - file.tell())):
            if not piece.isascii() or b'"' in piece or b"\0" in piece or b"\r" in piece:
                return None
            block = np.frombuffer(piece, np.uint8)
            delimiters += int(np.count_nonzero(block == delimiter))
            lines += int(np.count_nonzero(block == LINE))
    return delimiters, lines


class _Marks(NamedTuple):
    """How many delimiters and lines a file has below its header, and whether there are quotes."""

    delimiters: int
    lines: int
    quotes: bool


class _File(NamedTuple):
    """A file as polars is to read it; names: one a column, whatever the header calls them."""

    data: bytes | Path
    names: list[str]
    delimiter: str
    quotes: bool

    def read(self, types: Sequence[Any], columns: list[int] | None = None) -> pl.DataFrame | None:
        """All columns or some, below the header; None where polars refuses."""
        import polars as pl

        data = readable(self.data) if isinstance(self.data, Path) else self.data
        with contextlib.suppress(InputError), damaged("the file cannot be read"):
            return pl.read_csv(
                data, has_header=False, skip_lines=1, separator=self.delimiter,
                quote_char='"' if self.quotes else None, schema=dict(zip(self.names, types, strict=True)),
                columns=columns, glob=False,
            )  # fmt: skip
        return None


class _Texts:
    """The cells of a file's columns as they are written, for those columns that were read as numbers. Twice as many are
    read each time, since all of the file is looked through for however few."""

    def __init__(self, file: _File):
        self._file, self._most = file, 1
        self._read: dict[int, pl.Series] = {}

    def column(self, place: int) -> pl.Series:
        """Its cells as they are written."""
        import polars as pl

        if place not in self._read:
            places = list(range(place, min(place + self._most, len(self._file.names))))
            frame = self._file.read([pl.String] * len(self._file.names), places)
            if frame is None:  # it has been read before
                raise RuntimeError(f"column {place} could not be read again")
            self._read = dict(zip(places, frame.get_columns(), strict=True))
            self._most *= 2
        return self._read[place].alias("")


def _without_last_lines(data: bytes, start: int) -> bytes:
    """The file without the empty lines at its end."""
    end = len(data)
    while end > start and data[end - 1] in b"\r\n":
        end -= 1
    return data if data[end:] in (b"", b"\n", b"\r\n") else data[:end]


def _types(
    header: list[str], rows: list[list[str]], delimiter: str, as_text: frozenset[str], numeric: Callable[[str], bool]
) -> list[Any]:
    """What polars may read each column as, by the cells of the sample."""
    import polars as pl

    types: list[Any] = [pl.String] * len(header)
    for k, (name, column) in enumerate(zip(header, zip(*rows, strict=True), strict=True)):
        cells = [cell.strip() for cell in column]
        if not any(cells) or not all(not cell or numeric(cell) for cell in cells):
            continue
        # Where commas may be decimal, a point tells something, so that it must not be overlooked in 1.000.
        whole = delimiter != "," and not any("." in cell for cell in cells)
        # Texts are asked for where they may be names, such as 007, which numbers with decimals are not.
        if name not in as_text or any(float(cell or 0) % 1 for cell in cells):
            types[k] = pl.Int64 if whole else pl.Float64
    return types


def _accounts_for(frame: pl.DataFrame, marks: _Marks, delimiter: str) -> bool:
    """Whether each delimiter and line end of the file stands between two cells or rows, or inside a cell."""
    import polars as pl

    delimiters, lines = marks.delimiters, marks.lines
    if marks.quotes:
        texts = frame.select(pl.col(pl.String))
        delimiters -= _inside(texts, delimiter)
        lines -= _inside(texts, "\n")
    return delimiters == frame.height * (frame.width - 1) and lines == frame.height


def _sampled(sample: str, delimiter: str) -> tuple[list[str], list[list[str]]]:
    """The header's cells, and some rows below it; no header where it is not the first line, or takes several."""
    reader = csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter, strict=True, skipinitialspace=True)
    rows: list[list[str]] = []
    try:
        header = [cell.strip() for cell in next(reader)]
        if reader.line_num > 1:
            return [], []
        most = max(2, min(SAMPLED_ROWS, SAMPLED_CELLS // max(1, len(header))))
        for row in reader:
            rows.append(row)
            if len(rows) > most:
                break
    except (csv.Error, StopIteration):
        pass
    if rows and len(rows[-1]) != len(header):
        rows.pop()  # the sample may have cut it; if not, the counts tell
    return (header if rows else []), rows


def _count(data: bytes, start: int, delimiter: int) -> _Marks | None:
    """None where quotes or line ends are not as they should be."""
    whole = np.frombuffer(data, np.uint8)
    body = whole[start:]
    if b"\r" in data and data.count(b"\r") != data.count(b"\r\n"):
        return None
    delimiters, lines, quotes = 0, 0, []
    quoted = data.find(b'"', start) >= 0
    for place in range(0, len(body), BLOCK):
        block = body[place : place + BLOCK]
        delimiters += int(np.count_nonzero(block == delimiter))
        lines += int(np.count_nonzero(block == LINE))
        if quoted:
            quotes.append(np.flatnonzero(block == QUOTE) + place)
    if quoted and not _paired(body, np.concatenate(quotes), delimiter):
        return None
    if len(body) and body[-1] != LINE:
        lines += 1
    return _Marks(delimiters, lines, quoted)


def _paired(body: np.ndarray, quotes: np.ndarray, delimiter: int) -> bool:
    """Whether every quoted cell begins behind a delimiter or a line end and ends before one. A quote inside a quoted
    cell, written twice, ends one pair and begins the next."""
    if len(quotes) % 2:
        return False
    first, second = quotes[0::2], quotes[1::2]
    before = body[first - 1]
    begins = (first == 0) | (before == delimiter) | (before == LINE)
    begins[1:] |= first[1:] == second[:-1] + 1
    after = body[np.minimum(second + 1, len(body) - 1)]
    ends = (second == len(body) - 1) | (after == delimiter) | (after == LINE) | (after == 13)
    ends[:-1] |= second[:-1] + 1 == first[1:]
    return bool(begins.all() and ends.all())


def _inside(frame: pl.DataFrame, mark: str) -> int:
    """How often a mark stands in the cells."""
    import polars as pl

    if not frame.width:
        return 0
    return sum(frame.select(pl.all().str.count_matches(mark, literal=True).sum()).row(0))
