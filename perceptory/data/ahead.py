"""Work in threads: one step ahead of what it is for, or on all cores. polars and NumPy let other threads run."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, islice
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")
LARGE = 200_000  # rows from which on threads are worth their start
_END = object()


def ahead(items: Iterable[T]) -> Iterator[T]:
    """The same items; the next one is made while the last one is used. Errors come where the item would."""
    source = iter(items)
    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(next, source, _END)
        while (item := coming.result()) is not _END:
            coming = thread.submit(next, source, _END)
            yield item  # type: ignore[misc]
            del item


def in_threads(function: Callable[[T], R], items: Iterable[T], waiting: int = 4) -> Iterator[R]:
    """function(item) of each item, in their order, made on all cores: no more than `waiting` a core before they are
    used, nor more items taken. The first error in that order is raised, and what has not begun then is left."""
    source, workers = iter(items), os.cpu_count() or 1
    few = list(islice(source, 2))
    if workers < 2 or len(few) < 2:
        yield from map(function, chain(few, source))
        return
    with ThreadPoolExecutor(workers) as threads:
        coming = deque(threads.submit(function, item) for item in islice(chain(few, source), waiting * workers))
        try:
            for item in source:
                result = coming.popleft().result()
                coming.append(threads.submit(function, item))
                yield result
            while coming:
                yield coming.popleft().result()
        finally:
            threads.shutdown(wait=True, cancel_futures=True)


def on_all_cores(function: Callable[[T], R], items: Sequence[T], rows: int) -> list[R]:
    """function(item) of each item, in their order; rows: of the table, few of which need no threads."""
    return list(map(function, items) if rows < LARGE else in_threads(function, items))
