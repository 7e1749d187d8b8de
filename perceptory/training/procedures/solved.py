"""Networks that are solved: what they make of their training rows at the start is what they stay."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from perceptory.objectives.table import mean_cost
from perceptory.training.rows import judged_output
from perceptory.training.run import Run, Specs
from perceptory.training.state import EpochResult, State
from perceptory.training.weights import Weights


@dataclass(frozen=True)
class Solved:
    """For networks whose `prime` leaves nothing to an optimizer (`Network.solved`): an epoch only tells the cost."""

    def begin(self, specs: Specs, weights: Weights) -> Any:
        return ()

    def epoch(self, run: Run, state: State) -> EpochResult:
        rows = run.rows.first()
        output = run.rows.of_training(partial(judged_output, run.module(state.weights)))
        return EpochResult(state.weights, (), mean_cost(run.cost, output, rows.t, rows.w))

    def diagnostics(self, optimizer: Any) -> dict[str, Any]:
        return {}
