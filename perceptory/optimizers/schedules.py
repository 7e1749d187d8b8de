"""Learning rates during training: `schedule.at(progress)`, progress from 0 (start) to 1 (last step)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from perceptory.specs import Spec, at_least_one, below_one, positive, traced


class Schedule(Spec):
    """Base of schedules. Total length is the study's epochs, so a schedule's shape does not depend on batch size.

    rate: the field that holds the learning rate which the schedule changes, or another schedule.
    """

    rate: ClassVar[str] = "start"

    @property
    def inner(self) -> Any:
        """The learning rate that it changes, or the schedule after it."""
        return getattr(self, self.rate)

    def at(self, progress: jax.Array) -> jax.Array:
        """The learning rate at `progress` in [0, 1]."""
        raise NotImplementedError


def check_rate(name: str, value: Any) -> None:
    if not isinstance(value, Schedule):
        positive(name, value)


@dataclass(frozen=True)
class Cosine(Schedule):
    """From `start` down to `start · end` along half a cosine (Loshchilov & Hutter 2017)."""

    start: float = traced(1e-2, check=positive, log=True)
    end: float = traced(0.0, check=below_one)

    def at(self, progress: jax.Array) -> jax.Array:
        return self.start * (self.end + (1 - self.end) * 0.5 * (1 + jnp.cos(jnp.pi * progress)))


@dataclass(frozen=True)
class CosineCycles(Schedule):
    """`top` · (1 - cos(2π log2(1 + (2ᶜ - 1) p))) / 2: c times up from 0 and down again over the progress p, each time
    twice as long as before (Holzmüller et al. 2024: "coslog")."""

    rate: ClassVar[str] = "top"
    top: float = traced(1e-2, check=positive, log=True)
    cycles: float = traced(4.0, check=at_least_one)

    def at(self, progress: jax.Array) -> jax.Array:
        return self.top * 0.5 * (1 - jnp.cos(2 * jnp.pi * jnp.log2(1 + (2**self.cycles - 1) * progress)))


@dataclass(frozen=True)
class FlatCosine(Schedule):
    """`start` over the first half of training, then down to 0 along half a cosine."""

    start: float = traced(1e-2, check=positive, log=True)

    def at(self, progress: jax.Array) -> jax.Array:
        return self.start * 0.5 * (1 + jnp.cos(jnp.pi * (jnp.maximum(1.0, 2 * progress) - 1)))


@dataclass(frozen=True)
class Exponential(Schedule):
    """From `start` to `start · end`, by an equal factor each step."""

    start: float = traced(1e-2, check=positive, log=True)
    end: float = traced(0.01, check=positive)

    def at(self, progress: jax.Array) -> jax.Array:
        return self.start * jnp.asarray(self.end) ** progress


@dataclass(frozen=True)
class StepDecay(Schedule):
    """From `start`, multiplied by `factor` at the end of each of `pieces` equal parts of training but the last."""

    start: float = traced(1e-2, check=positive, log=True)
    factor: float = traced(0.1, check=positive)
    pieces: float = traced(3, check=at_least_one)

    def at(self, progress: jax.Array) -> jax.Array:
        return self.start * jnp.asarray(self.factor) ** jnp.floor(jnp.minimum(progress, 1 - 1e-6) * self.pieces)


@dataclass(frozen=True)
class WarmUp(Schedule):
    """Linear from 0 over the first `share` of training, then `after`, a number or another schedule.

    `WarmUp(Cosine(0.05), share=0.3)` is what is known as one cycle (Smith & Topin 2019).
    """

    rate: ClassVar[str] = "after"
    after: Any = traced(1e-2, check=check_rate, log=True)
    share: float = traced(0.1, check=positive)

    def at(self, progress: jax.Array) -> jax.Array:
        rest = jnp.clip((progress - self.share) / jnp.maximum(1 - self.share, 1e-6), 0, 1)
        full = rate_at(self.after, rest)
        return full * jnp.minimum(progress / self.share, 1)


def rate_at(rate: Any, progress: jax.Array) -> jax.Array:
    """The learning rate at `progress`, for a number or a schedule."""
    return rate.at(progress) if isinstance(rate, Schedule) else jnp.asarray(rate)


def rate_label(rate: Any) -> str:
    if isinstance(rate, Schedule):
        name = re.sub(r"(?<!^)(?=[A-Z])", " ", type(rate).__name__).lower()  # "cosine cycles"
        return f"{rate_label(rate.inner)} {name}"
    return f"{rate:.3g}" if isinstance(rate, float | int) else str(rate)
