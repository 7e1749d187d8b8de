"""What nested cross-validation found: the error of the whole procedure, choice included."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class OuterFold:
    """One outer fold. rows: that it held out and that took part in nothing. chosen: shares of candidates by id, as they
    were chosen on its training rows. score: of the model that was made there, on its rows. promised: what its inner
    folds made of that model."""

    rows: int
    chosen: dict[str, float]
    score: float
    promised: float


@dataclass(frozen=True)
class NestedResult:
    """folds: the outer ones. score: name of what they are judged by. metrics: each one's mean over them. networks: that
    were trained for this alone."""

    folds: tuple[OuterFold, ...]
    score: str
    metrics: dict[str, Any]
    networks: int

    @property
    def mean(self) -> float:
        """Of the score over the outer folds: the error to expect of a study like this one."""
        return float(np.mean([fold.score for fold in self.folds]))

    @property
    def spread(self) -> float:
        """Standard deviation over the outer folds; nan of one."""
        return float(np.std([f.score for f in self.folds], ddof=1)) if len(self.folds) > 1 else float("nan")

    @property
    def standard_error(self) -> float:
        """Of the mean; folds share training rows, so it is rather too small."""
        return float(self.spread / np.sqrt(len(self.folds)))

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"folds": [asdict(fold) for fold in self.folds]}

    @staticmethod
    def from_json(data: dict[str, Any]) -> NestedResult:
        def number(value: Any) -> Any:
            return [number(v) for v in value] if isinstance(value, list) else float("nan") if value is None else value

        folds = tuple(OuterFold(**{name: number(v) for name, v in fold.items()}) for fold in data["folds"])
        metrics = {name: number(value) for name, value in data["metrics"].items()}
        return NestedResult(folds, data["score"], metrics, data["networks"])
