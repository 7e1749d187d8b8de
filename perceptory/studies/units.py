"""A study's members cut into units, which are trained in any place: what is to be done, and what travels with it."""

from __future__ import annotations

import hashlib
import pickle
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import numpy as np

from perceptory.networks.base import layout
from perceptory.training.driver import Outcome
from perceptory.training.plan import Member, ProgramPlan
from perceptory.training.remote import Shared, Unit, name_of, packed, versions

UNIT_FLOPS = 1e11  # at least, of a unit: some ten seconds of one core, beside which sending it is nothing
UNITS_A_WORKER = 4  # of a group, so that no worker waits long for the last one


@dataclass
class Job:
    """A group to train; see `driver.train_group`. seconds: told of the time of each of its units."""

    plan: ProgramPlan
    members: Member
    data: Any
    waiting: Sequence[int]
    finished: Callable[[dict[int, Outcome]], None]
    seconds: Callable[[float], None] = lambda _: None


class Shipment:
    """What units share, and the ways to bring it: a file for who can read it, bytes, or a future of the engine's."""

    def __init__(self, data: Any, tables: list[dict[str, np.ndarray]]):
        self.shared = Shared(name_of(_content(data, tables)), data, tables)
        self.is_inline = False
        self.sent: Any = None

    @cached_property
    def inline(self) -> bytes:
        """For those who cannot read the file: made once, and held from then on."""
        return _content(self.shared.data, self.shared.tables)

    @cached_property
    def path(self) -> Path:
        self._folder = tempfile.mkdtemp(prefix="perceptory-")
        path = Path(self._folder) / self.shared.name
        path.write_bytes(_content(self.shared.data, self.shared.tables))
        return path

    def remove(self) -> None:
        if "path" in self.__dict__:
            shutil.rmtree(self._folder, ignore_errors=True)


def _content(data: Any, tables: list[dict[str, np.ndarray]]) -> bytes:
    return pickle.dumps((data, tables), protocol=pickle.HIGHEST_PROTOCOL)


@dataclass
class Task:
    unit: Unit
    job: Job
    shipment: Shipment
    cost: float  # in operations
    tries: int = 0
    done: bool = False


def tasks_of(jobs: Sequence[Job], workers: int) -> list[Task]:
    """The units of all jobs, the longest first, for which nobody waits at the end. Those of the same data share it."""
    tasks = []
    by_data: dict[int, list[Job]] = {}
    for job in [job for job in jobs if len(job.waiting)]:  # nothing is packed for a group that is done
        by_data.setdefault(id(job.data), []).append(job)
    for some in by_data.values():
        tables, members = zip(*(packed(job.members) for job in some), strict=True)
        shipment = Shipment(some[0].data, list(tables))
        for group, (job, own) in enumerate(zip(some, members, strict=True)):
            tasks += _units(job, own, group, shipment, workers)
    return sorted(tasks, key=lambda task: -task.cost)


def unit_size(plan: ProgramPlan, members: int, workers: int, flops: float) -> int:
    """Members of a unit, in whole blocks: as many as make `UNIT_FLOPS` of work, fewer where workers would have none,
    and more where each worker would have many. flops: of one member."""
    blocks = -(-members // plan.block)
    fair, most = blocks // (UNITS_A_WORKER * workers), max(1, -(-blocks // workers))
    return plan.block * max(1, fair, min(most, int(UNIT_FLOPS // max(1.0, flops * plan.block))))


def _units(job: Job, members: Member, group: int, shipment: Shipment, workers: int) -> list[Task]:
    """A job's units. members: packed."""
    plan, places, epochs = job.plan, list(job.waiting), job.members.epochs
    each = 6.0 * plan.rows * layout(plan.network, plan.inputs, plan.outputs).size  # operations of one member's epoch
    size = unit_size(plan, len(places), workers, each * float(np.mean(epochs[places])))
    plan = replace(plan, blocks=max(1, min(plan.blocks, size // plan.block)))
    precision = "double" if np.dtype(job.members.factor.dtype) == np.float64 else "single"
    tasks = []
    for begin in range(0, len(places), size):
        own = tuple(places[begin : begin + size])
        some = jax.tree.map(lambda a, own=own: a[list(own)], members)
        name = hashlib.blake2b(repr((shipment.shared.name, group, own)).encode(), digest_size=16).hexdigest()
        unit = Unit(name, plan, some, own, shipment.shared.name, group, precision, versions())
        tasks.append(Task(unit, job, shipment, each * float(np.sum(epochs[list(own)]))))
    return tasks
