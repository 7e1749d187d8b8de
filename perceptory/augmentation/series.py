"""Augmentation of series (Um et al. 2017; Le Guennec, Malinowski & Tavenard 2016)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from perceptory.augmentation.base import About, Augmentation
from perceptory.augmentation.interpolation import in_time
from perceptory.specs import below_one, is_on, not_negative, traced

WAVES = 3  # of the speed in a warped series


@dataclass(frozen=True)
class SeriesAugmentation(Augmentation):
    """Noise, other amplitudes, uneven time and shorter windows, fresh for every series in every step.

    jitter: σ of noise x + σ ε at each step, in units of a channel's standard deviation.
    scaling: σ of a factor 1 + σ ε on what each series and channel differs from the channel's mean.
    warp: time runs up to this share faster or slower in places, smoothly; the first and the last step stay fixed.
    crop: a window that lacks up to this share of the steps, anywhere, is stretched to the whole length.

    jitter and scaling leave channels with at most two values as they are. warp and crop interpolate linearly, targets
    with one value per time step included. Leave them at 0 where the speed is the law of a dynamic system, or where the
    last steps matter most, as in a forecast.
    """

    kinds: ClassVar[tuple[str, ...]] = ("series",)
    jitter: float = traced(0.0, off=0.0, check=not_negative)
    scaling: float = traced(0.0, off=0.0, check=not_negative)
    warp: float = traced(0.0, off=0.0, check=below_one)
    crop: float = traced(0.0, off=0.0, check=below_one)

    def apply(self, x: jax.Array, t: jax.Array, lengths: Any, about: About, key: jax.Array) -> tuple[Any, Any]:
        batch, time, channels = x.shape
        if is_on(self.warp) or is_on(self.crop):
            places = self.places(jax.random.uniform(key, (2 + WAVES, batch, 1), x.dtype), time, lengths)
            x, t = in_time(x, places), in_time(t, places) if t.ndim == 3 else t
        steps = (time if is_on(self.jitter) else 0) + is_on(self.scaling)
        if not steps:
            return x, t
        noise = jax.random.normal(jax.random.fold_in(key, 1), (batch, steps, channels), x.dtype) * about.varies
        if is_on(self.scaling):
            x = x * (1 + self.scaling * noise[:, -1:])
        if is_on(self.jitter):
            inside = 1 if lengths is None else (jnp.arange(time) < lengths[:, None])[..., None]
            x = x + self.jitter * noise[:, :time] * inside
        return x, t

    def places(self, draws: jax.Array, time: int, lengths: Any) -> jax.Array:
        """[batch, time] where each step looks, from draws [2 + WAVES, batch, 1] in [0, 1). Padding stays in place."""
        step = jnp.arange(time, dtype=draws.dtype)
        last = (time if lengths is None else lengths[:, None].astype(draws.dtype)) - 1
        u = jnp.clip(step / jnp.maximum(last, 1), 0, 1)
        if is_on(self.warp):  # the speed 1 + Σ a cos(π k u) stays within 1 ± warp, as Σ |a| <= warp
            waves = [((2 * draws[2 + k] - 1) / WAVES, jnp.pi * (k + 1)) for k in range(WAVES)]
            u = u + self.warp * sum(a * jnp.sin(w * u) / w for a, w in waves)
        if is_on(self.crop):
            left_out = self.crop * draws[0]
            u = left_out * draws[1] + (1 - left_out) * u
        places = jnp.clip(u, 0, 1) * last
        return jnp.where(step <= last, places, step)
