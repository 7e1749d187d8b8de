"""Orthonormal columns, and Cholesky's factor with its solution, as plain loops.

Not by LAPACK: inside a program jaxlib hands a batch of factorizations to XLA's own threads and waits for them, and two
devices that do so at once wait for each other's threads for ever (jaxlib 0.10.1 on CPU, two cores).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp


def orthonormal(a: jax.Array) -> jax.Array:
    """Q [n, k] of a = Q R, a [n, k] with k <= n, R upper triangular with a positive diagonal.

    Gram-Schmidt, each column twice, which is as orthogonal as Householder's way (Giraud et al. 2005).
    """

    def column(j: jax.Array, q: jax.Array) -> jax.Array:
        v = jax.lax.dynamic_index_in_dim(a, j, axis=1, keepdims=False)
        for _ in range(2):
            v = v - q @ (q.T @ v)
        return jax.lax.dynamic_update_index_in_dim(q, v * jax.lax.rsqrt(jnp.sum(v * v)), j, axis=1)

    return jax.lax.fori_loop(0, a.shape[1], column, jnp.zeros_like(a))


def cholesky(a: jax.Array) -> jax.Array:
    """L [n, n], lower triangular, with L Lᵀ = a; nan where a is not positive definite."""
    row = jnp.arange(a.shape[0])

    def column(j: jax.Array, factor: jax.Array) -> jax.Array:
        done = jax.lax.dynamic_index_in_dim(factor, j, axis=0, keepdims=False)
        left = jax.lax.dynamic_index_in_dim(a, j, axis=1, keepdims=False) - factor @ done
        new = jnp.where(row >= j, left / jnp.sqrt(left[j]), 0)
        return jax.lax.dynamic_update_index_in_dim(factor, new, j, axis=1)

    return jax.lax.fori_loop(0, a.shape[0], column, jnp.zeros_like(a))


def cholesky_solve(factor: jax.Array, b: jax.Array) -> jax.Array:
    """x [n, k] with L Lᵀ x = b, from L [n, n]."""
    last = factor.shape[0] - 1

    def down(i: jax.Array, y: jax.Array) -> jax.Array:
        return y.at[i].set((b[i] - factor[i] @ y) / factor[i, i])

    def up(k: jax.Array, x: jax.Array) -> jax.Array:
        i = last - k
        return x.at[i].set((y[i] - factor[:, i] @ x) / factor[i, i])

    y = jax.lax.fori_loop(0, last + 1, down, jnp.zeros_like(b))
    return jax.lax.fori_loop(0, last + 1, up, jnp.zeros_like(b))
