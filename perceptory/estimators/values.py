"""X, y, weights and groups that carry more than NumPy's numbers, as scikit-learn's checks may see them.

Those look at no mask, take dates and durations for plain numbers, and stumble over what is missing among texts. What
such values mean here is what they mean in a table.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from perceptory.data import RawColumn
from perceptory.data.arrays.checks import as_inputs, unmasked
from perceptory.data.arrays.targets import group_index
from perceptory.data.tables.sources import as_table, column_of
from perceptory.data.tables.table import one_form
from perceptory.errors import InputError

PLAIN = "biufUS"  # kinds of arrays that mean to scikit-learn what they mean here
WHAT = {"label": "categories", "date": "dates", "text": "texts", "other": "values that are no numbers"}


def frame_of(values: Any) -> Any:
    """A frame of any library, as narwhals knows it; None for anything else."""
    import narwhals as nw

    frame = nw.from_native(values, pass_through=True, eager_only=True)
    return frame if isinstance(frame, nw.DataFrame) else None


def inputs(X: Any) -> Any:
    """X with nan where it is masked, and an array of dates or durations as a frame of them."""
    X = _composed(unmasked(X))
    columns = [str(name) for name in getattr(X, "columns", ()) if not callable(name)]
    several = len(set(columns)) < len(columns)
    twice = next((name for name in columns if columns.count(name) > 1), None) if several else None
    if twice is not None:
        raise InputError(f"X has more than one column {twice!r}. Rename them, so that each has a name of its own.")
    if isinstance(X, np.ndarray) and X.dtype.names is not None:
        raise InputError("X is a structured array. Give a frame of it, such as pandas.DataFrame(X).")
    if isinstance(X, np.ndarray) and X.dtype.kind in "mM" and X.ndim == 2:
        import polars as pl

        return pl.DataFrame({f"x{k}": column.astype(f"{X.dtype.kind}8[us]") for k, column in enumerate(X.T)})
    return X


def examples(X: Any) -> Any:
    """X of series: numbers, nan where masked, durations in seconds; `InputError` for dates and categories."""
    X = unmasked(X)
    if frame_of(X) is not None:
        return _several(X, "X")
    kind = getattr(getattr(X, "dtype", None), "kind", "")
    if kind == "M":
        raise InputError("X needs numbers, but holds dates. Convert them first.")
    return as_inputs(X) if kind == "m" else X


def _composed(X: Any) -> Any:
    """A frame with the letters of its columns' names in one form, as in tables."""
    names = [] if callable(getattr(X, "columns", None)) else list(getattr(X, "columns", ()))
    new = {name: one_form(name) for name in names if isinstance(name, str) and one_form(name) != name}
    frame = frame_of(X) if new else None
    return X if frame is None else frame.rename(new).to_native()


def targets(y: Any, *, numbers: bool) -> Any:
    """y of numbers, or of classes, without masks and types of pandas' own; `InputError` where a row has no value."""
    frame = frame_of(y)
    if frame is not None and numbers:
        return _several(y)
    if _is_plain(y):
        return y
    if _axes(y) != 1:
        return unmasked(y)
    column = _present("y", y)
    own = isinstance(y, list | tuple) or str(getattr(y, "dtype", "")) == "object"  # as scikit-learn reads objects
    if numbers:
        if column.storage in ("label", "date"):
            raise _no_numbers("y", column)
        return column.values if column.storage in ("number", "boolean") and not own else y
    if own or column.storage not in ("number", "boolean"):
        return np.asarray(y)
    return column.data.to_numpy()


def weights(values: Any) -> Any:
    """Sample weights; `InputError` for what is no number, and where a row has none."""
    if values is None or np.isscalar(values) or _is_plain(values):
        return values
    column = _present("sample_weight", values)
    if column.storage not in ("number", "boolean"):
        raise _no_numbers("sample_weight", column)
    return column.values


def groups(values: Any) -> tuple[RawColumn, np.ndarray]:
    """Groups as a column, and as numbers from 0 [row]; `InputError` where a row has none."""
    column = column_of("groups", values)
    return column, group_index(column, np.ones(len(column), bool), "rows")


def _several(values: Any, name: str = "y") -> Any:
    """A frame of numbers [row, column], durations in seconds."""
    table = as_table(values)
    for column in table.columns:
        if column.storage in ("label", "date"):
            raise _no_numbers(f"{name}[{column.name!r}]", column)
    if table.columns and all(column.storage in ("number", "boolean") for column in table.columns):
        return np.stack([column.values for column in table.columns], axis=1)
    return values


def _present(name: str, values: Any) -> RawColumn:
    column = column_of(name, values)
    if column.missing.any():
        raise InputError(
            f"Input {name} contains NaN: {int(column.missing.sum())} of {len(column)} rows have no value (the first is "
            f"row {int(np.argmax(column.missing)) + 1}). Leave these rows out."
        )
    return column


def _no_numbers(name: str, column: RawColumn) -> InputError:
    return InputError(f"{name} needs numbers, but holds {WHAT[column.storage]}. Convert them first.")


def _is_plain(values: Any) -> bool:
    """Whether values are an array, or a series that is one underneath, of numbers or texts."""
    if isinstance(values, np.ma.MaskedArray):
        return False
    dtype = getattr(values, "dtype", None)
    return isinstance(dtype, np.dtype) and dtype.kind in PLAIN


def _axes(values: Any) -> int:
    return np.ndim(values) if isinstance(values, list | tuple) else getattr(values, "ndim", 1)
