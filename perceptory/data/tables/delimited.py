"""Text files of separated values, read strictly: no cell is guessed, dropped or filled up.

Python's csv module does the parsing: it tells lines apart that are too short, which polars and pandas fill with
missing values, and quotes that are never closed.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path

from perceptory.data.tables.table import MISSING, RawColumn, Table, listed, objects, unique_names
from perceptory.errors import InputError
from perceptory.notes import Note, commas_and_points, decimal_commas, empty_lines, separator

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "vertical bar"}
PLAIN = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
COMMA = re.compile(r"[+-]?(\d+,?\d*|,\d+)([eE][+-]?\d+)?")
MAGIC = {b"PK\x03\x04": "a ZIP or Excel file", b"\x1f\x8b": "a gzip file", b"PAR1": "a Parquet file"}
MAGIC |= {b"ARROW1": "an Arrow file", b"%PDF": "a PDF file", b"\x89PNG": "a PNG image"}


def read_delimited(path: Path, delimiter: str | None = None) -> Table:
    """Read a text file with a header line and one row a line; cells may be quoted and hold line breaks.

    The encoding is UTF-8, or UTF-16 or 32 with a byte order mark. The delimiter is found among comma, semicolon, tab
    and vertical bar where none is given. Every column comes back as text. Raises `InputError` for what is not such a
    file: empty, binary, of another encoding, without a header, with lines of different length.
    """
    text = decode(path.read_bytes(), path.name)
    if not text.strip():
        raise InputError(f"{path.name} is empty. Give a file with a header line and at least one row.")
    delimiter = delimiter or sniff(text)
    header, rows, notes = _parse(text, delimiter, path.name)
    present = [cell for cell in header if cell]
    if all(PLAIN.fullmatch(cell) for cell in present):
        raise InputError(
            f"the first line of {path.name} holds numbers only ({listed(header, 4)}), but it has to name the columns. "
            "Add a header line, such as " + delimiter.join(f"x{k}" for k in range(min(len(header), 3))) + "."
        )
    if not rows:
        raise InputError(f"{path.name} has a header line but no rows.")
    names, more, duplicated = unique_names(header, path.name)
    columns: list[Sequence[str]] = list(zip(*rows, strict=True))
    if delimiter != ",":
        columns = [list(map(str.strip, cells)) for cells in columns]
        notes += turn_commas(names, columns)
    raw = tuple(RawColumn(name, "text", objects(cells)) for name, cells in zip(names, columns, strict=True))
    return Table(raw, len(rows), (*notes, *more), duplicated=duplicated)


def decode(data: bytes, name: str) -> str:
    """The text of a file's bytes. Other encodings than Unicode are not guessed, for a wrong guess goes unseen."""
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
            f"{name} is not {encoding.removesuffix('-sig').upper()} text: {where}. Save it as UTF-8, or convert it: "
            f"iconv -f latin1 -t utf-8 {name} > new-{name}"
        ) from None
    if "\0" in text:
        raise InputError(f"{name} is binary, not text (a character is zero). Save the table as CSV in UTF-8.")
    return text


def sniff(text: str) -> str:
    """The delimiter that cuts the header and the next lines into the same number of cells, at least two.

    Where several do, the one whose cells hold no other delimiter; where none does, the one that cuts the header into
    most cells, so that the error which follows names the line that differs.
    """
    sample = text[: 1 << 16]
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
        if len(sample) < len(text) and 1 < len(lengths) <= 100:
            lengths.pop()  # the sample may have cut the last row
        if not lengths or lengths[0] < 2:
            continue
        key = (len(set(lengths)) == 1, clean / cells if len(set(lengths)) == 1 else 0.0, lengths[0])
        if key > best:
            best, delimiter = key, candidate
    return delimiter


def _parse(text: str, delimiter: str, name: str) -> tuple[list[str], list[list[str]], list[Note]]:
    """Header cells, rows of cells and notes. Every row has as many cells as the header, or an error names its line."""
    # Strict, for else a quote that is never closed swallows the rest of the file.
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
                    f"(separated by {DELIMITERS.get(delimiter, delimiter)}). Correct the line, or quote cells that "
                    "hold the separator."
                )
            else:
                if waiting:
                    blank += waiting
                    if len(header) == 1:  # in a table of one column, an empty line is a missing value
                        rows.extend([""] for _ in range(waiting))
                    waiting = 0
                rows.append(row)
            line = reader.line_num
    except csv.Error as error:
        wrong = "has a quote that is not closed" if "end of data" in str(error) else f"cannot be read ({error})"
        raise InputError(f'line {line + 1} of {name} {wrong}. Write a quote inside a quoted cell twice: "".') from None
    notes: list[Note] = []
    if blank and len(header) > 1:
        notes.append(empty_lines(name, blank))
    if delimiter != ",":
        notes.append(separator(name, DELIMITERS.get(delimiter, delimiter)))
    return header, rows, notes


def turn_commas(names: list[str], columns: list[Sequence[str]]) -> list[Note]:
    """Turn '1,5' into '1.5' in place, in the columns that hold such numbers only. Returns notes.

    Done only where no other column has numbers with a decimal point, for there 1,500 may mean fifteen hundred.
    """
    found: list[int] = []
    points: list[int] = []
    for place, cells in enumerate(columns):
        joined = "".join(cells)
        for mark, pattern, places in ((",", COMMA, found), (".", PLAIN, points)):
            if mark in joined and all(cell in MISSING or pattern.fullmatch(cell) for cell in cells):
                places.append(place)
    if not found:
        return []
    if points:
        return [commas_and_points(names[found[0]], names[points[0]])]
    for place in found:
        columns[place] = [cell if cell in MISSING else cell.replace(",", ".") for cell in columns[place]]
    return [decimal_commas([names[p] for p in found])]


def counted(number: int, thing: str) -> str:
    """'1 row', '2 rows'."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
