"""One member's epoch: a pure function, written for one member and mapped in `population.py`."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from perceptory.networks.base import layout, pack, unpack
from perceptory.objectives.costs import mean_cost
from perceptory.optimizers.schedules import rate_at
from perceptory.specs import combine
from perceptory.training.order import ROUNDS, drawn, shuffled, words
from perceptory.training.plan import Member, Plan

RUNNING, FINISHED, STOPPED, DIVERGED = 0, 1, 2, 3
STATUS = ("running", "finished", "stopped", "diverged")


class State(NamedTuple):
    """What one member carries from epoch to epoch. Few arrays: the cost of a loop grows with their number."""

    weights: Any  # [weight]
    best: Any  # [weight] those of the best epoch so far
    optimizer: Any  # Optax state
    best_cost: Any
    counters: Any  # [4] int32: epoch, best epoch (from 1), epochs since, status


class Prepared(NamedTuple):
    """A member's rows, gathered and scaled once a segment; weights are 0 for padding."""

    table: Any  # [batches · batch, in + out + 1]
    x: Any  # [validation_rows, in]
    t: Any  # [validation_rows, out]
    w: Any  # [validation_rows]


def scaled(member: Member, raw: jax.Array, plan: Plan) -> tuple[jax.Array, jax.Array, jax.Array]:
    """(inputs, targets, weights) from raw rows [row, in + out + 1]; a missing input becomes the training mean."""
    x = (raw[:, : plan.inputs] - member.in_center) * member.in_factor
    x = jnp.where(jnp.isnan(x), 0, x)
    t = (raw[:, plan.inputs : -1] - member.out_center) * member.out_factor
    return x, t, raw[:, -1]


def prepare(member: Member, data: jax.Array, plan: Plan) -> Prepared:
    """Gather and scale; data: [row, in + out + 1], inputs, targets and the row's weight."""
    x, t, w = scaled(member, data[member.rows], plan)
    w = w * (jnp.arange(plan.rows) < member.count)
    table = jnp.concatenate([x, t, w[:, None]], axis=1)
    # Rows of zeros, weight included, up to whole batches: every place that an order can name is there.
    table = jnp.pad(table, ((0, plan.batches * plan.batch - plan.rows), (0, 0)))
    x, t, w = scaled(member, data[member.validation], plan)
    return Prepared(table, x, t, w * (jnp.arange(plan.validation_rows) < member.validation_count))


def build(member: Member, weights: jax.Array, plan: Plan) -> Any:
    """The member's network with these weights."""
    network = combine(plan.network, member.numbers)
    return unpack(network.build(plan.inputs, plan.outputs, key=jax.random.key(0)), weights)


def optimizer_of(member: Member, plan: Plan) -> tuple[Any, Any]:
    """The member's Optax transformation and its learning rate by step."""
    spec = combine(plan.optimizer, member.numbers)
    last = jnp.maximum(member.epochs * batches_of(member, plan) - 1, 1)

    def rate(count: jax.Array) -> jax.Array:
        return rate_at(spec.learning_rate, jnp.minimum(count / last, 1))

    return spec.transformation(rate), rate


def batches_of(member: Member, plan: Plan) -> Any:
    """Steps in one of the member's epochs."""
    return -(-member.count // plan.batch) if plan.ragged else plan.batches


def start(member: Member, plan: Plan) -> State:
    """A new member: small random weights, zero optimizer state."""
    key = jax.random.fold_in(jax.random.wrap_key_data(member.key), 0)
    network = combine(plan.network, member.numbers)
    weights = pack(network.build(plan.inputs, plan.outputs, key=key))
    transformation, _ = optimizer_of(member, plan)
    counters = jnp.zeros(4, jnp.int32)
    return State(weights, weights, transformation.init(weights), jnp.asarray(jnp.inf, weights.dtype), counters)


def epoch(member: Member, prepared: Prepared, state: State, plan: Plan) -> tuple[State, jax.Array]:
    """One pass over the training rows, then the validation cost. Returns the state and [2] costs to record."""
    salts = words(member.key, state.counters[0], 2 * ROUNDS)
    batches = batches_of(member, plan)
    if plan.batches == 1 and not plan.replacement:
        places = jnp.arange(plan.batch, dtype=jnp.uint32)[None]
    else:
        order, length = (drawn, member.count) if plan.replacement else (shuffled, batches)
        places = order(salts, length, plan.batches, plan.batch)
    transformation, rate = optimizer_of(member, plan)
    penalty = None if plan.penalty is None else combine(plan.penalty, member.numbers)
    cost = combine(plan.cost, member.numbers)
    mask = jnp.asarray(layout(plan.network, plan.inputs, plan.outputs).weight_mask(), prepared.table.dtype)
    first = state.counters[0] * batches

    if plan.network.stochastic:  # epochs count from 1 here: 0 is the key of the starting weights
        noise_key = jax.random.fold_in(jax.random.wrap_key_data(member.key), state.counters[0] + 1)

    def cost_of(weights: jax.Array, rows: jax.Array, key: Any) -> jax.Array:
        output = build(member, weights, plan)(rows[:, : plan.inputs], key)
        return mean_cost(cost, output, rows[:, plan.inputs : -1], rows[:, -1])

    def step(carry: tuple[Any, Any], at: tuple[Any, Any]) -> tuple[tuple[Any, Any], jax.Array]:
        weights, optimizer = carry
        place, index = at
        rows = prepared.table.at[place].get(mode="promise_in_bounds")
        key = jax.random.fold_in(noise_key, index) if plan.network.stochastic else None
        value, gradient = jax.value_and_grad(cost_of)(weights, rows, key)
        if penalty is not None:
            gradient = gradient + penalty.gradient(weights, mask)
        extra = {"weight_mask": mask} if hasattr(plan.optimizer, "decay") else {}
        update, new_optimizer = transformation.update(gradient, optimizer, weights, **extra)
        new = weights + update
        if penalty is not None and penalty.p == 1:
            new = penalty.proximal(new, mask, rate(first + index))
        if plan.ragged:
            real = index < batches
            new, new_optimizer = jax.tree.map(
                lambda a, b: jnp.where(real, a, b), (new, new_optimizer), (weights, optimizer)
            )
        total = jnp.sum(rows[:, -1])
        return (new, new_optimizer), jnp.stack([value * total, total])

    (weights, optimizer), costs = jax.lax.scan(
        step, (state.weights, state.optimizer), (places, jnp.arange(plan.batches, dtype=jnp.int32))
    )
    train_cost = jnp.sum(costs[:, 0]) / jnp.sum(costs[:, 1])
    if plan.validation_rows:
        output = build(member, weights, plan)(prepared.x)
        validation_cost = mean_cost(cost, output, prepared.t, prepared.w)
    else:
        validation_cost = jnp.full_like(train_cost, jnp.nan)
    record = jnp.stack([train_cost, validation_cost])
    return advance(member, state, weights, optimizer, record, plan), record


def advance(member: Member, state: State, weights: Any, optimizer: Any, record: jax.Array, plan: Plan) -> State:
    """Book-keeping after an epoch: best so far, patience, divergence. A member that has stopped does not change."""
    done, best_at, since, status = state.counters
    running = status == RUNNING
    done = done + 1
    judged = record[1] if plan.validation_rows else record[0]
    finite = jnp.isfinite(record[0]) & jnp.isfinite(jnp.sum(weights)) & jnp.isfinite(judged)
    # Without validation rows the last weights are the best: training cost alone must not choose an epoch.
    better = finite & ((judged < state.best_cost) if plan.validation_rows else True)
    since = jnp.where(better, 0, since + 1)
    out_of_patience = (member.patience > 0) & (since >= member.patience)
    status = jnp.where(done >= member.epochs, FINISHED, jnp.where(out_of_patience, STOPPED, RUNNING))
    status = jnp.where(finite, status, DIVERGED)
    counters = jnp.stack([done, jnp.where(better, done, best_at), since, status]).astype(jnp.int32)
    keep = running & finite
    new = State(
        weights, jnp.where(better, weights, state.best), optimizer, jnp.where(better, judged, state.best_cost), counters
    )
    old = state._replace(counters=jnp.where(running, counters, state.counters))
    return jax.tree.map(lambda a, b: jnp.where(keep, a, b), new, old)
