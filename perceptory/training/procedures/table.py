"""Which procedure trains the members of a group."""

from __future__ import annotations

from perceptory.errors import InputError
from perceptory.optimizers.first_order import FirstOrder
from perceptory.optimizers.second_order import SecondOrder
from perceptory.training.plan import ProgramPlan
from perceptory.training.procedures.base import Procedure
from perceptory.training.procedures.first_order import Averaged, GradientSteps
from perceptory.training.procedures.second_order import Iterations
from perceptory.training.procedures.solved import Solved


def procedure_of(plan: ProgramPlan) -> Procedure:
    """The procedure for a plan's network and optimizer."""
    if plan.network.solved:
        return Solved()
    match plan.optimizer:
        case SecondOrder() as optimizer:
            return Iterations(optimizer)
        case FirstOrder() as optimizer:
            steps = GradientSteps(optimizer)
            return steps if plan.average is None else Averaged(steps, plan.average)
    raise InputError(
        f"an optimizer needs to be a FirstOrder or a SecondOrder, got a {type(plan.optimizer).__name__}."
        " Derive it from one of them."
    )
