"""What candidates are called."""

from __future__ import annotations

from collections.abc import Sequence

from perceptory.augmentation.base import augmentation_label
from perceptory.networks.linear import Linear
from perceptory.objectives.auxiliary import auxiliary_label
from perceptory.studies.design import Candidate


def candidate_label(candidate: Candidate, all_candidates: Sequence[Candidate]) -> str:
    """The network, and of the rest what differs between the candidates; the optimizer also of a single one."""
    stepped = not candidate.network.solved  # what is solved takes no steps, and nothing is to be said of them
    baseline = isinstance(candidate.network, Linear)  # trained in its own way, unlike all others
    alike = [c for c in all_candidates if not c.network.solved and isinstance(c.network, Linear) == baseline]
    others = [c for c in alike if c is not candidate]
    parts = [candidate.network.label]
    if stepped and (not others or any(c.optimizer != candidate.optimizer for c in others)):
        parts.append(candidate.optimizer.label)
    if candidate.penalty is not None:
        parts.append(candidate.penalty.label)
    elif stepped and any(c.penalty is not None for c in others):
        parts.append("no penalty")
    for name in ("clip", "average"):
        part = getattr(candidate, name)
        if part is not None:
            parts.append(part.label)
        elif stepped and any(getattr(c, name) is not None for c in all_candidates):
            parts.append(f"no {name}")
    if candidate.augmentation is not None:
        parts.append(augmentation_label(candidate.augmentation))
    elif stepped and any(c.augmentation is not None for c in all_candidates):
        parts.append("no augmentation")
    if candidate.start is not None:
        parts.append(candidate.start.label)
    elif stepped and any(c.start is not None for c in all_candidates):
        parts.append("from scratch")
    if candidate.auxiliary:
        parts.append(auxiliary_label(candidate.auxiliary))
    elif any(c.auxiliary for c in all_candidates):
        parts.append("no auxiliary")
    if stepped and any(c.batch_size != candidate.batch_size for c in others) and candidate.batch_size is not None:
        parts.append(f"batch {candidate.batch_size}")
    if len({c.cost for c in all_candidates}) > 1:
        parts.append(candidate.cost.label)
    return ", ".join(parts)
