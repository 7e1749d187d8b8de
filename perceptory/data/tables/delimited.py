"""Text files of separated values, read strictly: no cell is guessed, dropped or filled up.

Whole columns are read by polars where that is proven to be the same (`whole_columns`). All other files, those that are
refused among them, are read by Python's csv module: it tells lines apart that are too short, which polars and pandas
fill with missing values, and quotes that are never closed, and it knows the line.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from pathlib import Path
from typing import Any

from perceptory.data.tables.other_encodings import western
from perceptory.data.tables.table import RawColumn, Table, listed, unique_names
from perceptory.data.tables.whole_columns import Cells, read_whole_columns, scan
from perceptory.errors import InputError
from perceptory.notes import Note, empty_lines, read_as_western, separator

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "vertical bar"}
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
COMMA = re.compile(r"[+-]?(\d+(,\d*)?|,\d+)([eE][+-]?\d+)?")
MAGIC = {b"PK\x03\x04": "a ZIP or Excel file", b"\x1f\x8b": "a gzip file", b"PAR1": "a Parquet file"}
MAGIC |= {b"ARROW1": "an Arrow file", b"%PDF": "a PDF file", b"\x89PNG": "a PNG image"}
_SEPARATOR = re.compile(rb"sep=(?P<mark>[,;\t|])\r?\n", re.IGNORECASE)
SAMPLE = 1 << 16  # bytes at the beginning of a file from which its delimiter is found


def read_delimited(
    path: Path, delimiter: str | None = None, *, as_text: frozenset[str] = frozenset(), numbers: bool = True
) -> tuple[Table, str]:
    """Read a text file with a header line and one row a line; cells may be quoted and hold line breaks.

    The encoding is UTF-8, UTF-16 or 32 with a byte order mark, or, with a note, that of Western Windows where the bytes
    can mean nothing else (`other_encodings`). The delimiter is found among comma, semicolon, tab
    and vertical bar where none is given; it comes back beside the table. Every column is text; of those whose cells are
    all plain numbers the numbers are read at once, unless they are named in `as_text`, or not at all (`numbers`).
    Raises `InputError` for what is not such a file: empty, binary, of another encoding, without a header, with lines of
    different length.
    """
    with path.open("rb") as file:
        beginning = file.read(SAMPLE)
        beginning += file.readline() if b"\n" not in beginning else b""
        start = beginning.find(b"\n") + 1
        beginning += file.read(8 * start - len(beginning)) if 8 * start > len(beginning) else b""
    if (
        start
        and beginning.strip()
        and beginning.isascii()
        and not beginning.startswith((*MAGIC,))
        and not {0, 13, 26, 34} & {*beginning}
        and not _SEPARATOR.match(beginning)
    ):
        sample = beginning.decode()
        delimiter = delimiter or sniff(sample, cut=len(beginning) < path.stat().st_size)
        scanned = scan(path, start, delimiter)
        if scanned:
            read = read_whole_columns(scanned, sample, delimiter, as_text, numbers, is_number)
            found = (*read, []) if read else read_exactly(path.read_text(encoding="ascii"), delimiter, path.name)
            return _table(*found, path.name, delimiter)
    return read_text(path.read_bytes(), path.name, delimiter, as_text=as_text, numbers=numbers)


def is_number(cell: str) -> bool:
    """Whether a cell is a plain number with a decimal point."""
    return NUMBER.fullmatch(cell) is not None


def read_text(
    data: bytes,
    name: str,
    delimiter: str | None = None,
    *,
    as_text: frozenset[str] = frozenset(),
    numbers: bool = True,
    before: int = 0,
) -> tuple[Table, str]:
    """As `read_delimited`, of a file's bytes; before: lines that stand between its header and its other lines."""
    data, remarks = unicode_bytes(data, name)
    if not data[:SAMPLE].strip() and not data.decode().strip():
        raise InputError(f"{name} is empty. Give a file with a header line and at least one row.")
    if hint := _SEPARATOR.match(data):  # Excel's line on what separates the cells
        data, delimiter, before = data[hint.end() :], hint["mark"].decode(), before + 1
    length = max(SAMPLE, 8 * (data.find(b"\n") + 1))  # the header of a wide table is long
    sample = data[:length].decode(errors="ignore")
    delimiter = delimiter or sniff(sample, cut=length < len(data))
    read = read_whole_columns(data, sample, delimiter, as_text, numbers, is_number)
    header, columns, notes = (*read, []) if read else read_exactly(data.decode(), delimiter, name, before)
    return _table(header, columns, [*remarks, *notes], name, delimiter)


def _table(header: list[str], columns: list[Cells], notes: list[Note], name: str, delimiter: str) -> tuple[Table, str]:
    if all(NUMBER.fullmatch(cell) for cell in header if cell):
        raise InputError(
            f"the first line of {name} holds numbers only ({listed(header, 4)}), but it has to name the columns. "
            "Add a header line, such as " + delimiter.join(f"x{k}" for k in range(min(len(header), 3))) + "."
        )
    if not columns:
        raise InputError(f"{name} has a header line but no rows.")
    if len(columns) == 1 and _by_spaces(header[0], columns[0][0].head(20).to_list()):
        raise InputError(
            f"the columns of {name} are separated by spaces; commas, semicolons, tabs or vertical bars are expected. "
            f"Convert it: tr -s ' ' ',' < {name} > new-{name}"
        )
    if delimiter != ",":
        notes.append(separator(name, DELIMITERS.get(delimiter, delimiter)))
    names, more, duplicated = unique_names(header, name)
    raw = tuple(RawColumn(n, "text", series, cells=cells) for n, (series, cells) in zip(names, columns, strict=True))
    return Table(raw, len(columns[0][0]), (*notes, *more), duplicated=duplicated), delimiter


def _by_spaces(header: str, cells: list[Any]) -> bool:
    """Whether these first cells of the only column hold as many words as its header, and numbers among them."""
    words = [cell.split() if isinstance(cell, str) else [] for cell in cells]
    count = len(header.split())
    return count > 1 and all(len(one) == count and any(map(is_number, one)) for one in words)


def unicode_bytes(data: bytes, name: str) -> tuple[bytes, list[Note]]:
    """The bytes of a file's text in UTF-8, without a byte order mark, and a note where they were in another encoding;
    `InputError` for what `decode` refuses."""
    if data.startswith((*MAGIC, b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff")):
        return decode(data, name).encode(), []
    if b"\0" not in data and _is_utf8(data):
        while data.startswith(b"\xef\xbb\xbf"):  # files that were put together have several
            data = data[3:]
        return data.removesuffix(b"\x1a"), []  # with which DOS ends a text
    found = None if b"\0" in data else western(data)
    if found is None:
        decode(data, name)  # says where
        return data, []
    return found[0].encode(), [read_as_western(name, found[1])]


def _is_utf8(data: bytes) -> bool:
    if data.isascii():
        return True
    decoder = codecs.getincrementaldecoder("utf-8")()  # by pieces, for the whole text may take four times the file
    view = memoryview(data)
    try:
        for place in range(0, len(data), SAMPLE):
            decoder.decode(view[place : place + SAMPLE])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def decode(data: bytes, name: str) -> str:
    """The text of a file's bytes in Unicode."""
    for magic, what in MAGIC.items():
        if data.startswith(magic):
            raise InputError(f"{name} is {what}, not text. Save the table as CSV (UTF-8), or name a Parquet file so.")
    encoding = "utf-8-sig"
    for mark, marked in ((b"\xff\xfe\0\0", "utf-32"), (b"\0\0\xfe\xff", "utf-32"), (b"\xff\xfe", "utf-16")):
        if data.startswith(mark):
            encoding = marked
            break
    else:
        if data.startswith(b"\xfe\xff"):
            encoding = "utf-16"
    if encoding == "utf-8-sig" and b"\0" in data:
        place = data.index(b"\0")
        raise InputError(f"{name} is binary, not text (byte {place} is zero). Save the table as CSV in UTF-8.")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        where = f"byte {error.start} (line {data.count(bytes([10]), 0, error.start) + 1}) is 0x{data[error.start]:02x}"
        raise InputError(
            f"{name} is not {encoding.removesuffix('-sig').upper()} text: {where}, and may be in one of several other"
            f" encodings. Save it as UTF-8, or convert it: iconv -f ITS-ENCODING -t utf-8 {name} > new-{name}"
        ) from None
    if "\0" in text:
        raise InputError(f"{name} is binary, not text (a character is zero). Save the table as CSV in UTF-8.")
    return text


def sniff(sample: str, cut: bool) -> str:
    """The delimiter that cuts the header and the next lines into the same number of cells, at least two.

    Where several do, the one whose cells hold no other delimiter; where none does, the one that cuts the header into
    most cells, so that the error which follows names the line that differs. cut: whether the sample may end in a row.
    """
    best, delimiter = (False, 0.0, 1), ","
    for candidate in DELIMITERS:
        others = [d for d in DELIMITERS if d != candidate]
        lengths, clean, cells = [], 0, 0
        try:
            for row in csv.reader(io.StringIO(sample, newline=""), delimiter=candidate, skipinitialspace=True):
                if row:
                    lengths.append(len(row))
                    cells += len(row)
                    clean += sum(
                        not any(d in cell for d in others) or COMMA.fullmatch(cell.strip()) is not None for cell in row
                    )
                if len(lengths) > 100:
                    break
        except csv.Error:
            pass
        if cut and 1 < len(lengths) <= 100:
            lengths.pop()  # the sample may have cut the last row
        if not lengths or lengths[0] < 2:
            continue
        key = (len(set(lengths)) == 1, clean / cells if len(set(lengths)) == 1 else 0.0, lengths[0])
        if key > best:
            best, delimiter = key, candidate
    return delimiter


def read_exactly(text: str, delimiter: str, name: str, before: int = 0) -> tuple[list[str], list[Cells], list[Note]]:
    """Header cells, columns of texts and notes. Every row has as many cells as the header, or an error names its
    line."""
    import polars as pl

    # Strict, for else a quote that is never closed swallows the rest of the file.
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))  # which else refuses cells of 131072 letters
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True, skipinitialspace=True)
    header: list[str] = []
    rows: list[list[str]] = []
    blank, waiting, line = 0, 0, 0
    try:
        for row in reader:
            if not header:
                header = [cell.strip() for cell in row]
            elif not row:
                waiting += 1  # empty lines at the end of the file mean nothing
            elif len(row) != len(header):
                raise InputError(
                    f"line {line + 1} of {name} has {counted(len(row), 'cell')}, but the header has {len(header)} "
                    f"(separated by {DELIMITERS.get(delimiter, delimiter)}). {_unequal(header, row)}"
                )
            else:
                if waiting:
                    blank += waiting
                    if len(header) == 1:  # in a table of one column, an empty line is a missing value
                        rows.extend([""] for _ in range(waiting))
                    waiting = 0
                rows.append(row)
            line = before + reader.line_num
    except csv.Error as error:
        wrong = "has a quote that is not closed" if "end of data" in str(error) else f"cannot be read ({error})"
        raise InputError(f'line {line + 1} of {name} {wrong}. Write a quote inside a quoted cell twice: "".') from None
    notes: list[Note] = []
    if blank and len(header) > 1:
        notes.append(empty_lines(name, blank))
    columns: list[Cells] = [(pl.Series(cells, dtype=pl.String), None) for cells in zip(*rows, strict=True)]
    return header, columns, notes


def _unequal(header: list[str], row: list[str]) -> str:
    """What to do about a row of another length than the header."""
    if header[0].startswith("#"):
        return "The first line begins with #: remove lines of comments."
    if len(row) == len(header) + 1 and not row[-1].strip():
        return "It ends with a separator, and the header does not: write one at the end of the header, too."
    if len(row) == len(header) - 1 and not header[-1]:
        return "The header ends with a separator, and the line does not: take it off the header."
    return "Correct the line, or quote cells that hold the separator."


def counted(number: int, thing: str) -> str:
    """'1 row', '2 rows'."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
