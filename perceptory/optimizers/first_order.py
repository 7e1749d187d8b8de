"""First-order optimizers (E21, E24, E25): specs that build Optax transformations without the learning rate.

`direction()` returns the transformation of the gradient; training multiplies by minus the scheduled learning rate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import optax

from perceptory.errors import InputError
from perceptory.optimizers.schedules import check_rate, rate_label
from perceptory.registry import Table
from perceptory.specs import Spec, below_one, checked, flag, not_negative, register, traced


class Optimizer(Spec):
    """Base of optimizers: w ← w + u, where u comes from `transformation(rate)`."""

    full_batch: ClassVar[bool] = False  # True: each step uses all rows
    learning_rate: Any

    def transformation(self, rate: Any) -> optax.GradientTransformation:
        """`rate(count)` is the learning rate α at step `count`, from 0."""
        raise NotImplementedError

    @property
    def label(self) -> str:
        return f"{type(self).__name__} {rate_label(self.learning_rate)}"


@register
@dataclass(frozen=True)
class SGD(Optimizer):
    """Stochastic gradient descent (E21 on a batch of rows): w ← w - α ∇J."""

    learning_rate: Any = traced(1e-2, check=check_rate)

    def transformation(self, rate: Any) -> optax.GradientTransformation:
        return optax.scale_by_learning_rate(rate)


@register
@dataclass(frozen=True)
class GradientDescent(SGD):
    """Gradient descent on all K rows at each step (E21)."""

    full_batch: ClassVar[bool] = True


@register
@dataclass(frozen=True)
class Momentum(Optimizer):
    """E24: v ← β v - α ∇J, w ← w + v; v starts at 0. `nesterov` looks ahead: w ← w + β v - α ∇J (Sutskever 2013)."""

    learning_rate: Any = traced(1e-2, check=check_rate)
    beta: float = traced(0.9, check=below_one)
    nesterov: bool = checked(False, check=flag)

    def transformation(self, rate: Any) -> optax.GradientTransformation:
        # The rate comes first, so that a schedule changes only what enters v, as E24 has it.
        return optax.chain(optax.scale_by_learning_rate(rate), optax.trace(self.beta, nesterov=self.nesterov))


class SecondMoment(NamedTuple):
    r: Any


def _scale_by_fourth_root(gamma: Any) -> optax.GradientTransformation:
    """The step as the source prints it: ∇J / √(10⁻⁶ + √r)."""

    def init(params: Any) -> SecondMoment:
        return SecondMoment(jax.tree.map(jnp.zeros_like, params))

    def update(updates: Any, state: SecondMoment, params: Any = None) -> tuple[Any, SecondMoment]:
        r = jax.tree.map(lambda r, g: gamma * r + (1 - gamma) * g * g, state.r, updates)
        # r is a sum of squares; the slope of its square root at 0 is never taken.
        return jax.tree.map(lambda g, r: g * jax.lax.rsqrt(1e-6 + jnp.sqrt(r)), updates, r), SecondMoment(r)

    return optax.GradientTransformation(init, update)


@register
@dataclass(frozen=True)
class RMSProp(Optimizer):
    """r ← γ r + (1 - γ) ∇J⊙∇J, w ← w - α ∇J / √(10⁻⁶ + r); r starts at 0.

    form: "usual", or "fourth_root" for w ← w - α ∇J / √(10⁻⁶ + √r).
    """

    learning_rate: Any = traced(1e-3, check=check_rate)
    gamma: float = traced(0.9, check=below_one)
    form: str = checked("usual", check=lambda _, value: RMSPROP_FORMS[value])

    def transformation(self, rate: Any) -> optax.GradientTransformation:
        return optax.chain(RMSPROP_FORMS[self.form](self.gamma), optax.scale_by_learning_rate(rate))


RMSPROP_FORMS: Table[Any] = Table(
    "form of RMSProp",
    {
        "usual": lambda gamma: optax.scale_by_rms(decay=gamma, eps=1e-6, eps_in_sqrt=True),
        "fourth_root": _scale_by_fourth_root,
    },
)


@register
@dataclass(frozen=True)
class Adam(Optimizer):
    """E25: s ← β s + (1 - β) ∇J, r ← γ r + (1 - γ) ∇J⊙∇J, w ← w - α ŝ / √(10⁻⁶ + r̂) (Kingma & Ba 2015).

    ŝ = s / (1 - βᵗ), r̂ = r / (1 - γᵗ). The 10⁻⁶ stands under the root.
    """

    learning_rate: Any = traced(1e-3, check=check_rate)
    beta: float = traced(0.9, check=below_one)
    gamma: float = traced(0.999, check=below_one)

    def transformation(self, rate: Any) -> optax.GradientTransformation:
        return optax.chain(
            optax.scale_by_adam(b1=self.beta, b2=self.gamma, eps=0.0, eps_root=1e-6),
            optax.scale_by_learning_rate(rate),
        )


@register
@dataclass(frozen=True)
class AdamW(Optimizer):
    """Adam with decoupled weight decay: also w ← w - α λ w (Loshchilov & Hutter 2019); biases are left out."""

    learning_rate: Any = traced(1e-3, check=check_rate)
    beta: float = traced(0.9, check=below_one)
    gamma: float = traced(0.999, check=below_one)
    decay: float = traced(1e-2, check=not_negative)

    def transformation(self, rate: Any) -> optax.GradientTransformation:
        return optax.chain(
            optax.scale_by_adam(b1=self.beta, b2=self.gamma, eps=0.0, eps_root=1e-6),
            _add_decay(self.decay),
            optax.scale_by_learning_rate(rate),
        )


def _add_decay(decay: Any) -> optax.GradientTransformationExtraArgs:
    """Adds decay · w for weights; the mask of weights against biases comes as an extra argument."""

    def update(updates: Any, state: Any, params: Any = None, *, weight_mask: Any = 1.0, **_: Any) -> tuple[Any, Any]:
        return jax.tree.map(lambda u, w: u + decay * weight_mask * w, updates, params), state

    return optax.GradientTransformationExtraArgs(lambda params: optax.EmptyState(), update)


@dataclass(frozen=True)
class Optax(Optimizer):
    """Any Optax transformation, learning rate included. Not written to study.json's closed table except by name.

    Two studies share a compiled program only if they pass the same transformation object.
    """

    chain: Any
    name: str = "Optax"

    def __post_init__(self):
        super().__post_init__()
        if not (hasattr(self.chain, "init") and hasattr(self.chain, "update")):
            raise InputError(f"Optax needs a gradient transformation, got {self.chain!r}. Example: optax.lion(1e-3)")

    @property
    def learning_rate(self) -> Any:
        return 1.0

    def transformation(self, rate: Any) -> optax.GradientTransformation:
        return self.chain

    @property
    def label(self) -> str:
        return self.name


OPTIMIZERS: Table[Any] = Table(
    "optimizer",
    {
        "adam": Adam,
        "adamw": AdamW,
        "sgd": SGD,
        "gradient_descent": GradientDescent,
        "momentum": Momentum,
        "nesterov": lambda **numbers: Momentum(nesterov=True, **numbers),
        "rmsprop": RMSProp,
        "rmsprop_fourth_root": lambda **numbers: RMSProp(form="fourth_root", **numbers),
    },
)
