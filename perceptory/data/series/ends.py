"""The last window of each series: from where a model can forecast without the data that it was trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from perceptory.data.series.clock import Clock
from perceptory.errors import InputError

MOST_SERIES = 1 << 24


@dataclass(frozen=True, eq=False)
class Ends:
    """names: of the series. windows: [series, time, channel] float64, the last rows of each, in the inputs' own units.
    moments: [series] the time of the last row (days since 1970-01-01 of dates), or its place where there is none. What
    is not known yet of columns that are known ahead is NaN."""

    names: tuple[str, ...]
    windows: np.ndarray
    moments: np.ndarray

    def __len__(self) -> int:
        return len(self.names)

    @classmethod
    def of(cls, clock: Clock, values: np.ndarray, window: int) -> Ends:
        """The ends of series of values [row, channel] in the clock's order, but of series shorter than a window."""
        long = np.flatnonzero(clock.lengths >= window)
        last = clock.starts[1:][long]
        places = last[:, None] - window + np.arange(window)
        names = tuple(clock.names[s] for s in long)
        return cls(names, values[places].astype(np.float64), clock.moments[last - 1].astype(np.float64))

    def places(self, names: Any) -> np.ndarray:
        """Where the named series stand, in their order; `InputError` for one that is not there."""
        wanted = [names] if isinstance(names, str) else [str(n) for n in names]
        known: dict[str, list[int]] = {}
        for place, name in enumerate(self.names):
            known.setdefault(name, []).append(place)
        unknown = [name for name in wanted if name not in known]
        if unknown:
            shown = ", ".join(map(repr, self.names[:5])) + (", ..." if len(self.names) > 5 else "")
            raise InputError(f"there is no series {unknown[0]!r}. The series are: {shown}.")
        return np.array([place for name in wanted for place in known[name]], np.int64)

    def take(self, places: np.ndarray) -> Ends:
        """The given ones only."""
        return Ends(tuple(self.names[k] for k in places), self.windows[places], self.moments[places])

    def check(self, shape: tuple[int, ...], ahead: int = 0) -> None:
        """`InputError` where its parts do not fit each other and examples of this shape, the last `ahead` channels of
        which hold the future."""
        fits = (
            0 < len(self.names) < MOST_SERIES
            and all(isinstance(name, str) for name in self.names)
            and self.windows.shape == (len(self.names), *shape)
            and self.moments.shape == (len(self.names),)
            and all(a.dtype == np.float64 for a in (self.windows, self.moments))
            and np.isfinite(self.windows[..., : shape[-1] - ahead]).all()
            and not np.isinf(self.windows).any()
            and np.isfinite(self.moments).all()
        )
        if not fits:
            raise InputError("the last windows of its series do not fit the model. Take another copy.")
