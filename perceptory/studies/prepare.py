"""From a study and its data to groups of members: everything that is decided before the first training step."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from perceptory.data import Dataset, Encoder
from perceptory.errors import InputError
from perceptory.networks.base import layout
from perceptory.selection.validation import default_plan
from perceptory.specs import combine, partition, to_json
from perceptory.studies.study import Candidate, Study
from perceptory.training.plan import Member, Plan, chunking, pad_rows, sizes
from perceptory.training.scaling import Scaling, fit_scaling

SEGMENT_FLOPS = 1e10  # what a chunk computes before the host looks again: a fraction of a second


@dataclass
class Table:
    """The study rows as numbers. Test rows are not in it."""

    inputs: np.ndarray  # [row, in] float64, NaN is missing
    targets: np.ndarray  # [row, out] float64: the target's units, or 0/1 a class
    truth: np.ndarray  # what metrics take: [row, out] or [row] class index
    weights: np.ndarray  # [row]
    task: str

    def raw(self, dtype: Any) -> np.ndarray:
        """[row, 2 (in + out) + 1]: inputs and targets in `dtype`, what that rounds off, and the row's weight.

        Rounded to single precision, a date in seconds would lose what tells its rows apart. Two numbers keep it, and
        unlike a change of units they do not depend on any other row.
        """
        exact = np.concatenate([self.inputs, self.targets], axis=1)
        rounded, rest = split_number(exact, dtype)
        if not np.array_equal(np.isfinite(rounded), np.isfinite(exact)):
            raise InputError(
                f"the table holds numbers beyond {np.finfo(dtype).max:.1g}, more than single precision can take."
                ' Rescale the column, or choose precision="double" (--precision double).'
            )
        return np.concatenate([rounded, rest, self.weights[:, None].astype(dtype)], axis=1)


def split_number(exact: np.ndarray, dtype: Any) -> tuple[np.ndarray, np.ndarray]:
    """(number rounded to `dtype`, what is left of it): their sum is the number to twice the digits."""
    with np.errstate(over="ignore", invalid="ignore"):
        rounded = exact.astype(dtype)
        return rounded, (exact - rounded).astype(dtype)


def tabulate(dataset: Dataset, encoder: Encoder) -> Table:
    """Encode a dataset's inputs and targets."""
    targets = np.asarray(dataset.targets)
    if dataset.task == "regression":
        numbers = targets.astype(float)
    elif dataset.task == "binary":
        numbers = targets.astype(float)[:, None]
    else:
        numbers = np.eye(len(dataset.classes or ()))[targets]
    weights = np.ones(len(targets)) if dataset.weights is None else np.asarray(dataset.weights, float)
    if not np.sum(weights) > 0:
        raise InputError("every row of the study has weight 0. Give some rows a weight above 0.")
    return Table(encoder.transform(dataset), numbers, targets, weights, dataset.task)


def folds_of(study: Study, dataset: Dataset) -> tuple[Any, list[tuple[np.ndarray, np.ndarray]]]:
    """The validation plan and its pairs of training and validation rows."""
    classes = dataset.targets if dataset.task != "regression" else None
    plan = study.validation or default_plan(dataset.task, dataset.rows, dataset.groups, classes)
    folds = plan.split(
        dataset.rows, targets=classes, groups=dataset.groups, seed=study.seed, class_names=dataset.classes
    )
    return plan, folds


def batch_size(candidate: Candidate, rows: int) -> int:
    """Rows a step: as asked, all rows for gradient descent, else by the number of rows."""
    if candidate.optimizer.full_batch:
        return rows
    if candidate.batch_size is not None:
        return min(candidate.batch_size, rows)
    return min(rows, 32 if rows <= 2000 else 64 if rows <= 10_000 else 128 if rows <= 30_000 else 256)


def member_key(study: Study, candidate: Candidate, fold: int, seed: int) -> np.ndarray:
    """[2] uint32 from the content of the member: its place among others does not matter."""
    text = json.dumps([study.seed, _one_way(to_json(candidate, strict=False)), fold, seed], sort_keys=True)
    return np.frombuffer(hashlib.blake2b(text.encode(), digest_size=8).digest(), np.uint32)


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

    plan: Plan
    members: Member
    who: list[tuple[int, int, int]]
    weights: int  # of one network
    flops: float  # of one member's epoch


def scalings_of(table: Table, folds: list[tuple[np.ndarray, np.ndarray]]) -> list[Scaling]:
    """Each fold's own scaling, from its training rows alone, in the table's units."""
    regression = table.task == "regression"
    return [fit_scaling(table.inputs[a], table.targets[a], scale_targets=regression) for a, _ in folds]


def groups_of(
    study: Study,
    candidates: list[Candidate],
    table: Table,
    folds: list[tuple[np.ndarray, np.ndarray]],
    epochs: int | None = None,
) -> list[Group]:
    """Sort every (candidate, fold, seed) into groups; `epochs` replaces the study's, without early stopping."""
    inputs, outputs = table.inputs.shape[1], table.targets.shape[1]
    most = max(len(a) for a, _ in folds)
    most_validation = max(len(b) for _, b in folds)
    scalings = scalings_of(table, folds)
    sorted_out: dict[Any, list[int]] = {}
    split = [partition(c) for c in candidates]
    for i, (static, _) in enumerate(split):
        sorted_out.setdefault((static, batch_size(candidates[i], most)), []).append(i)
    groups = []
    for (static, batch), places in sorted_out.items():
        who = [(c, f, s) for c in places for f in range(len(folds)) for s in range(study.seeds)]
        size = layout(candidates[places[0]].network, inputs, outputs).size
        bytes_each = sizes(candidates[places[0]].network, inputs, outputs, batch, most)
        block, blocks = chunking(len(who), bytes_each, int(study.memory * 2**30))
        flops = 6.0 * size * most
        total = epochs or study.epochs
        segment = int(np.clip(SEGMENT_FLOPS / (flops * block * blocks), 1, total))
        segment = -(-total // -(-total // segment))  # equal parts
        batches = {-(-len(a) // batch) for a, _ in folds}
        plan = Plan(
            static.network, static.cost, static.optimizer, static.penalty, inputs, outputs, most, most_validation,
            batch, segment, block, blocks, ragged=len(batches) > 1, replacement=study.sampling == "replacement",
        )  # fmt: skip
        members = _members(study, candidates, split, who, folds, scalings, plan, total, epochs is not None)
        groups.append(Group(plan, members, who, size, flops))
    return groups


def _members(
    study: Study,
    candidates: list[Candidate],
    split: list[tuple[Candidate, tuple[float, ...]]],
    who: list[tuple[int, int, int]],
    folds: list[tuple[np.ndarray, np.ndarray]],
    scalings: list[Scaling],
    plan: Plan,
    epochs: int,
    refit: bool,
) -> Member:
    dtype = np.float64 if study.precision == "double" else np.float32
    fold_rows = [pad_rows(a, plan.rows) for a, _ in folds]
    fold_validation = [pad_rows(b, plan.validation_rows) for _, b in folds]
    fold = np.array([f for _, f, _ in who])

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


def fingerprint(study: Study, table: Table, folds: list[tuple[np.ndarray, np.ndarray]]) -> str:
    """A digest of what is asked and of the study rows, for resuming."""
    digest = hashlib.sha256(json.dumps(to_json(study, strict=False), sort_keys=True).encode())
    for array in (table.inputs, table.targets, table.weights, *(x for fold in folds for x in fold)):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def candidate_label(candidate: Candidate, all_candidates: list[Candidate]) -> str:
    """Network and optimizer, and of the rest what differs between the candidates."""
    parts = [candidate.network.label, candidate.optimizer.label]
    if len({c.penalty for c in all_candidates}) > 1 or candidate.penalty is not None:
        penalty = candidate.penalty
        parts.append("no penalty" if penalty is None else f"L{penalty.p:g} {penalty.strength:.3g}")
    if len({c.batch_size for c in all_candidates}) > 1:
        parts.append(f"batch {candidate.batch_size or 'auto'}")
    if len({c.cost for c in all_candidates}) > 1:
        parts.append(type(candidate.cost).__name__)
    return ", ".join(parts)


def with_numbers(candidate: Candidate) -> Candidate:
    """The candidate as plain Python numbers (search values drawn by NumPy included)."""
    static, numbers = partition(candidate)
    return combine(static, tuple(float(n) for n in numbers))
