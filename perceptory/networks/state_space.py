"""A nonlinear state-space model of a dynamic system, started from its first measured steps."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from perceptory.errors import InputError, Setting
from perceptory.layers.arrays import Shape
from perceptory.layers.dense import Dense
from perceptory.networks.base import Network
from perceptory.networks.mlp import widths
from perceptory.ops.activations import ACTIVATIONS
from perceptory.ops.initializers import initial_weights
from perceptory.specs import checked, count

SLOWEST, FASTEST = 0.02, 0.5  # shares of the states that are forgotten in a step at the start


def through(layers: tuple[Dense, ...], x: jax.Array) -> jax.Array:
    for layer in layers:
        x = layer(x)
    return x


class StateSpaceNetwork(eqx.Module):
    """x [batch, time, u and known y] -> y [batch, time, out]; the last `out` channels are the known outputs."""

    takes: ClassVar[tuple[str, ...]] = ("lengths",)
    encoder: tuple[Dense, ...]
    drive: Dense  # the part of f's first layer that sees u
    recurrent: jax.Array  # [state, hidden], the part that sees the states
    change: tuple[Dense, ...]  # from the first hidden layer to the states
    leak: jax.Array  # [state], λ = sigmoid(leak)
    readout: tuple[Dense, ...]
    lead: int = eqx.field(static=True)

    def __call__(self, x: jax.Array, key: jax.Array | None = None, lengths: Any = None) -> jax.Array:
        out = self.readout[-1].weight.shape[1]
        u, y = x[..., : x.shape[-1] - out], x[..., x.shape[-1] - out :]
        start = through(self.encoder, x[:, : self.lead].reshape(x.shape[0], -1))
        memory = 1 - jax.nn.sigmoid(self.leak)
        driven = jnp.swapaxes(u[:, self.lead :] @ self.drive.weight + self.drive.bias, 0, 1)

        def step(state: jax.Array, driven: jax.Array) -> tuple[jax.Array, jax.Array]:
            v = self.drive.activation(driven + state @ self.recurrent)
            return memory * state + through(self.change, v), state

        _, states = jax.lax.scan(step, start, driven)
        states_and_inputs = jnp.concatenate([jnp.swapaxes(states, 0, 1), u[:, self.lead :]], axis=-1)
        return jnp.concatenate([y[:, : self.lead], through(self.readout, states_and_inputs)], axis=1)


@dataclass(frozen=True)
class StateSpace(Network):
    """s(t + 1) = (1 - λ) s(t) + f(s(t), u(t)), y(t) = g(s(t), u(t)), for data read with known=`lead` or more.

    s(lead) comes from the first `lead` steps of inputs and outputs by a network of its own, an encoder, so that a
    record may begin anywhere (Beintema, Toth & Schoukens 2021, "Nonlinear state-space identification using deep
    encoder networks"). λ is between 0 and 1 and f ends in a layer after bounded units, so that with such an activation
    the states stay bounded whatever the inputs are.

    states: how many. hidden, activation: layers of f; the encoder has its first one's width. readout: hidden layers of
        g, none for a linear one. lead: steps whose outputs are known; they come out as they were given.
    """

    states: int = checked(4, check=count)
    hidden: tuple[int, ...] = checked((16,), check=widths)
    readout: tuple[int, ...] = checked((), check=widths)
    lead: int = checked(5, check=count)
    activation: str = checked("tanh", check=lambda _, value: ACTIVATIONS[value])

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.hidden == ():
            raise InputError("StateSpace needs at least one hidden layer, got hidden=(). Example: hidden=(16,)")

    def build(self, inputs: Shape, outputs: Shape, *, key: jax.Array) -> StateSpaceNetwork:
        if len(inputs) != 2 or len(outputs) != 2 or inputs[1] <= outputs[1]:
            raise InputError(
                f"StateSpace needs series of inputs and known outputs and a target every step, got examples of shape "
                f"{inputs} and outputs of shape {outputs}. Read them with ",
                Setting("predict", "every step"),
                " and ",
                Setting("known", self.lead),
                ".",
            )
        if inputs[0] <= self.lead:
            raise InputError(f"StateSpace needs series of more than lead={self.lead} steps, got {inputs[0]} steps.")
        out, driving = outputs[1], inputs[1] - outputs[1]
        first = self.hidden[0]
        parts = {
            "encoder": (self.lead * inputs[1], first, self.states),
            "drive": (driving, first),
            "recurrent": (self.states, first),
            "change": (*self.hidden, self.states),
            "readout": (self.states + driving, *self.readout, out),
        }
        fans = [pair for widths in parts.values() for pair in pairwise(widths)]
        drawn = iter(initial_weights(key, ["glorot"] * len(fans), fans))
        weights = {name: [next(drawn) for _ in pairwise(widths)] for name, widths in parts.items()}
        hidden, linear = ACTIVATIONS[self.activation].function, ACTIVATIONS["linear"].function

        def dense(name: str) -> tuple[Dense, ...]:
            *inner, last = [(w, jnp.zeros(w.shape[1], w.dtype)) for w in weights[name]]
            return (*(Dense(*arrays, hidden) for arrays in inner), Dense(*last, linear))

        forgotten = jnp.geomspace(SLOWEST, FASTEST, self.states).astype(weights["recurrent"][0].dtype)
        *inner, last = dense("change")
        # What a step adds is as small as what it forgets, so that states are about 1 at the start.
        last = Dense(last.weight * jnp.sqrt(2 * forgotten), last.bias, linear)
        (drive,) = weights["drive"]
        return StateSpaceNetwork(
            dense("encoder"),
            Dense(drive, jnp.zeros(first, drive.dtype), hidden),
            weights["recurrent"][0],
            (*inner, last),
            jnp.log(forgotten / (1 - forgotten)),
            dense("readout"),
            self.lead,
        )

    @property
    def label(self) -> str:
        readout = f" readout {'-'.join(map(str, self.readout))}" if self.readout else ""
        return f"state space {self.states}, {'-'.join(map(str, self.hidden))} {self.activation}{readout}"

    @property
    def takes_heads(self) -> bool:
        """The last of its inputs are the outputs' known values, one for each."""
        return False

    def hidden_units(self, inputs: Shape, outputs: Shape) -> int:
        return inputs[0] * (2 * sum(self.hidden) + 3 * self.states + 2 * sum(self.readout) + 2 * inputs[-1])
