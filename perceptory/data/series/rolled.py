"""Windows of rows, and values that come after them, cut when they are looked at: examples that overlap take no more
memory than the rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

AT_ONCE = 1 << 20  # numbers that are gathered at a time


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


class Ahead(np.lib.mixins.NDArrayOperatorsMixin):
    """Targets [n, horizon · target] of forecasts: the rows that stand so many steps after each origin; those of many
    horizons are mostly the same, and nothing of them is copied.

    values: [row, target] float64 of all series, one after the other. origins: [n] the last row of each window.
    horizons: steps after it, in the order of the outputs.

    What is indexed (a slice, indices, a mask, several axes) is an array, `take` gives targets that are not gathered
    yet. NumPy's functions get all of them as an array (`numpy.asarray`), which may be large: what goes through them
    takes a `column` or some `columns`, all `by_column`, or `blocks` of examples.
    """

    def __init__(self, values: np.ndarray, origins: np.ndarray, horizons: tuple[int, ...]):
        self.values, self.origins, self.horizons = values, origins, horizons

    @property
    def width(self) -> int:
        return len(self.horizons) * self.values.shape[1]

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.origins), self.width

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.values.dtype

    @property
    def ndim(self) -> int:
        return 2

    @property
    def size(self) -> int:
        return int(np.prod(self.shape))

    def __len__(self) -> int:
        return len(self.origins)

    def __getitem__(self, key: Any) -> np.ndarray:
        if isinstance(key, tuple):
            if len(key) == 2 and isinstance(key[1], int | np.integer):  # a column
                column = self.column(int(key[1]))
                return column if key[0] is Ellipsis else np.asarray(column[key[0]])
            return np.asarray(np.asarray(self)[key])
        one = isinstance(key, int | np.integer)
        found = self._gathered(self.origins[key : key + 1 or None] if one else self.origins[key])
        return found[0] if one else found

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        found = self._gathered(self.origins)
        return found if dtype is None else found.astype(dtype, copy=False)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **more: Any) -> Any:
        return getattr(ufunc, method)(*(np.asarray(x) if isinstance(x, Ahead) else x for x in inputs), **more)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(np.asarray(self), name)  # what little needs them so

    def _gathered(self, origins: np.ndarray) -> np.ndarray:
        return self.values[origins[:, None] + np.array(self.horizons)].reshape(len(origins), self.width)

    def take(self, rows: np.ndarray) -> Ahead:
        """Those of the given examples only (indices, in their order, or a mask)."""
        return Ahead(self.values, self.origins[rows], self.horizons)

    def column(self, k: int) -> np.ndarray:
        """[n] of one output."""
        horizon, target = divmod(k % self.width, self.values.shape[1])
        return self.values[self.origins + self.horizons[horizon], target]

    def columns(self, at: slice) -> np.ndarray:
        """[n, some] of the outputs of a slice."""
        some = [self.column(k) for k in range(*at.indices(self.width))]
        return np.stack(some, axis=1) if some else np.zeros((len(self), 0))

    @property
    def by_column(self) -> Iterator[np.ndarray]:
        """[n] of one output after the other."""
        return (self.column(k) for k in range(self.width))

    def blocks(self, rows: np.ndarray | None = None) -> Iterator[tuple[slice, np.ndarray]]:
        """Some examples at a time: which places of `rows` (of all) they are, and their targets [example, output], each
        a new array."""
        size = max(1, AT_ONCE // self.width)
        for start in range(0, len(self) if rows is None else len(rows), size):
            at = slice(start, start + size)
            yield at, self[at if rows is None else rows[at]]


def taken(values: Any, rows: np.ndarray) -> Any:
    """values[rows], not gathered yet where they are not."""
    return values.take(rows) if isinstance(values, Ahead) else values[rows]


def target_columns(targets: Any) -> Iterator[np.ndarray]:
    """All numbers of one column of the last axis after the other; of targets that are gathered one column at a time."""
    return targets.by_column if isinstance(targets, Ahead) else iter(targets.reshape(-1, targets.shape[-1]).T)


def lowest(targets: Any) -> np.ndarray:
    """[column] the least number of each column of the last axis; infinite where all are missing."""
    return np.array([np.nanmin(column, initial=np.inf) for column in target_columns(targets)])


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
