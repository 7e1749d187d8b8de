"""The population program: where members are mapped. A chunk of members runs a segment of epochs in one compiled call.

Layout of a chunk: [blocks, block] members. Blocks are spread over the local devices (`shard_map`) and done one after
the other within a device, up to the last one in which something is to be done; the members of a block are mapped
(`vmap`). A block's shape does not depend on the devices, so neither do its bits.
"""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from perceptory.training.epoch import epoch, predictions, start, state_at
from perceptory.training.plan import Member, ProgramPlan, chunk_devices
from perceptory.training.run import Run, Specs, run_axes
from perceptory.training.state import RUNNING, State
from perceptory.training.weights import layout_of


class Segment(NamedTuple):
    """What a segment returns for each member beside its state."""

    records: Any  # [segment, 2 + 2 parts] training and validation cost of each objective; nan where no epoch ran
    output: Any  # [row, *outputs] `predictions` at the best weights; nan where no member has ended


OUTPUTS = -1  # in place of a number of epochs: no training, and the outputs of all; -1 - n: after n epochs


def block_segment(
    members: Member, state: State, fresh: Any, most: Any, empty: Segment, data: Any, plan: ProgramPlan
) -> tuple[State, Segment]:
    """Run up to `most` epochs of a block, and up to `plan.segment`; members that are done do not change. All have a
    leading [block]; most is the same for all members of a block, and may be `OUTPUTS` less a number of epochs. empty:
    a segment of nan."""
    runs, axes = _runs(members, data, plan)

    def begin() -> State:
        first = jax.vmap(start, in_axes=(axes,))(runs)
        return jax.tree.map(lambda a, b: jnp.where(_column(fresh, a), a, b), first, state)

    state = jax.lax.cond(jnp.any(fresh), begin, lambda: state)

    def running(state: State) -> jax.Array:
        return state.status == RUNNING

    asked, before = most[0], running(state)
    most = jnp.where(asked < 0, OUTPUTS - asked, asked)

    def go_on(carry: tuple[Any, ...]) -> jax.Array:
        e, state, _ = carry
        return (e < most) & (e < plan.segment) & jnp.any(running(state))

    def advance(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        e, state, records = carry
        active = running(state)
        state, record = jax.vmap(epoch, in_axes=(axes, 0))(runs, state)
        record = jnp.where(active[:, None], record, jnp.nan)
        return e + 1, state, jax.lax.dynamic_update_index_in_dim(records, record, e, axis=1)

    _, state, records = jax.lax.while_loop(go_on, advance, (jnp.int32(0), state, empty.records))

    output = jax.lax.cond(
        jnp.any(before & ~running(state)) | (asked < 0),
        lambda: jax.vmap(predictions, in_axes=(axes, 0))(runs, state),
        lambda: empty.output,
    )
    return state, Segment(records, output)


def _empty(members: Member, state: State, data: Any, plan: ProgramPlan) -> Segment:
    """A block's segment of nan."""

    def outputs(members: Member, state: State, data: Any) -> Any:
        runs, axes = _runs(members, data, plan)
        return jax.vmap(predictions, in_axes=(axes, 0))(runs, state)

    shape = jax.eval_shape(outputs, members, state, data)
    records = jnp.full((plan.block, plan.segment, plan.recorded), jnp.nan, members.factor.dtype)
    return Segment(records, jnp.full(shape.shape, jnp.nan, shape.dtype))


def _runs(members: Member, data: Any, plan: ProgramPlan) -> tuple[Run, Any]:
    """The runs of members with a leading axis, and the axes along which they are mapped."""
    axes = run_axes(data, plan)
    return jax.vmap(partial(Run.of, plan=plan), in_axes=(0, None), out_axes=axes)(members, data), axes


def _column(mask: Any, like: Any) -> Any:
    return mask.reshape(mask.shape + (1,) * (like.ndim - 1))


def placements(plan: ProgramPlan) -> tuple[NamedSharding, NamedSharding]:
    """Where a chunk's arrays lie: spread over its devices, or whole on each of them."""
    mesh = Mesh(chunk_devices(plan.blocks), ("member",))
    return NamedSharding(mesh, PartitionSpec("member")), NamedSharding(mesh, PartitionSpec())


@lru_cache(maxsize=256)
def program(plan: ProgramPlan) -> Any:
    """The program of a group, jitted, of a plan that holds no code of the user's."""
    return jax.jit(traceable(plan))


def traceable(plan: ProgramPlan) -> Any:
    """The program of a group: (members, state, fresh, most, data) -> (state, segment), leading axis [chunk]."""
    spread, whole = (placement.spec for placement in placements(plan))
    devices = chunk_devices(plan.blocks)

    def chunk(members: Member, state: State, fresh: Any, most: Any, data: Any) -> tuple[State, Segment]:
        here = plan.blocks // len(devices)
        split, merge = _reshape((here, plan.block), 1), _reshape((here * plan.block,), 2)

        blocks = (split(members), split(state), split(fresh), split(most))
        first: tuple[Any, Any, Any, Any] = jax.tree.map(lambda a: a[0], blocks)
        empty = _empty(first[0], first[1], data, plan)
        if here == 1:
            return merge(jax.tree.map(lambda a: a[None], block_segment(*first, empty, data, plan)))

        def one(i: Any, done: tuple[State, Segment]) -> tuple[State, Segment]:
            at = partial(jax.lax.dynamic_index_in_dim, index=i, keepdims=False, allow_negative_indices=False)
            put = partial(jax.lax.dynamic_update_index_in_dim, index=i, axis=0, allow_negative_indices=False)
            members, state, fresh, most = jax.tree.map(at, (blocks[0], done[0], *blocks[2:]))
            return jax.tree.map(put, done, block_segment(members, state, fresh, most, empty, data, plan))

        done = blocks[1], jax.tree.map(lambda a: jnp.broadcast_to(a, (here, *a.shape)), empty)
        return merge(jax.lax.fori_loop(0, _busy(blocks[1].status, *blocks[2:]), one, done))

    return jax.shard_map(
        chunk,
        mesh=placements(plan)[0].mesh,
        in_specs=(spread, spread, spread, spread, whole),
        out_specs=(spread, spread),
        check_vma=False,
    )


def _busy(status: Any, fresh: Any, most: Any) -> Any:
    """How many blocks, leading axis [block, member], come up to the last one in which something is to be done: members
    that are left stand in the first ones."""
    waits = ~fresh & ((most == 0) | ((most > 0) & (status != RUNNING)))
    return jnp.max(jnp.where(jnp.all(waits, axis=1), 0, jnp.arange(1, len(most) + 1)))


def _reshape(lead: tuple[int, ...], drop: int) -> Any:
    """Reshape the first `drop` axes of every array to `lead`."""
    return lambda tree: jax.tree.map(lambda a: a.reshape(lead + a.shape[drop:]), tree)


def empty_state(plan: ProgramPlan, members: Member, data: Any) -> Any:
    """Shapes of a chunk's state, from one chunk of members. Kept, since tracing costs as much as a short training."""
    if not plan.has_code:
        return _empty_state(plan, members.numbers.shape, np.dtype(members.numbers.dtype).name)

    def first(members: Member, data: Any) -> State:
        runs, axes = _runs(members, data, plan)
        return jax.vmap(start, in_axes=(axes,))(runs)

    return jax.eval_shape(first, members, data)


@lru_cache(maxsize=256)
def _empty_state(plan: ProgramPlan, numbers: tuple[int, ...], dtype: str) -> Any:
    """As `empty_state`, without looking at a member's rows and at how its weights are drawn."""
    shapes = [(layout_of(plan).size,)] if plan.flat else layout_of(plan).shapes
    weights = tuple(jax.ShapeDtypeStruct((numbers[0], *shape), dtype) for shape in shapes)
    first = jax.vmap(lambda numbers, weights: state_at(Specs(plan, numbers), weights))
    return jax.eval_shape(first, jax.ShapeDtypeStruct(numbers, dtype), weights)
