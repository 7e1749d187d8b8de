"""A validation share drawn by what stands in the rows: equal rows fall on the same side, in any order and any number.

A share drawn by the rows' places would put copies of one row on both sides, and a weight of 2 would be another thing
than two copies. Here every row has a hash, classes are looked at one by one, and the rows with the smallest hashes are
for validation.
"""

from __future__ import annotations

import numpy as np

_SALTS = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def mixed(x: np.ndarray) -> np.ndarray:
    """The finalizer of splitmix64 (Steele, Lea & Flood 2014)."""
    x = (x ^ (x >> np.uint64(30))) * _SALTS[1]
    x = (x ^ (x >> np.uint64(27))) * _SALTS[2]
    return x ^ (x >> np.uint64(31))


def row_hashes(table: np.ndarray, seed: int) -> np.ndarray:
    """[row] uint64 from the numbers of a table [row, column]; equal rows have equal hashes."""
    numbers = np.ascontiguousarray(table, np.float64) + 0.0  # -0 is 0
    numbers[np.isnan(numbers)] = np.nan
    bits = numbers.view(np.uint64)
    bits = bits ^ (bits >> np.uint64(32))
    columns = np.arange(1, table.shape[1] + 1, dtype=np.uint64)
    factors = mixed((columns + np.uint64(seed % 2**31)) * _SALTS[0]) | np.uint64(1)
    return mixed(np.asarray(np.sum(bits * factors, axis=1, dtype=np.uint64)))


def share_alike(
    table: np.ndarray, share: float, *, seed: int, weights: np.ndarray | None = None, classes: np.ndarray | None = None
) -> np.ndarray:
    """[row] bool, True for validation: the share (by weight) of the rows [row, column], of each class where given.

    A class of few rows has none in validation; where no class has any, the smallest hash of all is. Where all rows are
    alike there is nothing to validate on: all False.
    """
    hashes = row_hashes(table, seed)
    distinct, place = np.unique(hashes, return_inverse=True)
    chosen = np.zeros(len(hashes), bool)
    if len(distinct) < 2:
        return chosen
    w = np.ones(len(hashes)) if weights is None else weights
    of = np.zeros(len(hashes), int) if classes is None else classes
    for c in np.unique(of):
        here = of == c
        heavy = np.bincount(place[here], weights=w[here], minlength=len(distinct))
        inside = (np.cumsum(heavy) - heavy / 2 <= share * heavy.sum()) & (heavy > 0)
        chosen |= here & inside[place]
    if not chosen.any():
        chosen = place == 0
    if chosen.all():
        chosen = place != place.max()
    return chosen
