"""What every cost offers, and the sums over rows that training makes small."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from perceptory.catalog import COSTS
from perceptory.errors import InputError
from perceptory.later import later
from perceptory.specs import Spec

if TYPE_CHECKING:
    import jax
    import jax.numpy as jnp
else:
    jax, jnp = later("jax", "jax.numpy")


def _same(output: np.ndarray) -> np.ndarray:
    return output


class Cost(Spec):
    """Base of costs. `tasks` names the tasks that it suits; output and target are [row, ...] or [row, time, ...].

    A cost with a `context` finds as many more targets after its own: what it is told of each of them.

    The network's linear outputs are [..., out]. Where a cost takes several for each target (`heads`), they stand
    [..., head, target] in one axis: all targets' first head, then all targets' second.
    scaling: how targets are scaled for training: "standard" (mean 0, deviation 1), "mean" (divided by the mean of the
    training rows, so that 0 stays 0) or "none".
    """

    tasks: ClassVar[tuple[str, ...]] = ()
    scaling: ClassVar[str] = "standard"
    context: ClassVar[tuple[str, ...]] = ()  # what it is told of each target beside it: see `Windowed.context`
    masks: ClassVar[bool] = False  # whether a target may be NaN, which is missing and costs nothing

    @property
    def label(self) -> str:
        return type(self).__name__

    # --- shapes -----------------------------------------------------------------------------------------------------

    @property
    def heads(self) -> int:
        """Outputs of the network for each target."""
        return 1

    def outputs(self, targets: int) -> int:
        """Outputs of the network for this many target columns."""
        return self.heads * targets

    def targets_of(self, outputs: int) -> int:
        """Target columns of a network with so many outputs; the inverse of `outputs`."""
        return outputs // self.heads

    def without_context(self, targets: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of the targets alone, from that with what it is told beside them."""
        return (*targets[:-1], targets[-1] // (1 + len(self.context)))

    def shape(self, targets: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of the network's outputs for targets of this shape: (out,) or (time, out)."""
        return (*targets[:-1], self.outputs(targets[-1]))

    # --- training ---------------------------------------------------------------------------------------------------

    def per_row(self, output: jax.Array, target: jax.Array) -> jax.Array:
        """[row] (or [row, time]) costs. output: [..., outputs(target)]; target: [..., target]."""
        raise NotImplementedError

    def at(self, progress: Any) -> Cost:
        """The cost when this share of the training is done: the same one, unless parts of it fade."""
        return self

    def working_response(self, target: jax.Array) -> jax.Array:
        """[..., out] the outputs to aim at by least squares: one Newton step from outputs of 0."""
        return target

    @property
    def has_class_weights(self) -> bool:
        """Whether `row_weight` is anything but 1."""
        return False

    def row_weight(self, target: jax.Array, balance: Any = ()) -> jax.Array:
        """[...] what the weight of a row [..., target] is multiplied by in training (class weights); `balance` is what
        the function of that name gave."""
        return jnp.ones_like(target[..., 0])

    def curvature(self, output: jax.Array, target: jax.Array) -> jax.Array:
        """[..., out, out] positive semidefinite: the second derivative of `per_row` by the output, or its expectation
        over targets that the output itself makes likely (Fisher), where only that has no negative direction.

        The middle of Gauss-Newton's Jᵀ H J. `InputError` for a cost that has none.
        """
        known = ", ".join(name for name, make in COSTS.items() if type(make()).curvature is not Cost.curvature)
        raise InputError(
            f"{self.label} has no curvature for second-order training. Use one of the costs {known}, or a first-order"
            " optimizer such as Adam."
        )

    @property
    def has_true_gradient(self) -> bool:
        """Whether the gradient of `per_row` is that of its value, as line searches and curvature take for granted."""
        return True

    @property
    def outputs_are_targets(self) -> bool:
        """Whether the network's outputs are the targets themselves, at mean 0 and deviation 1."""
        return self.heads == 1 and self.scaling == "standard" and type(self).inverse_link is Cost.inverse_link

    # --- use --------------------------------------------------------------------------------------------------------

    def inverse_link(self, output: jax.Array) -> jax.Array:
        """[..., prediction] from [..., out]: numbers on the trained scale, or probabilities [row, class]."""
        return output

    @property
    def host_link(self) -> Callable[[np.ndarray], np.ndarray] | None:
        """`inverse_link` of NumPy arrays, without JAX; None where that is not known."""
        return _same if type(self).inverse_link is Cost.inverse_link else None

    # The methods below take what `inverse_link` gives, as NumPy arrays with any axes before the last.

    def unscale(self, prediction: Any, center: Any, scale: Any) -> Any:
        """In the targets' own units; center, scale: [..., target]."""
        return prediction * scale + center

    def point_prediction(self, prediction: Any) -> Any:
        """[..., target] the one number per target that metrics judge."""
        return prediction

    def ensemble(self, members: Any, shares: Any = None) -> Any:
        """[row, ...] of [member, row, ...]: their mean, where given by shares [member] that sum to 1."""
        return members.mean(axis=0) if shares is None else np.tensordot(shares, members, axes=1)

    def scale_targets(self, center: np.ndarray, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(center, scale) [target] of targets for training, target = center + scale · t, from their mean and standard
        deviation in the training rows, as `scaling` says."""
        if self.scaling == "standard":
            return center, scale
        one = np.ones_like(scale)
        return np.zeros_like(one), np.where(center > 0, center, one) if self.scaling == "mean" else one

    # --- data, on the host ------------------------------------------------------------------------------------------

    def for_targets(self, targets: np.ndarray, weights: np.ndarray) -> Self:
        """The cost with what it learns of the study's targets [row, target], rows with a weight [row] above 0."""
        return self

    def check_targets(self, targets: np.ndarray, names: tuple[str, ...]) -> None:
        """Raise `InputError` for targets [..., target] that the cost is not made for."""

    def check_classes(self, classes: Any) -> None:
        """Raise `InputError` where it is made for another number of classes; classes: their names, or None."""

    def balance(self, targets: np.ndarray, weights: np.ndarray, classes: int) -> Any:
        """[class] class weights that follow from a member's own training rows, or () where none do. targets: [row] as
        metrics take them; weights: [row]."""
        return ()

    def without_code(self) -> Cost:
        """What a model file holds of it: all that predictions need, and no code."""
        return self


def softplus(x: jax.Array) -> jax.Array:
    """ln(1 + e^x), without overflow; its derivative is the sigmoid at any x, 0 included."""
    return _softplus()(x)


@lru_cache(maxsize=1)
def _softplus() -> Callable[[jax.Array], jax.Array]:
    @jax.custom_jvp
    def function(x: jax.Array) -> jax.Array:
        return jnp.maximum(x, 0) + jnp.log1p(jnp.exp(-jnp.abs(x)))

    function.defjvps(lambda tangent, _, x: tangent * jax.nn.sigmoid(x))
    return function


def diagonal(values: jax.Array) -> jax.Array:
    """[..., n, n] from [..., n]."""
    return values[..., None] * jnp.eye(values.shape[-1], dtype=values.dtype)


def on_diagonal(blocks: Sequence[jax.Array]) -> jax.Array:
    """[..., n, n] with square blocks [..., m, m] one after the other on its diagonal."""
    size = sum(block.shape[-1] for block in blocks)
    out = jnp.zeros((*blocks[0].shape[:-2], size, size), blocks[0].dtype)
    first = 0
    for block in blocks:
        last = first + block.shape[-1]
        out = out.at[..., first:last, first:last].set(block)
        first = last
    return out


def total_cost(cost: Cost, output: jax.Array, target: jax.Array, weight: jax.Array) -> jax.Array:
    """Sum over rows (and steps) of cost times `weight` [row] or [row, time]. Refuses to broadcast, at trace time."""
    expected = cost.shape(cost.without_context(target.shape))
    if output.ndim < 2 or output.shape != expected or weight.shape != output.shape[:-1]:
        more = f" ({cost.heads} outputs per target for {cost.label})" if cost.heads > 1 else ""
        raise InputError(
            f"a cost needs output and target of one shape{more} and a weight per row, got {output.shape},"
            f" {target.shape} and {weight.shape}."
        )
    return jnp.sum(cost.per_row(output, target) * weight)


def mean_cost(cost: Cost, output: jax.Array, target: jax.Array, weight: jax.Array) -> jax.Array:
    """Mean over rows, weighted by `weight` [row]; 0 where every weight is 0."""
    total = jnp.sum(weight)
    return total_cost(cost, output, target, weight) / jnp.where(total > 0, total, 1)


def weighted_mean(values: jax.Array, weight: jax.Array) -> jax.Array:
    """Mean of values [row] by `weight` [row], or [row, time], whose sum over its steps is a row's; 0 where all are 0.

    With steps it is a sum over rows beside `mean_cost`'s over steps: what is added once a row counts once a step.
    """
    total = jnp.sum(weight)
    weight = weight if weight.ndim == 1 else jnp.sum(weight, axis=1)
    return jnp.sum(values * weight) / jnp.where(total > 0, total, 1)


@dataclass(frozen=True)
class SigmoidLikelihood(Cost):
    """Σ over outputs of -t ln y - (1 - t) ln(1 - y) with y = 1 / (1 + e^(-z)), from z, so that ∂J/∂z = y - t at any z.

    Base of what differs in the meaning of its targets.
    """

    def per_row(self, output: jax.Array, target: jax.Array) -> jax.Array:
        return jnp.sum(softplus(output) - target * output, axis=-1)

    def working_response(self, target: jax.Array) -> jax.Array:
        return 4 * target - 2

    def curvature(self, output: jax.Array, target: jax.Array) -> jax.Array:
        return diagonal(jax.nn.sigmoid(output) * jax.nn.sigmoid(-output))
