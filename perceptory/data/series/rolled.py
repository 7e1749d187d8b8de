"""Windows of rows that are cut when they are looked at: examples that overlap take no more memory than the rows."""

from __future__ import annotations

from typing import Any

import numpy as np


class Rolled:
    """Examples [n, time, channel] that are windows of rows, and usually overlap; nothing of them is copied.

    values: [row, channel] of all series, one after the other. starts: [n] the first row of each window. steps: of each.

    Rows are taken as of an array: a slice, indices or a mask give windows that are not cut yet, a single index or
    several axes give an array. NumPy's functions get all windows as an array (`numpy.asarray`), which may be large:
    what looks at all values alike looks at `covered`, or at `counts`.
    """

    def __init__(self, values: np.ndarray, starts: np.ndarray, steps: int):
        self.values, self.starts, self.steps = values, starts, steps

    @property
    def shape(self) -> tuple[int, int, int]:
        return len(self.starts), self.steps, self.values.shape[1]

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.values.dtype

    @property
    def ndim(self) -> int:
        return 3

    @property
    def size(self) -> int:
        return int(np.prod(self.shape))

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, tuple):
            if len(key) == 2 and key[0] is Ellipsis and isinstance(key[1], list | tuple | np.ndarray):
                return Rolled(self.values[:, list(key[1])], self.starts, self.steps)  # some of the channels
            if key[0] is Ellipsis:
                return np.asarray(self)[key]
            one = isinstance(key[0], int | np.integer)
            return np.asarray(self[key[0]])[key[1:] if one else (slice(None), *key[1:])]
        if isinstance(key, int | np.integer):
            return self.values[self.starts[key] : self.starts[key] + self.steps]
        return Rolled(self.values, self.starts[key], self.steps)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        windows = self.values[self.starts[:, None] + np.arange(self.steps)]
        return windows if dtype is None else windows.astype(dtype, copy=False)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(np.asarray(self), name)  # what little needs them so

    @property
    def counts(self) -> np.ndarray:
        """[row] in how many windows each row of `values` stands."""
        return counts_of(self, None)

    @property
    def covered(self) -> np.ndarray:
        """[row, channel] the values that stand in a window, each once."""
        inside = self.counts > 0
        return self.values if inside.all() else self.values[inside]

    @property
    def digested(self) -> tuple[np.ndarray, ...]:
        """Arrays that tell these windows from others."""
        return self.covered, np.asarray(self.starts, np.int64), np.array([self.steps])


def counts_of(windows: Rolled, weights: np.ndarray | None) -> np.ndarray:
    """[row] the sum of the weights [n] of the windows in which each row stands; without weights, how many they are."""
    rows = len(windows.values)
    first = np.bincount(windows.starts, weights, rows + 1)
    past = np.bincount(windows.starts + windows.steps, weights, rows + 1)
    counts: np.ndarray = np.cumsum(first[:rows] - past[:rows])
    return counts if weights is None else np.where(np.abs(counts) < 1e-9 * np.abs(weights).max(initial=0), 0, counts)


def values_of(inputs: Any) -> Any:
    """Inputs [..., channel] where each value stands at least once: of windows that overlap, every row once."""
    return inputs.covered if isinstance(inputs, Rolled) else inputs
