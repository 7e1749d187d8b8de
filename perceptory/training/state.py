"""What a member carries from epoch to epoch, and the book-keeping after each."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from perceptory.training.run import Run
from perceptory.training.weights import Weights

PARTS = 8  # of validation rows
RUNNING, FINISHED, STOPPED, DIVERGED = 0, 1, 2, 3
STATUS = ("running", "finished", "stopped", "diverged")


class Crossed(NamedTuple):
    """What each part of the validation rows, every `PARTS`-th, is predicted at the epoch that is best for all other
    parts: no row has a say in the epoch of its own prediction, as it has in that of the best weights. An estimate from
    these outputs is not flattered by early stopping."""

    least: Any  # [part] the least cost so far, of all rows but the part's
    output: Any  # [validation_rows, *outputs]

    @classmethod
    def begun(cls, rows: int, outputs: tuple[int, ...], dtype: Any) -> Crossed:
        return cls(jnp.full(PARTS, jnp.inf, dtype), jnp.zeros((rows, *outputs), dtype))

    def after(self, costs: Any, output: Any, counts: Any) -> Crossed:
        """costs: [part] after an epoch, of all rows but the part's; output: of all rows; counts: whether the epoch
        does."""
        better = counts & (costs < self.least)
        taken = better[jnp.arange(len(output)) % PARTS]
        taken = taken.reshape(taken.shape + (1,) * (output.ndim - 1))
        return Crossed(jnp.where(better, costs, self.least), jnp.where(taken, output, self.output))


class State(NamedTuple):
    """Few arrays: the cost of a loop grows with their number. In a population each has a leading axis [member]."""

    weights: Weights
    best: Weights  # those of the best epoch so far
    optimizer: Any  # what the procedure carries beside them (`Procedure.begin`)
    best_cost: Any
    counters: Any  # [4] int32, read by the properties below
    crossed: Any = ()  # `Crossed`, of a plan that asks for it

    @property
    def epoch(self) -> Any:
        """Epochs done."""
        return self.counters[..., 0]

    @property
    def best_epoch(self) -> Any:
        """Counts from 1."""
        return self.counters[..., 1]

    @property
    def waited(self) -> Any:
        """Epochs since the best one."""
        return self.counters[..., 2]

    @property
    def status(self) -> Any:
        return self.counters[..., 3]


class EpochResult(NamedTuple):
    """Where a procedure has brought the weights in an epoch."""

    weights: Weights
    optimizer: Any
    cost: Any  # mean cost of the training rows, without penalty; of the main objective alone
    settled: Any = False  # no epoch to come will change anything
    others: Any = ()  # [part] mean cost of each auxiliary objective


def advance(run: Run, state: State, result: EpochResult, validation_cost: Any, parts: Any = None) -> State:
    """The state after an epoch: best so far, patience, divergence.

    parts: of a plan with `crossed` the costs without each part, and the outputs (`Crossed.after`).

    What is judged is the network as it will be used, so the best weights may be of any phase; but no member stops or
    diverges by what is judged before a first phase has ended (`Network.opening`), and none runs out of patience while
    what it was given still rests (`GivenStart`).

    Of a member that has stopped, what counts does not change: its best weights, their cost, its counters. Its last
    weights move on with its block, since to hold them would copy all of them in every epoch.
    """
    validated = run.plan.validation_rows > 0
    running = state.status == RUNNING
    epoch = state.epoch + 1
    judged = validation_cost if validated else result.cost
    finite = jnp.isfinite(result.cost) & jnp.isfinite(sum(jnp.sum(w) for w in result.weights))
    opening = run.network.opening(run.progress(state.epoch))
    excused = (False if opening is None else opening) & (epoch < run.epochs)
    finite = finite & (jnp.isfinite(judged) | excused)
    # Without validation rows, and where these are not to choose an epoch, the last weights are the best.
    better = running & finite & (((judged < state.best_cost) | (run.patience < 0)) if validated else True)
    patient = excused | resting(run, state.epoch)
    waited = jnp.where(better | patient, 0, state.waited + 1)
    out_of_patience = ((run.patience > 0) & (waited >= run.patience)) | (result.settled & ~excused)
    status = jnp.where(epoch >= run.epochs, FINISHED, jnp.where(out_of_patience, STOPPED, RUNNING))
    status = jnp.where(finite, status, DIVERGED)
    counters = jnp.stack([epoch, jnp.where(better, epoch, state.best_epoch), waited, status]).astype(jnp.int32)
    best = jax.tree.map(lambda a, b: jnp.where(better, a, b), result.weights, state.best)
    best_cost = jnp.where(better, judged, state.best_cost)
    crossed = state.crossed if parts is None else state.crossed.after(*parts, running & finite)
    counters = jnp.where(running, counters, state.counters)
    return State(result.weights, best, result.optimizer, best_cost, counters, crossed)


def resting(run: Run, epoch: Any) -> Any:
    """Whether weights that the member was given rest after so many epochs, to move later."""
    return run.start.resting(run.progress(epoch)) if run.start is not None and run.start.thaws else False
