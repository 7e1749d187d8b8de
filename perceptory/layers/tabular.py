"""Layers for the columns of a table: scaling by quantiles, embeddings of numbers and of categories, and dense layers
whose units have a learned activation.

What is learned from the training rows once, before training, lives in the weight vector under the names in `STORED`.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.lax import stop_gradient

from perceptory.kernels import columns, dense
from perceptory.kernels.stack import Stack
from perceptory.layers.arrays import unpack
from perceptory.layers.base import Fixed
from perceptory.layers.dense import matmul
from perceptory.ops.sums import deviations, running_sums

FEW_SLICES = 6  # runs of columns that are cut out one by one
STORED = ("center", "factor", "edges", "seen")  # arrays that no optimizer moves


def smooth_clip(x: jax.Array, most: Any) -> jax.Array:
    """x / √(1 + (x / most)²): nearly x around 0, and between -most and most everywhere."""
    return x * jax.lax.rsqrt(1 + (x / most) ** 2)


def shares(x: jax.Array, edges: jax.Array) -> jax.Array:
    """[..., column, bin] how much of each bin of x [..., column] lies below x, 0 to 1; edges: [column, bins + 1],
    ascending (Gorishniy et al. 2022, the piecewise linear encoding). A bin without a width has 0: at its edge the last
    digit of a number would decide, and the bins beside it tell what is below and what above."""
    low, width = edges[:, :-1], jnp.diff(edges, axis=1)
    inside = (x[..., None] - low) * jnp.where(width > 0, 1 / jnp.where(width > 0, width, 1), 0)
    return jnp.clip(inside, 0, 1)


def edges_of(x: jax.Array, w: jax.Array, bins: int) -> jax.Array:
    """[column, bins + 1] edges between which lie equal shares of the rows x [row, column] with a weight above 0 and of
    their distinct values, both counting half: of a column that is mostly 0 the other values matter too."""
    levels = levels_of(bins, x.dtype)
    if columns.there(x, w):
        return columns.edges(x, w, levels)
    real = w > 0
    last = jnp.maximum(jnp.sum(real) - 1, 0)
    ordered = jnp.sort(jnp.where(real[:, None], x, jnp.inf), axis=0)
    there = (jnp.arange(len(x)) <= last)[:, None]
    new = jnp.concatenate([jnp.ones((1, x.shape[1]), bool), ordered[1:] != ordered[:-1]]) & there
    rows = jnp.minimum(jnp.arange(1, len(x) + 1), last + 1).astype(x.dtype)[:, None]
    values = running_sums(new.astype(x.dtype))
    share = 0.5 * (rows / rows[-1] + values / values[-1])
    place = jax.vmap(lambda column: jnp.searchsorted(column, levels), in_axes=1)(share)
    return jnp.take_along_axis(ordered.T, jnp.minimum(place, last), axis=1)


def levels_of(bins: int, dtype: Any) -> jax.Array:
    """[bins + 1] equal shares from 0 to 1."""
    return jnp.asarray(np.linspace(0, 1, bins + 1), dtype)


def evened(w: jax.Array) -> jax.Array:
    """Weights [row] with a mean of 1 over those above 0."""
    return w / jnp.maximum(jnp.sum(w) / jnp.maximum(jnp.sum(w > 0), 1), jnp.finfo(w.dtype).tiny)


def quantiles(x: jax.Array, w: jax.Array, at: np.ndarray) -> jax.Array:
    """[column, level] quantiles of x [row, column] at levels from 0 to 1, of the rows with a weight above 0, linear
    between neighbors."""
    if columns.there(x, w):
        return columns.quantiles(x, w, jnp.asarray(at, x.dtype))
    real = w > 0
    last = jnp.maximum(jnp.sum(real) - 1, 0).astype(x.dtype)
    ordered = jnp.sort(jnp.where(real[:, None], x, jnp.inf), axis=0)
    place = jnp.asarray(at, x.dtype) * last
    low = jnp.floor(place)
    share = (place - low)[:, None]
    below = ordered[low.astype(jnp.int32)]
    above = ordered[jnp.minimum(low + 1, last).astype(jnp.int32)]
    return (below + share * (above - below)).T


class Periodic(eqx.Module):
    """Each number x to v [width], linear in cos(2π f x + φ) with learned f and φ, before it x itself (Gorishniy et al.
    2022; with phases and x itself Holzmüller et al. 2024). frequency, phase: [column, f]; weight [column, f, width]."""

    frequency: jax.Array
    phase: jax.Array
    weight: jax.Array
    bias: jax.Array
    kind: ClassVar[str] = "periodic"

    @property
    def learned(self) -> list[jax.Array]:
        return [self.frequency, self.phase, self.weight, self.bias]

    def __call__(self, x: jax.Array) -> jax.Array:
        waves = jnp.cos(2 * jnp.pi * x[..., None] * self.frequency + self.phase)
        return _embedded(waves, self.weight) + self.bias.reshape(-1)


class Piecewise(eqx.Module):
    """Each number to v [width], linear in the shares of its bins, whose edges are quantiles of the training rows.
    edges: [column, bins + 1], stored; weight: [column, bins, width]."""

    edges: jax.Array
    weight: jax.Array
    kind: ClassVar[str] = "piecewise"

    @property
    def learned(self) -> list[jax.Array]:
        return [self.weight]

    def __call__(self, x: jax.Array) -> jax.Array:
        return _embedded(shares(x, stop_gradient(self.edges)) - 0.5, self.weight)


def _embedded(values: jax.Array, weight: jax.Array) -> jax.Array:
    """[row, column · width] of values [row, column, n] and weight [column, n, width]."""
    out = jnp.einsum("rcn,cnw->rcw", values, weight)
    return out.reshape(len(values), -1)


class ColumnScaling(eqx.Module):
    """(x - center) · factor by column, then where `edges` are given the place among the quantiles instead, and a smooth
    clip. center, factor: [column]; edges: [column, bins + 1] or None; all stored."""

    center: jax.Array
    factor: jax.Array
    edges: Any
    clip: Fixed | None

    def __call__(self, x: jax.Array, by_kernel: bool = False) -> jax.Array:
        center, factor, edges = stop_gradient((self.center, self.factor, self.edges))
        x = (x - center) * factor
        if edges is not None:
            bins = jnp.sum(jnp.diff(edges, axis=1) > 0, axis=1)
            place = columns.places(x, edges) if by_kernel else jnp.sum(shares(x, edges), axis=-1)
            x = (place / jnp.maximum(bins, 1) - 0.5) * 12**0.5  # deviation 1
        return x if self.clip is None else smooth_clip(x, stop_gradient(self.clip.value).astype(x.dtype))


class TabularDense(eqx.Module):
    """x W + b, a hidden layer's part of `TabularStack`. strength: [out] by how much each unit's activation bends, or
    None."""

    weight: jax.Array
    bias: jax.Array
    strength: Any


class TabularStack(eqx.Module):
    """Hidden layers v = z + a (σ(z) - z) with z = v W + b and a learned a for each unit, where there is one, else σ(z);
    in training units are dropped and the others divided by the share that is kept. The last layer is linear."""

    layers: tuple[TabularDense, ...]
    rate: Fixed | None  # probability that a unit is dropped
    falls: bool = eqx.field(static=True)  # whether it goes down to 0
    activation: Callable[..., Any] = eqx.field(static=True)
    kernel: tuple[str, float] | None = eqx.field(static=True)
    takes: ClassVar[tuple[str, ...]] = ("progress", "judged")

    def __call__(
        self, x: jax.Array, key: jax.Array | None = None, progress: Any = None, judged: bool = False
    ) -> jax.Array:
        rate = None if key is None or self.rate is None else self._rate(progress)
        if (key is not None or judged) and self._in_kernel(x):
            return self._by_kernel(x, key, rate)
        for place, layer in enumerate(self.layers):
            z = matmul(x, layer.weight) + layer.bias
            if place + 1 == len(self.layers):
                break
            x = self.hidden(z, layer)
            if rate is not None and key is not None:
                keep = jax.random.uniform(jax.random.fold_in(key, place), x.shape) >= rate
                x = jnp.where(keep, x / (1 - rate), 0)
        return z

    def hidden(self, z: jax.Array, layer: TabularDense) -> jax.Array:
        """The values of a hidden layer."""
        return self.activation(z) if layer.strength is None else z + layer.strength * (self.activation(z) - z)

    def _rate(self, progress: Any) -> jax.Array:
        rate = self.rate.value  # type: ignore[union-attr]
        return rate if progress is None or not self.falls else rate * flat_cosine(progress)

    def _in_kernel(self, x: jax.Array) -> bool:
        return self.kernel is not None and len(self.layers) > 1 and dense.accepts(x.dtype)

    def _by_kernel(self, x: jax.Array, key: jax.Array | None, rate: Any) -> jax.Array:
        stack, weights = self._described(rate is not None), self._weights()
        if key is None:
            return dense.values(stack, weights, x)
        more = () if rate is None else (dense.noise_of(key, rate),)
        return dense.outputs(stack)(weights, x, *more)

    def _described(self, dropout: bool = False) -> Stack:
        widths = (len(self.layers[0].weight), *(layer.weight.shape[1] for layer in self.layers))
        kind: Any = self.kernel
        return Stack(widths, (kind,) * (len(widths) - 2), self.layers[0].strength is not None, dropout)

    def _weights(self) -> jax.Array:
        return jnp.concatenate([jnp.ravel(a) for layer in self.layers for a in jax.tree.leaves(layer)])

    def started(self, x: jax.Array, places: jax.Array, shares: jax.Array) -> TabularStack:
        """The stack with weights divided by the deviation of their sums over rows x [row, feature], and biases that are
        minus the mean of some rows' sums, weighed by `shares`, so that every unit bends among the rows. places, shares:
        [some, out of all layers] which rows, and how much they count."""
        if self._in_kernel(x):
            weights = dense.start(self._described(), self._weights().astype(x.dtype), x, places, shares)
            return unpack(self, weights.astype(self.layers[0].bias.dtype))
        layers, begin = [], 0
        for layer in self.layers:
            own = slice(begin, begin + layer.weight.shape[1])
            begin = own.stop
            z = x @ layer.weight
            spread = deviations(z)
            by = 1 / jnp.where(spread > 1e-6, spread, 1)
            rows = jnp.take_along_axis(z, places[:, own], axis=0)
            bias = -by * jnp.sum(rows * shares[:, own], axis=0) / jnp.sum(shares[:, own], axis=0)
            weight, bias = (layer.weight * by).astype(layer.weight.dtype), bias.astype(layer.bias.dtype)
            layers.append(TabularDense(weight, bias, layer.strength))
            x = self.hidden(z * by + bias, layers[-1])
        return eqx.tree_at(lambda s: s.layers, self, tuple(layers))


def flat_cosine(progress: Any) -> jax.Array:
    """1 over the first half of training, then down to 0 along half a cosine."""
    return 0.5 * (1 + jnp.cos(jnp.pi * (jnp.maximum(1.0, 2 * progress) - 1)))


class Tabular(eqx.Module):
    """Inputs [row, in] of a table to outputs [row, out]: numbers and flags scaled by column, embeddings beside
    them, all times a learned scale for each feature, then a stack of dense layers.

    numbers, flags: places of the columns that are numbers, and that are 0 or 1. categories: of each category column
    the places of its columns of 0 and 1, and its embedding [category, width]; a category that the training rows lack
    has the vector 0.

    Several predictions share all of it: features are multiplied by each one's own `adapters` [prediction, feature], and
    the stack ends in outputs for each, one prediction after the other. In training row i of a batch is prediction
    i mod k's alone, so that a step costs what one prediction costs; in use every row is seen by all, and their mean
    counts.
    """

    scaling: ColumnScaling | None
    flags: ColumnScaling | None
    embedding: Any  # of numbers, or None
    categories: tuple[jax.Array, ...]
    seen: Any  # [column of all embedded categories] 1, or 0 where the training rows lack it; or None
    scale: Any  # [feature], or None
    adapters: Any  # [prediction, feature], or None
    stack: TabularStack
    places: tuple[tuple[int, ...], ...] = eqx.field(static=True)  # of numbers, flags, then of each category column
    outputs: tuple[int, ...] = eqx.field(static=True)
    takes: ClassVar[tuple[str, ...]] = ("progress", "judged")

    def features(self, x: jax.Array) -> jax.Array:
        """[row, feature] before their scale."""
        parts = []
        if self.scaling is not None:
            numbers = self.scaling(some_columns(x, self.places[0]))
            parts.append(numbers)
            if self.embedding is not None:
                parts.append(self.embedding(numbers))
        if self.flags is not None:
            parts.append(self.flags(some_columns(x, self.places[1])))
        pairs = zip(self.places[2:], self._vectors(), strict=True)
        parts += [some_columns(x, places) @ vectors for places, vectors in pairs]
        return jnp.concatenate(parts, axis=1) if len(parts) > 1 else parts[0]

    def __call__(
        self, x: jax.Array, key: jax.Array | None = None, progress: Any = None, judged: bool = False
    ) -> jax.Array:
        embeds = self.embedding is not None or self.seen is not None
        if (key is not None or judged) and embeds and columns.accepts(x.dtype):
            v = self._by_kernel(x)
        else:
            v = self.features(x) if self.scale is None else self.features(x) * self.scale
        if self.adapters is None:
            return self.stack(v, key, progress, judged).reshape(len(x), *self.outputs)
        k = len(self.adapters)
        v = v if key is not None else jnp.repeat(v, k, axis=0)
        y = self.stack(self.adapted(v), key, progress, judged).reshape(len(v), k, -1)
        y = jnp.sum(jnp.where(in_turn(jnp.eye(k, dtype=bool), len(v))[..., None], y, 0), axis=1)
        return (y if key is not None else jnp.mean(y.reshape(len(x), k, -1), axis=1)).reshape(len(x), *self.outputs)

    def adapted(self, v: jax.Array) -> jax.Array:
        """Features [row, feature] as the predictions see them that the rows belong to in turn."""
        return v if self.adapters is None else v * in_turn(self.adapters, len(v))

    def _vectors(self) -> list[jax.Array]:
        """Of each column of categories the vectors [category, width], 0 of those that the training rows lack."""
        if self.seen is None:
            return []
        ends = np.cumsum([len(vectors) for vectors in self.categories])[:-1].tolist()
        each = jnp.split(stop_gradient(self.seen), ends)
        return [vectors * seen[:, None] for vectors, seen in zip(self.categories, each, strict=True)]

    def _by_kernel(self, x: jax.Array) -> jax.Array:
        """[row, feature] times their scale; with a gradient by weights alone."""
        none, embedding = jnp.zeros((len(x), 0), x.dtype), self.embedding
        of_categories = tuple(p for places in self.places[2:] for p in places)
        u = none if self.scaling is None else self.scaling(some_columns(x, self.places[0]), by_kernel=True)
        flags = none if self.flags is None else self.flags(some_columns(x, self.places[1]))
        known = some_columns(x, of_categories)
        kind, bins, width, edges = "none", 0, 0, jnp.zeros(0, x.dtype)
        if embedding is not None:
            kind, (_, bins, width) = embedding.kind, embedding.weight.shape
            edges = stop_gradient(embedding.edges.ravel()) if kind == "piecewise" else edges
        depth = self.categories[0].shape[1] if self.categories else 0
        groups = tuple(len(vectors) for vectors in self.categories)
        own = [] if embedding is None else embedding.learned
        parts = [*own, *self._vectors(), *([] if self.scale is None else [self.scale])]
        weights = jnp.concatenate([jnp.ravel(part) for part in parts])
        description = columns.Columns(
            u.shape[1], flags.shape[1], kind, bins, width, groups, depth, self.scale is not None
        )
        return columns.features(description)(weights, u, flags, known, edges)


def in_turn(each: jax.Array, rows: int) -> jax.Array:
    """[row, ...] of each [prediction, ...]: that of the prediction to which a row belongs, in turn."""
    return jnp.tile(each, (-(-rows // len(each)), 1))[:rows]


def some_columns(x: jax.Array, places: tuple[int, ...]) -> jax.Array:
    """The columns of x at ascending places, by slices of those that stand side by side, where these are few: each slice
    is a loop of its own to compile."""
    if len(places) == x.shape[1]:
        return x
    if not places:
        return x[:, :0]
    cuts = [0, *(i for i in range(1, len(places)) if places[i] != places[i - 1] + 1), len(places)]
    if len(cuts) > FEW_SLICES:
        return x.at[:, np.array(places)].get(mode="promise_in_bounds", unique_indices=True, indices_are_sorted=True)
    parts = [x[:, places[a] : places[b - 1] + 1] for a, b in pairwise(cuts)]
    return parts[0] if len(parts) == 1 else jnp.concatenate(parts, axis=1)
