"""y as targets of a `Dataset`, and class weights."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from numbers import Real
from typing import Any

import numpy as np
from sklearn.exceptions import DataConversionWarning
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import _check_y

from perceptory.data import RawColumn
from perceptory.data.tables.sources import column_of, from_array
from perceptory.errors import InputError
from perceptory.estimators import values as plain


@dataclass
class Targets:
    """What a `Dataset` says of its targets; values: [row, target] numbers or [row] class index."""

    task: str
    values: np.ndarray
    names: tuple[str, ...]
    flat: bool  # whether predictions are [row] rather than [row, target]
    classes: np.ndarray | None = None  # as the user gave them, sorted
    labels: bool = False  # multi-label: values are 0 and 1

    def class_names(self) -> tuple[str, ...] | None:
        if self.task == "regression" or self.classes is None:
            return None
        return tuple(str(c) for c in self.classes)

    def class_values(self) -> np.ndarray | None:
        """Labels of a kind that a model file holds."""
        if self.task == "regression" or self.classes is None:
            return None
        return self.classes.astype(str) if self.classes.dtype == object else self.classes

    def columns(self) -> list[RawColumn]:
        """The targets as columns of a table, as they were given."""
        if self.task != "regression":
            return [column_of(self.names[0], self.classes[self.values])]  # type: ignore[index]
        return [from_array(name, values) for name, values in zip(self.names, self.values.T, strict=True)]

    def take(self, rows: np.ndarray) -> Targets:
        return Targets(self.task, self.values[rows], self.names, self.flat, self.classes, self.labels)


def _given(y: Any, estimator: Any) -> None:
    if y is None:
        raise ValueError(
            f"This {type(estimator).__name__} estimator requires y to be passed, but the target y is None."
        )


def names_for(y: Any, count: int) -> tuple[str, ...]:
    """Names of the targets: those of a frame or series, else y, or y0, y1, ..."""
    columns = getattr(y, "columns", None)
    if columns is not None and len(columns) == count and len({str(c) for c in columns}) == count:
        return tuple(str(c) for c in columns)
    name = getattr(y, "name", None)
    if count == 1:
        return (name if isinstance(name, str) and name else "y",)
    return tuple(f"y{k}" for k in range(count))


def number_targets(y: Any, estimator: Any) -> Targets:
    """Targets of a regression."""
    _given(y, estimator)
    try:
        checked = _check_y(plain.targets(y, numbers=True), multi_output=True, y_numeric=True, estimator=estimator)
        values = checked.astype(np.float64)
    except ValueError as error:
        if "could not convert string" not in str(error):
            raise
        text = str(error).rpartition(": ")[2].removeprefix("np.str_(").removesuffix(")")
        raise InputError(
            f"y needs numbers, but holds texts that are none, such as {text}. Convert them first."
        ) from None
    flat = values.ndim == 1
    if values.ndim == 2 and values.shape[1] == 1:
        _warn_column()
        flat = True
    values = values.reshape(len(values), -1)
    return Targets("regression", values, names_for(y, values.shape[1]), flat)


def _warn_column() -> None:
    warnings.warn(
        "A column-vector y was passed when a 1d array was expected. Please change the shape of y to (n_samples, ), for"
        " example using ravel().",
        DataConversionWarning,
        stacklevel=5,
    )


def class_targets(y: Any, estimator: Any, known: Any = None) -> Targets:
    """Targets of a classification; known: all labels that there may be, where not all of them are in y."""
    _given(y, estimator)
    checked = _check_y(plain.targets(y, numbers=False), multi_output=True, estimator=estimator)
    try:
        check_classification_targets(checked)
        kind = type_of_target(checked, input_name="y")
        np.unique(checked)
    except TypeError:  # they cannot be sorted
        kinds = sorted({type(label).__name__ for label in checked.ravel().tolist()})
        raise InputError(
            f"y holds labels of several types ({', '.join(kinds)}), which have no order. Give all of one type, such as"
            " texts: [str(label) for label in y]."
        ) from None
    if kind == "multilabel-indicator":
        values = (checked != 0).astype(np.float64)
        return Targets("regression", values, names_for(y, values.shape[1]), False, np.arange(values.shape[1]), True)
    if kind == "multiclass-multioutput":
        raise ValueError(
            "Unknown label type: multiclass-multioutput. Several targets have to be 0 and 1; use MultiOutputClassifier."
        )
    if checked.ndim == 2:
        _warn_column()
        checked = checked[:, 0]
    labels, index = np.unique(checked, return_inverse=True)
    if known is not None:
        known = np.unique(known)
        new = np.setdiff1d(labels, known)
        if len(new):
            raise InputError(
                f"y holds classes that were not there before: {new.tolist()[:5]}. Known: {known.tolist()}."
            )
        index, labels = np.searchsorted(known, checked), known
    if len(labels) < 2:
        raise InputError(
            f"{type(estimator).__name__} needs at least 2 classes in the data, got one class:"
            f" {np.asarray(labels).tolist()[0]!r}."
        )
    return Targets("binary" if len(labels) == 2 else "multiclass", index, names_for(y, 1), True, labels)


def _by_name(class_weight: Mapping[Any, Any], labels: np.ndarray, present: np.ndarray) -> np.ndarray:
    """The weights of the classes that are present, 1 of those that are not named. scikit-learn takes every name that is
    written as a number for that number: "007" for 7."""
    named = {_plain(name): weight for name, weight in class_weight.items()}
    known = [_plain(label) for label in labels.tolist()]
    unknown = [name for name in named if name not in known]
    if unknown:
        raise InputError(
            f"the classes of class_weight have to be in y, and {unknown[:5]} are not. In y are {known[:20]}."
        )
    for name, weight in named.items():
        if not isinstance(weight, Real) or isinstance(weight, bool) or not 0 <= float(weight) < np.inf:
            raise InputError(f"class_weight needs a number of at least 0 for each class, got {weight!r} for {name!r}.")
    return np.array([float(named.get(_plain(label), 1.0)) for label in present.tolist()])


def _plain(label: Any) -> Any:
    """A class in one form, so that equal ones are found: texts apart from numbers, dates as numbers of microseconds."""
    if isinstance(label, date):
        label = np.datetime64(label)
    if isinstance(label, np.datetime64):
        return label.astype("M8[us]")
    return label.item() if isinstance(label, np.generic) else label


def class_weighted(
    targets: Targets, class_weight: Any, weights: np.ndarray | None, rows_so_far: np.ndarray | None = None
) -> np.ndarray | None:
    """[row] sample weights times the weight of each row's class.

    rows_so_far: [class] rows, by weight, that "balanced" goes by, where training has seen more than these.
    """
    if class_weight is None:
        return weights
    if targets.labels:
        raise InputError("class_weight is for one target of classes, and y holds several labels. Use sample_weight.")
    labels = targets.classes
    y = labels[targets.values]  # type: ignore[index]
    present = np.unique(y)
    if rows_so_far is not None and isinstance(class_weight, str) and class_weight == "balanced":
        of = np.searchsorted(labels, present)  # type: ignore[arg-type]
        each = np.sum(rows_so_far) / (np.count_nonzero(rows_so_far) * rows_so_far[of])
    elif isinstance(class_weight, Mapping):
        each = _by_name(class_weight, labels, present)  # type: ignore[arg-type]
    else:
        each = compute_class_weight(class_weight, classes=present, y=y, sample_weight=weights)
    mine = each[np.searchsorted(present, y)]
    return mine if weights is None else weights * mine
