"""What a training step does to a gradient beside the optimizer: small pure Optax transformations, to be chained.

Each takes None for what a study leaves out and is then `optax.identity`. Gradients, updates and weights are tuples of
arrays; a mask has their structure. None of them carries anything from step to step, so a chain of them carries what
its optimizer does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from perceptory.objectives.penalties import Penalty
from perceptory.optimizers.clipping import Clip


def stateless(function: Callable[[Any, Any, dict[str, Any]], Any]) -> optax.GradientTransformationExtraArgs:
    """The transformation u ← function(u, w, extra arguments)."""

    def update(updates: Any, state: Any, params: Any = None, **extra: Any) -> tuple[Any, Any]:
        return function(updates, params, extra), state

    return optax.GradientTransformationExtraArgs(lambda params: optax.EmptyState(), update)


def penalized(penalty: Penalty | None, strength: Any) -> optax.GradientTransformationExtraArgs:
    """g ← g + ∇(penalty) [E30]; strength: a mask, by how much of the penalty's own each weight is penalized."""
    if penalty is None:
        return optax.with_extra_args_support(optax.identity())
    return stateless(lambda g, w, _: jax.tree.map(penalty.slope, g, w, strength))


def clipped(clip: Clip | None, moved: Any) -> optax.GradientTransformationExtraArgs:
    """g ← g, made smaller where it is too large; moved: a mask of what the optimizer moves, or None for everything."""
    if clip is None:
        return optax.with_extra_args_support(optax.identity())
    return stateless(lambda g, w, _: clip.apply(g, moved))


def scaled(factors: Any) -> optax.GradientTransformationExtraArgs:
    """u ← f u by weight: f is 0 for what no optimizer moves, below 1 for what is to move slowly. None is 1 for all."""
    if factors is None:
        return optax.with_extra_args_support(optax.identity())
    return stateless(lambda u, w, _: jax.tree.map(jnp.multiply, u, factors))


def exact_zeros(
    penalty: Penalty | None, strength: Any, inner: optax.GradientTransformation
) -> optax.GradientTransformationExtraArgs:
    """The update of `inner`, but with a 1-norm in the penalty -w where a weight crosses 0 or rests there, so that w + u
    is exactly 0 (`Penalty.rests`).

    It stands around the optimizer, since it looks at both the slope that goes in and the step that comes out.
    """
    inner = optax.with_extra_args_support(inner)
    if penalty is None or not penalty.zeros:
        return inner

    def update(slope: Any, state: Any, params: Any = None, **extra: Any) -> tuple[Any, Any]:
        updates, state = inner.update(slope, state, params, **extra)

        def stop(u: Any, w: Any, g: Any, strength: Any) -> Any:
            return jnp.where(penalty.rests(w, w + u, g, strength), -w, u)

        return jax.tree.map(stop, updates, params, slope, strength), state

    return optax.GradientTransformationExtraArgs(inner.init, update)
