"""Layers of neurons one after the other, as the kernels know them; needs no JAX."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

LANES = 16  # as in layers.h
KINDS = {
    "linear": 0,
    "tanh": 1,
    "sigmoid": 2,
    "steep_sigmoid": 3,
    "relu": 4,
    "leaky_relu": 5,
    "elu": 6,
    "selu": 7,
    "silu": 8,
    "mish": 9,
}
PLAIN = 7  # kinds below give their slope from their value
PARAMETERS = {"leaky_relu": 0.01, "elu": 1.0}  # of those that have one, where none is given


class Stack(NamedTuple):
    """Layers of neurons one after the other, the last one linear: a static description."""

    widths: tuple[int, ...]  # of the input, of every layer
    activations: tuple[tuple[str, float], ...]  # of the hidden layers: one of `KINDS`, its parameter (0 for none)
    parametric: bool = False  # hidden units are z + a (σ(z) - z) with a learned a
    dropout: bool = False  # hidden units are dropped by chance in training

    @property
    def weights(self) -> int:
        own = sum(self.widths[1:-1]) if self.parametric else 0
        return own + sum((i + 1) * o for i, o in pairwise(self.widths))

    @property
    def full(self) -> bool:
        """Whether slopes are kept beside v."""
        return self.parametric or self.dropout or any(KINDS[name] >= PLAIN for name, _ in self.activations)

    @property
    def kept(self) -> int:
        """Numbers that one example's way forwards keeps, each layer's filled up to whole `LANES`."""
        return (2 + self.parametric if self.full else 1) * sum(map(filled, self.widths[1:-1]))


def filled(width: int) -> int:
    """The next multiple of `LANES`."""
    return -(-width // LANES) * LANES


def unit(activation: str) -> tuple[str, float] | None:
    """An activation by its name, such as "elu(0.5)", as a stack has it; None where the kernels do not know it."""
    name, _, parameter = activation.replace(" ", "").partition("(")
    if name not in KINDS:
        return None
    return name, float(parameter.rstrip(")")) if parameter else PARAMETERS.get(name, 0.0)
