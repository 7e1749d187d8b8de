"""A column, or values beside the data, as labels."""

from __future__ import annotations

from typing import Any

import numpy as np

from perceptory.data.labels import Labels
from perceptory.data.tables.sources import column_of
from perceptory.data.tables.table import RawColumn
from perceptory.data.tables.targets import typed
from perceptory.errors import InputError


def labels_of(name: str, given: Any, rows: int) -> Labels:
    """A column, or values [row] of any library, as labels."""
    raw = given if isinstance(given, RawColumn) else column_of(name, given)
    if len(raw) != rows:
        raise InputError(f"{name} needs one value for each of {rows} examples, got {len(raw)}.")
    column = typed(raw)
    return Labels(name, np.asarray(column.values))
