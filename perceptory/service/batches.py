"""Requests that arrive together are predicted together, by one thread, within limits of rows and of time."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from perceptory.errors import InputError
from perceptory.service.measures import Measures
from perceptory.service.shelf import Served

ROWS_TOGETHER = 8192  # of requests in one batch


class FullError(Exception):
    """More rows wait than may."""


@dataclass(eq=False)
class _Waiting:
    served: Served
    rows: Any
    count: int
    interval: float | None
    future: asyncio.Future[dict[str, Any]]
    since: float = field(default_factory=time.perf_counter)


class Batches:
    """A queue of requests and the thread that works it off. most: rows that may wait."""

    def __init__(self, measures: Measures, most: int):
        self._measures, self._most = measures, most
        self._thread = ThreadPoolExecutor(1, "perceptory-predict")
        self._queue: deque[_Waiting] = deque()
        self._rows = 0  # that wait
        self._busy = False

    @property
    def waiting(self) -> int:
        """Rows."""
        return self._rows

    async def predict(self, served: Served, rows: Any, count: int, interval: float | None) -> dict[str, Any]:
        """Answers by name. Raises `InputError` for rows that the model cannot take, `FullError` where too many wait."""
        if self._rows and self._rows + count > self._most:
            raise FullError
        loop = asyncio.get_running_loop()
        waiting = _Waiting(served, rows, count, interval, loop.create_future())
        self._queue.append(waiting)
        self._rows += count
        self._next(loop)
        try:
            return await waiting.future
        except asyncio.CancelledError:  # its client has gone, or its time is over: it makes room at once
            if waiting in self._queue:
                self._queue.remove(waiting)
                self._rows -= count
            raise

    def _next(self, loop: asyncio.AbstractEventLoop) -> None:
        """Give the thread, where it is free, all that waits for one model."""
        if self._busy:
            return
        batch: list[_Waiting] = []
        rows = 0
        while self._queue:
            first = self._queue[0]
            if batch and (first.served is not batch[0].served or rows + first.count > ROWS_TOGETHER):
                break
            self._queue.popleft()
            self._rows -= first.count
            if not first.future.done():  # else nobody waits for it any more
                batch.append(first)
                rows += first.count
        if not batch:
            return
        self._busy = True
        self._measures.batch(len(batch), rows)
        done = loop.run_in_executor(self._thread, _predict, batch)
        done.add_done_callback(lambda future: self._finished(loop, batch, future))

    def _finished(self, loop: asyncio.AbstractEventLoop, batch: list[_Waiting], done: Any) -> None:
        self._busy = False
        failure = done.exception()
        answers = [failure] * len(batch) if failure is not None else done.result()
        for waiting, answer in zip(batch, answers, strict=True):
            if waiting.future.done():
                continue
            if isinstance(answer, BaseException):
                waiting.future.set_exception(answer)
            else:
                waiting.future.set_result(answer)
        self._next(loop)

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)


def _predict(batch: list[_Waiting]) -> list[dict[str, np.ndarray] | Exception]:
    """The answer to each request, or why there is none; one that is refused does not touch the others."""
    served = batch[0].served
    answers: list[Any] = [None] * len(batch)
    together: list[tuple[int, np.ndarray]] = []
    for k, waiting in enumerate(batch):
        try:
            if served.is_table and served.model.task != "autoencode":
                together.append((k, served.encoded(waiting.rows)))
            else:
                answers[k] = served.answers_whole(waiting.rows)
        except Exception as error:
            answers[k] = error
    if together:
        inputs = together[0][1] if len(together) == 1 else np.concatenate([x for _, x in together])
        named = served.answers(inputs)
        begin = 0
        for k, x in together:
            answers[k] = {name: values[begin : begin + len(x)] for name, values in named.items()}
            begin += len(x)
    for k, waiting in enumerate(batch):
        if waiting.interval is not None and not isinstance(answers[k], Exception):
            try:
                answers[k] |= served.intervals(waiting.rows, waiting.interval)
            except InputError as error:
                answers[k] = error
    return answers
