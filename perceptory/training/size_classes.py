"""Sizes rounded up to few values, so that data of nearly equal size run in one compiled program."""

from __future__ import annotations

from typing import Any

import numpy as np

SMALL, FINE = 64, 1024  # up to SMALL all are one size, up to twice as many another; beyond FINE the steps are finer


def bucket(size: int) -> int:
    """The next of 64, 128, 160, 192, 224, 256, 320, ... 1024, 1152, ...: at most a quarter more, beyond 1024 an
    eighth; small sizes take no time anyway. 0 stays 0."""
    if size <= 2 * SMALL:
        return 0 if size <= 0 else SMALL if size <= SMALL else 2 * SMALL
    step = 1 << (int(size - 1).bit_length() - (3 if size <= FINE else 4))
    return -(-size // step) * step


def coarse_bucket(size: int, times: int = 1) -> int:
    """The next power of two, at least SMALL `times`; up from 4096 as `bucket`. For what costs no time in each step."""
    if size <= 0 or size > 4096:
        return bucket(size)
    return max(times * SMALL, 1 << int(size - 1).bit_length())


def epoch_bucket(epochs: int) -> int:
    """The next power of two, at least 64: how many epochs a program has room for, whatever a member's own number."""
    return max(64, 1 << int(epochs - 1).bit_length())


def padded_rows(rows: int, batch: int) -> tuple[int, int]:
    """(rows, batch) rounded up. Several batches: to whole batches, which the order of rows has places for anyway;
    a single one: to a bucket. Rows that are added have weight 0."""
    if batch >= rows:
        return bucket(rows), bucket(rows)
    return -(-rows // batch) * batch, batch


def pad_first(array: np.ndarray, length: int, value: Any = 0) -> np.ndarray:
    """The array with rows of `value` after its own, up to `length` rows."""
    missing = [(0, length - len(array)), *[(0, 0)] * (array.ndim - 1)]
    return np.pad(array, missing, constant_values=value) if length > len(array) else array
