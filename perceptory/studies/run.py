"""Running a study: seal, encode, split, train every group, rank, choose, assemble the result."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from perceptory import backend, kernels
from perceptory.data.examples import Examples, check_examples, encoder_for
from perceptory.objectives.table import DEFAULT_COST
from perceptory.results.result import Result
from perceptory.results.shown_examples import examples_shown
from perceptory.runs.run_folder import RunFolder
from perceptory.selection.metrics import score_for
from perceptory.selection.plans import plan_json
from perceptory.selection.ranking import rank
from perceptory.specs import to_json
from perceptory.studies.assemble import (
    add_intervals,
    candidate_result,
    final_model,
    mean_metrics,
    member_result,
    open_sealed,
    validation_predictions,
)
from perceptory.studies.checks import check_candidate, check_score, check_target, seal_off
from perceptory.studies.encoded import tabulate
from perceptory.studies.prepare import (
    Group,
    fingerprint,
    folds_of,
    groups_of,
    scalings_of,
    with_numbers,
)
from perceptory.studies.records import Work, judge, keep, of_candidate, recall, state_of
from perceptory.studies.second_order_checks import with_precision
from perceptory.studies.study import Study
from perceptory.training.driver import Outcome, train_group


def run(
    study: Study,
    data: Any,
    *,
    test: Examples | None = None,
    folder: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    open_test: bool = False,
    progress: Callable[[dict[str, Any]], None] | None = None,
    padded: bool = False,
) -> Result:
    """See `Study.run`. padded: sizes rounded up, so that data of nearly the same size share compiled programs."""
    started = time.perf_counter()
    data = check_examples(data)
    study = with_precision(study)
    store = None if folder is None else RunFolder(folder)
    if store:
        store.prepare(resume=resume, overwrite=overwrite)
    known, sealed, left_out = seal_off(study, data, test)
    check_target(known)
    encoder = encoder_for(known)
    table = tabulate(known, encoder)
    cost = study.cost or DEFAULT_COST[known.task]
    candidates = [with_numbers(c) for c in study.candidates(cost)]
    for candidate in candidates:
        check_candidate(candidate, known, table)
    plan, folds = folds_of(study, known)
    score = score_for(known.task, study.score)
    check_score(score.name, candidates)
    work = Work(study, table, folds, candidates, score, scalings_of(table, folds), padded)
    asked = to_json(study, strict=False) | {"validation": plan_json(plan)}
    mark = fingerprint(study, table, folds)
    if store:
        store.begin(asked, mark, resume=resume, overwrite=overwrite)
    with backend.precision(study.arithmetic) as dtype:
        raw = table.raw(dtype, padded)
        groups = groups_of(study, candidates, table, folds, work.scalings, padded=padded)
        if store and resume:
            recall(work, store)
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
        model = final_model(work, chosen.index, raw, encoder, known)
        add_intervals(work, chosen.index, model)
    result = Result(
        study=asked,
        task=known.task,
        targets=list(known.target_names),
        classes=None if known.classes is None else [str(c) for c in known.classes],
        score={"name": work.score.name, "direction": work.score.direction},
        best=ids[chosen.index],
        rule=chosen.reason,
        candidates=[candidate_result(work, ranking, int(c), ids, complexity) for c in ranking.order],
        members=[member_result(ids[c], f, s, work.records[c, f, s]) for c, f, s in sorted(work.records)],
        train=mean_metrics([r.train for r in of_candidate(work, chosen.index)]),
        validation=mean_metrics([r.validation for r in of_candidate(work, chosen.index)]),
        tested=None,
        predictions=validation_predictions(work, chosen.index, known),
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
        result._sealed = lambda: open_sealed(model, sealed, result.data)
    if open_test:
        result.test()
    if store:
        result.folder = str(folder)
        store.complete(result)
    return result


def _train(work: Work, groups: list[Group], raw: Any, store: RunFolder | None, progress: Any) -> None:
    members = sum(len(g.who) for g in groups)
    started, epochs_before, recalled = time.perf_counter(), 0, len(work.records)
    for group in groups:
        waiting = [i for i, who in enumerate(group.who) if who not in work.records]
        begun = time.perf_counter()
        epochs_here = 0

        def finished(outcomes: dict[int, Outcome], group: Group = group) -> None:
            new = {group.who[i]: judge(work, group.who[i], o) for i, o in outcomes.items()}
            work.records.update(new)
            if store:
                keep(store, new)

        def report(epochs: int, epochs_before: int = epochs_before) -> None:
            nonlocal epochs_here
            epochs_here = epochs
            if progress:
                progress(state_of(work, members, recalled, epochs_before + epochs, time.perf_counter() - started))

        if waiting:
            train_group(group.plan, group.members, raw, waiting=waiting, finished=finished, progress=report)
        epochs_before += epochs_here
        took = time.perf_counter() - begun
        trained = {c for c, _, _ in group.who}
        for c in trained:
            work.seconds[c] = took / len(trained)
