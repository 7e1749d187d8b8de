"""Tables that people bring in other files than text, Parquet and Arrow: packed text, JSON and workbooks."""

from __future__ import annotations

import importlib.util
import io
import json
import zipfile
import zlib
from collections.abc import Callable
from lzma import LZMAError
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from perceptory.data.tables.damaged import damaged
from perceptory.data.tables.endings import TEXT
from perceptory.errors import InputError
from perceptory.notes import Note, one_sheet_of
from perceptory.wording import count_of, listed, shown_value

if TYPE_CHECKING:
    import polars as pl

UNIT_SEPARATOR = "\x1f"  # a character of control, which no text holds


def unpacked(path: Path) -> tuple[str, bytes]:
    """(name, bytes) of the one text file in a packed one.

    `InputError` for a damaged file, an archive of several tables, and one whose inner name does not say that it is a
    text file.
    """
    kind = path.suffix.lower()
    if kind == ".zip":
        return _of_archive(path)
    name = path.stem
    if Path(name).suffix.lower() not in TEXT:
        raise InputError(
            f"what is in {path.name} is told by the name before {path.suffix}, which has to end in one of"
            f" {', '.join(TEXT)}, such as table.csv{path.suffix}. Rename it, or unpack it."
        )
    try:
        return name, _unpackers()[kind](path.read_bytes())
    except InputError:
        raise
    except (OSError, EOFError, ValueError, zlib.error, LZMAError) as error:
        reason = " ".join(str(error).split())[:100]
        raise InputError(f"{path.name} cannot be unpacked ({reason}). Write it anew.") from None


def _unpackers() -> dict[str, Callable[[bytes], bytes]]:
    import bz2
    import gzip
    import lzma

    return {".gz": gzip.decompress, ".bz2": bz2.decompress, ".xz": lzma.decompress, ".zst": _of_zstd}


def _of_zstd(data: bytes) -> bytes:
    """The lines of a text, which polars unpacks."""
    import polars as pl

    with damaged("the .zst file cannot be unpacked", "Unpack it with another program: zstd -d."):
        lines = pl.read_csv(
            data, has_header=False, separator=UNIT_SEPARATOR, quote_char=None, schema={"line": pl.String}
        )
    return "\n".join(lines["line"].fill_null("").to_list()).encode() + b"\n"


def _of_archive(path: Path) -> tuple[str, bytes]:
    try:
        with zipfile.ZipFile(path) as archive:
            names = [i.filename for i in archive.infolist() if not i.is_dir() and not _is_hidden(i.filename)]
            tables = [name for name in names if PurePosixPath(name).suffix.lower() in TEXT]
            if len(tables) != 1:
                held = listed(names, 5) if names else "nothing"
                raise InputError(
                    f"{path.name} holds {count_of(len(tables), 'table')} of text, and one is expected ({held}). Unpack"
                    " it, and give one of its files."
                )
            return PurePosixPath(tables[0]).name, archive.read(tables[0])
    except (zipfile.BadZipFile, EOFError, RuntimeError, NotImplementedError, zlib.error) as error:
        raise InputError(f"{path.name} cannot be unpacked ({error}). Unpack it with another program.") from None


def _is_hidden(name: str) -> bool:
    """What macOS and others put beside files."""
    parts = PurePosixPath(name).parts
    return "__MACOSX" in parts or any(part.startswith(".") for part in parts)


# --- JSON -------------------------------------------------------------------------------------------------------------


def read_json(path: Path) -> pl.DataFrame:
    """A file of JSON records: a list of objects (.json), or an object a line (.jsonl, .ndjson)."""
    import polars as pl

    data = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    if path.suffix.lower() == ".json":
        if not data.lstrip().startswith(b"["):
            raise _no_records(path.name, "the file begins with another value")
        return _by_hand(path.name, lambda: json.loads(data))
    try:
        return pl.read_ndjson(data, infer_schema_length=None)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, ValueError):
        return _by_hand(path.name, lambda: list(map(_line, enumerate(data.split(b"\n"), start=1))))


def _line(numbered: tuple[int, bytes]) -> Any:
    number, line = numbered
    try:
        return json.loads(line) if line.strip() else None
    except ValueError as error:
        raise ValueError(f"line {number}: {error}") from None


def _by_hand(name: str, read: Callable[[], Any]) -> Any:
    """Records as columns of Python's values, where a column may hold several types."""
    try:
        rows = [row for row in read() if row is not None]
    except (ValueError, RecursionError) as error:
        raise InputError(f"{name} is not valid JSON ({error}). Write it anew.") from None
    wrong = next((k for k, row in enumerate(rows, start=1) if not isinstance(row, dict)), None)
    if wrong is not None:
        raise _no_records(name, f"record {wrong} is {shown_value(rows[wrong - 1])}")
    columns = dict.fromkeys(column for row in rows for column in row)
    return {column: [row.get(column) for row in rows] for column in columns}


def _no_records(name: str, why: str) -> InputError:
    return InputError(
        f'{name} needs one object a row, such as [{{"x": 1, "y": 2}}, ...], and {why}. From pandas:'
        " frame.to_json(path, orient='records')."
    )


# --- workbooks --------------------------------------------------------------------------------------------------------


def read_workbook(path: Path) -> tuple[pl.DataFrame, list[Note]]:
    """The first sheet of a workbook that holds anything, its first row being the header; a note where there are others.

    `InputError` where the package that reads it is not installed.
    """
    import polars as pl

    if importlib.util.find_spec("fastexcel") is None:
        raise InputError(
            f'{path.name} is a workbook, which needs one more package: pip install "perceptory[excel]". Or save the'
            " sheet as CSV."
        )
    from fastexcel import FastExcelError

    data = io.BytesIO(path.read_bytes())
    try:
        with damaged(f"{path.name} cannot be read", "Save it anew, or as CSV."):
            sheets = pl.read_excel(data, sheet_id=0, engine="calamine", infer_schema_length=None, raise_if_empty=False)
    except FastExcelError as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path.name} is no readable workbook ({reason}). Save it anew, or as CSV.") from None
    filled = [name for name, frame in sheets.items() if frame.height and frame.width]
    if not filled:
        raise InputError(f"{path.name} has no sheet with a header and a row below it.")
    notes = [one_sheet_of(path.name, filled[0], filled[1:])] if len(filled) > 1 else []
    return sheets[filled[0]], notes
