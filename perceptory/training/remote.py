"""What a worker of a cluster does: train some members of a group, and hand back what they leave.

A `Unit` is known by its content, so to train it twice is harmless: both results have the same bits, and whoever asked
takes the first. What many units have in common, the data and the folds' rows, travels apart from them as `Shared`, once
to a worker.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import socket
import time
import traceback
from collections import OrderedDict
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from perceptory import backend
from perceptory.errors import InputError
from perceptory.kernels import build
from perceptory.training.driver import Outcome, train_group
from perceptory.training.plan import Member, ProgramPlan

TABLES = ("rows", "validation", "center", "factor")  # of `Member`: long, and the same for all members of a fold
KEPT = 2  # `Shared` objects that a worker holds: of the study and of what its networks learn first
MUST_AGREE = ("perceptory", "jax", "jaxlib", "equinox", "optax", "numpy")  # versions, between all who train


@dataclass(frozen=True)
class Shared:
    """What units share. tables: of each group the distinct rows of its members' arrays in `TABLES`."""

    name: str  # a digest of the content
    data: Any
    tables: list[dict[str, np.ndarray]]


@dataclass(frozen=True)
class Unit:
    """Members of a group that are trained together. Arrays of `members` have a leading axis [member]; those in `TABLES`
    are [member] places in the tables of `Shared`."""

    name: str  # a digest of the content
    plan: ProgramPlan
    members: Member
    places: tuple[int, ...]  # of the members in their group
    shared: str
    group: int  # whose tables
    precision: str
    versions: dict[str, str]  # of who asks


@dataclass(frozen=True)
class Worker:
    """Who trained: where, and what the bits depend on beside the unit."""

    host: str
    process: int
    environment: dict[str, Any]
    kernels: dict[str, str]  # that it has loaded, in words


@dataclass(frozen=True)
class Report:
    """What a worker hands back: outcomes by the members' place in the group, or why there are none."""

    name: str
    worker: Worker
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    seconds: float = 0.0
    missing: bool = False  # `Shared` was not to be had from here
    error: Exception | None = None  # raised by what was trained
    traceback: str = ""


def packed(members: Member) -> tuple[dict[str, np.ndarray], Member]:
    """The tables of a group, and its members with places in them."""
    tables, own = {}, {}
    for name in TABLES:
        array = getattr(members, name)
        seen: dict[bytes, int] = {}
        own[name] = np.array([seen.setdefault(row.tobytes(), len(seen)) for row in array], np.int32)
        tables[name] = array[np.unique(own[name], return_index=True)[1]]
    return tables, members._replace(**own)


def unpacked(members: Member, tables: dict[str, np.ndarray]) -> Member:
    """The members with their own arrays again."""
    return members._replace(**{name: tables[name][getattr(members, name)] for name in TABLES})


def greet(_: Any = None) -> Worker:
    """Who works here."""
    return Worker(socket.gethostname(), os.getpid(), _environment(), build.told())


@cache
def _environment() -> dict[str, Any]:
    return backend.environment()


_held: OrderedDict[str, Shared] = OrderedDict()  # in this process
received = 0  # how often something shared has come here


def held(shared: Shared | bytes | str, name: str) -> Shared | None:
    """What is shared: as given, from this process, or from its bytes or the file where they are. None where the file is
    not to be had from here."""
    if name in _held:
        _held.move_to_end(name)
        return _held[name]
    if isinstance(shared, str):
        try:
            shared = Path(shared).read_bytes()
        except OSError:
            return None
    if isinstance(shared, bytes):
        if name_of(shared) != name:  # the unit brings the digest, so the bytes are as trustworthy as the unit
            return None
        shared = Shared(name, *pickle.loads(shared))
    global received
    received += 1
    _held[name] = shared
    while len(_held) > KEPT:
        _held.popitem(last=False)
    return shared


def name_of(content: bytes) -> str:
    """The name of what is shared."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def train_unit(unit: Unit, shared: Shared | bytes | str) -> Report:
    """Train a unit here. shared: what its group shares, its bytes, or the path of a file of them.

    Nothing is raised for what the training itself raises: `Report.error` has it, so that whatever is raised to the one
    who asked is a matter of the cluster.
    """
    started = time.perf_counter()
    try:
        _check_versions(unit.versions)
        common = held(shared, unit.shared)
        if common is None:
            return Report(unit.name, greet(), missing=True)
        outcomes: dict[int, Outcome] = {}
        with backend.precision(unit.precision):
            members = unpacked(unit.members, common.tables[unit.group])
            train_group(unit.plan, members, common.data, finished=outcomes.update)
    except Exception as error:
        return Report(unit.name, greet(), error=error, traceback=traceback.format_exc())
    by_place = {unit.places[k]: outcome for k, outcome in sorted(outcomes.items())}
    return Report(unit.name, greet(), by_place, time.perf_counter() - started)


def versions() -> dict[str, str]:
    """Those that must agree between all who train."""
    return {name: backend.version(name) for name in MUST_AGREE}


def _check_versions(asked: dict[str, str]) -> None:
    here = versions()
    other = [f"{name} {here[name]} instead of {asked[name]}" for name in MUST_AGREE if here[name] != asked[name]]
    if other:
        raise InputError(
            f"worker {socket.gethostname()} has {', '.join(other)}, and would compute other numbers. Install the same"
            " versions on all machines."
        )
