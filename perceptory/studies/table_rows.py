"""Rows of a table as the program takes them, written from its columns: by a kernel, or by NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Never

import numpy as np

from perceptory.data.tables.features import Features
from perceptory.errors import InputError, Setting
from perceptory.kernels import table
from perceptory.kernels.table import Coded

TILE = 256  # numbers of a row that are turned from columns at once
Write = Callable[[slice, np.ndarray], None]


def row_writer(numbers: Any, aims: np.ndarray, codes: list[Coded], weights: np.ndarray, dtype: Any) -> Write:
    """What writes some rows into out [row, 2 (number + aim) + code + 1]: numbers and aims rounded to a type, what that
    rounds off, codes and the weight.

    numbers: of the inputs, `Features`, an array [row, number] or None; aims: [row, aim];
    weights: [row]. It raises `InputError` for numbers that the type cannot hold.
    """
    made: Features | None = None
    stored: list[table.Stored] = []
    if isinstance(numbers, Features):
        stored, made = numbers.as_stored()
    elif numbers is not None:
        stored = list(map(table.Stored, numbers.T))
    stored += map(table.Stored, aims.T)
    types = {number.values.dtype for number in stored if number.values is not None} | {weights.dtype}
    if not stored or types != {np.dtype(np.float64)} or not table.accepts(dtype, len(stored) * len(weights)):
        return lambda at, out: _by_numpy(numbers, aims, codes, weights, at, out)
    writer = table.RowWriter(table.Row(stored, codes, weights), dtype)

    def write(at: slice, out: np.ndarray) -> None:
        given = None
        if made is not None:
            given = np.empty((made.width, len(out)))
            made.write(at, given.T)
        if not writer(at.start, out, given):
            _refuse_beyond(dtype)

    return write


def _by_numpy(
    numbers: Any, aims: np.ndarray, codes: list[Coded], weights: np.ndarray, at: slice, out: np.ndarray
) -> None:
    width = (out.shape[1] - len(codes) - 1) // 2
    exact, block = np.empty((width, len(out))), np.empty(out.shape[::-1], out.dtype)  # columns by columns are quick
    if isinstance(numbers, Features):
        numbers.write(at, exact[: numbers.width].T)
    elif numbers is not None:
        exact[: numbers.shape[1]] = numbers[at].T
    exact[width - aims.shape[1] :] = aims[at].T
    split_into(exact, block[:width], block[width : 2 * width])
    for k, code in enumerate(codes, 2 * width):
        block[k] = code.meant[code.by_row[at]]
    block[-1] = weights[at]
    for k in range(0, len(block), TILE):  # rows whose parts stay in the cache: wide ones do not
        out[:, k : k + TILE] = block[k : k + TILE].T


def split_into(exact: np.ndarray, rounded: np.ndarray, rest: np.ndarray) -> None:
    """Write numbers rounded to the type of `rounded`, and what is left of them: their sum is the number to twice the
    digits. `InputError` for what that type cannot hold."""
    with np.errstate(over="ignore", invalid="ignore"):
        rounded[...] = exact
        np.subtract(exact, rounded, out=rest, casting="same_kind")
    if np.isinf(rounded).any() and not np.array_equal(np.isfinite(rounded), np.isfinite(exact)):
        _refuse_beyond(rounded.dtype)


def _refuse_beyond(dtype: Any) -> Never:
    raise InputError(
        f"the table holds numbers beyond {np.finfo(dtype).max:.1g}, more than single precision can take."
        " Rescale the column, or choose ",
        Setting("precision", "double"),
        ".",
    )
