"""The sealed rows as a result holds them: opened once, by the final model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from perceptory.models.ensemble import ErrorDecomposition
from perceptory.models.importance import Importance
from perceptory.models.model import Model
from perceptory.notes import Note
from perceptory.results.predictions import Predictions
from perceptory.results.shown_forecasts import ShownForecasts


@dataclass(frozen=True)
class TestOutcome:
    """metrics: name -> number, or a list for several targets. ensemble: what the mean of the networks gains, one a
    target; () for one network. forecasts: what the report shows of them."""

    metrics: dict[str, Any]
    predictions: Predictions
    ensemble: tuple[ErrorDecomposition, ...] = ()
    forecasts: ShownForecasts | None = None


class SealedTest(Protocol):
    """Rows that a study has not seen, until the final model is judged by them."""

    def open(self, model: Model) -> TestOutcome:
        """Predict the sealed rows and compare."""

    def importance(self, model: Model, score: str) -> Importance | None:
        """Which columns the model rests on there; None where that is not known in about a second."""

    def learned_from(self, model: Model) -> tuple[Model, Note] | None:
        """The model that has learned from these rows as well, once they are opened, and what is said of it; None where
        the model stays as it is."""
