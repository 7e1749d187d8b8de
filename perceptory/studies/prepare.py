"""From a study and its data to groups of members: everything that is decided before the first training step."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from perceptory.augmentation.base import label as augmentation_label
from perceptory.augmentation.base import varying
from perceptory.data.examples import Examples, classes_of
from perceptory.networks.base import layout
from perceptory.optimizers.second_order import SecondOrder
from perceptory.selection.plans import BlockedKFold, default_plan
from perceptory.selection.purge import purge
from perceptory.specs import combine, partition, to_json
from perceptory.studies.encoded import EncodedExamples, split_number
from perceptory.studies.second_order_checks import check_hessian, check_size
from perceptory.studies.study import Candidate, Study
from perceptory.training.plan import Member, ProgramPlan, chunking, curved_sizes, pad_rows, piece_of, sizes
from perceptory.training.scaling import Scaling, fit_scaling, targets_as
from perceptory.training.size_classes import coarse_bucket, epoch_bucket, padded_rows

# Fields that specs got later, with the value that changes nothing: left out of what members are known by, so that a new
# field leaves the keys of old candidates, and with them their bits, as they were.
LATER: dict[str, dict[str, Any]] = {
    "Candidate": {"clip": None, "average": None, "augmentation": None},
    "Study": {"clip": None, "average": None, "augmentation": None},
    "SigmoidCrossEntropy": {"class_weight": None},
    "SoftmaxCrossEntropy": {"class_weight": None},
    "WeightPenalty": {"mix": 0.0, "layers": []},
    "NARX": {"open_share": 0.0},
}
SEGMENT_FLOPS = 5e10  # what a chunk computes before the host looks again: below a second


def folds_of(study: Study, dataset: Examples) -> tuple[Any, list[tuple[np.ndarray, np.ndarray]]]:
    """The validation plan and its pairs of training and validation rows.

    Examples cut from one series may share steps. They are validated in blocks of time unless the study says otherwise,
    and a training example that shares a step with a validation example of its fold is left out.
    """
    classes, spans = classes_of(dataset), dataset.spans
    ordinary = BlockedKFold(min(5, dataset.rows)) if spans is not None and dataset.groups is None else None
    plan = study.validation or ordinary or default_plan(dataset.task, dataset.rows, dataset.groups, classes)
    folds = plan.split(
        dataset.rows, targets=classes, groups=dataset.groups, seed=study.seed, class_names=dataset.classes
    )
    return plan, folds if spans is None else purge(folds, spans)


def batch_size(candidate: Candidate, rows: int) -> int:
    """Rows a step: as asked, all rows for gradient descent, else by the number of rows."""
    usual = 32 if rows <= 2000 else 64 if rows <= 10_000 else 128 if rows <= 30_000 else 256
    return candidate.optimizer.step_rows(candidate.batch_size or usual, rows)


def member_key(study: Study, candidate: Candidate, fold: int, seed: int) -> np.ndarray:
    """[2] uint32 from the content of the member: its place among others does not matter."""
    text = json.dumps([study.seed, _one_way(_lean(to_json(candidate, strict=False))), fold, seed], sort_keys=True)
    return np.frombuffer(hashlib.blake2b(text.encode(), digest_size=8).digest(), np.uint32)


def _lean(data: Any) -> Any:
    """Without the fields of `LATER` that say what was so before there was such a field."""
    if isinstance(data, dict):
        later = LATER.get(data.get("kind", ""), {})
        return {k: _lean(v) for k, v in data.items() if not (k in later and v == later[k])}
    return [_lean(v) for v in data] if isinstance(data, list) else data


def _one_way(data: Any) -> Any:
    """Equal numbers written in one way: 2.0 as 2."""
    if isinstance(data, dict):
        return {k: _one_way(v) for k, v in data.items()}
    if isinstance(data, list):
        return [_one_way(v) for v in data]
    return int(data) if isinstance(data, float) and data.is_integer() else data


@dataclass
class Group:
    """Members with one static shape. `who` gives (candidate, fold, seed) by place."""

    plan: ProgramPlan
    members: Member
    who: list[tuple[int, int, int]]
    weights: int  # of one network
    flops: float  # of one member's epoch


def scalings_of(table: EncodedExamples, folds: list[tuple[np.ndarray, np.ndarray]]) -> list[Scaling]:
    """Each fold's own scaling, from its training rows alone, in the table's units."""
    regression = table.task == "regression"

    def of(rows: np.ndarray) -> Scaling:
        x, t = table.inputs[rows], table.targets[rows]
        if table.lengths is not None:  # padding is no data
            padding = np.arange(x.shape[1]) >= table.lengths[rows, None]
            x = np.where(padding[..., None], np.nan, x)
            t = np.where(padding[..., None], np.nan, t) if t.ndim == 3 else t
        w = table.weights[rows]
        counts = None if w.ndim > 1 or len(np.unique(w)) < 2 else w  # equal weights change nothing
        return fit_scaling(x, t, scale_targets=regression, weights=counts)

    return [of(a) for a, _ in folds]


def groups_of(
    study: Study,
    candidates: list[Candidate],
    table: EncodedExamples,
    folds: list[tuple[np.ndarray, np.ndarray]],
    scalings: list[Scaling],
    epochs: int | None = None,
    padded: bool = False,
) -> list[Group]:
    """Sort every (candidate, fold, seed) into groups; `epochs` replaces the study's, without early stopping.

    scalings: each fold's, of `scalings_of`. padded: numbers of rows and epochs rounded up to a few values, so that
    data of nearly the same size share a compiled program; what is added has weight 0.
    """
    inputs = table.shape
    longest = max(len(a) for a, _ in folds)
    most_validation = max(len(b) for _, b in folds)
    most_validation = coarse_bucket(most_validation) if padded else most_validation
    sorted_out: dict[Any, list[int]] = {}
    split = [partition(c) for c in candidates]
    for i, (static, _) in enumerate(split):
        sorted_out.setdefault((static, batch_size(candidates[i], longest)), []).append(i)
    groups = []
    for (static, batch), places in sorted_out.items():
        outputs = static.cost.shape(table.target_shape)
        rows, batch = padded_rows(longest, batch) if padded else (longest, batch)
        who = [(c, f, s) for c in places for f in range(len(folds)) for s in range(study.seeds)]
        size = layout(candidates[places[0]].network, inputs, outputs).size
        bytes_each = sizes(candidates[places[0]].network, inputs, outputs, batch, rows)
        if isinstance(static.optimizer, SecondOrder):
            bytes_each = curved_sizes(static.optimizer, candidates[places[0]].network, inputs, outputs, rows)
        block, blocks = chunking(len(who), bytes_each, int(study.memory * 2**30))
        first, shapes = candidates[places[0]], (inputs, outputs)
        check_size(static.optimizer, first.network, shapes, block * blocks, study.memory)
        check_hessian(static.optimizer, first.network, first.cost, shapes, table.target_shape)
        flops = 6.0 * size * rows * np.prod(inputs[:-1])  # at most: every weight at every place
        if getattr(static.optimizer, "matrix", None):
            flops = 2.0 * size**2 * (rows * np.prod(outputs) + 2 * size)
        total = 1 if static.network.solved else epochs or study.epochs
        segment = int(np.clip(SEGMENT_FLOPS / (flops * block * blocks), 1, total))
        segment = -(-total // -(-total // segment))  # equal parts
        segment = epoch_bucket(segment) if padded else segment
        batches = {-(-len(a) // batch) for a, _ in folds}
        plan = ProgramPlan(
            static.network, static.cost, static.optimizer, static.penalty, inputs, outputs, rows, most_validation,
            batch, segment, block, blocks, ragged=len(batches) > 1, replacement=study.sampling == "replacement",
            piece=piece_of(candidates[places[0]].network, inputs, outputs), clip=static.clip, average=static.average,
            augmentation=static.augmentation, varies=() if static.augmentation is None else varying(table.inputs),
        )  # fmt: skip
        members = _members(study, candidates, split, who, folds, scalings, plan, total, epochs is not None)
        members = members._replace(balance=_balance(table, folds, who, plan, members.factor.dtype))
        groups.append(Group(plan, members, who, size, flops))
    return groups


def _members(
    study: Study,
    candidates: list[Candidate],
    split: list[tuple[Candidate, tuple[float, ...]]],
    who: list[tuple[int, int, int]],
    folds: list[tuple[np.ndarray, np.ndarray]],
    scalings: list[Scaling],
    plan: ProgramPlan,
    epochs: int,
    refit: bool,
) -> Member:
    dtype = np.float64 if study.arithmetic == "double" else np.float32
    fold_rows = [pad_rows(a, plan.rows) for a, _ in folds]
    fold_validation = [pad_rows(b, plan.validation_rows) for _, b in folds]
    fold = np.array([f for _, f, _ in who])
    scalings = [targets_as(s, plan.cost.scaling) for s in scalings]

    def centers(s: Scaling) -> np.ndarray:
        return np.stack(split_number(np.concatenate([s.in_center, s.out_center]), dtype))

    def by_fold(values: list[Any], kind: Any) -> np.ndarray:
        return np.stack([np.asarray(v, kind) for v in values])[fold]

    return Member(
        key=np.stack([member_key(study, candidates[c], f, s) for c, f, s in who]),
        numbers=np.array([split[c][1] for c, _, _ in who], dtype).reshape(len(who), -1),
        rows=np.stack(fold_rows)[fold],
        count=by_fold([len(a) for a, _ in folds], np.int32),
        validation=np.stack(fold_validation)[fold],
        validation_count=by_fold([len(b) for _, b in folds], np.int32),
        center=by_fold([centers(s) for s in scalings], dtype),
        factor=by_fold([np.concatenate([s.in_factor, 1 / s.out_scale]) for s in scalings], dtype),
        epochs=np.full(len(who), epochs, np.int32),
        patience=np.full(len(who), 0 if refit else study.patience, np.int32),
    )


def _balance(
    table: EncodedExamples, folds: list[Any], who: list[tuple[int, int, int]], plan: ProgramPlan, dtype: Any
) -> Any:
    """[member, class] of `Member.balance`, each fold's from its own training rows; () without."""
    if table.task == "regression" or not plan.cost.weighs:
        return ()
    classes = max(2, plan.outputs[-1])
    each = [plan.cost.balance(table.truth[rows], table.weights[rows], classes) for rows, _ in folds]
    return np.stack(each).astype(dtype)[[f for _, f, _ in who]] if len(each[0]) else ()


def fingerprint(study: Study, table: EncodedExamples, folds: list[tuple[np.ndarray, np.ndarray]]) -> str:
    """A digest of what is asked and of the study rows, for resuming."""
    digest = hashlib.sha256(json.dumps(_lean(to_json(study, strict=False)), sort_keys=True).encode())
    lengths = () if table.lengths is None else (table.lengths,)
    for array in (table.inputs, table.targets, table.weights, *lengths, *(x for fold in folds for x in fold)):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def candidate_label(candidate: Candidate, all_candidates: list[Candidate]) -> str:
    """Network and optimizer, and of the rest what differs between the candidates."""
    parts = [candidate.network.label, candidate.optimizer.label]
    if len({c.penalty for c in all_candidates}) > 1 or candidate.penalty is not None:
        penalty = candidate.penalty
        parts.append("no penalty" if penalty is None else penalty.label)
    for name in ("clip", "average"):
        part = getattr(candidate, name)
        if part is not None:
            parts.append(part.label)
        elif any(getattr(c, name) is not None for c in all_candidates):
            parts.append(f"no {name}")
    if candidate.augmentation is not None:
        parts.append(augmentation_label(candidate.augmentation))
    elif any(c.augmentation is not None for c in all_candidates):
        parts.append("no augmentation")
    if len({c.batch_size for c in all_candidates}) > 1:
        parts.append(f"batch {candidate.batch_size or 'auto'}")
    if len({c.cost for c in all_candidates}) > 1:
        parts.append(candidate.cost.label)
    return ", ".join(parts)


def with_numbers(candidate: Candidate) -> Candidate:
    """The candidate as plain Python numbers (search values drawn by NumPy included)."""
    static, numbers = partition(candidate)
    return combine(static, tuple(float(n) for n in numbers))
