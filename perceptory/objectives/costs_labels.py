"""The cost of several yes-or-no labels a row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from perceptory.errors import InputError
from perceptory.objectives.costs_base import Cost, diagonal, softplus
from perceptory.specs import register


@register
@dataclass(frozen=True)
class LabelCrossEntropy(Cost):
    """Σ over labels of -t ln y - (1 - t) ln(1 - y) with y = 1 / (1 + e^(-z)): each target is 0 or 1 by itself, and
    several may be 1 in a row (multi-label). The task is "regression"; predictions are the probabilities of 1.
    """

    tasks: ClassVar[tuple[str, ...]] = ("regression",)
    scaling: ClassVar[str] = "none"

    def per_row(self, output: jax.Array, target: jax.Array) -> jax.Array:
        return jnp.sum(softplus(output) - target * output, axis=-1)

    def working(self, target: jax.Array) -> jax.Array:
        return 4 * target - 2

    def curvature(self, output: jax.Array, target: jax.Array) -> jax.Array:
        return diagonal(jax.nn.sigmoid(output) * jax.nn.sigmoid(-output))

    def link(self, output: jax.Array) -> jax.Array:
        return jax.nn.sigmoid(output)

    def check_targets(self, targets: np.ndarray, names: tuple[str, ...]) -> None:
        values = targets.reshape(-1, targets.shape[-1])
        for name, column in zip(names, values.T, strict=True):
            if not np.all((column == 0) | (column == 1)):
                bad = column[(column != 0) & (column != 1)][0]
                raise InputError(f"LabelCrossEntropy needs targets of 0 and 1, and {name!r} holds {bad:g}.")
