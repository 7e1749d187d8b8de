"""From finished members to the final model and the result."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from perceptory import backend, kernels
from perceptory.data.series.rolled import lowest, taken
from perceptory.errors import InputError, Setting
from perceptory.models.anomalies import HeldOut, with_held_out_errors
from perceptory.models.heads import Head, Heads, places_of_heads
from perceptory.models.horizon_intervals import with_horizon_intervals
from perceptory.models.intervals import held_out_metrics
from perceptory.models.model import Model
from perceptory.models.temperature import calibration_error
from perceptory.models.weighted import WeightedModel
from perceptory.networks.heads import places_without_heads
from perceptory.objectives.auxiliary import auxiliary_parts
from perceptory.results.data_facts import DataFacts, shown_examples
from perceptory.results.mixture import MixtureResult
from perceptory.results.predictions import Predictions, judged_rows
from perceptory.results.reconstructions import Reconstructions
from perceptory.results.result_data import CandidateResult, MemberResult
from perceptory.results.shown_forecasts import ShownForecasts, shown_forecasts
from perceptory.runs.result import Result
from perceptory.selection.metrics import evaluate
from perceptory.selection.ranking import Chosen, Ranking
from perceptory.specs import to_json
from perceptory.studies.design import Candidate
from perceptory.studies.groups import Group, Who
from perceptory.studies.held_out import add_intervals, add_temperature, out_of_fold, some_of
from perceptory.studies.keeping import Keeping
from perceptory.studies.keys import PROMISE
from perceptory.studies.labels import candidate_label
from perceptory.studies.mixtures import Mixture
from perceptory.studies.prepare import Prepared
from perceptory.studies.pretexts import hand_over, learn
from perceptory.studies.reconstructions import reconstructions_of
from perceptory.studies.record import Place, Record
from perceptory.studies.records import Records
from perceptory.studies.sealing import SealedRows
from perceptory.studies.split import split_of
from perceptory.training.driver import Outcome, train_group
from perceptory.training.scaling import Scaling, targets_as

MOST_HELD = 50_000  # held-out forecasts that intervals are found from


def final_model(records: Records, chosen: int, mixture: Mixture | None = None) -> Model:
    """The mean over the chosen candidate's fold members, or over networks trained anew on all study rows; of a mixture
    the weighted mean over the fold members of its candidates."""
    prepared = records.prepared
    common = {"final": prepared.study.final, "score": prepared.score.name}
    if mixture is None and prepared.study.final == "refit":
        weights, scalings = _refitted(records, chosen)
        model = model_of(prepared, chosen, weights, scalings, common | _start_facts(prepared.candidates[chosen]))
    else:
        inside = (chosen,) if mixture is None else mixture.candidates
        made = _of_all_rows if prepared.study.final == "weighted_refit" else _of_folds
        parts = [made(records, c, common if len(inside) == 1 else {}) for c in inside]
        model = parts[0]
        if mixture is not None and len(parts) > 1:
            model = WeightedModel(parts, mixture.shares, common)
    prepared.encoded.let_go()
    if prepared.encoded.task == "autoencode":
        _add_held_out_errors(records, chosen, model)
    else:
        add_intervals(records, chosen, model, mixture)
        add_temperature(records, chosen, model, mixture)
        if prepared.data.kind == "series" and prepared.data.timeline is not None and prepared.data.timeline.ahead:
            _add_forecasts(records, chosen, model, mixture)
    return model


def _of_folds(records: Records, candidate: int, facts: dict[str, Any]) -> Model:
    """The mean over a candidate's fold members."""
    prepared, members = records.prepared, records.sound_members(candidate)
    weights = np.stack([record.weights for record in members.values()])
    scalings = [prepared.scaling_of(who) for who in members]
    start = _start_facts(prepared.candidates[candidate])
    return model_of(prepared, candidate, weights, scalings, facts | start)


def _of_all_rows(records: Records, candidate: int, facts: dict[str, Any]) -> Model:
    """The mean over networks of a candidate trained anew on all study rows. A run folder does not keep them by
    themselves: a run that goes on trains them again."""
    weights, scalings = _refitted(records, candidate, keep=False)
    start = _start_facts(records.prepared.candidates[candidate])
    return model_of(records.prepared, candidate, weights, scalings, facts | start)


def _refitted(records: Records, chosen: int, keep: bool = True) -> tuple[np.ndarray, list[Scaling]]:
    """Weights [seed, weight] of networks trained on all study rows for the mean best epoch, each with its scaling."""
    prepared = records.prepared
    best = np.mean([record.best_epoch for record in records.sound_members(chosen).values()])
    rows = prepared.parts[0].rows
    split = split_of(prepared.encoded, [(rows, rows[:0])])
    group, pretexts = prepared.group_of(chosen, split, epochs=max(1, round(float(best))))
    if pretexts is not None:
        first: dict[Place, Outcome] = {}
        learn(pretexts, finished=first.update, cluster=records.cluster)
        hand_over([group], pretexts, {place: outcome.weights for place, outcome in first.items()})
    return sound_networks(trained_anew(group, records, records.keeping if keep else None), group)


def sound_networks(networks: dict[int, tuple[str, np.ndarray]], group: Group) -> tuple[np.ndarray, list[Scaling]]:
    """Weights [network, weight] of those that did not diverge, each with its scaling."""
    good = {place: weights for place, (status, weights) in sorted(networks.items()) if status != "diverged"}
    if not good:
        raise InputError(
            "the refit on all rows diverged. Use ", Setting("final", "folds"), ", or a smaller learning rate."
        )
    return np.stack(list(good.values())), [group.scalings[place] for place in good]


def _start_facts(candidate: Candidate) -> dict[str, Any]:
    """What a model file says of what its networks began with; nothing where these were random weights."""
    return {} if candidate.start is None else {"start": candidate.start.label, "start_spec": to_json(candidate.start)}


def trained_anew(group: Group, records: Records, keeping: Keeping | None) -> dict[int, tuple[str, np.ndarray]]:
    """(status, weights) of the group's members by place; those that the run folder holds are taken from there."""
    networks = {} if keeping is None else keeping.refitted()
    running = None if keeping is None else keeping.running("refit", group.who)
    waiting = [place for place in range(len(group.who)) if place not in networks]

    def finished(outcomes: dict[int, Outcome]) -> None:
        new = {place: (outcome.status, outcome.weights) for place, outcome in outcomes.items()}
        networks.update(new)
        if keeping:
            keeping.add_refitted(new)

    if waiting:
        if keeping:
            keeping.check_kernels()
        look = None if keeping is None else keeping.look("refit", group.who)
        train = train_group if records.cluster is None else records.cluster.train_group
        train(
            group.plan, group.members, records.prepared.raw, waiting=waiting, running=running, finished=finished,
            look=look,
        )  # fmt: skip
    return networks


def model_of(
    prepared: Prepared, candidate: int, weights: np.ndarray, scalings: Sequence[Scaling], facts: dict[str, Any]
) -> Model:
    """The model of trained networks, weights [member, weight], each with its scaling, of a candidate of the study;
    without heads of auxiliary objectives, unless the study keeps them."""
    data, network, cost = prepared.data, prepared.candidates[candidate].network, prepared.candidates[candidate].cost
    weights, heads = _parted(prepared, candidate, weights, scalings)
    scalings = [targets_as(s, cost) for s in scalings]
    return Model(
        task=data.task,
        targets=tuple(data.target_names),
        classes=data.class_values,
        encoder=prepared.encoder,
        network=network,
        cost=cost,
        outputs=cost.shape(prepared.encoded.target_shape),
        weights=weights,
        in_center=np.stack([s.in_center for s in scalings]),
        in_factor=np.stack([s.in_factor for s in scalings]),
        out_center=np.stack([s.out_center for s in scalings]),
        out_scale=np.stack([s.out_scale for s in scalings]),
        precision=prepared.study.arithmetic,
        facts=facts,
        heads=heads,
    )


def _parted(
    prepared: Prepared, candidate: int, weights: np.ndarray, scalings: Sequence[Scaling]
) -> tuple[np.ndarray, Heads | None]:
    """The weights without heads, and the heads where the study keeps them."""
    chosen, aims = prepared.candidates[candidate], prepared.encoded.auxiliary
    if aims is None or not chosen.auxiliary:
        return weights, None
    shape = prepared.encoded.target_shape
    cost = aims.composite(chosen.cost, shape[-1], chosen.auxiliary)
    places = places_without_heads(chosen.network, prepared.encoded.shape, cost.shape(shape), chosen.cost.shape(shape))
    if not prepared.study.keep_heads:
        return weights[:, places], None
    each: list[Head] = []
    columns: list[int] = []
    for part, one in zip(cost.parts, auxiliary_parts(chosen.auxiliary), strict=True):
        aim = aims.aim(one)
        each.append(Head(aim.about, aim.task, aim.classes, part.cost, aim.columns))
        columns += range(part.target - shape[-1], part.target - shape[-1] + part.targets)
    scaled = [aims.scaled(scaling, cost) for scaling in scalings]
    center, scale = (np.stack([a[columns] for a in arrays]) for arrays in zip(*scaled, strict=True))
    rest = places_of_heads(places, weights.shape[1])
    return weights[:, places], Heads(tuple(each), weights[:, rest], center, scale)


def _add_forecasts(records: Records, chosen: int, model: Model, mixture: Mixture | None) -> None:
    """Where the series end, and what held-out forecasts erred by horizon, for `Model.forecast`."""
    encoded = records.prepared.encoded
    model.ends = getattr(records.prepared.data, "ends", None)
    if encoded.task != "regression":
        return
    held = out_of_fold(records, chosen, mixture)
    if held:
        rows = np.concatenate([records.prepared.folds[fold][1] for fold in held])
        some = np.linspace(0, len(rows) - 1, min(len(rows), MOST_HELD)).round().astype(int)
        rows, output = rows[some], some_of(held, some)
        timeline: Any = records.prepared.data.timeline
        inputs = encoded.inputs_at(rows)
        names = np.array(model.ends.names) if model.ends is not None else None
        series = None if names is None else names[timeline.series[rows]]
        ages = _ages(timeline, rows)
        least = lowest(encoded.truth)
        with_horizon_intervals(model, inputs, encoded.truth[rows], output, encoded.weights[rows], ages, series, least)


def _ages(timeline: Any, rows: np.ndarray) -> np.ndarray:
    """[n] how long before the last of these forecasts of its series each was made, in longest horizons."""
    series, origin = timeline.series[rows], timeline.scored[rows, 0]
    last = np.full(int(series.max()) + 1, origin.min())
    np.maximum.at(last, series, origin)
    return np.asarray((last[series] - origin) / timeline.horizon)


def _add_held_out_errors(records: Records, chosen: int, model: Model) -> None:
    """Errors of the rows that the chosen candidate's members did not train on, for `Model.anomaly_score`."""
    prepared = records.prepared
    sound = records.sound_members(chosen)
    _, weights = prepared.encoded.judged
    places = {who: i for i, who in enumerate(sound)}
    refit = prepared.study.final != "folds"
    groups = []
    for fold in sorted({f for _, f, _ in sound}):
        rows = prepared.folds[fold][1]
        here = [who for who in sound if who[1] == fold]
        errors = np.mean([sound[who].output for who in here], axis=0)
        members = list(range(len(model))) if refit else [places[who] for who in here]
        usual = np.mean([np.atleast_1d(sound[who].train["reconstruction_error"]) for who in here], axis=0)
        groups.append(HeldOut(members, usual, errors, weights[rows]))
    scores = [record.score for record in sound.values()]
    with_held_out_errors(model, groups, best=0 if refit else int(np.argmin(scores)))


def result_of(
    records: Records,
    ranking: Ranking,
    chosen: Chosen,
    ids: list[str],
    model: Model,
    started: float,
    mixture: Mixture | None = None,
) -> Result:
    """The result of a study whose members have all ended. started: when it began, by `time.perf_counter`."""
    prepared, best = records.prepared, records.sound_members(chosen.index).values()
    data, test = prepared.data, prepared.sealed.test
    predictions = _validation_predictions(records, chosen.index, mixture)
    study_rows, test_rows = prepared.row_counts
    objectives = [[one.about for one in auxiliary_parts(c.auxiliary)] for c in prepared.candidates]
    return Result(
        study=prepared.asked,
        task=data.task,
        targets=list(prepared.target_names),
        classes=None if data.classes is None else [str(c) for c in data.classes],
        score={"name": prepared.score.name, "direction": prepared.score.direction},
        best=ids[chosen.index],
        rule=chosen.reason,
        candidates=[_candidate_result(records, ranking, int(c), ids) for c in ranking.order],
        members=[
            _member_result(ids[c], f, s, records.members[c, f, s], objectives[c]) for c, f, s in sorted(records.members)
        ],
        train=mean_metrics([r.train for r in best]) if mixture is None else _train_metrics(records, mixture),
        validation=mean_metrics([r.validation for r in best] if mixture is None else _honest(records, mixture))
        | held_out_metrics(model)
        | _calibration(prepared, predictions),
        tested=None,
        predictions=predictions,
        data=DataFacts(
            rows=study_rows + test_rows,
            study_rows=study_rows,
            test_rows=test_rows,
            columns=tuple(prepared.encoder.describe()),
            validation=prepared.validation,
            notes=(*data.notes, *prepared.sealed.notes, *prepared.notes),
            examples=shown_examples(data),
        ),
        environment=_environment(records),
        seconds=time.perf_counter() - started,
        model=model,
        reconstructions=_reconstructions(records, chosen.index, model, predictions),
        forecasts=_shown(records, chosen.index, model, mixture),
        mixture=None if mixture is None else _mixture_result(mixture, ids),
        fingerprint=prepared.fingerprint,
        sealed=None if test is None else SealedRows(test),
    )


def _shown(records: Records, chosen: int, model: Model, mixture: Mixture | None) -> ShownForecasts | None:
    """Of forecasts, those of the last fold."""
    held = out_of_fold(records, chosen, mixture)
    if not held:
        return None
    fold = max(held)
    return shown_forecasts("validation", records.prepared.data, records.prepared.folds[fold][1], held[fold], model)


def _calibration(prepared: Prepared, predictions: Predictions) -> dict[str, Any]:
    """{"ece": ...} of a classifier's held-out rows; {} of other tasks."""
    if prepared.data.task not in ("binary", "multiclass") or not len(predictions.row):
        return {}
    _, weights = prepared.encoded.judged
    place = {row: i for i, row in enumerate(prepared.data.row_numbers.tolist())}
    own = weights[[place[row] for row in predictions.row.tolist()]]
    return {"ece": calibration_error(predictions.target, predictions.output, own)}


def _mixture_result(mixture: Mixture, ids: list[str]) -> MixtureResult:
    shares = {ids[c]: share for c, share in zip(mixture.candidates, mixture.shares, strict=True)}
    return MixtureResult(shares, mixture.per_fold, mixture.selected)


def _honest(records: Records, mixture: Mixture) -> list[dict[str, Any]]:
    """Metrics of each fold's validation rows, by shares that were selected without them."""
    prepared, (truth, weights) = records.prepared, records.prepared.encoded.judged
    each = []
    for fold, output in mixture.outputs.items():
        rows = prepared.folds[fold][1]
        units = None if prepared.encoded.units is None else taken(prepared.encoded.units, rows)
        judged = judged_rows(taken(truth, rows), output, weights[rows])
        each.append(evaluate(prepared.encoded.task, *judged, units=units))
    return each


def _train_metrics(records: Records, mixture: Mixture) -> dict[str, Any]:
    """Of the mixture's networks on their own training rows, each candidate's mean by its share."""
    means = [mean_metrics([r.train for r in records.sound_members(c).values()]) for c in mixture.candidates]
    return {
        name: np.tensordot(mixture.shares, np.array([m[name] for m in means], float), axes=1).tolist()
        for name in means[0]
    }


def _environment(records: Records) -> dict[str, Any]:
    """What the numbers depend on beside the study and its data."""
    facts = {"kernels": kernels.status(records.kernels), "same_bits": PROMISE}
    return (
        backend.environment() | facts | ({} if records.cluster is None else {"cluster": records.cluster.engine.facts()})
    )


def _reconstructions(records: Records, chosen: int, model: Model, predictions: Predictions) -> Reconstructions | None:
    """Of an autoencoder what its report shows; None of other tasks."""
    prepared, sound = records.prepared, records.sound_members(chosen)
    if prepared.data.task != "autoencode" or not sound:
        return None

    def model_of_member(who: Who) -> Model:
        return model_of(prepared, chosen, sound[who].weights[None], [prepared.scaling_of(who)], {})

    return reconstructions_of(prepared, sound, model_of_member, model, predictions)


def _candidate_result(records: Records, ranking: Ranking, c: int, ids: list[str]) -> CandidateResult:
    candidates = records.prepared.candidates
    members = [records.members[who] for who in sorted(records.members) if who[0] == c]
    trained = [r for r in members if np.isfinite(r.train_score)]
    return CandidateResult(
        id=ids[c],
        label=candidate_label(candidates[c], candidates),
        spec=to_json(candidates[c], strict=False),
        weights=int(records.prepared.complexity[c]),
        mean=float(ranking.mean[c]),
        spread=float(ranking.spread[c]),
        per_fold=[float(x) for x in ranking.per_fold[c]],
        train=float(np.mean([r.train_score for r in trained])) if trained else float("nan"),
        best_epoch=float(np.mean([r.best_epoch for r in members])),
        status=ranking.status(c),
        seconds=records.seconds.get(c, 0.0),
    )


def _member_result(id: str, fold: int, seed: int, r: Record, objectives: Sequence[str]) -> MemberResult:
    return MemberResult(
        id, fold, seed, r.status, r.epochs, r.best_epoch, r.score, r.train_score, r.train_cost, r.validation_cost,
        r.facts, dict(zip(objectives, r.auxiliary, strict=True)),
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


def _validation_predictions(records: Records, chosen: int, mixture: Mixture | None = None) -> Predictions:
    """Each study row predicted by the mean of the members that did not train on it."""
    data, encoded = records.prepared.data, records.prepared.encoded
    truth, weights = encoded.judged
    names = data.classes or records.prepared.target_names
    outputs = encoded.truth.shape[1:] if data.task == "regression" else (len(names),)
    held: list[tuple[int, np.ndarray]] = []
    if mixture is None:
        own = ((fold, record) for (c, fold, _), record in records.members.items() if c == chosen and record.sound)
        held += [(fold, record.output) for fold, record in own]
    else:
        held += mixture.outputs.items()
    rows = [records.prepared.folds[fold][1] for fold, _ in held]
    judged = np.unique(np.concatenate([np.zeros(0, np.int64), *rows]))
    mean, count = np.zeros((len(judged), *outputs)), np.zeros(len(judged))
    for places, (_, output) in zip(rows, held, strict=True):
        here = np.searchsorted(judged, places)
        mean[here] += output
        count[here] += 1
    mean /= count.reshape(-1, *[1] * len(outputs))
    return Predictions.of("validation", data.row_numbers[judged], truth[judged], mean, weights[judged])
