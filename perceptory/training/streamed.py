"""Training on rows that do not fit into memory: the same program, a portion of the rows an epoch.

The program sees a table of one size: the rows of a portion, and below them the validation rows, which stay. Only the
portion changes from epoch to epoch, so what the program calls an epoch is a pass over a portion: after each the
members are validated, their best weights kept and their patience counted. All members of a chunk take the same
portions, and all of them begin with the first one, so a member's bits do not depend on where it stands.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, runtime_checkable

import jax
import numpy as np

from perceptory.training.driver import Chunk, Outcome
from perceptory.training.plan import Member, ProgramPlan
from perceptory.training.population import OUTPUTS, Segment
from perceptory.training.slots import EMPTY, fill_order
from perceptory.training.state import FINISHED, RUNNING


@runtime_checkable
class Portions(Protocol):
    """Where rows come from: [row, in + target + 1], inputs and targets less their center, and the weight."""

    def kept(self, center: np.ndarray) -> np.ndarray:
        """The rows that stay in memory: as many training rows as a portion has, and below them the validation rows."""
        ...

    def after(self, number: int, center: np.ndarray, tail: np.ndarray) -> Iterator[tuple[np.ndarray, int]]:
        """Portions without end from this number on, with the rows of `tail` below each, and how many rows each has."""
        ...


@dataclass
class Wave:
    """The members that stream together, and how far they are. members, fresh, source: as in `Slots`.

    number: portions done. state: arrays of the chunk's state, in the order of its tree; None before the first portion.
    costs: [portion, 2] by slot.
    """

    members: np.ndarray
    number: int = 0
    state: list[np.ndarray] | None = None
    costs: dict[int, list[np.ndarray]] = field(default_factory=lambda: defaultdict(list))

    @property
    def fresh(self) -> np.ndarray:
        return (self.members != EMPTY) & (self.number == 0)

    @property
    def source(self) -> np.ndarray:
        return np.arange(len(self.members))

    @property
    def occupied(self) -> np.ndarray:
        return np.flatnonzero(self.members != EMPTY)


@runtime_checkable
class Checkpoint(Protocol):
    """Keeps a wave on disk while it trains."""

    def due(self) -> bool:
        """Whether it is time to keep it again."""
        ...

    def keep(self, wave: Wave) -> None: ...

    def read(self) -> Wave | None:
        """What was kept last, if anything."""
        ...


def train_streamed(
    plan: ProgramPlan,
    members: Member,
    portions: Portions,
    *,
    waiting: Sequence[int],
    finished: Callable[[dict[int, Outcome]], None],
    progress: Callable[[int], None] | None = None,
    checkpoint: Checkpoint | None = None,
) -> None:
    """As `driver.train_group`. Outcomes have the outputs of the rows that stay in memory. checkpoint: from which a wave
    that was cut off goes on."""
    chunk = StreamedChunk(replace(plan, segment=1), members, portions)
    left, done = list(waiting), 0
    wave = checkpoint.read() if checkpoint else None
    while left:
        if wave is None:
            wave = Wave(np.full(plan.chunk, EMPTY))
            wave.members[fill_order(plan)[: len(left)]] = left[: plan.chunk]
        wave.members[~np.isin(wave.members, left)] = EMPTY  # what ended before it was cut off
        here = set(wave.members)
        for outcomes, trained in _portion_by_portion(chunk, wave, portions, checkpoint):
            done += trained
            if outcomes:
                finished(outcomes)
            if progress:
                progress(done)
        left = [place for place in left if place not in here]
        wave = None


def _portion_by_portion(
    chunk: StreamedChunk, wave: Wave, portions: Portions, checkpoint: Checkpoint | None
) -> Iterator[tuple[dict[int, Outcome], int]]:
    """Train a wave until all have ended: after each portion what ended with it, and how many members it trained."""
    if not len(wave.occupied):
        return
    chunk.begin(wave)
    for rows, count in portions.after(wave.number, chunk.center, chunk.tail):
        occupied = wave.occupied
        segment = chunk.train(rows, count, wave.fresh)
        wave.number += 1
        counters, records = chunk.counters, np.asarray(segment.records)
        for slot in occupied:
            wave.costs[int(slot)].append(records[slot, :1])
        ended = occupied[counters[occupied, 3] != RUNNING]
        outcomes = {}
        if len(ended):
            costs = {int(slot): np.concatenate(wave.costs.pop(int(slot))) for slot in ended}
            outcomes = chunk.outcomes(wave, costs, chunk.outputs())
            wave.members[ended] = EMPTY
        yield outcomes, len(occupied)
        if not len(wave.occupied):
            return
        if checkpoint and checkpoint.due():
            wave.state = chunk.state
            checkpoint.keep(wave)


class StreamedChunk(Chunk):
    """The members in hand, on whatever rows they are given."""

    def __init__(self, plan: ProgramPlan, members: Member, portions: Portions):
        self.center = members.center[0].astype(float).sum(axis=0)  # all members have the same scaling
        data = portions.kept(self.center)
        super().__init__(plan, members, data)
        self._kept, self._size = self._data, plan.rows
        self.tail = data[plan.rows :]

    def begin(self, wave: Wave) -> None:
        """Bring the members of a wave to their slots, with the states that they have."""
        self.place(wave)
        if wave.state is not None:
            state = jax.tree.unflatten(jax.tree.structure(self._state), wave.state)
            counters = state.counters.copy()
            counters[wave.members == EMPTY, 3] = FINISHED
            self._state = jax.device_put(state._replace(counters=counters), self._spread)

    def train(self, rows: np.ndarray, count: int, fresh: np.ndarray) -> Segment:
        """Train on a portion [plan.rows + tail, column] of so many rows."""
        self._data = jax.device_put(rows, self._whole)
        counts = np.full(len(fresh), count, np.int32)
        self._placed = self._placed._replace(count=jax.device_put(counts, self._spread))
        return self.advance(fresh, np.ones(len(fresh), np.int32))

    def outputs(self) -> np.ndarray:
        """[chunk, row, *outputs] of the rows that stay in memory, at the best weights; nobody is trained."""
        run: Any = self._program
        counts = jax.device_put(np.full(len(self.counters), self._size, np.int32), self._spread)
        counters = self.counters.copy()
        counters[:, 3] = FINISHED
        state = self._state._replace(counters=jax.device_put(counters, self._spread))
        fresh = jax.device_put(np.zeros(len(counters), bool), self._spread)
        most = jax.device_put(np.full(len(counters), OUTPUTS, np.int32), self._spread)
        _, segment = run(self._placed._replace(count=counts), state, fresh, most, self._kept)
        return np.asarray(segment.output)

    @property
    def state(self) -> list[np.ndarray]:
        """The arrays of all states."""
        return [np.asarray(a) for a in jax.tree.leaves(self._state)]
