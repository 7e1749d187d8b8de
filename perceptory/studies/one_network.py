"""One network on one split: trained from the start, or further from the weights that it has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from perceptory import backend
from perceptory.data.examples import Examples, encoder_for
from perceptory.errors import InputError
from perceptory.models.intervals import with_intervals
from perceptory.models.model import Model
from perceptory.networks.base import layout
from perceptory.objectives.table import DEFAULT_COST
from perceptory.selection.equal_rows import share_alike
from perceptory.specs import partition
from perceptory.studies.assemble import model_of
from perceptory.studies.checks import check_candidate
from perceptory.studies.encoded import EncodedExamples, tabulate
from perceptory.studies.prepare import Group, groups_of, scalings_of, with_numbers
from perceptory.studies.study import Study
from perceptory.training.one_member import resumed, train_single
from perceptory.training.scaling import Scaling, targets_as

NO_ROWS = np.zeros(0, np.int64)


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
    study: Study,
    dataset: Examples,
    *,
    validation: Any = None,
    start: Trained | Model | None = None,
    epochs: int | None = None,
    watch: Callable[[TrainingUpdate], Any] | None = None,
    each: bool = False,
) -> Trained:
    """Train the study's one candidate on a `Dataset` or `ArrayDataset`: one network, one split.

    validation: a share of the rows (equal rows stay together, see `share_alike`), or their numbers; with None every row
    trains, for all epochs, and the last weights count. start: go on from the weights of this model with its encoder and
    scaling; with a `Trained` the optimizer goes on as well. epochs: instead of the study's. watch: called after
    every segment of epochs, or, with `each`, after every epoch; training ends where it returns True.

    Raises `InputError` for a study of several candidates, for data that do not fit the model to start from, and where
    no epoch gave finite weights.
    """
    model = start.model if isinstance(start, Trained) else start
    encoder = encoder_for(dataset) if model is None else model.encoder
    table = tabulate(dataset, encoder)
    cost = study.cost or DEFAULT_COST[table.task]
    candidates = study.candidates(cost)
    if len(candidates) != 1 or study.seeds != 1:
        raise InputError(f"one network is trained here, and the study asks for {len(candidates)}. Use Study.run.")
    candidate = with_numbers(candidates[0])
    check_candidate(candidate, dataset, table)
    if model is not None:
        candidate = candidate.replace(cost=model.cost)
        _check_start(model, dataset, candidate)
    fold = _split(table, validation, study.seed)
    (scaling,) = scalings_of(table, [fold]) if start is None else (_scaling_of(start),)
    with backend.precision(study.arithmetic) as dtype:
        (group,) = groups_of(study, [candidate], table, [fold], [scaling], epochs, padded=True)
        members, state = group.members, None
        members = members._replace(patience=np.array([study.patience if len(fold[1]) else 0], np.int32))
        if model is not None:
            state = _state(start, model, group, dtype)
            members = members._replace(epochs=members.epochs + state.counters[:, 0])

        def made(weights: np.ndarray) -> Model:
            facts = {"final": "one", "score": ""}
            return model_of(candidate, weights[None], [scaling], dataset, table, encoder, study.arithmetic, facts)

        def look(costs: np.ndarray, weights: Callable[[], np.ndarray]) -> Any:
            return watch(TrainingUpdate(costs[:, 0], costs[:, 1], lambda: made(weights()))) if watch else None

        raw = table.raw(dtype, padded=True)
        outcome, state = train_single(group.plan, members, raw, state=state, watch=look if watch else None, each=each)
    if outcome.status == "diverged" and not np.all(np.isfinite(outcome.weights)):
        raise InputError("training diverged in its first epoch. Use a smaller learning rate.")
    model = made(outcome.weights)
    if table.task == "regression" and len(fold[1]):
        how = targets_as(scaling, candidate.cost.scaling)
        output = candidate.cost.unscale(outcome.validation_output.astype(float), how.out_center, how.out_scale)
        residuals = table.truth[fold[1]] - candidate.cost.point(output)
        with_intervals(model, residuals, np.zeros(len(residuals), int), table.weights[fold[1]])
    return Trained(
        model, outcome.status, outcome.epochs, outcome.best_epoch, outcome.train_cost, outcome.validation_cost,
        fold[1], scaling, state,
    )  # fmt: skip


def _split(table: EncodedExamples, validation: Any, seed: int) -> tuple[np.ndarray, np.ndarray]:
    count = len(table.inputs)
    if validation is None:
        return np.arange(count), NO_ROWS
    if isinstance(validation, float):
        weights = table.weights if table.weights.ndim == 1 else table.weights.sum(axis=1)
        flat = [a.reshape(count, -1).astype(float) for a in (table.inputs, table.targets)]
        classes = None if table.task == "regression" else table.truth
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


def _check_start(model: Model, dataset: Any, candidate: Any) -> None:
    if len(model) != 1:
        raise InputError(f"training goes on from one network, and the model holds {len(model)}. Use a refitted one.")
    names = None if dataset.class_values is None else [str(c) for c in dataset.class_values]
    known = None if model.classes is None else [str(c) for c in model.classes]
    if (
        dataset.task != model.task
        or names != known
        or dataset.targets.shape[1:] != (() if known else (*model.outputs[:-1], len(model.targets)))
    ):
        raise InputError("training goes on with the task, classes and number of targets that the model has.")
    if partition(candidate.network)[0] != partition(model.network)[0]:
        raise InputError(f"training goes on with the network that the model has, {model.network.label}.")


def _state(start: Any, model: Model, group: Group, dtype: Any) -> Any:
    """A state to go on from: the optimizer's too where `start` has it and it fits."""
    from perceptory.training.epoch import State

    plan = group.plan
    if isinstance(start, Trained) and start.status != "diverged" and start.state.best[0].dtype == dtype:
        return resumed(start.state)
    vector = model.weights[0].astype(dtype)
    shapes = layout(plan.network, plan.inputs, plan.outputs).shapes
    parts = np.split(vector, np.cumsum([int(np.prod(s)) for s in shapes])[:-1])
    weights = (vector,) if plan.flat else tuple(p.reshape(s) for p, s in zip(parts, shapes, strict=True))
    import jax

    from perceptory.training.epoch import fresh_optimizer

    lead = lambda a: np.asarray(a)[None]  # noqa: E731
    optimizer = jax.tree.map(lead, fresh_optimizer(group.members.numbers[0], weights, plan))
    weights = tuple(map(lead, weights))
    counters = np.zeros((1, 4), np.int32)
    return State(weights, weights, optimizer, np.full(1, np.inf, dtype), counters)
