"""NARX: a feedforward network whose outputs come back as inputs, for simulating dynamic systems."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from perceptory.errors import InputError, Setting
from perceptory.layers.arrays import Shape
from perceptory.layers.base import Fixed
from perceptory.layers.dense import Dense
from perceptory.networks.base import Network
from perceptory.networks.mlp import widths
from perceptory.ops.activations import ACTIVATIONS
from perceptory.ops.initializers import initial_weights
from perceptory.ops.ridge import ridge_regression
from perceptory.registry import Registry
from perceptory.specs import checked, count, flag, is_on, is_plain, traced

RIDGE = 1e-7  # of least squares, on scaled inputs and outputs: what keeps lags that say the same apart

LOOPS: Registry[str] = Registry("loop", {"closed": "its own outputs come back", "open": "measured outputs come back"})


def _share(name: str, value: Any) -> None:
    if is_plain(value) and (isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1):
        raise InputError(f"{name} needs a share from 0 to 1, got {value!r}. Example: {name}=0.5")


WAYS: Registry[str] = Registry(
    "way to train",
    {
        "descent": "by the optimizer, through the loop as it is",
        "least squares": "solved one step ahead from the training rows; no optimizer: the linear ARX model",
    },
)


class NARXNetwork(eqx.Module):
    """x [batch, time, u and measured y] -> y [batch, time, out]; the last `out` channels are the measured outputs, but
    of a system at rest all are u."""

    takes: ClassVar[tuple[str, ...]] = ("lengths", "progress")
    layers: tuple[Dense, ...]
    forcing: Fixed
    open_share: Fixed | None  # None where training does not begin with an open loop
    input_lags: int = eqx.field(static=True)
    output_lags: int = eqx.field(static=True)
    closed: bool = eqx.field(static=True)
    increment: bool = eqx.field(static=True)
    at_rest: bool = eqx.field(static=True, default=False)

    @property
    def start(self) -> int:
        """Steps from the beginning whose measured outputs are used in any case; inputs before it stand still."""
        return 0 if self.at_rest else self.output_lags

    def __call__(
        self, x: jax.Array, key: jax.Array | None = None, lengths: Any = None, progress: Any = None
    ) -> jax.Array:
        out = self.layers[-1].weight.shape[1]
        batch, time = x.shape[:2]
        u, y = x[..., : x.shape[-1] - out], x[..., x.shape[-1] - out :]
        if self.at_rest:
            u, y = x, jnp.zeros((batch, time, out), x.dtype)
        measured = jnp.broadcast_to(jnp.arange(time) < self.start, (batch, time))
        if not self.closed:
            measured = jnp.ones_like(measured)
        else:
            if key is not None:  # teacher forcing: whole examples in open loop
                measured = measured | (jax.random.uniform(key, (batch, 1)) < self.forcing.value)
            if progress is not None and self.open_share is not None:
                measured = measured | (progress < self.open_share.value)
        first = self.layers[0]
        reach = self.input_lags * u.shape[-1]
        # What does not depend on the outputs is one product for all steps.
        driven = delayed(u, self.input_lags) @ first.weight[:reach] + first.bias
        back = first.weight[reach:]

        def step(past: jax.Array, at: tuple[jax.Array, ...]) -> tuple[jax.Array, jax.Array]:
            driven, y, measured = at
            v = first.activation(driven + past @ back)
            for layer in self.layers[1:]:
                v = layer(v)
            if self.increment:
                v = v + past[:, :out]
            new = jnp.where(measured[:, None], y, v)
            return jnp.concatenate([new, past[:, : past.shape[1] - out]], axis=1), v

        past = jnp.tile(y[:, 0], (1, self.output_lags))  # before the record the system stood where it begins
        swap = (jnp.moveaxis(driven, 1, 0), jnp.moveaxis(y, 1, 0), measured.T)
        _, outputs = jax.lax.scan(step, past, swap)
        return jnp.moveaxis(outputs, 0, 1)


def _better(first: NARXNetwork, second: NARXNetwork, x: jax.Array, t: jax.Array, w: jax.Array) -> NARXNetwork:
    """The one with the smaller squared error on the rows, the first where the second's is not finite."""

    def error(module: NARXNetwork) -> jax.Array:
        squares = jnp.mean((module(x) - t) ** 2, axis=-1)
        return jnp.sum(squares * w.reshape(w.shape + (1,) * (2 - w.ndim)))

    good = error(second) < error(first)
    return jax.tree.map(lambda a, b: jnp.where(good, b, a), first, second)


def delayed(u: jax.Array, lags: int) -> jax.Array:
    """[batch, time, lags · in]: u(t), u(t - 1), ... of u [batch, time, in]; before the record u stood at u(0)."""
    padded = jnp.concatenate([jnp.repeat(u[:, :1], lags - 1, axis=1), u], axis=1)
    return jnp.concatenate([padded[:, lags - 1 - k : padded.shape[1] - k] for k in range(lags)], axis=-1)


@dataclass(frozen=True)
class NARX(Network):
    """y(t) = f(u(t), ..., u(t - n + 1), y(t - 1), ..., y(t - m)), f a feedforward network (Narendra & Parthasarathy
    1990); for data read with known="all".

    hidden, activation: of f. input_lags: n, u(t) counted. output_lags: m.
    loop: in use, "closed" feeds the network's own outputs back (a simulation; measured are only the first outputs, as
        many as there are output lags), "open" the measured ones (one step ahead).
    forcing: of a closed loop, the share of training examples whose measured outputs are fed back instead: 1 trains in
        open loop and judges in closed loop, 0 trains in closed loop by back-propagation through time.
    increment: f gives the change y(t) - y(t - 1).
    train: "descent" or "least squares", the linear ARX model (hidden=()): the change or value one step ahead, solved
        from the training rows with `RIDGE` as ridge regression, and then simulated. Without hidden units "descent" goes
        on from there.
    at_rest: no output is measured (known=0): before the record they were at their mean.
    open_share: of a closed loop, the share of the epochs, at the beginning, that train it in open loop (all examples);
        the rest refines it in closed loop. Validation runs freely in both, and the best weights may come from either;
        patience counts, and a free run that is not finite is a failure, once the loop is closed. Like a schedule's, the
        share is one of the epochs asked for, and a second-order optimizer begins anew where the loop closes.

    The loop of a trained model is opened, so that it predicts one step ahead, or closed, by its network's spec:
    `dataclasses.replace(model, network=model.network.replace(loop="open"))`. In the same way `train_further` refines a
    model in closed loop whose spec has loop="closed", open_share=0.0.
    """

    hidden: tuple[int, ...] = checked((16,), check=widths)
    activation: str = checked("tanh", check=lambda _, value: ACTIVATIONS[value])
    input_lags: int = checked(2, check=lambda name, value: count(name, value))
    output_lags: int = checked(2, check=lambda name, value: count(name, value))
    loop: str = checked("closed", check=lambda _, value: LOOPS[value])
    forcing: float = traced(0.0, off=0.0, check=_share)
    increment: bool = checked(False, check=flag)
    open_share: float = traced(0.0, off=0.0, check=_share, neutral=0.0)
    train: str = checked("descent", check=lambda _, value: WAYS[value], neutral="descent")
    at_rest: bool = checked(False, check=flag, neutral=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.solved and (self.hidden or is_on(self.forcing) or self._opens):
            raise InputError(
                'train="least squares" is for a linear model: NARX((), train="least squares"), without forcing and'
                " open_share."
            )
        if self.at_rest and self.loop == "open":
            raise InputError("an open loop needs measured outputs, and at_rest has none. Leave one of them out.")

    def build(self, inputs: Shape, outputs: Shape, *, key: jax.Array) -> NARXNetwork:
        if len(inputs) != 2 or len(outputs) != 2 or (inputs[1] <= outputs[1] and not self.at_rest):
            raise InputError(
                f"NARX needs series of inputs and measured outputs and a target every step, got examples of shape "
                f"{inputs} and outputs of shape {outputs}. Read them with ",
                Setting("predict", "every step"),
                " and ",
                Setting("known", "all"),
                ".",
            )
        out = outputs[1]
        measured = 0 if self.at_rest else out
        fan_in = self.input_lags * (inputs[1] - measured) + self.output_lags * out
        activations = [ACTIVATIONS[self.activation]] * len(self.hidden) + [ACTIVATIONS["linear"]]
        fans = list(pairwise((fan_in, *self.hidden, out)))
        layers = [
            Dense(weight, jnp.zeros(weight.shape[1], weight.dtype), activation.function)
            for weight, activation in zip(
                initial_weights(key, [a.initializer for a in activations], fans), activations, strict=True
            )
        ]
        dtype = layers[0].weight.dtype
        forcing = Fixed(jnp.asarray(self.forcing, dtype))
        open_share = Fixed(jnp.asarray(self.open_share, dtype)) if self._opens else None
        return NARXNetwork(
            tuple(layers),
            forcing,
            open_share,
            self.input_lags,
            self.output_lags,
            self.loop == "closed",
            self.increment,
            self.at_rest,
        )

    def prime(self, module: Any, rows: Callable[[], tuple[jax.Array, ...]], *, key: jax.Array) -> Any:
        """A linear model one step ahead by least squares; the first steps, whose past is not known, do not count. One
        that is to be trained begins there, unless it errs more in its loop than the model as it was built."""
        if self.hidden:
            return module
        x, t, w = rows()
        (dense,) = module.layers
        out = dense.weight.shape[1]
        if t.shape[-1] != out:  # a cost of several outputs a target
            return module
        driven = x if self.at_rest else x[..., : x.shape[-1] - out]
        begin = jnp.zeros_like(t[:, :1]) if self.at_rest else t[:, :1]
        past = jnp.concatenate([begin, t[:, :-1]], axis=1)
        lead, time = max(self.input_lags, self.output_lags), t.shape[1]
        counts = jnp.broadcast_to(w.reshape(w.shape + (1,) * (2 - w.ndim)), t.shape[:2])
        counts = counts * (jnp.arange(time) >= (lead if time > 2 * lead else 0))

        def lagged(z: jax.Array) -> jax.Array:
            u, y = z[..., : driven.shape[-1]], z[..., driven.shape[-1] :]
            return jnp.concatenate([delayed(u, self.input_lags), delayed(y, self.output_lags)], axis=-1)

        target = t - past if self.increment else t
        weight, bias = ridge_regression(lagged, jnp.concatenate([driven, past], axis=-1), target, counts, RIDGE)
        solved = eqx.tree_at(lambda m: m.layers, module, (Dense(weight, bias, dense.activation),))
        return solved if self.solved else _better(module, solved, x, t, w)

    @property
    def solved(self) -> bool:
        return self.train == "least squares"

    @property
    def stochastic(self) -> bool:
        return self.loop == "closed" and is_on(self.forcing)

    def opening(self, progress: Any) -> Any:
        return progress < self.open_share if self._opens else None

    @property
    def _opens(self) -> bool:
        """Whether training begins with an open loop that is to be closed."""
        return self.loop == "closed" and is_on(self.open_share)

    @property
    def label(self) -> str:
        if self.solved:
            return f"ARX {self.input_lags}+{self.output_lags}{' increment' if self.increment else ''}"
        widths = "-".join(map(str, self.hidden)) or "linear"
        forced = f" forcing {self.forcing:.3g}" if self.stochastic else ""
        change = " increment" if self.increment else ""
        opened = f" open {self.open_share:.3g}" if self._opens else ""
        return f"NARX {self.input_lags}+{self.output_lags} {widths} {self.activation}{change}{forced}{opened}"

    @property
    def feedback(self) -> bool:
        return not self.at_rest

    def hidden_units(self, inputs: Shape, outputs: Shape) -> int:
        return inputs[0] * (2 * sum(self.hidden) + (self.output_lags + 2) * outputs[-1])
