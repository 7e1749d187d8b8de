"""A member's whole cost as a landscape for second-order optimizers: value, slope and curvature, in blocks of rows."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any, cast

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from perceptory.kernels import symmetric
from perceptory.objectives.penalties import WeightPenalty
from perceptory.objectives.table import SquaredError, total_cost
from perceptory.optimizers.descent import Landscape, second
from perceptory.training.curvature import by_layers, curved, layered, row_jacobians
from perceptory.training.plan import rows_at_once
from perceptory.training.rows import Batch, output_of, pad_rows_to
from perceptory.training.run import Run
from perceptory.training.weights import Weights, free_places, layout_of, with_vector, with_weights

Vector = Float[Array, " n"]


def landscape(run: Run, weights: Weights, active: Any, progress: Any = None) -> Landscape:
    """The weighted mean cost over the member's training rows, plus its weight penalty, by what the optimizer moves.

    weights: a state's, of which what the optimizer does not move is taken. active: False lets nothing move. progress:
    see `layers.call`.
    """
    whole = WholeCost(run, weights, active, progress)
    return Landscape(
        whole.value, whole.slope, whole.gauss_newton, whole.hessian, whole.outputs_counted(), whole.residuals(), active
    )


class WholeCost:
    """J of the vector w [n] of what the optimizer moves: a sum over all training rows, in blocks, plus the penalty."""

    def __init__(self, run: Run, weights: Weights, active: Bool[Array, ""], progress: Any):
        self.run, self.plan, self.cost = run, run.plan, run.cost
        self.weights, self.active, self.progress = weights, active, progress
        self._module = run.build()
        total = jnp.sum(run.rows.weight[: self.plan.rows])
        self._total = jnp.where(total > 0, total, 1)
        self._penalty = penalty_of(run)
        free = free_places(self.plan)
        self._size = layout_of(self.plan).size if free is None else len(free)
        self._by_layers = len(self.plan.outputs) == 1 and free is None and layered(self._module)

    # --- what an optimizer asks for ----------------------------------------------------------------------------------

    def value(self, vector: Vector) -> Array:
        """J."""
        return self._over_rows(lambda batch: self._part(vector, batch), self.plan.piece) + self._penalty(vector)[0]

    def slope(self, vector: Vector) -> tuple[Array, Vector]:
        """(J, ∇J)."""
        value, gradient = self._over_rows(lambda b: jax.value_and_grad(self._part)(vector, b), self.plan.piece)
        penalty, penalty_gradient, _ = self._penalty(vector)
        return value + penalty, gradient + penalty_gradient

    def gauss_newton(self, vector: Vector) -> tuple[Array, Vector, Array]:
        """(J, ∇J, Jᵀ C J)."""

        def part(batch: Batch) -> tuple[Any, Any, Any]:
            share = batch.w / self._total
            if self._by_layers and symmetric.accepts(vector, batch.x):
                return by_layers(self.cost, self._network(vector), batch, share, self.active)
            outputs, jacobian = row_jacobians(self._outputs, vector, batch)
            return curved(self.cost, outputs, batch.t, share, jacobian)

        most = rows_at_once("gauss_newton", self._size, self.plan)
        if self._by_layers and symmetric.accepts(vector, self.run.rows.factor):
            most = max(1, self.plan.piece // self.plan.outputs[-1])
        return self._with_penalty(self._over_rows(part, most), vector)

    def hessian(self, vector: Vector) -> tuple[Array, Vector, Array]:
        """(J, ∇J, its exact second derivatives)."""

        def part(batch: Batch) -> tuple[Any, Any, Any]:
            value, slope = jax.value_and_grad(self._part)(vector, batch)
            return value, slope, second(lambda v: jax.grad(self._part)(v, batch), vector)

        most = rows_at_once("hessian", self._size, self.plan)
        return self._with_penalty(self._over_rows(part, most), vector)

    def outputs_counted(self) -> Any:
        """Over how many outputs, all targets of one place counted once, J is a mean."""
        return self.run.rows.counted(self.plan.outputs[0] if len(self.plan.outputs) > 1 else 1)

    def residuals(self) -> Any:
        """How many residuals J is the half mean square of; None where it is no squared error."""
        return self.outputs_counted() * self.plan.outputs[-1] if isinstance(self.cost, SquaredError) else None

    # --- a batch, and the sum over batches ---------------------------------------------------------------------------

    def _network(self, vector: Vector) -> Any:
        return with_weights(self._module, with_vector(self.weights, vector, self.plan), self.plan)

    def _outputs(self, vector: Vector, batch: Batch) -> Array:
        return output_of(self._network(vector), batch, progress=self.progress)

    def _part(self, vector: Vector, batch: Batch) -> Array:
        """What a batch adds to J."""
        return total_cost(self.cost, self._outputs(vector, batch), batch.t, batch.w / self._total)

    def _over_rows(self, part: Callable[[Batch], Any], most: int) -> Any:
        """Sums over the training rows of what `part` sums over a batch of at most so many."""
        rows, count = self.run.rows, self.plan.rows
        entries, places = rows.training_entries, jnp.arange(count)
        if count <= most:
            return part(rows.examples(entries, places))
        blocks = -(-count // most)
        each = -(-count // blocks)
        padded = pad_rows_to(entries, blocks * each).reshape(blocks, each, *entries.shape[1:])
        # Places past the end are past the member's count as well, so their weight is 0.
        places = jnp.arange(blocks * each).reshape(blocks, each)
        shapes = jax.eval_shape(lambda: part(rows.examples(padded[0], places[0])))
        zero = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), shapes)

        def add(sums: Any, at: Any) -> tuple[Any, None]:
            return jax.tree.map(jnp.add, sums, part(rows.examples(*at))), None

        return jax.lax.scan(add, zero, (padded, places))[0]

    def _with_penalty(self, sums: tuple[Any, Any, Any], vector: Vector) -> tuple[Array, Vector, Array]:
        value, gradient, curvature = sums
        penalty, penalty_gradient, diagonal = self._penalty(vector)
        diagonal = jnp.broadcast_to(diagonal, gradient.shape)
        return value + penalty, gradient + penalty_gradient, curvature + jnp.diag(diagonal)


def penalty_of(run: Run) -> Callable[[Any], tuple[Any, Any, Any]]:
    """vector -> (λ ‖w‖_p^p, its gradient, its second derivative by each weight): [E30], biases left out."""
    if run.plan.penalty is None:
        return lambda vector: (0.0, 0.0, 0.0)
    penalty = cast(WeightPenalty, run.penalty)  # the studies' checks refuse every other one
    where = layout_of(run.plan)
    strengths = zip(where.shapes, penalty.by_array(where.names, where.weights), strict=True)
    every = jnp.concatenate([jnp.full(prod(shape), strength, run.dtype) for shape, strength in strengths])
    places = free_places(run.plan)
    strength = every if places is None else every[places]
    p = penalty.p

    def terms(w: Any) -> tuple[Any, Any, Any]:
        if p == 2:
            return jnp.sum(strength * w**2), 2 * strength * w, 2 * strength
        size = jnp.abs(w)
        curvature = p * (p - 1) * strength * size ** (p - 2) if p > 2 else jnp.nan
        return jnp.sum(strength * size**p), strength * p * size ** (p - 1) * jnp.sign(w), curvature

    return terms
