"""Augmentation of images: one affine map for all moves (one interpolation blurs less than three), then the rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from perceptory.augmentation.base import About, Augmentation
from perceptory.augmentation.interpolation import in_plane
from perceptory.errors import InputError
from perceptory.registry import Registry
from perceptory.specs import below_one, checked, is_on, not_negative, traced

FILLS: Registry[str] = Registry(
    "fill", {"zero": "what 0 is in the data", "mean": "the mean of training", "edge": "the nearest pixel"}
)
ASPECT = 2.0  # of an erased rectangle, at most


def _probability(name: str, value: Any) -> None:
    not_negative(name, value)
    if value > 1:
        raise InputError(f"{name} needs a probability from 0 to 1, got {value!r}. Example: {name}=0.5")


@dataclass(frozen=True)
class ImageAugmentation(Augmentation):
    """Images moved, turned, scaled, mirrored, partly erased and with noise, each by a random amount of its own.

    shift: at most so many pixels up or down and left or right. rotate: at most so many degrees, about the center.
    scale: a factor between 1 / (1 + scale) and 1 + scale, about the center. All three together are one bilinear
    interpolation. fill: what is beyond the border, "zero" (0 in the data, such as black), "mean" or "edge".
    flip: the probability of a left-right mirror image; leave it at 0 where that is another class (digits, letters).
    erase: a rectangle of up to this share of the area, anywhere inside, becomes the training mean (Zhong et al. 2020).
    noise: σ of noise x + σ ε, in units of a channel's standard deviation.
    """

    kinds: ClassVar[tuple[str, ...]] = ("image",)
    shift: float = traced(0.0, off=0.0, check=not_negative)
    rotate: float = traced(0.0, off=0.0, check=not_negative)
    scale: float = traced(0.0, off=0.0, check=not_negative)
    flip: float = traced(0.0, off=0.0, check=_probability)
    erase: float = traced(0.0, off=0.0, check=below_one)
    noise: float = traced(0.0, off=0.0, check=not_negative)
    fill: str = checked("zero", check=lambda _, v: FILLS[v])

    def apply(self, x: jax.Array, t: jax.Array, lengths: Any, about: About, key: jax.Array) -> tuple[Any, Any]:
        draws = jax.random.uniform(key, (9, x.shape[0]), x.dtype)  # one call: each is a loop in the program
        if is_on(self.shift) or is_on(self.rotate) or is_on(self.scale):
            shift, angle = self.shift * (2 * draws[:2] - 1), self.rotate * (2 * draws[2] - 1)
            factor = (1 + self.scale) ** (2 * draws[3] - 1) if is_on(self.scale) else None
            x = moved(x, shift, jnp.deg2rad(angle) if is_on(self.rotate) else None, factor, self._outside(about))
        if is_on(self.flip):
            x = jnp.where((draws[4] < self.flip)[:, None, None, None], x[:, :, ::-1], x)
        t = x.reshape(t.shape) if about.own else t  # what is moved is given back where it is, without gaps and noise
        if is_on(self.erase):
            x = jnp.where(rectangles(self.erase * draws[5], draws[6:9], *x.shape[1:3])[..., None], 0, x)
        if is_on(self.noise):
            x = x + self.noise * jax.random.normal(jax.random.fold_in(key, 1), x.shape, x.dtype)
        return x, t

    def _outside(self, about: About) -> Any:
        """[channel] the value beyond the border, or None for the nearest pixel's."""
        return None if self.fill == "edge" else jnp.zeros_like(about.zero) if self.fill == "mean" else about.zero


def moved(x: jax.Array, shift: jax.Array, angle: Any, factor: Any, outside: Any) -> jax.Array:
    """Images x [batch, height, width, channel], scaled by `factor` [batch] and turned counterclockwise by `angle`
    [batch] (radians) about their center, then moved down and right by `shift` [2, batch] pixels. None is none of it.

    outside: [channel], what is beyond the border, or None for the nearest pixel's value. Bilinear.
    """
    height, width = x.shape[1:3]
    centers = (height - 1) / 2, (width - 1) / 2
    # For each pixel of the new image the place in the old one: the inverse map, from the center.
    i, j = (
        jnp.arange(n, dtype=x.dtype) - center - s[:, None]
        for n, center, s in zip(x.shape[1:3], centers, shift, strict=True)
    )
    if factor is not None:
        i, j = i / factor[:, None], j / factor[:, None]
    i, j = i[:, :, None], j[:, None, :]
    if angle is not None:
        cos, sin = jnp.cos(angle)[:, None, None], jnp.sin(angle)[:, None, None]
        i, j = i * cos + j * sin, j * cos - i * sin
    rows, columns = jnp.broadcast_arrays(i + centers[0], j + centers[1])
    if outside is None:
        return in_plane(x, jnp.clip(rows, 0, height - 1), jnp.clip(columns, 0, width - 1))
    return in_plane(x - outside, rows, columns) + outside


def rectangles(share: jax.Array, draws: jax.Array, height: int, width: int) -> jax.Array:
    """[batch, height, width] bool: rectangles of the share [batch] of the area; draws [3, batch] in [0, 1) give their
    aspect (up to 1 : 2 either way) and their place."""
    ratio = jnp.clip(ASPECT ** (2 * draws[0] - 1), share, 1 / jnp.maximum(share, 1e-6))  # neither side is too long
    sides = jnp.sqrt(share * ratio), jnp.sqrt(share / ratio)

    def inside(side: jax.Array, place: jax.Array, count: int) -> jax.Array:
        first = (place * (1 - side))[:, None]
        middle = (jnp.arange(count, dtype=share.dtype) + 0.5) / count
        return (middle >= first) & (middle < first + side[:, None])

    rows, columns = inside(sides[0], draws[1], height), inside(sides[1], draws[2], width)
    return rows[:, :, None] & columns[:, None, :]
