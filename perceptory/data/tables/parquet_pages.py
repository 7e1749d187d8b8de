"""Whether the pages of a Parquet file can be what they say, before polars reads them.

A page that says that it holds a negative number of values makes polars (2.1) ask for so much memory that the process is
aborted, which nothing can catch. Headers are Thrift's compact protocol; a file that is not understood here is left to
polars, which says what is wrong with it. Source: https://github.com/apache/parquet-format.
"""

from __future__ import annotations

import contextlib
import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from perceptory.errors import InputError

ROW_GROUPS, COLUMNS, COLUMN = 4, 1, 3  # fields of the footer's structures
VALUES, BYTES, DATA, DICTIONARY = 5, 7, 9, 11  # of a column's
COMPRESSED, KINDS = 3, (5, 7, 8)  # of a page's header: data, dictionary, data of the second version
MOST_DEPTH = 12


def check_pages(path: Path) -> None:
    """Raise `InputError` where a page says that it has more values than its column, or fewer than none."""
    wrong = None
    with (
        contextlib.suppress(IndexError, KeyError, TypeError, ValueError, OSError, RecursionError),
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
    ):
        for column in _columns(data):
            for count in _counts(data, column):
                if not 0 <= count <= column[VALUES]:
                    wrong = count, column[VALUES]
    if wrong:
        raise InputError(
            f"{path.name} is not a readable Parquet file (a page of {wrong[0]} values in a column of {wrong[1]}). Write"
            " it anew."
        )


def _columns(data: Any) -> Iterator[dict[int, Any]]:
    """Of every chunk of a column what the footer says."""
    length = int.from_bytes(data[-8:-4], "little")
    footer, _ = _struct(data, len(data) - 8 - length)
    for group in footer[ROW_GROUPS]:
        for column in group[COLUMNS]:
            yield column[COLUMN]


def _counts(data: Any, column: dict[int, Any]) -> Iterator[int]:
    """How many values each page says that it has."""
    begin = min(place for place in (column[DATA], column.get(DICTIONARY)) if place)
    at, end = begin, begin + column[BYTES]
    while at < end:
        header, after = _struct(data, at)
        yield from (header[kind][1] for kind in KINDS if kind in header)
        if header[COMPRESSED] < 0:
            return
        at = after + header[COMPRESSED]


# --- Thrift's compact protocol ------------------------------------------------------------------------------------


def _number(data: Any, at: int) -> tuple[int, int]:
    """A number of variable length, and the place behind it."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a number is too long")


def _signed(data: Any, at: int) -> tuple[int, int]:
    value, at = _number(data, at)
    return (value >> 1) ^ -(value & 1), at


def _struct(data: Any, at: int, depth: int = 0) -> tuple[dict[int, Any], int]:
    """The fields of a structure by number, and the place behind it."""
    fields: dict[int, Any] = {}
    name = 0
    if depth > MOST_DEPTH:
        raise ValueError("structures are too deep")
    while True:
        byte = data[at]
        at += 1
        if not byte:
            return fields, at
        kind, step = byte & 15, byte >> 4
        if step:
            name += step
        else:
            name, at = _signed(data, at)
        if kind in (1, 2):
            fields[name] = kind == 1
        else:
            fields[name], at = _value(data, at, kind, depth)


def _value(data: Any, at: int, kind: int, depth: int) -> tuple[Any, int]:
    match kind:
        case 1 | 2 | 3:  # truth in a list, a byte
            return data[at], at + 1
        case 4 | 5 | 6:
            return _signed(data, at)
        case 7:
            return None, at + 8
        case 8:
            length, at = _number(data, at)
            return None, at + length
        case 9 | 10:
            count, inner = data[at] >> 4, data[at] & 15
            at += 1
            if count == 15:
                count, at = _number(data, at)
            values = []
            for _ in range(count):
                value, at = _value(data, at, inner, depth)
                values.append(value)
            return values, at
        case 12:
            return _struct(data, at, depth + 1)
    raise ValueError(f"type {kind} does not stand in Parquet")
