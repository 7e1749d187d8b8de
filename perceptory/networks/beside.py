"""A network that is told more than the past: what holds for a whole window, and columns that are known ahead."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from perceptory.layers.arrays import Shape
from perceptory.layers.base import call
from perceptory.networks.base import Network


def before(numbers: jax.Array, past: jax.Array) -> jax.Array:
    """Numbers [n, number] as steps before those of the past [n, step, channel], filled up with zeros to whole ones."""
    width = past.shape[2]
    rows = -(-numbers.shape[1] // width)
    numbers = jnp.pad(numbers, ((0, 0), (rows * width - numbers.shape[1], 0)))
    return jnp.concatenate([numbers.reshape(len(past), rows, width), past], axis=1)


@dataclass(frozen=True)
class Places:
    """Where things stand in windows x [n, time, channel]: past: channels of which `steps` (the last ones) are looked
    at. still: those of which the last step tells all. ahead: those that hold the future, shift by shift (see
    `data.series.beside.Beside`). reach: steps of the future. in_order: whether a network reads step after step."""

    past: tuple[int, ...]
    still: tuple[int, ...]
    ahead: tuple[int, ...]
    steps: int
    reach: int
    in_order: bool

    def future(self, x: jax.Array) -> jax.Array:
        """[n, reach, column] of what is known ahead."""
        shifts = -(-self.reach // x.shape[1])
        columns = len(self.ahead) // shifts
        each = [x[:, :, list(self.ahead[k * columns : (k + 1) * columns])] for k in reversed(range(shifts))]
        return jnp.concatenate(each, axis=1)[:, -self.reach :]

    def arranged(self, x: jax.Array) -> jax.Array:
        """What the network within gets.

        One that looks at a window as a whole: the numbers beside the past once, filled up with zeros to whole steps, as
        steps before the first. One that reads step after step: each step with the still channels as they are there, and
        the future laid out over the last steps, of several shares as several channels.
        """
        past = x[:, -self.steps :, list(self.past)]
        if self.in_order:
            parts = [past, x[:, -self.steps :, list(self.still)]]
            if self.ahead:
                parts.append(self._laid_out(self.future(x)))
            return jnp.concatenate(parts, axis=2)
        more = [x[:, -1, list(self.still)]]
        if self.ahead:
            more.append(self.future(x).reshape(len(x), -1))
        return before(jnp.concatenate(more, axis=1), past)

    def _laid_out(self, future: jax.Array) -> jax.Array:
        """[n, steps, share · column] of [n, reach, column]."""
        n, reach, columns = future.shape
        shares = -(-reach // self.steps)
        padded = jnp.pad(future, ((0, 0), (shares * self.steps - reach, 0), (0, 0)))
        by_share = padded.reshape(n, shares, self.steps, columns)
        return jnp.moveaxis(by_share, 1, 2).reshape(n, self.steps, shares * columns)


class Told(eqx.Module):
    """The network within, after `Places.arranged`."""

    inner: Any
    places: Places = eqx.field(static=True)

    @property
    def takes(self) -> tuple[str, ...]:
        taken: tuple[str, ...] = getattr(self.inner, "takes", ())
        return taken

    def __call__(self, x: jax.Array, key: jax.Array | None = None, **more: Any) -> Any:
        return call(self.inner, self.places.arranged(x), key, **more)


def past_of(inputs: Shape, still: tuple[int, ...], ahead: tuple[int, ...]) -> tuple[int, ...]:
    """The channels that are neither."""
    return tuple(k for k in range(inputs[-1]) if k not in still and k not in ahead)


class Wrapper(Network):
    """`network` (in a module: `inner`), which gets something else than what this one is given."""

    network: Network

    @property
    def stochastic(self) -> bool:
        return self.network.stochastic

    @property
    def learns(self) -> bool:
        return self.network.learns

    def rows_within(
        self, module: Any, rows: Callable[[], tuple[jax.Array, ...]]
    ) -> Callable[[], tuple[jax.Array, ...]]:
        """Rows as the network within sees them."""
        raise NotImplementedError

    def calibrate(self, module: Any, rows: Callable[[], tuple[jax.Array, ...]]) -> Any:
        inner = self.network.calibrate(module.inner, self.rows_within(module, rows))
        return module if inner is module.inner else replace(module, inner=inner)

    def opening(self, progress: Any) -> Any:
        return self.network.opening(progress)

    def trains(self, name: str) -> bool:
        return self.network.trains(name.removeprefix("inner."))


@dataclass(frozen=True)
class Around(Wrapper):
    """A network that gets something else than the windows that this one is given.

    still, ahead: as in `Places`.
    """

    network: Network
    still: tuple[int, ...]
    ahead: tuple[int, ...]

    @property
    def label(self) -> str:
        return self.network.label

    @property
    def solved(self) -> bool:
        return self.network.solved

    def given(self, module: Any, x: jax.Array) -> jax.Array:
        """What the network within gets of windows x."""
        raise NotImplementedError

    def rows_within(
        self, module: Any, rows: Callable[[], tuple[jax.Array, ...]]
    ) -> Callable[[], tuple[jax.Array, ...]]:
        def within() -> tuple[jax.Array, ...]:
            x, *rest = rows()
            return (self.given(module, x), *rest)

        return within


@dataclass(frozen=True)
class Telling(Around):
    """`network`, which gets windows as `Places.arranged` has them. No user writes it: `Windowed` makes it.

    reach: as in `Places`. window: the last steps of what it is given that the past is of, None for all; lost: how many
    of these, the first ones, are none.
    """

    reach: int
    window: int | None = None
    lost: int = 0

    def places(self, inputs: Shape) -> Places:
        steps = (self.window or inputs[0]) - self.lost
        return Places(
            past_of(inputs, self.still, self.ahead), self.still, self.ahead, steps, self.reach, self.network.in_order
        )

    def within(self, inputs: Shape) -> Shape:
        """The shape of what the network gets, from that of a window."""
        arranged = jax.eval_shape(self.places(inputs).arranged, jax.ShapeDtypeStruct((1, *inputs), float))
        shape: Shape = arranged.shape[1:]
        return shape

    def build(self, inputs: Shape, outputs: Shape, *, key: jax.Array) -> Told:
        return Told(self.network.build(self.within(inputs), outputs, key=key), self.places(inputs))

    def hidden_units(self, inputs: Shape, outputs: Shape) -> int:
        return self.network.hidden_units(self.within(inputs), outputs)

    def given(self, module: Any, x: jax.Array) -> jax.Array:
        arranged: jax.Array = module.places.arranged(x)
        return arranged

    def prime(self, module: Any, rows: Callable[[], tuple[jax.Array, ...]], *, key: jax.Array) -> Any:
        return replace(module, inner=self.network.prime(module.inner, self.rows_within(module, rows), key=key))
