"""The trainable arrays of a module, one by one or as one flat vector."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from perceptory.errors import InputError
from perceptory.later import later

if TYPE_CHECKING:
    import equinox as eqx
    import jax
    import jax.numpy as jnp
else:
    eqx, jax, jnp = later("equinox", "jax", "jax.numpy")

Shape = tuple[int, ...]


class Layout(NamedTuple):
    """The trainable arrays of a module, in the order in which they stand in its flat weight vector."""

    shapes: tuple[Shape, ...]
    names: tuple[str, ...]  # path of each array, such as "layers.0.weight"

    @property
    def size(self) -> int:
        return sum(prod(s) for s in self.shapes)

    def parts(self, vector: np.ndarray) -> list[np.ndarray]:
        """Of a weight vector what belongs to each array, as views."""
        return np.split(vector, np.cumsum([prod(s) for s in self.shapes])[:-1].tolist()) if self.shapes else []

    def vector(self, marks: Sequence[bool]) -> np.ndarray:
        """[weight] bool from one mark an array."""
        sizes = [prod(s) for s in self.shapes]
        return np.repeat(np.asarray(marks, bool), sizes) if sizes else np.zeros(0, bool)

    @property
    def weights(self) -> tuple[bool, ...]:
        """For each array: True for weights, False for biases (arrays with fewer than two axes)."""
        return tuple(len(s) >= 2 for s in self.shapes)

    def weight_mask(self) -> np.ndarray:
        """[weight] bool: True for weights, False for biases."""
        return self.vector(self.weights)


def _trainable(module: Any) -> Any:
    from perceptory.layers.base import Fixed

    def of(leaf: Any) -> bool:
        return not isinstance(leaf, Fixed) and eqx.is_inexact_array(leaf)

    return jax.tree.map(of, module, is_leaf=lambda leaf: isinstance(leaf, Fixed))


def arrays_of(module: Any) -> tuple[jax.Array, ...]:
    """All trainable arrays of a module, in the order of its `layout`."""
    return tuple(jax.tree.leaves(eqx.filter(module, _trainable(module))))


def with_arrays(module: Any, arrays: Sequence[jax.Array]) -> Any:
    """The module with these trainable arrays; the inverse of `arrays_of`."""
    trainable, rest = eqx.partition(module, _trainable(module))
    return eqx.combine(jax.tree.unflatten(jax.tree.structure(trainable), list(arrays)), rest)


def pack(module: Any) -> jax.Array:
    """All trainable arrays of a module as one vector [weight]."""
    arrays = arrays_of(module)
    return jnp.concatenate([jnp.ravel(a) for a in arrays]) if arrays else jnp.zeros(0)


def unpack(module: Any, vector: jax.Array, room: int = 0) -> Any:
    """The module with its trainable arrays read from `vector` [weight + room]; the inverse of `pack`."""
    arrays = arrays_of(module)
    if sum(a.size for a in arrays) + room != vector.size:
        raise InputError(
            f"for these examples the network has {sum(a.size for a in arrays)} weights, and {vector.size} were given."
            " Give examples of the shape that it was trained on."
        )
    return with_arrays(module, split(vector, [a.shape for a in arrays], room))


def split(vector: jax.Array, shapes: Sequence[Shape], room: int = 0) -> list[jax.Array]:
    """Arrays of these shapes from a vector [weight], at whose end are so many numbers more."""
    # One split, not a slice each: its transpose is one concatenation, a slice's is a padded vector for every array.
    parts = jnp.split(vector, np.cumsum([prod(shape) for shape in shapes])[: None if room else -1].tolist())
    return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=not room)]
