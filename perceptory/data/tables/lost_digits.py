"""Whole numbers beyond 2^53, of which float64 does not hold every digit: what is told of the columns that hold them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from perceptory.data.tables.cells import stripped
from perceptory.data.tables.numbers import ends_of
from perceptory.data.tables.table import RawColumn
from perceptory.notes import Note, digits_lost, rounded

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

    from perceptory.data.tables.column import Column

EXACT = 2.0**53  # whole numbers from here on are not all float64 numbers


def lost_digits(raw: RawColumn, values: np.ndarray | None = None) -> tuple[Note, ...]:
    """A remark on a column of numbers, or of texts that are read as such, where one of its whole numbers is not the
    float64 that is read for it; `()` elsewhere. What was stored as float64 has lost nothing here.

    values: what was read [row], which a column of texts has to come with whose cells are still texts.
    """
    import polars as pl

    whole = _whole(raw, values)
    if whole is None:
        return ()
    whole = whole.cast(pl.Int128, strict=False)
    read = whole.cast(pl.Float64).cast(pl.Int128, strict=False)
    first = int((whole != read).fill_null(False).arg_max() or 0)
    return () if whole[first] == read[first] else (rounded(str(whole[first]), str(read[first])),)


def _whole(raw: RawColumn, values: np.ndarray | None) -> pl.Series | None:
    """The whole numbers of a column, or its texts, where some may be so large."""
    import polars as pl

    if raw.storage == "number" and raw.integer:
        return raw.data if raw.data.dtype in (pl.Int64, pl.UInt64, pl.Int128) and _far(raw.facts[3:]) else None
    if raw.storage not in ("text", "number") or (raw.cells is None and values is None):
        return None
    if raw.storage == "text" and raw.cells is None:
        return stripped(raw.data) if values is not None and _far(ends_of(values)) else None
    return stripped(raw.text) if raw.cells is not None and _far(raw.facts[3:]) else None


def _far(ends: tuple[float, ...]) -> bool:
    low, high = ends
    return high > EXACT or low < -EXACT


def about_digits(columns: Sequence[Column | RawColumn], targets: Sequence[RawColumn] = ()) -> list[Note]:
    """A note on each input and each target of numbers that has lost digits."""
    roles = [*((c, "input") for c in columns), *((c, "target") for c in targets)]
    lost = [(c.name, note, role) for c, role in roles for note in _remarks(c) if rounded.describes(note)]
    return [digits_lost(name, **note.facts, role=role) for name, note, role in lost]


def _remarks(column: Column | RawColumn) -> tuple[Note, ...]:
    if isinstance(column, RawColumn):
        return lost_digits(column)
    return column.notes if column.kind == "numeric" else ()
