"""An engine that trains units, such as a cluster's, and what has become known of its workers."""

from __future__ import annotations

import logging
import socket
import time
from collections import Counter
from typing import Any

import numpy as np

from perceptory.errors import InputError
from perceptory.studies.units import Shipment, Task
from perceptory.training.driver import Outcome
from perceptory.training.remote import Report, greet, train_unit

log = logging.getLogger("perceptory")

LATE = 8.0  # times the longest unit so far, after which a unit is given to another worker too
PATIENCE = 60.0  # seconds, the least that a unit is waited for
FIRST = 600.0  # seconds, the same before any unit has come back
UNLIKE = ("processor", "cores", "devices", "xla_flags", "backend")  # of an environment, that bits depend on


class Engine:
    """An engine of somebody else's.

    executor: has `submit(function, *arguments)`, which gives futures with `done` and `result`: those of
    `concurrent.futures` with spawned processes, of Dask (the client or `client.get_executor()`), of mpi4py, and others.
    """

    def __init__(self, executor: Any):
        self._executor = check_executor(executor)
        self._client = getattr(self._executor, "_client", None)  # Dask's
        self._units: Counter[tuple[str, int]] = Counter()  # by worker: host and process
        self._differences: dict[str, float] = {}  # largest, by what another processor or its surroundings are
        self._again = 0  # units that were given out once more
        self._longest = self._seconds = 0.0  # of one unit, of all
        self._greeting: Any = None
        self._takes_part: bool | None = None  # whether this machine trains too; None until a worker has been heard of
        self.lost = False
        self.elapsed = 0.0  # seconds in which there was something to train
        self.kernels: dict[str, str] = {}  # of the workers, in words

    @property
    def workers(self) -> int:
        """How many there are now, as far as the engine tells."""
        if self._client is not None:
            return len(self._client.scheduler_info(n_workers=-1)["workers"])
        for name in ("_max_workers", "max_workers", "num_workers"):
            number = getattr(self._executor, name, None)
            if isinstance(number, int) and number > 0:
                return number
        return 4

    @property
    def at_work(self) -> int:
        """Workers that have handed back a unit."""
        return len(self._units)

    def facts(self) -> dict[str, Any]:
        """For the result: how many workers of each machine trained, in how many units, for how many seconds in all and
        on the clock, how many units were given out once more, and by how much numbers differ between processors."""
        machines = Counter(host for host, _ in self._units)
        facts = {"workers": dict(machines), "units": self._units.total(), "seconds": round(self._seconds, 3)}
        facts["elapsed"] = round(self.elapsed, 3)
        facts["given_out_again"] = self._again
        return facts | ({"differences": self._differences} if self._differences else {})

    def submit(self, task: Task) -> Any:
        """The engine's future of a unit; None, and the cluster is lost, where it takes none."""
        try:
            return self._executor.submit(train_unit, task.unit, self._shipped(task.shipment))
        except Exception as error:  # each engine has its own
            self.lose(error)
            return None

    def _shipped(self, shipment: Shipment) -> Any:
        """What units share, as this engine carries it: once to a worker."""
        if self._client is None:
            return shipment.inline if shipment.is_inline else str(shipment.path)
        if shipment.sent is None or shipment.sent.status not in ("finished", "pending"):
            shipment.sent = self._client.scatter(shipment.shared, hash=False, broadcast=True)
        return shipment.sent

    def lose(self, error: BaseException) -> None:
        """The engine takes no more work."""
        if not self.lost:
            self.lost = True
            log.warning("perceptory: the cluster is gone (%s); the study goes on here alone.", said(error))

    def check_alive(self, error: BaseException) -> None:
        """After a unit has failed: whether the engine still takes work."""
        gone = self._client is not None and self._client.status not in ("running", "connecting")
        if gone or getattr(self._executor, "_broken", False):
            self.lose(error)

    def takes_part(self) -> bool:
        """Whether this machine trains too: where the cluster is lost, or works elsewhere."""
        if self.lost or self._takes_part:
            return True
        if self._takes_part is None and self._greeting is None:
            try:
                self._greeting = self._executor.submit(greet, time.time())
            except Exception as error:
                self.lose(error)
        elif self._takes_part is None and self._greeting.done():
            try:
                self._takes_part = self._greeting.result().host != socket.gethostname()
            except Exception:  # its worker has died: another one is asked
                self._greeting = None
        return bool(self._takes_part)

    def given_out_again(self) -> None:
        self._again += 1

    def late_after(self) -> float:
        """Seconds after which a unit is given to another worker too."""
        return max(PATIENCE, LATE * self._longest) if self._longest else FIRST

    def credit(self, task: Task, report: Report) -> None:
        """Remember who has trained a unit, and compare once with each unlike processor."""
        self._units[report.worker.host, report.worker.process] += 1
        self._longest = max(self._longest, report.seconds)
        self._seconds += report.seconds
        self.kernels |= report.worker.kernels
        here, there = greet().environment, report.worker.environment
        unlike = "; ".join(f"{name} {there.get(name)}" for name in UNLIKE if there.get(name) != here.get(name))
        if unlike and unlike not in self._differences:
            own = train_unit(task.unit, task.shipment.shared).outcomes
            each = [_difference(own[place], outcome) for place, outcome in report.outcomes.items() if place in own]
            self._differences[unlike] = max(each, default=0.0)
            if self._differences[unlike]:
                log.warning(
                    "perceptory: a worker computes elsewhere than this machine (%s); outputs differ by %.1e of their"
                    " deviation.", unlike, self._differences[unlike],
                )  # fmt: skip


def check_executor(executor: Any) -> Any:
    """The engine as it can be used. Raises `InputError` for what is none, and for processes that are forked."""
    client = getattr(executor, "_client", executor)
    if hasattr(client, "get_executor"):  # Dask's: a unit that failed is another task, not the same one
        return client.get_executor(**{**getattr(executor, "_kwargs", {}), "pure": False})
    if not callable(getattr(executor, "submit", None)):
        raise InputError(
            f"executor takes an engine with submit(function, *arguments), not {type(executor).__name__}. Give a"
            " concurrent.futures.ProcessPoolExecutor by spawn, or Dask's client."
        )
    context = getattr(executor, "_mp_context", None)
    if context is not None and context.get_start_method() == "fork":
        raise InputError(
            "processes that are forked from one that has computed stand still for ever. Give"
            ' ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")).'
        )
    return executor


def _difference(a: Outcome, b: Outcome) -> float:
    """Largest difference of two outcomes' outputs, in their deviation."""
    left, right = a.validation_output, b.validation_output
    if not left.size:
        left, right = a.train_output, b.train_output
    return float(np.max(np.abs(left - right)) / max(float(np.std(left)), 1e-300)) if left.size else 0.0


def said(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
