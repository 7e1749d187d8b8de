"""Arrays that begin where JAX takes them as they are: others it copies, once for every device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

ALIGNED = 64  # bytes


def aligned_empty(shape: Sequence[int], dtype: Any) -> np.ndarray:
    """As `numpy.empty`, at an address that is a multiple of `ALIGNED`."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = np.empty(size + ALIGNED, np.uint8)
    start = -memory.ctypes.data % ALIGNED
    return memory[start : start + size].view(dtype).reshape(shape)


def aligned_take(array: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """array[rows] of rows by their places or by a mask."""
    places = np.flatnonzero(rows) if rows.dtype == bool else rows
    return np.take(array, places, axis=0, out=aligned_empty((len(places), *array.shape[1:]), array.dtype))
