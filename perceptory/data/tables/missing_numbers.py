"""Numbers that programs write where a value is missing, such as -999, told where they stand among other values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from perceptory.data.tables.column import Column
from perceptory.data.tables.table import RawColumn
from perceptory.notes import Note, perhaps_missing

_NINES = [float("9" * k) for k in range(2, 7)]
PERHAPS_MISSING = frozenset([*_NINES, *(-n for n in _NINES), -999.9, -32768.0, -1e20, 1e20, -1e30, 1e30, -1e36, 1e36])


def numbers_for_missing(columns: Sequence[Column | RawColumn]) -> list[Note]:
    """A note on each column of numbers where one of those that programs write for a missing value stands far off."""
    found = []
    for column in columns:
        numeric = column.storage == "number" if isinstance(column, RawColumn) else column.kind == "numeric"
        if not numeric or len(column) < 10:
            continue
        values, facts = column.values, column.facts
        for value in {facts.low, facts.high} & PERHAPS_MISSING:
            others = values[(values != value) & ~np.isnan(values)]
            rows = len(values) - len(others) - int(np.isnan(values).sum())
            if rows > 1 and len(others) > 1 and np.abs(others - value).min() > max(np.ptp(others), 1):
                found.append(perhaps_missing(column.name, f"{value:.0f}" if abs(value) < 1e9 else f"{value:g}", rows))
    return found
