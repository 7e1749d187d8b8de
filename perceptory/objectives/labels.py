"""The cost of several yes-or-no labels per row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from perceptory.errors import InputError
from perceptory.later import later
from perceptory.objectives.base import SigmoidLikelihood

if TYPE_CHECKING:
    import jax
else:
    (jax,) = later("jax")


@dataclass(frozen=True)
class LabelCrossEntropy(SigmoidLikelihood):
    """Σ over labels of -t ln y - (1 - t) ln(1 - y) with y = 1 / (1 + e^(-z)): each target is 0 or 1 by itself, and
    several may be 1 in a row (multi-label). The task is "regression"; predictions are the probabilities of 1.
    """

    tasks: ClassVar[tuple[str, ...]] = ("regression",)
    scaling: ClassVar[str] = "none"

    def inverse_link(self, output: jax.Array) -> jax.Array:
        return jax.nn.sigmoid(output)

    def check_targets(self, targets: np.ndarray, names: tuple[str, ...]) -> None:
        values = targets.reshape(-1, targets.shape[-1])
        for name, column in zip(names, values.T, strict=True):
            if not np.all((column == 0) | (column == 1)):
                bad = column[(column != 0) & (column != 1)][0]
                raise InputError(f"LabelCrossEntropy needs targets of 0 and 1, and {name!r} holds {bad:g}.")
