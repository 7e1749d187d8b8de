"""Candidates sorted into groups of members: what one compiled program trains together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from perceptory.augmentation.base import varying
from perceptory.data.own_targets import columns_of_inputs, columns_of_targets
from perceptory.networks.base import Network, layout
from perceptory.notes import Note
from perceptory.objectives.parts import Composite
from perceptory.objectives.table import Cost
from perceptory.optimizers.second_order import SecondOrder
from perceptory.specs import partition
from perceptory.studies.auxiliary import Aims
from perceptory.studies.design import Candidate, StudyDesign
from perceptory.studies.encoded_examples import EncodedExamples, split_number
from perceptory.studies.keys import member_key
from perceptory.studies.split import Split
from perceptory.studies.starts import Beginning, Turn, from_model
from perceptory.training.plan import Member, ProgramPlan, chunking, curved_sizes, pad_rows, piece_of, sizes
from perceptory.training.scaling import Scaling, inputs_as_they_are, relative_scaling, targets_as
from perceptory.training.size_classes import coarse_bucket, epoch_bucket, padded_rows

SEGMENT_FLOPS = 5e10  # what a chunk computes before the host looks again: below a second

Who = tuple[int, int, int]  # a member: candidate, fold, seed


@dataclass
class Group:
    """Members with one static shape. `who` tells the member at each place."""

    plan: ProgramPlan
    members: Member
    who: list[Who]
    weights: int  # of one network, without heads of auxiliary objectives
    candidate: Candidate  # the first one; all have its shapes
    target_shape: tuple[int, ...]  # of one example, with the targets of auxiliary objectives
    scalings: list[Scaling]  # of each member
    notes: tuple[Note, ...] = ()


def groups_of(
    study: StudyDesign,
    candidates: Sequence[Candidate],
    split: Split,
    epochs: int | None = None,
    padded: bool = False,
    learned: Mapping[int, Beginning] | None = None,
) -> list[Group]:
    """Sort every (candidate, fold, seed) into groups; `epochs` replaces the study's, without early stopping.

    padded: numbers of rows and epochs rounded up to a few values, so that data of nearly the same size share a compiled
    program; what is added has weight 0. learned: what the members of candidates begin with that learn something first.
    """
    longest = max(len(a) for a, _ in split.folds)
    same: dict[Any, list[int]] = {}
    begins: dict[int, Beginning] = {}
    for place, candidate in enumerate(candidates):
        static: Any = partition(_in_program(candidate))[0]
        if candidate.start is not None:
            lesson = (learned or {}).get(place)
            begins[place] = from_model(candidate, split.encoded) if lesson is None else lesson
            static = static.replace(start=begins[place].taken.plan(static.start))
        same.setdefault((static, batch_size(candidate, longest)), []).append(place)
    groups = []
    for (static, batch), places in same.items():
        rows, batch = padded_rows(longest, batch) if padded else (longest, batch)
        who = [(c, f, s) for c in places for f in range(len(split.folds)) for s in range(study.seeds)]
        first = candidates[places[0]]
        plan, weights = _plan(study, static, first, split, (rows, batch), len(who), epochs, padded)
        total = _epochs(study, static, epochs)
        scalings, given = _starts(begins, split, who, first.network)
        members = _members(study, candidates, split, who, plan, total, scalings, refit=epochs is not None)
        dtype = members.factor.dtype
        members = members._replace(
            balance=_balance(split, who, plan, dtype), given=tuple(array.astype(dtype) for array in given)
        )
        notes = tuple(dict.fromkeys(note for c in places if c in begins for note in begins[c].notes))
        groups.append(Group(plan, members, who, weights, first, split.encoded.aims.shape[1:], scalings, notes))
    return groups


def _starts(
    begins: dict[int, Beginning], split: Split, who: list[Who], network: Network
) -> tuple[list[Scaling], tuple[np.ndarray, ...]]:
    """Each member's scaling, and the arrays [member, ...] that members begin with, if any."""
    scalings, given = [], []
    by_fold = [_seen_by(network, split, fold) for fold in range(len(split.folds))]
    for c, f, s in who:
        own, turn = by_fold[f], Turn(f, len(split.folds), s)
        scalings.append(begins[c].scaling(own, turn) if c in begins else own)
        if c in begins:
            given.append(begins[c].arrays(own, turn))
    return scalings, tuple(np.stack(arrays) for arrays in zip(*given, strict=True))


def _seen_by(network: Network, split: Split, fold: int) -> Scaling:
    """A fold's scaling for a network that takes some inputs otherwise than scaled."""
    scaling = split.scalings[fold]
    if network.windows is not None:
        return relative_scaling(scaling, network.windows, split.encoded.given[split.folds[fold][0]])
    return inputs_as_they_are(scaling, network.unscaled) if network.unscaled else scaling


def _in_program(candidate: Candidate) -> Any:
    """The candidate without what makes no other program: whose layers it begins with."""
    return candidate if candidate.start is None else candidate.replace(start=candidate.start.alone)


def batch_size(candidate: Candidate, rows: int) -> int:
    """Rows a step: as asked, all rows for gradient descent, else by the number of rows."""
    usual = 32 if rows <= 2000 else 64 if rows <= 10_000 else 128 if rows <= 30_000 else 256
    return candidate.optimizer.step_rows(candidate.batch_size or usual, rows)


def _is_crossed(study: StudyDesign, static: Any, encoded: EncodedExamples) -> bool:
    """Whether held-out outputs come from epochs that the rows themselves had no part in choosing: shares of a mixture
    are only right between outputs that nothing flatters, or what stops early takes all from what is solved. Rows of
    tables only: every other window of a series tells much of those between."""
    table = len(encoded.shape) == 1 and encoded.task != "autoencode" and encoded.auxiliary is None
    return table and study.final == "weighted" and study.patience >= 0 and not static.network.solved


def _epochs(study: StudyDesign, static: Candidate, epochs: int | None) -> int:
    return 1 if static.network.solved else epochs or study.epochs


def _plan(
    study: StudyDesign,
    static: Any,  # a `Candidate` with placeholders, whose start is a `GivenStart`
    first: Candidate,
    split: Split,
    shape: tuple[int, int],  # rows, and rows a step
    members: int,
    epochs: int | None,
    padded: bool,
) -> tuple[ProgramPlan, int]:
    """The group's program, and the weights of one network without heads."""
    encoded, (rows, batch) = split.encoded, shape
    cost, inputs = encoded.cost_of(static), encoded.shape
    outputs = cost.shape(encoded.target_shape)
    size = layout(first.network, inputs, outputs).size
    bytes_each = sizes(first.network, inputs, outputs, batch, rows)
    if isinstance(static.optimizer, SecondOrder):
        bytes_each = curved_sizes(static.optimizer, first.network, inputs, outputs, rows)
    budget = int(study.memory * 2**30)
    block, blocks = chunking(members, bytes_each, budget, budget - encoded.resident)
    flops = 6.0 * size * rows * np.prod(inputs[:-1])  # at most: every weight at every place
    if isinstance(static.optimizer, SecondOrder) and static.optimizer.matrix:
        flops = 2.0 * size**2 * (rows * np.prod(outputs) + 2 * size)
    total = _epochs(study, static, epochs)
    segment = int(np.clip(SEGMENT_FLOPS / (flops * block * blocks), 1, total))
    segment = -(-total // -(-total // segment))  # equal parts
    segment = epoch_bucket(segment) if padded else segment
    most_validation = max(len(b) for _, b in split.folds)
    most_validation = coarse_bucket(most_validation) if padded else most_validation
    batches = {-(-len(a) // batch) for a, _ in split.folds}
    plan = ProgramPlan(
        static.network, cost, static.optimizer, static.penalty, inputs, outputs, rows, most_validation,
        batch, segment, block, blocks, ragged=len(batches) > 1, replacement=study.sampling == "replacement",
        piece=piece_of(first.network, inputs, outputs), clip=static.clip, average=static.average,
        augmentation=static.augmentation, start=static.start, layout=encoded.layout,
        crossed=most_validation > 1 and _is_crossed(study, static, encoded),
        shown=_shown(split),
    )  # fmt: skip
    if static.augmentation is not None:
        plan = replace(
            plan, varies=varying(encoded.columns(), encoded.shape[-1]), columns=columns_of_inputs(encoded.encoder),
            target_columns=columns_of_targets(encoded.encoder) if encoded.task == "autoencode" else (),
        )  # fmt: skip
    weights = layout(first.network, inputs, first.cost.shape(encoded.target_shape)).size
    return plan, weights if first.network.learns else 0


def _shown(split: Split) -> int:
    """`ProgramPlan.shown`"""
    each = [(len(split.encoded.shown(rows)), len(rows)) for rows, _ in split.folds]
    return max(some for some, _ in each) if any(some < every for some, every in each) else 0


def _members(
    study: StudyDesign,
    candidates: Sequence[Candidate],
    split: Split,
    who: list[Who],
    plan: ProgramPlan,
    epochs: int,
    scalings: list[Scaling],
    refit: bool,
) -> Member:
    dtype = np.float64 if study.arithmetic == "double" else np.float32
    numbers = {c: partition(_in_program(candidates[c]))[1] for c, _, _ in who}
    fold = np.array([f for _, f, _ in who])
    distinct = {id(s): s for s in scalings}  # few: one a fold, where nothing is begun with
    index = {key: i for i, key in enumerate(distinct)}
    scaling = np.array([index[id(s)] for s in scalings])
    own = [_whole_scaling(s, plan.cost, split.encoded.auxiliary) for s in distinct.values()]

    def centers(s: Scaling) -> np.ndarray:
        return np.stack(split_number(np.concatenate([s.in_center, s.out_center]), dtype))

    def by_fold(values: list[Any], kind: Any) -> np.ndarray:
        by_member: np.ndarray = np.stack([np.asarray(v, kind) for v in values])[fold]
        return by_member

    return Member(
        key=np.stack([member_key(study, candidates[c], f, s) for c, f, s in who]),
        numbers=np.array([numbers[c] for c, _, _ in who], dtype).reshape(len(who), -1),
        rows=np.stack([pad_rows(a, plan.rows) for a, _ in split.folds])[fold],
        count=by_fold([len(a) for a, _ in split.folds], np.int32),
        validation=np.stack([pad_rows(b, plan.validation_rows) for _, b in split.folds])[fold],
        validation_count=by_fold([len(b) for _, b in split.folds], np.int32),
        center=np.stack([centers(s) for s in own]).astype(dtype)[scaling],
        factor=np.stack([np.concatenate([s.in_factor, 1 / s.out_scale]) for s in own]).astype(dtype)[scaling],
        epochs=np.full(len(who), epochs, np.int32),
        patience=np.full(len(who), 0 if refit else study.patience, np.int32),
        shown=_shown_places(split, plan.shown)[fold] if plan.shown else (),
    )


def _shown_places(split: Split, most: int) -> np.ndarray:
    """[fold, most] `Member.shown`"""
    places = np.full((len(split.folds), most), -1, np.int32)
    for own, (rows, _) in zip(places, split.folds, strict=True):
        some = split.encoded.shown(rows)
        own[: len(some)] = some
    return places


def _whole_scaling(scaling: Scaling, cost: Cost, aims: Aims | None) -> Scaling:
    """Of inputs, targets and auxiliary targets, as the cost wants them."""
    if not isinstance(cost, Composite) or aims is None:
        return targets_as(scaling, cost)
    whole, (center, scale) = targets_as(scaling, cost.main), aims.scaled(scaling, cost)
    return whole._replace(
        out_center=np.concatenate([whole.out_center, center]), out_scale=np.concatenate([whole.out_scale, scale])
    )


def _balance(split: Split, who: list[Who], plan: ProgramPlan, dtype: Any) -> Any:
    """[member, class] of `Member.balance`, each fold's from its own training rows; () without."""
    encoded = split.encoded
    if encoded.task == "regression" or not plan.cost.has_class_weights:
        return ()
    classes = max(2, encoded.targets.shape[-1])
    each = [plan.cost.balance(encoded.truth[rows], encoded.weights[rows], classes) for rows, _ in split.folds]
    return np.stack(each).astype(dtype)[[f for _, f, _ in who]] if len(each[0]) else ()
