"""What is refused before anything is trained; `prepare` is the only caller.

`check_data`, `check_candidates` and `check_groups` are what it calls, in this order: what the data alone show, what a
candidate's parts show beside each other and the data, what a group's sizes show. Each raises `InputError`.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isqrt
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from perceptory.augmentation.base import Augmentation, parts
from perceptory.augmentation.tables import TargetNoise
from perceptory.data.examples import Examples
from perceptory.data.series.rolled import Ahead, target_columns
from perceptory.errors import InputError, Setting
from perceptory.layers.arrays import pack, unpack
from perceptory.layers.base import call
from perceptory.networks.arx_residual import ARXResidual
from perceptory.networks.autoencoder import CodedNetwork
from perceptory.networks.base import layout
from perceptory.networks.custom import Custom
from perceptory.networks.heads import check_heads
from perceptory.objectives.auxiliary import NextStep, auxiliary_parts
from perceptory.objectives.penalties import WeightPenalty
from perceptory.objectives.table import Cost, check_task
from perceptory.optimizers.averaging import WeightAverage
from perceptory.optimizers.clipping import Clip
from perceptory.optimizers.descent import second, traceable
from perceptory.optimizers.second_order import SecondOrder
from perceptory.selection.greedy import BY_ERROR
from perceptory.selection.metrics import OWN_COST
from perceptory.specs import combine, partition
from perceptory.studies.design import Candidate
from perceptory.studies.encoded_examples import EncodedExamples
from perceptory.studies.groups import Group
from perceptory.studies.pretrained import Pretrained
from perceptory.studies.pretraining import Pretraining
from perceptory.training.plan import MATRICES

MOST_WEIGHTS = 4096  # a factorization of so many takes seconds
GIBIBYTE = 2.0**30


def check_data(known: Examples) -> None:
    """Of targets there has to be more than one value, and of classes more than one."""
    if known.task == "autoencode":
        return
    if known.task == "regression":
        for name, column in zip(known.target_names, target_columns(known.targets), strict=True):
            if np.ptp(column) == 0:
                raise InputError(f"the target {name!r} is constant in the study rows. There is nothing to learn.")
    elif len(np.unique(known.targets)) < 2:
        raise InputError("the study rows hold one class only. Give more rows, or another share of test rows.")


def check_candidates(candidates: Sequence[Candidate], known: Examples, encoded: EncodedExamples, score: str) -> None:
    """What does not go together, in a candidate or with the data, and a score that cannot compare the candidates."""
    for candidate in candidates:
        _check_cost(candidate, known)
        _check_feedback(candidate, known)
        _check_kinds(candidate)
        _check_augmentation(candidate, known)
        _check_penalized_layers(candidate, encoded)
        _check_auxiliary(candidate, encoded)
        check_second_order(candidate)
        _check_start(candidate)
    _check_score(score, candidates)


def check_final(final: str, task: str, candidates: Sequence[Candidate]) -> None:
    """What cannot be weighed: the networks of autoencoders, which are used one by one, and those that no file holds."""
    if not final.startswith("weighted"):
        return
    if final == BY_ERROR and task not in ("regression", "autoencode"):
        said = " weighs by errors of numbers, and these are classes. Use "
        raise InputError(Setting("final", final), said, Setting("final", "weighted"), ".")
    custom = [c.network.label for c in candidates if isinstance(c.network, Custom)]
    if task == "autoencode" or custom:
        why = f"a file cannot hold {custom[0]} among others" if custom else "autoencoders are used one by one"
        said = f" weighs predictions, and {why}. Use "
        raise InputError(Setting("final", final), said, Setting("final", "folds"), ".")


def check_groups(groups: Sequence[Group], memory: float) -> None:
    """Matrices and derivatives of second-order optimizers that are out of reach. memory: in GiB."""
    for group in groups:
        plan = group.plan
        shapes = plan.inputs, plan.outputs
        check_size(plan.optimizer, group.candidate.network, shapes, plan.block * plan.blocks, memory)
        _check_hessian(group)


# --- a candidate's parts beside the data -----------------------------------------------------------------------------


def _check_cost(candidate: Candidate, known: Examples) -> None:
    cost, network = candidate.cost, candidate.network
    check_task(cost, known.task)
    cost.check_classes(known.classes)
    if known.task == "regression":
        targets, lengths = known.targets, known.lengths
        if lengths is not None and targets.ndim == 3:  # padding is no data
            targets = targets[np.arange(targets.shape[1]) < lengths[:, None]]
        if isinstance(targets, Ahead):
            for name, column in zip(known.target_names, targets.by_column, strict=True):
                cost.check_targets(column[:, None], (name,))
        else:
            cost.check_targets(targets, tuple(known.target_names))
    if network.solved and cost.heads > 1:
        raise InputError(
            f"{network.label} is solved by least squares, which cannot fit what {cost.label} takes beside the point"
            ' prediction. Train all of it (train="all"), or take another network.'
        )
    if (network.feedback or isinstance(network, ARXResidual)) and not cost.outputs_are_targets:
        raise InputError(
            f"{network.label} feeds its outputs back, so they have to be the targets themselves, which those of"
            f" {cost.label} are not. Use squared, absolute or huber."
        )


def _check_feedback(candidate: Candidate, known: Examples) -> None:
    every = known.known_outputs == "all"
    if every != candidate.network.feedback:
        why = "would see the outputs that it has to predict" if every else "feeds measured outputs back"
        remedy = Setting("known", 0 if every else "all")
        steps = " or a number of steps" if every else ""
        raise InputError(f"{candidate.network.label} {why}. Read the data with ", remedy, f"{steps}.")


def _check_kinds(candidate: Candidate) -> None:
    kinds: Any = (("clip", Clip), ("average", WeightAverage), ("augmentation", Augmentation))
    for name, kind in kinds:  # what a choice holds is seen only here
        for one in parts(getattr(candidate, name)):
            if not isinstance(one, kind):
                raise InputError(f"{name} needs specs of the kind {kind.__name__}, got {one!r}. Leave that out.")


def _check_augmentation(candidate: Candidate, known: Examples) -> None:
    for one in parts(candidate.augmentation):
        one.check(known.kind, known.task)
        if candidate.network.solved:
            raise InputError(
                f"{candidate.network.label} is solved in one step, so no batch is augmented. Leave augmentation out"
                " here."
            )


def _check_start(candidate: Candidate) -> None:
    start, network = candidate.start, candidate.network
    if start is None:
        return
    if not isinstance(start, Pretrained | Pretraining):  # what a choice holds is seen only here
        raise InputError(f"start needs specs of the kind Pretrained or Pretraining, got {start!r}. Leave that out.")
    if network.solved:
        raise InputError(f"{network.label} is solved in one step, so no start matters. Leave start out here.")
    if isinstance(start, Pretraining) and (isinstance(network, CodedNetwork) or network.feedback):
        why = "feeds its outputs back" if network.feedback else "gives back its inputs already"
        raise InputError(f"{network.label} {why}, so it learns nothing before. Leave pretraining out here.")
    if isinstance(candidate.optimizer, SecondOrder) and (isinstance(start.train, tuple) or start.unfreeze_after > 0):
        raise InputError(
            f"{candidate.optimizer.label} takes steps of all weights together, so none of them has a rate of its own."
            ' Use train="tuned" or "frozen" without unfreeze_after, or a first-order optimizer such as Adam.'
        )


def _check_penalized_layers(candidate: Candidate, encoded: EncodedExamples) -> None:
    network, penalty = candidate.network, candidate.penalty
    if isinstance(penalty, WeightPenalty) and penalty.layers:
        where = layout(partition(network)[0], encoded.shape, candidate.cost.shape(encoded.target_shape))
        penalty.places(where.names, where.weights)


def _check_auxiliary(candidate: Candidate, encoded: EncodedExamples) -> None:
    network, objectives = candidate.network, auxiliary_parts(candidate.auxiliary)
    if not objectives or encoded.auxiliary is None:
        return
    if len({one.about for one in objectives}) < len(objectives):
        raise InputError(f"a candidate aims at {objectives[0].about!r} twice. Give one auxiliary objective for each.")
    if not network.takes_heads:
        why = "is solved in one step" if network.solved else "takes its own outputs for those of the target"
        raise InputError(f"{network.label} {why}, so it takes no auxiliary objective. Take another network.")
    if getattr(network, "bidirectional", False) and any(isinstance(one.target, NextStep) for one in objectives):
        raise InputError(f"{network.label} sees the next step, so there is nothing to predict. Leave NextStep out.")
    for one in objectives:
        noise = any(isinstance(a, TargetNoise) for a in parts(candidate.augmentation))
        if noise and encoded.auxiliary.aim(one).task != "regression":
            raise InputError(f"TargetNoise is for numbers, and the auxiliary target {one.about!r} holds classes.")
    shape = encoded.target_shape
    outputs = encoded.cost_of(candidate).shape(shape)
    check_heads(network, encoded.shape, outputs, candidate.cost.shape(shape))
    if isinstance(candidate.optimizer, SecondOrder):
        _check_second_auxiliary(candidate, candidate.optimizer, [encoded.auxiliary.cost_of(one) for one in objectives])


def _check_second_auxiliary(candidate: Candidate, optimizer: SecondOrder, costs: Sequence[Cost]) -> None:
    name = optimizer.label
    if optimizer.evidence:
        raise InputError(f"{name} takes no auxiliary objective: its evidence is of one cost. Use the optimizer lm.")
    if any(one.fade is not None for one in auxiliary_parts(candidate.auxiliary)):
        raise InputError(
            f"{name} takes for granted that the cost stays the same, so no auxiliary objective may fade. Leave fade"
            " out, or use a first-order optimizer such as Adam."
        )
    for cost in costs:
        _check_curvature(name, optimizer, cost)


def _check_score(name: str, candidates: Sequence[Candidate]) -> None:
    """`InputError` where candidates are to be ranked by their own cost and have several."""
    labels = list(dict.fromkeys(c.cost for c in candidates))
    if name == OWN_COST and len(labels) > 1:
        raise InputError(
            f"the score {OWN_COST!r} ranks candidates by the cost that they are trained with, and they have several"
            f" ({', '.join(cost.label for cost in labels)}). Use one cost, or another score."
        )


# --- second-order optimizers ---------------------------------------------------------------------------------------


def check_second_order(candidate: Candidate) -> None:
    """`InputError` for what does not go with an optimizer that compares the whole cost before and after a step."""
    optimizer, network, penalty = candidate.optimizer, candidate.network, candidate.penalty
    if not isinstance(optimizer, SecondOrder) or network.solved:
        return
    name = optimizer.label
    if network.stochastic:
        raise InputError(
            f"{name} compares the cost before and after a step, and {network.label} changes it by chance or by the"
            " batch (dropout, noise, batch normalization). Leave that out, or use a first-order optimizer such as Adam."
        )
    for field in ("clip", "average", "augmentation"):
        if getattr(candidate, field) is not None:
            raise InputError(f"{name} takes no {field}: it has no single batches and gradients. Leave it out.")
    _check_penalty(name, optimizer, penalty)
    _check_curvature(name, optimizer, candidate.cost)


def _check_curvature(name: str, optimizer: SecondOrder, cost: Cost) -> None:
    if not cost.has_true_gradient:
        raise InputError(
            f"{name} needs the gradient of the very cost that it lowers, and that of {cost.label} is another."
            " Use GaussianLikelihood(beta=0), or a first-order optimizer such as Adam."
        )
    if optimizer.matrix == "gauss_newton":
        one, outputs = np.zeros((1, 1), np.float32), np.zeros((1, cost.heads), np.float32)
        jax.eval_shape(cost.curvature, outputs, one)  # raises where the cost has none


def _check_penalty(name: str, optimizer: Any, penalty: Any) -> None:
    if penalty is None:
        return
    if optimizer.evidence:
        raise InputError(f"{name} finds the strength of its own penalty. Leave the weight penalty out.")
    least = 2 if optimizer.matrix else 1
    if not isinstance(penalty, WeightPenalty):
        raise InputError(f"{name} takes a WeightPenalty only, got {penalty.label}. Take Adam, or leave it out.")
    if penalty.zeros or not (penalty.p >= least and penalty.p > 1):
        needs = "at least 2" if optimizer.matrix else "above 1"
        raise InputError(
            f"{name} needs a weight penalty with a smooth slope, p {needs} and no mix, got {penalty.label}. Use p=2, or"
            " a first-order optimizer such as Adam."
        )


def _check_hessian(group: Group) -> None:
    """Refuses the exact Hessian of a network whose own backward rules have no second derivatives."""
    plan, network = group.plan, group.candidate.network
    if not isinstance(plan.optimizer, SecondOrder) or plan.optimizer.matrix != "hessian" or network.solved:
        return
    module = network.build(plan.inputs, plan.outputs, key=jax.random.key(0))

    cost = combine(plan.cost, partition(group.candidate)[1])

    def of(vector: Any, x: Any, t: Any) -> Any:
        return jnp.sum(cost.per_row(call(unpack(module, vector), x, None), t))

    def hessian(vector: Any, x: Any, t: Any) -> Any:
        return jax.vmap(lambda v: second(lambda v: jax.grad(of)(v, x, t), v))(vector[None])

    if not traceable(hessian, pack(module), jnp.zeros((2, *plan.inputs)), jnp.zeros((2, *group.target_shape))):
        raise InputError(
            f"{plan.optimizer.label} needs second derivatives, which {network.label} has none of: its backward rules"
            " are its own. Use the optimizer lm or lbfgs."
        )


def check_size(optimizer: Any, network: Any, shapes: tuple[Any, Any], members: int, memory: float) -> None:
    """`InputError` where a matrix of weights by weights is out of reach. members: in hand at once; memory: in GiB."""
    if not isinstance(optimizer, SecondOrder) or optimizer.matrix is None or network.solved:
        return
    where = layout(network, *shapes)
    weights = int(where.vector([network.trains(n) for n in where.names]).sum())
    fits = min(MOST_WEIGHTS, isqrt(int(memory * GIBIBYTE / (8 * MATRICES))))
    if weights <= fits:
        return
    one = 8 * weights**2 / GIBIBYTE
    raise InputError(
        f"{optimizer.label} takes a matrix of weights by weights: with the {weights:,} weights of {network.label} it"
        f" holds {one:.3g} GiB for one network and {one * members:.3g} GiB for the {members} of its group. Up to"
        f" {fits:,} weights are possible. Take a smaller network, or the optimizer lbfgs or adam."
    )
