"""Second order: an epoch is one iteration of an optimizer that sees the whole cost."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from perceptory.objectives.parts import objective_costs, parts_of
from perceptory.optimizers.second_order import SecondOrder
from perceptory.training.landscape import landscape, penalty_of
from perceptory.training.rows import output_of
from perceptory.training.run import Run, Specs
from perceptory.training.state import RUNNING, EpochResult, State
from perceptory.training.weights import Weights, vector_of, with_vector


@dataclass(frozen=True)
class Iterations:
    """One iteration an epoch, on the vector of what the optimizer moves; members that have ended do not move."""

    optimizer: SecondOrder  # its numbers left open

    def begin(self, specs: Specs, weights: Weights) -> Any:
        return specs.filled(self.optimizer).begin(vector_of(weights, specs.plan))

    def epoch(self, run: Run, state: State) -> EpochResult:
        whole_cost = landscape(run, state.weights, state.status == RUNNING, run.progress(state.epoch))
        vector = vector_of(state.weights, run.plan)
        moved = run.filled(self.optimizer).iterate(whole_cost, vector, self._carried(run, state))
        weights, cost, others = with_vector(state.weights, moved.w, run.plan), moved.cost, ()
        if parts_of(run.cost):
            rows = run.rows.first()
            output = run.rows.of_training(partial(output_of, run.module(weights)))
            cost, others = objective_costs(run.cost, output, rows.t, rows.w)
        else:
            cost = cost - penalty_of(run)(moved.w)[0]
        return EpochResult(weights, moved.state, cost, moved.settled, others)

    def _carried(self, run: Run, state: State) -> Any:
        """The optimizer's state, anew where a first phase has ended (`Network.opening`): what was learned of another
        cost, such as a damping, is of no use to this one."""
        network = run.network
        opening = network.opening(run.progress(state.epoch))
        if opening is None:
            return state.optimizer
        changed = ~opening & network.opening(run.progress(state.epoch - 1))
        fresh = self.begin(run, state.weights)
        return jax.tree.map(lambda a, b: jnp.where(changed, a, b), fresh, state.optimizer)

    def diagnostics(self, optimizer: Any) -> dict[str, Any]:
        return self.optimizer.diagnostics(optimizer)
