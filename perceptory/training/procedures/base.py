"""What every procedure offers."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from perceptory.training.run import Run, Specs
from perceptory.training.state import EpochResult, State
from perceptory.training.weights import Weights


@runtime_checkable
class Procedure(Protocol):
    """Moves a member's weights, an epoch at a time. Pure, and written for one member.

    A procedure holds no numbers and no arrays: what it needs of the member it reads from the run, and what it carries
    from epoch to epoch stands in `State.optimizer`, which nobody else looks into.
    """

    def begin(self, specs: Specs, weights: Weights) -> Any:
        """`State.optimizer` before the first epoch, from the starting weights."""
        ...

    def epoch(self, run: Run, state: State) -> EpochResult:
        """One pass over the training rows."""
        ...

    def diagnostics(self, optimizer: Any) -> dict[str, Any]:
        """What `State.optimizer` of members that have ended says that a person wants to know: name -> [member]."""
        ...
