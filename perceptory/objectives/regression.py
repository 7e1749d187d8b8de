"""Costs of numbers with one output per target: squared, absolute, Huber, Poisson, gamma."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from perceptory.errors import InputError
from perceptory.later import later
from perceptory.objectives.base import Cost, diagonal
from perceptory.specs import positive, traced

if TYPE_CHECKING:
    import jax
    import jax.numpy as jnp
else:
    jax, jnp = later("jax", "jax.numpy")

MOST_LOG = 20.0  # a rate of 5e8 times the mean target: beyond, e^z is continued by its tangent and stays finite


@dataclass(frozen=True)
class SquaredError(Cost):
    """½ Σ (y - t)², summed over outputs; its minimum is the mean of the targets, ∂J/∂y = y - t [E16]."""

    tasks: ClassVar[tuple[str, ...]] = ("regression",)

    def per_row(self, output: jax.Array, target: jax.Array) -> jax.Array:
        return 0.5 * jnp.sum((output - target) ** 2, axis=-1)

    def curvature(self, output: jax.Array, target: jax.Array) -> jax.Array:
        return diagonal(jnp.ones_like(output))


@dataclass(frozen=True)
class AbsoluteError(Cost):
    """‖y - t‖₁; its minimum is the median of the targets."""

    tasks: ClassVar[tuple[str, ...]] = ("regression",)

    def per_row(self, output: jax.Array, target: jax.Array) -> jax.Array:
        return jnp.sum(jnp.abs(output - target), axis=-1)


@dataclass(frozen=True)
class Huber(Cost):
    """½ r² where |r| = |y - t| <= δ, and δ (|r| - ½ δ) beyond, summed over outputs (Huber 1964).

    Between mean (large δ) and median (small δ): far targets pull with no more than δ. delta: δ in standard deviations
    of the target, since targets are scaled for training.
    """

    tasks: ClassVar[tuple[str, ...]] = ("regression",)

    delta: float = traced(1.0, check=positive)

    @property
    def label(self) -> str:
        return f"Huber {self.delta:.3g}"

    def per_row(self, output: jax.Array, target: jax.Array) -> jax.Array:
        r = jnp.abs(output - target)
        near = jnp.minimum(r, self.delta)
        return jnp.sum(near * (r - 0.5 * near), axis=-1)


class LogLink(Cost):
    """Costs of targets that are not below 0, with y = e^z: effects of the inputs multiply, and the minimum is the mean
    of the targets. These are divided by their mean in the training rows, so that the outputs start at it.

    Base of what differs in how much an error counts. Beyond z = `MOST_LOG` y stays as it is.
    """

    tasks: ClassVar[tuple[str, ...]] = ("regression",)
    scaling: ClassVar[str] = "mean"

    def working_response(self, target: jax.Array) -> jax.Array:
        return target - 1

    def inverse_link(self, output: jax.Array) -> jax.Array:
        return jnp.exp(jnp.minimum(output, MOST_LOG))

    @property
    def host_link(self) -> Callable[[np.ndarray], np.ndarray]:
        return _exponential


@dataclass(frozen=True)
class PoissonLikelihood(LogLink):
    """y - t ln y with y = e^z, summed over outputs: the Poisson likelihood of counts t >= 0; ∂J/∂z = y - t.

    The likelihood of t is that of t / m, times m, so dividing the targets leaves the minimum where it is. Beyond z = 20
    the exponential is continued by its tangent.
    """

    def per_row(self, output: jax.Array, target: jax.Array) -> jax.Array:
        rate = self.inverse_link(output) * (1 + jnp.maximum(output - MOST_LOG, 0))
        return jnp.sum(rate - target * output, axis=-1)

    def curvature(self, output: jax.Array, target: jax.Array) -> jax.Array:
        return diagonal(self.inverse_link(output))

    def check_targets(self, targets: np.ndarray, names: tuple[str, ...]) -> None:
        for name, least in least_of(targets, names):
            if least < 0:
                raise InputError(
                    f"the Poisson cost needs targets of at least 0 (counts), and {name!r} goes down to {least:g}."
                    " Use another cost, such as squared."
                )


@dataclass(frozen=True)
class GammaLikelihood(LogLink):
    """z + t e^-z with y = e^z, summed over outputs: the likelihood of a gamma distribution whose deviation is a share
    of its mean, for amounts t > 0 such as prices and claims; ∂J/∂z = 1 - t / y (McCullagh & Nelder 1989).

    Errors count by their share of what is predicted, as those of logarithms do, whose minimum is not the mean. Below
    z = -20 the exponential is continued by its tangent.
    """

    def per_row(self, output: jax.Array, target: jax.Array) -> jax.Array:
        inverse = self.inverse_link(-output) * (1 + jnp.maximum(-output - MOST_LOG, 0))
        return jnp.sum(output + target * inverse, axis=-1)

    def curvature(self, output: jax.Array, target: jax.Array) -> jax.Array:
        return diagonal(jnp.ones_like(output))

    def check_targets(self, targets: np.ndarray, names: tuple[str, ...]) -> None:
        for name, least in least_of(targets, names):
            if least <= 0:
                raise InputError(
                    f"the gamma cost needs targets above 0 (amounts), and {name!r} goes down to {least:g}."
                    " Use another cost, such as poisson for amounts that may be 0, or squared."
                )


def _exponential(output: np.ndarray) -> np.ndarray:
    return np.exp(np.minimum(output, MOST_LOG))


def least_of(targets: np.ndarray, names: tuple[str, ...]) -> list[tuple[str, float]]:
    """(name, least value) of each of the targets [..., target], NaN left out."""
    columns = np.reshape(targets, (-1, targets.shape[-1])).T
    return [(name, float(np.nanmin(column))) for name, column in zip(names, columns, strict=True)]
