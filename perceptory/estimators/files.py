"""Fitted estimators in safe model files: the model, and in its facts the arguments and what `fit` left."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np

from perceptory.errors import InputError
from perceptory.models.model import Model
from perceptory.specs import from_json, to_json

KEY = "estimator"
DATES: dict[str, type[date]] = {"datetime": datetime, "date": date}


def write_estimator(estimator: Any, path: str | Path) -> None:
    """Arguments that no file can hold (functions, splitters) are left at their defaults when it is read."""
    arguments = {}
    for name, value in estimator.get_params(deep=False).items():
        try:
            arguments[name] = _plain(value)
        except InputError:
            continue
    facts = {
        "class": type(estimator).__name__,
        "arguments": arguments,
        "fitted": {
            name: _plain(getattr(estimator, name)) for name in estimator._fitted_attributes if hasattr(estimator, name)
        },
    }
    estimator.model_.with_facts({**estimator.model_.facts, KEY: facts}).save(path)


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return {"array": value.tolist(), "type": "text" if value.dtype == object else value.dtype.str}
    if isinstance(value, tuple):
        return {"tuple": [_plain(v) for v in value]}
    if isinstance(value, list):
        return [_plain(v) for v in value]
    if isinstance(value, dict):  # JSON's keys are texts; class weights by number, truth value or date are not
        return {"dict": [[_plain(k), _plain(v)] for k, v in value.items()]}
    if isinstance(value, np.generic):
        return {"array": value.tolist() if value.dtype.kind != "M" else str(value), "type": value.dtype.str}
    for name, kind in DATES.items():
        if type(value) is kind:
            return {name: value.isoformat()}
    return to_json(value)


def _back(data: Any) -> Any:
    if isinstance(data, dict) and set(data) == {"array", "type"}:
        array = np.asarray(data["array"], object if data["type"] == "text" else data["type"])
        return array[()] if array.ndim == 0 else array
    if isinstance(data, dict) and set(data) == {"dict"}:
        return {_back(k): _back(v) for k, v in data["dict"]}
    if isinstance(data, dict) and len(data) == 1 and next(iter(data)) in DATES:
        ((name, text),) = data.items()
        return DATES[name].fromisoformat(text)
    if isinstance(data, dict) and set(data) == {"tuple"}:
        return tuple(_back(v) for v in data["tuple"])
    if isinstance(data, list):
        return [_back(v) for v in data]
    return from_json(data) if isinstance(data, dict) and "kind" in data else data


def read_estimator(cls: type, path: str | Path) -> Any:
    model = Model.load(path)
    description = model.facts.pop(KEY, None)
    if description is None:
        raise InputError(f"{path} holds a model that no estimator wrote. Read it with Model.load.")
    try:
        if description["class"] != cls.__name__:
            raise InputError(f"{path} holds a {str(description['class'])[:40]}, not a {cls.__name__}. Use that class.")
        estimator = cls(**{str(name): _back(value) for name, value in description["arguments"].items()})
        for name, value in description["fitted"].items():
            if name in cls._fitted_attributes:  # type: ignore[attr-defined]
                setattr(estimator, name, _back(value))
    except InputError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError):
        raise InputError(f"{path} does not hold a sound estimator: its description is damaged.") from None
    estimator._keep_model(model)
    return estimator
