"""Names of columns as people have them at hand: numbers where a frame's columns are numbers, a frame's own index."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from datetime import date
from numbers import Number
from pathlib import PurePath
from typing import Any

import numpy as np

from perceptory.data.tables.table import columns_are, one_form, shown_value
from perceptory.errors import InputError

VALUES = ("target", "column of weights", "column of groups")  # what may be given as values, too


def as_written(given: Any, source: Any, what: str = "column") -> Any:
    """What names columns of a frame, in texts: 3 is "3" where the frame has a column 3, an index or array of names is
    a list; of an array, whose columns have no names, 3 is its fourth column and -1 its last. Anything else comes back
    as it is, as do as many values as the frame has rows, which may be a column. what: it is to be, for the `InputError`
    of something that cannot be one."""
    labels, texts = _labels(source)
    given = _composed(given, source)
    if given is None or isinstance(given, str):
        return given
    if _is_label(given, labels):
        return texts[labels.index(given)]
    several = isinstance(given, list | tuple | set | frozenset | range) or (
        hasattr(given, "tolist") and np.ndim(given) == 1
    )
    if several and hasattr(source, "ndim") and not hasattr(source, "columns") and what in VALUES:
        return given  # numbers are values here rather than places of columns
    if not several:
        _check_is_none(given, labels, texts, what)
        return given
    names = sorted(given, key=str) if isinstance(given, set | frozenset) else list(given)
    named = names and all(_is_label(name, labels) for name in names)
    return [texts[labels.index(n)] for n in names] if named and len(names) != _rows(source) else given


def _composed(given: Any, source: Any) -> Any:
    """A name, or a list of names of a table whose rows these cannot be, with their letters in one form."""
    if isinstance(given, str):
        return one_form(given)
    names = isinstance(given, list | tuple) and all(isinstance(name, str) for name in given)
    has_rows = hasattr(source, "__len__") and not isinstance(source, str | PurePath)
    if not names or (has_rows and len(given) == _rows(source)):
        return given
    return type(given)(map(one_form, given))


def _check_is_none(given: Any, labels: list[Any], texts: list[str], what: str) -> None:
    """Raise `InputError` for a single thing that is no name, where only a name or several values would do."""
    if isinstance(given, str | dict) or np.ndim(given) or hasattr(given, "__len__") or hasattr(given, "__array__"):
        return
    if isinstance(given, Number | date | np.generic):
        known = f" {columns_are(list(dict.fromkeys(texts)))}" if labels else " Name it by a text."
        raise InputError(f"the table has no {what} {shown_value(given)}.{known}")
    raise InputError(f"the {what} needs the name of a column, or values [row], got a {type(given).__name__}.")


def _labels(source: Any) -> tuple[list[Any], list[str]]:
    """The labels by which a person may name the columns, and the texts that the columns are named by here."""
    columns = None if hasattr(source, "collect") else getattr(source, "columns", None)  # of a lazy frame: not known yet
    if isinstance(source, Mapping):
        columns = list(source)
    if isinstance(columns, Iterable):
        labels = [one_form(label) if isinstance(label, str) else label for label in columns]
        return labels, [one_form(str(label)) for label in labels]
    array = (isinstance(source, np.ndarray) and source.ndim == 2) or (
        hasattr(source, "__array__") and np.ndim(source) == 2
    )
    if not array or isinstance(columns, Iterable):
        return [], []
    count = source.shape[1]
    return [*range(count), *range(-count, 0)], [f"x{k}" for k in range(count)] * 2


def _is_label(given: Any, labels: list[Any]) -> bool:
    if isinstance(given, bool | np.bool_):
        return any(isinstance(label, bool | np.bool_) and label == given for label in labels)
    try:
        return isinstance(given, Hashable) and given in labels
    except ValueError:  # of arrays, which are equal place by place
        return False


def _rows(source: Any) -> int:
    if isinstance(source, Mapping):
        return max((np.size(values) for values in source.values()), default=0)
    return len(source)
