"""What every network spec offers, and its trainable arrays, one by one or as one flat vector."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from perceptory.kernels.dense import Stack
from perceptory.networks.layers import Fixed
from perceptory.specs import Spec, combine

Shape = tuple[int, ...]


class Network(Spec):
    """Base of network specs. `build` makes a batch-native module: net(x [batch, *inputs], key=None)
    -> [batch, *outputs].

    inputs is the shape of one example: (features,) of a table, (time, features) of a sequence, (height, width,
    channels) of an image. outputs is (out,), or (time, out) for one output a step. A module for sequences also takes
    lengths=[batch]; steps from there on are padding.
    """

    def build(self, inputs: Shape, outputs: Shape, *, key: jax.Array) -> eqx.Module:
        raise NotImplementedError

    @property
    def label(self) -> str:
        return type(self).__name__

    @property
    def stochastic(self) -> bool:
        """Whether training draws random numbers (dropout, noise)."""
        return False

    def hidden_units(self, inputs: Shape, outputs: Shape) -> int:
        """Values an example that the forward pass keeps for the backward pass; steers how much runs at once."""
        return 0

    # --- hooks: a network that needs none of them leaves them as they are ---------------------------------------

    @property
    def primed(self) -> bool:
        """Whether the start depends on the training rows (`prime`)."""
        return False

    @property
    def solved(self) -> bool:
        """Whether `prime` leaves nothing to the optimizer: no step is taken then."""
        return False

    @property
    def calibrated(self) -> bool:
        """Whether the training rows are shown once more after each epoch (`calibrate`)."""
        return False

    @property
    def feedback(self) -> bool:
        """Whether it takes measured outputs of every step as inputs without looking at those of the same step."""
        return False

    @property
    def phased(self) -> bool:
        """Whether training begins with a phase in which the network is not yet what will be used (`opening`)."""
        return False

    def opening(self, progress: Any) -> Any:
        """Whether the first phase is still on when this share of the epochs is done; traced. A validation cost that is
        not finite, or does not fall, is no reason to stop in it."""
        return False

    def prime(self, module: Any, x: jax.Array, t: jax.Array, w: jax.Array, *, key: jax.Array) -> Any:
        """The starting module, from the member's scaled training rows; w [row] is 0 for padding. Traced and mapped."""
        return module

    def calibrate(self, module: Any, x: jax.Array, w: jax.Array) -> Any:
        """The module with what use needs to know of the training rows, such as batch statistics. Traced and mapped."""
        return module

    def trains(self, name: str) -> bool:
        """Whether the optimizer moves this array of the module, a path such as "layers.0.weight"."""
        return True

    def stack(self, inputs: Shape, outputs: Shape) -> Stack | None:
        """The network as the kernel of layers of neurons knows it, its weights as in the flat vector, where it is
        nothing but such layers."""
        return None


class Layout(NamedTuple):
    """The trainable arrays of a module, in the order in which they stand in its flat weight vector."""

    shapes: tuple[Shape, ...]
    names: tuple[str, ...]  # path of each array, such as "layers.0.weight"

    @property
    def size(self) -> int:
        return sum(int(np.prod(s)) for s in self.shapes)

    def vector(self, marks: Sequence[bool]) -> np.ndarray:
        """[weight] bool from one mark an array."""
        sizes = [int(np.prod(s)) for s in self.shapes]
        return np.repeat(np.asarray(marks, bool), sizes) if sizes else np.zeros(0, bool)

    @property
    def weights(self) -> tuple[bool, ...]:
        """For each array: True for weights, False for biases (arrays with fewer than two axes)."""
        return tuple(len(s) >= 2 for s in self.shapes)

    def weight_mask(self) -> np.ndarray:
        """[weight] bool: True for weights, False for biases."""
        return self.vector(self.weights)


def _trainable(module: Any) -> Any:
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


def unpack(module: Any, vector: jax.Array) -> Any:
    """The module with its trainable arrays read from `vector` [weight]; the inverse of `pack`."""
    arrays = arrays_of(module)
    # One split, not a slice each: its transpose is one concatenation, a slice's is a padded vector for every array.
    parts = jnp.split(vector, np.cumsum([a.size for a in arrays])[:-1].tolist())
    return with_arrays(module, [part.reshape(a.shape) for part, a in zip(parts, arrays, strict=True)])


@lru_cache(maxsize=256)
def layout(network: Network, inputs: Shape, outputs: Shape) -> Layout:
    """The layout of a network's weight vector; computes no array. Traced numbers of the spec may be left open."""
    network = combine(network, defaultdict(lambda: 0.5))  # any number will do: the layout does not depend on it
    module = eqx.filter_eval_shape(lambda: network.build(inputs, outputs, key=jax.random.key(0)))
    keep = jax.tree.map(
        lambda leaf: isinstance(leaf, jax.ShapeDtypeStruct) and jnp.issubdtype(leaf.dtype, jnp.inexact),
        module,
        is_leaf=lambda leaf: isinstance(leaf, Fixed),
    )
    paths = jax.tree_util.tree_leaves_with_path(eqx.filter(module, keep))
    names = tuple(jax.tree_util.keystr(path, simple=True, separator=".") for path, _ in paths)
    return Layout(tuple(leaf.shape for _, leaf in paths), names)
