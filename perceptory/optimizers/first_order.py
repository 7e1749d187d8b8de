"""First-order optimizers [E21], [E24], [E25]: specs that build Optax transformations.

Training passes every update the learning rate of the step, its number and the mask of weights against biases, as
extra arguments. So no state carries a counter: in a small network's step a carried number costs like a small product.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import optax

from perceptory import catalog
from perceptory.errors import InputError
from perceptory.optimizers.base import Optimizer
from perceptory.optimizers.schedules import FlatCosine, check_rate
from perceptory.optimizers.transforms import stateless
from perceptory.registry import Registry
from perceptory.specs import below_one, checked, flag, is_plain, not_negative, positive, traced

OPTIMIZERS: Registry[Callable[..., Optimizer]] = catalog.OPTIMIZERS
USUAL_EPS = 1e-8  # of Adam


class FirstOrder(Optimizer):
    """Base of optimizers that see the gradient of a batch: w ← w + u, where u comes from `transformation()`."""

    by_weight: ClassVar[bool] = False  # whether what becomes of a weight hangs on its own gradients alone

    def transformation(self) -> optax.GradientTransformation:
        """Its update takes `rate`, α at this step; `precomputed`; `weight_mask`, of the weights' structure: 0 for
        biases, else 1. Weights come as a tuple of arrays."""
        raise NotImplementedError

    def precompute(self, step: Any, progress: Any) -> tuple[Any, ...]:
        """What an update needs of the number of its step and of the share of the training that is done alone, for all
        steps [step] of an epoch at once."""
        return ()


def by_rate() -> optax.GradientTransformationExtraArgs:
    """u ← -α u."""
    return stateless(lambda u, w, extra: jax.tree.map(lambda u: -extra["rate"] * u, u))


def decayed(decay: Any) -> optax.GradientTransformationExtraArgs:
    """u ← u + λ w for weights; biases are left out. None: λ is the last of what is precomputed."""

    def update(u: Any, w: Any, extra: dict[str, Any]) -> Any:
        strength = extra["precomputed"][-1] if decay is None else decay
        return jax.tree.map(lambda u, w, m: u + strength * m * w, u, w, extra["weight_mask"])

    return stateless(update)


@dataclass(frozen=True)
class SGD(FirstOrder):
    """Stochastic gradient descent [E21] on a batch of rows: w ← w - α ∇J."""

    by_weight: ClassVar[bool] = True
    learning_rate: Any = traced(1e-2, check=check_rate, log=True)

    def transformation(self) -> optax.GradientTransformation:
        return by_rate()


@dataclass(frozen=True)
class GradientDescent(SGD):
    """Gradient descent on all K rows at each step [E21]."""

    def step_rows(self, batch: int, rows: int) -> int:
        return rows


@dataclass(frozen=True)
class Momentum(FirstOrder):
    """Gradient descent with momentum [E24]: v ← β v - α ∇J, w ← w + v; v starts at 0.

    learning_rate: α, a number or a schedule.
    momentum: β, at least 0 and below 1.
    nesterov: look ahead, w ← w + β v - α ∇J with the new v (Sutskever et al. 2013).
    """

    by_weight: ClassVar[bool] = True
    learning_rate: Any = traced(1e-2, check=check_rate, log=True)
    momentum: float = traced(0.9, check=below_one)
    nesterov: bool = checked(False, check=flag)

    def transformation(self) -> optax.GradientTransformation:
        # The rate comes first, so that a schedule changes only what enters v, as [E24] has it.
        return optax.chain(by_rate(), optax.trace(self.momentum, nesterov=self.nesterov))


class Moments(NamedTuple):
    """Running means of the gradient and of its square."""

    s: Any
    r: Any


def scale_by_rms(decay: Any, eps_root: Any) -> optax.GradientTransformation:
    """∇J / √(r + eps_root)."""
    return optax.scale_by_rms(decay=decay, eps=eps_root, eps_in_sqrt=True)


def scale_by_fourth_root(decay: Any, eps_root: Any) -> optax.GradientTransformation:
    """∇J / √(√r + eps_root)."""

    def update(g: Any, r: Any, params: Any = None) -> tuple[Any, Any]:
        r = jax.tree.map(lambda g, r: decay * r + (1 - decay) * g * g, g, r)
        return jax.tree.map(lambda g, r: g * jax.lax.rsqrt(eps_root + jnp.sqrt(r)), g, r), r

    return optax.GradientTransformation(partial(jax.tree.map, jnp.zeros_like), update)


def scale_by_adam(beta1: Any, beta2: Any, eps: Any, eps_root: Any) -> optax.GradientTransformationExtraArgs:
    """ŝ / (√(r̂ + eps_root) + eps) [E25]; `precomputed` is 1 / (1 - β₁ᵗ) and 1 / (1 - β₂ᵗ) of the step t.

    `optax.scale_by_adam` computes the same but counts steps in its state.
    """

    def start(w: Any) -> Moments:
        return Moments(jax.tree.map(jnp.zeros_like, w), jax.tree.map(jnp.zeros_like, w))

    def update(g: Any, state: Moments, params: Any = None, *, precomputed: Any, **_: Any) -> tuple[Any, Moments]:
        s = jax.tree.map(lambda g, s: beta1 * s + (1 - beta1) * g, g, state.s)
        r = jax.tree.map(lambda g, r: beta2 * r + (1 - beta2) * g * g, g, state.r)

        def direction(s: Any, r: Any) -> Any:
            # By the inverse root, since a root and a division take a quarter of a small network's step in float64.
            square = r * precomputed[1] + eps_root
            inverse = jax.lax.rsqrt(jnp.maximum(square, jnp.finfo(square.dtype).tiny))
            return s * precomputed[0] * inverse / (1 + eps * inverse)

        return jax.tree.map(direction, s, r), Moments(s, r)

    return optax.GradientTransformationExtraArgs(start, update)


@dataclass(frozen=True)
class RMSProp(FirstOrder):
    """r ← γ r + (1 - γ) ∇J⊙∇J, w ← w - α ∇J / √(r + eps_root); r starts at 0.

    learning_rate: α, a number or a schedule.
    decay: γ, at least 0 and below 1.
    form: "usual", or "fourth_root" for w ← w - α ∇J / √(√r + eps_root).
    eps_root: what stands beside r under the root, above 0.
    """

    by_weight: ClassVar[bool] = True
    learning_rate: Any = traced(1e-3, check=check_rate, log=True)
    decay: float = traced(0.9, check=below_one)
    form: str = checked("usual", check=lambda _, value: RMSPROP_FORMS[value])
    eps_root: float = traced(1e-6, check=positive, log=True)

    def transformation(self) -> optax.GradientTransformation:
        return optax.chain(RMSPROP_FORMS[self.form](self.decay, self.eps_root), by_rate())


RMSPROP_FORMS: Registry[Any] = Registry("form of RMSProp", {"usual": scale_by_rms, "fourth_root": scale_by_fourth_root})


@dataclass(frozen=True)
class Adam(FirstOrder):
    """s ← β₁ s + (1 - β₁) ∇J, r ← β₂ r + (1 - β₂) ∇J⊙∇J, w ← w - α ŝ / (√(r̂ + eps_root) + eps) (Kingma & Ba 2015).

    ŝ = s / (1 - β₁ᵗ), r̂ = r / (1 - β₂ᵗ). With eps=0 and eps_root=1e-6 this is [E25] as printed, the optimizer
    "adam_eps_root": gradients below 10⁻³ then move a weight by less than α, in proportion to their size.

    learning_rate: α, a number or a schedule.
    beta1: β₁, decay of the mean gradient, at least 0 and below 1.
    beta2: β₂, decay of the mean squared gradient, at least 0 and below 1.
    eps: ε beside the root, at least 0.
    eps_root: ε under the root, at least 0; one of the two is above 0.
    """

    by_weight: ClassVar[bool] = True
    learning_rate: Any = traced(1e-3, check=check_rate, log=True)
    beta1: float = traced(0.9, check=below_one)
    beta2: float = traced(0.999, check=below_one)
    eps: float = traced(USUAL_EPS, check=not_negative, log=True)
    eps_root: float = traced(0.0, check=not_negative, log=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if is_plain(self.eps) and is_plain(self.eps_root) and not (self.eps or self.eps_root):
            raise InputError(
                f"{type(self).__name__} needs eps or eps_root above 0, got 0 for both, which divides by zero where a"
                " gradient is zero. Example: eps=1e-8"
            )

    def precompute(self, step: Any, progress: Any) -> tuple[Any, ...]:
        """1 / (1 - β₁ᵗ) and 1 / (1 - β₂ᵗ) of the step t."""
        return 1 / (1 - self.beta1**step), 1 / (1 - self.beta2**step)

    def transformation(self) -> optax.GradientTransformation:
        return optax.chain(scale_by_adam(self.beta1, self.beta2, self.eps, self.eps_root), by_rate())

    @property
    def label(self) -> str:
        large = is_plain(self.eps) and self.eps > USUAL_EPS
        return f"{super().label} eps {self.eps:.3g}" if large else super().label


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with decoupled weight decay: also w ← w - α λ w (Loshchilov & Hutter 2019); biases are left out.

    learning_rate, beta1, beta2, eps, eps_root: as `Adam`'s.
    weight_decay: λ, at least 0.
    decay_falls: λ goes down to 0 along half a cosine over the second half of training.
    """

    weight_decay: float = traced(1e-2, check=not_negative, log=True)
    decay_falls: bool = checked(False, check=flag, neutral=False)

    def precompute(self, step: Any, progress: Any) -> tuple[Any, ...]:
        """And λ, where it changes."""
        falling = (FlatCosine(self.weight_decay).at(progress),) if self.decay_falls else ()
        return *super().precompute(step, progress), *falling

    def transformation(self) -> optax.GradientTransformation:
        decay = None if self.decay_falls else self.weight_decay
        return optax.chain(scale_by_adam(self.beta1, self.beta2, self.eps, self.eps_root), decayed(decay), by_rate())


@dataclass(frozen=True)
class Optax(FirstOrder):
    """Any Optax transformation, learning rate included. Not written to study.json's closed table except by name.

    Two studies share a compiled program only if they pass the same transformation object.
    """

    chain: Any
    name: str = "Optax"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (hasattr(self.chain, "init") and hasattr(self.chain, "update")):
            raise InputError(f"Optax needs a gradient transformation, got {self.chain!r}. Example: optax.lion(1e-3)")

    @property
    def learning_rate(self) -> Any:
        return 1.0

    def transformation(self) -> optax.GradientTransformation:
        return self.chain

    @property
    def label(self) -> str:
        return self.name
