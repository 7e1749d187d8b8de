"""What examples without a target are called in figures: a class or number beside each, which nothing learns from."""

from __future__ import annotations

from typing import Any, NamedTuple, Self

import numpy as np


class Labels(NamedTuple):
    """values: [n] float64 numbers, or objects: texts, None where there is none."""

    name: str
    values: np.ndarray

    def take(self, rows: Any) -> Self:
        """Those of some examples."""
        return self._replace(values=self.values[rows])
