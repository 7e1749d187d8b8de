"""From trained members to the final model and the parts of a result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from perceptory.errors import InputError
from perceptory.models.ensemble import measured
from perceptory.models.intervals import with_intervals
from perceptory.models.model import Model
from perceptory.results.result import CandidateResult, MemberResult, Predictions
from perceptory.selection.metrics import evaluate
from perceptory.specs import to_json
from perceptory.studies.encoded import EncodedExamples, tabulate
from perceptory.studies.prepare import (
    candidate_label,
    groups_of,
    scalings_of,
)
from perceptory.studies.records import Fold, Record, Work, judged_rows, of_candidate, sound
from perceptory.studies.study import Candidate
from perceptory.training.driver import Outcome, train_group
from perceptory.training.scaling import Scaling, targets_as


def final_model(work: Work, chosen: int, raw: Any, encoder: Any, known: Any) -> Model:
    study, candidate = work.study, work.candidates[chosen]
    if study.final == "folds":
        who = [w for w in sorted(work.records) if w[0] == chosen and sound(work.records[w])]
        weights = np.stack([work.records[w].weights for w in who])
        picked = [work.scalings[f] for _, f, _ in who]
    else:
        rows = np.arange(len(work.table.inputs))
        fold: list[Fold] = [(rows, rows[:0])]
        best = np.mean([r.best_epoch for r in of_candidate(work, chosen)])
        scalings = scalings_of(work.table, fold)
        epochs = max(1, round(float(best)))
        (group,) = groups_of(study, [candidate], work.table, fold, scalings, epochs, work.padded)
        outcomes: dict[int, Outcome] = {}
        train_group(group.plan, group.members, raw, finished=outcomes.update)
        good = [o for _, o in sorted(outcomes.items()) if o.status != "diverged"]
        if not good:
            raise InputError('the refit on all rows diverged. Use final="folds", or a smaller learning rate.')
        weights = np.stack([o.weights for o in good])
        picked = scalings * len(good)
    facts = {"final": study.final, "score": work.score.name}
    return model_of(candidate, weights, picked, known, work.table, encoder, study.arithmetic, facts)


def model_of(
    candidate: Candidate,
    weights: np.ndarray,
    scalings: Sequence[Scaling],
    known: Any,
    table: EncodedExamples,
    encoder: Any,
    precision: str,
    facts: dict[str, Any],
) -> Model:
    """The model of trained networks, weights [member, weight], each with its scaling, of a candidate on `known`."""
    scalings = [targets_as(s, candidate.cost.scaling) for s in scalings]
    return Model(
        task=known.task,
        targets=tuple(known.target_names),
        classes=known.class_values,
        encoder=encoder,
        network=candidate.network,
        cost=candidate.cost,
        outputs=candidate.cost.shape(table.target_shape),
        weights=weights,
        in_center=np.stack([s.in_center for s in scalings]),
        in_factor=np.stack([s.in_factor for s in scalings]),
        out_center=np.stack([s.out_center for s in scalings]),
        out_scale=np.stack([s.out_scale for s in scalings]),
        precision=precision,
        facts=facts,
    )


def add_intervals(work: Work, chosen: int, model: Model) -> None:
    """Out-of-fold residuals of the chosen candidate, for `Model.predict_interval`."""
    if work.table.task != "regression":
        return
    who = [w for w in sorted(work.records) if w[0] == chosen and sound(work.records[w])]
    members: list[Any] = []
    residuals, groups, weights = [], [], []
    for f in sorted({w[1] for w in who}):
        places = [i for i, w in enumerate(who) if w[1] == f]
        rows = work.folds[f][1]
        output = np.mean([work.records[who[i]].output for i in places], axis=0)
        residuals.append(work.table.truth[rows] - output)
        groups.append(np.full(len(rows), len(members)))
        weights.append(work.table.weights[rows])
        members.append(places if work.study.final == "folds" else range(len(model)))
    if residuals:
        apart, of, counts = (np.concatenate(a) for a in (residuals, groups, weights))
        with_intervals(model, apart, of, counts, members)


def candidate_result(work: Work, ranking: Any, c: int, ids: list[str], complexity: np.ndarray) -> CandidateResult:
    records = [work.records[who] for who in sorted(work.records) if who[0] == c]
    trained = [r for r in records if np.isfinite(r.train_score)]
    return CandidateResult(
        id=ids[c],
        label=candidate_label(work.candidates[c], work.candidates),
        spec=to_json(work.candidates[c], strict=False),
        weights=int(complexity[c]),
        mean=float(ranking.mean[c]),
        spread=float(ranking.spread[c]),
        per_fold=[float(x) for x in ranking.per_fold[c]],
        train=float(np.mean([r.train_score for r in trained])) if trained else float("nan"),
        best_epoch=float(np.mean([r.best_epoch for r in records])),
        status=ranking.status(c),
        seconds=work.seconds.get(c, 0.0),
    )


def member_result(id: str, fold: int, seed: int, r: Record) -> MemberResult:
    return MemberResult(
        id, fold, seed, r.status, r.epochs, r.best_epoch, r.score, r.train_score, r.train_cost, r.validation_cost,
        r.facts,
    )  # fmt: skip


def mean_metrics(metrics: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean over members, where defined (AUC is not, where a fold lacks a class)."""
    out: dict[str, Any] = {}
    for name in metrics[0]:
        values = np.array([m[name] for m in metrics], float)
        good = np.isfinite(values)
        mean = np.where(good, values, 0).sum(axis=0) / np.maximum(good.sum(axis=0), 1)
        mean = np.where(good.any(axis=0), mean, np.nan)
        out[name] = mean.tolist()
    return out


def validation_predictions(work: Work, chosen: int, known: Any) -> Predictions:
    """Each study row predicted by the mean of the members that did not train on it."""
    outputs = work.table.truth.shape[1:] if known.task == "regression" else (len(known.classes or ()),)
    total, count = np.zeros((known.rows, *outputs)), np.zeros(known.rows)
    for who, record in work.records.items():
        if who[0] == chosen and sound(record):
            rows = work.folds[who[1]][1]
            total[rows] += record.output
            count[rows] += 1
    seen = np.flatnonzero(count)
    mean = total[seen] / count[seen].reshape(-1, *[1] * len(outputs))
    return predictions_of("validation", known.row_numbers[seen], work.table.truth[seen], mean, work.table.weights[seen])


def predictions_of(part: str, row: Any, truth: np.ndarray, output: np.ndarray, weights: np.ndarray) -> Predictions:
    """Of sequences with a target a step, every step that counts has a line of its own."""
    step = None
    if weights.ndim == 2:
        places, step = np.nonzero(weights)
        row = np.asarray(row)[places]
    truth, output, _ = judged_rows(truth, output, weights)
    return Predictions(np.asarray(row), np.full(len(row), part), truth, output, step)


def open_sealed(model: Model, sealed: Any, facts: dict[str, Any]) -> tuple[dict[str, Any], Predictions]:
    """Open the sealed rows: metrics and predictions of the final model; into `facts`, what its members gain."""
    table = tabulate(sealed, model.encoder)
    members = model.members_of(table.inputs, table.lengths)
    facts |= measured(sealed.task, model.targets, table.truth, members, table.weights)
    output = members.mean(axis=0)
    metrics = evaluate(sealed.task, *judged_rows(table.truth, output, table.weights))
    return metrics, predictions_of("test", sealed.row_numbers, table.truth, output, table.weights)
