"""What every network spec offers, and its trainable arrays, one by one or as one flat vector."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import lru_cache
from math import prod
from typing import TYPE_CHECKING, Any

from perceptory.catalog import MIRRORS
from perceptory.errors import InputError
from perceptory.kernels.stack import Stack
from perceptory.later import later
from perceptory.layers.arrays import Layout, Shape
from perceptory.specs import Spec, combine, has_code

if TYPE_CHECKING:
    import equinox as eqx
    import jax
    import jax.numpy as jnp
else:
    eqx, jax, jnp = later("equinox", "jax", "jax.numpy")


class Network(Spec):
    """Base of network specs. `build` makes a batch-native module: net(x [batch, *inputs], key=None)
    -> [batch, *outputs].

    inputs: shape of one example, (features,) of a table, (time, features) of a sequence, (height, width, channels) of
        an image.
    outputs: (out,), or (time, out) for one output per time step.

    A module for sequences also takes lengths=[batch]; steps from there on are padding.
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

    @property
    def kernels(self) -> tuple[str, ...]:
        """Names of kernels that its training calls and that are better compiled before its turn."""
        return ()

    @property
    def by_place(self) -> bool:
        """Whether a training step does with a row what its place in the batch says, so that an epoch's order is drawn
        even where one batch has all rows."""
        return False

    def hidden_units(self, inputs: Shape, outputs: Shape) -> int:
        """Values an example that the forward pass keeps for the backward pass; steers how much runs at once."""
        return 0

    def mirror(self, inputs: Shape) -> Network:
        """The spec of a network that leads back from this one's outputs, a code of shape (code,), to examples of shape
        `inputs`: layers in the opposite order, with the same activations, normalization and dropout. Its `build` makes
        outputs of any shape with the places of `inputs`, (features,), (time, ·) or (height, width, ·).

        Raises `InputError` where there is no such network.
        """
        kind = type(self).__name__
        if kind not in MIRRORS:
            raise InputError(f"{kind} has no mirror, so the decoder has to be given. Example: decoder=MLP((32,))")
        mirrored: Network = MIRRORS[kind](self, inputs)
        return mirrored

    @property
    def added_cost(self) -> bool:
        """Whether its modules add something to the cost of each row: `module.with_added_cost` gives it beside the
        output."""
        return False

    @property
    def feedback(self) -> bool:
        """Whether it takes measured outputs of every step as inputs without looking at those of the same step."""
        return False

    @property
    def unscaled(self) -> tuple[int, ...]:
        """Columns of the inputs that it takes as they are, such as numbers of categories; all others come to it with
        mean 0 and deviation 1."""
        return ()

    @property
    def in_order(self) -> bool:
        """Whether it reads a sequence step after step, rather than as one long row of numbers."""
        return False

    @property
    def fixed_steps(self) -> bool:
        """Whether a sequence needs as many steps as in training, though no array of weights says so."""
        return False

    @property
    def windows(self) -> Any:
        """The `Windowed` that makes of a window what it sees, or None where it sees scaled inputs."""
        return None

    @property
    def speaks(self) -> bool:
        """Whether its label tells all of a `Windowed` that is around it."""
        return False

    def for_series(self, facts: Any) -> Network:
        """The network with what it has to know of the data that it is to forecast (`windowed.SeriesFacts`)."""
        return self

    @property
    def solved(self) -> bool:
        """Whether `prime` leaves nothing to an optimizer: no step is taken then."""
        return False

    @property
    def learns(self) -> bool:
        """Whether anything of it comes from training rows; its arrays are no weights otherwise."""
        return True

    @property
    def takes_heads(self) -> bool:
        """Whether it may give more outputs than the target has, those of auxiliary objectives, and still mean the same
        by the target's: not if it feeds outputs back, or finds them among its inputs, or is solved."""
        return not self.feedback and not self.solved

    def solving(self, rows: int, members: int) -> int:
        """Numbers that `prime` holds at once beside the modules of so many members with so many training rows each,
        where they are many more than the rows themselves."""
        return 0

    # --- hooks of training: a network that needs none of them leaves them as they are; traced and mapped ------------

    def prime(self, module: Any, rows: Callable[[], tuple[jax.Array, ...]], *, key: jax.Array) -> Any:
        """The starting module, from the member's scaled training rows.

        rows() -> (x [row, *inputs], t [row, *outputs], w [row]), w being 0 for padding; in training rows.lengths, [row]
        steps of series of different lengths. Who does not need them does not ask for them.
        """
        return module

    def calibrate(self, module: Any, rows: Callable[[], tuple[jax.Array, ...]]) -> Any:
        """The module after an epoch, with what use needs to know of the training rows, such as batch statistics; the
        very same one where there is no such thing. rows() -> (x, w), as in `prime`."""
        return module

    def opening(self, progress: Any) -> Any:
        """Whether training is still in a first phase, in which the network is not yet what will be used, when this
        share of the epochs is done: a traced bool, or None where there is no such phase. In it a validation cost that
        is not finite, or does not fall, is no reason to stop."""
        return None

    def trains(self, name: str) -> bool:
        """Whether the optimizer moves this array of the module, a path such as "layers.0.weight"."""
        return True

    def paces(self, where: Layout) -> list[tuple[Any, Any]] | None:
        """For each array of the layout what its steps are multiplied by, and its weight decay as a multiple of the
        optimizer's; None where all steps are as the optimizer has them, and the decay is that of weights alone."""
        return None

    def for_columns(self, kinds: tuple[int, ...]) -> Network:
        """The network for a table with such inputs: of each 0 for a number, -1 for a column of 0 and 1, n for one value
        of the n-th column of categories."""
        return self

    def for_rows(self, rows: int) -> Network:
        """The network for a study of so many rows."""
        return self

    @property
    def neurons(self) -> str | None:
        """The kernel, where it is nothing but kernel neurons and a linear part, as `kernels.neurons` knows them."""
        return None

    @property
    def adds_steps(self) -> bool:
        """Whether it is nothing but a sum of each column's steps (`layers.thresholds.Thresholds`)."""
        return False

    def columns_stack(self, inputs: int, outputs: int) -> Stack | None:
        """What follows the features of a table's columns, where the kernel knows both (`kernels.predict.Columns`)."""
        return None

    def stack(self, inputs: Shape, outputs: Shape) -> Stack | None:
        """The network as the kernel of layers of neurons knows it, its weights as in the flat vector, where it is
        nothing but such layers."""
        return None

    def used_stack(self, inputs: Shape, outputs: Shape) -> Stack | None:
        """As `stack`, of use alone: training may be another thing."""
        return self.stack(inputs, outputs)

    def arrays(self, inputs: int, outputs: int) -> dict[str, Shape] | None:
        """Shapes of the arrays by their names, in the order of the weight vector, where that is told without JAX."""
        return None


def weights_of(network: Network, inputs: Shape, outputs: Shape) -> int:
    """How many weights a network has; of layers of neurons that is told without JAX."""
    stack = network.used_stack(inputs, outputs)
    return layout(network, inputs, outputs).size if stack is None else stack.weights


def layout(network: Network, inputs: Shape, outputs: Shape) -> Layout:
    """The layout of a network's weight vector; computes no array. Traced numbers of the spec may be left open."""
    own = network.arrays(prod(inputs), prod(outputs))
    if own is not None:
        return Layout(tuple(own.values()), tuple(own))
    look: Any = _layout.__wrapped__ if has_code(network) else _layout
    found: Layout = look(network, inputs, outputs)
    return found


def hollow(network: Network, inputs: Shape, outputs: Shape) -> Any:
    """The module of a network with shapes in place of its arrays, where all of them are trained: who has its weights
    need not draw others to put them in. None for a module that holds more, such as a rate of dropout, and for code of
    the user's."""
    return None if has_code(network) else _hollow(network, inputs, outputs)


@lru_cache(maxsize=256)
def _hollow(network: Network, inputs: Shape, outputs: Shape) -> Any:
    from perceptory.layers.base import Fixed

    def built(numbers: Any) -> Any:
        return combine(network, defaultdict(lambda: numbers)).build(inputs, outputs, key=jax.random.key(0))

    module = eqx.filter_eval_shape(built, jax.ShapeDtypeStruct((), jnp.result_type(float)))
    leaves = jax.tree.leaves(module, is_leaf=lambda leaf: isinstance(leaf, Fixed))
    arrays = [leaf for leaf in leaves if isinstance(leaf, jax.ShapeDtypeStruct)]
    plain = all(isinstance(leaf, jax.ShapeDtypeStruct) or not eqx.is_array_like(leaf) for leaf in leaves)
    plain = plain and not any(isinstance(leaf, Fixed) for leaf in leaves)
    known = tuple(a.shape for a in arrays) == layout(network, inputs, outputs).shapes
    return module if plain and known else None


def with_shapes_filled(module: Any, arrays: Sequence[jax.Array]) -> Any:
    """A module of `hollow` with its arrays."""
    left = iter(arrays)
    return jax.tree.map(lambda leaf: next(left) if isinstance(leaf, jax.ShapeDtypeStruct) else leaf, module)


@lru_cache(maxsize=256)
def _layout(network: Network, inputs: Shape, outputs: Shape) -> Layout:
    from perceptory.layers.base import Fixed

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
