"""Modules of recurrent networks, and the gradients by their states."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from perceptory.errors import InputError
from perceptory.layers.dense import Dense, Dropout
from perceptory.ops.cells import CellState
from perceptory.ops.scans import ScanOptions, Weights, active_steps, affine, recur, recur_plain

Recur = Callable[..., tuple[jax.Array, CellState]]


class RecurrentLayer(eqx.Module):
    """One direction of a recurrent layer; time-major. Shapes of the arrays: `Weights`."""

    weight: jax.Array
    recurrent: jax.Array
    bias: jax.Array
    extra: jax.Array | None
    options: ScanOptions = eqx.field(static=True)

    @property
    def computes(self) -> tuple[Any, ...]:
        """What tells it from another layer in use: truncation and averages are of gradients."""
        return (self.options.cell,)

    def start(self, batch: int) -> CellState:
        return tuple(
            jnp.zeros((batch, self.recurrent.shape[0]), self.weight.dtype) for _ in range(self.options.cell.states)
        )

    def __call__(self, recur: Recur, x: jax.Array, state: CellState, lengths: Any) -> tuple[jax.Array, CellState]:
        return recur(self.options, Weights(self.weight, self.recurrent, self.bias, self.extra), x, state, lengths)


class RecurrentNetwork(eqx.Module):
    """Recurrent layers and a linear readout: net(x [batch, time, features]) -> [batch, out], or [batch, time, out].

    layers: for each layer its one or two directions.
    every: whether there is one output per time step; otherwise the readout sees the last real step (of a backward
        direction the first one, where it ends).
    lengths: [batch] int32; steps from there on are padding, whose values do not matter and whose outputs are 0.
    A key means training. Any number of time steps will do.
    """

    layers: tuple[tuple[RecurrentLayer, ...], ...]
    dropout: Dropout | None
    readout: Dense
    every: bool = eqx.field(static=True)
    takes: ClassVar[tuple[str, ...]] = ("lengths",)

    def __call__(self, x: jax.Array, key: jax.Array | None = None, lengths: jax.Array | None = None) -> jax.Array:
        return self.outputs([recur] * len(self.layers), x, self.initial_state(x.shape[0]), key, lengths)[0]

    def initial_state(self, batch: int) -> Any:
        """The state before the first step, zeros: for each layer and direction the cell's arrays [batch, H]."""
        return tuple(tuple(part.start(batch) for part in layer) for layer in self.layers)

    def run(self, x: jax.Array, state: Any, lengths: jax.Array | None = None) -> tuple[jax.Array, Any]:
        """(output, state) from a state on, so that a long record can be run in pieces. Raises `InputError` for a
        bidirectional network, whose backward states come from the record's end."""
        if len(self.layers[0]) > 1:
            raise InputError(
                "a bidirectional network needs the whole record at once, got a piece to run: use net(x) instead."
            )
        return self.outputs([recur] * len(self.layers), x, state, None, lengths)

    def outputs(self, recurs: list[Recur], x: jax.Array, state: Any, key: Any, lengths: Any) -> tuple[jax.Array, Any]:
        """(output, state), each layer by its own way to recur."""
        if x.ndim != 3 or x.shape[1] == 0:
            raise InputError(f"a recurrent network needs x of shape [batch, time, features], got {list(x.shape)}.")
        v = jnp.swapaxes(x, 0, 1)
        states, last = [], v
        for i, (layer, start, run) in enumerate(zip(self.layers, state, recurs, strict=True)):
            v, last, ends = _both(layer, run, v, start, lengths)
            states.append(ends)
            if self.dropout is not None:
                key_i = None if key is None else jax.random.fold_in(key, i)
                if i == len(self.layers) - 1 and not self.every:
                    last = self.dropout(last, key_i)
                else:
                    v = self.dropout(v, key_i)
        if not self.every:
            return self.readout(last), tuple(states)
        y = self._read_steps(v, lengths)
        return jnp.swapaxes(y, 0, 1), tuple(states)

    def _read_steps(self, v: jax.Array, lengths: Any) -> jax.Array:
        """The readout at every step [time, batch, out], 0 in the padding. Its weights are shared by the steps too."""
        y = affine(self.layers[-1][0].options.average, v, self.readout.weight, self.readout.bias, lengths)
        return y if lengths is None else jnp.where(active_steps(v, lengths), y, 0)


def _both(
    layer: tuple[RecurrentLayer, ...], run: Recur, v: jax.Array, start: Any, lengths: Any
) -> tuple[jax.Array, jax.Array, tuple[CellState, ...]]:
    """(h of all directions [time, batch, ·], where each ends [batch, ·], states)."""
    h, end = layer[0](run, v, start[0], lengths)
    if len(layer) == 1:
        return h, end[0], (end,)
    back, back_end = layer[1](run, reversed_steps(v, lengths), start[1], lengths)
    both = jnp.concatenate([h, reversed_steps(back, lengths)], axis=-1)
    return both, jnp.concatenate([end[0], back_end[0]], axis=-1), (end, back_end)


def reversed_steps(v: jax.Array, lengths: Any = None) -> jax.Array:
    """[time, batch, ·] with each row's real steps in reverse order; padding stays where it is."""
    if lengths is None:
        return v[::-1]
    t = jnp.arange(v.shape[0])[:, None]
    return jnp.take_along_axis(v, jnp.where(t < lengths, lengths - 1 - t, t)[..., None], axis=0)


def state_gradients(
    network: RecurrentNetwork, x: jax.Array, t: jax.Array, cost: Callable[..., Any], lengths: jax.Array | None = None
) -> jax.Array:
    """‖∂J/∂h_t‖ by layer and time step [layer, time]: where it vanishes or explodes towards early steps, the network
    cannot learn from them.

    x [batch, time, features], t: targets in the shape of the output; J = cost(output, t), a number. h_t [batch, H] is a
    layer's hidden state after step t (of both directions: their states at step t of the record), ‖·‖ the square root
    of the sum of squares over rows and units. Truncation counts: no gradient passes where training would cut it.
    """
    steps, batch = x.shape[1], x.shape[0]
    probes = [
        [jnp.zeros((steps, batch, part.recurrent.shape[0]), x.dtype) for part in layer] for layer in network.layers
    ]

    def of(probes: list[list[jax.Array]]) -> jax.Array:
        recurs = [_probing(iter(parts)) for parts in probes]
        return cost(network.outputs(recurs, x, network.initial_state(batch), None, lengths)[0], t)

    squares = []
    for parts in jax.grad(of)(probes):
        parts = [part if i == 0 else reversed_steps(part, lengths) for i, part in enumerate(parts)]
        squares.append(sum(jnp.sum(part**2, axis=(1, 2)) for part in parts))
    return jnp.sqrt(jnp.stack(squares))


def _probing(parts: Any) -> Recur:
    return lambda *arguments: partial(recur_plain, probes=next(parts))(*arguments)
