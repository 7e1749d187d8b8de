"""Columns of polars as they lie in memory, for kernels that Python calls itself.

Source: https://arrow.apache.org/docs/format/CStreamInterface.html.
"""

from __future__ import annotations

from collections.abc import Iterator
from ctypes import CFUNCTYPE, POINTER, Structure, byref, c_char_p, c_int, c_int64, c_void_p, py_object, pythonapi
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl


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


def parts(column: pl.Series) -> Iterator[tuple[bytes, Any]]:
    """(Arrow's name of the type, array) of each part of a column; an array is there until the next one is asked for."""
    capsule = column.__arrow_c_stream__()
    pointer = pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = c_void_p, (py_object, c_char_p)
    stream, schema = _Stream.from_address(pointer(capsule, b"arrow_array_stream")), _Schema()
    if stream.get_schema(byref(stream), byref(schema)):
        return
    kind = bytes(schema.format)
    schema.release(byref(schema))
    while True:
        array = _Array()
        if stream.get_next(byref(stream), byref(array)) or not array.release:
            return
        try:
            yield kind, array
        finally:
            array.release(byref(array))
