"""Principal directions of weighted rows, traced and without LAPACK (see the rules of the program)."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from perceptory.ops.k_means import over_rows

SPARE = 8  # directions beyond those that are asked for, which speed up the last of these
SWEEPS = 100  # of the subspace iteration
WIDEST = 2048  # inputs up to which the covariance is kept


def principal_directions(x: jax.Array, w: jax.Array, count: int, key: jax.Array) -> tuple[jax.Array, jax.Array]:
    """(mean [in], directions [in, count]) of rows x [row, in] of weight w [row]: orthonormal, of the largest variance
    first. Directions beyond the rank of the rows, as far as rounding tells, are 0.

    Subspace iteration (Golub & Van Loan, Matrix Computations, 8.2.4) on the covariance, or on the rows where there are
    many inputs, its columns made orthonormal one after the other. The error of the subspace falls by the ratio of the
    eigenvalues beyond and within it at every sweep: where that is near 1 the directions are as good as each other.
    """
    total = jnp.sum(w)
    share = w / jnp.where(total > 0, total, 1)
    (mean,) = over_rows(lambda x, s: (s @ x,), x, share)
    size = x.shape[1]
    kept = min(count + SPARE, size)
    start = orthonormal_columns(jax.random.normal(key, (size, kept), x.dtype))
    if size <= WIDEST:
        (covariance,) = over_rows(lambda x, s: (((x - mean) * s[:, None]).T @ (x - mean),), x, share)

        def times(v: jax.Array) -> jax.Array:
            return covariance @ v
    else:

        def times(v: jax.Array) -> jax.Array:
            (product,) = over_rows(lambda x, s: (((x - mean) * s[:, None]).T @ ((x - mean) @ v),), x, share)
            return product

    directions = jax.lax.fori_loop(0, SWEEPS, lambda _, v: orthonormal_columns(times(v)), start)[:, :count]
    return mean, jnp.pad(directions, ((0, 0), (0, count - directions.shape[1])))


def orthonormal_columns(a: jax.Array) -> jax.Array:
    """The columns of a [n, k], made orthonormal from left to right by Gram-Schmidt, done twice so that rounding does
    not bring back what it has taken out. A column of which nothing but rounding is left is 0."""
    rounding = 10 * jnp.finfo(a.dtype).eps

    def column(j: jax.Array, v: jax.Array) -> jax.Array:
        one = v[:, j]
        before = jnp.where(jnp.arange(v.shape[1]) < j, v, 0)
        least = rounding * jnp.sqrt(jnp.sum(one**2))
        for _ in range(2):
            one = one - before @ (before.T @ one)
            length = jnp.sqrt(jnp.sum(one**2))
            one = jnp.where(length > least, one / jnp.where(length > least, length, 1), 0)
            least = jnp.asarray(rounding, a.dtype)
        return v.at[:, j].set(one)

    longest = jnp.sqrt(jnp.max(jnp.sum(a**2, axis=0)))
    return jax.lax.fori_loop(0, a.shape[1], column, a / jnp.where(longest > 0, longest, 1))
