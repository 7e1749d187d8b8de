"""What members begin with in the place of random weights, and how fast it moves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from perceptory.layers.arrays import Layout, arrays_of, with_arrays
from perceptory.specs import Spec, is_on, traced


@dataclass(frozen=True)
class ArrayRate(Spec):
    """factor: what an array's steps are multiplied by; 0 for an array that rests, None for steps as they are."""

    factor: Any = traced(None, off=0.0)


@dataclass(frozen=True)
class GivenStart(Spec):
    """The static side of a start from weights that there are: one entry for each array of the network's layout.

    given: whether it is given (`Member.given`), instead of drawn. rates: how it moves. unfreeze_after: until this share
    of the epochs is done, what is given rests; 0 for no such phase.
    """

    given: tuple[bool, ...]
    rates: tuple[ArrayRate, ...]
    unfreeze_after: Any = traced(0.0, off=0.0)

    @property
    def still(self) -> tuple[bool, ...]:
        """Which arrays never move."""
        if self.thaws:
            return (False,) * len(self.rates)
        return tuple(rate.factor is not None and not is_on(rate.factor) for rate in self.rates)

    @property
    def thaws(self) -> bool:
        """Whether what is given rests at first and moves later."""
        return is_on(self.unfreeze_after)

    def resting(self, progress: Any) -> Any:
        """Whether what is given still rests, when this share of the epochs is done."""
        return progress < self.unfreeze_after

    def factors(self, progress: Any) -> list[Any] | None:
        """What each array's steps are multiplied by; None where all are 1 or 0 throughout (`still`)."""
        if not self.thaws and all(rate.factor is None or not is_on(rate.factor) for rate in self.rates):
            return None
        later = [1.0 if rate.factor is None else rate.factor for rate in self.rates]
        if not self.thaws:
            return later
        rest = self.resting(progress)
        return [jnp.where(rest, 0, one) if given else one for given, one in zip(self.given, later, strict=True)]


def begun(module: Any, given: Sequence[Array], start: GivenStart | None) -> Any:
    """The module with the given arrays in their places."""
    if start is None:
        return module
    waiting = iter(given)
    drawn = zip(arrays_of(module), start.given, strict=True)
    return with_arrays(module, [next(waiting).astype(a.dtype) if here else a for a, here in drawn])


def by_weight(factors: Sequence[Any], where: Layout, flat: bool, dtype: Any) -> tuple[Any, ...]:
    """The factors in the structure of the weights: one a weight of the flat vector, or one an array."""
    if not flat:
        return tuple(jnp.asarray(factor, dtype) for factor in factors)
    # By the place of each weight's array: to put them one after the other would be a loop to compile for each.
    own = np.repeat(np.arange(len(factors), dtype=np.int32), [prod(shape) for shape in where.shapes])
    return (jnp.stack([jnp.asarray(factor, dtype) for factor in factors]).at[own].get(mode="promise_in_bounds"),)
