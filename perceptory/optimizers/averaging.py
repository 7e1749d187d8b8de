"""Averages of the weights over epochs: what is validated and kept is the average, what is trained is not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from perceptory.errors import InputError
from perceptory.specs import Spec, below_one, traced


def at_most_one(name: str, value: Any) -> None:
    if value == 1 and not isinstance(value, bool):
        return
    try:
        below_one(name, value)
    except InputError:
        raise InputError(f"{name} needs a number from 0 to 1, got {value!r}. Example: {name}=0.9") from None


@dataclass(frozen=True)
class WeightAverage(Spec):
    """a ← a + (w - a) (1 - β) / (1 - βⁿ) after the n-th averaged epoch: the mean of w with weights βᵏ, k epochs ago.

    decay: β. 1 is the plain mean of all epochs (stochastic weight averaging, Izmailov et al. 2018), below 1 an
    exponential moving average over about 1 / (1 - β) epochs, without a bias toward the start; 0 is no average.
    start: share of the epochs before the first that counts; until then a = w.

    Validation, early stopping and the model take a; the optimizer goes on from w. Batch normalization takes its
    statistics at a. Exact zeros of a weight penalty are zeros of a where they were so in every averaged epoch.
    """

    decay: float = traced(0.9, check=at_most_one)
    start: float = traced(0.0, check=below_one)

    def after(self, average: Any, weights: Any, epoch: Any, epochs: Any) -> Any:
        """The new average. average, weights: tuples of arrays; epoch: the one that has ended, from 1; epochs: all."""
        dtype = jax.tree.leaves(weights)[0].dtype
        n = jnp.maximum(epoch - jnp.floor(self.start * epochs), 1).astype(dtype)
        decay = jnp.asarray(self.decay, dtype)
        below = jnp.minimum(decay, 1 - 1e-6)
        share = jnp.where(decay == 1, 1 / n, (1 - below) / -jnp.expm1(n * jnp.log(jnp.maximum(below, 1e-30))))
        return jax.tree.map(lambda a, w: a + share * (w - a), average, weights)

    @property
    def label(self) -> str:
        return f"average {self.decay:.3g}"
