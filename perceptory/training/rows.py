"""A member's examples: from the study's data on the device to scaled batches, with weight 0 for padding.

Rows of a table are scaled once a segment into a table of the member's own. Shared with more axes (images, sequences)
stand once on the device for all members, as they were given, and are gathered and scaled batch by batch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from perceptory.layers.base import call
from perceptory.training.plan import Member, ProgramPlan

WIDE = 64  # inputs from which on they are gathered apart from the targets, so that no wide row is copied twice


class Shared(NamedTuple):
    """A study's examples of any shape, on the device once for all members.

    What a rest adds is what rounding to the study's precision took away.
    """

    x: Any  # [n, *inputs], of the given type (bytes stay bytes)
    x_rest: Any  # the same shape, or None where nothing was lost
    t: Any  # [n, target] or [n, time, target]
    t_rest: Any
    w: Any  # [n], or [n, time] where steps count apart
    lengths: Any  # [n] int32: steps from there on are padding; None where there are none


class Batch(NamedTuple):
    """Scaled examples; a missing input is the training mean, 0."""

    x: Any  # [batch, *inputs]
    t: Any  # [batch, target] or [batch, time, target]
    w: Any  # [batch] or [batch, time], the cost's class weights included
    lengths: Any


class Prepared(NamedTuple):
    """What a member keeps for a segment. Of a table, its scaled rows; of other examples, only their places."""

    table: Any  # [batches · batch, in + target + 1], or places [batches · batch] int32
    validation: Any  # [validation_rows, in + target + 1], or places [validation_rows] int32
    weight: Any  # [batches · batch] the weight of each example


def prepare(member: Member, data: Any, plan: ProgramPlan) -> Prepared:
    """data: [row, 2 (in + target) + 1] of a table (see `EncodedExamples.raw`), or `Shared`."""
    # Zeros, weight included, up to whole batches: every place that an order can name is there.
    missing = plan.batches * plan.batch - plan.rows
    real = jnp.arange(plan.rows) < member.count
    if isinstance(data, Shared):
        places = jnp.pad(member.rows, (0, missing))
        weight = _weighed(data.w[member.rows], lambda: _targets_at(member, data, member.rows, plan), member, plan)
        weight = jnp.pad(_example_weight(weight) * real, (0, missing))
        return Prepared(places, member.validation, weight)
    table = _scaled_rows(member, data[member.rows], plan)
    table = jnp.pad(table.at[:, -1].multiply(real), ((0, missing), (0, 0)))
    validation = _scaled_rows(member, data[member.validation], plan)
    validation = validation.at[:, -1].multiply(jnp.arange(plan.validation_rows) < member.validation_count)
    return Prepared(table, validation, table[:, -1])


def _example_weight(w: jax.Array) -> jax.Array:
    return w if w.ndim == 1 else jnp.sum(w, axis=1)


def _scaled_rows(member: Member, raw: jax.Array, plan: ProgramPlan) -> jax.Array:
    """[row, in + target + 1] of raw rows."""
    k = plan.inputs[-1] + plan.targets
    # Each number comes in two parts. Their differences from the center's parts are nearly exact, so their sum is too.
    x = ((raw[:, :k] - member.center[0]) + (raw[:, k : 2 * k] - member.center[1])) * member.factor
    w = _weighed(raw[:, -1], lambda: x[:, plan.inputs[-1] :], member, plan)
    return jnp.concatenate([jnp.where(jnp.isnan(x), 0, x), w[:, None]], axis=1)


def _weighed(w: jax.Array, targets: Callable[[], jax.Array], member: Member, plan: ProgramPlan) -> jax.Array:
    """The rows' weights times what the cost gives rows of their class."""
    return w * plan.cost.row_weight(targets(), member.balance) if plan.cost.weighs else w


def _scaled(x: Any, rest: Any, center: Any, factor: Any) -> jax.Array:
    low = -center[1] if rest is None else rest - center[1]
    x = ((x.astype(center.dtype) - center[0]) + low) * factor
    return jnp.where(jnp.isnan(x), 0, x)


def _of_table(rows: jax.Array, plan: ProgramPlan) -> Batch:
    inputs = plan.inputs[-1]
    return Batch(rows[..., :inputs], rows[..., inputs:-1], rows[..., -1], None)


def _targets_at(member: Member, data: Shared, places: Any, plan: ProgramPlan) -> jax.Array:
    """Scaled targets of the examples at `places`."""
    inputs = plan.inputs[-1]
    center, factor = member.center[:, inputs:], member.factor[inputs:]
    return _scaled(_take(data.t, places), _take(data.t_rest, places), center, factor)


def _take(a: Any, places: Any) -> Any:
    return None if a is None else a.at[places].get(mode="promise_in_bounds")


def _of_examples(member: Member, data: Shared, places: jax.Array, plan: ProgramPlan) -> Batch:
    inputs = plan.inputs[-1]
    center, factor = member.center[:, :inputs], member.factor[:inputs]
    x = _scaled(_take(data.x, places), _take(data.x_rest, places), center, factor)
    t = _targets_at(member, data, places, plan)
    return Batch(x, t, _weighed(_take(data.w, places), lambda: t, member, plan), _take(data.lengths, places))


def batch_at(member: Member, prepared: Prepared, data: Any, places: jax.Array, plan: ProgramPlan) -> Batch:
    """The training examples at `places` [batch] of an epoch's order."""
    if not isinstance(data, Shared) and plan.inputs[-1] >= WIDE:
        inputs, width = plan.inputs[-1], prepared.table.shape[1]
        x = _columns(prepared.table, places, 0, inputs)
        rest = _columns(prepared.table, places, inputs, width - inputs)
        return Batch(x, rest[:, :-1], rest[:, -1], None)
    rows = prepared.table.at[places].get(mode="promise_in_bounds")
    return examples_at(member, data, rows, places, plan)


def _columns(table: jax.Array, places: jax.Array, first: int, count: int) -> jax.Array:
    """[place, count] of the table's rows, from column `first` on, gathered without the others."""

    def row(place: jax.Array) -> jax.Array:
        return jax.lax.dynamic_slice(table, (place, jnp.zeros_like(place) + first), (1, count))[0]

    return jax.vmap(row)(places)


def _real(batch: Batch, mask: jax.Array) -> Batch:
    """The batch with weight 0 where the mask [batch] is False: padding."""
    return batch._replace(w=mask.reshape(mask.shape + (1,) * (batch.w.ndim - 1)) * batch.w)


def examples_at(member: Member, data: Any, rows: jax.Array, places: jax.Array, plan: ProgramPlan) -> Batch:
    """Training examples from `rows`, a part of `Prepared.table` that begins with the row of number `places[0]`."""
    if not isinstance(data, Shared):
        return _of_table(rows, plan)
    return _real(_of_examples(member, data, rows, plan), places < member.count)


def training_rows(member: Member, prepared: Prepared, data: Any, plan: ProgramPlan, most: int | None = None) -> Batch:
    """All training examples, or the first `most` of them, at once."""
    table = prepared.table[: plan.rows][:most]
    return examples_at(member, data, table, jnp.arange(len(table)), plan)


def outputs_of(network: Callable, member: Member, rows: jax.Array, data: Any, plan: ProgramPlan) -> jax.Array:
    """[row, *outputs] of a member's rows or places (parts of `Prepared`), `plan.piece` examples at a time."""

    def piece(rows: jax.Array) -> jax.Array:
        batch = _of_examples(member, data, rows, plan) if isinstance(data, Shared) else _of_table(rows, plan)
        return output_of(network, batch)

    count = len(rows)
    if count <= plan.piece:
        return piece(rows)
    pieces = -(-count // plan.piece)
    each = -(-count // pieces)
    padded = jnp.pad(rows, ((0, pieces * each - count), *[(0, 0)] * (rows.ndim - 1)))
    out = jax.lax.map(piece, padded.reshape(pieces, each, *rows.shape[1:]))
    return out.reshape(pieces * each, *out.shape[2:])[:count]


def validation_truth(member: Member, prepared: Prepared, data: Any, plan: ProgramPlan) -> tuple[jax.Array, jax.Array]:
    """(targets, weights) of the validation examples."""
    if not isinstance(data, Shared):
        batch = _of_table(prepared.validation, plan)
    else:
        real = jnp.arange(plan.validation_rows) < member.validation_count
        batch = _real(_of_examples(member, data, prepared.validation, plan), real)
    return batch.t, batch.w


def output_of(network: Any, batch: Batch, key: Any = None, share: Any = None, progress: Any = None) -> jax.Array:
    """The network's output for a batch; share [batch] of each example in the cost; progress: see `layers.call`."""
    return call(network, batch.x, key, weights=share, lengths=batch.lengths, progress=progress)
