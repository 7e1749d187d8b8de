"""Products with threshold units and columns of 0 and 1, from histograms of the columns' bins, traced.

A unit says on which side of a threshold a row lies, so that of a column only the bin matters that a row is in. What
products need is then a sum of rows by bin, of Zᵀ diag(h) Z by pair of bins: rows · columns² additions where products of
matrices take rows · units².
"""

from __future__ import annotations

from itertools import groupby
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np


class Bins(NamedTuple):
    """The bins of some columns, side by side. Static.

    numbers: how many columns are cut by thresholds, the first ones; thresholds: how many each. groups: of the columns
    of 0 and 1, which stand behind them, the places [flag] of those that make one column, of which at most one is 1.
    """

    numbers: int
    thresholds: int
    groups: tuple[tuple[int, ...], ...]

    @property
    def first(self) -> np.ndarray:
        """[column] the first bin of each: a number has one more than thresholds, a group one more, for no flag."""
        sizes = [self.thresholds + 1] * self.numbers + [len(group) + 1 for group in self.groups]
        return np.cumsum([0, *sizes])

    @property
    def size(self) -> int:
        return int(self.first[-1])

    @property
    def of_flags(self) -> np.ndarray:
        """[flag] the bin of each."""
        at = np.zeros(sum(map(len, self.groups)), int)
        for first, group in zip(self.first[self.numbers :], self.groups, strict=False):
            at[list(group)] = first + np.arange(len(group))
        return at

    def places(self, numbers: jax.Array, flags: jax.Array, edges: jax.Array) -> jax.Array:
        """[column, row] the bin of each row in each column, of numbers [row, column] with ascending thresholds
        edges [column, threshold] and of columns of 0 and 1, flags [row, flag]."""
        parts = [jnp.sum(numbers.T[:, :, None] > edges[:, None], axis=2)] if self.numbers else []
        for group in self.groups:
            there = flags[:, np.array(group)] > 0.5
            parts.append(jnp.where(jnp.any(there, axis=1), jnp.argmax(there, axis=1), len(group))[None])
        return (jnp.concatenate(parts) + self.first[:-1, None]).astype(jnp.int32)

    def units(self, sums: jax.Array) -> jax.Array:
        """[unit, ...] what the units add up, from what the bins do [bin, ...]: a threshold the bins above it."""
        cut = self.numbers * (self.thresholds + 1)
        own = sums[:cut].reshape(self.numbers, self.thresholds + 1, *sums.shape[1:])
        above = jnp.flip(jnp.cumsum(jnp.flip(own, 1), axis=1), 1)[:, 1:]
        return jnp.concatenate([above.reshape(-1, *sums.shape[1:]), sums[self.of_flags]])

    def heights(self, weight: jax.Array) -> jax.Array:
        """[bin, out] what a row gets in each bin, from the weights of the units [unit, out]."""
        cut, out = self.numbers * self.thresholds, weight.shape[1]
        steps = jnp.cumsum(weight[:cut].reshape(self.numbers, self.thresholds, out), axis=1)
        steps = jnp.pad(steps, ((0, 0), (1, 0), (0, 0))).reshape(-1, out)
        of_flags = jnp.zeros((self.size, out), weight.dtype).at[self.of_flags].set(weight[cut:])
        return of_flags.at[: len(steps)].add(steps)


def bins_of(numbers: int, thresholds: int, kinds: tuple[int, ...]) -> Bins:
    """kinds: of each column of 0 and 1 the column of categories that it is of, counted from 1, or -1 for none."""
    own = [(kind, -place if kind < 0 else 0) for place, kind in enumerate(kinds)]
    order = sorted(range(len(kinds)), key=lambda place: own[place])
    groups = tuple(tuple(group) for _, group in groupby(order, key=lambda place: own[place]))
    return Bins(numbers, thresholds, groups)


def times(bins: Bins, places: jax.Array, weight: jax.Array) -> jax.Array:
    """Z W [row, out]."""
    heights = bins.heights(weight)

    def add(total: jax.Array, place: jax.Array) -> tuple[jax.Array, None]:
        return total + heights[place], None

    return jax.lax.scan(add, jnp.zeros((places.shape[1], weight.shape[1]), weight.dtype), places)[0]


def against(bins: Bins, places: jax.Array, g: jax.Array) -> jax.Array:
    """Zᵀ G [unit, out] of G [row, out]."""

    def add(sums: jax.Array, place: jax.Array) -> tuple[jax.Array, None]:
        return sums.at[place].add(g, mode="promise_in_bounds"), None

    return bins.units(jax.lax.scan(add, jnp.zeros((bins.size, g.shape[1]), g.dtype), places)[0])


def gram(bins: Bins, places: jax.Array, h: jax.Array) -> jax.Array:
    """Zᵀ diag(h) Z [unit, unit] of weights of rows h [row]."""
    one, two = map(jnp.asarray, np.triu_indices(len(places)))
    size = bins.size

    def add(sums: jax.Array, pair: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[jax.Array, None]:
        a, b, share = pair
        return sums.at[places[a] * size + places[b]].add(share * h, mode="promise_in_bounds"), None

    share = jnp.where(one == two, 0.5, 1.0).astype(h.dtype)  # a column with itself comes twice below
    half = jax.lax.scan(add, jnp.zeros(size * size, h.dtype), (one, two, share))[0].reshape(size, size)
    return bins.units(bins.units(half + half.T).T)
