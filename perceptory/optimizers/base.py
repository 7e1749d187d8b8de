"""What every optimizer is to a study: a spec that says how many rows it looks at before it moves the weights.

How it moves them is one of two things, and training chooses its procedure by which one it is: `FirstOrder`
(`first_order.py`) makes an update of the gradient of a batch, `SecondOrder` (`second_order.py`) makes an iteration of
the whole cost.
"""

from __future__ import annotations

from typing import Any, ClassVar

from perceptory.optimizers.schedules import rate_label
from perceptory.specs import Spec


class Optimizer(Spec):
    """Base of optimizers. precision: what a study with it computes in where it does not say."""

    precision: ClassVar[str] = "single"
    learning_rate: Any

    def step_rows(self, batch: int, rows: int) -> int:
        """Rows that a step looks at, of a batch size and all training rows."""
        return min(batch, rows)

    def diagnostics(self, state: Any) -> dict[str, Any]:
        """Name -> a number a member: what the state of members that have ended says that a person wants to know."""
        return {}

    @property
    def label(self) -> str:
        return f"{type(self).__name__} {rate_label(self.learning_rate)}"
