"""A column of a table with its meaning."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np

from perceptory.data.tables.numbers import NumberFacts, facts_of
from perceptory.data.tables.table import rows_of, series_of
from perceptory.kernels.texts import Codes
from perceptory.notes import Note

Kind = Literal["numeric", "boolean", "categorical", "date", "ignored"]


@dataclass(frozen=True, eq=False)
class Column:
    """One input column.

    data is [row]: an array of float64 with NaN for missing for "numeric", "boolean" (0 or 1) and "date" (days since
    1970-01-01); a polars series of String for "categorical" (an array of objects is turned into one); either for
    "ignored". `layout` tells how dates in text were written, such as "d.m.y". `known`: its `facts`, where they are
    known already. codes: of an Enum, where they are known already.
    """

    name: str
    kind: Kind
    data: Any
    notes: tuple[Note, ...] = ()  # remarks; the first one says why it is ignored
    layout: str = ""
    known: NumberFacts | None = field(default=None, repr=False)
    unit: str = ""  # that its numbers were written with, such as "%"
    codes: Codes | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if isinstance(self.data, np.ndarray) and self.data.dtype == object:
            object.__setattr__(self, "data", series_of(self.data))

    def __len__(self) -> int:
        return len(self.data)

    @cached_property
    def values(self) -> np.ndarray:
        """[row] float64, or objects, str or None, for "categorical"."""
        return self.data if isinstance(self.data, np.ndarray) else np.asarray(self.data.to_list(), object)

    @cached_property
    def facts(self) -> NumberFacts:
        """Of its numbers."""
        return self.known or facts_of(self.values)

    def take(self, rows: np.ndarray | slice) -> Column:
        """The same column with the given rows only."""
        data = self.data[rows] if isinstance(self.data, np.ndarray) else rows_of(self.data, rows)
        return replace(self, data=data, known=None, codes=None)
