"""Regularized least squares for an output layer: traced, weighted, in bounded memory, sound in single precision."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from perceptory.ops.cholesky import cholesky, cholesky_solve
from perceptory.ops.k_means import over_rows

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
    total = jnp.sum(w)
    share = w / jnp.where(total > 0, total, 1)
    basis_mean, target_mean = over_rows(lambda x, t, s: (s @ basis(x), s @ t), x, t, share)

    def products(x: jax.Array, s: jax.Array) -> tuple[jax.Array]:
        v = basis(x) - basis_mean
        return ((v * s[:, None]).T @ v,)

    (gram,) = over_rows(products, x, share)
    diagonal = jnp.diagonal(gram) + 2 * ridge
    scale = jnp.where(diagonal > 0, jax.lax.rsqrt(jnp.where(diagonal > 0, diagonal, 1)), 0)
    unit = gram * scale[:, None] * scale
    unit = jnp.where(jnp.eye(gram.shape[0], dtype=bool), 1, unit)
    factor = _cholesky(unit)

    def closer(_: int, weight: jax.Array) -> jax.Array:
        def slope(x: jax.Array, t: jax.Array, s: jax.Array) -> tuple[jax.Array]:
            v = basis(x) - basis_mean
            return ((v * s[:, None]).T @ (t - target_mean - v @ weight),)

        (gradient,) = over_rows(slope, x, t, share)
        right = scale[:, None] * (gradient - 2 * ridge * weight)
        return weight + scale[:, None] * cholesky_solve(factor, right)

    weight = jax.lax.fori_loop(0, REFINEMENTS, closer, jnp.zeros((gram.shape[0], t.shape[1]), gram.dtype))
    return weight, target_mean - basis_mean @ weight


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
