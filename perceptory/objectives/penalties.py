"""Weight penalties (E30)."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from perceptory.specs import Spec, at_least_one, checked, not_negative, register, traced


@register
@dataclass(frozen=True)
class WeightPenalty(Spec):
    """λ ‖w‖_p^p added to the cost (E30); biases are left out.

    strength: λ. p: 1 gives exact zeros, by a proximal step after each update; 2 (the usual) small weights; any p >= 1.
    """

    strength: float = traced(1e-4, check=not_negative)
    p: float = checked(2, check=at_least_one)

    def gradient(self, weights: jax.Array, mask: jax.Array) -> jax.Array:
        """λ p |w|^(p-1) sign(w) where `mask` [weight] is 1, else 0; zero for p = 1, which `proximal` handles."""
        if self.p == 1:
            return jnp.zeros_like(weights)
        if self.p == 2:
            return 2 * self.strength * mask * weights
        # |w|^(p-1) has no slope at 0 for p < 2, but it is only a value here: nothing differentiates it again.
        return self.strength * mask * self.p * jnp.abs(weights) ** (self.p - 1) * jnp.sign(weights)

    def proximal(self, weights: jax.Array, mask: jax.Array, step_size: jax.Array) -> jax.Array:
        """For p = 1 the soft threshold: weights shrink by step_size · λ and stop at exactly 0."""
        if self.p != 1:
            return weights
        limit = step_size * self.strength * mask
        return jnp.sign(weights) * jnp.maximum(jnp.abs(weights) - limit, 0)
