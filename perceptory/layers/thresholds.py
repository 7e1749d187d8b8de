"""Threshold units at fixed places of a table's columns: the layer of `networks.thresholds`."""

from __future__ import annotations

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from perceptory.kernels import columns
from perceptory.layers.dense import matmul
from perceptory.layers.tabular import edges_of, levels_of, some_columns

NOWHERE = 1e30  # a threshold above all rows; finite, as all of a network's numbers


def thresholds_of(x: jax.Array, w: jax.Array, bins: int) -> jax.Array:
    """[column, bins] ascending thresholds amid the gaps between values of the rows x [row, column] with a weight above
    0, between equal shares of rows and of distinct values; `NOWHERE` where a column has fewer gaps.

    In the middle of a gap, so that no last digit of a value decides on which side it lies.
    """
    if columns.there(x, w):
        return columns.gaps(x, w, levels_of(bins, x.dtype)[:bins])
    below = edges_of(x, w, bins)[:, :bins]
    ordered = jnp.sort(jnp.where((w > 0)[:, None], x, jnp.inf), axis=0)

    def above(column: jax.Array, low: jax.Array) -> jax.Array:
        place = jnp.searchsorted(column, low, side="right")
        return jnp.where(place < len(column), column[jnp.minimum(place, len(column) - 1)], jnp.inf)

    middle = below + 0.5 * (jax.vmap(above, in_axes=(1, 0))(ordered, below) - below)
    new = jnp.concatenate([jnp.ones((len(middle), 1), bool), middle[:, 1:] != middle[:, :-1]], axis=1)
    return jnp.sort(jnp.where(new & jnp.isfinite(middle), middle, NOWHERE), axis=1)


class Thresholds(eqx.Module):
    """y = b + Σ_j Σ_k [x_j > e_jk] W_jk + f V for inputs [row, in] of a table, numbers x_j and columns of 0 and 1 f.

    edges: e [number, threshold], ascending; heights: W [number, threshold, out]; weight: V [flag, out]; bias: [out].
    places: of the numbers, and of the columns of 0 and 1.
    """

    edges: jax.Array
    heights: jax.Array
    weight: jax.Array
    bias: jax.Array
    places: tuple[tuple[int, ...], tuple[int, ...]] = eqx.field(static=True)
    outputs: tuple[int, ...] = eqx.field(static=True)
    takes: ClassVar[tuple[str, ...]] = ()

    def units(self, x: jax.Array) -> jax.Array:
        """[row, feature] 1 or 0 of each threshold of each number, then the columns of 0 and 1."""
        numbers, flags = self.places
        above = some_columns(x, numbers)[:, :, None] > self.edges
        return jnp.concatenate([above.reshape(len(x), -1).astype(x.dtype), some_columns(x, flags)], axis=1)

    def __call__(self, x: jax.Array, key: jax.Array | None = None) -> jax.Array:
        x = x.reshape(len(x), -1)
        numbers, flags = self.places
        y: Any = self.bias
        if numbers:  # the sum of all heights below a value, looked up
            place = jnp.sum(some_columns(x, numbers)[:, :, None] > self.edges, axis=-1)
            table = jnp.cumsum(jnp.pad(self.heights, ((0, 0), (1, 0), (0, 0))), axis=1)
            for j in range(len(numbers)):
                y = y + table[j][place[:, j]]
        if flags:
            y = y + matmul(some_columns(x, flags), self.weight)
        return jnp.reshape(jnp.broadcast_to(y, (len(x), len(self.bias))), (len(x), *self.outputs))
