"""One row, encoded without a table: predictions one at a time take a short way.

Only plain values of the types that training had are taken; for everything else (and for whatever has to be refused)
the answer is None, and the row takes the way of a table.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from datetime import date, datetime
from decimal import Decimal
from numbers import Number
from typing import Any

import numpy as np

from perceptory.data.tables.column_plan import MISSES, ColumnPlan
from perceptory.data.tables.dates import days_of

Place = tuple[ColumnPlan, dict[str, int], slice]


def is_plain(value: Any) -> bool:
    """Whether this is a value rather than a column of values."""
    plain = value is None or isinstance(value, (str, Number, Decimal, date, np.generic))
    return plain or type(value).__name__ in ("NAType", "NaTType")


def is_named(source: Any) -> bool:
    """Whether this is a named tuple, such as a row of pandas' `itertuples`."""
    return isinstance(source, tuple) and hasattr(source, "_asdict")


def named_row(source: Any, names: Collection[str]) -> Any:
    """A Series of pandas that is one row of a table with these columns, by its index, as the dict of that row; anything
    else as it is."""
    kind = type(source)
    if kind.__name__ != "Series" or kind.__module__.partition(".")[0] != "pandas" or str(source.name) in names:
        return source
    own = list(map(str, source.index))
    return dict(zip(own, source.tolist(), strict=True)) if set(own) & set(names) and source.index.is_unique else source


def row_of(source: Any) -> Mapping[str, Any] | None:
    """The values of one row by name, of a dict of values or of lists of one, or of a data frame of one row."""
    if type(source) is dict:
        first = next(iter(source.values()), None)
        if type(first) is list:
            single = all(type(values) is list and len(values) == 1 for values in source.values())
            return {name: values[0] for name, values in source.items()} if single else None
        return source
    family = type(source).__module__.partition(".")[0]
    if family not in ("polars", "pandas") or len(getattr(source, "shape", ())) != 2 or source.shape[0] != 1:
        return None
    if family == "polars":
        return source.row(0, named=True)
    if not source.columns.is_unique:
        return None
    return dict(zip(map(str, source.columns), source.iloc[0].tolist(), strict=True))


def places_of(columns: tuple[ColumnPlan, ...]) -> list[Place]:
    """Of each column that is used: its plan, the place of each category, and that of its features among all."""
    places, start = [], 0
    for plan in columns:
        if plan.used:
            width = len(plan.features)
            places.append((plan, {c: k for k, c in enumerate(plan.categories)}, slice(start, start + width)))
            start += width
    return places


def encode_row(row: Mapping[str, Any], places: list[Place]) -> np.ndarray | None:
    """Inputs [1, in] of a row; None where a value is not plainly of its column's kind."""
    inputs = np.zeros((1, places[-1][2].stop))
    numbers = inputs[0]
    for plan, categories, features in places:
        if plan.name not in row:
            return None
        value = None if _is_absent(row[plan.name]) else row[plan.name]
        code = _code(value, categories) if plan.kind == "categorical" else _number(value, plan.kind)
        if code is None:
            return None
        if plan.kind == "date":
            plan.write(np.array([code]), inputs[:, features])
            continue
        missing = code == MISSES if plan.kind == "categorical" else code != code
        if plan.missing:
            numbers[features.stop - 1] = missing
        if plan.value and plan.kind == "categorical":
            if not missing:
                numbers[features.start + int(code)] = 1
        elif plan.value:
            numbers[features.start] = code
    return inputs


def _is_absent(value: Any) -> bool:
    """Whether this is what pandas has for a missing value of any kind."""
    return (isinstance(value, float) and value != value) or type(value).__name__ in ("NAType", "NaTType")


def _code(value: Any, categories: dict[str, int]) -> int | None:
    if value is None:
        return MISSES
    if type(value) is int:
        value = str(value)
    return categories.get(value) if isinstance(value, str) else None


def _number(value: Any, kind: str) -> float | None:
    if value is None:
        return math.nan
    if kind == "boolean":
        return float(value) if isinstance(value, (bool, np.bool_)) else None
    if kind == "date":
        if type(value).__name__ == "Timestamp" and not value.nanosecond:
            value = value.to_pydatetime()
        return days_of(value) if type(value) in (date, datetime) else None
    if isinstance(value, bool) or not isinstance(value, (float, int, np.number)):
        return None
    try:
        number = float(value)
    except (OverflowError, TypeError):
        return None
    return None if math.isinf(number) else number
