"""Which of a few texts each row of a polars column holds, by a kernel that Python calls itself: `texts.cc`.

polars hands its columns over as they lie in memory (https://arrow.apache.org/docs/format/CStreamInterface.html).
"""

from __future__ import annotations

from collections.abc import Iterator
from ctypes import (
    CFUNCTYPE,
    POINTER,
    Structure,
    byref,
    c_char_p,
    c_int,
    c_int64,
    c_uint8,
    c_void_p,
    py_object,
    pythonapi,
)
from typing import TYPE_CHECKING, Any

import numpy as np

from perceptory.kernels import build

if TYPE_CHECKING:
    import polars as pl

MOST = 255  # as in texts.cc
VIEWS = b"vu"  # Arrow's name of the texts that the kernel reads


class _Schema(Structure):
    """Arrow's description of a column."""


class _Array(Structure):
    """Some rows of it."""


class _Stream(Structure):
    """All of it, some rows at a time."""


_Schema._fields_ = (
    ("format", c_char_p),
    *((name, c_void_p) for name in ("name", "metadata", "flags", "count", "children", "dictionary")),
    ("release", CFUNCTYPE(None, POINTER(_Schema))), ("private", c_void_p),
)  # fmt: skip
_Array._fields_ = (
    *((name, c_int64) for name in ("length", "nulls", "offset", "buffer_count", "child_count")),
    ("buffers", POINTER(c_void_p)), ("children", c_void_p), ("dictionary", c_void_p),
    ("release", CFUNCTYPE(None, POINTER(_Array))), ("private", c_void_p),
)  # fmt: skip
_Stream._fields_ = (
    ("get_schema", CFUNCTYPE(c_int, POINTER(_Stream), POINTER(_Schema))),
    ("get_next", CFUNCTYPE(c_int, POINTER(_Stream), POINTER(_Array))),
    ("last_error", c_void_p), ("release", c_void_p), ("private", c_void_p),
)  # fmt: skip


class _Texts(Structure):
    _fields_ = (
        ("count", c_int64), ("rows", c_int64), ("first", c_int64 * MOST), ("views", c_int64 * (2 * MOST)),
        ("long_ones", c_void_p * MOST), ("slots", c_uint8 * 1024),
    )  # fmt: skip


def codes_of(cells: pl.Series, known: pl.Series) -> tuple[np.ndarray, pl.Series] | None:
    """(code of each row, 0 of null; texts by code) of cells [row] String: the texts `known` are the first, each once,
    others follow as they come. None where there are more different texts than `MOST`, none at all, or no kernel."""
    import polars as pl

    if not build.loads("texts", "float32"):
        return None
    run, texts = build.library("texts", "float32").texts_codes, _Texts()
    run.argtypes = (c_void_p, c_int64, c_int64, c_void_p, c_void_p, c_void_p, c_void_p)
    for column in (known, cells):
        codes, at = np.empty(len(column), np.uint8), 0
        for part in _parts(column):
            valid, views = part.buffers[0], part.buffers[1]
            others = byref(part.buffers.contents, 2 * 8)
            if run(byref(texts), part.length, part.offset, valid, views, others, codes[at:].ctypes.data):
                return None
            at += part.length
        if at < len(column) or (column is cells and not texts.count):  # of another form, or nothing but null
            return None
    new = np.array(texts.first[len(known) : texts.count], np.int64) - len(known)
    return codes, pl.concat([known, cells.gather(new)]) if len(new) else known


def _parts(column: pl.Series) -> Iterator[Any]:
    """Arrow's arrays of a column of texts, each until the next one is asked for; none where they are no views."""
    capsule = column.__arrow_c_stream__()
    pointer = pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = c_void_p, (py_object, c_char_p)
    stream, schema = _Stream.from_address(pointer(capsule, b"arrow_array_stream")), _Schema()
    if stream.get_schema(byref(stream), byref(schema)):
        return
    views = schema.format == VIEWS
    schema.release(byref(schema))
    while views:
        array = _Array()
        if stream.get_next(byref(stream), byref(array)) or not array.release:
            return
        try:
            yield array
        finally:
            array.release(byref(array))
