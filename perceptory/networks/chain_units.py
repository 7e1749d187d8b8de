"""Layers of a `Chain` that do the same at every place: what a layer spec is, neurons, dropout, noise, normalization,
slopes that are learned, and other shapes of an example's values."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import jax
import jax.numpy as jnp

from perceptory.errors import InputError
from perceptory.layers.arrays import Shape
from perceptory.layers.dense import Dense, Dropout, PReLU, Reshape
from perceptory.layers.noise import Noise
from perceptory.layers.norm import NORMS
from perceptory.layers.sequential import Sequential
from perceptory.ops.activations import ACTIVATIONS
from perceptory.ops.initializers import INITIALIZERS, initial_weights
from perceptory.specs import Spec, below_one, checked, count, flag, is_on, is_plain, not_negative, traced


class LayerSpec(Spec):
    """Base of layer specs. `build` gives a batch-native module, layer(x [batch, *inputs], key=None), and its shape."""

    def build(self, inputs: Shape, *, key: jax.Array) -> tuple[Any, Shape]:
        """The module for examples of shape `inputs`, and the shape of what it gives for one."""
        raise NotImplementedError

    @property
    def stochastic(self) -> bool:
        """Whether training differs from use."""
        return False

    @property
    def calibrated(self) -> bool:
        """Whether the module has statistics that `calibrate(x, w)` takes from training rows."""
        return False

    @property
    def unscaled(self) -> tuple[int, ...]:
        """Columns of the inputs that it takes as they are, as in `Network`: it then has to be the first layer."""
        return ()

    def hidden_units(self, inputs: Shape, outputs: Shape) -> int:
        """Values an example that the layer keeps for the backward pass; those that come out, unless it says more."""
        return prod(outputs)

    def mirror(self, inputs: Shape, outputs: Shape, activation: str | None) -> tuple[LayerSpec, ...]:
        """Layers that lead from what this one gives, `outputs`, back to `inputs`, with the activation that those came
        out of. None: `inputs` are the example, which the chain's own last layer gives from as many values as here.

        Raises `InputError` where there are none.
        """
        raise InputError(
            f"{type(self).__name__} has no mirror, so the decoder has to be given. Example: decoder=MLP((32,))"
        )

    @property
    def label(self) -> str:
        """A word for names of networks."""
        return type(self).__name__.removesuffix("Layer").lower()


@dataclass(frozen=True)
class DenseLayer(LayerSpec):
    """Neurons v = σ(x W + b) [E12] on the last axis, at every place of the others alike.

    width: how many. activation: name of σ. initializer: start of W; None takes the one that suits σ.
    """

    width: int = checked(check=count)
    activation: str = checked("tanh", check=lambda _, value: ACTIVATIONS[value])
    initializer: str | None = checked(None, check=lambda _, value: value is None or INITIALIZERS[value])

    def build(self, inputs: Shape, *, key: jax.Array) -> tuple[Any, Shape]:
        return dense_layer(inputs[-1], self.width, self.activation, self.initializer, key), (*inputs[:-1], self.width)

    def mirror(self, inputs: Shape, outputs: Shape, activation: str | None) -> tuple[LayerSpec, ...]:
        return () if activation is None else (DenseLayer(inputs[-1], activation, self.initializer),)

    @property
    def label(self) -> str:
        return f"{self.width} {self.activation}"


@dataclass(frozen=True)
class DropoutLayer(LayerSpec):
    """Each value is dropped with probability `rate` in training and multiplied by 1 - rate in use."""

    rate: float = traced(0.5, off=0.0, check=below_one)

    def build(self, inputs: Shape, *, key: jax.Array) -> tuple[Any, Shape]:
        return Dropout(self.rate) if is_on(self.rate) else Sequential(()), inputs

    def mirror(self, inputs: Shape, outputs: Shape, activation: str | None) -> tuple[LayerSpec, ...]:
        return (self,)

    @property
    def stochastic(self) -> bool:
        return is_on(self.rate)


@dataclass(frozen=True)
class NoiseLayer(LayerSpec):
    """Noise of standard deviation `std` on every value, in training."""

    std: float = traced(0.1, off=0.0, check=not_negative)

    def build(self, inputs: Shape, *, key: jax.Array) -> tuple[Any, Shape]:
        return Noise(self.std) if is_on(self.std) else Sequential(()), inputs

    def mirror(self, inputs: Shape, outputs: Shape, activation: str | None) -> tuple[LayerSpec, ...]:
        return () if activation is None else (self,)  # none on what is decoded

    @property
    def stochastic(self) -> bool:
        return is_on(self.std)


@dataclass(frozen=True)
class NormLayer(LayerSpec):
    """Normalization over the last axis: "layer" within each row and place, "batch" over the rows and places."""

    norm: str = checked("layer", check=lambda _, value: NORMS[value])

    def build(self, inputs: Shape, *, key: jax.Array) -> tuple[Any, Shape]:
        return NORMS[self.norm](inputs[-1]), inputs

    def mirror(self, inputs: Shape, outputs: Shape, activation: str | None) -> tuple[LayerSpec, ...]:
        return (self,)

    @property
    def stochastic(self) -> bool:
        return self.calibrated

    @property
    def calibrated(self) -> bool:
        return self.norm == "batch"

    def hidden_units(self, inputs: Shape, outputs: Shape) -> int:
        return 2 * prod(outputs)


@dataclass(frozen=True)
class PReLULayer(LayerSpec):
    """z for z > 0, else slope · z, with slopes that are learned (He et al. 2015), after a layer with the activation
    "linear".

    start: of the slopes.
    shared: one slope for all; else one for each unit or channel. (Keras has one for each place too, unless its axes
        are shared.)
    """

    start: float = checked(0.25, check=not_negative)
    shared: bool = checked(False, check=flag)

    def build(self, inputs: Shape, *, key: jax.Array) -> tuple[Any, Shape]:
        return PReLU(jnp.full((1,) if self.shared else inputs[-1:], float(self.start))), inputs

    def mirror(self, inputs: Shape, outputs: Shape, activation: str | None) -> tuple[LayerSpec, ...]:
        return (self,)


@dataclass(frozen=True)
class Flatten(LayerSpec):
    """All axes of an example as one."""

    def build(self, inputs: Shape, *, key: jax.Array) -> tuple[Any, Shape]:
        return Reshape((prod(inputs),)), (prod(inputs),)

    def mirror(self, inputs: Shape, outputs: Shape, activation: str | None) -> tuple[LayerSpec, ...]:
        return (ReshapeLayer(inputs),)

    def hidden_units(self, inputs: Shape, outputs: Shape) -> int:
        return 0


def _shape(name: str, value: Any) -> None:
    for n in value if isinstance(value, tuple) else (value,):
        if is_plain(n):
            count(name, n)


@dataclass(frozen=True)
class ReshapeLayer(LayerSpec):
    """An example's values in another shape, such as (7, 7, 32) of 1568; the last axis varies fastest."""

    shape: int | tuple[int, ...] = checked(check=_shape)

    def build(self, inputs: Shape, *, key: jax.Array) -> tuple[Any, Shape]:
        shape = self.shape if isinstance(self.shape, tuple) else (self.shape,)
        if prod(shape) != prod(inputs):
            raise InputError(
                f"ReshapeLayer needs examples of {prod(shape)} values for the shape {shape}, got {prod(inputs)} in the"
                f" shape {inputs}. Put DenseLayer({prod(shape)}) before it."
            )
        return Reshape(shape), shape

    def mirror(self, inputs: Shape, outputs: Shape, activation: str | None) -> tuple[LayerSpec, ...]:
        return (ReshapeLayer(inputs),)

    def hidden_units(self, inputs: Shape, outputs: Shape) -> int:
        return 0


def dense_layer(inputs: int, width: int, activation: str, initializer: str | None, key: jax.Array) -> Dense:
    sigma = ACTIVATIONS[activation]
    (weight,) = initial_weights(key, [initializer or sigma.initializer], [(inputs, width)])
    return Dense(weight, jnp.zeros(width, weight.dtype), sigma.function)
