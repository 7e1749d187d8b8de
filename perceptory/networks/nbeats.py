"""N-BEATS and N-HiTS: blocks that explain a part of the window each and leave the rest to the next."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from perceptory.errors import InputError, Setting
from perceptory.layers.arrays import Shape
from perceptory.layers.dense import Dense
from perceptory.networks.base import Network
from perceptory.networks.windowed import SeriesFacts
from perceptory.ops.activations import ACTIVATIONS
from perceptory.ops.initializers import initial_weights
from perceptory.ops.relative import seasonal_places
from perceptory.specs import checked, count, flag


def _pools(name: Any, value: Any) -> None:
    if not isinstance(value, tuple):
        raise InputError(name, f" needs a tuple of sizes, one a block, got {value!r}. Example: pool=(4, 2, 1)")
    for size in value:
        count(name, size)


class Block(eqx.Module):
    """x [batch, time · channel] -> (what it explains of x, what that means for the outputs)."""

    hidden: tuple[Dense, ...]
    back: Dense
    ahead: Dense
    pool: int = eqx.field(static=True)
    channels: int = eqx.field(static=True)
    outputs: int = eqx.field(static=True)
    several: int = eqx.field(static=True)  # outputs a horizon

    def __call__(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        v = x
        if self.pool > 1:  # the largest of so many steps, from the window's end on
            steps = x.reshape(len(x), -1, self.channels)
            steps = steps[:, steps.shape[1] % self.pool :]
            v = steps.reshape(len(x), -1, self.pool, self.channels).max(axis=2).reshape(len(x), -1)
        for layer in self.hidden:
            v = layer(v)
        ahead = self.ahead(v)
        if self.pool > 1:
            ahead = between(ahead.reshape(len(x), -1, self.several), self.outputs // self.several)
        return self.back(v), ahead.reshape(len(x), self.outputs)


class ResidualBlocks(eqx.Module):
    """The sum over blocks of what they say ahead, each seeing what those before have not explained; a linear part of
    the whole window and, where `seasonal`, the last season again are the start."""

    straight: Dense
    blocks: tuple[Block, ...]
    season: int = eqx.field(static=True)  # 0: not repeated
    horizons: tuple[int, ...] = eqx.field(static=True)
    several: int = eqx.field(static=True)
    takes: ClassVar[tuple[str, ...]] = ()

    def __call__(self, x: jax.Array, key: jax.Array | None = None) -> jax.Array:
        flat = x.reshape(len(x), -1)
        y = self.straight(flat)
        if self.season:
            again = x[:, seasonal_places(self.horizons, self.season), : self.several]
            y = y + again.reshape(y.shape)
        for block in self.blocks:
            explained, ahead = block(flat)
            flat, y = flat - explained, y + ahead
        return y


def between(values: jax.Array, steps: int) -> jax.Array:
    """[batch, steps, out] on the straight lines between values [batch, knot, out], the first and last one included."""
    knots = values.shape[1]
    place = np.linspace(0, knots - 1, steps)
    low = np.clip(np.floor(place).astype(int), 0, max(knots - 2, 0))
    share = jnp.asarray(place - low, values.dtype)[:, None]
    return values[:, low] * (1 - share) + values[:, np.minimum(low + 1, knots - 1)] * share


@dataclass(frozen=True)
class NBEATS(Network):
    """Forecasts by residual blocks: each is a feedforward network with two outputs, what it explains of its input and
    what follows from that for the horizons; the next one sees what is left, and the forecasts are summed.

    blocks: how many. width, layers: of each block's hidden layers. activation: of these.
    pool: one size a block, or () for none: a block sees the largest of so many steps at a time, and gives so many times
        fewer values, between which straight lines are drawn (N-HiTS). The first block is the coarsest: pool=(8, 4, 1).
    seasonal: the last season again is where the forecast starts; for windows relative to their mean or last value.
    season, horizons: found in the data.

    A linear model of the window stands beside the blocks. Source: Oreshkin et al. 2020, generic form; Challu et al.
    2023.
    """

    blocks: int = checked(2, check=count)
    width: int = checked(128, check=count)
    layers: int = checked(2, check=count)
    activation: str = checked("relu", check=lambda _, value: ACTIVATIONS[value])
    pool: tuple[int, ...] = checked((), check=_pools)
    seasonal: bool = checked(False, check=flag)
    season: int = checked(1, check=count)
    horizons: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.pool, tuple) and self.pool and len(self.pool) != self.blocks:
            raise InputError(f"NBEATS.pool needs one size for each of {self.blocks} blocks, got {self.pool!r}.")

    def for_series(self, facts: SeriesFacts) -> NBEATS:
        return replace(self, season=facts.season, horizons=facts.horizons) if self.seasonal else self

    def build(self, inputs: Shape, outputs: Shape, *, key: jax.Array) -> ResidualBlocks:
        if len(outputs) != 1 or (self.seasonal and not self.horizons):
            raise InputError("NBEATS is for forecasts. Read the series with ", Setting("predict", "ahead"), ".")
        if self.seasonal and (len(inputs) != 2 or inputs[0] < self.season):
            raise InputError(
                f"a seasonal NBEATS needs windows of at least a season, {self.season} steps, got {inputs}."
            )
        steps, channels = (inputs[0], prod(inputs[1:])) if len(inputs) > 1 else (inputs[0], 1)
        several = outputs[0] // len(self.horizons) if self.horizons and outputs[0] % len(self.horizons) == 0 else 1
        first, *keys = jax.random.split(key, self.blocks + 1)
        blocks = [
            self._block(key, (steps, channels), outputs[0], pool, several)
            for key, pool in zip(keys, self.pool or (1,) * self.blocks, strict=True)
        ]
        straight = self._dense(first, [(prod(inputs), outputs[0])], ["glorot"], 0.1)[0]
        return ResidualBlocks(straight, tuple(blocks), self.season * self.seasonal, self.horizons, several)

    def _block(self, key: jax.Array, inputs: tuple[int, int], outputs: int, pool: int, several: int) -> Block:
        steps, channels = inputs
        pool = min(pool, steps)
        knots = max(2, -(-(outputs // several) // pool)) if pool > 1 else outputs // several
        sees = (steps // pool) * channels
        start = ACTIVATIONS[self.activation].initializer
        widths = [(sees, self.width), *[(self.width, self.width)] * (self.layers - 1)]
        hidden_key, back_key, ahead_key = jax.random.split(key, 3)
        hidden = self._dense(hidden_key, widths, [start] * self.layers, 1.0, self.activation)
        back = self._dense(back_key, [(self.width, steps * channels)], ["glorot"], 1.0)[0]
        ahead = self._dense(ahead_key, [(self.width, knots * several)], ["glorot"], 0.3)[0]
        return Block(tuple(hidden), back, ahead, pool, channels, outputs, several)

    @staticmethod
    def _dense(key: jax.Array, fans: Any, starts: list[str], size: float, activation: str = "linear") -> list[Dense]:
        weights = initial_weights(key, starts, fans)
        function = ACTIVATIONS[activation].function
        return [Dense(size * w, jnp.zeros(w.shape[1], w.dtype), function) for w in weights]

    @property
    def label(self) -> str:
        kind = "N-HiTS " + "/".join(map(str, self.pool)) if self.pool else f"N-BEATS {self.blocks}"
        sigma = "" if self.activation == "relu" else f" {self.activation}"
        return f"{kind} x {'-'.join([str(self.width)] * self.layers)}{sigma}{' seasonal' if self.seasonal else ''}"

    def hidden_units(self, inputs: Shape, outputs: Shape) -> int:
        return self.blocks * (self.width * self.layers + prod(inputs) + prod(outputs))
