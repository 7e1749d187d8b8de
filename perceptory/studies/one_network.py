"""One network on one split: trained from the start, or further from the weights that it has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from perceptory import backend
from perceptory.data.examples import Examples, check_examples
from perceptory.errors import InputError
from perceptory.models import intervals
from perceptory.models.anomalies import HeldOut, with_held_out_errors
from perceptory.models.model import Model
from perceptory.models.temperature import with_temperature
from perceptory.models.units import in_own_units
from perceptory.objectives.table import DEFAULT_COST
from perceptory.selection.equal_rows import share_alike
from perceptory.selection.metrics import reconstruction_error
from perceptory.specs import partition
from perceptory.studies.assemble import model_of
from perceptory.studies.design import Candidate, StudyDesign
from perceptory.studies.encoded_examples import EncodedExamples
from perceptory.studies.forecasts import series_facts
from perceptory.studies.groups import Group
from perceptory.studies.parts import Fold
from perceptory.studies.prepare import Prepared, Start, for_table, prepare
from perceptory.studies.pretexts import check_no_pretexts
from perceptory.studies.split import on_all_rows
from perceptory.training.driver import Outcome
from perceptory.training.one_member import resumed, state_from, train_single
from perceptory.training.scaling import Scaling, targets_as


@dataclass
class Trained:
    """One trained network. Costs are [epoch] of this call, on the scale that is trained on."""

    model: Model
    status: str  # "finished" (all epochs) | "stopped" (patience ran out) | "diverged"
    epochs: int  # trained in this call
    best_epoch: int  # of all epochs so far, counted from 1
    train_cost: np.ndarray
    validation_cost: np.ndarray  # nan without validation rows
    rows: np.ndarray  # the validation rows
    scaling: Scaling = field(repr=False)
    state: Any = field(default=None, repr=False)  # what training goes on from


@dataclass
class TrainingUpdate:
    """What `watch` of `train_further` is told after a segment of epochs."""

    train_cost: np.ndarray  # [epoch] of the segment
    validation_cost: np.ndarray
    model: Callable[[], Model]  # the model at the best weights so far


def train_further(
    study: StudyDesign,
    data: Examples,
    *,
    validation: Any = None,
    start: Trained | Model | None = None,
    epochs: int | None = None,
    watch: Callable[[TrainingUpdate], Any] | None = None,
    each: bool = False,
    constant: bool = False,
) -> Trained:
    """Train the study's one candidate on a `Dataset` or `ArrayDataset`: one network, one split; no row is sealed.

    validation: a share of the rows (equal rows stay together, see `share_alike`), or their numbers; with None every row
    trains, for all epochs, and the last weights count. start: go on from the weights of this model with its encoder and
    scaling; with a `Trained` the optimizer goes on as well. epochs: instead of the study's. watch: called after
    every segment of epochs, or, with `each`, after every epoch; training ends where it returns True. constant: whether
    the target may be constant, as in a batch of a stream.

    Raises `InputError` for what a study refuses, for a study of several candidates, for data that do not fit the model
    to start from, and where no epoch gave finite weights.
    """
    prepared = _prepared(study, check_examples(data), validation, start, epochs, constant)
    (group,), (fold,) = prepared.groups, prepared.folds

    def model(weights: np.ndarray) -> Model:
        return model_of(prepared, 0, weights[None], group.scalings, {"final": "one", "score": ""})

    def look(costs: np.ndarray, weights: Callable[[], np.ndarray]) -> Any:
        return watch(TrainingUpdate(costs[:, 0], costs[:, 1], lambda: model(weights()))) if watch else None

    patience = prepared.study.patience if len(fold[1]) else 0
    members, state = group.members._replace(patience=np.array([patience], np.int32)), None
    with backend.precision(prepared.study.arithmetic) as dtype:
        if start is not None:
            state = _state(start, group, dtype)
            members = members._replace(epochs=members.epochs + state.counters[:, 0])
        outcome, state = train_single(
            group.plan, members, prepared.raw, state=state, watch=look if watch else None, each=each
        )
    if outcome.status == "diverged" and not np.all(np.isfinite(outcome.weights)):
        raise InputError("training diverged in its first epoch. Use a smaller learning rate.")
    final = model(outcome.weights)
    if prepared.data.task == "autoencode":
        _add_held_out_errors(prepared, outcome, final)
    else:
        _add_intervals(prepared, outcome, final)
    return Trained(
        final, outcome.status, outcome.epochs, outcome.best_epoch, outcome.train_cost, outcome.validation_cost,
        fold[1], group.scalings[0], state,
    )  # fmt: skip


def _prepared(
    study: StudyDesign, data: Examples, validation: Any, start: Any, epochs: int | None, constant: bool
) -> Prepared:
    """The one candidate, on one split, with the encoder, scaling and cost of the model that it goes on from."""
    candidates = study.candidates(DEFAULT_COST[data.task])
    if len(candidates) != 1 or study.seeds != 1:
        raise InputError(f"one network is trained here, and the study asks for {len(candidates)}. Use Study.run.")
    check_no_pretexts(candidates, "train_further")
    earlier = None
    if start is not None:
        model = start.model if isinstance(start, Trained) else start
        _check_start(model, data, candidates[0])
        study, earlier = study.replace(cost=model.cost), Start(model.encoder, _scaling_of(start))

    def splitting(encoded: EncodedExamples) -> list[Fold]:
        return on_all_rows(encoded) if validation is None else [_split(encoded, validation, study.seed)]

    study = study.replace(test=0)
    return prepare(study, data, splitting=splitting, start=earlier, epochs=epochs, padded=True, constant=constant)


def _add_intervals(prepared: Prepared, outcome: Outcome, model: Model) -> None:
    """Residuals of the validation rows, for `Model.predict_interval`; of classes a temperature."""
    encoded, cost, rows = prepared.encoded, prepared.candidates[0].cost, prepared.folds[0][1]
    if encoded.task == "regression" and len(rows):
        network = prepared.candidates[0].network
        own = prepared.scaling_of((0, 0, 0)) if network.windows is not None else prepared.scalings[0]
        scaling = targets_as(own, cost)
        output = in_own_units(
            network, cost, outcome.validation_output.astype(float),
            (scaling.out_center, scaling.out_scale), encoded.inputs_at(rows),
        )  # fmt: skip
        held = intervals.HeldOut(
            encoded.inputs_at(rows), encoded.truth[rows], cost.point_prediction(output), encoded.weights[rows],
            np.zeros(len(rows), int),
        )  # fmt: skip
        intervals.with_intervals(model, held)
    elif encoded.task in ("binary", "multiclass") and len(rows):
        with_temperature(model, outcome.validation_output.astype(float), encoded.truth[rows], encoded.weights[rows])


def _add_held_out_errors(prepared: Prepared, outcome: Outcome, model: Model) -> None:
    """Errors of the validation rows, for `Model.anomaly_score`."""
    (trained, held), (_, weights) = prepared.folds[0], prepared.encoded.judged
    if len(held):
        usual = reconstruction_error(None, outcome.train_output, weights[trained])
        errors = outcome.validation_output.astype(float)
        with_held_out_errors(model, [HeldOut([0], usual, errors, weights[held])], best=0)


def _split(encoded: EncodedExamples, validation: Any, seed: int) -> Fold:
    """Training and validation rows. validation: a share, or the numbers of the validation rows."""
    count = encoded.count
    if isinstance(validation, float):
        weights = encoded.weights if encoded.weights.ndim == 1 else encoded.weights.sum(axis=1)
        flat = [a.reshape(count, -1).astype(float) for a in (encoded.inputs, encoded.targets)]
        classes = encoded.truth if encoded.task in ("binary", "multiclass") else None
        chosen = share_alike(np.concatenate(flat, axis=1), validation, seed=seed, weights=weights, classes=classes)
    else:
        chosen = np.zeros(count, bool)
        chosen[np.asarray(validation)] = True
    train, held = np.flatnonzero(~chosen), np.flatnonzero(chosen)
    if not len(train):
        raise InputError("every row is for validation. Leave some for training.")
    return train, held


def _scaling_of(start: Trained | Model) -> Scaling:
    if isinstance(start, Trained):
        return start.scaling
    return Scaling(start.in_center[0], start.in_factor[0], start.out_center[0], start.out_scale[0])


def _check_start(model: Model, data: Examples, candidate: Candidate) -> None:
    if len(model) != 1:
        raise InputError(f"training goes on from one network, and the model holds {len(model)}. Use a refitted one.")
    names = None if data.class_values is None else [str(c) for c in data.class_values]
    known = None if model.classes is None else [str(c) for c in model.classes]
    if (
        data.task != model.task
        or names != known
        or data.targets.shape[1:] != (() if known else (*model.outputs[:-1], len(model.targets)))
    ):
        raise InputError("training goes on with the task, classes and number of targets that the model has.")
    if candidate.network.solved:
        raise InputError(
            f"a network that is solved ({model.network.label}) has no training that could go on. Fit it to all rows at"
            " once."
        )
    facts = series_facts(data)
    if facts is not None:
        candidate = candidate.replace(network=candidate.network.for_series(facts))
    (candidate,) = for_table([candidate], model.encoder, data.rows)
    if partition(candidate.network)[0] != partition(model.network)[0]:
        raise InputError(f"training goes on with the network that the model has, {model.network.label}.")


def _state(start: Trained | Model, group: Group, dtype: Any) -> Any:
    """A state to go on from: the optimizer's too where `start` has it and it fits."""
    if isinstance(start, Trained) and start.status != "diverged" and start.state.best[0].dtype == dtype:
        return resumed(start.state)
    model = start.model if isinstance(start, Trained) else start
    return state_from(group.plan, group.members, model.weights[0].astype(dtype))
