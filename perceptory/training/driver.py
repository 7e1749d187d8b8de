"""The host's side of training: runs segments of a chunk of members, lets waiting members in and collects finished ones.

Where a member stands does not change its bits.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import jax
import numpy as np

from perceptory.training.pace import Pace
from perceptory.training.plan import Member, ProgramPlan
from perceptory.training.population import OUTPUTS, Segment, placements
from perceptory.training.procedures.table import procedure_of
from perceptory.training.program_cache import Program, cached_program
from perceptory.training.slots import EMPTY, Slots, Standing
from perceptory.training.state import FINISHED, RUNNING, STATUS


@dataclass
class Outcome:
    """One finished member. Outputs are on the scale that is trained on, at the best weights."""

    status: str
    epochs: int
    best_epoch: int
    weights: np.ndarray  # [weight]
    train_cost: np.ndarray  # [epoch]
    validation_cost: np.ndarray  # [epoch]
    train_output: np.ndarray  # [rows, *outputs], or of the rows that are shown (`ProgramPlan.shown`)
    validation_output: np.ndarray  # [validation_rows, *outputs]
    facts: dict[str, float] = field(default_factory=dict)  # `Procedure.diagnostics` at the end
    # [objective, 2, epoch] training and validation cost of each auxiliary objective
    auxiliary: np.ndarray = field(default_factory=lambda: np.zeros((0, 2, 0)))


def outcome(
    plan: ProgramPlan,
    member: Member,
    counters: np.ndarray,
    best: Sequence[np.ndarray],
    cost: np.ndarray,
    output: np.ndarray,
) -> Outcome:
    """What a finished member leaves: its counters, best weights, costs [epoch, recorded], outputs of all its rows."""
    count, validation = int(member.count), int(member.validation_count)
    first = plan.rows
    if plan.shown:
        count, first = int(np.sum(member.shown >= 0)), plan.shown
    return Outcome(
        STATUS[counters[3]],
        int(counters[0]),
        int(counters[1]),
        np.concatenate([a.ravel() for a in best]),
        cost[:, 0],
        cost[:, 1],
        output[:count].copy(),
        output[first : first + validation].copy(),
        auxiliary=np.ascontiguousarray(np.moveaxis(cost[:, 2:].reshape(len(cost), (cost.shape[1] - 2) // 2, 2), 0, 2)),
    )


@dataclass
class Running:
    """Members in the middle of their training: with their states they go on to the same bits."""

    places: np.ndarray  # [member] in the group
    state: list[np.ndarray]  # leaves of `State`, each [member, ...]
    costs: list[np.ndarray]  # of each member [epoch, 2], so far


def further(one: Running | None, other: Running | None) -> Running | None:
    """Of members that both hold, the states after more epochs; and all others of both."""
    if one is None or other is None:
        return other if one is None else one
    states = {int(p): (one, i) for i, p in enumerate(one.places)}
    for i, place in enumerate(other.places):
        mine = states.get(int(place))
        if mine is None or len(mine[0].costs[mine[1]]) < len(other.costs[i]):
            states[int(place)] = (other, i)
    leaves = [np.stack([of.state[k][i] for of, i in states.values()]) for k in range(len(one.state))]
    return Running(np.array(list(states)), leaves, [of.costs[i] for of, i in states.values()])


@dataclass(frozen=True)
class Pause:
    """Members are taken out of training after so many epochs, and handed over: their states, and outcomes by place as
    if they had ended."""

    epochs: int
    paused: Callable[[Running, dict[int, Outcome]], None]

    def at_most(self, most: np.ndarray, before: np.ndarray, slots: Slots, plan: ProgramPlan) -> np.ndarray:
        """[chunk] epochs of a segment that takes no member beyond the pause, with outputs where it gets there; before:
        [chunk] epochs that each has."""
        held = slots.members != EMPTY
        left = np.where(held, self.epochs - before, self.epochs).reshape(-1, plan.block).min(axis=1)
        used = held.reshape(-1, plan.block).any(axis=1)
        left, used = np.repeat(left, plan.block), np.repeat(used, plan.block)
        return np.where(most < left, most, np.where(used, OUTPUTS - left, 0)).astype(np.int32)


def train_group(
    plan: ProgramPlan,
    members: Member,
    data: Any,
    *,
    waiting: Sequence[int] | None = None,
    running: Running | None = None,
    finished: Callable[[dict[int, Outcome]], None],
    progress: Callable[[int], None] | None = None,
    look: Callable[[Callable[[], Running]], None] | None = None,
    pause: Pause | None = None,
    pace: Pace | None = None,
) -> None:
    """Train a group's members; arrays of `members` are NumPy with a leading axis [member].

    waiting: places of the members to train, all by default. running: states that some of them go on from.
    finished(outcomes by place) is called after each segment in which members ended; progress(epochs trained by all
    members together) after every segment; look(how to get the states of the members in hand) as well. pause: where
    members are to stand still, to go on later as `running`. pace: what is known already of how long epochs take.
    """
    slots = Slots(plan, range(len(members.count)) if waiting is None else waiting)
    chunk = Chunk(plan, members, data, running)
    costs: dict[int, list[np.ndarray]] = defaultdict(list)
    epochs, pace = 0, pace or Pace(plan)
    while slots.fill():
        if slots.source is not None:
            costs |= chunk.place(slots)
        before = np.where(slots.fresh, 0, chunk.counters[:, 0])
        begun = time.perf_counter()
        most = pace.epochs(slots.occupied)
        most = most if pause is None else pause.at_most(most, before, slots, plan)
        segment = chunk.advance(slots.fresh, most)
        counters, records = chunk.counters, np.asarray(segment.records)
        trained = counters[:, 0] - before
        pace.measured(trained, time.perf_counter() - begun)
        for slot in slots.occupied:
            costs[int(slots.members[slot])].append(records[slot, : trained[slot]])
        epochs += int(np.sum(trained[slots.occupied]))
        ended = np.flatnonzero((slots.members != EMPTY) & (counters[:, 3] != RUNNING))
        if len(ended):
            costs_by_slot = {int(slot): np.concatenate(costs.pop(slots.members[slot])) for slot in ended}
            outcomes = chunk.outcomes(slots, costs_by_slot, np.asarray(segment.output))
            slots.release(ended)
            finished(outcomes)
        if pause is not None:
            _take_out(pause, chunk, slots, costs, segment)
        if look:
            look(partial(chunk.running, slots, costs))
        if progress:
            progress(epochs)


def _take_out(pause: Pause, chunk: Chunk, slots: Slots, costs: Any, segment: Segment) -> None:
    """Hand over the members that have come to the pause in this segment, and free their slots."""
    here = np.flatnonzero((slots.members != EMPTY) & (chunk.counters[:, 0] >= pause.epochs))
    if not len(here):
        return
    running = chunk.running(slots, costs, here)
    by_slot = {int(slot): cost for slot, cost in zip(here, running.costs, strict=True)}
    outcomes = chunk.outcomes(slots, by_slot, np.asarray(segment.output))
    for place in running.places:
        costs.pop(int(place))
    slots.release(here)
    pause.paused(running, outcomes)


class Chunk:
    """The members in hand, on the devices."""

    def __init__(self, plan: ProgramPlan, members: Member, data: Any, running: Running | None = None):
        self._plan, self._members = plan, members
        self._begun = {} if running is None else {int(place): i for i, place in enumerate(running.places)}
        self._running = running
        self._spread, self._whole = placements(plan)
        self._data = jax.device_put(data, self._whole)
        self._program: Program | None = None
        self._state: Any = None
        self._placed: Any = None

    def place(self, slots: Standing) -> dict[int, list[np.ndarray]]:
        """Bring members and states to where `slots` has them. Fresh ones that have been trained before get the states
        that they had, and are fresh no more; their costs by place."""
        batch = jax.tree.map(lambda a: a[np.maximum(slots.members, 0)], self._members)
        if self._program is None:
            self._program = cached_program(self._plan, batch, self._data)
            state = jax.tree.map(lambda s: np.zeros(s.shape, s.dtype), self._program.state)
        else:
            state = jax.tree.map(lambda a: np.asarray(a)[slots.source], self._state)
        leaves, tree = jax.tree.flatten(state)
        costs = self._go_on(slots, leaves)
        state = jax.tree.unflatten(tree, leaves)
        counters = state.counters.copy()
        counters[slots.members == EMPTY, 3] = FINISHED
        self._state, self._placed = jax.device_put((state._replace(counters=counters), batch), self._spread)
        self._program.make()  # apart from the first segment, whose time tells how long one may be
        return costs

    def _go_on(self, slots: Standing, leaves: list[np.ndarray]) -> dict[int, list[np.ndarray]]:
        begun = self._running
        here = [slot for slot in np.flatnonzero(slots.fresh) if int(slots.members[slot]) in self._begun]
        if begun is None or [(a.shape[1:], a.dtype) for a in begun.state] != [(a.shape[1:], a.dtype) for a in leaves]:
            return {}
        places = [int(slots.members[slot]) for slot in here]
        which = [self._begun[place] for place in places]
        for leaf, values in zip(leaves, begun.state, strict=True):
            leaf[here] = values[which]
        slots.fresh[here] = False
        return {place: [begun.costs[i]] for place, i in zip(places, which, strict=True)}

    def running(self, slots: Slots, costs: Mapping[Any, list[np.ndarray]], here: np.ndarray | None = None) -> Running:
        """The members in hand, or those of the slots `here`, as they stand; costs [epoch, 2] by place, in pieces."""
        here = slots.occupied if here is None else here
        places = slots.members[here]
        state = [np.asarray(a)[here] for a in jax.tree.leaves(self._state)]
        return Running(places, state, [np.concatenate(costs[int(place)]) for place in places])

    def advance(self, fresh: np.ndarray, most: np.ndarray) -> Segment:
        """Run a segment; fresh [chunk]: members that begin with it; most [chunk]: epochs."""
        run: Any = self._program
        fresh, most = jax.device_put((fresh, most), self._spread)
        self._state, segment = run(self._placed, self._state, fresh, most, self._data)
        return segment

    @property
    def counters(self) -> np.ndarray:
        """[chunk, 4] of `State`."""
        return np.asarray(self._state.counters)

    def outcomes(self, slots: Standing, costs: dict[int, np.ndarray], output: np.ndarray) -> dict[int, Outcome]:
        """What members that have ended leave, by place; costs [epoch, recorded] by slot, output [chunk, ...]."""
        best, counters = [np.asarray(a) for a in self._state.best], self.counters
        diagnostics = procedure_of(self._plan).diagnostics(self._state.optimizer)
        diagnostics = {name: np.asarray(a) for name, a in diagnostics.items()}
        outcomes = {}
        for slot, cost in costs.items():
            place = int(slots.members[slot])
            member = jax.tree.map(lambda a, place=place: a[place], self._members)
            weights = [a[slot] for a in best]
            ended = outcome(self._plan, member, counters[slot], weights, cost, output[slot])
            ended.facts = {name: float(a[slot]) for name, a in diagnostics.items() if np.isfinite(a[slot])}
            outcomes[place] = ended
        return outcomes
