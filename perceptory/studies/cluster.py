"""Training on other machines: units of members go to any engine that is like a `concurrent.futures.Executor`.

Whatever dies, hangs or returns late costs the units in its hands alone: they are trained again, to the same bits, and
of several results the first counts. What comes back is handed to the study as it comes, so a run folder keeps it, and a
run that has lost its cluster goes on here.
"""

from __future__ import annotations

import concurrent.futures
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from perceptory.studies.engine import Engine, said
from perceptory.studies.units import Job, Task, tasks_of
from perceptory.training.driver import Outcome
from perceptory.training.plan import Member, ProgramPlan
from perceptory.training.remote import Report, train_unit

log = logging.getLogger("perceptory")

AHEAD = 2  # units that a worker has in hand or waiting
TRIES = 6  # of one unit on the cluster; then it is trained here
PAUSE = 0.02  # seconds between two looks at futures that cannot be waited for


class Cluster:
    """An engine as a study uses it: in place of `driver.train_group`."""

    def __init__(self, executor: Any):
        self.engine = Engine(executor)

    def train_group(
        self,
        plan: ProgramPlan,
        members: Member,
        data: Any,
        *,
        waiting: Sequence[int] | None = None,
        running: Any = None,
        finished: Callable[[dict[int, Outcome]], None],
        progress: Callable[[int], None] | None = None,
        look: Any = None,
    ) -> None:
        """As `driver.train_group`. running, look: without effect, since states do not leave their worker."""
        places = range(len(members.count)) if waiting is None else waiting
        self.train([Job(plan, members, data, list(places), finished)], progress)

    def train(self, jobs: Sequence[Job], progress: Callable[[int], None] | None = None) -> None:
        """Train all of these, in units. Outcomes are handed over in this thread."""
        began = time.perf_counter()
        tasks = tasks_of(jobs, max(1, self.engine.workers))
        if tasks:
            _Work(self.engine, deque(tasks), progress).do()
        self.engine.elapsed += time.perf_counter() - began


class _Work:
    """Tasks that are being done: the queue, and what is in hand."""

    def __init__(self, engine: Engine, queue: deque[Task], progress: Callable[[int], None] | None):
        self._engine, self._queue, self._progress = engine, queue, progress
        self._left, self._epochs = len(queue), 0
        self._shipments = {id(task.shipment): task.shipment for task in queue}
        self._hands: dict[Any, tuple[Task, float]] = {}  # futures with what they are of, and since when
        self._late: set[Any] = set()  # of these, which another worker has been given too
        self._own: Any = None  # the future of what is trained here

    def do(self) -> None:
        try:
            while self._left:
                self._send()
                self._train_here()
                for future in self._ended():
                    self._take(future)
                self._look_for_late()
        finally:
            for future in self._hands:
                future.cancel()
            for shipment in self._shipments.values():
                shipment.remove()

    def _send(self) -> None:
        """Give the cluster as much as it can have in hand."""
        engine = self._engine
        if engine.lost:
            return
        room = AHEAD * max(1, engine.workers) - sum(f is not self._own and f not in self._late for f in self._hands)
        here = []
        while room > 0 and self._queue and not engine.lost:
            task = self._queue.popleft()
            if task.done:
                continue
            if task.tries >= TRIES:
                here.append(task)
                continue
            future = engine.submit(task)
            if future is None:
                self._queue.appendleft(task)
            else:
                task.tries += 1
                room -= 1
                self._hands[future] = (task, time.monotonic())
        self._queue.extend(here)

    def _train_here(self) -> None:
        """Train the last task in this process, where that takes part or the task has failed elsewhere too often."""
        engine, queue = self._engine, self._queue
        if engine.lost:  # what is in hand there will not come
            for future in [f for f in self._hands if f is not self._own and not f.done()]:
                task, _ = self._hands.pop(future)
                self._put_back(task)
        part = engine.takes_part()
        while self._own is None and queue:
            if not (queue[-1].done or part or queue[-1].tries >= TRIES):
                return
            task = queue.pop()
            if not task.done:
                self._own = _in_thread(train_unit, task.unit, task.shipment.shared)
                self._hands[self._own] = (task, time.monotonic())

    def _ended(self) -> list[Any]:
        """Futures that have ended, after a pause where none has."""
        if all(isinstance(future, concurrent.futures.Future) for future in self._hands):
            return list(concurrent.futures.wait(self._hands, 0.5, concurrent.futures.FIRST_COMPLETED).done)
        ready = [future for future in self._hands if future.done()]
        if not ready:
            time.sleep(PAUSE)
        return ready

    def _take(self, future: Any) -> None:
        """Hand over what a future holds, or put its task back."""
        task, _ = self._hands.pop(future)
        self._late.discard(future)
        if future is self._own:
            self._own = None
        report = self._report(task, future)
        if report is None or task.done:
            return
        task.done = True
        self._left -= 1
        self._engine.credit(task, report)
        self._epochs += sum(outcome.epochs for outcome in report.outcomes.values())
        task.job.finished(report.outcomes)
        task.job.seconds(report.seconds)
        if self._progress:
            self._progress(self._epochs)

    def _report(self, task: Task, future: Any) -> Report | None:
        """What a future holds; None where the task has been put back."""
        try:
            report: Report = future.result()
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a worker or the engine is gone, or it was cancelled: each says so in its way
            log.info("perceptory: a unit is trained again: %s", said(error))
            self._put_back(task)
            self._engine.check_alive(error)
            return None
        if report.missing:  # that worker cannot read the file
            task.shipment.is_inline = True
        elif isinstance(report.error, MemoryError):
            task.tries = TRIES  # here, where its chunk was planned for
        elif report.error is not None:
            log.debug("perceptory: %s", report.traceback)
            raise report.error
        else:
            return report
        self._put_back(task)
        return None

    def _put_back(self, task: Task) -> None:
        if not task.done:
            self._engine.given_out_again()
            self._queue.appendleft(task)

    def _look_for_late(self) -> None:
        """Give a task that a worker has had for too long to another one too; the first result counts."""
        now = time.monotonic()
        for future, (task, since) in self._hands.items():
            late = now - since > self._engine.late_after()
            if late and future is not self._own and future not in self._late:
                self._late.add(future)
                self._put_back(task)


def _in_thread(function: Callable[..., Any], *arguments: Any) -> concurrent.futures.Future[Any]:
    """Call it in a thread that does not keep the process from ending."""
    future: concurrent.futures.Future[Any] = concurrent.futures.Future()

    def call() -> None:
        try:
            future.set_result(function(*arguments))
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=call, name="perceptory-here", daemon=True).start()
    return future
