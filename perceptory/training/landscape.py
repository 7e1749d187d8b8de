"""A member's whole cost as a landscape for second-order optimizers: value, slope and curvature, in blocks of rows."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np

from perceptory.kernels import symmetric
from perceptory.layers.arrays import unpack, with_arrays
from perceptory.networks.base import layout
from perceptory.objectives.penalties import WeightPenalty
from perceptory.objectives.table import SquaredError, total_cost
from perceptory.optimizers.descent import Landscape, second
from perceptory.specs import combine
from perceptory.training.curvature import by_layers, curved, layered, row_jacobians
from perceptory.training.plan import Member, ProgramPlan, rows_at_once
from perceptory.training.rows import Batch, Prepared, Shared, examples_at, output_of


def free_places(plan: ProgramPlan) -> np.ndarray | None:
    """Places in the flat weight vector of what the optimizer moves; None where that is all."""
    where = layout(plan.network, plan.inputs, plan.outputs)
    marks = where.vector([plan.network.trains(name) for name in where.names])
    return None if marks.all() else np.flatnonzero(marks)


def vector_of(weights: tuple[Any, ...], plan: ProgramPlan) -> jax.Array:
    """[n] what the optimizer moves, of a state's weights."""
    every = weights[0] if plan.flat else jnp.concatenate([jnp.ravel(a) for a in weights])
    places = free_places(plan)
    return every if places is None else every[places]


def with_vector(weights: tuple[Any, ...], vector: jax.Array, plan: ProgramPlan) -> tuple[Any, ...]:
    """A state's weights with `vector` [n] in its places."""
    places = free_places(plan)
    every = vector
    if places is not None:
        old = weights[0] if plan.flat else jnp.concatenate([jnp.ravel(a) for a in weights])
        every = old.at[places].set(vector)
    if plan.flat:
        return (every,)
    ends = np.cumsum([a.size for a in weights])[:-1].tolist()
    return tuple(part.reshape(a.shape) for part, a in zip(jnp.split(every, ends), weights, strict=True))


def landscape(
    member: Member,
    prepared: Prepared,
    weights: tuple[Any, ...],
    data: Any,
    plan: ProgramPlan,
    active: Any,
    progress: Any = None,
) -> Landscape:
    """The weighted mean cost over the member's training rows, plus its weight penalty, by what the optimizer moves.

    progress: see `layers.call`.
    """
    cost = combine(plan.cost, member.numbers)
    module = combine(plan.network, member.numbers).build(plan.inputs, plan.outputs, key=jax.random.key(0))
    places = jnp.arange(plan.rows)
    rows = prepared.table[: plan.rows]
    weight = prepared.weight[: plan.rows]
    total = jnp.sum(weight)
    total = jnp.where(total > 0, total, 1)
    where = layout(plan.network, plan.inputs, plan.outputs)
    free = free_places(plan)
    size = where.size if free is None else len(free)
    penalty = penalty_of(member, plan)

    def network(vector: jax.Array) -> Any:
        arrays = with_vector(weights, vector, plan)
        return unpack(module, arrays[0]) if plan.flat else with_arrays(module, arrays)

    def batch(rows: jax.Array, places: jax.Array) -> Batch:
        return examples_at(member, data, rows, places, plan)

    def over(part: Callable[[Batch], Any], most: int) -> Any:
        """Sums over rows of what `part` sums over a batch of at most so many."""
        if plan.rows <= most:
            return part(batch(rows, places))
        blocks = -(-plan.rows // most)
        each = -(-plan.rows // blocks)
        missing = blocks * each - plan.rows
        padded = jnp.pad(rows, ((0, missing), *[(0, 0)] * (rows.ndim - 1))).reshape(blocks, each, *rows.shape[1:])
        # Places past the end are past the member's count as well, so their weight is 0.
        numbers = jnp.arange(blocks * each).reshape(blocks, each)
        shapes = jax.eval_shape(lambda: part(batch(padded[0], numbers[0])))
        zero = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), shapes)

        def add(sums: Any, at: Any) -> tuple[Any, None]:
            return jax.tree.map(jnp.add, sums, part(batch(*at))), None

        return jax.lax.scan(add, zero, (padded, numbers))[0]

    def part_cost(vector: jax.Array, batch: Batch) -> jax.Array:
        return total_cost(cost, output_of(network(vector), batch, progress=progress), batch.t, batch.w / total)

    def value(vector: jax.Array) -> jax.Array:
        return over(lambda b: part_cost(vector, b), plan.piece) + penalty(vector)[0]

    def slope(vector: jax.Array) -> tuple[Any, Any]:
        return _sum(over(lambda b: jax.value_and_grad(part_cost)(vector, b), plan.piece), penalty(vector)[:2])

    alone = len(plan.outputs) == 1 and free is None and layered(module) and progress is None

    def gauss_newton(vector: jax.Array) -> tuple[Any, Any, Any]:
        def part(b: Batch) -> tuple[Any, Any, Any]:
            if alone and symmetric.accepts(vector, b.x):
                return by_layers(cost, network(vector), b, b.w / total, active)
            outputs, jacobian = row_jacobians(lambda v, x: output_of(network(v), x, progress=progress), vector, b)
            return curved(cost, outputs, b.t, b.w / total, jacobian)

        direct = alone and symmetric.accepts(vector, member.factor)
        most = max(1, plan.piece // plan.outputs[-1]) if direct else rows_at_once("gauss_newton", size, plan)
        found = over(part, most)
        return _with_diagonal(found, penalty(vector))

    def hessian(vector: jax.Array) -> tuple[Any, Any, Any]:
        def part(b: Batch) -> tuple[Any, Any, Any]:
            here, slope = jax.value_and_grad(part_cost)(vector, b)
            return here, slope, second(lambda v: jax.grad(part_cost)(v, b), vector)

        found = over(part, rows_at_once("hessian", size, plan))
        return _with_diagonal(found, penalty(vector))

    counted = jnp.sum(weight > 0)
    steps = plan.outputs[0] if len(plan.outputs) > 1 else 1
    if isinstance(data, Shared) and data.w.ndim == 2:  # steps that count
        counted, steps = jnp.sum((data.w[member.rows] > 0) & (places < member.count)[:, None]), 1
    rows_counted = counted * steps
    squared = isinstance(cost, SquaredError)
    return Landscape(
        value, slope, gauss_newton, hessian, rows_counted,
        rows_counted * plan.outputs[-1] if squared else None, active,
    )  # fmt: skip


def penalty_of(member: Member, plan: ProgramPlan) -> Callable[[Any], tuple[Any, Any, Any]]:
    """vector -> (λ ‖w‖_p^p, its gradient, its second derivative by each weight): E30, biases left out."""
    if plan.penalty is None:
        return lambda vector: (0.0, 0.0, 0.0)
    penalty = combine(cast(WeightPenalty, plan.penalty), member.numbers)  # the studies' checks refuse every other one
    where = layout(plan.network, plan.inputs, plan.outputs)
    strengths = zip(where.shapes, penalty.by_array(where.names, where.weights), strict=True)
    every = jnp.concatenate([jnp.full(prod(shape), strength, member.factor.dtype) for shape, strength in strengths])
    places = free_places(plan)
    strength = every if places is None else every[places]
    p = penalty.p

    def terms(w: Any) -> tuple[Any, Any, Any]:
        if p == 2:
            return jnp.sum(strength * w**2), 2 * strength * w, 2 * strength
        size = jnp.abs(w)
        curvature = p * (p - 1) * strength * size ** (p - 2) if p > 2 else jnp.nan
        return jnp.sum(strength * size**p), strength * p * size ** (p - 1) * jnp.sign(w), curvature

    return terms


def _sum(one: tuple, two: tuple) -> tuple:
    return tuple(a + b for a, b in zip(one, two, strict=True))


def _with_diagonal(found: tuple[Any, Any, Any], penalty: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
    value, gradient, curvature = found
    diagonal = jnp.broadcast_to(penalty[2], gradient.shape)
    return value + penalty[0], gradient + penalty[1], curvature + jnp.diag(diagonal)
