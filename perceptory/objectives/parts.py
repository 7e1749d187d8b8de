"""The cost of a network with auxiliary objectives, as the program sees it: outputs and targets side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from perceptory.later import later
from perceptory.objectives.base import Cost, mean_cost, on_diagonal, total_cost
from perceptory.specs import Spec, checked, traced

if TYPE_CHECKING:
    import jax
    import jax.numpy as jnp
else:
    jax, jnp = later("jax", "jax.numpy")


@dataclass(frozen=True)
class Part(Spec):
    """One auxiliary objective: `targets` columns of the targets from `target` on, and as many outputs as its cost takes
    for them from `output` on. weight, fade: as in `Auxiliary`. A missing target is NaN."""

    cost: Cost
    weight: float = traced()
    fade: float | None = traced(None)
    output: int = checked(0)
    target: int = checked(0)
    targets: int = checked(1)

    def outputs_of(self, output: jax.Array) -> jax.Array:
        """Its own columns of all outputs."""
        return output[..., self.output : self.output + self.cost.outputs(self.targets)]

    def seen(self, target: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Its own columns of all targets, and whether they are there [...].

        What is missing is 0 before the cost is computed, and the cost 0 after it, so that its slope is a number too.
        """
        aim = target[..., self.target : self.target + self.targets]
        missing = jnp.isnan(aim)
        if self.cost.masks:
            return aim, ~jnp.all(missing, axis=-1)
        return jnp.where(missing, 0, aim), ~jnp.any(missing, axis=-1)

    def per_row(self, output: jax.Array, target: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Costs [...], 0 where the target is missing, and whether it is there [...]; of all outputs and targets."""
        aim, there = self.seen(target)
        cost = self.cost.per_row(self.outputs_of(output), aim) * self.cost.row_weight(aim)
        return jnp.where(there, cost, 0), there

    def working_response(self, target: jax.Array) -> jax.Array:
        """See `Cost.working_response`; 0 where the target is missing."""
        aim, there = self.seen(target)
        return jnp.where(there[..., None], self.cost.working_response(jnp.nan_to_num(aim)), 0)

    def curvature(self, output: jax.Array, target: jax.Array) -> jax.Array:
        """See `Cost.curvature`; 0 where the target is missing."""
        aim, there = self.seen(target)
        curvature = self.cost.curvature(self.outputs_of(output), aim) * self.cost.row_weight(aim)[..., None, None]
        return jnp.where(there[..., None, None], curvature, 0)

    def at(self, progress: Any) -> Part:
        """The part with the weight that it has when this share of the training is done."""
        if self.fade is None:
            return self
        return self.replace(weight=self.weight * jnp.maximum(1 - progress / self.fade, 0), fade=None)


@dataclass(frozen=True)
class Composite(Cost):
    """J = J_main + Σ λ J_part. Outputs are [main | parts], targets [main | auxiliary columns], `columns` in all; not
    every group of a study has a part for every column.

    What follows from a cost beside training (predictions, scaling, weights of classes) is the main cost's.
    """

    main: Cost
    targets: int  # of the main cost
    columns: int
    parts: tuple[Part, ...] = ()

    @property
    def tasks(self) -> tuple[str, ...]:  # type: ignore[override]
        return self.main.tasks

    @property
    def scaling(self) -> str:  # type: ignore[override]
        return self.main.scaling

    @property
    def masks(self) -> bool:  # type: ignore[override]
        return self.main.masks or bool(self.parts)

    @property
    def label(self) -> str:
        return self.main.label

    def outputs(self, targets: int) -> int:
        return self.main.outputs(self.targets) + sum(part.cost.outputs(part.targets) for part in self.parts)

    def targets_of(self, outputs: int) -> int:
        return self.columns

    def of_main(self, output: jax.Array) -> jax.Array:
        """The outputs of the main objective."""
        return output[..., : self.main.outputs(self.targets)]

    def per_row(self, output: jax.Array, target: jax.Array) -> jax.Array:
        cost = self.main.per_row(self.of_main(output), target[..., : self.targets])
        for part in self.parts:
            cost = cost + part.weight * part.per_row(output, target)[0]
        return cost

    def at(self, progress: Any) -> Composite:
        return self.replace(parts=tuple(part.at(progress) for part in self.parts))

    def working_response(self, target: jax.Array) -> jax.Array:
        main = self.main.working_response(target[..., : self.targets])
        return jnp.concatenate([main, *(part.working_response(target) for part in self.parts)], axis=-1)

    @property
    def has_class_weights(self) -> bool:
        return self.main.has_class_weights

    def row_weight(self, target: jax.Array, balance: Any = ()) -> jax.Array:
        return self.main.row_weight(target[..., : self.targets], balance)

    def balance(self, targets: Any, weights: Any, classes: int) -> Any:
        return self.main.balance(targets, weights, classes)

    def curvature(self, output: jax.Array, target: jax.Array) -> jax.Array:
        main = self.main.curvature(self.of_main(output), target[..., : self.targets])
        return on_diagonal([main, *(part.weight * part.curvature(output, target) for part in self.parts)])

    @property
    def has_true_gradient(self) -> bool:
        return all(cost.has_true_gradient for cost in (self.main, *(part.cost for part in self.parts)))

    def inverse_link(self, output: jax.Array) -> jax.Array:
        return self.main.inverse_link(self.of_main(output))


def parts_of(cost: Cost) -> tuple[Part, ...]:
    """The auxiliary objectives within a cost; none of a plain one."""
    return cost.parts if isinstance(cost, Composite) else ()


def part_sums(cost: Cost, output: jax.Array, target: jax.Array, weight: jax.Array) -> jax.Array:
    """[1 + 2 parts] weighted sums: the main cost's, then of each part its cost's and that of the weights of the rows
    that have its target."""
    main, targets = (cost.main, cost.targets) if isinstance(cost, Composite) else (cost, target.shape[-1])
    sums = [total_cost(main, output[..., : main.outputs(targets)], target[..., :targets], weight)]
    for part in parts_of(cost):
        each, there = part.per_row(output, target)
        sums += [jnp.sum(each * weight), jnp.sum(there * weight)]
    return jnp.stack(sums)


def whole_of(cost: Cost, sums: jax.Array) -> jax.Array:
    """J from the sums [1 + 2 parts] of a batch whose weights add up to 1."""
    return sums[0] + sum(part.weight * each for part, each in zip(parts_of(cost), sums[1::2], strict=True))


def means_of(sums: jax.Array) -> jax.Array:
    """[part] mean costs over the rows that have the target, from sums [1 + 2 parts]; nan where no row has it."""
    cost, there = sums[1::2], sums[2::2]
    return jnp.where(there > 0, cost / jnp.where(there > 0, there, 1), jnp.nan)


def objective_costs(cost: Cost, output: jax.Array, target: jax.Array, weight: jax.Array) -> tuple[jax.Array, Any]:
    """(main, [part]): the weighted mean of the main cost, and of each auxiliary one over the rows that have its target;
    () for a cost without parts."""
    if not isinstance(cost, Composite):
        return mean_cost(cost, output, target, weight), ()
    sums, total = part_sums(cost, output, target, weight), jnp.sum(weight)
    return sums[0] / jnp.where(total > 0, total, 1), means_of(sums)


@dataclass(frozen=True)
class HeadCost(Cost):
    """What predictions need of an auxiliary objective whose `count` outputs begin at `first` among a network's."""

    inner: Cost
    first: int = checked(0)
    count: int = checked(1)

    def inverse_link(self, output: jax.Array) -> jax.Array:
        return self.inner.inverse_link(output[..., self.first : self.first + self.count])

    def unscale(self, prediction: Any, center: Any, scale: Any) -> Any:
        return self.inner.unscale(prediction, center, scale)

    def point_prediction(self, prediction: Any) -> Any:
        return self.inner.point_prediction(prediction)

    def ensemble(self, members: Any, shares: Any = None) -> Any:
        return self.inner.ensemble(members, shares)
