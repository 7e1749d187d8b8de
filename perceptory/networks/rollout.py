"""Recursive forecasts: a network of one step, whose forecast takes the place of the next value, and so on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from perceptory.errors import InputError, Setting
from perceptory.layers.arrays import Shape
from perceptory.layers.base import call
from perceptory.networks.beside import Around, Places, before, past_of

Turn = tuple[int, int, float]  # places of the sine and the cosine of a time, and its angle from one step to the next


@dataclass(frozen=True)
class Roll:
    """How a window goes on. level: as in `networks.windowed.LEVELS`; season: its steps. horizons: rows ahead, in the
    order of the outputs, the first one 1. targets: how many channels, the first ones, are forecast. known: of each
    column that is known ahead the place of its own past; others keep their last value. turns: of times in the calendar.
    """

    level: str
    season: int
    horizons: tuple[int, ...]
    targets: int
    known: tuple[int, ...] = ()
    turns: tuple[Turn, ...] = ()

    def base(self, past: jax.Array) -> Any:
        """[n, 1, target] the level of a window that has gone on."""
        own = past[:, :, : self.targets]
        if self.level == "last":
            return own[:, -1:]
        return jnp.mean(own, axis=1, keepdims=True) if self.level == "mean" else jnp.zeros_like(own[:, -1:])

    def turned(self, still: jax.Array) -> jax.Array:
        """[n, still] a step later."""
        if not self.turns:
            return still
        turn = np.eye(still.shape[1])
        for sine, cosine, angle in self.turns:
            turn[sine, sine] = turn[cosine, cosine] = np.cos(angle)
            if sine != cosine:
                turn[cosine, sine], turn[sine, cosine] = np.sin(angle), -np.sin(angle)
        return still @ jnp.asarray(turn, still.dtype)

    def numbers(self, steps: jax.Array) -> jax.Array:
        """[n, horizon · target] what the outputs have to be, of the network's own forecasts [step, n, target]."""
        if self.level == "season":  # which are changes over one season, and the last season may lie some back
            rows = [steps[k] for k in range(len(steps))]
            for k in range(self.season, len(rows)):
                rows[k] = rows[k] + rows[k - self.season]
            steps = jnp.stack(rows)
        if self.level == "difference":
            steps = jnp.cumsum(steps, axis=0)
        taken = jnp.moveaxis(steps[jnp.array(self.horizons) - 1], 0, 1)
        if self.level == "difference":
            taken = jnp.concatenate([taken[:, :1], taken[:, 1:] - taken[:, :-1]], axis=1)
        return taken.reshape(len(taken), -1)


class RolledOut(eqx.Module):
    """Steps that follow from each other: inner(window) is the next step, the window moves on by it, and so on."""

    inner: Any
    places: Places = eqx.field(static=True)  # of the whole: `reach` is the last horizon
    roll: Roll = eqx.field(static=True)

    @property
    def takes(self) -> tuple[str, ...]:
        taken: tuple[str, ...] = getattr(self.inner, "takes", ())
        return taken

    def parts(self, x: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        """(past [n, step, channel], still [n, ·], future [n, reach, column]) of windows as given."""
        places = self.places
        past = x[:, -places.steps :, list(places.past)]
        future = places.future(x) if places.ahead else jnp.zeros((len(x), places.reach, 0), x.dtype)
        return past, x[:, -1, list(places.still)], future

    def seen(self, past: jax.Array, still: jax.Array, coming: jax.Array) -> jax.Array:
        """What the network within gets; coming: [n, column] what is known of the next step."""
        if not (still.shape[1] or coming.shape[1]):
            return past
        if self.places.in_order:
            steps = past.shape[1]
            beside = jnp.concatenate([still, coming], axis=1)[:, None]
            return jnp.concatenate([past, jnp.broadcast_to(beside, (len(past), steps, beside.shape[2]))], axis=2)
        return before(jnp.concatenate([still, coming], axis=1), past)

    def first(self, x: jax.Array) -> jax.Array:
        """What the network within gets for the first step."""
        past, still, future = self.parts(x)
        return self.seen(past, still, future[:, 0])

    def __call__(self, x: jax.Array, key: jax.Array | None = None, **more: Any) -> jax.Array:
        past, still, future = self.parts(x)
        roll = self.roll
        others = past.shape[2] - roll.targets

        def step(state: tuple[jax.Array, jax.Array], given: tuple[Any, jax.Array]) -> tuple[Any, jax.Array]:
            (past, still), (number, coming) = state, given
            own_key = None if key is None else jax.random.fold_in(key, number)
            base = roll.base(past)
            level = jnp.concatenate([base, jnp.zeros((len(past), 1, others), past.dtype)], axis=2)
            y = call(self.inner, self.seen(past - level, still, coming), own_key, **more) + base[:, 0]
            row = jnp.concatenate([y, past[:, -1, roll.targets :]], axis=1)
            if roll.known:
                row = row.at[:, list(roll.known)].set(coming)
            return (jnp.concatenate([past[:, 1:], row[:, None]], axis=1), roll.turned(still)), y

        rows = jnp.arange(self.places.reach), jnp.moveaxis(future, 1, 0)
        return roll.numbers(jax.lax.scan(step, (past, still), rows)[1])


@dataclass(frozen=True)
class RollOut(Around):
    """`network`, of one step, rolled out to the last horizon. No user writes it: `Windowed(recursive=True)` makes it.

    It is trained by all horizons, through its own steps; one that is solved, by the first step alone.
    window, lost: as in `networks.beside.Telling`.
    """

    roll: Roll
    window: int | None = None
    lost: int = 0

    def places(self, inputs: Shape) -> Places:
        steps = (self.window or inputs[0]) - self.lost
        past = past_of(inputs, self.still, self.ahead)
        return Places(past, self.still, self.ahead, steps, max(self.roll.horizons), self.network.in_order)

    def within(self, inputs: Shape) -> Shape:
        """The shape of what the network within gets, from that of a window."""
        bare = RolledOut(None, self.places(inputs), self.roll)
        shape: Shape = jax.eval_shape(bare.first, jax.ShapeDtypeStruct((1, *inputs), float)).shape[1:]
        return shape

    def build(self, inputs: Shape, outputs: Shape, *, key: jax.Array) -> RolledOut:
        roll = self.roll
        if roll.horizons[0] != 1 or outputs[0] != len(roll.horizons) * roll.targets:
            raise InputError(
                "recursive forecasts are of one number a target, and their horizons begin with the next step. Read the "
                "series with ", Setting("horizon", [1, 2]), ", or leave recursive out."
            )  # fmt: skip
        inner = self.network.build(self.within(inputs), (roll.targets,), key=key)
        return RolledOut(inner, self.places(inputs), roll)

    @property
    def label(self) -> str:
        return f"{self.network.label} recursive"

    def hidden_units(self, inputs: Shape, outputs: Shape) -> int:
        return max(self.roll.horizons) * self.network.hidden_units(self.within(inputs), (self.roll.targets,))

    def prime(self, module: Any, rows: Callable[[], tuple[jax.Array, ...]], *, key: jax.Array) -> Any:
        def first() -> tuple[jax.Array, ...]:
            x, t, w = rows()
            return module.first(x), t[:, : self.roll.targets], w

        return replace(module, inner=self.network.prime(module.inner, first, key=key))

    def given(self, module: Any, x: jax.Array) -> jax.Array:
        first: jax.Array = module.first(x)
        return first
