"""Layers of a `Chain` that convolve, pool and recur, made of the parts of `CNN`, `RNN`, `GRU` and `LSTM`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from perceptory.errors import InputError
from perceptory.layers.arrays import Shape
from perceptory.layers.recurrent import RecurrentLayer
from perceptory.networks.chain_places import TransposedConvolutionLayer, UpsamplingLayer
from perceptory.networks.chain_units import LayerSpec, ReshapeLayer
from perceptory.networks.cnn import CNN
from perceptory.networks.decoders import common, undone
from perceptory.networks.recurrent import GRU, LSTM, RESETS, RNN
from perceptory.ops.pooling import POOLINGS, global_pool
from perceptory.ops.scans import active_steps, recur
from perceptory.specs import checked, count


@dataclass(frozen=True)
class ConvolutionLayer(LayerSpec):
    """A convolution, its detector and pooling, as one stage of `CNN`: of images (height, width, channels) or series
    (time, features). The fields are those of `CNN`, for one stage; pool=1 is none."""

    channels: int = checked(check=count)
    kernel: int | tuple[Any, ...] = 3
    stride: int | tuple[Any, ...] = 1
    padding: str | int | tuple[Any, ...] = "same"
    dilation: int | tuple[Any, ...] = 1
    pool: int | tuple[Any, ...] = 1
    pooling: str = "max"
    activation: str = "relu"
    groups: int = checked(1, check=count)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._stage()  # its checks

    def _stage(self) -> CNN:
        def one(value: Any) -> Any:
            return (value,) if isinstance(value, tuple) else value

        return CNN(
            (self.channels,), one(self.kernel), one(self.stride), one(self.padding), one(self.dilation),
            one(self.pool), self.pooling, (), "flatten", self.activation, groups=self.groups,
        )  # fmt: skip

    def build(self, inputs: Shape, *, key: jax.Array) -> tuple[Any, Shape]:
        stage = self._stage()
        _, places = stage._plan(inputs, (1,))
        return stage.build(inputs, (1,), key=key).stages[0], (*places, self.channels)

    def mirror(self, inputs: Shape, outputs: Shape, activation: str | None) -> tuple[LayerSpec, ...]:
        """A transposed convolution whose stride is that of convolution and pool and whose kernel sees as much."""
        kernel, stride, dilation = undone(self._stage(), 0, len(inputs) - 1)
        lacking = [n - (m - 1) * s for n, m, s in zip(inputs, outputs[:-1], stride, strict=False)]
        kernel = tuple(max(k, -(-n // s) * s) if s > 1 else k for k, n, s in zip(kernel, lacking, stride, strict=True))
        channels, sigma = (self.channels, self.activation) if activation is None else (inputs[-1], activation)
        return (
            TransposedConvolutionLayer(
                channels, common(kernel), common(stride), "same", common(dilation), common(inputs[:-1]), sigma
            ),
        )

    def hidden_units(self, inputs: Shape, outputs: Shape) -> int:
        return self._stage().hidden_units(inputs, (1,))

    @property
    def label(self) -> str:
        return f"convolution {self.channels}"


class Pooled(eqx.Module):
    """Each channel's mean or maximum over all places, of series over their real steps."""

    pooling: str = eqx.field(static=True)
    takes: ClassVar[tuple[str, ...]] = ("lengths",)

    def __call__(self, x: jax.Array, key: jax.Array | None = None, lengths: jax.Array | None = None) -> jax.Array:
        return global_pool(x, kind=self.pooling, lengths=lengths)


@dataclass(frozen=True)
class GlobalPool(LayerSpec):
    """One value per channel: its average or maximum over all places."""

    pooling: str = checked("average", check=lambda _, value: POOLINGS[value])

    def build(self, inputs: Shape, *, key: jax.Array) -> tuple[Any, Shape]:
        if len(inputs) < 2:
            raise InputError(f"GlobalPool needs places and channels, got {inputs}. Leave it out.")
        return Pooled(self.pooling), inputs[-1:]

    def mirror(self, inputs: Shape, outputs: Shape, activation: str | None) -> tuple[LayerSpec, ...]:
        axes = len(inputs) - 1
        return ReshapeLayer((*(1,) * axes, inputs[-1])), UpsamplingLayer(output=common(inputs[:-1]))


class Steps(eqx.Module):
    """A recurrent layer's state after every step: x [batch, time, in] to [batch, time, width], 0 in the padding."""

    layer: RecurrentLayer
    takes: ClassVar[tuple[str, ...]] = ("lengths",)

    def __call__(self, x: jax.Array, key: jax.Array | None = None, lengths: jax.Array | None = None) -> jax.Array:
        x = jnp.swapaxes(x, 0, 1)
        h, _ = self.layer(recur, x, self.layer.start(x.shape[1]), lengths)
        return jnp.swapaxes(h if lengths is None else jnp.where(active_steps(x, lengths), h, 0), 0, 1)


class _Recurrent(LayerSpec):
    """A recurrent layer of the given width, with its state after every step as output."""

    width: int
    activation: str  # that its states come out of

    def mirror(self, inputs: Shape, outputs: Shape, activation: str | None) -> tuple[LayerSpec, ...]:
        return (self if activation is None else self.replace(width=inputs[-1]),)

    def _network(self) -> Any:
        raise NotImplementedError

    def build(self, inputs: Shape, *, key: jax.Array) -> tuple[Any, Shape]:
        module = self._network().build(inputs, (inputs[0], 1), key=key)
        return Steps(module.layers[0][0]), (inputs[0], self.width)

    def hidden_units(self, inputs: Shape, outputs: Shape) -> int:
        return self._network().hidden_units(inputs, (inputs[0], 1))

    @property
    def label(self) -> str:
        return f"{type(self).__name__.removesuffix('Layer')} {self.width}"


@dataclass(frozen=True)
class RNNLayer(_Recurrent):
    """The recurrent layer of `RNN`."""

    width: int = checked(check=count)
    activation: str = "tanh"

    def _network(self) -> RNN:
        return RNN((self.width,), activation=self.activation)


@dataclass(frozen=True)
class GRULayer(_Recurrent):
    """The recurrent layer of `GRU`; reset as there."""

    width: int = checked(check=count)
    reset: str = checked("after", check=lambda _, value: RESETS[value])
    activation: ClassVar[str] = "tanh"  # type: ignore[misc]

    def _network(self) -> GRU:
        return GRU((self.width,), reset=self.reset)


@dataclass(frozen=True)
class LSTMLayer(_Recurrent):
    """The recurrent layer of `LSTM`."""

    width: int = checked(check=count)
    activation: ClassVar[str] = "tanh"  # type: ignore[misc]

    def _network(self) -> LSTM:
        return LSTM((self.width,))
