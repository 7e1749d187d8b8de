"""Regularized least squares for an output layer: traced, weighted, in bounded memory, sound in single precision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from perceptory.ops.cholesky import cholesky, cholesky_solve
from perceptory.ops.k_means import CHUNK, over_rows

CLOSE, MOST_STEPS = 1e-5, 300  # of conjugate gradients
REFINEMENTS = (
    4  # the first solves, each further one takes most of the error that rounding in the normal equations has left
)


def ridge_regression(
    basis: Callable[[jax.Array], jax.Array], x: jax.Array, t: jax.Array, w: jax.Array, ridge: jax.Array | float
) -> tuple[jax.Array, jax.Array]:
    """W [h, out] and b [out] that minimize mean_w ½‖basis(x) W + b - t‖² + ridge ‖W‖², the mean weighted by w [row].

    `basis` maps [row, in] to [row, h]. This is scikit-learn's Ridge(alpha=2 · ridge · Σw). The normal equations of
    basis and targets less their means (so that b is not penalized), scaled to a unit diagonal, by Cholesky. Then
    refined by residuals taken from the rows themselves (Björck 1967), since the normal equations square the condition
    of the problem.
    """
    problem = _Problem(basis, x, t, w, ridge)
    (gram,) = problem.sums(lambda v, t, s: ((v * s[:, None]).T @ v,))
    diagonal = jnp.diagonal(gram) + 2 * ridge
    scale = jnp.where(diagonal > 0, jax.lax.rsqrt(jnp.where(diagonal > 0, diagonal, 1)), 0)
    unit = gram * scale[:, None] * scale
    unit = jnp.where(jnp.eye(gram.shape[0], dtype=bool), 1, unit)
    factor = _cholesky(unit)

    def closer(_: int, weight: jax.Array) -> jax.Array:
        right = scale[:, None] * problem.descent(weight)
        return weight + scale[:, None] * cholesky_solve(factor, right)

    weight = jax.lax.fori_loop(0, REFINEMENTS, closer, jnp.zeros((gram.shape[0], problem.outputs), gram.dtype))
    return weight, problem.bias(weight)


def conjugate_gradients(
    basis: Callable[[jax.Array], jax.Array], x: jax.Array, t: jax.Array, w: jax.Array, ridge: jax.Array | float
) -> tuple[jax.Array, jax.Array]:
    """As `ridge_regression`, without a matrix: for each output by itself conjugate gradients on the normal equations,
    scaled by their diagonal, until its residual is `CLOSE` of the first one or `MOST_STEPS` are taken."""
    problem = _Problem(basis, x, t, w, ridge)
    (diagonal,) = problem.sums(lambda v, t, s: (s @ v**2,))
    diagonal = diagonal + 2 * ridge
    scale = jnp.where(diagonal > 0, 1 / jnp.where(diagonal > 0, diagonal, 1), 0)[:, None]

    def curved(p: jax.Array) -> jax.Array:
        (product,) = problem.sums(lambda v, t, s: ((v * s[:, None]).T @ (v @ p),))
        return product + 2 * ridge * p

    weight = jnp.zeros((len(diagonal), problem.outputs), diagonal.dtype)
    residual = problem.descent(weight)
    first = jnp.sum(residual * scale * residual, axis=0)

    def go_on(state: tuple[Any, ...]) -> jax.Array:
        step, _, _, _, size = state
        return (step < MOST_STEPS) & jnp.any(size > CLOSE**2 * first)

    def step(state: tuple[Any, ...]) -> tuple[Any, ...]:
        done, weight, residual, direction, size = state
        product = curved(direction)
        bend = jnp.sum(direction * product, axis=0)
        going = (size > CLOSE**2 * first) & (bend > 0)
        length = jnp.where(going, size / jnp.where(going, bend, 1), 0)
        weight, residual = weight + length * direction, residual - length * product
        smaller = jnp.where(going, jnp.sum(residual * scale * residual, axis=0), 0)
        share = jnp.where(going, smaller / jnp.where(going, size, 1), 0)
        return done + 1, weight, residual, scale * residual + share * direction, smaller

    state = (jnp.int32(0), weight, residual, scale * residual, first)
    weight = jax.lax.while_loop(go_on, step, state)[1]
    return weight, problem.bias(weight)


class _Problem:
    """mean_w ½‖basis(x) W + b - t‖² + ridge ‖W‖², with b at its minimum for each W. A row may have several places,
    such as the steps of a series: basis(x) [row, ..., h], t [row, ..., out], w [row] or [row, ...]."""

    def __init__(self, basis: Any, x: jax.Array, t: jax.Array, w: jax.Array, ridge: Any):
        self._basis, self._ridge = basis, ridge
        shape = jax.eval_shape(basis, x).shape
        self._places, self.outputs = shape[1:-1], int(np.prod(t.shape[1 + len(shape[1:-1]) :]))
        w = jnp.broadcast_to(w.reshape(w.shape + (1,) * (len(shape) - 1 - w.ndim)), shape[:-1])
        total = jnp.sum(w)
        self._rows = x, t.reshape(*shape[:-1], self.outputs), w / jnp.where(total > 0, total, 1)
        self._means: Any = (0.0, 0.0)
        self._means = self.sums(lambda v, t, s: (s @ v, s @ t))

    def sums(self, partial: Callable[..., Any]) -> tuple[jax.Array, ...]:
        """Sums over all places of what `partial(v, t, s)` sums over some: basis and targets less their means, and the
        share of each place."""

        def flat(x: jax.Array, t: jax.Array, s: jax.Array) -> Any:
            v = self._basis(x)
            v = v.reshape(-1, v.shape[-1]) if self._places else v
            t, s = (t.reshape(-1, t.shape[-1]), s.ravel()) if self._places else (t, s)
            return partial(v - self._means[0], t - self._means[1], s)

        return over_rows(flat, *self._rows, most=max(1, CHUNK // int(np.prod(self._places, dtype=int))))

    def descent(self, weight: jax.Array) -> jax.Array:
        """[h, out] minus the gradient at W, b at its minimum."""
        (gradient,) = self.sums(lambda v, t, s: ((v * s[:, None]).T @ (t - v @ weight),))
        return gradient - 2 * self._ridge * weight

    def bias(self, weight: jax.Array) -> jax.Array:
        return self._means[1] - self._means[0] @ weight


def _cholesky(unit: jax.Array) -> jax.Array:
    """The Cholesky factor of a matrix [h, h] with unit diagonal, to which a little is added.

    Column by column, not by blocks as `factorize` does it: the digits and the time are the same (a handful of solutions
    a member), but the program compiles in 1.1 s instead of 1.9 with 60 basis functions, 3.4 with 200.

    What is added starts at the size of the rounding errors: with less, the factor could be far too small along a
    direction that hardly matters, and refinement would grow there instead of shrink. It grows until the matrix is
    positive definite.
    """
    size = unit.shape[0]

    def attempt(state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        added = 10 * state[1]
        return cholesky(unit + added * jnp.eye(size, dtype=unit.dtype)), added

    def failed(state: tuple[jax.Array, jax.Array]) -> jax.Array:
        return ~jnp.all(jnp.isfinite(state[0])) & (state[1] < 1)

    none_yet = jnp.full_like(unit, jnp.nan), jnp.asarray(size * jnp.finfo(unit.dtype).eps / 10, unit.dtype)
    return jax.lax.while_loop(failed, attempt, none_yet)[0]
