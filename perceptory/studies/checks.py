"""What a study refuses before it trains, and the rows that it seals off."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from perceptory.data import seal
from perceptory.errors import InputError
from perceptory.objectives.table import check_task
from perceptory.selection.metrics import OWN_COST
from perceptory.selection.plans import BlockedKFold, RollingOrigin
from perceptory.selection.purge import overlaps
from perceptory.studies.encoded import EncodedExamples
from perceptory.studies.regularizer_checks import check_regularizers
from perceptory.studies.second_order_checks import check_second_order
from perceptory.studies.study import Candidate, Study


def seal_off(study: Study, data: Any, test: Any) -> tuple[Any, Any, list[str]]:
    """Study data, sealed data or None, and notes."""
    if test is not None:
        if not isinstance(test, type(data)) or test.task != data.task or test.target_names != data.target_names:
            raise InputError("the test data need the same target and task as the study's. Read both alike.")
        if data.classes is not None and test.classes != data.classes:
            known = {str(c): i for i, c in enumerate(data.classes)}
            new = [str(c) for c in test.classes or () if str(c) not in known]
            if new:
                raise InputError(f"the test data hold classes that the study has not: {', '.join(new)}.")
            codes = np.array([known[str(c)] for c in test.classes or ()])
            test = dataclasses.replace(
                test, targets=codes[test.targets], classes=data.classes, class_values=data.class_values
            )
        return data, test, []
    # Where validation goes by time, the future is what the model will meet: the last rows are sealed.
    spans = data.spans
    by_time = isinstance(study.validation, BlockedKFold | RollingOrigin) or (spans is not None and data.groups is None)
    kept, cut = seal(data, study.test, seed=study.seed, last=by_time)
    notes = []
    if spans is not None and len(cut):
        shares = overlaps(spans[kept], spans[cut])
        kept = kept[~shares]
        if shares.any():
            many = "examples that share" if shares.sum() > 1 else "example that shares"
            notes = [f"{shares.sum()} {many} steps with sealed ones left out of the study."]
    return (data.take(kept), data.take(cut), notes) if len(cut) else (data, None, notes)


def check_candidate(candidate: Candidate, known: Any, table: EncodedExamples) -> None:
    """`InputError` for a candidate whose parts do not go together, or not with the data."""
    _check_cost(candidate, known)
    _check_feedback(candidate, known)
    check_regularizers(candidate, known, table)
    check_second_order(candidate)


def _check_feedback(candidate: Candidate, known: Any) -> None:
    every = known.known_outputs == "all"
    if every != candidate.network.feedback:
        remedy = 'Read the data with known="all".' if not every else "Read them with known=0 or a number of steps."
        why = "would see the outputs that it has to predict" if every else "feeds measured outputs back"
        raise InputError(f"{candidate.network.label} {why}. {remedy}")


def _check_cost(candidate: Candidate, known: Any) -> None:
    cost, network = candidate.cost, candidate.network
    check_task(cost, known.task)
    cost.check_classes(known.classes)
    if known.task == "regression":
        targets, lengths = known.targets, known.lengths
        if lengths is not None and targets.ndim == 3:  # padding is no data
            targets = targets[np.arange(targets.shape[1]) < lengths[:, None]]
        cost.check_targets(targets, tuple(known.target_names))
    if network.solved and cost.heads > 1:
        raise InputError(
            f"{network.label} is solved by least squares, which cannot fit what {cost.label} takes beside the point"
            ' prediction. Train all of it (train="all"), or take another network.'
        )
    if network.feedback and not cost.direct:
        raise InputError(
            f"{network.label} feeds its outputs back, so they have to be the targets themselves, which those of"
            f" {cost.label} are not. Use squared, absolute or huber."
        )


def check_score(name: str, candidates: list[Candidate]) -> None:
    """`InputError` where candidates are to be ranked by their own cost and have several."""
    labels = list(dict.fromkeys(c.cost for c in candidates))
    if name == OWN_COST and len(labels) > 1:
        raise InputError(
            f"the score {OWN_COST!r} ranks candidates by the cost that they are trained with, and they have several"
            f" ({', '.join(cost.label for cost in labels)}). Use one cost, or another score."
        )


def check_target(known: Any) -> None:
    if known.task == "regression":
        columns = known.targets.reshape(-1, known.targets.shape[-1]).T
        for name, column in zip(known.target_names, columns, strict=True):
            if np.ptp(column) == 0:
                raise InputError(f"the target {name!r} is constant in the study rows. There is nothing to learn.")
    elif len(np.unique(known.targets)) < 2:
        raise InputError("the study rows hold one class only. Give more rows, or another share of test rows.")
