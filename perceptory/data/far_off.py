"""A single value that is far off all others of its column, such as a wrong unit or a cell that was meant as missing."""

from __future__ import annotations

import numpy as np

FAR = 1e6  # deviations of all other values


def far_off(column: np.ndarray) -> int | None:
    """The place of the value in a column [row] that may miss some, if there is one."""
    if len(column) < 3:
        return None
    size = np.abs(column)
    most, total = np.fmax.reduce(size), np.nansum(size)
    # Beside such a value all others together are little, which is soon seen.
    if not np.isfinite(most) or total - most > 1e-5 * most * len(column):
        return None
    place = int(np.nanargmax(size))
    others = np.delete(column, place)
    others = others[np.isfinite(others)]
    spread = float(np.std(others)) if len(others) > 1 else 0.0
    return place if spread > 0 and abs(column[place] - np.mean(others)) > FAR * spread else None
