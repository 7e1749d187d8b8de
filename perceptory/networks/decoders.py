"""Networks from a code to what it stands for: images and series by transposed convolution, series by recurrence.

They mirror `CNN` and `RNN`, `GRU`, `LSTM`; an MLP's mirror is an MLP.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from perceptory.errors import InputError
from perceptory.layers.arrays import Shape
from perceptory.layers.convolution import RealSteps, TransposedConvolution
from perceptory.layers.dense import Dense, Dropout, Reshape
from perceptory.layers.recurrent import RecurrentNetwork
from perceptory.layers.sequential import Sequential
from perceptory.networks.base import Network
from perceptory.networks.cnn import CNN, MOST_STEPS, Staged, a_function_of_one_number, counts, sizes
from perceptory.networks.recurrent import GRU, Recurrent
from perceptory.ops.activations import ACTIVATIONS
from perceptory.ops.initializers import INITIALIZERS, initial_weights
from perceptory.ops.patches import per_axis
from perceptory.ops.scans import recur
from perceptory.ops.transposed_convolution import Spreads, spreads_of, taps_a_place
from perceptory.specs import below_one, checked, traced


@dataclass(frozen=True)
class CNNDecoder(Staged):
    """Dense layers, then stages of transposed convolution up to images (height, width, out) or series (time, out).

    The last dense layer gives the smallest feature map. Each stage has `stride` times as many places as the one before
    it, the last one exactly those of the outputs; where a number of places is no multiple of the stride, the stage
    before has one place more than fits into it, and what is too much is cut off on both sides.

    channels: of the feature maps, the smallest first; the last stage leads from the last of them to the outputs.
    kernel, stride, dilation: one for all stages, or a tuple with one per stage; for images an entry may be a pair
        (vertical, horizontal). A kernel that is a multiple of its stride treats all places alike.
    hidden: widths of the dense hidden layers.
    activation: name of σ in the table of activations, of hidden layers and feature maps; outputs are linear.
    dropout: probability that a unit is dropped in training; 0 leaves dropout out of the program.
    initializer: name of the start of the weights; None takes the one that suits the activation. Kernels start √stride
        times (along each axis) as great, as a place of the output sees so much less of a kernel.

    lengths: of series: steps of the outputs from there on are padding and 0.
    """

    channels: tuple[int, ...] = checked((32, 16), check=lambda name, v: counts(name, v, empty=False))
    kernel: int | tuple[Any, ...] = checked(4, check=sizes)
    stride: int | tuple[Any, ...] = checked(2, check=sizes)
    dilation: int | tuple[Any, ...] = checked(1, check=lambda name, v: sizes(name, v, MOST_STEPS))
    hidden: tuple[int, ...] = checked((64,), check=counts)
    activation: str = checked("relu", check=a_function_of_one_number)
    dropout: float = traced(0.0, off=0.0, check=below_one)
    initializer: str | None = checked(None, check=lambda _, value: value is None or INITIALIZERS[value])

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("kernel", "stride", "dilation"):
            value = getattr(self, name)
            if isinstance(value, tuple) and isinstance(self.channels, tuple) and len(value) != len(self.channels):
                raise InputError(
                    f"CNNDecoder.{name} needs one entry, or one for each of the {len(self.channels)} stages, got"
                    f" {value!r}."
                )

    def build(self, inputs: Shape, outputs: Shape, *, key: jax.Array) -> Sequential:
        smallest, plan = self._plan(outputs)
        sigma, linear = ACTIVATIONS[self.activation], ACTIVATIONS["linear"]
        start, stages = self.initializer or sigma.initializer, len(plan)
        fans = list(pairwise((prod(inputs), *self.hidden, prod(smallest) * self.channels[0])))
        dense = len(fans)
        channels = list(pairwise((*self.channels, outputs[-1])))
        fans += [(prod(s.size for s in spreads) * i, o) for spreads, (i, o) in zip(plan, channels, strict=True)]
        starts = [start] * (len(fans) - 1) + [self.initializer or linear.initializer]
        weights = initial_weights(key, starts, fans)
        layers: list[Any] = [Reshape((prod(inputs),))] if len(inputs) != 1 else []
        for weight in weights[:dense]:
            layers.append(Dense(weight, jnp.zeros(weight.shape[1], weight.dtype), sigma.function))
            if self.stochastic:
                layers.append(Dropout(self.dropout))
        layers.append(Reshape((*smallest, self.channels[0])))
        for i, (spreads, weight, (before, _)) in enumerate(zip(plan, weights[dense:], channels, strict=True), 1):
            function = linear.function if i == stages else sigma.function
            kernel = weight.reshape(*(s.size for s in spreads), before, -1) * gain(spreads)
            layers.append(TransposedConvolution(kernel, jnp.zeros(weight.shape[1], weight.dtype), spreads, function))
            if self.stochastic and i < stages:
                layers.append(Dropout(self.dropout))
        return Sequential((*layers, *((RealSteps(),) if len(outputs) == 2 else ())))

    def _plan(self, outputs: Shape) -> tuple[Shape, list[Spreads]]:
        """(places of the smallest feature map, how each stage spreads them); refuses what cannot be."""
        if len(outputs) not in (2, 3):
            raise InputError(
                "CNNDecoder gives images of shape (height, width, channels) or series of shape (time, channels), got"
                f" outputs of shape {outputs}. Use MLP for (out,)."
            )
        places = outputs[:-1]
        plan: list[Spreads] = []
        for i in reversed(range(len(self.channels))):
            kernel, stride, dilation = (per_axis(self.at(n, i), len(places)) for n in ("kernel", "stride", "dilation"))
            fewer = tuple(-(-n // s) for n, s in zip(places, stride, strict=True))
            plan.insert(0, spreads_of(fewer, kernel, stride, "same", dilation, places))
            places = fewer
        return places, plan

    @property
    def label(self) -> str:
        parts = ["CNN decoder"] + ([f"dense {'-'.join(map(str, self.hidden))}"] if self.hidden else [])
        parts += ["-".join(map(str, self.channels)), f"kernel {self.kernel}", f"stride {self.stride}", self.activation]
        return " ".join(parts + ([f"dropout {self.dropout:.3g}"] if self.stochastic else []))

    def hidden_units(self, inputs: Shape, outputs: Shape) -> int:
        """Gathered windows count too, as in `CNN`."""
        smallest, plan = self._plan(outputs)
        total = sum(self.hidden) + prod(smallest) * self.channels[0]
        places = smallest
        for spreads, (i, o) in zip(plan, pairwise((*self.channels, outputs[-1])), strict=True):
            total += prod(places) * taps_a_place(places, spreads) * i + prod(s.length for s in spreads) * o
            places = tuple(s.length for s in spreads)
        return total


def gain(spreads: Spreads) -> float:
    return prod(min(s.stride, s.size) for s in spreads) ** 0.5


def mirror_of_stages(network: CNN, inputs: Shape) -> CNNDecoder:
    """The decoder that undoes a network's stages one by one, the last one first."""
    axes = len(inputs) - 1
    stages = [undone(network, i, axes) for i in reversed(range(len(network.channels)))]
    kernel, stride, dilation = (common([common(along) for along in v]) for v in zip(*stages, strict=True))
    return CNNDecoder(
        network.channels[::-1], kernel, stride, dilation, network.hidden[::-1], network.activation, network.dropout,
        network.initializer,
    )  # fmt: skip


def undone(network: CNN, stage: int, axes: int) -> tuple[Shape, Shape, Shape]:
    """(kernel, stride, dilation), each by axis, of the transposed convolution that undoes a stage with its pool: its
    stride is that of both, and its kernel sees as much as both, made up to a multiple of the stride."""
    pool = network.at("pool", stage) or 2  # as in a network with one output an example
    settings = (network.at("kernel", stage), network.at("stride", stage), pool, network.at("dilation", stage))
    found = []
    for kernel, stride, size, dilation in zip(*(per_axis(v, axes) for v in settings), strict=True):
        both = stride * size
        seen = kernel + stride * (size - 1)
        found.append((kernel, 1, dilation) if both == 1 else (-(-seen // both) * both, both, 1))
    kernels, strides, dilations = zip(*found, strict=True)
    return kernels, strides, dilations


def common(values: Sequence[Any]) -> Any:
    """The value that all of them have, or else all of them."""
    return values[0] if len(set(values)) == 1 else tuple(values)


class CodeToSeries(eqx.Module):
    """A recurrent network that starts at the code and sees it at every step: net(code [batch, code]) -> [batch, time,
    out].

    start: from the code to the states before the first step, of all layers and directions side by side.
    steps: how many there are, unless the call says otherwise: any number will do.
    lengths: [batch] int32; steps from there on are padding and 0. A key means training.
    """

    start: Dense
    network: RecurrentNetwork
    steps: int = eqx.field(static=True)
    takes: ClassVar[tuple[str, ...]] = ("lengths",)

    def __call__(
        self, x: jax.Array, key: jax.Array | None = None, lengths: jax.Array | None = None, steps: int | None = None
    ) -> jax.Array:
        x = x.reshape(x.shape[0], -1)
        arrays, tree = jax.tree.flatten(self.network.initial_state(x.shape[0]))
        ends = np.cumsum([a.shape[1] for a in arrays])[:-1].tolist()
        state = jax.tree.unflatten(tree, jnp.split(self.start(x), ends, axis=1))
        code = jnp.broadcast_to(x[:, None], (x.shape[0], self.steps if steps is None else steps, x.shape[1]))
        return self.network.outputs([recur] * len(self.network.layers), code, state, key, lengths)[0]


def _is_recurrent(name: Any, value: Any) -> None:
    if not isinstance(value, Recurrent):
        raise InputError(name, f" needs an RNN, a GRU or an LSTM, got {value!r}. Example: network=GRU((32,))")


@dataclass(frozen=True)
class RecurrentDecoder(Network):
    """From a code to a series (time, out): recurrent layers that start at tanh(code W + b) and see the code at every
    step, then a linear output layer at each.

    network: the recurrent layers, `RNN`, `GRU` or `LSTM`.

    The module takes `lengths`, steps from there on being 0, and `steps`, another number of steps than it was built for.
    """

    network: Recurrent = checked(GRU((32,)), check=_is_recurrent)

    def build(self, inputs: Shape, outputs: Shape, *, key: jax.Array) -> CodeToSeries:
        if len(outputs) != 2:
            raise InputError(
                f"RecurrentDecoder gives series of shape (time, channels), got outputs of shape {outputs}. Use MLP for"
                " (out,), CNNDecoder for images."
            )
        code, (first, second) = prod(inputs), jax.random.split(key)
        network = self.network.build((outputs[0], code), outputs, key=first)
        width = sum(a.shape[1] for a in jax.tree.leaves(jax.eval_shape(lambda: network.initial_state(1))))
        (weight,) = initial_weights(second, ["glorot"], [(code, width)])
        start = Dense(weight, jnp.zeros(width, weight.dtype), ACTIVATIONS["tanh"].function)
        return CodeToSeries(start, network, outputs[0])

    @property
    def stochastic(self) -> bool:
        return self.network.stochastic

    @property
    def label(self) -> str:
        return f"{self.network.label} decoder"

    def hidden_units(self, inputs: Shape, outputs: Shape) -> int:
        return self.network.hidden_units((outputs[0], prod(inputs)), outputs)


def mirror_of_recurrence(network: Recurrent, inputs: Shape) -> RecurrentDecoder:
    """The network's layers in the opposite order, which start at the code and see it at every step."""
    return RecurrentDecoder(network.replace(hidden=network.hidden[::-1]))
