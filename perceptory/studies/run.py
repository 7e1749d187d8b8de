"""Running a study: seal, encode, split, train every group, rank, choose, assemble the result."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from perceptory import backend, kernels
from perceptory.data import ArrayDataset, Dataset, seal
from perceptory.errors import InputError
from perceptory.objectives.costs import DEFAULT_COST, check_task
from perceptory.results.ensemble import measured
from perceptory.results.intervals import with_intervals
from perceptory.results.model import Model
from perceptory.results.report_examples import examples_shown
from perceptory.results.result import CandidateResult, MemberResult, Predictions, Result
from perceptory.results.store import RunFolder
from perceptory.selection.metrics import evaluate, score_for
from perceptory.selection.metrics import score as score_of
from perceptory.selection.purge import overlaps
from perceptory.selection.ranking import rank
from perceptory.selection.validation import BlockedKFold, RollingOrigin, plan_json
from perceptory.specs import to_json
from perceptory.studies.prepare import (
    Group,
    candidate_label,
    fingerprint,
    folds_of,
    groups_of,
    scalings_of,
    with_numbers,
)
from perceptory.studies.regularizers import check_regularizers
from perceptory.studies.second_order import check_second_order, with_precision
from perceptory.studies.study import Candidate, Study
from perceptory.studies.tabulate import Table, encoder_of, tabulate
from perceptory.training.driver import Outcome, train_group
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


@dataclass
class Work:
    """One study at work: what the steps below share."""

    study: Study
    table: Table
    folds: list[Fold]
    candidates: list[Candidate]
    score: Any
    scalings: list[Scaling]  # one a fold
    padded: bool = False  # sizes rounded up, so that studies of nearly the same size share programs
    records: dict[Who, Record] = field(default_factory=dict)
    seconds: dict[int, float] = field(default_factory=dict)


def run(
    study: Study,
    data: Any,
    *,
    test: Dataset | None = None,
    folder: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    open_test: bool = False,
    progress: Callable[[dict[str, Any]], None] | None = None,
    padded: bool = False,
) -> Result:
    """See `Study.run`. padded: sizes rounded up, so that data of nearly the same size share compiled programs."""
    started = time.perf_counter()
    if not isinstance(data, Dataset | ArrayDataset):
        raise InputError(
            f"a study runs on a Dataset, got a {type(data).__name__}. Example: study.run(read_table(data, target='y'))"
        )
    study = with_precision(study)
    store = None if folder is None else RunFolder(folder)
    if store:
        store.prepare(resume=resume, overwrite=overwrite)
    known, sealed, left_out = _seal(study, data, test)
    _check_target(known)
    encoder = encoder_of(known)
    table = tabulate(known, encoder)
    cost = study.cost or DEFAULT_COST[known.task]
    candidates = [with_numbers(c) for c in study.candidates(cost)]
    for candidate in candidates:
        _check_cost(candidate, known)
        _check_feedback(candidate, known)
        check_regularizers(candidate, known, table)
        check_second_order(candidate)
    candidates = [c.replace(cost=c.cost.resolved(table.truth, table.weights, known.classes)) for c in candidates]
    plan, folds = folds_of(study, known)
    score = score_for(known.task, study.score)
    work = Work(study, table, folds, candidates, score, scalings_of(table, folds), padded)
    asked = to_json(study, strict=False) | {"validation": plan_json(plan)}
    mark = fingerprint(study, table, folds)
    if store:
        store.begin(asked, mark, resume=resume, overwrite=overwrite)
    with backend.precision(study.arithmetic) as dtype:
        raw = table.raw(dtype, padded)
        groups = groups_of(study, candidates, table, folds, work.scalings, padded=padded)
        if store and resume:
            _recall(work, store)
        _train(work, groups, raw, store, progress)
        scores = np.full((len(candidates), len(folds), study.seeds), np.nan)
        for who, record in work.records.items():
            scores[who] = record.score
        complexity = np.zeros(len(candidates))
        for group in groups:
            for c, _, _ in group.who:
                complexity[c] = group.weights
        ids = [f"c{i + 1:0{len(str(len(candidates)))}d}" for i in range(len(candidates))]
        ranking = rank(scores, work.score.direction, complexity)
        chosen = ranking.choose(study.rule, work.score.name, ids)
        model = _final(work, chosen.index, raw, encoder, known)
        _add_intervals(work, chosen.index, model)
    result = Result(
        study=asked,
        task=known.task,
        targets=list(known.target_names),
        classes=None if known.classes is None else [str(c) for c in known.classes],
        score={"name": work.score.name, "direction": work.score.direction},
        best=ids[chosen.index],
        rule=chosen.reason,
        candidates=[_candidate(work, ranking, int(c), ids, complexity) for c in ranking.order],
        members=[_member(ids[c], f, s, work.records[c, f, s]) for c, f, s in sorted(work.records)],
        train=_mean_metrics([r.train for r in _of(work, chosen.index)]),
        validation=_mean_metrics([r.validation for r in _of(work, chosen.index)]),
        tested=None,
        predictions=_validation_predictions(work, chosen.index, known),
        data={
            "rows": known.rows + (0 if sealed is None else sealed.rows),
            "study_rows": known.rows,
            "test_rows": 0 if sealed is None else sealed.rows,
            "columns": encoder.describe(),
            "notes": [*known.notes, *left_out],
            **examples_shown(known),
        },
        environment=backend.environment() | {"kernels": kernels.status()},
        seconds=time.perf_counter() - started,
        model=model,
        fingerprint=mark,
    )
    if sealed is not None:
        result._sealed = lambda: _open(model, sealed, result.data)
    if open_test:
        result.test()
    if store:
        result.folder = str(folder)
        store.complete(result)
    return result


def _seal(study: Study, data: Any, test: Any) -> tuple[Any, Any, list[str]]:
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
    spans = getattr(data, "spans", None)
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


def _check_feedback(candidate: Candidate, known: Any) -> None:
    every = getattr(getattr(known, "plan", None), "known", 0) == "all"
    if every != candidate.network.feedback:
        remedy = 'Read the data with known="all".' if not every else "Read them with known=0 or a number of steps."
        why = "would see the outputs that it has to predict" if every else "feeds measured outputs back"
        raise InputError(f"{candidate.network.label} {why}. {remedy}")


def _check_cost(candidate: Candidate, known: Any) -> None:
    cost, network = candidate.cost, candidate.network
    check_task(cost, known.task)
    if known.task == "regression":
        targets, lengths = known.targets, getattr(known, "lengths", None)
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


def _check_target(known: Any) -> None:
    if known.task == "regression":
        columns = known.targets.reshape(-1, known.targets.shape[-1]).T
        for name, column in zip(known.target_names, columns, strict=True):
            if np.ptp(column) == 0:
                raise InputError(f"the target {name!r} is constant in the study rows. There is nothing to learn.")
    elif len(np.unique(known.targets)) < 2:
        raise InputError("the study rows hold one class only. Give more rows, or another share of test rows.")


# --- training ----------------------------------------------------------------------------------------------------


def _train(work: Work, groups: list[Group], raw: Any, store: RunFolder | None, progress: Any) -> None:
    members = sum(len(g.who) for g in groups)
    started, epochs_before, recalled = time.perf_counter(), 0, len(work.records)
    for group in groups:
        waiting = [i for i, who in enumerate(group.who) if who not in work.records]
        begun = time.perf_counter()
        epochs_here = 0

        def finished(outcomes: dict[int, Outcome], group: Group = group) -> None:
            new = {group.who[i]: _judge(work, group.who[i], o) for i, o in outcomes.items()}
            work.records.update(new)
            if store:
                _keep(store, new)

        def report(epochs: int, epochs_before: int = epochs_before) -> None:
            nonlocal epochs_here
            epochs_here = epochs
            if progress:
                progress(_state(work, members, recalled, epochs_before + epochs, time.perf_counter() - started))

        if waiting:
            train_group(group.plan, group.members, raw, waiting=waiting, finished=finished, progress=report)
        epochs_before += epochs_here
        took = time.perf_counter() - begun
        trained = {c for c, _, _ in group.who}
        for c in trained:
            work.seconds[c] = took / len(trained)


def _state(work: Work, members: int, recalled: int, epochs: int, seconds: float) -> dict[str, Any]:
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


def _judge(work: Work, who: Who, outcome: Outcome) -> Record:
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
        value = found.get(work.score.name)
        if isinstance(value, int | float):
            return found, float(value)
        return found, score_of(work.score.name, task, *judged)

    train, train_score = metrics(train_rows, train_output)
    validation, score = metrics(validation_rows, output)
    return Record(
        outcome.status, outcome.epochs, outcome.best_epoch, outcome.weights, outcome.train_cost,
        outcome.validation_cost, output, train, validation,
        float("nan") if diverged else score, float("nan") if diverged else train_score,
    )  # fmt: skip


def judged_rows(truth: np.ndarray, output: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, ...]:
    """What metrics take: of sequences, every step that counts is a row [row, out]."""
    if weights.ndim == 1:
        return truth, output, weights
    counts = weights > 0
    return truth[counts], output[counts], weights[counts]


# --- keeping finished members, for resuming ----------------------------------------------------------------------


def _keep(store: RunFolder, records: dict[Who, Record]) -> None:
    tensors: dict[str, np.ndarray] = {}
    facts = []
    for i, (who, r) in enumerate(records.items()):
        tensors |= {
            f"{i}.weights": r.weights, f"{i}.train_cost": r.train_cost,
            f"{i}.validation_cost": r.validation_cost, f"{i}.output": r.output,
        }  # fmt: skip
        facts.append([list(who), r.status, r.epochs, r.best_epoch, r.train, r.validation, r.score, r.train_score])
    store.keep(tensors, {"members": facts})


def _recall(work: Work, store: RunFolder) -> None:
    for tensors, facts in store.kept():
        for i, (who, status, epochs, best_epoch, train, validation, score, train_score) in enumerate(facts["members"]):
            t = {k.split(".", 1)[1]: v for k, v in tensors.items() if k.startswith(f"{i}.")}
            work.records[(who[0], who[1], who[2])] = Record(
                status=status, epochs=epochs, best_epoch=best_epoch, train=train, validation=validation,
                score=score, train_score=train_score, **t,
            )  # fmt: skip


# --- the result --------------------------------------------------------------------------------------------------


def _of(work: Work, candidate: int) -> list[Record]:
    """The candidate's members that did not diverge, in the order of folds and seeds."""
    return [work.records[who] for who in sorted(work.records) if who[0] == candidate and _sound(work.records[who])]


def _sound(record: Record) -> bool:
    return record.status != "diverged"


def _final(work: Work, chosen: int, raw: Any, encoder: Any, known: Any) -> Model:
    study, candidate = work.study, work.candidates[chosen]
    if study.final == "folds":
        who = [w for w in sorted(work.records) if w[0] == chosen and _sound(work.records[w])]
        weights = np.stack([work.records[w].weights for w in who])
        picked = [work.scalings[f] for _, f, _ in who]
    else:
        rows = np.arange(len(work.table.inputs))
        fold: list[Fold] = [(rows, rows[:0])]
        best = np.mean([r.best_epoch for r in _of(work, chosen)])
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
    picked = [targets_as(s, candidate.cost.scaling) for s in picked]
    return Model(
        task=known.task,
        targets=tuple(known.target_names),
        classes=known.class_values,
        encoder=encoder,
        network=candidate.network,
        cost=candidate.cost,
        outputs=candidate.cost.shape(work.table.target_shape),
        weights=weights,
        in_center=np.stack([s.in_center for s in picked]),
        in_factor=np.stack([s.in_factor for s in picked]),
        out_center=np.stack([s.out_center for s in picked]),
        out_scale=np.stack([s.out_scale for s in picked]),
        precision=study.arithmetic,
        facts={"final": study.final, "score": work.score.name},
    )


def _add_intervals(work: Work, chosen: int, model: Model) -> None:
    """Out-of-fold residuals of the chosen candidate, for `Model.predict_interval`."""
    if work.table.task != "regression":
        return
    who = [w for w in sorted(work.records) if w[0] == chosen and _sound(work.records[w])]
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


def _candidate(work: Work, ranking: Any, c: int, ids: list[str], complexity: np.ndarray) -> CandidateResult:
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


def _member(id: str, fold: int, seed: int, r: Record) -> MemberResult:
    return MemberResult(
        id, fold, seed, r.status, r.epochs, r.best_epoch, r.score, r.train_score, r.train_cost, r.validation_cost
    )


def _mean_metrics(metrics: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean over members, where defined (AUC is not, where a fold lacks a class)."""
    out: dict[str, Any] = {}
    for name in metrics[0]:
        values = np.array([m[name] for m in metrics], float)
        good = np.isfinite(values)
        mean = np.where(good, values, 0).sum(axis=0) / np.maximum(good.sum(axis=0), 1)
        mean = np.where(good.any(axis=0), mean, np.nan)
        out[name] = mean.tolist()
    return out


def _validation_predictions(work: Work, chosen: int, known: Any) -> Predictions:
    """Each study row predicted by the mean of the members that did not train on it."""
    outputs = work.table.truth.shape[1:] if known.task == "regression" else (len(known.classes or ()),)
    total, count = np.zeros((known.rows, *outputs)), np.zeros(known.rows)
    for who, record in work.records.items():
        if who[0] == chosen and _sound(record):
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


def _open(model: Model, sealed: Any, facts: dict[str, Any]) -> tuple[dict[str, Any], Predictions]:
    """Open the sealed rows: metrics and predictions of the final model; into `facts`, what its members gain."""
    table = tabulate(sealed, model.encoder)
    members = model.members_of(table.inputs, table.lengths)
    facts |= measured(sealed.task, model.targets, table.truth, members, table.weights)
    output = members.mean(axis=0)
    metrics = evaluate(sealed.task, *judged_rows(table.truth, output, table.weights))
    return metrics, predictions_of("test", sealed.row_numbers, table.truth, output, table.weights)
