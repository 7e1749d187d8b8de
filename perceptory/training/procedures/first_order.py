"""First order: a step for every batch, one Optax chain from the cost's gradient to what is added to the weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Integer

from perceptory.augmentation.base import About, augmented
from perceptory.kernels import dense
from perceptory.kernels.stack import Stack
from perceptory.layers.base import Costed
from perceptory.objectives.parts import means_of, part_sums, parts_of, whole_of
from perceptory.objectives.penalties import Penalty, WeightPenalty
from perceptory.objectives.reconstruction import Reconstruction
from perceptory.objectives.table import total_cost
from perceptory.optimizers.averaging import WeightAverage
from perceptory.optimizers.first_order import FirstOrder
from perceptory.optimizers.schedules import rate_at
from perceptory.optimizers.second_order import SecondOrder
from perceptory.optimizers.transforms import clipped, exact_zeros, penalized, scaled
from perceptory.training.given import by_weight
from perceptory.training.plan import ProgramPlan
from perceptory.training.row_order import ROUNDS, drawn, shuffled, words
from perceptory.training.rows import Batch, output_of
from perceptory.training.run import Run, Specs
from perceptory.training.state import EpochResult, State
from perceptory.training.weights import (
    Mask,
    Weights,
    layout_of,
    moved_mask,
    narrowed,
    room_of,
    weight_mask,
    widened,
)

MOST_ALONE = 1 << 22  # multiplications of one network's step forwards that one thread does as fast as XLA's threads


class StepInput(NamedTuple):
    """What a step is given beside what it carries; for a whole epoch each has a leading axis [step]."""

    places: Integer[Array, " batch"]  # of its rows among the member's training rows
    share: Float[Array, " batch"]  # of each row in the mean cost; where time steps count apart, one share for all
    number: Int[Array, ""]  # of the step in the epoch, from 0
    rate: Float[Array, ""]
    precomputed: tuple[Array, ...]  # `FirstOrder.precompute`


@dataclass(frozen=True)
class GradientSteps:
    """w ← w + u for every batch of the epoch, u from `update_rule`."""

    optimizer: FirstOrder  # its numbers left open

    def begin(self, specs: Specs, weights: Weights) -> Any:
        return update_rule(specs, specs.filled(self.optimizer)).init(weights)

    def epoch(self, run: Run, state: State) -> EpochResult:
        optimizer = run.filled(self.optimizer)
        steps, total = self._steps(run, optimizer, state.epoch)
        room = room_of(run.plan, run.dtype) if optimizer.by_weight and run.clip is None else 0
        rule, cost_of, augment, key_of = (
            update_rule(run, optimizer, run.progress(state.epoch), room), batch_cost(run, state, room),
            augmentation_of(run), noise_keys(run, state),
        )  # fmt: skip
        mask, batches = widened(decay_mask(run), run.plan, room), run.batches
        by_kernel = _by_kernel(run.plan, run.dtype) is not None

        def step(carry: tuple[Weights, Any], at: StepInput) -> tuple[tuple[Weights, Any], Array]:
            weights, moments = carry
            key = key_of(at.number)
            batch = augment(run.rows.batch(at.places, by_kernel), key)
            (_, cost), gradient = jax.value_and_grad(cost_of, has_aux=True)(weights, batch, at.share, key)
            update, new_moments = rule.update(
                gradient, moments, weights, rate=at.rate, precomputed=at.precomputed, weight_mask=mask
            )
            new = optax.apply_updates(weights, update), new_moments
            if run.plan.ragged:  # a step past the member's own number changes nothing
                real = at.number < batches
                new = jax.tree.map(lambda a, b: jnp.where(real, a, b), new, carry)
            return new, cost

        first = widened((state.weights, state.optimizer), run.plan, room)
        last, costs = jax.lax.scan(step, first, steps)
        weights, moments = narrowed(last, run.plan, room)
        others: Any = ()
        if parts_of(run.cost):
            others = means_of(jnp.sum(jnp.where(total > 0, costs.T * total, 0), axis=1))
            costs = costs[:, 0]
        mean = jnp.sum(jnp.where(total > 0, costs * total, 0)) / jnp.sum(total)
        return EpochResult(weights, moments, mean, others=others)

    def _steps(self, run: Run, optimizer: FirstOrder, epoch: Any) -> tuple[StepInput, Float[Array, " step"]]:
        """The inputs of all steps of an epoch, and the sum of weights of each step's rows.

        Whatever no weight enters is computed here for the whole epoch at once: in the loop it would be a small kernel
        in every step.
        """
        plan, dtype, batches = run.plan, run.dtype, run.batches
        places = epoch_order(run, epoch)
        # Each batch's weights as shares of their sum: the mean cost is then one sum.
        share = run.rows.weight.at[places].get(mode="promise_in_bounds")
        total = jnp.sum(share, axis=1)
        share = (1 if run.rows.steps_weighted else share) / jnp.where(total > 0, total, 1)[:, None]
        number = jnp.arange(plan.batches, dtype=jnp.int32)
        done = (epoch * batches + number).astype(dtype)
        last = jnp.maximum(run.epochs * batches - 1, 1).astype(dtype)
        progress = jnp.minimum(done / last, 1)
        rate = jnp.broadcast_to(rate_at(optimizer.learning_rate, progress), done.shape)
        return StepInput(places, share, number, rate.astype(dtype), optimizer.precompute(done + 1, progress)), total

    def diagnostics(self, optimizer: Any) -> dict[str, Any]:
        return self.optimizer.diagnostics(optimizer)


@dataclass(frozen=True)
class Averaged:
    """Steps whose average takes the place of the weights: validation, early stopping and the best weights are those of
    the average, and the trained weights go along with the optimizer's moments."""

    steps: GradientSteps
    average: WeightAverage  # its numbers left open

    def begin(self, specs: Specs, weights: Weights) -> Any:
        return self.steps.begin(specs, weights), weights

    def epoch(self, run: Run, state: State) -> EpochResult:
        moments, trained = state.optimizer
        result = self.steps.epoch(run, state._replace(weights=trained, optimizer=moments))
        average = run.filled(self.average).after(state.weights, result.weights, state.epoch + 1, run.epochs)
        return result._replace(weights=average, optimizer=(result.optimizer, result.weights))

    def diagnostics(self, optimizer: Any) -> dict[str, Any]:
        return self.steps.diagnostics(optimizer[0])


def update_rule(
    specs: Specs, optimizer: FirstOrder, progress: Any = 0, room: int = 0
) -> optax.GradientTransformationExtraArgs:
    """A training step, from the gradient of a batch's cost to what is added to the weights.

    progress: the share of the epochs that is done. room: of `widened` weights. Clipping the penalized gradient leaves
    the minima of the penalized cost where they are, and keeps its zeros.
    """
    penalty, strength = _penalty_of(specs)
    moved, rates, strength = widened(
        (moved_mask(specs.plan, specs.dtype), _rates(specs, progress), strength), specs.plan, room
    )
    return optax.chain(
        penalized(penalty, strength),
        clipped(
            specs.clip, _both(moved, None if specs.start is None or rates is None else jax.tree.map(jnp.sign, rates))
        ),
        exact_zeros(penalty, strength, optax.chain(optimizer.transformation(), scaled(_both(moved, rates)))),
    )


def _rates(specs: Specs, progress: Any) -> Mask | None:
    """What the steps of weights are multiplied by, in the structure of the weights: of those that were given, and as
    the network wants it."""
    factors = None if specs.start is None else specs.start.factors(progress)
    return _both(_by_weight(specs, factors), _paces(specs, lambda pace, decay: pace))


def decay_mask(specs: Specs) -> Mask:
    """By how much each weight decays: 1 for weights, 0 for biases, or as the network wants it, before its steps are
    multiplied by its own factor."""
    own = _paces(specs, lambda pace, decay: decay / pace)
    return weight_mask(specs.plan, specs.dtype) if own is None else own


def _paces(specs: Specs, take: Callable[[Any, Any], Any]) -> Mask | None:
    pairs = specs.network.paces(layout_of(specs.plan))
    return _by_weight(specs, None if pairs is None else [take(*pair) for pair in pairs])


def _by_weight(specs: Specs, factors: list[Any] | None) -> Mask | None:
    return None if factors is None else by_weight(factors, layout_of(specs.plan), specs.plan.flat, specs.dtype)


def _both(mask: Mask | None, factors: Mask | None) -> Mask | None:
    if mask is None or factors is None:
        return factors if mask is None else mask
    return jax.tree.map(jnp.multiply, mask, factors)


def _penalty_of(specs: Specs) -> tuple[Penalty | None, Mask]:
    """The penalty, and by how much of its strength each weight is penalized."""
    penalty, plan = specs.penalty, specs.plan
    if not isinstance(penalty, WeightPenalty) or not penalty.layers:
        return penalty, weight_mask(plan, specs.dtype)
    where = layout_of(plan)
    strengths = penalty.by_array(where.names, where.weights)
    return penalty.replace(strength=1.0, layers=()), by_weight(strengths, where, plan.flat, specs.dtype)


def epoch_order(run: Run, epoch: Any) -> Integer[Array, "step batch"]:
    """Which training rows every step of an epoch takes."""
    plan = run.plan
    if plan.batches == 1 and not plan.replacement and not plan.network.by_place:
        return jnp.arange(plan.batch, dtype=jnp.uint32)[None]
    salts = words(run.key, epoch, 2 * ROUNDS)
    order, length = (drawn, run.rows.count) if plan.replacement else (shuffled, run.batches)
    return order(salts, length, plan.batches, plan.batch)


def batch_cost(run: Run, state: State, room: int = 0) -> Callable[[Weights, Batch, Array, Any], tuple[Array, Array]]:
    """(weights, batch, share, key) -> the batch's mean cost, as training sees the network: with noise, and in the phase
    that it is in; and what to record of it, the same or, where there are auxiliary objectives, `part_sums`. room: of
    `widened` weights."""
    plan, progress = run.plan, run.progress(state.epoch)
    cost = run.cost.at(progress)
    by_kernel = _by_kernel(plan, run.dtype)
    by_step, with_more = run.rows.steps_weighted, run.network.added_cost

    def cost_of(weights: Weights, batch: Batch, share: Array, key: Any) -> tuple[Array, Array]:
        weight = batch.w * share if by_step else share
        if with_more:
            costed = Costed(run.module(weights, room))
            output, added = output_of(costed, batch, key, None if by_step else share, progress)
            each = jnp.sum(weight, axis=1) if by_step else weight
            return recorded(output, batch, weight, jnp.sum(each * added))
        if by_kernel is None:
            output = output_of(run.module(weights, room), batch, key, None if by_step else share, progress)
        else:
            output = by_kernel(weights[0], batch.x.reshape(plan.batch, -1)).reshape(plan.batch, *plan.outputs)
        return recorded(output, batch, weight)

    def recorded(output: Array, batch: Batch, weight: Array, added: Any = None) -> tuple[Array, Array]:
        if parts_of(cost):
            sums = part_sums(cost, output, batch.t, weight)
            sums = sums if added is None else sums.at[0].add(added)
            return whole_of(cost, sums), sums
        total = total_cost(cost, output, batch.t, weight)
        total = total if added is None else total + added
        return total, total

    return cost_of


def kernel_stack(plan: ProgramPlan) -> Stack | None:
    """The network for the kernel of layers of neurons, where that is the faster way for the gradients of steps."""
    if isinstance(plan.optimizer, SecondOrder) or not plan.flat:
        return None
    stack = plan.network.stack(plan.inputs, plan.outputs)
    alone = stack is not None and plan.chunk == 1 and stack.weights * plan.batch > MOST_ALONE
    return None if alone else stack


def _by_kernel(plan: ProgramPlan, dtype: Any) -> Callable[[Array, Array], Array] | None:
    """(weights, x) -> output by the kernel, where it is there. Differentiable by the weights, once, in reverse."""
    stack = kernel_stack(plan)
    return None if stack is None or not dense.accepts(dtype) else dense.outputs(stack)


def noise_keys(run: Run, state: State) -> Callable[[Any], Any]:
    """number of a step -> its key, or None where nothing in a step draws random numbers."""
    if not run.network.stochastic and run.plan.augmentation is None:
        return lambda number: None
    epoch_key = run.stream(state.epoch + 1)
    return lambda number: jax.random.fold_in(epoch_key, number)


def augmentation_of(run: Run) -> Callable[[Batch, Any], Batch]:
    """(batch, key) -> the batch as a step sees it."""
    augmentation = run.augmentation
    if augmentation is None:
        return lambda batch, key: batch
    plan, own = run.plan, isinstance(run.plan.cost, Reconstruction)
    about = About(jnp.asarray(plan.varies, run.dtype), run.rows.zero, plan.columns, plan.target_columns, own)
    return lambda batch, key: augmented(augmentation, batch, about, key)
