"""The module that a `Linear` builds, and its least squares."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from perceptory.layers.dense import Dense, Reshape
from perceptory.layers.sequential import Sequential
from perceptory.networks.chain_layers import Pooled
from perceptory.ops.activations import ACTIVATIONS
from perceptory.ops.initializers import initial_weights
from perceptory.ops.ridge import conjugate_gradients, ridge_regression

MOST_BY_MATRIX = 512  # inputs up to which normal equations are formed and factored; above, conjugate gradients


class Past(eqx.Module):
    """The last `taps` steps of series [batch, time, channel] as features of each step [batch, time, taps · channel];
    before the first step there are zeros."""

    taps: int = eqx.field(static=True)
    takes: ClassVar[tuple[str, ...]] = ()

    def __call__(self, x: jax.Array, key: jax.Array | None = None) -> jax.Array:
        padded = jnp.pad(x, ((0, 0), (self.taps - 1, 0), (0, 0)))
        return jnp.concatenate([padded[:, k : k + x.shape[1]] for k in range(self.taps)], axis=2)


def built(
    linear: Any, inputs: tuple[int, ...], features: int, out: int, every_step: bool, key: jax.Array
) -> Sequential:
    """As `Network.build`; linear: the spec. features, out: of its weights."""
    (weight,) = initial_weights(key, ["glorot"], [(features, out)])
    before: list[Any] = [Past(linear.taps)] if every_step else [] if len(inputs) == 1 else [Reshape((features,))]
    before = [Pooled("average")] if linear.pooled else before
    return Sequential((*before, Dense(weight, jnp.zeros(out, weight.dtype), ACTIVATIONS["linear"].function)))


def solved(module: Any, rows: Callable[[], tuple[jax.Array, ...]], ridge: Any, pooled: bool) -> Any:
    """The module with weights by least squares from the training rows."""
    *before, dense = module.layers
    x, t, w = rows()
    if t.shape[-1] != dense.bias.shape[0]:  # a cost of several outputs a target: no least squares
        return module
    if pooled:  # once for all rows, whose lengths a basis does not see
        x, before = before[0](x, lengths=getattr(rows, "lengths", None)), []
    basis = Sequential(tuple(before))
    solve = ridge_regression if dense.weight.shape[0] <= MOST_BY_MATRIX else conjugate_gradients
    weight, bias = solve(basis, x, t, w, ridge)
    return Sequential((*module.layers[:-1], Dense(weight, bias, dense.activation)))
