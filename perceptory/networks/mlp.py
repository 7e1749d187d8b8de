"""The feedforward network [E8 to E13]."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import Any

import jax

from perceptory.errors import InputError
from perceptory.kernels.stack import Stack, unit
from perceptory.layers.dense import Activate, Dense, Dropout, Reshape
from perceptory.layers.noise import Noise, WeightNoise
from perceptory.layers.norm import NORMS, calibrate, is_stored
from perceptory.layers.sequential import Sequential, Skip
from perceptory.networks.base import Network
from perceptory.ops.activations import ACTIVATIONS
from perceptory.ops.initializers import INITIALIZERS, initial_weights, starting_bias
from perceptory.specs import below_one, checked, count, flag, is_on, is_plain, not_negative, traced


def widths(name: str, value: Any) -> None:
    if not isinstance(value, tuple):
        raise InputError(f"{name} needs a tuple of widths, got {value!r}. Example: hidden=(32, 16)")
    for width in value:
        if is_plain(width):
            try:
                count(name, width)
            except InputError:
                raise InputError(f"{name} needs positive widths, got {value!r}. Example: hidden=(32, 16)") from None


def _activations(name: str, value: Any) -> None:
    for activation in value if isinstance(value, tuple) else (value,):
        if is_plain(activation):
            ACTIVATIONS[activation]


@dataclass(frozen=True)
class MLP(Network):
    """Feedforward network: hidden layers v = σ(v W + b), then a linear output layer y = v W + b [E8 to E13].

    hidden: widths of the hidden layers; () is a linear model.
    activation: name of σ in the table of activations, also "elu(0.5)"; or a tuple of names, one a hidden layer.
    dropout: probability that a hidden unit is dropped in training; 0 leaves dropout out of the program.
    initializer: name of the start of the weights; None takes the one that suits the activation.
    residual: a hidden layer as wide as its input adds that input to its output.
    norm: "layer" or "batch" normalization of the weighted sums, before the activation.
    input_noise, weight_noise, output_noise: standard deviations of the noise that training adds to the scaled inputs,
        to every weight (not to biases), and to the network's outputs, which under squared error is the same as noise
        on the scaled targets; 0 leaves it out of the program.

    Inputs of several axes, such as images, are flattened, and outputs of several axes are reshaped.
    """

    hidden: tuple[int, ...] = checked((32, 32), check=widths)
    activation: str | tuple[str, ...] = checked("tanh", check=_activations)
    dropout: float = traced(0.0, off=0.0, check=below_one)
    initializer: str | None = checked(None, check=lambda _, value: value is None or INITIALIZERS[value])
    residual: bool = checked(False, check=flag)
    norm: str | None = checked(None, check=lambda _, value: value is None or NORMS[value])
    input_noise: float = traced(0.0, off=0.0, check=not_negative)
    weight_noise: float = traced(0.0, off=0.0, check=not_negative)
    output_noise: float = traced(0.0, off=0.0, check=not_negative)

    def __post_init__(self) -> None:
        super().__post_init__()
        names, hidden = self.activation, self.hidden
        if isinstance(names, tuple) and isinstance(hidden, tuple) and len(names) != len(hidden):
            raise InputError(
                f"MLP.activation needs one name, or one for each of the {len(hidden)} hidden layers, got {names!r}."
                ' Example: hidden=(32, 16), activation=("tanh", "relu")'
            )

    def build(self, inputs: tuple[int, ...], outputs: tuple[int, ...], *, key: jax.Array) -> Any:
        hidden = [ACTIVATIONS[name] for name in self._names]
        activations = [*hidden, ACTIVATIONS["linear"]]
        fans = list(pairwise((prod(inputs), *self.hidden, prod(outputs))))
        starts = [self.initializer or a.initializer for a in activations]
        weights = initial_weights(key, starts, fans)
        layers: list[Any] = [Reshape((prod(inputs),))] if len(inputs) != 1 else []
        if is_on(self.input_noise):
            layers.append(Noise(self.input_noise))
        for i, (weight, activation) in enumerate(zip(weights, activations, strict=True)):
            bias = jax.numpy.zeros(weight.shape[1], weight.dtype)
            if i == len(hidden):
                layers.append(Dense(weight, bias, activation.function))
                continue
            bias = starting_bias(starts[i], weight)
            part: list[Any] = [Dense(weight, bias, activation.function)]
            if self.norm is not None:
                part = [
                    Dense(weight, bias, ACTIVATIONS["linear"].function),
                    NORMS[self.norm](weight.shape[1]),
                    Activate(activation.function),
                ]
            if is_on(self.dropout):
                part.append(Dropout(self.dropout))
            square = self.residual and weight.shape[0] == weight.shape[1]
            layers.extend([Skip(Sequential(tuple(part)))] if square else part)
        if len(outputs) != 1:
            layers.append(Reshape(outputs))
        if is_on(self.output_noise):
            layers.append(Noise(self.output_noise))
        module = Sequential(tuple(layers))
        return WeightNoise(module, self.weight_noise) if is_on(self.weight_noise) else module

    def mirror(self, inputs: tuple[int, ...]) -> MLP:
        """Hidden layers in the opposite order; noise on inputs and outputs stays where it is."""
        sigma = self.activation[::-1] if isinstance(self.activation, tuple) else self.activation
        return self.replace(hidden=self.hidden[::-1], activation=sigma, input_noise=0.0, output_noise=0.0)

    def stack(self, inputs: tuple[int, ...], outputs: tuple[int, ...]) -> Stack | None:
        units = [unit(name) for name in self._names]
        known = tuple(one for one in units if one is not None)
        if not known or len(known) < len(units) or self.residual or self.norm is not None or self.stochastic:
            return None
        return Stack((prod(inputs), *self.hidden, prod(outputs)), known)

    @property
    def _names(self) -> tuple[str, ...]:
        return self.activation if isinstance(self.activation, tuple) else (self.activation,) * len(self.hidden)

    @property
    def stochastic(self) -> bool:
        """Batch normalization draws nothing, but by the key it tells training from use."""
        return any(map(is_on, (self.dropout, *self._noises))) or self.calibrated

    @property
    def calibrated(self) -> bool:
        """Whether there are statistics to take from training rows after each epoch."""
        return self.norm == "batch" and len(self.hidden) > 0

    def calibrate(self, module: Any, rows: Callable[[], tuple[jax.Array, ...]]) -> Any:
        """The module with the statistics of its batch normalizations taken from the training rows."""
        if not self.calibrated:
            return module
        x, w = rows()
        return calibrate(module, x, w, max(self.hidden))

    def trains(self, name: str) -> bool:
        """Whether the optimizer moves the array of this path."""
        return not is_stored(name)

    @property
    def label(self) -> str:
        parts = [
            *(["residual"] if self.residual else []),
            *([f"{self.norm} norm"] if self.norm else []),
            *([f"dropout {self.dropout:.3g}"] if is_on(self.dropout) else []),
            *(
                f"{kind} noise {value:.3g}"
                for kind, value in zip(("input", "weight", "output"), self._noises, strict=True)
                if is_on(value)
            ),
        ]
        if not self.hidden:
            return " ".join(["linear model", *(word for word in parts if "noise" in word)])
        sigma = "/".join(self.activation) if isinstance(self.activation, tuple) else self.activation
        return " ".join(["MLP", "-".join(map(str, self.hidden)), sigma, *parts])

    @property
    def _noises(self) -> tuple[float, float, float]:
        return self.input_noise, self.weight_noise, self.output_noise

    def hidden_units(self, inputs: tuple[int, ...], outputs: tuple[int, ...]) -> int:
        return sum(self.hidden) * (3 if self.norm else 1)
