"""The host's side of training: fills the slots of a chunk from a queue of members, runs segments, collects results.

Members that have finished leave their slots to waiting ones, and the rest are packed into as few blocks as they
fill, so a chunk's shape never changes and nothing is compiled again. Where a member stands does not change its bits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from perceptory.training.plan import Member, ProgramPlan, chunk_devices
from perceptory.training.population import placements
from perceptory.training.procedures.table import procedure_of
from perceptory.training.program_cache import cached_program
from perceptory.training.state import FINISHED, RUNNING, STATUS

EMPTY, FREED = -1, -2  # what a slot holds instead of a member: nothing since the last packing, or nothing any more


@dataclass
class Outcome:
    """One finished member. Outputs are on the scale that is trained on, at the best weights."""

    status: str
    epochs: int
    best_epoch: int
    weights: np.ndarray  # [weight]
    train_cost: np.ndarray  # [epoch]
    validation_cost: np.ndarray  # [epoch]
    train_output: np.ndarray  # [rows, *outputs]
    validation_output: np.ndarray  # [validation_rows, *outputs]
    facts: dict[str, float] = field(default_factory=dict)  # what its optimizer tells at the end


def outcome(
    plan: ProgramPlan,
    member: Member,
    counters: np.ndarray,
    best: Sequence[np.ndarray],
    cost: np.ndarray,
    output: np.ndarray,
) -> Outcome:
    """What a finished member leaves: its counters, best weights, costs [epoch, 2] and outputs of all its rows."""
    count, validation = int(member.count), int(member.validation_count)
    return Outcome(
        STATUS[counters[3]],
        int(counters[0]),
        int(counters[1]),
        np.concatenate([a.ravel() for a in best]),
        cost[:, 0],
        cost[:, 1],
        output[:count].copy(),
        output[plan.rows : plan.rows + validation].copy(),
    )


def train_group(
    plan: ProgramPlan,
    members: Member,
    data: Any,
    *,
    waiting: Sequence[int] | None = None,
    finished: Callable[[dict[int, Outcome]], None],
    progress: Callable[[int], None] | None = None,
) -> None:
    """Train a group's members; arrays of `members` are NumPy with a leading axis [member].

    waiting: places of the members to train, all by default. finished(outcomes by place) is called after each segment
    in which members ended; progress(epochs trained by all members together) after every segment.
    """
    spread, whole = placements(plan)
    data = jax.device_put(data, whole)
    queue = list(range(len(members.count)) if waiting is None else waiting)[::-1]
    slots = np.full(plan.chunk, EMPTY)
    run: Any = None
    state: Any = None
    host: Any = None
    costs: dict[int, list[np.ndarray]] = {}
    order = _fill_order(plan)
    epochs = 0
    while True:
        # Keep the running members, packed, and put waiting ones into the free slots.
        alive = slots[slots >= 0]
        kept = np.flatnonzero(slots >= 0)
        new = [queue.pop() for _ in range(min(len(queue), plan.chunk - len(alive)))]
        if not len(alive) and not new:
            return
        if state is None or new or np.any(slots == FREED):
            places = order[: len(alive) + len(new)]
            slots = np.full(plan.chunk, EMPTY)
            slots[places] = np.concatenate([alive, np.asarray(new, int)]).astype(int)
            fresh = np.zeros(plan.chunk, bool)
            fresh[places[len(alive) :]] = True
            batch = jax.tree.map(lambda a, s=slots: a[np.maximum(s, 0)], members)
            if state is None:
                run = cached_program(plan, batch, data)
                host = jax.tree.map(lambda s: np.zeros(s.shape, s.dtype), run.state)
                moved = host
            else:
                host = jax.tree.map(np.asarray, state)
                source = np.zeros(plan.chunk, int)
                source[places[: len(alive)]] = kept
                moved = jax.tree.map(lambda a, s=source: a[s], host)
            counters = moved.counters.copy()
            counters[slots < 0, 3] = FINISHED
            state = jax.device_put(moved._replace(counters=counters), spread)
            placed = jax.device_put(batch, spread)
            for m in new:
                costs[m] = []
        else:
            fresh = np.zeros(plan.chunk, bool)
        before = np.where(fresh, 0, np.asarray(state.counters)[:, 0])
        state, segment = run(placed, state, jax.device_put(fresh, spread), data)
        counters = np.asarray(state.counters)
        records = np.asarray(segment.records)
        used = slots >= 0
        epochs += int(np.sum((counters[:, 0] - before)[used]))
        for slot in np.flatnonzero(used):
            costs[slots[slot]].append(records[slot, : counters[slot, 0] - before[slot]])
        ended = np.flatnonzero(used & (counters[:, 3] != RUNNING))
        if len(ended):
            best = [np.asarray(a) for a in state.best]
            output = np.asarray(segment.output)
            diagnostics = procedure_of(plan).diagnostics(jax.tree.map(np.asarray, state.optimizer))
            outcomes = {}
            for slot in ended:
                member = int(slots[slot])
                cost = np.concatenate(costs.pop(member))
                one = jax.tree.map(lambda a, m=member: a[m], members)
                weights = [a[slot] for a in best]
                outcomes[member] = outcome(plan, one, counters[slot], weights, cost, output[slot])
                outcomes[member].facts = {k: float(a[slot]) for k, a in diagnostics.items() if np.isfinite(a[slot])}
            slots[ended] = FREED
            finished(outcomes)
        if progress:
            progress(epochs)


def _fill_order(plan: ProgramPlan) -> np.ndarray:
    """[chunk] the slots in the order in which they fill: whole blocks, taking the devices in turn."""
    devices = len(chunk_devices(plan.blocks))
    blocks = np.arange(plan.blocks).reshape(devices, -1).T.ravel()
    return (blocks[:, None] * plan.block + np.arange(plan.block)).ravel()
