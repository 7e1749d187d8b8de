"""Costs J between the network's output and the target, one number a row; training takes their weighted mean.

A cost also knows its link: how the network's (linear) output becomes a prediction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp

from perceptory.errors import InputError
from perceptory.registry import Table
from perceptory.specs import Spec, register


class Cost(Spec):
    """Base of costs. `tasks` names the tasks that it suits; all methods take [row, out] arrays, or [row, time, out]."""

    tasks: ClassVar[tuple[str, ...]] = ()

    def per_row(self, output: jax.Array, target: jax.Array) -> jax.Array:
        """[row] (or [row, time]) costs. output, target: [..., out] of equal shape."""
        raise NotImplementedError

    def working(self, target: jax.Array) -> jax.Array:
        """The outputs to aim at by least squares: one Newton step from outputs of 0."""
        return target

    def link(self, output: jax.Array) -> jax.Array:
        """The prediction: the output itself, or probabilities that sum to 1 over [row, class]."""
        return output


def total_cost(cost: Cost, output: jax.Array, target: jax.Array, weight: jax.Array) -> jax.Array:
    """Sum over rows (and steps) of cost times `weight` [row] or [row, time]. Refuses to broadcast, at trace time."""
    if output.shape != target.shape or weight.shape != output.shape[:-1]:
        raise InputError(
            f"a cost needs output and target of one shape and a weight a row, got {output.shape}, {target.shape}"
            f" and {weight.shape}."
        )
    return jnp.sum(cost.per_row(output, target) * weight)


def mean_cost(cost: Cost, output: jax.Array, target: jax.Array, weight: jax.Array) -> jax.Array:
    """Mean over rows, weighted by `weight` [row]; 0 where every weight is 0."""
    total = jnp.sum(weight)
    return total_cost(cost, output, target, weight) / jnp.where(total > 0, total, 1)


@register
@dataclass(frozen=True)
class SquaredError(Cost):
    """½ Σ (y - t)², summed over outputs; its minimum is the mean of the targets, ∂J/∂y = y - t (E16)."""

    tasks: ClassVar[tuple[str, ...]] = ("regression",)

    def per_row(self, output: jax.Array, target: jax.Array) -> jax.Array:
        return 0.5 * jnp.sum((output - target) ** 2, axis=-1)


@register
@dataclass(frozen=True)
class AbsoluteError(Cost):
    """‖y - t‖₁; its minimum is the median of the targets."""

    tasks: ClassVar[tuple[str, ...]] = ("regression",)

    def per_row(self, output: jax.Array, target: jax.Array) -> jax.Array:
        return jnp.sum(jnp.abs(output - target), axis=-1)


@register
@dataclass(frozen=True)
class SigmoidCrossEntropy(Cost):
    """-t ln y - (1 - t) ln(1 - y) with y = 1 / (1 + e^(-z)), from z, so that ∂J/∂z = y - t at any z."""

    tasks: ClassVar[tuple[str, ...]] = ("binary",)

    def per_row(self, output: jax.Array, target: jax.Array) -> jax.Array:
        softplus = jnp.maximum(output, 0) + jnp.log1p(jnp.exp(-jnp.abs(output)))
        return jnp.sum(softplus - target * output, axis=-1)

    def working(self, target: jax.Array) -> jax.Array:
        return 4 * target - 2

    def link(self, output: jax.Array) -> jax.Array:
        p = jax.nn.sigmoid(output)
        return jnp.concatenate([1 - p, p], axis=-1)


@register
@dataclass(frozen=True)
class SoftmaxCrossEntropy(Cost):
    """-Σ t ln y with y = softmax(z) and t one-hot; ∂J/∂z = y - t."""

    tasks: ClassVar[tuple[str, ...]] = ("multiclass",)

    def per_row(self, output: jax.Array, target: jax.Array) -> jax.Array:
        return -jnp.sum(target * jax.nn.log_softmax(output, axis=-1), axis=-1)

    def working(self, target: jax.Array) -> jax.Array:
        return target.shape[-1] * target - 1

    def link(self, output: jax.Array) -> jax.Array:
        return jax.nn.softmax(output, axis=-1)


COSTS: Table[type[Cost]] = Table(
    "cost",
    {
        "squared": SquaredError,
        "absolute": AbsoluteError,
        "sigmoid": SigmoidCrossEntropy,
        "softmax": SoftmaxCrossEntropy,
    },
)
DEFAULT_COST = {"regression": SquaredError(), "binary": SigmoidCrossEntropy(), "multiclass": SoftmaxCrossEntropy()}


def check_task(cost: Cost, task: str) -> None:
    """Raise `InputError` where a cost does not suit the task."""
    if task not in cost.tasks:
        fit = [name for name, c in COSTS.items() if task in c.tasks]
        raise InputError(f"the cost {type(cost).__name__} does not suit {task}. Costs that do: {', '.join(fit)}.")
