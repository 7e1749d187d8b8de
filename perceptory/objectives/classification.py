"""Costs of classes: sigmoid and softmax likelihoods with class weights, and the sigmoid's squared error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from perceptory.errors import InputError
from perceptory.later import later
from perceptory.objectives.base import Cost, SigmoidLikelihood, diagonal
from perceptory.specs import checked

if TYPE_CHECKING:
    import jax
    import jax.numpy as jnp
else:
    jax, jnp = later("jax", "jax.numpy")

EXAMPLE = 'Example: class_weight="balanced", or one weight per class: class_weight=(1.0, 5.0)'


def _class_weight(name: str, value: Any) -> None:
    if value is None or (isinstance(value, str) and value == "balanced"):
        return
    numbers = isinstance(value, tuple) and all(isinstance(v, Real) and not isinstance(v, bool) for v in value)
    if not numbers or len(value) < 2 or not all(np.isfinite(v) and v >= 0 for v in value) or not any(value):
        raise InputError(f"{name} needs weights of at least 0, not all of them 0, got {value!r}. {EXAMPLE}")


def two_probabilities(output: np.ndarray) -> np.ndarray:
    """[..., 2] 1 - p and p = 1 / (1 + e^-z) of z [..., 1], whichever sign it has."""
    small = np.exp(-np.abs(output))
    share = 1 / (1 + small)
    p = np.where(output >= 0, share, small * share)
    return np.concatenate([1 - p, p], axis=-1)


def probabilities(output: np.ndarray) -> np.ndarray:
    """[..., class] e^z / Σ e^z of z [..., class]."""
    power = np.exp(output - output.max(axis=-1, keepdims=True))
    return np.asarray(power / power.sum(axis=-1, keepdims=True))


@dataclass(frozen=True)
class ClassCost(Cost):
    """Base of the likelihoods of classes.

    class_weight: None; "balanced": every class counts alike, weights n / (k n_c) by the (weighted) numbers n_c of the
    rows of k classes that a network is trained on; or one weight per class, in the order of the classes (sorted).
    A row's weight in training is multiplied by its class's, as if it stood there so often. Metrics know nothing of it.
    """

    class_weight: Any = checked(None, check=_class_weight, neutral=None)

    def __post_init__(self) -> None:
        if isinstance(self.class_weight, list):
            object.__setattr__(self, "class_weight", tuple(self.class_weight))
        super().__post_init__()

    @property
    def label(self) -> str:
        weight = self.class_weight
        if weight is None:
            return type(self).__name__
        weights = weight if isinstance(weight, str) else "/".join(f"{w:.3g}" for w in weight)
        return f"{type(self).__name__} class weight {weights}"

    @property
    def has_class_weights(self) -> bool:
        return self.class_weight is not None

    def check_classes(self, classes: Any) -> None:
        weights, count = self.class_weight, len(classes or ())
        if isinstance(weights, tuple) and len(weights) != count:
            raise InputError(
                f"class_weight needs one weight for each of {count} classes ({', '.join(map(str, classes or ()))}), got"
                f" {len(weights)}."
            )

    def balance(self, targets: np.ndarray, weights: np.ndarray, classes: int) -> Any:
        if self.class_weight != "balanced":
            return ()
        present = np.bincount(targets, weights, minlength=classes)
        return np.where(present > 0, present.sum() / np.where(present > 0, present, 1) / classes, 1.0)

    def _by_class(self, balance: Any) -> Any:
        return balance if self.class_weight == "balanced" else self.class_weight


@dataclass(frozen=True)
class SigmoidCrossEntropy(ClassCost, SigmoidLikelihood):
    """-t ln y - (1 - t) ln(1 - y) with y = 1 / (1 + e^(-z)), from z, so that ∂J/∂z = y - t at any z.

    class_weight: None, "balanced", or a weight each for the two classes; see `ClassCost`.
    """

    tasks: ClassVar[tuple[str, ...]] = ("binary",)

    def row_weight(self, target: jax.Array, balance: Any = ()) -> jax.Array:
        if self.class_weight is None:
            return super().row_weight(target)
        no, yes = self._by_class(balance)
        return no + (yes - no) * target[..., 0]

    def inverse_link(self, output: jax.Array) -> jax.Array:
        p = jax.nn.sigmoid(output)
        return jnp.concatenate([1 - p, p], axis=-1)

    @property
    def host_link(self) -> Callable[[np.ndarray], np.ndarray]:
        return two_probabilities


@dataclass(frozen=True)
class SigmoidSquaredError(Cost):
    """½ (y - t)² with y = 1 / (1 + e^(-z)): ∂J/∂z = (y - t) y (1 - y), which fades where y nears 0 or 1.

    So a network that is wrong and sure of it learns no more; `SigmoidCrossEntropy` cures that. `curvature` is
    Gauss-Newton's (y (1 - y))², the second derivative without the term that may be negative.
    """

    tasks: ClassVar[tuple[str, ...]] = ("binary",)

    def per_row(self, output: jax.Array, target: jax.Array) -> jax.Array:
        return 0.5 * jnp.sum((jax.nn.sigmoid(output) - target) ** 2, axis=-1)

    def working_response(self, target: jax.Array) -> jax.Array:
        return 4 * target - 2

    def curvature(self, output: jax.Array, target: jax.Array) -> jax.Array:
        return diagonal((jax.nn.sigmoid(output) * jax.nn.sigmoid(-output)) ** 2)

    def inverse_link(self, output: jax.Array) -> jax.Array:
        p = jax.nn.sigmoid(output)
        return jnp.concatenate([1 - p, p], axis=-1)

    @property
    def host_link(self) -> Callable[[np.ndarray], np.ndarray]:
        return two_probabilities


@dataclass(frozen=True)
class SoftmaxCrossEntropy(ClassCost):
    """-Σ t ln y with y = softmax(z) and t one-hot; ∂J/∂z = y - t.

    class_weight: None, "balanced", or one weight per class; see `ClassCost`.
    """

    tasks: ClassVar[tuple[str, ...]] = ("multiclass",)

    def per_row(self, output: jax.Array, target: jax.Array) -> jax.Array:
        return -jnp.sum(target * jax.nn.log_softmax(output, axis=-1), axis=-1)

    def working_response(self, target: jax.Array) -> jax.Array:
        return target.shape[-1] * target - 1

    def row_weight(self, target: jax.Array, balance: Any = ()) -> jax.Array:
        if self.class_weight is None:
            return super().row_weight(target)
        return jnp.sum(target * jnp.asarray(self._by_class(balance), target.dtype), axis=-1)

    def curvature(self, output: jax.Array, target: jax.Array) -> jax.Array:
        y = jax.nn.softmax(output, axis=-1)
        return diagonal(y) - y[..., :, None] * y[..., None, :]

    def inverse_link(self, output: jax.Array) -> jax.Array:
        return jax.nn.softmax(output, axis=-1)

    @property
    def host_link(self) -> Callable[[np.ndarray], np.ndarray]:
        return probabilities
