"""Scores that are functions of what each row errs on average, so that the error of such a score is known too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from perceptory.errors import InputError


@dataclass(frozen=True)
class Measure:
    """A score that is a function of the mean of what each row errs, by target [row, target].

    of_rows: (truth, prediction) -> [row, ..., target]. whole: what the score makes of that mean; slope: its derivative.
    """

    name: str
    of_rows: Callable[[np.ndarray, np.ndarray], np.ndarray]
    whole: Callable[[np.ndarray], np.ndarray]
    slope: Callable[[np.ndarray], np.ndarray]


def _root_slope(mean: np.ndarray) -> np.ndarray:
    return 0.5 / np.sqrt(np.maximum(mean, np.finfo(float).tiny))


def _surprise(truth: np.ndarray, probability: np.ndarray) -> np.ndarray:
    own = np.take_along_axis(probability, truth[:, None], axis=1).astype(float)
    return -np.log(np.clip(own, np.finfo(np.float32).eps, 1))


def _wrong(truth: np.ndarray, probability: np.ndarray) -> np.ndarray:
    return (probability.argmax(axis=1) != truth)[:, None].astype(float)


def _same(mean: np.ndarray) -> np.ndarray:
    return mean


NUMBERS = {
    "rmse": Measure("rmse", lambda t, y: (y - t) ** 2, np.sqrt, _root_slope),
    "mae": Measure("mae", lambda t, y: np.abs(y - t), _same, np.ones_like),
}
CLASSES = {
    "log_loss": Measure("log_loss", _surprise, _same, np.ones_like),
    "accuracy": Measure("share of errors", _wrong, _same, np.ones_like),
}


def measure_of(model: Any, score: str | None) -> Measure:
    """The measure of that name; by default RMSE, or log loss of classes."""
    known = NUMBERS if model.classes is None else CLASSES
    if score is None:
        return next(iter(known.values()))
    if score not in known:
        raise InputError(f"importance is measured by one of {', '.join(known)} here, got the score {score!r}.")
    return known[score]
