"""What every network spec offers, and the one flat weight vector through which training sees any module."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from perceptory.networks.layers import Fixed
from perceptory.specs import Spec, combine


class Network(Spec):
    """Base of network specs. `build` makes a batch-native module: net(x [batch, in], key=None) -> [batch, out]."""

    def build(self, inputs: int, outputs: int, *, key: jax.Array) -> eqx.Module:
        raise NotImplementedError

    @property
    def label(self) -> str:
        return type(self).__name__

    @property
    def stochastic(self) -> bool:
        """Whether training draws random numbers (dropout, noise)."""
        return False

    def hidden_units(self) -> int:
        """Values a row that the forward pass keeps for the backward pass; steers how much runs at once."""
        return 0


class Layout(NamedTuple):
    """Where each trainable array of a module lies in its flat weight vector."""

    shapes: tuple[tuple[int, ...], ...]
    names: tuple[str, ...]  # path of each array, such as "layers.0.weight"

    @property
    def size(self) -> int:
        return sum(int(np.prod(s)) for s in self.shapes)

    def weight_mask(self) -> np.ndarray:
        """[weight] bool: True for weights, False for biases (arrays with fewer than two axes)."""
        return np.concatenate([np.full(int(np.prod(s)), len(s) >= 2) for s in self.shapes] or [np.zeros(0, bool)])


def _trainable(module: Any) -> Any:
    def of(leaf: Any) -> bool:
        return not isinstance(leaf, Fixed) and eqx.is_inexact_array(leaf)

    return jax.tree.map(of, module, is_leaf=lambda leaf: isinstance(leaf, Fixed))


def pack(module: Any) -> jax.Array:
    """All trainable arrays of a module as one vector [weight]."""
    leaves = jax.tree.leaves(eqx.filter(module, _trainable(module)))
    return jnp.concatenate([jnp.ravel(leaf) for leaf in leaves]) if leaves else jnp.zeros(0)


def unpack(module: Any, vector: jax.Array) -> Any:
    """The module with its trainable arrays read from `vector` [weight]; the inverse of `pack`."""
    trainable, rest = eqx.partition(module, _trainable(module))
    leaves, tree = jax.tree.flatten(trainable)
    # One split, not a slice each: its transpose is one concatenation, a slice's is a padded vector for every array.
    parts = jnp.split(vector, np.cumsum([leaf.size for leaf in leaves])[:-1].tolist())
    new = [part.reshape(leaf.shape) for part, leaf in zip(parts, leaves, strict=True)]
    return eqx.combine(jax.tree.unflatten(tree, new), rest)


def layout(network: Network, inputs: int, outputs: int) -> Layout:
    """The layout of a network's weight vector; computes no array. Traced numbers of the spec may be left open."""
    network = combine(network, defaultdict(lambda: 0.5))  # any number will do: the layout does not depend on it
    module = eqx.filter_eval_shape(lambda: network.build(inputs, outputs, key=jax.random.key(0)))
    keep = jax.tree.map(
        lambda leaf: not isinstance(leaf, Fixed) and isinstance(leaf, jax.ShapeDtypeStruct),
        module,
        is_leaf=lambda leaf: isinstance(leaf, Fixed),
    )
    paths = jax.tree_util.tree_leaves_with_path(eqx.filter(module, keep))
    names = tuple(jax.tree_util.keystr(path, simple=True, separator=".") for path, _ in paths)
    return Layout(tuple(leaf.shape for _, leaf in paths), names)
