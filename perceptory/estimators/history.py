"""What training left behind: costs by epoch."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn import get_config


def frame_of(columns: dict[str, Any]) -> Any:
    """A frame of the library that `sklearn.set_config(transform_output=...)` names; polars by default."""
    if get_config()["transform_output"] == "pandas":
        import pandas as pd

        return pd.DataFrame(columns)
    import polars as pl

    return pl.DataFrame(columns)


class HistoryMixin:
    """Of one network; `_costs` is [epoch, 2] training and validation cost, on the scale that is trained on."""

    _costs: np.ndarray

    @property
    def loss_curve_(self) -> list[float]:
        """Training cost of each epoch, the mean over its rows."""
        return self._costs[:, 0].tolist()

    @property
    def validation_curve_(self) -> list[float]:
        """Validation cost of each epoch; nan where there were no validation rows."""
        return self._costs[:, 1].tolist()

    @property
    def loss_(self) -> float:
        """Training cost of the last epoch."""
        return float(self._costs[-1, 0])

    @property
    def history_(self) -> Any:
        """A tidy frame with a row an epoch: epoch (from 1), train_cost, validation_cost."""
        return frame_of(
            {
                "epoch": np.arange(1, len(self._costs) + 1),
                "train_cost": self._costs[:, 0],
                "validation_cost": self._costs[:, 1],
            }
        )
