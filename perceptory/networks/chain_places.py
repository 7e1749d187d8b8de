"""Layers of a `Chain` on images (height, width, channels) and series (time, features) that change how many places there
are: transposed convolution, upsampling, pooling."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from perceptory.errors import InputError
from perceptory.layers.arrays import Shape
from perceptory.layers.convolution import TransposedConvolution
from perceptory.networks.chain_units import LayerSpec
from perceptory.networks.cnn import MOST_STEPS, a_function_of_one_number, paddings, sizes
from perceptory.networks.decoders import common, gain
from perceptory.ops.activations import ACTIVATIONS
from perceptory.ops.initializers import initial_weights
from perceptory.ops.patches import per_axis
from perceptory.ops.pooling import POOLINGS, pool, pools_of
from perceptory.ops.transposed_convolution import Spreads, spreads_of, taps_a_place
from perceptory.specs import checked, count, flag


def places_of(layer: LayerSpec, inputs: Shape) -> Shape:
    """The places of an example; `InputError` where it is no image or series."""
    if len(inputs) not in (2, 3):
        raise InputError(
            f"{type(layer).__name__} needs images of shape (height, width, channels) or series of shape (time,"
            f" features), got {inputs}. Put ReshapeLayer before it."
        )
    return inputs[:-1]


@dataclass(frozen=True)
class TransposedConvolutionLayer(LayerSpec):
    """σ(y + b), y the transposed convolution: each input adds its kernel, times itself, to the places of a larger
    output. Weights [*kernel, in, out], not turned around: PyTorch's `weight` [in, out, *kernel] with its first two
    axes last; Keras's [*kernel, out, in] with its last two exchanged.

    channels: of the output.
    kernel, stride, dilation: a number, or for images a pair (vertical, horizontal).
    padding: "valid": all (n - 1) · stride + (kernel - 1) · dilation + 1 places of n inputs are the output; "same": it
        has n · stride, as in Keras; "causal" (series): these from the first on, so that none sees a later input; a
        number: so many places are cut off on both sides, as in PyTorch.
    output: how many places it has instead, None to leave it: what is too much is cut off behind, with "same" on both
        sides; what is missing is σ(b).
    activation: name of σ.
    """

    channels: int = checked(check=count)
    kernel: int | tuple[Any, ...] = checked(4, check=sizes)
    stride: int | tuple[Any, ...] = checked(2, check=sizes)
    padding: str | int | tuple[Any, ...] = checked("same", check=paddings)
    dilation: int | tuple[Any, ...] = checked(1, check=lambda name, v: sizes(name, v, MOST_STEPS))
    output: int | tuple[Any, ...] | None = checked(
        None, check=lambda name, v: None if v is None else sizes(name, v, MOST_STEPS)
    )
    activation: str = checked("relu", check=a_function_of_one_number)

    def build(self, inputs: Shape, *, key: jax.Array) -> tuple[Any, Shape]:
        spreads, sigma = self._spreads(inputs), ACTIVATIONS[self.activation]
        size = tuple(s.size for s in spreads)
        (weight,) = initial_weights(key, [sigma.initializer], [(prod(size) * inputs[-1], self.channels)])
        kernel = weight.reshape(*size, inputs[-1], self.channels) * gain(spreads)
        bias = jnp.zeros(self.channels, weight.dtype)
        module = TransposedConvolution(kernel, bias, spreads, sigma.function)
        return module, (*(s.length for s in spreads), self.channels)

    def _spreads(self, inputs: Shape) -> Spreads:
        return spreads_of(places_of(self, inputs), self.kernel, self.stride, self.padding, self.dilation, self.output)

    def hidden_units(self, inputs: Shape, outputs: Shape) -> int:
        return prod(inputs) * taps_a_place(inputs[:-1], self._spreads(inputs)) + prod(outputs)

    @property
    def label(self) -> str:
        return f"transposed convolution {self.channels}"


class Nearest(eqx.Module):
    """x [batch, *space, ·] at so many places: of n values along an axis, place i of m sees number floor(i n / m)."""

    places: Shape = eqx.field(static=True)

    def __call__(self, x: jax.Array, key: jax.Array | None = None) -> jax.Array:
        for axis, places in enumerate(self.places, 1):
            before, after = x.shape[:axis], x.shape[axis + 1 :]
            if places % x.shape[axis]:
                x = jnp.take(x, np.arange(places) * x.shape[axis] // places, axis=axis)
            else:
                each = places // x.shape[axis]
                x = jnp.broadcast_to(jnp.expand_dims(x, axis + 1), (*before, x.shape[axis], each, *after))
                x = x.reshape(*before, places, *after)
        return x


@dataclass(frozen=True)
class UpsamplingLayer(LayerSpec):
    """Each place several times (nearest neighbor).

    size: how many times along each axis: a number, or for images a pair (vertical, horizontal).
    output: how many places there are then instead: place i of m sees floor(i n / m) of n; None to leave it to `size`.
    """

    size: int | tuple[Any, ...] = checked(2, check=sizes)
    output: int | tuple[Any, ...] | None = checked(None, check=lambda name, v: None if v is None else sizes(name, v))

    def build(self, inputs: Shape, *, key: jax.Array) -> tuple[Any, Shape]:
        places = places_of(self, inputs)
        more = tuple(n * s for n, s in zip(places, per_axis(self.size, len(places)), strict=True))
        if self.output is not None:
            more = per_axis(self.output, len(places))
        return Nearest(more), (*more, inputs[-1])

    @property
    def label(self) -> str:
        return f"upsampling {self.size}" if self.output is None else f"upsampling to {self.output}"


class Pool(eqx.Module):
    """x [batch, *space, ·] to [batch, *position, ·]: the greatest value or the average of windows that slide."""

    size: int | tuple[int, ...] = eqx.field(static=True)
    stride: int | tuple[int, ...] | None = eqx.field(static=True)
    padding: str | int | tuple[Any, ...] = eqx.field(static=True)
    pooling: str = eqx.field(static=True)
    zeros: bool = eqx.field(static=True)

    def __call__(self, x: jax.Array, key: jax.Array | None = None) -> jax.Array:
        x = jnp.swapaxes(x, 0, -1)  # with the batch innermost vectors are compared
        y = pool(x, self.size, stride=self.stride, kind=self.pooling, padding=self.padding, zeros=self.zeros)
        return jnp.swapaxes(y, 0, -1)


@dataclass(frozen=True)
class PoolLayer(LayerSpec):
    """The greatest value or the average of each channel in windows that slide.

    size: a number, or for images a pair (vertical, horizontal). stride: likewise; None is the size.
    padding: "valid", "same", "same_upper" (what Keras calls "same"), "same_lower" or a number of places on both sides,
        as `CNN` has them.
    pooling: "max" or "average".
    zeros: whether the places around count in an average, as zeros. PyTorch counts them unless it is told not to
        (`count_include_pad`), Keras and ONNX do not.
    """

    size: int | tuple[Any, ...] = checked(2, check=sizes)
    stride: int | tuple[Any, ...] | None = checked(None, check=lambda name, v: None if v is None else sizes(name, v))
    padding: str | int | tuple[Any, ...] = checked("valid", check=paddings)
    pooling: str = checked("max", check=lambda _, value: POOLINGS[value])
    zeros: bool = checked(False, check=flag)

    def build(self, inputs: Shape, *, key: jax.Array) -> tuple[Any, Shape]:
        places = places_of(self, inputs)
        windows = pools_of(places, self.size, self.stride, self.padding)
        positions = tuple(w.positions(n) for w, n in zip(windows, places, strict=True))
        return Pool(self.size, self.stride, self.padding, self.pooling, self.zeros), (*positions, inputs[-1])

    def mirror(self, inputs: Shape, outputs: Shape, activation: str | None) -> tuple[LayerSpec, ...]:
        return (UpsamplingLayer(output=common(inputs[:-1])),)

    @property
    def label(self) -> str:
        return f"{self.pooling} pool {self.size}"
