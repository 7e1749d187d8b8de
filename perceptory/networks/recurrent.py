"""Recurrent networks: RNN, GRU and LSTM, one or more layers, one or both directions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from perceptory.errors import InputError
from perceptory.layers.arrays import Shape
from perceptory.layers.dense import Dense, Dropout
from perceptory.layers.recurrent import RecurrentLayer, RecurrentNetwork
from perceptory.networks.base import Network
from perceptory.ops.activations import ACTIVATIONS
from perceptory.ops.cells import Cell, GatedCell, MemoryCell, ResetFirstCell, SimpleCell
from perceptory.ops.cholesky import orthonormal
from perceptory.ops.scans import ScanOptions
from perceptory.registry import Registry
from perceptory.specs import below_one, checked, count, flag, is_on, is_plain, traced

SHARED_GRADIENTS: Registry[bool] = Registry("gradient of shared weights", {"sum": False, "average": True})
RESETS: Registry[Cell] = Registry("place of the reset gate", {"after": GatedCell(), "before": ResetFirstCell()})


def _widths(name: str, value: Any) -> None:
    if not isinstance(value, tuple) or not value:
        raise InputError(f"{name} needs a tuple of at least one width, got {value!r}. Example: hidden=(32,)")
    for width in value:
        if is_plain(width):
            count(name, width)


class Recurrent(Network):
    """What the three specs share. Their fields:

    hidden: widths of the recurrent layers.
    bidirectional: each layer also runs from the last step to the first, with weights of its own.
    dropout: probability that an output of a recurrent layer is dropped in training; 0 leaves dropout out.
    truncation: the gradient through the carried state ends every so many steps (truncated BPTT); 0: it never ends.
    shared_gradient: weights that are used at each of n steps stand in n copies of the network. "sum" of the copies'
        gradients is the gradient of the cost; "average" divides it by the number of copies.
    """

    hidden: tuple[int, ...]
    bidirectional: bool
    dropout: float
    truncation: int
    shared_gradient: str

    @property
    def cell(self) -> Cell:
        raise NotImplementedError

    def build(self, inputs: Shape, outputs: Shape, *, key: jax.Array) -> RecurrentNetwork:
        kind = type(self).__name__
        if len(inputs) != 2:
            raise InputError(f"{kind} needs sequences of shape (time, features), got examples of shape {inputs}.")
        if len(outputs) not in (1, 2):
            raise InputError(f"{kind} gives (out,) or (time, out), got the output shape {outputs}.")
        features, directions = inputs[1], 2 if self.bidirectional else 1
        ins = (features, *(directions * width for width in self.hidden))
        options = ScanOptions(self.cell, self.truncation, SHARED_GRADIENTS[self.shared_gradient])
        gates, out = self.cell.gates, (ins[-1], outputs[-1])
        fans = [(i, h) for i, h in zip(ins, self.hidden, strict=False) for _ in range(directions)]
        sizes = [gates * (i * h + h * h) for i, h in fans] + [out[0] * out[1]]
        # All starting weights come from one draw: each draw adds a loop to the compiled program.
        *drawn, last = jnp.split(
            jax.random.uniform(key, (sum(sizes),), minval=-1, maxval=1),
            [sum(sizes[: i + 1]) for i in range(len(sizes) - 1)],
        )
        layers = [self._layer(options, u, *fan) for u, fan in zip(drawn, fans, strict=True)]
        readout = Dense(
            (last * (6 / sum(out)) ** 0.5).reshape(out), jnp.zeros(out[1], last.dtype), ACTIVATIONS["linear"].function
        )
        return RecurrentNetwork(
            tuple(tuple(layers[i : i + directions]) for i in range(0, len(layers), directions)),
            Dropout(self.dropout) if self.stochastic else None,
            readout,
            len(outputs) == 2,
        )

    def _layer(self, options: ScanOptions, uniform: jax.Array, fan_in: int, width: int) -> RecurrentLayer:
        """Input weights as their initializer has it for each gate, recurrent weights orthogonal, biases 0; the forget
        gate's bias is 1, so that at the start a memory cell remembers."""
        gates, dtype = self.cell.gates, uniform.dtype
        first = gates * fan_in * width
        limit = (6 / fan_in if self._start == "he" else 6 / (fan_in + width)) ** 0.5
        normal = jax.scipy.special.erfinv(jnp.clip(uniform[first:], -0.999999, 0.999999))
        q = jax.vmap(orthonormal)(normal.reshape(gates, width, width))
        bias = jnp.zeros((gates, width), dtype)
        return RecurrentLayer(
            uniform[:first].reshape(fan_in, gates * width) * limit,
            jnp.moveaxis(q, 0, 1).reshape(width, gates * width),
            (bias.at[1].set(1) if isinstance(self.cell, MemoryCell) else bias).ravel(),
            jnp.zeros(width, dtype) if isinstance(self.cell, GatedCell) else None,
            options,
        )

    @property
    def _start(self) -> str:
        return "glorot"

    @property
    def in_order(self) -> bool:
        return True

    @property
    def stochastic(self) -> bool:
        return is_on(self.dropout)

    @property
    def label(self) -> str:
        kind = ("bidirectional " if self.bidirectional else "") + type(self).__name__
        rate = f" dropout {self.dropout:.3g}" if self.stochastic else ""
        cut = f" truncated {self.truncation}" if self.truncation else ""
        return f"{kind} {'-'.join(map(str, self.hidden))}{rate}{cut}"

    def hidden_units(self, inputs: Shape, outputs: Shape) -> int:
        values = (self.cell.gates + self.cell.states) * (2 if self.bidirectional else 1)
        return inputs[0] * values * sum(self.hidden)


def _truncation(name: str, value: Any) -> None:
    count(name, value, least=0)


def _shared(name: str, value: Any) -> None:
    SHARED_GRADIENTS[value]


@dataclass(frozen=True)
class RNN(Recurrent):
    """Simple recurrent network: h_t = σ(x_t W + b + h_{t-1} U), then a linear output layer y = h W + b.

    activation: name of σ in the table of activations. The other fields are described in `Recurrent`.
    """

    hidden: tuple[int, ...] = checked((32,), check=_widths)
    activation: str = checked("tanh", check=lambda _, value: ACTIVATIONS[value])
    bidirectional: bool = checked(False, check=flag)
    dropout: float = traced(0.0, off=0.0, check=below_one)
    truncation: int = checked(0, check=_truncation)
    shared_gradient: str = checked("sum", check=_shared)

    @property
    def cell(self) -> Cell:
        return SimpleCell(self.activation)

    @property
    def _start(self) -> str:
        return ACTIVATIONS[self.activation].initializer

    @property
    def label(self) -> str:
        return f"{super().label} {self.activation}"


@dataclass(frozen=True)
class GRU(Recurrent):
    """Gated recurrent units (Cho et al. 2014), then a linear output layer.

    reset: the reset gate acts "after" the product of state and weights (PyTorch; Keras's reset_after, ONNX's
        linear_before_reset) or "before" it, as published.

    Equations: `GatedCell` and `ResetFirstCell`, other fields: `Recurrent`. Weights stand by gates r, u, n, as in
    PyTorch (Keras and ONNX: u, r, n). PyTorch's two biases of r and u are summed here, that of n with h is `extra`.
    """

    hidden: tuple[int, ...] = checked((32,), check=_widths)
    bidirectional: bool = checked(False, check=flag)
    dropout: float = traced(0.0, off=0.0, check=below_one)
    truncation: int = checked(0, check=_truncation)
    shared_gradient: str = checked("sum", check=_shared)
    reset: str = checked("after", check=lambda _, value: RESETS[value], neutral="after")

    @property
    def cell(self) -> Cell:
        return RESETS[self.reset]

    @property
    def label(self) -> str:
        return super().label + (" reset before" if self.reset == "before" else "")


@dataclass(frozen=True)
class LSTM(Recurrent):
    """Long short-term memory with input, forget and output gates (Hochreiter & Schmidhuber 1997, Gers et al. 2000),
    then a linear output layer.

    Equations: `MemoryCell`, fields: `Recurrent`. Weights stand by gates i, f, o, g.
    """

    hidden: tuple[int, ...] = checked((32,), check=_widths)
    bidirectional: bool = checked(False, check=flag)
    dropout: float = traced(0.0, off=0.0, check=below_one)
    truncation: int = checked(0, check=_truncation)
    shared_gradient: str = checked("sum", check=_shared)
    cell: ClassVar[Cell] = MemoryCell()
