"""Inputs as a network takes them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class ModelInputs(NamedTuple):
    """Inputs [n, *shape], the lengths [n] of series or None, and row numbers [n], the place of each in its source."""

    inputs: np.ndarray
    lengths: np.ndarray | None
    rows: np.ndarray
