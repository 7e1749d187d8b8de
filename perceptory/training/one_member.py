"""One member by itself: from the start or from weights that it has already, with somebody looking on.

`driver` fills the slots of a chunk from a queue; here is a chunk of one, its state kept for training that goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from perceptory.training.driver import Outcome, outcome
from perceptory.training.epoch import state_at
from perceptory.training.plan import Member, ProgramPlan
from perceptory.training.population import OUTPUTS, placements
from perceptory.training.program_cache import cached_program
from perceptory.training.run import Specs
from perceptory.training.state import FINISHED, RUNNING
from perceptory.training.weights import layout_of

Watch = Callable[[np.ndarray, Callable[[], np.ndarray]], Any]


def train_single(
    plan: ProgramPlan, member: Member, data: Any, *, state: Any = None, watch: Watch | None = None, each: bool = False
) -> tuple[Outcome, Any]:
    """Train one member; its arrays are NumPy with a leading axis [1]. Returns its outcome and its state (NumPy).

    state: an earlier state to go on from, its counters reset by `resumed`; None starts anew.
    watch(costs [epoch, 2] that are new, weights) is called after every segment, where weights() gives the best weights
    so far [weight]; if it returns True, training ends there. each: segments of a single epoch.
    """
    plan = replace(plan, block=1, blocks=1, segment=1 if each else plan.segment)
    spread, whole = placements(plan)
    data, placed = jax.device_put(data, whole), jax.device_put(member, spread)
    run = cached_program(plan, member, data)
    fresh, most = np.array([state is None]), np.array([plan.segment], np.int32)
    if state is None:
        state = jax.tree.map(lambda s: np.zeros(s.shape, s.dtype), run.state)
    first = 0 if fresh[0] else int(state.counters[0, 0])
    state = jax.device_put(state, spread)
    costs: list[np.ndarray] = []
    done = first
    while True:
        state, segment = run(placed, state, *jax.device_put((fresh, most), spread), data)
        fresh = np.array([False])
        counters = np.asarray(state.counters)[0]
        new = np.asarray(segment.records)[0, : counters[0] - done].astype(float)
        costs.append(new)
        done = int(counters[0])
        stop = bool(watch(new, partial(_vector, state))) if watch and len(new) else False
        if counters[3] != RUNNING:
            break
        if stop:  # one more call, in which no epoch is trained: it gives the outputs
            ended = np.array(state.counters)
            ended[0, 3] = FINISHED
            state = state._replace(counters=jax.device_put(ended, spread))
            most = np.array([OUTPUTS], np.int32)
    one = jax.tree.map(lambda a: a[0], member)
    result = outcome(plan, one, counters, _best(state), np.concatenate(costs), np.asarray(segment.output)[0])
    return replace(result, epochs=done - first), jax.tree.map(np.asarray, state)


def _best(state: Any) -> list[np.ndarray]:
    return [np.asarray(a)[0] for a in state.best]


def _vector(state: Any) -> np.ndarray:
    return np.concatenate([a.ravel() for a in _best(state)])


def state_from(plan: ProgramPlan, member: Member, vector: np.ndarray) -> Any:
    """The state (NumPy) of a member that begins with these weights [weight] in place of random ones.

    member: its arrays with a leading axis [1], as in `train_single`.
    """
    shapes = layout_of(plan).shapes
    parts = np.split(vector, np.cumsum([int(np.prod(s)) for s in shapes])[:-1])
    weights: Any = (vector,) if plan.flat else tuple(p.reshape(s) for p, s in zip(parts, shapes, strict=True))
    specs = Specs(plan, jnp.asarray(member.numbers[0]))
    return jax.tree.map(lambda a: np.asarray(a)[None], state_at(specs, jax.tree.map(jnp.asarray, weights)))


def resumed(state: Any) -> Any:
    """The state ready to go on: from the best weights, with nothing judged yet. Epochs go on counting."""
    counters = state.counters.copy()
    counters[:, 2:] = (0, RUNNING)
    best_cost = np.full_like(state.best_cost, np.inf)
    crossed = state.crossed and state.crossed._replace(least=np.full_like(state.crossed.least, np.inf))
    return state._replace(weights=state.best, best_cost=best_cost, counters=counters, crossed=crossed)
