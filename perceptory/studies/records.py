"""A study at work: its members as they finish, judged, kept for resuming, and shown as progress."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from perceptory.runs.run_folder import RunFolder
from perceptory.selection.metrics import OWN_COST, evaluate
from perceptory.selection.metrics import score as score_of
from perceptory.studies.encoded import EncodedExamples
from perceptory.studies.study import Candidate, Study
from perceptory.training.driver import Outcome
from perceptory.training.scaling import Scaling, targets_as

Fold = tuple[np.ndarray, np.ndarray]
Who = tuple[int, int, int]


@dataclass
class Record:
    """A finished member with what is kept of it."""

    status: str
    epochs: int
    best_epoch: int
    weights: np.ndarray
    train_cost: np.ndarray
    validation_cost: np.ndarray
    output: np.ndarray  # [row of the fold's validation rows, out], in the target's units
    train: dict[str, Any]
    validation: dict[str, Any]
    score: float
    train_score: float
    facts: dict[str, float] = field(default_factory=dict)


@dataclass
class Work:
    """One study at work: what the steps below share."""

    study: Study
    table: EncodedExamples
    folds: list[Fold]
    candidates: list[Candidate]
    score: Any
    scalings: list[Scaling]  # one a fold
    padded: bool = False  # sizes rounded up, so that studies of nearly the same size share programs
    records: dict[Who, Record] = field(default_factory=dict)
    seconds: dict[int, float] = field(default_factory=dict)


def of_candidate(work: Work, candidate: int) -> list[Record]:
    """The candidate's members that did not diverge, in the order of folds and seeds."""
    return [work.records[who] for who in sorted(work.records) if who[0] == candidate and sound(work.records[who])]


def sound(record: Record) -> bool:
    return record.status != "diverged"


def state_of(work: Work, members: int, recalled: int, epochs: int, seconds: float) -> dict[str, Any]:
    """What a progress display shows; `best` is the best mean of a candidate all of whose members are done."""
    by_candidate: dict[int, list[float]] = {}
    for (c, _, _), record in work.records.items():
        by_candidate.setdefault(c, []).append(record.score)
    complete = len(work.folds) * work.study.seeds
    means = [float(np.mean(s)) for s in by_candidate.values() if len(s) == complete and np.all(np.isfinite(s))]
    best = (min if work.score.direction == "min" else max)(means, default=float("nan"))
    done = len(work.records)
    fresh = done - recalled
    return {
        "members_done": done,
        "members": members,
        "epochs": epochs,
        "epochs_per_second": epochs / max(seconds, 1e-9),
        "score": work.score.name,
        "best": best,
        "seconds": seconds,
        "seconds_left": seconds / fresh * (members - done) if fresh else float("nan"),
    }


def judge(work: Work, who: Who, outcome: Outcome) -> Record:
    """Scores of a finished member in the target's own units."""
    train_rows, validation_rows = work.folds[who[1]]
    train_output, output = outcome.train_output.astype(float), outcome.validation_output.astype(float)
    if work.table.task == "regression":
        cost = work.candidates[who[0]].cost
        scaling = targets_as(work.scalings[who[1]], cost.scaling)
        train_output, output = (
            cost.point(cost.unscale(y, scaling.out_center, scaling.out_scale)) for y in (train_output, output)
        )
    truth, weights = work.table.truth, work.table.weights
    diverged = outcome.status == "diverged"
    task = work.table.task

    def metrics(rows: np.ndarray, y: np.ndarray) -> tuple[dict[str, Any], float]:
        judged = judged_rows(truth[rows], y, weights[rows])
        found = evaluate(task, *judged)
        value = float("nan") if work.score.name == OWN_COST else found.get(work.score.name)
        if isinstance(value, int | float):
            return found, float(value)
        return found, score_of(work.score.name, task, *judged)

    train, train_score = metrics(train_rows, train_output)
    validation, score = metrics(validation_rows, output)
    if work.score.name == OWN_COST and not diverged:
        best = outcome.best_epoch - 1
        train_score, score = float(outcome.train_cost[best]), float(outcome.validation_cost[best])
    return Record(
        outcome.status, outcome.epochs, outcome.best_epoch, outcome.weights, outcome.train_cost,
        outcome.validation_cost, output, train, validation,
        float("nan") if diverged else score, float("nan") if diverged else train_score, outcome.facts,
    )  # fmt: skip


def judged_rows(truth: np.ndarray, output: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, ...]:
    """What metrics take: of sequences, every step that counts is a row [row, out]."""
    if weights.ndim == 1:
        return truth, output, weights
    counts = weights > 0
    return truth[counts], output[counts], weights[counts]


def keep(store: RunFolder, records: dict[Who, Record]) -> None:
    tensors: dict[str, np.ndarray] = {}
    facts = []
    for i, (who, r) in enumerate(records.items()):
        tensors |= {
            f"{i}.weights": r.weights, f"{i}.train_cost": r.train_cost,
            f"{i}.validation_cost": r.validation_cost, f"{i}.output": r.output,
        }  # fmt: skip
        scores = [r.train, r.validation, r.score, r.train_score]
        facts.append([list(who), r.status, r.epochs, r.best_epoch, *scores, r.facts])
    store.keep(tensors, {"members": facts})


def recall(work: Work, store: RunFolder) -> None:
    for tensors, facts in store.kept():
        for i, (who, status, epochs, best_epoch, *scores) in enumerate(facts["members"]):
            train, validation, score, train_score, told = scores
            t = {k.split(".", 1)[1]: v for k, v in tensors.items() if k.startswith(f"{i}.")}
            work.records[(who[0], who[1], who[2])] = Record(
                status=status, epochs=epochs, best_epoch=best_epoch, train=train, validation=validation,
                score=score, train_score=train_score, facts=told, **t,
            )  # fmt: skip
