"""X, y and sample weights as a `Dataset`: checked as scikit-learn checks, column names and categories kept."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import _check_feature_names, _check_n_features, check_array, validate_data

from perceptory.data import Column, Encoder, RawColumn, Table
from perceptory.data.examples import ExampleEncoder
from perceptory.data.tables.beside import holds, no_chance, same_values
from perceptory.data.tables.cells import numbers_in, stripped
from perceptory.data.tables.column_plan import ColumnPlan, plan_columns
from perceptory.data.tables.inference import MOST_BAD, infer
from perceptory.data.tables.sources import as_table
from perceptory.errors import InputError
from perceptory.estimators import values
from perceptory.notes import given_beside, joined
from perceptory.wording import shown_value

REMEDY = (
    " Text columns need encoding: OneHotEncoder in a ColumnTransformer, or a categorical column"
    ' (astype("category") in pandas, cast(pl.Categorical) in polars).'
)
NUMBERS: dict[str, Any] = {"dtype": (np.float64, np.float32), "ensure_all_finite": "allow-nan"}


def checked_inputs(estimator: Any, X: Any, *, reset: bool) -> Any:
    """X as an array [row, column] of floats, NaN where missing, or, where a frame has columns that are no numbers
    (categories, truth values, dates), as a `Table`. Sets or checks n_features_in_ and feature_names_in_."""
    X, own = values.inputs(X), {} if reset else _learned_kinds(estimator)
    frame = values.frame_of(X)
    if frame is None and own:
        X = validate_data(estimator, X, reset=False, dtype=None, ensure_all_finite=False)
        frame = values.frame_of(_framed(X, names_of(estimator)))
    kinds = {} if frame is None else {name: _kind(dtype) for name, dtype in frame.schema.items()}
    kinds |= {name: kind for name, kind in own.items() if name in kinds}
    if frame is None or not any(kinds.values()):
        return _numbers(lambda: validate_data(estimator, X, reset=reset, **NUMBERS), X)
    _check_feature_names(estimator, X, reset=reset)
    _check_n_features(estimator, X, reset=reset)
    if not len(frame):
        raise InputError(f"Found array with 0 sample(s) (shape={frame.shape}) while a minimum of 1 is required.")
    columns = []
    for raw in as_table(frame.to_native()).columns:
        if not kinds.get(raw.name):  # numbers, or what scikit-learn would read as numbers
            part = frame.select(raw.name).to_numpy()
            read = _numbers(lambda p=part: check_array(p, dtype=np.float64, ensure_all_finite="allow-nan"), part)
            raw = RawColumn(raw.name, "number", read[:, 0])
        elif raw.storage == "other":
            raise InputError(f"column {raw.name!r} of X has {joined(raw.notes)}. Convert it, or leave it out.")
        columns.append(raw)
    return Table(tuple(columns), len(frame))


def _learned_kinds(estimator: Any) -> dict[str, str]:
    """What the columns of the fitted model are that are no numbers: they stay so, whatever the type of new values."""
    encoder = getattr(getattr(estimator, "model_", None), "encoder", None)
    if not isinstance(encoder, Encoder):
        return {}
    return {plan.name: plan.kind for plan in encoder.columns if plan.kind not in ("numeric", "ignored")}


def _framed(array: np.ndarray, names: list[str]) -> Any:
    """The columns of an array, each in a type of its own."""
    import polars as pl

    columns = {name: array[:, k].tolist() for k, name in enumerate(names)}
    return pl.DataFrame([pl.Series(name, column, strict=False) for name, column in columns.items()])


def _kind(dtype: Any) -> str:
    """What a column of a frame is other than numbers; "" for numbers and for texts, which scikit-learn refuses."""
    import narwhals as nw

    if dtype in (nw.Categorical, nw.Enum):
        return "categorical"
    if dtype == nw.Boolean:
        return "boolean"
    if dtype in (nw.Date, nw.Datetime):
        return "date"
    return "" if dtype.is_numeric() or dtype in (nw.String, nw.Object) else "other"


def _numbers(read: Any, source: Any) -> Any:
    """What `read` gives; where it refuses and the source holds texts, its error says what to do with texts."""
    try:
        return read()
    except ValueError as refused:
        error = refused
        if not _holds_words(source):
            raise
    raise _bad_cell(source) or ValueError(f"{error}.{REMEDY}")


def _bad_cell(source: Any) -> InputError | None:
    """The error of a column of numbers in which a few cells are none; None where there is no such column."""
    for column in as_table(source).columns:
        if column.storage == "text":
            cells = stripped(column.text)
            wrong = cells.is_not_null() & numbers_in(cells).is_null()
            if 0 < wrong.sum() <= MOST_BAD * (len(cells) - cells.null_count()):
                return InputError(
                    f"column {column.name!r} of X holds numbers, but {shown_value(cells.filter(wrong)[0])} in row"
                    f" {int(wrong.arg_max() or 0) + 1}. Correct the cell, or make it nan, which is a missing value."
                )
    return None


def _holds_words(source: Any) -> bool:
    """Whether a table holds a text that is no number."""
    try:
        cells = np.asarray(source, dtype=object)
    except ValueError:  # rows of different length
        return False
    return cells.ndim == 2 and any(isinstance(cell, str) and not _is_number(cell) for cell in cells.flat)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


Copies = dict[str, str]  # columns of X that hold what is given beside it, by name: as which it is given


def copies_in(inputs: Any, names: list[str], beside: dict[str, list[RawColumn]]) -> Copies:
    """Columns of checked inputs that hold the values of y, weights or groups in every row.

    In few rows that may be chance, so the name has to be the same there.
    """
    columns = inputs.columns if isinstance(inputs, Table) else None
    copies: Copies = {}
    for what, given in beside.items():
        for column in given:
            certain = no_chance(column)
            for k, name in enumerate(names):
                if name in copies or not (certain or name == column.name):
                    continue
                own = RawColumn(name, "number", inputs[:, k]) if columns is None else columns[k]
                if own.storage == "other":
                    continue
                if same_values(own, column) or (certain and holds(own, column, codes=what == "groups")):
                    copies[name] = what
    if len(copies) == len(names):
        raise InputError("every column of X holds values that are given beside it, so there is nothing to learn from.")
    return copies


def encoder_for(inputs: Any, names: list[str], target_names: tuple[str, ...], copies: Copies) -> Encoder:
    """Every numeric column is a feature, even a constant one (so that folds of one table have one shape), and one more
    where it misses values; other columns as in `Encoder.fit`. copies: columns that are none."""
    if isinstance(inputs, Table):
        others = iter(plan_columns([infer(c) for c in inputs.columns if c.storage != "number"], inputs.rows))
        plans = [_numeric(c.name, c.missing.any()) if c.storage == "number" else next(others) for c in inputs.columns]
    else:
        missing = np.isnan(inputs).any(axis=0)
        plans = [_numeric(name, m) for name, m in zip(names, missing, strict=True)]
    kept = [
        ColumnPlan(p.name, "ignored", notes=(given_beside(copies[p.name]),)) if p.name in copies else p for p in plans
    ]
    return Encoder(tuple(kept), target_names)


def _numeric(name: str, missing: Any) -> ColumnPlan:
    return ColumnPlan(name, "numeric", value=True, missing=bool(missing))


def columns_of(inputs: Any, names: list[str]) -> tuple[Column, ...]:
    """The columns of a `Dataset`."""
    if isinstance(inputs, Table):
        return tuple(Column(c.name, "numeric", c.values) if c.storage == "number" else infer(c) for c in inputs.columns)
    return tuple(Column(name, "numeric", inputs[:, k]) for k, name in enumerate(names))


def encoded(encoder: ExampleEncoder, inputs: Any) -> np.ndarray:
    """[row, in] features of checked inputs."""
    if isinstance(inputs, Table) and isinstance(encoder, Encoder):
        features = encoder.features(inputs)
        encoder.tell_unseen(inputs, features)
        return features.dense()
    if not isinstance(encoder, Encoder):
        return encoder.transform(inputs)
    if all(plan.value and not plan.missing for plan in encoder.columns):
        return np.asarray(inputs, np.float64)
    parts = []
    for k, plan in enumerate(encoder.columns):
        if plan.value:
            parts.append(inputs[:, k, None])
        if plan.missing:
            parts.append(np.isnan(inputs[:, k, None]))
    return np.concatenate(parts, axis=1, dtype=np.float64)


def take(inputs: Any, rows: np.ndarray) -> Any:
    return inputs.take(rows) if isinstance(inputs, Table) else inputs[rows]


def stacked(first: Any, second: Any) -> Any:
    """The rows of both, one after the other."""
    if not isinstance(first, Table) or not isinstance(second, Table):
        return np.concatenate([first, second])
    pairs = zip(first.columns, (second.column(c.name) for c in first.columns), strict=True)
    columns = tuple(a.append(b) for a, b in pairs)
    return Table(columns, first.rows + second.rows)


def names_of(estimator: Any) -> list[str]:
    """Column names, or x0, x1, ... where there are none."""
    if hasattr(estimator, "feature_names_in_"):
        return [str(name) for name in estimator.feature_names_in_]
    return [f"x{k}" for k in range(estimator.n_features_in_)]
