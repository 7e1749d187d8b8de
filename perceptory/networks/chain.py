"""A network put together from layers, as a spec that can be written to the model file.

A layer spec subclasses `LayerSpec`, has a line in the table of layers, and builds its module for the shape that comes
in.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any, cast

import equinox as eqx
import jax

from perceptory.catalog import LAYERS
from perceptory.errors import InputError
from perceptory.layers.arrays import Shape
from perceptory.layers.dense import Reshape
from perceptory.layers.noise import WeightNoise
from perceptory.layers.norm import calibrate, is_stored
from perceptory.layers.sequential import Sequential, Skip
from perceptory.networks.base import Network
from perceptory.networks.chain_units import DenseLayer, LayerSpec, ReshapeLayer, dense_layer
from perceptory.specs import checked, combine, is_on, is_plain, not_negative, traced


def _layers(name: str, value: Any) -> None:
    if not isinstance(value, tuple):
        raise InputError(f"{name} needs a tuple of layers, got {value!r}. Example: layers=(DenseLayer(32),)")
    for layer in value:
        if is_plain(layer) and not isinstance(layer, LayerSpec):
            raise InputError(f"{name} needs layers, got {layer!r} among them. Example: layers=(DenseLayer(32),)")


class _Layers:
    """What a sequence of layer specs has in common, alone or within another."""

    layers: tuple[LayerSpec, ...]

    @property
    def stochastic(self) -> bool:
        return any(layer.stochastic for layer in self.layers)

    @property
    def calibrated(self) -> bool:
        return any(layer.calibrated for layer in self.layers)

    @property
    def unscaled(self) -> tuple[int, ...]:
        return self.layers[0].unscaled if self.layers and isinstance(self.layers[0], LayerSpec) else ()

    def _build(self, inputs: Shape, key: jax.Array) -> tuple[list[Any], list[Shape]]:
        """The modules, and the shapes before, between and after them."""
        modules, shapes = [], [inputs]
        for layer in self.layers[1:]:
            if layer.unscaled:
                raise InputError(
                    f"{type(layer).__name__} takes the inputs as they are, so it has to be the first layer."
                )
        for i, layer in enumerate(self.layers):
            module, shape = layer.build(shapes[-1], key=jax.random.fold_in(key, i))
            modules.append(module)
            shapes.append(shape)
        return modules, shapes

    def _shapes(self, inputs: Shape) -> list[Shape]:
        """Of examples before, between and after the layers; computes no array."""
        shapes: list[Shape] = []
        plain: Any = combine(
            cast(Any, self), defaultdict(lambda: 0.5)
        )  # any number will do: shapes do not depend on traced ones
        eqx.filter_eval_shape(lambda: shapes.extend(plain._build(inputs, jax.random.key(0))[1]))
        return shapes

    def _mirrored(self, inputs: Shape, activation: str | None) -> tuple[LayerSpec, ...]:
        """Layers that lead back to `inputs`, which came out of this activation."""
        shapes = self._shapes(inputs)
        back: list[LayerSpec] = []
        before = [activation]
        for layer in self.layers:
            before.append(getattr(layer, "activation", before[-1]))
        for i in reversed(range(len(self.layers))):
            back += self.layers[i].mirror(shapes[i], shapes[i + 1], before[i])
        return tuple(back)

    def _hidden_units_of_layers(self, inputs: Shape) -> list[int]:
        """`hidden_units` of each layer."""
        shapes = self._shapes(inputs)
        pairs = zip(self.layers, shapes[:-1], shapes[1:], strict=True)
        return [layer.hidden_units(before, after) for layer, before, after in pairs]


@dataclass(frozen=True)
class Residual(_Layers, LayerSpec):
    """x + f(x) with f the given layers, which must keep the shape."""

    layers: tuple[LayerSpec, ...] = checked(check=_layers, table=LAYERS)

    def build(self, inputs: Shape, *, key: jax.Array) -> tuple[Any, Shape]:
        if self.unscaled:
            raise InputError(
                f"{type(self.layers[0]).__name__} has to be the first layer of a Chain, got it in Residual."
            )
        modules, shapes = self._build(inputs, key)
        if shapes[-1] != inputs:
            raise InputError(
                f"Residual needs layers that keep the shape, got {inputs} in and {shapes[-1]} out."
                f" Let the last of them have the width {inputs[-1]}."
            )
        return Skip(Sequential(tuple(modules))), inputs

    def mirror(self, inputs: Shape, outputs: Shape, activation: str | None) -> tuple[LayerSpec, ...]:
        return (Residual(self._mirrored(inputs, activation or "linear")),)

    def hidden_units(self, inputs: Shape, outputs: Shape) -> int:
        return sum(self._hidden_units_of_layers(inputs)) + prod(outputs)

    @property
    def label(self) -> str:
        return f"residual({', '.join(layer.label for layer in self.layers)})"


@dataclass(frozen=True)
class Chain(_Layers, Network):
    """Layers one after the other, then a linear layer to the outputs, which `Chain` adds itself.

    layers: layer specs, such as (DenseLayer(32, "relu"), DropoutLayer(0.1)).
    weight_noise: standard deviation of noise on every weight in training; 0 leaves it out of the program.

    The last layer works at every place where the shape before it has the places of the outputs, as for one output a
    time step; otherwise what comes to it is flattened.
    """

    layers: tuple[LayerSpec, ...] = checked(check=_layers, table=LAYERS)
    weight_noise: float = traced(0.0, off=0.0, check=not_negative)

    def build(self, inputs: Shape, outputs: Shape, *, key: jax.Array) -> Any:
        modules, shapes = self._build(inputs, key)
        shape = shapes[-1]
        output_key = jax.random.fold_in(key, len(modules))
        if len(outputs) > 1 and shape[:-1] == outputs[:-1]:
            modules.append(dense_layer(shape[-1], outputs[-1], "linear", None, output_key))
        else:
            if len(shape) > 1:
                modules.append(Reshape((prod(shape),)))
            modules.append(dense_layer(prod(shape), prod(outputs), "linear", None, output_key))
            if len(outputs) > 1:
                modules.append(Reshape(outputs))
        module = Sequential(tuple(modules))
        return WeightNoise(module, self.weight_noise) if is_on(self.weight_noise) else module

    def mirror(self, inputs: Shape) -> Chain:
        """A dense layer to the shape that the layers give, then their mirrors in the opposite order."""
        if not self.layers:
            return self
        shape = self._shapes(inputs)[-1]
        found = [getattr(layer, "activation", None) for layer in self.layers]
        activation = next((name for name in reversed(found) if name is not None), "linear")
        first: tuple[LayerSpec, ...] = (DenseLayer(prod(shape), activation),)
        first += (ReshapeLayer(shape),) if len(shape) > 1 else ()
        return self.replace(layers=(*first, *self._mirrored(inputs, None)))

    @property
    def in_order(self) -> bool:
        return True

    @property
    def stochastic(self) -> bool:
        return super().stochastic or is_on(self.weight_noise)

    def calibrate(self, module: Any, rows: Callable[[], tuple[jax.Array, ...]]) -> Any:
        """The module with the statistics of its batch normalizations taken from the training rows."""
        if not self.calibrated:
            return module
        x, w = rows()
        return calibrate(module, x, w, max(self._hidden_units_of_layers(x.shape[1:])))

    def trains(self, name: str) -> bool:
        """Whether the optimizer moves the array of this path."""
        return not is_stored(name)

    @property
    def label(self) -> str:
        return f"Chain {', '.join(layer.label for layer in self.layers) or 'linear'}"

    def hidden_units(self, inputs: Shape, outputs: Shape) -> int:
        return sum(self._hidden_units_of_layers(inputs))
