"""One member's epoch: a pure function, written for one member and mapped in `population.py`."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from optax import with_extra_args_support as with_extra_args

from perceptory.networks.base import layout, pack, unpack
from perceptory.objectives.costs import mean_cost, total_cost
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


def scaled(member: Member, raw: jax.Array, plan: Plan) -> tuple[jax.Array, jax.Array]:
    """([row, in + out], weights [row]) of raw rows; a missing input becomes the training mean, 0."""
    k = plan.inputs + plan.outputs
    # Each number comes in two parts. Their differences from the center's parts are nearly exact, so their sum is too.
    x = ((raw[:, :k] - member.center[0]) + (raw[:, k : 2 * k] - member.center[1])) * member.factor
    return jnp.where(jnp.isnan(x), 0, x), raw[:, -1]


def prepare(member: Member, data: jax.Array, plan: Plan) -> Prepared:
    """Gather and scale; data: [row, 2 (in + out) + 1], see `Table.raw`."""
    x, w = scaled(member, data[member.rows], plan)
    w = w * (jnp.arange(plan.rows) < member.count)
    table = jnp.concatenate([x, w[:, None]], axis=1)
    # Rows of zeros, weight included, up to whole batches: every place that an order can name is there.
    table = jnp.pad(table, ((0, plan.batches * plan.batch - plan.rows), (0, 0)))
    x, w = scaled(member, data[member.validation], plan)
    w = w * (jnp.arange(plan.validation_rows) < member.validation_count)
    return Prepared(table, x[:, : plan.inputs], x[:, plan.inputs :], w)


def build(member: Member, weights: jax.Array, plan: Plan) -> Any:
    """The member's network with these weights."""
    network = combine(plan.network, member.numbers)
    return unpack(network.build(plan.inputs, plan.outputs, key=jax.random.key(0)), weights)


def batches_of(member: Member, plan: Plan) -> Any:
    """Steps in one of the member's epochs."""
    return -(-member.count // plan.batch) if plan.ragged else plan.batches


def start(member: Member, plan: Plan) -> State:
    """A new member: small random weights, zero optimizer state."""
    key = jax.random.fold_in(jax.random.wrap_key_data(member.key), 0)
    network = combine(plan.network, member.numbers)
    weights = pack(network.build(plan.inputs, plan.outputs, key=key))
    transformation = combine(plan.optimizer, member.numbers).transformation()
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
    # Each batch's weights as shares of their sum, ahead of the loop: the mean cost is then one sum.
    weight = prepared.table[:, -1].at[places].get(mode="promise_in_bounds")
    total = jnp.sum(weight, axis=1)
    share = weight / jnp.where(total > 0, total, 1)[:, None]
    optimizer_spec = combine(plan.optimizer, member.numbers)
    transformation = with_extra_args(optimizer_spec.transformation())
    penalty = None if plan.penalty is None else combine(plan.penalty, member.numbers)
    cost = combine(plan.cost, member.numbers)
    mask = jnp.asarray(layout(plan.network, plan.inputs, plan.outputs).weight_mask(), prepared.table.dtype)
    first = state.counters[0] * batches
    last = jnp.maximum(member.epochs * batches - 1, 1).astype(prepared.table.dtype)
    if plan.network.stochastic:  # epochs count from 1 here: 0 is the key of the starting weights
        noise_key = jax.random.fold_in(jax.random.wrap_key_data(member.key), state.counters[0] + 1)

    def cost_of(weights: jax.Array, rows: jax.Array, share: jax.Array, key: Any) -> jax.Array:
        output = build(member, weights, plan)(rows[:, : plan.inputs], key)
        return total_cost(cost, output, rows[:, plan.inputs : -1], share)

    def step(carry: tuple[Any, Any], at: tuple[Any, Any, Any]) -> tuple[tuple[Any, Any], jax.Array]:
        weights, optimizer = carry
        place, share, index = at
        rows = prepared.table.at[place].get(mode="promise_in_bounds")
        key = jax.random.fold_in(noise_key, index) if plan.network.stochastic else None
        value, gradient = jax.value_and_grad(cost_of)(weights, rows, share, key)
        if penalty is not None:
            gradient = penalty.slope(gradient, weights, mask)
        count = (first + index).astype(weights.dtype)
        rate = rate_at(optimizer_spec.learning_rate, jnp.minimum(count / last, 1)).astype(weights.dtype)
        update, new_optimizer = transformation.update(
            gradient, optimizer, weights, rate=rate, step=count + 1, weight_mask=mask
        )
        new = weights + update
        if penalty is not None:
            new = penalty.settle(weights, new, gradient, mask)
        if plan.ragged:
            real = index < batches
            new, new_optimizer = jax.tree.map(
                lambda a, b: jnp.where(real, a, b), (new, new_optimizer), (weights, optimizer)
            )
        return (new, new_optimizer), value

    (weights, optimizer), costs = jax.lax.scan(
        step, (state.weights, state.optimizer), (places, share, jnp.arange(plan.batches, dtype=jnp.int32))
    )
    train_cost = jnp.sum(jnp.where(total > 0, costs * total, 0)) / jnp.sum(total)
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
