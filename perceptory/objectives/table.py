"""Costs J between the network's output and the target, one number per row; training takes their weighted mean.

A cost also knows its inverse link: how the network's (linear) output becomes a prediction.
"""

from __future__ import annotations

from collections.abc import Callable

from perceptory import catalog
from perceptory.errors import InputError
from perceptory.objectives.base import Cost, mean_cost, total_cost
from perceptory.objectives.classification import SigmoidCrossEntropy, SigmoidSquaredError, SoftmaxCrossEntropy
from perceptory.objectives.custom import CustomCost, SavedCost
from perceptory.objectives.distribution import GaussianLikelihood, Quantile
from perceptory.objectives.labels import LabelCrossEntropy
from perceptory.objectives.reconstruction import Reconstruction
from perceptory.objectives.regression import AbsoluteError, GammaLikelihood, Huber, PoissonLikelihood, SquaredError
from perceptory.objectives.transformed import TransformedError
from perceptory.registry import Registry

__all__ = [
    "COSTS",
    "DEFAULT_COST",
    "AbsoluteError",
    "Cost",
    "CustomCost",
    "GammaLikelihood",
    "GaussianLikelihood",
    "Huber",
    "LabelCrossEntropy",
    "PoissonLikelihood",
    "Quantile",
    "Reconstruction",
    "SavedCost",
    "SigmoidCrossEntropy",
    "SigmoidSquaredError",
    "SoftmaxCrossEntropy",
    "SquaredError",
    "TransformedError",
    "check_task",
    "mean_cost",
    "total_cost",
]

COSTS: Registry[Callable[..., Cost]] = catalog.COSTS
DEFAULT_COST: dict[str, Cost] = {
    "regression": SquaredError(),
    "binary": SigmoidCrossEntropy(),
    "multiclass": SoftmaxCrossEntropy(),
    "autoencode": Reconstruction(),
}


def check_task(cost: Cost, task: str) -> None:
    """Raise `InputError` where a cost does not suit the task."""
    if task not in cost.tasks:
        fit = [name for name, make in COSTS.items() if task in make().tasks]
        raise InputError(f"the cost {type(cost).__name__} does not suit {task}. Costs that do: {', '.join(fit)}.")
