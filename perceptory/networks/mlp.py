"""The feedforward network (E8 to E13)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import jax

from perceptory.errors import InputError
from perceptory.networks.activations import ACTIVATIONS
from perceptory.networks.base import Network
from perceptory.networks.initializers import INITIALIZERS, initial_weights
from perceptory.networks.layers import Chain, Dense, Dropout
from perceptory.specs import below_one, checked, count, is_plain, register, traced


def _widths(name: str, value: Any) -> None:
    if not isinstance(value, tuple):
        raise InputError(f"{name} needs a tuple of widths, got {value!r}. Example: hidden=(32, 16)")
    for width in value:
        if is_plain(width):
            try:
                count(name, width)
            except InputError:
                raise InputError(f"{name} needs positive widths, got {value!r}. Example: hidden=(32, 16)") from None


@register
@dataclass(frozen=True)
class MLP(Network):
    """Feedforward network: hidden layers v = σ(v W + b), then a linear output layer y = v W + b (E8 to E13).

    hidden: widths of the hidden layers; () is a linear model.
    activation: name of σ in the table of activations.
    dropout: probability that a hidden unit is dropped in training; 0 leaves dropout out of the program.
    initializer: name of the start of the weights; None takes the one that suits the activation.
    """

    hidden: tuple[int, ...] = checked((32, 32), check=_widths)
    activation: str = checked("tanh", check=lambda _, value: ACTIVATIONS[value])
    dropout: float = traced(0.0, off=0.0, check=below_one)
    initializer: str | None = checked(None, check=lambda _, value: value is None or INITIALIZERS[value])

    def build(self, inputs: int, outputs: int, *, key: jax.Array) -> Chain:
        hidden, output = ACTIVATIONS[self.activation], ACTIVATIONS["linear"]
        widths = (inputs, *self.hidden, outputs)
        fans = list(pairwise(widths))
        activations = [hidden] * len(self.hidden) + [output]
        starts = [self.initializer or a.initializer for a in activations]
        layers: list[Any] = []
        for weight, activation in zip(initial_weights(key, starts, fans), activations, strict=True):
            if layers and self.stochastic:
                layers.append(Dropout(self.dropout))
            layers.append(Dense(weight, jax.numpy.zeros(weight.shape[1], weight.dtype), activation.function))
        return Chain(tuple(layers))

    @property
    def stochastic(self) -> bool:
        return not (isinstance(self.dropout, float | int) and self.dropout == 0)

    @property
    def label(self) -> str:
        widths = "-".join(map(str, self.hidden)) or "linear"
        rate = f" dropout {self.dropout:.3g}" if self.stochastic else ""
        return f"MLP {widths} {self.activation}{rate}" if self.hidden else "linear model"

    def hidden_units(self) -> int:
        return sum(self.hidden)
