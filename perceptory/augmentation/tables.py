"""Noise on the inputs of tables, and on targets of any kind of data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import jax

from perceptory.augmentation.base import About, Augmentation
from perceptory.errors import InputError
from perceptory.specs import is_on, not_negative, traced


@dataclass(frozen=True)
class TableAugmentation(Augmentation):
    """x + σ ε in every column that holds numbers, with ε from the standard normal distribution (Bishop 1995).

    noise: σ, in units of each column's standard deviation over the training rows. Columns with at most two values
    (categories, yes and no, constants) and missing values are left as they are. The noise of a network's own field
    `input_noise` is the same in all columns.
    """

    kinds: ClassVar[tuple[str, ...]] = ("table", "array")
    noise: float = traced(0.1, off=0.0, check=not_negative)

    def apply(self, x: jax.Array, t: jax.Array, lengths: Any, about: About, key: jax.Array) -> tuple[Any, Any]:
        if not is_on(self.noise):
            return x, t
        # A missing value is exactly 0 on this scale, its column's mean.
        return x + self.noise * jax.random.normal(key, x.shape, x.dtype) * about.varies * (x != 0), t


@dataclass(frozen=True)
class TargetNoise(Augmentation):
    """t + σ ε in training [E30]: for regression. noise: σ, in units of the target's standard deviation."""

    kinds: ClassVar[tuple[str, ...]] = ("table", "series", "image", "array")
    noise: float = traced(0.1, off=0.0, check=not_negative)

    def apply(self, x: jax.Array, t: jax.Array, lengths: Any, about: About, key: jax.Array) -> tuple[Any, Any]:
        return (x, t) if not is_on(self.noise) else (x, t + self.noise * jax.random.normal(key, t.shape, t.dtype))

    def check(self, kind: str, task: str) -> None:
        if task != "regression":
            raise InputError(f"TargetNoise is for numbers, but the task is {task}. Leave it out.")

    @property
    def label(self) -> str:
        return f"target noise {self.noise:.3g}"
