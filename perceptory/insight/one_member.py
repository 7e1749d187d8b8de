"""A single member of a study, prepared and trained as the study would, one network at a time."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from perceptory.errors import InputError
from perceptory.networks.base import Network
from perceptory.selection.plans import HoldOut
from perceptory.studies.design import Candidate
from perceptory.studies.prepare import prepare
from perceptory.studies.pretexts import check_no_pretexts
from perceptory.studies.study import Study
from perceptory.training.epoch import epoch, start
from perceptory.training.plan import Member, ProgramPlan
from perceptory.training.run import Run
from perceptory.training.state import DIVERGED, State


def study_of(source: Any) -> Study:
    """A study as it is; of a network spec or candidate, a study that holds out a fifth of the rows."""
    if isinstance(source, Study):
        return source
    if isinstance(source, Candidate):
        same = {f.name: getattr(source, f.name) for f in dataclasses.fields(source) if f.name != "network"}
        return Study(source.network, validation=HoldOut(0.2), test=0, **same)
    if isinstance(source, Network):
        return Study(source, validation=HoldOut(0.2), test=0)
    raise InputError(f"a study, a candidate or a network is needed, got a {type(source).__name__}. Example: MLP((32,))")


@dataclass
class Single:
    """One member, compiled on its own; to be used within the study's `backend.precision`."""

    plan: ProgramPlan
    member: Member
    run: Run
    candidate: Candidate
    state: State  # the start
    advance: Callable[[State], tuple[State, jax.Array]]  # one epoch: state -> (state, [2] costs)


def epochs_asked(design: Study, epochs: int | None, records: int, rows: int) -> int:
    """How many epochs to look at: as asked, else the study's, at most 50. `InputError` where nothing would be seen."""
    total = min(design.epochs, 50) if epochs is None else epochs
    if total < 1 or records < 1 or rows < 1:
        raise InputError(f"epochs, records and rows need at least 1, got {epochs}, {records} and {rows}.")
    return total


def moments(one: Single, epochs: int, records: int) -> Iterator[tuple[int, State, bool]]:
    """Train the member: (epochs done, state, whether it has diverged) at the start, at so many moments that lie closer
    at first, and where it diverges, which is the end."""
    state = one.state
    yield 0, state, False
    stops = set(np.unique(np.geomspace(1, epochs, records).round().astype(int)).tolist())
    for done in range(1, epochs + 1):
        state, _ = one.advance(state)
        diverged = bool(state.status == DIVERGED)
        if done in stops or diverged:
            yield done, state, diverged
        if diverged:
            return


def single(study: Study, data: Any, *, candidate: int = 0, fold: int = 0, seed: int = 0, epochs: int) -> Single:
    """The member (candidate, fold, seed) of a study, to be trained for `epochs` without early stopping.

    To be called within the study's precision (`backend.precision`).
    """
    ready = prepare(study, data, epochs=epochs)
    for name, number, count in (
        ("candidate", candidate, len(ready.candidates)),
        ("fold", fold, len(ready.folds)),
        ("seed", seed, ready.study.seeds),
    ):
        if not 0 <= number < count:
            raise InputError(f"{name} needs a number from 0 to {count - 1}, got {number!r}.")
    who = (candidate, fold, seed)
    check_no_pretexts([ready.candidates[candidate]], "looking into one member")
    group = next(g for g in ready.groups if who in g.who)
    raw = jax.device_put(ready.raw)
    place = group.who.index(who)
    member = jax.tree.map(lambda a: jax.numpy.asarray(a[place]), group.members)
    plan = group.plan

    def begin(member: Member, data: Any) -> tuple[Run, State]:
        run = Run.of(member, data, plan)
        return run, start(run)

    run, state = jax.jit(begin)(member, raw)
    go = jax.jit(lambda run, state: epoch(run, state))  # not `epoch` itself, whose traces JAX keeps: see ops.traced
    return Single(plan, member, run, ready.candidates[candidate], state, lambda state: go(run, state))
