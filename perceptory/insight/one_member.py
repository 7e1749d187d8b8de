"""One member of a study in hand: the same preparation and the same steps as a study's, one network at a time."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from perceptory.data.examples import check_examples, encoder_for
from perceptory.errors import InputError
from perceptory.networks.base import Network
from perceptory.objectives.table import DEFAULT_COST, check_task
from perceptory.selection.plans import HoldOut
from perceptory.studies.checks import seal_off
from perceptory.studies.encoded import tabulate
from perceptory.studies.prepare import folds_of, groups_of, scalings_of, with_numbers
from perceptory.studies.second_order_checks import with_precision
from perceptory.studies.study import Candidate, Study
from perceptory.training.epoch import State, epoch, start
from perceptory.training.plan import Member, ProgramPlan
from perceptory.training.rows import Prepared, prepare


def study_of(asked: Any) -> Study:
    """A study of a network spec or candidate, held out a fifth; a study as it is."""
    if isinstance(asked, Study):
        return with_precision(asked)
    if isinstance(asked, Candidate):
        same = {f.name: getattr(asked, f.name) for f in dataclasses.fields(asked) if f.name != "network"}
        return with_precision(Study(asked.network, validation=HoldOut(0.2), test=0, **same))
    if isinstance(asked, Network):
        return with_precision(Study(asked, validation=HoldOut(0.2), test=0))
    raise InputError(f"a study, a candidate or a network is needed, got a {type(asked).__name__}. Example: MLP((32,))")


def study_rows(study: Study, data: Any) -> Any:
    """The data without the rows that the study would seal."""
    return seal_off(study, check_examples(data), None)[0]


@dataclass
class Single:
    """One member, compiled apart from others; to be used within the study's `backend.precision`."""

    plan: ProgramPlan
    member: Member
    data: Any
    prepared: Prepared
    candidate: Candidate
    state: State  # the start
    advance: Callable[[State], tuple[State, jax.Array]]  # one epoch: state -> (state, [2] costs)


def single(study: Study, data: Any, *, candidate: int = 0, fold: int = 0, seed: int = 0, epochs: int) -> Single:
    """The member (candidate, fold, seed) of a study, with `epochs` to go and no early stopping. Within the study's
    precision (`backend.precision`)."""
    known = study_rows(study, data)
    table = tabulate(known, encoder_for(known))
    candidates = [with_numbers(c) for c in study.candidates(study.cost or DEFAULT_COST[known.task])]
    if not 0 <= candidate < len(candidates):
        raise InputError(f"candidate needs a number from 0 to {len(candidates) - 1}, got {candidate!r}.")
    chosen = candidates[candidate]
    check_task(chosen.cost, known.task)
    chosen.cost.check_classes(known.classes)
    _, folds = folds_of(study, known)
    if not 0 <= fold < len(folds):
        raise InputError(f"fold needs a number from 0 to {len(folds) - 1}, got {fold!r}.")
    dtype = np.float64 if study.arithmetic == "double" else np.float32
    raw = jax.device_put(table.raw(dtype))
    (group,) = groups_of(study, [chosen], table, folds, scalings_of(table, folds), epochs=epochs)
    place = group.who.index((0, fold, seed))
    member = jax.tree.map(lambda a: jax.numpy.asarray(a[place]), group.members)
    plan = group.plan

    def begin(member: Member, data: Any) -> tuple[Prepared, State]:
        prepared = prepare(member, data, plan)
        return prepared, start(member, prepared, data, plan)

    prepared, state = jax.jit(begin)(member, raw)
    go = jax.jit(lambda m, p, s, d: epoch(m, p, s, d, plan))
    return Single(plan, member, raw, prepared, chosen, state, lambda s: go(member, prepared, s, raw))
