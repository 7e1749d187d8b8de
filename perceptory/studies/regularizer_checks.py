"""Whether a candidate's regularizers suit its network and data, before anything is trained."""

from __future__ import annotations

from typing import Any

from perceptory.augmentation.base import Augmentation, parts
from perceptory.errors import InputError
from perceptory.networks.base import layout
from perceptory.optimizers.averaging import WeightAverage
from perceptory.optimizers.clipping import Clip
from perceptory.specs import partition
from perceptory.studies.encoded import EncodedExamples
from perceptory.studies.study import Candidate


def check_regularizers(candidate: Candidate, data: Any, table: EncodedExamples) -> None:
    """`InputError` for what is no regularizer, for an augmentation of other data, and for a penalty on layers that are
    not there."""
    network, penalty = candidate.network, candidate.penalty
    kinds: Any = (("clip", Clip), ("average", WeightAverage), ("augmentation", Augmentation))
    for name, kind in kinds:  # what a choice holds is seen only here
        for one in parts(getattr(candidate, name)):
            if not isinstance(one, kind):
                raise InputError(f"{name} needs specs of the kind {kind.__name__}, got {one!r}. Leave that out.")
    for one in parts(candidate.augmentation):
        one.check(data.kind, data.task)
        if network.solved:
            raise InputError(
                f"{network.label} is solved in one step, so no batch is augmented. Leave augmentation out here."
            )
    if penalty is not None and penalty.layers:
        where = layout(partition(network)[0], table.shape, candidate.cost.shape(table.target_shape))
        penalty.places(where.names, where.weights)
