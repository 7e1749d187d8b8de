"""Squared error of transformed targets: of logarithms, or of places among the targets that were seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from perceptory.errors import InputError
from perceptory.later import later
from perceptory.objectives.base import Cost, diagonal
from perceptory.objectives.regression import least_of
from perceptory.registry import Registry
from perceptory.specs import checked

if TYPE_CHECKING:
    import jax
    import jax.numpy as jnp
else:
    jax, jnp = later("jax", "jax.numpy")

TRANSFORMS: Registry[str] = Registry(
    "transform of targets",
    {
        "log": "the logarithm, of targets above 0",
        "quantiles": "the normal score of the place among the targets that were seen",
        "none": "the target itself",
    },
)
KNOTS = 33  # of places among the targets, at most; linear between them
Lines = tuple[tuple[float, ...], ...]  # [target, knot]
Scale = tuple[float, float, tuple[float, ...], tuple[float, ...]]  # of one target: origin, unit, knots, scores


@dataclass(frozen=True)
class TransformedError(Cost):
    """½ Σ (z - g(t))², summed over outputs, and predictions y = g⁻¹(z), which stay among the targets that were seen.

    What is smallest is the mean error of g(t), so predictions are means of logarithms or of places, taken back: of
    skewed targets they lie nearer to the median than to the mean. Whether that helps, validation tells, whose scores
    are in the targets' own units: `choice(SquaredError(), TransformedError("log"))`. Means of amounts, by their share,
    are what `GammaLikelihood` predicts.

    by: "log", g(t) = (ln t - μ) / σ, of targets above 0; "quantiles", g(t) = Φ⁻¹(share of targets below t, half of
    those at t), linear between some of them; or "none", g(t) = (t - μ) / σ, which leaves that predictions stay among
    what was seen.
    knots, scores: g, of each target a few places on the scale of training and their z; origin, unit: of that scale, t =
    origin + unit · place. A study finds them from its rows; until then g(t) = t.
    """

    tasks: ClassVar[tuple[str, ...]] = ("regression",)

    by: str = checked("log", check=lambda _, value: TRANSFORMS[value])
    origin: tuple[float, ...] = ()
    unit: tuple[float, ...] = ()
    knots: Lines = ()
    scores: Lines = ()

    @property
    def label(self) -> str:
        return f"TransformedError {self.by}"

    def for_targets(self, targets: np.ndarray, weights: np.ndarray) -> Self:
        if self.knots:
            return self
        kinds = {"log": _logarithm, "quantiles": _places, "none": _target}
        found = [kinds[self.by](column, weights) for column in targets.T]
        origin, unit, knots, scores = zip(*found, strict=True)
        return self.replace(origin=origin, unit=unit, knots=knots, scores=scores)

    def scale_targets(self, center: np.ndarray, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return (np.array(self.origin), np.array(self.unit)) if self.knots else (center, scale)

    def per_row(self, output: jax.Array, target: jax.Array) -> jax.Array:
        return 0.5 * jnp.sum((output - self._scores(target)) ** 2, axis=-1)

    def working_response(self, target: jax.Array) -> jax.Array:
        return self._scores(target)

    def curvature(self, output: jax.Array, target: jax.Array) -> jax.Array:
        return diagonal(jnp.ones_like(output))

    def inverse_link(self, output: jax.Array) -> jax.Array:
        return self._taken_back(jnp, output)

    @property
    def host_link(self) -> Callable[[np.ndarray], np.ndarray]:
        return partial(self._taken_back, np)

    def check_targets(self, targets: np.ndarray, names: tuple[str, ...]) -> None:
        if self.by != "log":
            return
        for name, least in least_of(targets, names):
            if not least > 0:
                raise InputError(
                    f"logarithms need targets above 0, and {name!r} goes down to {least:g}. Use"
                    ' TransformedError("quantiles"), or another cost such as squared.'
                )

    def _scores(self, t: jax.Array) -> jax.Array:
        """g(t) [..., target]."""
        if not self.knots:
            return t
        if self.by == "log":
            t = jnp.log(jnp.maximum(t, jnp.finfo(t.dtype).tiny))
        return along(jnp, t, self.knots, self.scores)

    def _taken_back(self, xp: Any, z: Any) -> Any:
        """g⁻¹(z) [..., target], by NumPy or JAX."""
        if not self.knots:
            return z
        t = along(xp, z, self.scores, self.knots)
        return xp.exp(t) if self.by == "log" else t


def along(xp: Any, x: Any, knots: Lines, values: Lines) -> Any:
    """[..., target] of x: for each target the line through (knot, value), which ends in level pieces. A sum over the
    knots, with no search."""
    found = []
    for place, (at, value) in enumerate(zip(map(np.array, knots), map(np.array, values), strict=True)):
        slope = (np.diff(value) / np.diff(at)).astype(x.dtype)
        beyond = xp.clip(x[..., place, None] - at[:-1].astype(x.dtype), 0, np.diff(at).astype(x.dtype))
        found.append(beyond @ slope + value[0].astype(x.dtype))
    return xp.stack(found, axis=-1)


def _target(t: np.ndarray, weights: np.ndarray) -> Scale:
    """Of one target [row] from the least to the largest one."""
    middle, spread, ends = _spanned(t, weights)
    scores = tuple((ends / spread).tolist())
    return middle, spread, scores, scores


def _logarithm(t: np.ndarray, weights: np.ndarray) -> Scale:
    """Of one target [row] from the least to the largest logarithm."""
    middle, spread, ends = _spanned(np.log(t), weights)
    return 0.0, float(np.exp(middle)), tuple(ends.tolist()), tuple((ends / spread).tolist())


def _spanned(u: np.ndarray, weights: np.ndarray) -> tuple[float, float, np.ndarray]:
    """Mean and standard deviation of numbers [row], and how far the least and the largest one lie from the mean."""
    middle = float(np.average(u, weights=weights))
    spread = float(np.sqrt(np.average((u - middle) ** 2, weights=weights)))
    return middle, spread, np.array([u.min(), u.max()]) - middle


def _places(t: np.ndarray, weights: np.ndarray) -> Scale:
    """Of one target [row] normal scores of some of its values, the ends among them."""
    from scipy.special import ndtr, ndtri

    values, which = np.unique(t, return_inverse=True)
    mass = np.bincount(which, weights=weights)
    values, mass = values[mass > 0], mass[mass > 0]
    level = (np.cumsum(mass) - 0.5 * mass) / mass.sum()
    score = ndtri(level)
    some = np.searchsorted(level, ndtr(np.linspace(score[0], score[-1], KNOTS)))  # many where few targets are: far out
    some = np.unique([0, len(level) - 1, *some.clip(0, len(level) - 1)])
    unit = values[-1] - values[0]
    knots = (values[some] - values[0]) / unit
    return float(values[0]), float(unit), tuple(knots.tolist()), tuple(score[some].tolist())
