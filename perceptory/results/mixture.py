"""What a final model of several candidates holds, and what it promises."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class MixtureResult:
    """shares: of candidates by id, the greatest first, 1 together. per_fold: scores of each fold's validation rows,
    predicted with shares that were selected without them: the estimate that is not flattered by the selection.
    selected: the score of the shares on the very rows that they were selected on, which is.
    """

    shares: dict[str, float]
    per_fold: tuple[float, ...]
    selected: float

    @property
    def mean(self) -> float:
        return float(np.mean(self.per_fold))

    @property
    def spread(self) -> float:
        """Standard deviation over folds; nan of one fold."""
        return float(np.std(self.per_fold, ddof=1)) if len(self.per_fold) > 1 else float("nan")

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"per_fold": list(self.per_fold)}

    @staticmethod
    def from_json(data: dict[str, Any]) -> MixtureResult:
        def number(value: float | None) -> float:
            return float("nan") if value is None else float(value)

        return MixtureResult(
            {id: float(share) for id, share in data["shares"].items()},
            tuple(number(v) for v in data["per_fold"]),
            number(data["selected"]),
        )
