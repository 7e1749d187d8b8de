"""What code of the user's computes, as a digest: a name stays when a function is changed, and its results must not."""

from __future__ import annotations

import hashlib
from typing import Any

import jax
import numpy as np

from perceptory import backend
from perceptory.ops.traced import described
from perceptory.studies.groups import Group
from perceptory.studies.prepare import Prepared
from perceptory.training.epoch import epoch, start
from perceptory.training.plan import Member, ProgramPlan
from perceptory.training.run import Run


def code_of_ones_own(prepared: Prepared) -> dict[str, str]:
    """For `environment`: a digest of what members compute whose specs hold code of the user's, with all that it reads
    from outside; {} where none do. A member's start and one epoch of it are traced, nothing is computed."""
    groups = [(g, prepared.raw) for g in prepared.groups if g.plan.has_code]
    for lesson in () if prepared.pretexts is None else prepared.pretexts.lessons:
        groups += [(g, lesson.raw) for g in lesson.groups if g.plan.has_code]
    if not groups:
        return {}
    digest = hashlib.sha256()
    with backend.precision(prepared.study.arithmetic):
        for group, data in groups:
            digest.update(_described(group, data).encode())
    return {"code_of_your_own": digest.hexdigest()[:20]}


def _described(group: Group, data: Any) -> str:
    """The computation of one member of a group, in words that are the same in every process."""
    plan: ProgramPlan = group.plan

    def trained(member: Member, data: Any) -> Any:
        run = Run.of(member, data, plan)
        return epoch(run, start(run))

    shape: Any = jax.ShapeDtypeStruct
    member = jax.tree.map(lambda a: shape(np.shape(a)[1:], a.dtype), group.members)
    examples = jax.tree.map(lambda a: shape(np.shape(a), a.dtype), data)
    return described(trained, member, examples)
