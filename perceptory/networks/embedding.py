"""Vectors that are learned for categories."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from perceptory.errors import InputError
from perceptory.layers.arrays import Shape
from perceptory.networks.chain_units import LayerSpec
from perceptory.specs import checked, count, is_plain


class Embedding(eqx.Module):
    """x [..., column] to [..., other columns, then a vector for each of `columns`]. weight: [category, width]."""

    weight: jax.Array
    columns: tuple[int, ...] = eqx.field(static=True)

    def __call__(self, x: jax.Array, key: jax.Array | None = None) -> jax.Array:
        others = [i for i in range(x.shape[-1]) if i not in self.columns]
        parts = [x[..., jnp.array(others)]] if others else []
        for column in self.columns:
            category = jnp.round(x[..., column])
            known = (category >= 0) & (category < self.weight.shape[0])
            vector = self.weight[jnp.where(known, category, 0).astype(jnp.int32)]
            parts.append(jnp.where(known[..., None], vector, 0))
        return jnp.concatenate(parts, axis=-1)


def _columns(name: Any, value: Any) -> None:
    columns = value if isinstance(value, tuple) else (value,)
    for column in columns:
        if is_plain(column):
            count(name, column, least=0)
    if not columns or len(set(columns)) != len(columns):
        raise InputError(name, f" needs the places of columns, each once, got {value!r}. Example: columns=(0, 2)")


@dataclass(frozen=True)
class EmbeddingLayer(LayerSpec):
    """A learned vector in the place of a category, which an input column gives as a whole number from 0 on: words of a
    text (time, 1), kinds beside measurements (time, features). It is the first layer of a `Chain`, and its columns are
    not scaled.

    categories: how many there are. A number that is none of them has the vector 0, a missing one counts as 0.
    width: of the vectors, which start from a normal distribution of deviation 1.
    columns: which input columns hold categories, from 0 on; all of them share the vectors. The other columns stand
        first in the output.

    A table's columns of text need no such layer: they come as one input for each category, so the weights of a dense
    layer are their vectors.
    """

    categories: int = checked(check=count)
    width: int = checked(8, check=count)
    columns: int | tuple[int, ...] = checked(0, check=_columns)

    def build(self, inputs: Shape, *, key: jax.Array) -> tuple[Any, Shape]:
        columns = self.unscaled
        if max(columns) >= inputs[-1]:
            raise InputError(
                f"EmbeddingLayer needs input columns from 0 to {inputs[-1] - 1}, got columns={self.columns!r}."
            )
        weight = jax.random.normal(key, (self.categories, self.width))
        return Embedding(weight, columns), (*inputs[:-1], inputs[-1] + len(columns) * (self.width - 1))

    @property
    def unscaled(self) -> tuple[int, ...]:
        return self.columns if isinstance(self.columns, tuple) else (self.columns,)

    @property
    def label(self) -> str:
        return f"embedding {self.width}"
