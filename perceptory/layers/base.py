"""Layers: Equinox modules that take `[batch, ...]` and an optional key. A key means training, none means use.

A layer that needs more than its input names it in `takes`: "weights" [batch] are the rows' shares of the cost (0 for
padding), "lengths" [batch] int32 the rows' own numbers of time steps; `Sequential` and `Skip` hand them on. "progress"
is the share of the training that is done, in training alone; "judged" is True where training asks for the outputs of
the network as in use, and for no derivative of them.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp


class Fixed(eqx.Module):
    """Holds an array that is part of a module but never trained, such as a rate or a fixed center."""

    value: jax.Array


def fixed_number(value: Any) -> Fixed:
    """A number of a spec (a float or a tracer) as a part of a module that is never trained."""
    return Fixed(jnp.asarray(value, jnp.result_type(float)))


class Costed(eqx.Module):
    """Such a module as a layer that gives (output, what is added to the cost of each row [row])."""

    inner: Any  # with a method `with_added_cost`

    @property
    def takes(self) -> tuple[str, ...]:
        taken: tuple[str, ...] = self.inner.takes
        return taken

    def __call__(self, x: jax.Array, key: jax.Array | None = None, **more: Any) -> tuple[jax.Array, jax.Array]:
        pair: tuple[jax.Array, jax.Array] = self.inner.with_added_cost(x, key, **more)
        return pair


def call(
    layer: Any, x: jax.Array, key: jax.Array | None, weights: Any = None, lengths: Any = None, progress: Any = None,
    judged: Any = None,
) -> Any:  # fmt: skip
    """Call a layer with what it takes."""
    offered = {"weights": weights, "lengths": lengths, "progress": progress, "judged": judged}
    taken = {name: offered[name] for name in getattr(layer, "takes", ()) if offered[name] is not None}
    return layer(x, key, **taken)
