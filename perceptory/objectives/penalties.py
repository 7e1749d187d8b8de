"""Weight penalties [E30]."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from perceptory.errors import InputError
from perceptory.registry import did_you_mean
from perceptory.specs import Search, Spec, at_least_one, checked, is_on, is_plain, not_negative, traced


def share(name: str, value: Any) -> None:
    not_negative(name, value)
    if value > 1:
        raise InputError(f"{name} needs a share from 0 to 1, got {value!r}. Example: {name}=0.5")


@dataclass(frozen=True)
class LayerStrength(Spec):
    """The strength λ of a penalty in one layer; `name` is the path of an array, such as "layers.0.weight", or its
    beginning, such as "layers.0"."""

    name: str
    strength: float = traced(1e-4, check=not_negative, log=True)


class Penalty(Spec):
    """Base of penalties, which first-order training adds to the cost's gradient in every step."""

    @property
    def zeros(self) -> bool:
        """Whether weights come to rest at exactly 0 (`rests`)."""
        return False

    def slope(self, gradient: jax.Array, weights: jax.Array, mask: jax.Array) -> jax.Array:
        """The cost's gradient with the penalty's where `mask` [weight] is 1; biases have 0 there."""
        raise NotImplementedError

    def rests(self, old: jax.Array, new: jax.Array, slope: jax.Array, mask: jax.Array) -> jax.Array:
        """[weight] bool: whether a weight is to be exactly 0 after a step from `old` to `new` with this slope."""
        return jnp.zeros(old.shape, bool)

    @property
    def label(self) -> str:
        return type(self).__name__


@dataclass(frozen=True)
class WeightPenalty(Penalty):
    """λ ‖w‖_p^p added to the cost [E30], or with a share m of the 1-norm λ ((1 - m) ‖w‖_p^p + m ‖w‖₁): the elastic
    net (Zou & Hastie 2005). Biases are left out.

    strength: λ. p: 1 gives exact zeros; 2 (the usual) small weights; any p >= 1. mix: m; above 0 there are exact zeros
    for every p. layers: strengths of single layers instead of λ, by the paths of their arrays or the beginnings of
    these: {"layers.0": 0.1, "layers.1.weight": 0}; where several fit, the longest counts. A wrong path raises
    `InputError`, which lists the right ones, when the study starts.

    For exact zeros the step is that of an orthant-wise method (Andrew & Gao 2007): the gradient is the least
    subgradient of the penalized cost, a weight that would change its sign stops at exactly 0, and one at 0 rests there
    while the cost pulls with less than λ (m λ). Its fixed points are the minima of [E30] under every first-order
    optimizer, momentum and adaptive steps included, which a soft threshold by α λ promises for plain gradient descent
    only.
    """

    strength: float = traced(1e-4, check=not_negative, log=True)
    p: float = checked(2, check=at_least_one)
    mix: float = traced(0.0, off=0.0, check=share, neutral=0.0)
    layers: Any = checked((), neutral=())

    def __post_init__(self) -> None:
        if isinstance(self.layers, Mapping):
            object.__setattr__(self, "layers", tuple(LayerStrength(k, v) for k, v in self.layers.items()))
        elif isinstance(self.layers, list):
            object.__setattr__(self, "layers", tuple(self.layers))
        if not isinstance(self.layers, Search) and not (
            isinstance(self.layers, tuple) and all(isinstance(one, LayerStrength | Search) for one in self.layers)
        ):
            raise InputError(
                f"layers needs a dict of strengths by layer, got {self.layers!r}. Example: layers={{'layers.0': 0.1}}"
            )
        super().__post_init__()

    @property
    def zeros(self) -> bool:
        """Whether there is a 1-norm in it, so that weights come to rest at exactly 0."""
        return self.p == 1 or is_on(self.mix)

    def slope(self, gradient: jax.Array, weights: jax.Array, mask: jax.Array) -> jax.Array:
        """The cost's gradient with the penalty's, λ p |w|^(p-1) sign(w), where `mask` [weight] is 1."""
        one, power = self._strengths()
        if power is not None and self.p == 2:
            gradient = gradient + 2 * power * mask * weights
        elif power is not None:
            # |w|^(p-1) has no slope at 0 for p < 2, but it is only a value here: nothing differentiates it again.
            gradient = gradient + power * mask * self.p * jnp.abs(weights) ** (self.p - 1) * jnp.sign(weights)
        if one is None:
            return gradient
        limit = one * mask
        resting = jnp.sign(gradient) * jnp.maximum(jnp.abs(gradient) - limit, 0)
        return jnp.where(weights != 0, gradient + limit * jnp.sign(weights), resting)

    def _strengths(self) -> tuple[Any, Any]:
        """(of the 1-norm, of the p-norm), None where there is none."""
        if self.p == 1:
            return self.strength, None
        if not is_on(self.mix):
            return None, self.strength
        return self.mix * self.strength, (1 - self.mix) * self.strength

    def rests(self, old: jax.Array, new: jax.Array, slope: jax.Array, mask: jax.Array) -> jax.Array:
        """With a 1-norm: where a weight crosses 0 in this step, or rests there."""
        if not self.zeros:
            return super().rests(old, new, slope, mask)
        stays = jnp.where(old != 0, old * new < 0, slope == 0)
        return (self._strengths()[0] * mask > 0) & stays

    # --- by layer ------------------------------------------------------------------------------------------------

    def places(self, names: Sequence[str], weights: Sequence[bool]) -> list[int | None]:
        """For each array the place of its own strength in `layers`, or None where λ counts.

        names: the arrays' paths. weights: True for weights, False for biases. Raises `InputError` for a path that no
        weights have.
        """
        own = [(one.name, k) for k, one in enumerate(self.layers) if is_plain(one)]
        penalized = [name for name, is_weight in zip(names, weights, strict=True) if is_weight]
        for name, _ in own:
            if not any(_within(array, name) for array in penalized):
                known = ", ".join(penalized[:20])
                raise InputError(f"no weights are called {name!r}.{did_you_mean(name, penalized)} There are {known}.")
        places: list[int | None] = []
        for array in names:
            fitting = [(len(name), k) for name, k in own if _within(array, name)]
            places.append(max(fitting)[1] if fitting else None)
        return places

    def by_array(self, names: Sequence[str], weights: Sequence[bool]) -> list[Any]:
        """λ of each array; 0 for biases."""
        return [
            (self.strength if place is None else self.layers[place].strength) if is_weight else 0.0
            for place, is_weight in zip(self.places(names, weights), weights, strict=True)
        ]

    @property
    def label(self) -> str:
        name = f"L{self.p:g}" if not is_on(self.mix) else f"L{self.p:g}+L1 {self.mix:.3g}"
        own = "".join(f", {one.name} {one.strength:.3g}" for one in self.layers)
        return f"{name} {self.strength:.3g}{own}"


def _within(array: str, name: str) -> bool:
    return array == name or array.startswith(name + ".")
