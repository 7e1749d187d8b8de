"""Names of columns as people have them at hand: numbers where a frame's columns are numbers, a frame's own index."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral
from typing import Any

import numpy as np


def as_written(given: Any, source: Any) -> Any:
    """What names columns of a frame, in texts: 3 is "3" where the frame has a column 3, an index or array of names is
    a list. Anything else comes back as it is, as do as many values as the frame has rows, which may be a column."""
    columns = None if hasattr(source, "collect") else getattr(source, "columns", None)  # of a lazy frame: not known yet
    labels = list(columns) if isinstance(columns, Iterable) else []
    if isinstance(given, Integral) and not isinstance(given, bool | np.bool_):
        return str(given) if given in labels else given
    several = isinstance(given, list | tuple | set | frozenset) or (hasattr(given, "tolist") and np.ndim(given) == 1)
    if not several or not labels:
        return given
    names = sorted(given, key=str) if isinstance(given, set | frozenset) else list(given)
    named = names and all(isinstance(n, str | Integral) and not isinstance(n, bool) and n in labels for n in names)
    return [str(n) for n in names] if named and len(names) != len(source) else given
