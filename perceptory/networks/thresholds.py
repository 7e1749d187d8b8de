"""Threshold units at places of a table's columns, with sparse weights that are solved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any

from perceptory.later import later
from perceptory.layers.arrays import Shape
from perceptory.networks.for_tables import ForTables
from perceptory.specs import checked, count, positive, traced

if TYPE_CHECKING:
    import equinox as eqx
    import jax
    import jax.numpy as jnp

    from perceptory.layers import tabular
    from perceptory.layers import thresholds as layers
    from perceptory.ops import binned, members
    from perceptory.ops import sparse_weights as solving
else:
    eqx, jax, jnp = later("equinox", "jax", "jax.numpy")
    layers, tabular = later("perceptory.layers.thresholds", "perceptory.layers.tabular")
    binned, members = later("perceptory.ops.binned", "perceptory.ops.members")
    (solving,) = later("perceptory.ops.sparse_weights")


@dataclass(frozen=True)
class ThresholdNetwork(ForTables):
    """A hidden layer of threshold units at given places of a table's numbers, beside it the columns of 0 and 1, and
    weights that are solved: those with which the training rows cost least together with λ Σ |W|.

    What each column says adds up, as steps of any height at any place: thus it sees a jump at a single value or a
    limit, which smooth units draw as a slope, and most units get exactly no weight. It is what boosted stumps of trees
    approach (Efron, Hastie, Johnstone & Tibshirani 2004), as the minimum of a convex cost.

    bins: thresholds of a number at most, between equal shares of rows and of distinct values.
    strength: λ beside the sum of the rows' costs, in the cost's units of scaled targets.
    columns: of each input 0 for a number, -1 for a column of 0 and 1, n for the n-th column of categories; a study
        fills it in from the table.

    Time grows with rows · columns² and with the square of the units, memory with that square. Any smooth cost of one
    output a target.
    """

    bins: int = checked(128, check=count)
    strength: float = traced(1.0, check=positive, log=True)
    columns: tuple[int, ...] = ()

    def build(self, inputs: Shape, outputs: Shape, *, key: jax.Array) -> layers.Thresholds:
        features, out = prod(inputs), prod(outputs)
        numbers, flags = self.parted(features)
        edges = jnp.tile(jnp.linspace(-1, 1, self.bins), (len(numbers), 1))
        heights = jnp.zeros((len(numbers), self.bins, out))
        return layers.Thresholds(
            edges, heights, jnp.zeros((len(flags), out)), jnp.zeros(out), (numbers, flags), outputs
        )

    def arrays(self, inputs: int, outputs: int) -> dict[str, Shape]:
        numbers = self.kinds(inputs).count(0)
        steps, flags = (numbers, self.bins), inputs - numbers
        return {"edges": steps, "heights": (*steps, outputs), "weight": (flags, outputs), "bias": (outputs,)}

    def prime(self, module: layers.Thresholds, rows: Any, *, key: jax.Array) -> layers.Thresholds:
        """Thresholds and weights from the training rows."""
        x, t, w = rows()
        x, w = x.reshape(len(x), -1), tabular.evened(w)
        numbers = module.places[0]
        edges = layers.thresholds_of(x[:, jnp.array(numbers)], w, self.bins) if numbers else module.edges
        module = eqx.tree_at(lambda m: m.edges, module, edges.astype(module.edges.dtype))
        every, out = jnp.arange(len(x)), len(module.bias)
        size, shape = len(numbers) * self.bins, (len(x), *t.shape[1:])

        def cost(y: jax.Array) -> jax.Array:
            own: jax.Array = rows.cost(y.reshape(shape), every)
            return own

        bins = _bins(module, self.kinds(x.shape[1]))
        features, mean = _features(bins, _placed(module, bins, x), w)
        found = solving.sparse_weights(features, len(mean), cost, w, out, jnp.asarray(self.strength, x.dtype))
        values = (
            found.weight[:size].reshape(module.heights.shape), found.weight[size:], found.bias - mean @ found.weight,
        )  # fmt: skip
        dtype = module.bias.dtype
        return eqx.tree_at(lambda m: (m.heights, m.weight, m.bias), module, [v.astype(dtype) for v in values])

    @property
    def adds_steps(self) -> bool:
        return True

    @property
    def solved(self) -> bool:
        return True

    @property
    def label(self) -> str:
        return f"threshold units, {self.bins} a number, λ {self.strength:.3g}"

    def solving(self, rows: int, members: int) -> int:
        """Matrices of units by units, and of each column the bin that a row is in."""
        features = self.bins * max(1, self.columns.count(0)) + len(self.columns)
        return members * (3 * features**2 + rows * len(self.columns))

    def hidden_units(self, inputs: Shape, outputs: Shape) -> int:
        return self.bins * prod(inputs)


def _bins(module: layers.Thresholds, kinds: tuple[int, ...]) -> binned.Bins:
    numbers, flags = module.places
    return binned.bins_of(len(numbers), module.edges.shape[-1], tuple(kinds[place] for place in flags))


def _placed(module: layers.Thresholds, bins: binned.Bins, x: jax.Array) -> jax.Array:
    """[column, row] bins of the rows x."""
    numbers, flags = (tabular.some_columns(x, places) for places in module.places)

    def place(numbers: jax.Array, flags: jax.Array, edges: jax.Array) -> jax.Array:
        return bins.places(numbers, flags, edges)

    return members.members_in_turn(place, everywhere=True)(numbers, flags, module.edges)


def _features(bins: binned.Bins, places: jax.Array, w: jax.Array) -> tuple[solving.Features, jax.Array]:
    """Products with the units of rows less their mean over weights w [row], and that mean [unit]."""

    def in_turn(product: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
        return members.members_in_turn(partial(product, bins), everywhere=True)

    times, against, gram = (in_turn(product) for product in (binned.times, binned.against, binned.gram))
    mean = against(places, w[:, None])[:, 0] / jnp.sum(w)

    def of_pairs(h: jax.Array) -> tuple[jax.Array, jax.Array]:
        total, all_rows = against(places, h[:, None])[:, 0], jnp.sum(h)
        beside = total - mean * all_rows
        return gram(places, h) - mean[:, None] * total - beside[:, None] * mean, beside

    features = solving.Features(
        lambda weight: times(places, weight) - mean @ weight,
        lambda g: against(places, g) - mean[:, None] * jnp.sum(g, axis=0),
        of_pairs,
    )
    return features, mean
