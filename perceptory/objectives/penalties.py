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

    strength: λ. p: 1 gives exact zeros; 2 (the usual) small weights; any p >= 1.

    For p = 1 the step is that of an orthant-wise method (Andrew & Gao 2007): the gradient is the least subgradient of
    the penalized cost, a weight that would change its sign stops at exactly 0, and one at 0 rests there while the cost
    pulls with less than λ. Its fixed points are the minima of E30 under every first-order optimizer, momentum and
    adaptive steps included, which a soft threshold by α λ promises for plain gradient descent only.
    """

    strength: float = traced(1e-4, check=not_negative)
    p: float = checked(2, check=at_least_one)

    def slope(self, gradient: jax.Array, weights: jax.Array, mask: jax.Array) -> jax.Array:
        """The cost's gradient with the penalty's, λ p |w|^(p-1) sign(w), where `mask` [weight] is 1."""
        if self.p == 1:
            limit = self.strength * mask
            resting = jnp.sign(gradient) * jnp.maximum(jnp.abs(gradient) - limit, 0)
            return jnp.where(weights != 0, gradient + limit * jnp.sign(weights), resting)
        if self.p == 2:
            return gradient + 2 * self.strength * mask * weights
        # |w|^(p-1) has no slope at 0 for p < 2, but it is only a value here: nothing differentiates it again.
        return gradient + self.strength * mask * self.p * jnp.abs(weights) ** (self.p - 1) * jnp.sign(weights)

    def settle(self, old: jax.Array, new: jax.Array, slope: jax.Array, mask: jax.Array) -> jax.Array:
        """For p = 1: exactly 0 for the weights that crossed 0 in this step or rest there; else `new` as it is."""
        if self.p != 1:
            return new
        stays = jnp.where(old != 0, old * new < 0, slope == 0)
        return jnp.where((mask > 0) & stays, 0, new)
