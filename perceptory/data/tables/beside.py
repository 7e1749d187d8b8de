"""Values that are given beside a table and stand in it as well: under another name, type or coding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from perceptory.data.tables.cells import identity, numbers_in, stripped
from perceptory.data.tables.numbers import floats
from perceptory.data.tables.table import RawColumn, Table
from perceptory.errors import InputError

CHANCE = 24.0  # bits: equal values are no chance where as many would have to be guessed
MOST = 100  # different values of a target that are codes of classes
SHARED = 0.9  # of the rows have to have both values, where one of the two was filled in
SAMPLE = 500


def held_inside(table: Table, beside: Sequence[RawColumn], taken: set[str], codes: bool) -> list[str]:
    """Names of the columns that hold the same values as those beside the table. codes: of groups, whose values are
    names whatever they are. `InputError` where a column of the same name holds others."""
    names = []
    for given in beside:
        has_namesake = given.name in table.names and given.name not in taken
        named_alike = given.name not in ("y", "weights", "groups")
        certain = no_chance(given)
        for column in table.columns:
            if column.name in taken or column.storage == "other":
                continue
            if same_values(column, given) or (certain and holds(column, given, codes)):
                names.append(column.name)
        if has_namesake and given.name not in names and named_alike:
            raise InputError(
                f"the table has a column {given.name!r} already, with other values than those given. Name the column, "
                "or rename or drop one of the two."
            )
    return names


def holds(column: RawColumn, given: RawColumn, codes: bool = False) -> bool:
    """Whether a column holds the given values where both are there, or under other names: classes as codes."""
    if is_number(column) and is_number(given):
        first, second = floats(column.data), floats(given.data)
        both = ~np.isnan(first) & ~np.isnan(second)
        filled = SHARED <= both.mean() < 1 and same_numbers(first[both], second[both])
        if filled:
            return True
    return (codes or _is_of_classes(given)) and same_parts(column, given)


def same_values(column: RawColumn, given: RawColumn) -> bool:
    """Whether both hold the same values in every row, numbers perhaps in single precision or as texts on one side."""
    first, second = is_number(column), is_number(given)
    if first and second:
        return same_numbers(floats(column.data), floats(given.data))
    if not first and not second:
        return bool(stripped(column.text).equals(stripped(given.text), check_names=False))
    text, number = (given, column) if first else (column, given)
    if text.storage != "text" or number.storage != "number":
        return False
    cells = stripped(text.text)
    read = numbers_in(cells.head(SAMPLE))
    if read.null_count() > cells.head(SAMPLE).null_count():
        return False
    return same_numbers(floats(numbers_in(cells)), floats(number.data))


def same_parts(column: RawColumn, given: RawColumn) -> bool:
    """Whether two columns part the rows alike, and into few parts: their values are names for the same things."""
    import polars as pl

    kinds = column.storage in ("text", "label", "boolean") or (column.storage == "number" and _is_whole(column))
    parts = given.data.n_unique()
    if not kinds or parts > len(given) / 2 or column.data.n_unique() != parts or column.missing.any():
        return False
    both = pl.DataFrame({"a": identity(column).to_physical(), "b": identity(given).to_physical()})
    return both.n_unique() == parts and both["a"].n_unique() == parts


def same_numbers(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether two arrays hold the same float64 numbers, or those of one are the other's in single precision."""
    with np.errstate(over="ignore"):
        pairs = ((first, second), (first.astype(np.float32), second), (first, second.astype(np.float32)))
    return any(np.array_equal(a, b, equal_nan=True) for a, b in pairs)


def no_chance(values: RawColumn | np.ndarray) -> bool:
    """Whether values [n] are so many and so different that others equal to them hold the same thing."""
    if isinstance(values, RawColumn):
        counts = values.data.value_counts()["count"].to_numpy()
    else:
        counts = np.unique(values, return_counts=True)[1]
    total = counts.sum()
    return bool(total and -(counts * np.log2(counts / total)).sum() >= CHANCE)


def in_its_order(target: np.ndarray, columns: Sequence[np.ndarray]) -> list[bool]:
    """Whether numbers [row] of each column rise, or fall, with the target in every row, and are equal where it is: they
    are a function of it, such as the same in other units or its logarithm. False for few different values."""
    some = np.linspace(0, len(target) - 1, min(len(target), SAMPLE)).astype(int)
    found = _in_its_order(target[some], [values[some] for values in columns])  # most are told from some rows
    left = [values for values, is_so in zip(columns, found, strict=True) if is_so]
    whole = iter(_in_its_order(target, left) if left else ())
    return [is_so and next(whole) for is_so in found]


def _in_its_order(target: np.ndarray, columns: Sequence[np.ndarray]) -> list[bool]:
    order = np.argsort(target, kind="stable")
    changes = np.diff(target[order]) != 0
    told = np.count_nonzero(changes) >= CHANCE and not np.isnan(target).any()

    def is_so(values: np.ndarray) -> bool:
        moves = np.diff(values[order])
        same = not np.isnan(moves).any() and np.array_equal(changes, moves != 0)
        return same and bool((moves >= 0).all() or (moves <= 0).all())

    return [bool(told) and is_so(values) for values in columns]


def check_order(given: Any, source: Any, what: str) -> None:
    """Raise `InputError` where values of pandas have the rows of a frame in another order, by the index of both."""
    if order_differs(given, source):
        raise InputError(
            f"the {what} has the same index as the table, in another order, so it is not clear which value belongs to "
            f"which row. Give {what}.reindex(table.index), or {what}.to_numpy() where the order is right as it is."
        )


def order_differs(given: Any, source: Any) -> bool:
    """Whether both have an index of pandas with the same entries, each once, in another order."""
    one, other = index_of(given), index_of(source)
    if one is None or other is None or len(one) != len(other) or one.equals(other):
        return False
    return bool(one.is_unique and other.is_unique and one.isin(other).all())


def index_of(source: Any) -> Any:
    """The index of pandas that values or a table have, a dict of columns that of its first one; None without any."""
    if isinstance(source, Mapping):
        return next((index for index in map(index_of, source.values()) if index is not None), None)
    index = getattr(source, "index", None)
    return index if hasattr(index, "is_unique") else None


def check_alike(columns: Mapping[Any, Any]) -> None:
    """Raise `InputError` where columns of pandas stand in unlike orders, or are of unlike rows, by their index."""
    indexes = {name: index_of(values) for name, values in columns.items() if not isinstance(values, Mapping)}
    first, *others = [name for name, index in indexes.items() if index is not None] or [None]
    for name in others:
        one, other = indexes[first], indexes[name]
        if len(one) == len(other) and not one.equals(other):
            raise InputError(
                f"the columns {str(first)!r} and {str(name)!r} have unlike indexes, so it is not clear which values "
                "belong to one row. Give pandas.DataFrame(columns), which goes by the index, or .to_numpy() of each "
                "where the order is right as it is."
            )


def is_number(column: RawColumn) -> bool:
    """Whether a column holds numbers, or what is one."""
    return column.storage in ("number", "boolean", "date") or column.cells is not None


def _is_of_classes(given: RawColumn) -> bool:
    return given.storage in ("text", "label", "boolean") or (_is_whole(given) and given.data.n_unique() <= MOST)


def _is_whole(column: RawColumn) -> bool:
    if column.data.dtype.is_integer():
        return True
    values = floats(column.data)
    return bool((values[:SAMPLE] == np.floor(values[:SAMPLE])).all() and (values == np.floor(values)).all())
