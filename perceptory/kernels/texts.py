"""Which of a few texts each row of a polars column holds, by a kernel that Python calls itself: `texts.cc`."""

from __future__ import annotations

from ctypes import Structure, byref, c_char_p, c_int64, c_uint8, c_void_p, memset, sizeof
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from perceptory.kernels import arrow, build

if TYPE_CHECKING:
    import polars as pl

MOST = 255  # as in texts.cc, and the code of null
MANY = 1 << 16  # codes that a kernel is worth its call
VIEWS = b"vu"  # Arrow's name of the texts that the kernel reads


class _Texts(Structure):
    _fields_ = (
        ("count", c_int64), ("rows", c_int64), ("first", c_int64 * MOST), ("views", c_int64 * (2 * MOST)),
        ("long_ones", c_void_p * MOST), ("counts", c_int64 * (MOST + 1)), ("slots", c_uint8 * 1024),
    )  # fmt: skip


class Codes(NamedTuple):
    """by_row: [row] uint8, `MOST` where it is null. counts: [code] rows that have it."""

    by_row: np.ndarray
    counts: np.ndarray


def codes_of(cells: pl.Series, known: pl.Series) -> tuple[Codes, pl.Series] | None:
    """(code of each row, texts by code) of cells [row] String: the texts `known` are the first, each once, others
    follow as they come. None where there are more different texts than `MOST`, none at all, or no kernel."""
    import polars as pl

    if not build.loads("texts", "float32"):
        return None
    run, texts = build.library("texts", "float32").texts_codes, _Texts()
    run.argtypes = (c_void_p, c_int64, c_int64, c_void_p, c_void_p, c_void_p, c_void_p)
    for column in (known, cells):
        codes, at = np.empty(len(column), np.uint8), 0
        memset(texts.counts, 0, sizeof(texts.counts))
        for kind, part in arrow.parts(column):
            if kind != VIEWS:
                return None
            valid, views = part.buffers[0], part.buffers[1]
            others = byref(part.buffers.contents, 2 * 8)
            if run(byref(texts), part.length, part.offset, valid, views, others, codes[at:].ctypes.data):
                return None
            at += part.length
        if at < len(column) or (column is cells and not texts.count):  # of another form, or nothing but null
            return None
    new = np.array(texts.first[len(known) : texts.count], np.int64) - len(known)
    found = Codes(codes, np.array(texts.counts[: texts.count], np.int64))
    return found, pl.concat([known, cells.gather(new)]) if len(new) else known


def looked_up(table: bytes, codes: np.ndarray) -> np.ndarray | None:
    """[row] uint8, of 256 bytes the one at each of the codes [row] uint8, while other threads of Python run; None where
    there is no kernel, or few codes."""
    if len(codes) < MANY or codes.strides != (1,) or not build.loads("texts", "float32"):
        return None
    out = np.empty(len(codes), np.uint8)
    run = build.library("texts", "float32").texts_looked_up
    run(c_char_p(table), c_void_p(codes.ctypes.data), c_int64(len(codes)), c_void_p(out.ctypes.data))
    return out
