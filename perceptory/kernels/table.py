"""Columns of a table read as numbers, and written as the rows that a program takes: `table.cc`, which Python calls."""

from __future__ import annotations

from collections.abc import Sequence
from ctypes import Structure, byref, c_char, c_double, c_int64, c_void_p
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from perceptory.kernels import arrow, build

if TYPE_CHECKING:
    import polars as pl

DAYS = b"tdD"  # Arrow's name of dates, which are whole numbers of 32 bits
WHOLE = b"i"
WORTH = 1 << 14  # rows of a part that are worth a call of their own


class _Facts(Structure):
    _fields_ = (
        *((name, c_int64) for name in ("rows", "missing", "infinite", "whole")),
        ("low", c_double), ("high", c_double),
    )  # fmt: skip


class _Columns(Structure):
    _fields_ = (
        *((name, c_int64) for name in ("rows", "numbers", "codes", "width")),
        *((name, c_void_p) for name in ("values", "steps", "origins", "among", "last", "code", "meant", "weights")),
        ("weight_step", c_int64),
    )  # fmt: skip


def numbers_of(series: pl.Series) -> tuple[np.ndarray, tuple[int, int, int, float, float]] | None:
    """(float64 [row], NaN where it is null; of these how many are missing, infinite, whole or infinite, and the least
    and the greatest) of numbers or dates, as days; None where there is no kernel, or for another type."""
    if not build.loads("table", "float32", len(series)):
        return None
    parts = series.n_chunks()
    if parts > 1 and len(series) < parts * WORTH:
        series, parts = series.rechunk(), 1
    if series.dtype.is_float() and parts == 1 and not series.null_count():
        values = series.to_numpy()
        if values.dtype == np.float64 and (told := facts_of(values)) is not None:
            return values, told
    read, facts, values = build.library("table", "float32").table_numbers, _facts(), np.empty(len(series))
    for name, part in arrow.parts(series):
        kind = WHOLE if name == DAYS else name
        if len(kind) != 1:
            return None
        valid, numbers, out = (c_void_p(at) for at in (*part.buffers[:2], values[facts.rows :].ctypes.data))
        if read(c_char(kind), numbers, valid, c_int64(part.offset), c_int64(part.length), out, byref(facts)):
            return None
    return None if facts.rows != len(values) else (values, _told(facts))


def facts_of(values: np.ndarray) -> tuple[int, int, int, float, float] | None:
    """As of `numbers_of`, of float64 [row] that is there already; None where there is no kernel."""
    if values.strides != (8,) or not build.loads("table", "float32", len(values)):
        return None
    facts = _facts()
    build.library("table", "float32").table_facts(c_void_p(values.ctypes.data), c_int64(len(values)), byref(facts))
    return _told(facts)


def _facts() -> _Facts:
    return _Facts(0, 0, 0, 0, np.inf, -np.inf)


def _told(facts: _Facts) -> tuple[int, int, int, float, float]:
    ends = (np.nan, np.nan) if facts.missing == facts.rows else (facts.low, facts.high)
    return (facts.missing, facts.infinite, facts.whole, *ends)


class Stored(NamedTuple):
    """A number of rows. values: [row] float64, with any steps between rows, less an origin; None where it is given with
    the rows. among: what stands at that place, if it is one, and last of a missing place."""

    values: np.ndarray | None
    origin: float = 0.0
    among: np.ndarray | None = None


class Coded(NamedTuple):
    """A code of rows. by_row: [row] uint8 that lie together. meant: [256] int8, which is written instead of each."""

    by_row: np.ndarray
    meant: np.ndarray


class Row(NamedTuple):
    """What rows are made of: numbers, codes, weights [row] float64 with any steps."""

    numbers: Sequence[Stored]
    codes: Sequence[Coded]
    weights: np.ndarray


def accepts(dtype: Any, numbers: float) -> bool:
    """Whether the kernel is there and writes so many numbers of this type."""
    return build.loads("table", np.dtype(dtype).name, numbers)


class RowWriter:
    """Writes rows of the type `dtype`; what they are made of is looked at once."""

    def __init__(self, row: Row, dtype: Any):
        self._row, self._rows, self._dtype = row, len(row.weights), np.dtype(dtype)
        there = [row.weights if number.values is None else number.values for number in row.numbers]
        among = [number.among for number in row.numbers]
        self._values = np.array([values.ctypes.data for values in there], np.int64)
        self._steps = np.array([values.strides[0] // 8 for values in there], np.int64)
        self._made = np.array([number.values is None for number in row.numbers], bool)
        self._among = np.array([0 if table is None else table.ctypes.data for table in among], np.int64)
        self._last = np.array([0 if table is None else len(table) - 1 for table in among], np.int64)
        self._steps[self._made] = 1
        self._codes = np.array([codes.by_row.ctypes.data for codes in row.codes], np.int64)
        self._meant = np.array([codes.meant for codes in row.codes], self._dtype).reshape(-1, 256)
        self._tables = self._meant.ctypes.data + self._meant.strides[0] * np.arange(len(row.codes))
        self._origins = np.array([number.origin for number in row.numbers], np.float64)
        fits = all(values.dtype == np.float64 and len(values) == self._rows for values in (*there, row.weights))
        by_row = [codes.by_row for codes in row.codes]
        fits = fits and all(c.dtype == np.uint8 and len(c) == self._rows and c.strides == (1,) for c in by_row)
        fits = fits and all(t is None or (t.dtype == np.float64 and t.strides == (8,)) for t in among)
        if not fits:
            raise ValueError("the arrays of rows do not fit together")
        self._write = build.library("table", self._dtype.name).table_rows

    def __call__(self, start: int, out: np.ndarray, made: np.ndarray | None = None) -> bool:
        """Write the rows from `start` on into out [row, 2 number + code + 1]: the numbers rounded, what that rounds
        off, codes and weight. made: [number, row] float64 of those numbers that are given. False where a number is
        beyond what its type holds."""
        rows, width = out.shape
        numbers, codes, given = len(self._values), len(self._codes), int(self._made.sum())
        fits = width == 2 * numbers + codes + 1 and start + rows <= self._rows and out.dtype == self._dtype
        if not fits or not out.flags.c_contiguous:
            raise ValueError("the rows do not fit what they are made of")
        values, places = self._values + 8 * start * self._steps, self._codes + start
        if made is not None:
            if made.shape != (given, rows) or made.dtype != np.float64 or not made.flags.c_contiguous:
                raise ValueError("the numbers that are given do not fit the rows")
            values[self._made] = made.ctypes.data + 8 * rows * np.arange(given)
        elif given:
            raise ValueError("rows lack numbers that are given with them")
        weights, step = self._row.weights, self._row.weights.strides[0] // 8
        described = _Columns(
            rows, numbers, codes, width, values.ctypes.data, self._steps.ctypes.data, self._origins.ctypes.data,
            self._among.ctypes.data, self._last.ctypes.data, places.ctypes.data,
            self._tables.ctypes.data, weights.ctypes.data + 8 * step * start, step,
        )  # fmt: skip
        return not self._write(byref(described), c_void_p(out.ctypes.data))
