"""Gradient clipping: what the optimizer sees of a gradient that is too large (Pascanu, Mikolov & Bengio 2013).

Without it one steep place of the cost, as long recurrences have them, throws the weights far away.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import Any

import jax
import jax.numpy as jnp

from perceptory.specs import Spec, positive, traced


class Clip(Spec):
    """Base of gradient clipping."""

    def apply(self, gradient: Any, moved: Any = None) -> Any:
        """The clipped gradient, a tuple of arrays of one network.

        moved: of the same structure, 0 for what the optimizer does not move, or None where it moves everything.
        """
        raise NotImplementedError

    @property
    def label(self) -> str:
        raise NotImplementedError


@dataclass(frozen=True)
class ClipByNorm(Clip):
    """g ← g · min(1, c / ‖g‖₂), with the norm over all weights and biases of the network together.

    limit: c, in the units of the mean cost's gradient; steps keep their direction. With a penalty g is the gradient of
    the penalized cost, so that its minima stay where they are. An infinite gradient is not clipped: the member ends as
    diverged.
    """

    limit: float = traced(1.0, check=positive)

    def apply(self, gradient: Any, moved: Any = None) -> Any:
        if moved is not None:
            gradient = jax.tree.map(jnp.multiply, gradient, moved)
        arrays = jax.tree.leaves(gradient)
        # In units of the largest entry, so that no square overflows just where clipping matters most.
        largest = reduce(jnp.maximum, [jnp.max(jnp.abs(g), initial=0) for g in arrays])
        largest = jnp.where(largest > 0, largest, 1)
        length = jnp.sqrt(sum(jnp.sum((g / largest) ** 2) for g in arrays))
        over = largest * length > self.limit
        return jax.tree.map(lambda g: jnp.where(over, g / largest * (self.limit / length), g), gradient)

    @property
    def label(self) -> str:
        return f"clip norm {self.limit:.3g}"


@dataclass(frozen=True)
class ClipByValue(Clip):
    """g ← min(max(g, -c), c), each number by itself; the direction changes. limit: c."""

    limit: float = traced(1.0, check=positive)

    def apply(self, gradient: Any, moved: Any = None) -> Any:
        return jax.tree.map(lambda g: jnp.clip(g, -self.limit, self.limit), gradient)

    @property
    def label(self) -> str:
        return f"clip value {self.limit:.3g}"
