"""Convolutional networks for images and series."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import Any

import jax
import jax.numpy as jnp

from perceptory.errors import InputError
from perceptory.layers.arrays import Shape
from perceptory.layers.convolution import Convolution, ConvolutionalNetwork
from perceptory.layers.dense import Dense, Dropout
from perceptory.layers.sequential import Sequential
from perceptory.networks.base import Network
from perceptory.ops.activations import ACTIVATIONS
from perceptory.ops.initializers import INITIALIZERS, initial_weights
from perceptory.ops.patches import PADDINGS, Window, Windows, check_padding_name, check_room, windows_of
from perceptory.ops.pooling import POOLINGS
from perceptory.registry import Registry
from perceptory.specs import below_one, checked, count, is_on, is_plain, traced

HEADS: Registry[str] = Registry(
    "head", {"flatten": "all places and channels", "global": "each channel over all places"}
)

# Of these the maximum may be taken before σ: max(σ(z)) = σ(max(z)) for a nondecreasing σ.
MONOTONE = frozenset(
    {"tanh", "relu", "elu", "sigmoid", "steep_sigmoid", "linear", "threshold", "piecewise_linear"}
    | {"leaky_relu", "softplus", "selu", "softsign", "hard_sigmoid"}
)


def counts(name: str, value: Any, *, empty: bool = True) -> None:
    if not isinstance(value, tuple) or not (value or empty):
        raise InputError(f"{name} needs a tuple of positive whole numbers, got {value!r}. Example: (16, 32)")
    for n in value:
        if is_plain(n):
            count(name, n)


MOST_TAPS = 4096  # of a kernel or a pool along one axis, and steps of a stride; each tap is an operation of the program
MOST_STEPS = 1 << 16  # between taps, and zeros that are added


def sizes(name: str, value: Any, most: int = MOST_TAPS) -> None:
    """A number, or a tuple with one entry per layer, each a number or a pair (vertical, horizontal)."""
    for entry in value if isinstance(value, tuple) else (value,):
        for n in entry if isinstance(entry, tuple) else (entry,):
            if is_plain(n):
                count(name, n, most=most)


def paddings(name: str, value: Any) -> None:
    for entry in value if isinstance(value, tuple) else (value,):
        for pad in entry if isinstance(entry, tuple) else (entry,):
            if is_plain(pad) and pad not in PADDINGS:
                check_padding_name(name, pad)
                count(name, pad, 0, MOST_STEPS)


def a_function_of_one_number(name: str, value: Any) -> None:
    if ACTIVATIONS[value] is ACTIVATIONS["softmax"]:
        raise InputError(f"{name} needs a function of one number, got 'softmax'. Example: activation='relu'")


class Staged(Network):
    """Base of networks of stages, whose fields hold one value for all stages or a tuple with one each."""

    dropout: float

    def at(self, name: str, stage: int) -> Any:
        value = getattr(self, name)
        return value[stage] if isinstance(value, tuple) else value

    @property
    def stochastic(self) -> bool:
        return is_on(self.dropout)


@dataclass(frozen=True)
class CNN(Staged):
    """Convolutional network: stages of convolution, detector σ and pooling, then dense layers and a linear output.

    For images, inputs (height, width, channels), the windows slide over two axes; for series, inputs
    (time, features), over time. With outputs (time, out) each step has an output: the stages keep the number of steps
    and the dense layers act on each step alone; with padding="causal" no output depends on a later input.

    channels: output channels of the stages.
    kernel, stride, dilation, padding, pool: one for all stages, or a tuple with one per stage; for images an entry may
        be a pair (vertical, horizontal). padding: "same", "valid", "causal" (series), a number of zeros, or, as other
        libraries' "same" with a stride above 1, "same_upper" or "same_lower": `ops.patches.windows_of` has them all.
    pool: size and stride of the pool, 1 for none. None: 2, and 1 where each step has an output.
    pooling: "max" or "average".
    hidden: widths of the dense hidden layers.
    head: what the dense layers see: "flatten", all places and channels, or "global", each channel pooled over all
        places, which takes any size of input.
    activation: name of σ in the table of activations, of stages and hidden layers.
    dropout: probability that a unit is dropped in training; 0 leaves dropout out of the program.
    initializer: name of the start of the weights; None takes the one that suits the activation.
    groups: of channels, one number for all stages or a tuple with one per stage: each group of output channels sees its
        own share of the input channels alone. As many groups as input channels is a depthwise convolution.

    LeNet-5: CNN((6, 16), kernel=5, padding=("same", "valid"), hidden=(120, 84), activation="tanh").
    Temporal network: CNN((16, 16, 16), dilation=(1, 2, 4), padding="causal", hidden=()) with outputs (time, out).
    """

    channels: tuple[int, ...] = checked((16, 32), check=lambda name, v: counts(name, v, empty=False))
    kernel: int | tuple[Any, ...] = checked(3, check=sizes)
    stride: int | tuple[Any, ...] = checked(1, check=sizes)
    padding: str | int | tuple[Any, ...] = checked("same", check=paddings)
    dilation: int | tuple[Any, ...] = checked(1, check=lambda name, v: sizes(name, v, MOST_STEPS))
    pool: int | tuple[Any, ...] | None = checked(None, check=lambda name, v: None if v is None else sizes(name, v))
    pooling: str = checked("max", check=lambda _, value: POOLINGS[value])
    hidden: tuple[int, ...] = checked((64,), check=counts)
    head: str = checked("flatten", check=lambda _, value: HEADS[value])
    activation: str = checked("relu", check=a_function_of_one_number)
    dropout: float = traced(0.0, off=0.0, check=below_one)
    initializer: str | None = checked(None, check=lambda _, value: value is None or INITIALIZERS[value])
    groups: int | tuple[int, ...] = checked(1, check=sizes, neutral=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("kernel", "stride", "padding", "dilation", "pool", "groups"):
            value = getattr(self, name)
            if isinstance(value, tuple) and isinstance(self.channels, tuple) and len(value) != len(self.channels):
                raise InputError(
                    f"CNN.{name} needs one entry, or one for each of the {len(self.channels)} stages, got {value!r}."
                    f" A pair for the two axes of every stage is written {name}=({value!r},) * {len(self.channels)}."
                )

    def build(self, inputs: Shape, outputs: Shape, *, key: jax.Array) -> ConvolutionalNetwork:
        plan, places = self._plan(inputs, outputs)
        sigma, linear = ACTIVATIONS[self.activation], ACTIVATIONS["linear"]
        start = self.initializer or sigma.initializer
        flat = self.channels[-1] * (prod(places) if self._head(outputs) == "flatten" else 1)
        ins = self._channels_seen(inputs)
        fans = [
            (prod(w.size for w in windows) * i, o) for (windows, _), i, o in zip(plan, ins, self.channels, strict=True)
        ]
        fans += pairwise((flat, *self.hidden, outputs[-1]))
        starts = [start] * (len(fans) - 1) + [self.initializer or linear.initializer]
        weights = initial_weights(key, starts, fans)
        biases = [jnp.zeros(w.shape[1], w.dtype) for w in weights]
        monotone = self.activation.partition("(")[0].strip() in MONOTONE
        stages: list[Any] = []
        for (windows, size), channels, weight, bias in zip(plan, ins, weights, biases, strict=False):
            kernel = weight.reshape(*(w.size for w in windows), channels, -1)
            stages.append(Convolution(kernel, bias, windows, size, self.pooling, sigma.function, monotone))
            if self.stochastic:
                stages.append(Dropout(self.dropout))
        dense: list[Any] = []
        for weight, bias in zip(weights[len(plan) : -1], biases[len(plan) : -1], strict=True):
            dense.append(Dense(weight, bias, sigma.function))
            if self.stochastic:
                dense.append(Dropout(self.dropout))
        dense.append(Dense(weights[-1], biases[-1], linear.function))
        return ConvolutionalNetwork(tuple(stages), self._head(outputs), self.pooling, Sequential(tuple(dense)))

    def _channels_seen(self, inputs: Shape) -> list[int]:
        """By each output channel of each stage."""
        seen = []
        for i, (before, after) in enumerate(pairwise((inputs[-1], *self.channels))):
            groups = self.at("groups", i)
            if before % groups or after % groups:
                raise InputError(
                    f"stage {i + 1} leads from {before} channels to {after}, and both need to be multiples of its"
                    f" {groups} groups."
                )
            seen.append(before // groups)
        return seen

    def _head(self, outputs: Shape) -> str | None:
        return None if len(outputs) == 2 else self.head

    def _plan(self, inputs: Shape, outputs: Shape) -> tuple[list[tuple[Windows, Shape]], Shape]:
        """((windows, pool) of each stage, places that the last one leaves along each axis); refuses what cannot be."""
        if len(inputs) not in (2, 3):
            raise InputError(
                "CNN needs images of shape (height, width, channels) or series of shape (time, features), got examples"
                f" of shape {inputs}. For a table use MLP."
            )
        every, axes, space = len(outputs) == 2, len(inputs) - 1, inputs[:-1]
        if len(outputs) not in (1, 2) or (every and axes != 1):
            raise InputError(f"CNN gives (out,), or (time, out) for a series, got {outputs} for inputs {inputs}.")
        plan = []
        for i in range(len(self.channels)):
            kernel, stride, padding, dilation = (self.at(n, i) for n in ("kernel", "stride", "padding", "dilation"))
            windows = windows_of(kernel, stride, padding, dilation, axes, space)
            pooled = self.at("pool", i)
            pool = windows_of((1 if every else 2) if pooled is None else pooled, axes=axes)
            if every and (pool[0].size > 1 or any(w.stride > 1 or w.positions(w.span) != w.span for w in windows)):
                raise InputError(
                    "CNN with one output per time step needs stride 1, no pooling, and padding 'same' or 'causal', got"
                    f" stride={self.stride!r}, pool={self.pool!r}, padding={self.padding!r}."
                )
            check_room(space, windows, f"the kernel of stage {i + 1}")
            space = tuple(w.positions(n) for w, n in zip(windows, space, strict=True))
            size = tuple(w.size for w in pool)
            check_room(space, tuple(Window(p) for p in size), f"the pool of stage {i + 1}")
            space = tuple(n // p for n, p in zip(space, size, strict=True))
            plan.append((windows, size))
        return plan, space

    @property
    def in_order(self) -> bool:
        return True

    @property
    def label(self) -> str:
        parts = ["CNN", "-".join(map(str, self.channels)), f"kernel {self.kernel}"]
        parts += [f"dense {'-'.join(map(str, self.hidden))}"] if self.hidden else []
        parts += [self.activation, *([f"dropout {self.dropout:.3g}"] if self.stochastic else [])]
        return " ".join(parts)

    def hidden_units(self, inputs: Shape, outputs: Shape) -> int:
        """Gathered windows count too: they are made twice in a step and are most of what it touches."""
        plan, _ = self._plan(inputs, outputs)
        total, space, seen = 0, inputs[:-1], self._channels_seen(inputs)
        for i, ((windows, size), out) in enumerate(zip(plan, self.channels, strict=True)):
            space = tuple(w.positions(n) for w, n in zip(windows, space, strict=True))
            total += prod(space) * (seen[i] * self.at("groups", i) * prod(w.size for w in windows) // prod(size) + out)
            space = tuple(n // p for n, p in zip(space, size, strict=True))
        return total + sum(self.hidden) * (prod(space) if len(outputs) == 2 else 1)
