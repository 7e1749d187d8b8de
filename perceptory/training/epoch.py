"""One member's epoch: a pure function, written for one member and mapped in `population.py`."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from optax import with_extra_args_support as with_extra_args

from perceptory.augmentation.base import About, augmented
from perceptory.kernels import dense
from perceptory.layers.arrays import arrays_of, pack, unpack, with_arrays
from perceptory.networks.base import layout
from perceptory.objectives.penalties import WeightPenalty
from perceptory.objectives.table import mean_cost, total_cost
from perceptory.optimizers.schedules import rate_at
from perceptory.optimizers.second_order import SecondOrder
from perceptory.specs import combine
from perceptory.training.landscape import landscape, penalty_of, vector_of, with_vector
from perceptory.training.plan import Member, ProgramPlan
from perceptory.training.row_order import ROUNDS, drawn, shuffled, words
from perceptory.training.rows import (
    Batch,
    Prepared,
    Shared,
    batch_at,
    output_of,
    outputs_of,
    training_rows,
    validation_truth,
)

CALIBRATION_ROWS = 4096  # enough for means and variances
MOST_ALONE = 1 << 22  # multiplications of one network's step forwards that one thread does as fast as XLA's threads
RUNNING, FINISHED, STOPPED, DIVERGED = 0, 1, 2, 3
STATUS = ("running", "finished", "stopped", "diverged")


class State(NamedTuple):
    """What one member carries from epoch to epoch. Few arrays: the cost of a loop grows with their number."""

    weights: (
        Any  # tuple of arrays: one vector [weight], or the network's arrays where they are large (`ProgramPlan.flat`)
    )
    best: Any  # those of the best epoch so far
    optimizer: Any  # Optax state
    best_cost: Any
    counters: Any  # [4] int32: epoch, best epoch (from 1), epochs since, status


def network_of(member: Member, weights: tuple[Any, ...], plan: ProgramPlan) -> Any:
    """The member's network with these weights."""
    spec = combine(plan.network, member.numbers)
    module = spec.build(plan.inputs, plan.outputs, key=jax.random.key(0))
    return unpack(module, weights[0]) if plan.flat else with_arrays(module, weights)


def weights_of(module: Any, plan: ProgramPlan) -> tuple[Any, ...]:
    """The module's weights as a state holds them."""
    return (pack(module),) if plan.flat else arrays_of(module)


def masks(plan: ProgramPlan, dtype: Any) -> tuple[tuple[Any, ...], tuple[Any, ...] | None]:
    """(1 for weights and 0 for biases, 1 for what the optimizer moves or None where that is all)."""
    where = layout(plan.network, plan.inputs, plan.outputs)
    trains = tuple(plan.network.trains(name) for name in where.names)

    def form(marks: tuple[bool, ...]) -> tuple[Any, ...]:
        return (jnp.asarray(where.vector(marks), dtype),) if plan.flat else tuple(float(m) for m in marks)

    return form(where.weights), None if all(trains) else form(trains)


def progress_of(member: Member, state: State, plan: ProgramPlan) -> Any:
    """The share of the member's epochs that is done, for a network whose training has phases; else None."""
    if not plan.network.phased:
        return None
    dtype = member.factor.dtype
    return state.counters[0].astype(dtype) / member.epochs.astype(dtype)


def batches_of(member: Member, plan: ProgramPlan) -> Any:
    """Steps in one of the member's epochs."""
    return -(-member.count // plan.batch) if plan.ragged else plan.batches


def start(member: Member, prepared: Prepared, data: Any, plan: ProgramPlan) -> State:
    """A new member: small random weights, or what the network makes of the training rows; zero optimizer state."""
    key = jax.random.fold_in(jax.random.wrap_key_data(member.key), 0)
    network = combine(plan.network, member.numbers)
    module = network.build(plan.inputs, plan.outputs, key=key)
    if network.primed:
        rows = training_rows(member, prepared, data, plan)
        goal = combine(plan.cost, member.numbers).working(rows.t)
        module = network.prime(module, rows.x, goal, rows.w, key=jax.random.fold_in(key, 1))
    weights = weights_of(module, plan)
    counters = jnp.zeros(4, jnp.int32)
    infinite = jnp.asarray(jnp.inf, member.factor.dtype)
    return State(weights, weights, fresh_optimizer(member.numbers, weights, plan), infinite, counters)


def fresh_optimizer(numbers: Any, weights: tuple[Any, ...], plan: ProgramPlan) -> Any:
    """The optimizer's state at the start. Where weights are averaged, `State.weights` is the average, and the trained
    weights go along with the moments."""
    if isinstance(plan.optimizer, SecondOrder):
        return combine(plan.optimizer, numbers).begin(vector_of(weights, plan))
    optimizer: Any = combine(plan.optimizer, numbers)
    moments = optimizer.transformation().init(weights)
    return moments if plan.average is None else (moments, weights)


def epoch(member: Member, prepared: Prepared, state: State, data: Any, plan: ProgramPlan) -> tuple[State, jax.Array]:
    """One pass over the training rows, then the validation cost. Returns the state and [2] costs to record."""
    cost = combine(plan.cost, member.numbers)
    settled: Any = False
    if plan.network.solved:
        weights, optimizer = state.weights, state.optimizer
        train_cost = _training_cost(member, prepared, state, data, plan)
    elif isinstance(plan.optimizer, SecondOrder):
        weights, optimizer, train_cost, settled = iteration(member, prepared, state, data, plan)
    else:
        weights, optimizer, train_cost = steps(member, prepared, state, data, plan)
    if plan.network.calibrated:
        network, rows = network_of(member, weights, plan), training_rows(member, prepared, data, plan, CALIBRATION_ROWS)
        weights = weights_of(combine(plan.network, member.numbers).calibrate(network, rows.x, rows.w), plan)
    if plan.validation_rows:
        output = outputs_of(network_of(member, weights, plan), member, prepared.validation, data, plan)
        validation_cost = mean_cost(cost, output, *validation_truth(member, prepared, data, plan))
    else:
        validation_cost = jnp.full_like(train_cost, jnp.nan)
    record = jnp.stack([train_cost, validation_cost])
    opening = False
    if plan.network.phased:
        opening = combine(plan.network, member.numbers).opening(progress_of(member, state, plan))
    return advance(member, state, weights, optimizer, record, plan, settled, opening), record


def _training_cost(member: Member, prepared: Prepared, state: State, data: Any, plan: ProgramPlan) -> jax.Array:
    rows = training_rows(member, prepared, data, plan)
    output = outputs_of(network_of(member, state.weights, plan), member, prepared.table[: plan.rows], data, plan)
    return mean_cost(combine(plan.cost, member.numbers), output, rows.t, rows.w)


def steps(member: Member, prepared: Prepared, state: State, data: Any, plan: ProgramPlan) -> tuple[Any, Any, jax.Array]:
    """The optimizer's steps of one epoch: weights, optimizer state, mean training cost."""
    salts = words(member.key, state.counters[0], 2 * ROUNDS)
    batches = batches_of(member, plan)
    if plan.batches == 1 and not plan.replacement:
        places = jnp.arange(plan.batch, dtype=jnp.uint32)[None]
    else:
        order, length = (drawn, member.count) if plan.replacement else (shuffled, batches)
        places = order(salts, length, plan.batches, plan.batch)
    # Each batch's weights as shares of their sum, ahead of the loop: the mean cost is then one sum.
    share = prepared.weight.at[places].get(mode="promise_in_bounds")
    total = jnp.sum(share, axis=1)
    by_step = isinstance(data, Shared) and data.w.ndim == 2
    share = (1 if by_step else share) / jnp.where(total > 0, total, 1)[:, None]
    optimizer_spec: Any = combine(plan.optimizer, member.numbers)
    transformation = with_extra_args(optimizer_spec.transformation())
    penalty = None if plan.penalty is None else combine(plan.penalty, member.numbers)
    clip = None if plan.clip is None else combine(plan.clip, member.numbers)
    cost = combine(plan.cost, member.numbers)
    dtype = member.factor.dtype
    mask, moved = masks(plan, dtype)
    penalized = mask  # by how much of its strength
    if isinstance(penalty, WeightPenalty) and penalty.layers:
        penalized, penalty = _by_layer(penalty, plan, dtype), penalty.replace(strength=1.0, layers=())
    index = jnp.arange(plan.batches, dtype=jnp.int32)
    done = (state.counters[0] * batches + index).astype(dtype)
    last = jnp.maximum(member.epochs * batches - 1, 1).astype(dtype)
    if plan.network.stochastic or plan.augmentation is not None:
        # Epochs count from 1 here: 0 is the key of the starting weights.
        noise_key = jax.random.fold_in(jax.random.wrap_key_data(member.key), state.counters[0] + 1)

    # Numbers of a step that no weight enters: for the whole epoch at once, not a small kernel each in every step.
    rate = jnp.broadcast_to(rate_at(optimizer_spec.learning_rate, jnp.minimum(done / last, 1)), done.shape)
    precomputed = optimizer_spec.precompute(done + 1)

    progress = progress_of(member, state, plan)
    if plan.augmentation is not None:
        augmentation, inputs = combine(plan.augmentation, member.numbers), plan.inputs[-1]
        zero = -jnp.sum(member.center, axis=0)[:inputs] * member.factor[:inputs]
        about = About(jnp.asarray(plan.varies, dtype), zero)

    by_kernel = _by_kernel(plan, dtype)

    def cost_of(weights: Any, batch: Batch, share: jax.Array, key: Any) -> jax.Array:
        if by_kernel is None:
            output = output_of(network_of(member, weights, plan), batch, key, None if by_step else share, progress)
        else:
            output = by_kernel(weights[0], batch.x.reshape(plan.batch, -1)).reshape(plan.batch, *plan.outputs)
        return total_cost(cost, output, batch.t, batch.w * share if by_step else share)

    def step(carry: tuple[Any, Any], at: tuple[Any, ...]) -> tuple[tuple[Any, Any], jax.Array]:
        weights, optimizer = carry
        place, share, index, rate, precomputed = at
        batch = batch_at(member, prepared, data, place, plan)
        key = jax.random.fold_in(noise_key, index) if plan.network.stochastic else None
        if plan.augmentation is not None:
            batch = augmented(augmentation, batch, about, jax.random.fold_in(noise_key, index))
        value, gradient = jax.value_and_grad(cost_of)(weights, batch, share, key)
        if penalty is not None:
            gradient = jax.tree.map(penalty.slope, gradient, weights, penalized)
        if clip is not None:
            gradient = clip.apply(gradient, moved)
        update, new_optimizer = transformation.update(
            gradient, optimizer, weights, rate=rate, precomputed=precomputed, weight_mask=mask
        )
        if moved is not None:
            update = jax.tree.map(jnp.multiply, update, moved)
        new = jax.tree.map(jnp.add, weights, update)
        if penalty is not None:
            new = jax.tree.map(penalty.settle, weights, new, gradient, penalized)
        if plan.ragged:
            real = index < batches
            new, new_optimizer = jax.tree.map(
                lambda a, b: jnp.where(real, a, b), (new, new_optimizer), (weights, optimizer)
            )
        return (new, new_optimizer), value

    first = (state.weights, state.optimizer) if plan.average is None else state.optimizer[::-1]
    (weights, optimizer), costs = jax.lax.scan(step, first, (places, share, index, rate.astype(dtype), precomputed))
    if plan.average is not None:
        average, ended = combine(plan.average, member.numbers), state.counters[0] + 1
        optimizer, weights = (optimizer, weights), average.after(state.weights, weights, ended, member.epochs)
    return weights, optimizer, jnp.sum(jnp.where(total > 0, costs * total, 0)) / jnp.sum(total)


def kernel_stack(plan: ProgramPlan) -> dense.Stack | None:
    """The network for the kernel of layers of neurons, where that is the faster way for the gradients of `steps`."""
    if isinstance(plan.optimizer, SecondOrder) or not plan.flat:
        return None
    stack = plan.network.stack(plan.inputs, plan.outputs)
    alone = stack is not None and plan.chunk == 1 and stack.weights * plan.batch > MOST_ALONE
    return None if alone else stack


def _by_kernel(plan: ProgramPlan, dtype: Any) -> Callable | None:
    """(weights, x) -> output by the kernel, where it is there. Differentiable by the weights, once, in reverse."""
    stack = kernel_stack(plan)
    return None if stack is None or not dense.accepts(dtype) else dense.outputs(stack)


def iteration(
    member: Member, prepared: Prepared, state: State, data: Any, plan: ProgramPlan
) -> tuple[Any, Any, Any, Any]:
    """One iteration of a second-order optimizer: weights, its state, training cost there, whether it has settled."""
    active = state.counters[3] == RUNNING
    progress = progress_of(member, state, plan)
    seen = landscape(member, prepared, state.weights, data, plan, active, progress)
    optimizer: Any = combine(plan.optimizer, member.numbers)
    vector, kept = vector_of(state.weights, plan), state.optimizer
    if progress is not None:  # what was learned of another cost, such as a damping, is of no use to this one
        network = combine(plan.network, member.numbers)
        before = (state.counters[0] - 1).astype(progress.dtype) / member.epochs.astype(progress.dtype)
        changed = ~network.opening(progress) & network.opening(before)
        kept = jax.tree.map(lambda a, b: jnp.where(changed, a, b), optimizer.begin(vector), kept)
    moved = optimizer.iterate(seen, vector, kept)
    cost = moved.cost - penalty_of(member, plan)(moved.w)[0]
    return with_vector(state.weights, moved.w, plan), moved.state, cost, moved.settled


def _by_layer(penalty: WeightPenalty, plan: ProgramPlan, dtype: Any) -> tuple[Any, ...]:
    """Strength of the penalty for every weight, of the weights' structure."""
    where = layout(plan.network, plan.inputs, plan.outputs)
    strengths = penalty.by_array(where.names, where.weights)
    if not plan.flat:
        return tuple(strengths)
    return (jnp.concatenate([jnp.full(prod(s), v, dtype) for s, v in zip(where.shapes, strengths, strict=True)]),)


def advance(
    member: Member,
    state: State,
    weights: Any,
    optimizer: Any,
    record: jax.Array,
    plan: ProgramPlan,
    settled: Any = False,
    opening: Any = False,
) -> State:
    """Book-keeping after an epoch: best so far, patience, divergence; settled: no epoch to come will change anything.

    opening: it was one of a first phase (`Network.opening`). What is judged is the network as it will be used, so the
    best weights may be of any phase; but no member stops or diverges by what is judged before the phase has ended.

    Of a member that has stopped, what counts does not change: its best weights, their cost, its counters. Its last
    weights move on with its block, since to hold them would copy all of them in every epoch.
    """
    done, best_at, since, status = state.counters
    running = status == RUNNING
    done = done + 1
    judged = record[1] if plan.validation_rows else record[0]
    finite = jnp.isfinite(record[0]) & jnp.isfinite(sum(jnp.sum(w) for w in weights))
    excused = opening & (done < member.epochs)
    finite = finite & (jnp.isfinite(judged) | excused)
    # Without validation rows the last weights are the best: training cost alone must not choose an epoch.
    better = running & finite & ((judged < state.best_cost) if plan.validation_rows else True)
    since = jnp.where(better | excused, 0, since + 1)
    out_of_patience = ((member.patience > 0) & (since >= member.patience)) | (settled & ~excused)
    status = jnp.where(done >= member.epochs, FINISHED, jnp.where(out_of_patience, STOPPED, RUNNING))
    status = jnp.where(finite, status, DIVERGED)
    counters = jnp.stack([done, jnp.where(better, done, best_at), since, status]).astype(jnp.int32)
    best = jax.tree.map(lambda a, b: jnp.where(better, a, b), weights, state.best)
    best_cost = jnp.where(better, judged, state.best_cost)
    return State(weights, best, optimizer, best_cost, jnp.where(running, counters, state.counters))
