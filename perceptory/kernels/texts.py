"""Which of a few texts each row of a polars column holds, by a kernel that Python calls itself: `texts.cc`."""

from __future__ import annotations

from ctypes import Structure, byref, c_int64, c_uint8, c_void_p
from typing import TYPE_CHECKING

import numpy as np

from perceptory.kernels import arrow, build

if TYPE_CHECKING:
    import polars as pl

MOST = 255  # as in texts.cc
VIEWS = b"vu"  # Arrow's name of the texts that the kernel reads


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
    return codes, pl.concat([known, cells.gather(new)]) if len(new) else known
