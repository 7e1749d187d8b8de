"""Kernel neurons [E3]: radial basis functions with centers from the data, and a linear output."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from perceptory.layers.dense import Dense, Reshape
from perceptory.layers.sequential import Sequential
from perceptory.networks.base import Network
from perceptory.ops.activations import ACTIVATIONS
from perceptory.ops.initializers import initial_weights
from perceptory.ops.k_means import STARTS, distances, spacing
from perceptory.ops.ridge import ridge_regression
from perceptory.registry import Registry
from perceptory.specs import checked, count, not_negative, positive, traced


@jax.custom_jvp
def squared_distances(x: jax.Array, c: jax.Array) -> jax.Array:
    """‖x - c‖² [row, center] of x [row, in] and c [center, in], as a sum of squared differences.

    The expanded form ‖x‖² - 2 x·c + ‖c‖² loses the digits that x and c share, in each value; its slope does so only
    in sums over rows, where it is harmless, and is matrix products. So each is used where it is good.
    """
    return distances(x, c)


@squared_distances.defjvp
def _slope(at: tuple[jax.Array, jax.Array], change: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
    (x, c), (dx, dc) = at, change
    half = jnp.sum(x * dx, axis=1)[:, None] - dx @ c.T - x @ dc.T + jnp.sum(c * dc, axis=1)
    return squared_distances(x, c), 2 * half


class Kernels(eqx.Module):
    """[E3] v = exp(-‖x - c‖² / s²) for each center.

    centers: [center · in], flat, since a weight penalty must not pull places to 0. narrowness: [center], 1 / s, with
    which nothing is divided by a width that training drives to 0.
    """

    centers: jax.Array
    narrowness: jax.Array

    @property
    def places(self) -> jax.Array:
        """The centers [center, in]."""
        return self.centers.reshape(self.narrowness.size, -1)

    @property
    def widths(self) -> jax.Array:
        """s [center]."""
        return 1 / jnp.abs(self.narrowness)

    def __call__(self, x: jax.Array, key: jax.Array | None = None) -> jax.Array:
        x = x.reshape(x.shape[0], -1)
        return jnp.exp(-squared_distances(x, self.places) * self.narrowness**2)


TRAINED: Registry[str] = Registry(
    "way to train",
    {
        "output": "centers and widths stay; the output layer is solved by regularized least squares",
        "all": "the same start, then the optimizer moves everything",
    },
)


@dataclass(frozen=True)
class RBFNetwork(Network):
    """Kernel neurons v = exp(-‖x - c‖² / s²) [E3] and a linear output y = v W + b.

    centers: how many. Where there are fewer distinct training rows, some centers are equal, which does no harm.
    start: "kmeans" (k-means++, then Lloyd's iterations) or "rows" (a sample), of the member's own training rows.
    width: s of a center is this factor times its mean distance to its nearest `neighbors` centers (Moody & Darken
        1989).
    ridge: λ of the output layer's least squares, the minimum of the mean of ½‖y - t‖² plus λ‖W‖² without b, which is
        what training it under `SquaredError` and `WeightPenalty(ridge)` would tend to.
    train: "output" ([E15]: centers and widths stay, the output layer is solved; no optimizer) or "all" (from there the
        optimizer moves everything).

    The least squares fit the targets that `prime` is given, whatever the cost. In a classification that is no maximum
    likelihood: with "output" the probabilities are rough, and "all" trains them.
    """

    centers: int = checked(20, check=count)
    start: str = checked("kmeans", check=lambda _, value: STARTS[value])
    width: float = traced(2.0, check=positive)
    ridge: float = traced(1e-5, check=not_negative)
    train: str = checked("output", check=lambda _, value: TRAINED[value])
    neighbors: int = checked(2, check=count)

    def build(self, inputs: tuple[int, ...], outputs: tuple[int, ...], *, key: jax.Array) -> Sequential:
        features, out = prod(inputs), prod(outputs)
        fans = [(self.centers, features), (self.centers, out)]
        places, weight = initial_weights(key, ["small", "glorot"], fans)
        places = places * (300**0.5)  # the unit variance of scaled inputs; rows take their place where there are any
        narrowness = jnp.full(self.centers, 1 / (self.width * features**0.5), weight.dtype)
        layers: list[Any] = [
            Kernels(places.ravel(), narrowness),
            Dense(weight, jnp.zeros(out, weight.dtype), ACTIVATIONS["linear"].function),
        ]
        return Sequential((*layers, *([Reshape(outputs)] if len(outputs) != 1 else [])))

    def prime(self, module: Any, rows: Callable[[], tuple[jax.Array, ...]], *, key: jax.Array) -> Any:
        """Centers, widths and the output layer from the training rows."""
        x, t, w = rows()
        x, t = x.reshape(x.shape[0], -1), t.reshape(t.shape[0], -1)
        places = STARTS[self.start](x, w, self.centers, key)
        widths = self.width * spacing(places, x, w, self.neighbors)
        kernels = Kernels(places.ravel(), 1 / widths)
        weight, bias = ridge_regression(kernels, x, t, w, self.ridge)
        dense = Dense(weight, bias, module.layers[1].activation)
        return Sequential((kernels, dense, *module.layers[2:]))

    @property
    def solved(self) -> bool:
        """Whether nothing is left for the optimizer once the network has met its training rows."""
        return self.train == "output"

    def trains(self, name: str) -> bool:
        return self.train == "all" or not name.startswith("layers.0.")

    @property
    def label(self) -> str:
        return f"RBF {self.centers} from {self.start}, {self.train} trained"

    def hidden_units(self, inputs: tuple[int, ...], outputs: tuple[int, ...]) -> int:
        return 3 * self.centers
