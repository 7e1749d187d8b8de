"""Costs that learn more of a target than one number: several quantiles, or mean and deviation."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import expm1, isfinite, log
from numbers import Real
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from perceptory.errors import InputError
from perceptory.later import later
from perceptory.objectives.base import Cost, diagonal, softplus
from perceptory.specs import checked, positive, traced

if TYPE_CHECKING:
    import jax
    import jax.numpy as jnp
else:
    jax, jnp = later("jax", "jax.numpy")

HALF_BELOW = log(expm1(1.0))  # softplus of it is 1


def _levels(name: str, value: Any) -> None:
    fine = isinstance(value, tuple) and value and all(isinstance(v, float) and isfinite(v) for v in value)
    if not fine or value[0] <= 0 or value[-1] >= 1 or any(a >= b for a, b in pairwise(value)):
        raise InputError(f"{name} needs rising numbers between 0 and 1, got {value!r}. Example: {name}=(0.1, 0.5, 0.9)")


def _share(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise InputError(f"{name} needs a number from 0 to 1, got {value!r}. Example: {name}=0.5")


def by_head(values: Any, heads: int) -> Any:
    """[..., head, target] of [..., head · target]."""
    return values.reshape(*values.shape[:-1], heads, values.shape[-1] // heads)


@dataclass(frozen=True)
class Quantile(Cost):
    """The pinball cost Σ_τ max(τ r, (τ - 1) r), r = t - q_τ, summed over targets; its minima are the τ-quantiles.

    levels: τ, rising, or a single one (Koenker & Bassett 1978). The quantiles of a row cannot cross: the level nearest
    one half is a linear output, and the others are reached from it by adding or taking away softplus steps. Outputs of
    0 stand for the standard normal distribution's distances. The point prediction, which metrics judge, is the
    quantile of the level nearest one half (the lower one of two); over an ensemble each quantile is the mean of the
    members'.
    """

    tasks: ClassVar[tuple[str, ...]] = ("regression",)

    levels: Any = checked((0.1, 0.5, 0.9), check=_levels)

    def __post_init__(self) -> None:
        levels = self.levels
        if isinstance(levels, list | np.ndarray):
            levels = tuple(levels)
        if isinstance(levels, Real) and not isinstance(levels, bool):
            levels = (levels,)
        if isinstance(levels, tuple) and all(isinstance(v, Real) for v in levels):
            levels = tuple(float(v) for v in levels)
        object.__setattr__(self, "levels", levels)
        super().__post_init__()

    @property
    def label(self) -> str:
        return "Quantile " + "/".join(f"{level:.3g}" for level in self.levels)

    @property
    def heads(self) -> int:
        return len(self.levels)

    @property
    def middle(self) -> int:
        """Which level is nearest one half."""
        return min(range(len(self.levels)), key=lambda i: round(abs(self.levels[i] - 0.5), 12))

    def per_row(self, output: jax.Array, target: jax.Array) -> jax.Array:
        r = target[..., None, :] - by_head(self.inverse_link(output), self.heads)
        level = jnp.asarray(self.levels, r.dtype)[:, None]
        return jnp.sum(jnp.maximum(level * r, (level - 1) * r), axis=(-2, -1))

    def working_response(self, target: jax.Array) -> jax.Array:
        rest = jnp.zeros_like(target)
        return jnp.concatenate([target if i == self.middle else rest for i in range(self.heads)], axis=-1)

    def inverse_link(self, output: jax.Array) -> jax.Array:
        z = by_head(output, self.heads)
        normal = [NormalDist().inv_cdf(level) for level in self.levels]
        gaps = [log(expm1(b - a)) for a, b in pairwise(normal)]
        middle, place = self.middle, np.arange(self.heads)[:, None]
        # Each step is added to all quantiles beyond it, one after the other: so rounding keeps their order too. Nothing
        # is concatenated, which jaxlib 0.10.1 may get wrong for sums of slices.
        quantiles = jnp.broadcast_to(z[..., middle : middle + 1, :], z.shape)
        for i in range(middle - 1, -1, -1):
            quantiles -= jnp.where(place <= i, softplus(z[..., i : i + 1, :] + gaps[i]), 0)
        for i in range(middle + 1, self.heads):
            quantiles += jnp.where(place >= i, softplus(z[..., i : i + 1, :] + gaps[i - 1]), 0)
        return quantiles.reshape(output.shape)

    def unscale(self, prediction: Any, center: Any, scale: Any) -> Any:
        numbers = by_head(prediction, self.heads) * scale[..., None, :] + center[..., None, :]
        return numbers.reshape(prediction.shape)

    def point_prediction(self, prediction: Any) -> Any:
        return by_head(prediction, self.heads)[..., self.middle, :]


@dataclass(frozen=True)
class GaussianLikelihood(Cost):
    """ln σ + ½ (t - μ)² / σ², summed over targets: a normal distribution's likelihood with a learned deviation.

    μ and s are linear outputs, σ = floor + softplus(s + ln(e - 1)), so that outputs of 0 stand for the targets' own
    mean and deviation. The minimum is at the mean and the variance of the targets. The point prediction is μ; over an
    ensemble, mean and deviation are those of the mixture: variance = mean of variances + variance of means.

    beta: the gradient of a row is multiplied by σ^(2 beta) (Seitzer et al. 2022). By plain likelihood (0) a row's pull
    on μ is (μ - t) / σ², so where σ came to explain an early error the mean stops learning; at 1 μ learns as under the
    squared error. The value, which stops early and is recorded, is the likelihood for every beta; methods that need the
    gradient of that value (second order, line searches) take beta=0.
    floor: the least σ, in standard deviations of the target; without one, rows that are fitted exactly have no minimum.
    """

    tasks: ClassVar[tuple[str, ...]] = ("regression",)

    beta: float = checked(0.5, check=_share)
    floor: float = traced(1e-3, check=positive)

    @property
    def heads(self) -> int:
        return 2

    @property
    def has_true_gradient(self) -> bool:
        return self.beta == 0

    @property
    def label(self) -> str:
        return f"GaussianLikelihood beta {self.beta:.3g}"

    def per_row(self, output: jax.Array, target: jax.Array) -> jax.Array:
        mean, raw = jnp.split(output, 2, axis=-1)
        deviation = self.floor + softplus(raw + HALF_BELOW)
        cost = jnp.log(deviation) + 0.5 * ((target - mean) / deviation) ** 2
        if self.beta:
            pull = jax.lax.stop_gradient(deviation) ** (2 * self.beta)
            cost = jax.lax.stop_gradient(cost) + pull * (cost - jax.lax.stop_gradient(cost))
        return jnp.sum(cost, axis=-1)

    def working_response(self, target: jax.Array) -> jax.Array:
        return jnp.concatenate([target, jnp.zeros_like(target)], axis=-1)

    def curvature(self, output: jax.Array, target: jax.Array) -> jax.Array:
        if not self.has_true_gradient:
            raise InputError(
                f"second-order training needs the likelihood's own gradient, and beta is {self.beta:g}. Use"
                " GaussianLikelihood(beta=0)."
            )
        raw = by_head(output, 2)[..., 1:, :] + HALF_BELOW
        deviation = self.floor + softplus(raw)
        slope = jnp.where(np.array([[True], [False]]), 1, 2**0.5 * jax.nn.sigmoid(raw))
        return diagonal(((slope / deviation) ** 2).reshape(output.shape))

    def inverse_link(self, output: jax.Array) -> jax.Array:
        is_mean = np.arange(output.shape[-1]) < output.shape[-1] // 2
        return jnp.where(is_mean, output, self.floor + softplus(output + HALF_BELOW))

    def unscale(self, prediction: Any, center: Any, scale: Any) -> Any:
        mean, deviation = np.split(prediction, 2, axis=-1)
        return np.concatenate([mean * scale + center, deviation * scale], axis=-1)

    def point_prediction(self, prediction: Any) -> Any:
        return prediction[..., : prediction.shape[-1] // 2]

    def ensemble(self, members: Any, shares: Any = None) -> Any:
        mean, deviation = np.split(members, 2, axis=-1)
        middle = super().ensemble(mean, shares)
        spread = np.sqrt(super().ensemble(deviation**2, shares) + super().ensemble((mean - middle) ** 2, shares))
        return np.concatenate([middle, spread], axis=-1)
