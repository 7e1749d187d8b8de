"""Orthonormal columns, and Cholesky's factor with its solution, as plain loops and products.

Not by LAPACK: inside a program jaxlib hands a batch of factorizations to XLA's own threads and waits for them, and two
devices that do so at once wait for each other's threads for ever (jaxlib 0.10.1 on CPU, two cores).
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from perceptory.kernels import symmetric

LEAF = 16  # columns that are eliminated one by one; smaller ones cost more compilation than they save
PANEL = 256  # columns that are factorized by halves
PARTS, MANY = 4, 8  # parts of the panels where there are many of them
IN_KERNEL = 512  # columns up to which a member's matrix stays in a core's cache, where the kernel is faster


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


class Factor(NamedTuple):
    """Cholesky's factor L of a symmetric matrix [n, n], by panels of columns.

    lower: [n', n'] L, n' being n rounded up to whole panels (1 on the diagonal there); empty where there is one panel.
    inverses: [panel, size, size] the inverses of the blocks on the diagonal of L.
    """

    lower: jax.Array
    inverses: jax.Array


def factorize(a: jax.Array, leaf: int = LEAF) -> Factor:
    """`Factor` of a [n, n]; not finite where a is not positive definite.

    Products of blocks instead of single columns. Up to PANEL columns everything is one panel, by halves; above,
    panel after panel in a loop, so that the program does not grow with n. Each panel is multiplied by all columns,
    those that are 0 so far included; of many panels each part of them works on the corner that it needs alone, which
    saves half of the products. In place: a's own columns stand where the factor's are not yet.

    leaf: columns that are eliminated one by one; more compile faster and take longer.
    """
    n = a.shape[0]
    if n <= PANEL:
        inverse = _inverse_factor(a, leaf)
        return Factor(jnp.zeros((0, 0), a.dtype), inverse[None])
    panels = -(-n // PANEL)
    missing = panels * PANEL - n
    a = jnp.pad(a, ((0, missing), (0, missing)))
    a = jnp.where((jnp.arange(len(a)) >= n)[:, None] & jnp.eye(len(a), dtype=bool), 1, a)
    factor = Factor(a, jnp.zeros((panels, PANEL, PANEL), a.dtype))
    parts = PARTS if panels >= MANY else 1
    cuts = [panels * k // parts for k in range(parts + 1)]
    for first, last in pairwise(cuts):
        factor = _panels(factor, first, last, leaf)
    return factor


def _panels(factor: Factor, first: int, last: int, leaf: int) -> Factor:
    """The factor after the panels from `first` to `last`, in the corner of their rows and of the columns up to them."""
    top, wide = first * PANEL, last * PANEL
    row = jnp.arange(top, len(factor.lower))[:, None]

    def panel(k: jax.Array, state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        lower, inverses = state
        start = k * PANEL
        done = jax.lax.dynamic_slice(lower, (start - top, 0), (PANEL, wide))
        done = jnp.where(jnp.arange(wide) < start, done, 0)
        left = jax.lax.dynamic_slice_in_dim(lower, start, PANEL, axis=1) - lower @ done.T
        inverse = _inverse_factor(jax.lax.dynamic_slice_in_dim(left, start - top, PANEL, axis=0), leaf)
        new = jnp.where(row >= start, left @ inverse.T, 0)
        lower = jax.lax.dynamic_update_slice_in_dim(lower, new, start, axis=1)
        return lower, jax.lax.dynamic_update_index_in_dim(inverses, inverse, k, axis=0)

    corner, inverses = jax.lax.fori_loop(first, last, panel, (factor.lower[top:, :wide], factor.inverses))
    return Factor(factor.lower.at[top:, :wide].set(corner), inverses)


def solve(factor: Factor, b: jax.Array) -> jax.Array:
    """x [n, k] with L Lᵀ x = b [n, k]."""
    if not factor.lower.size:
        return factor.inverses[0].T @ (factor.inverses[0] @ b)
    y = forward_substitution(factor, b)
    last, n = len(factor.inverses) - 1, b.shape[0]

    def up(i: jax.Array, x: jax.Array) -> jax.Array:
        k = last - i
        columns = jax.lax.dynamic_slice_in_dim(factor.lower, k * PANEL, PANEL, axis=1)
        right = jax.lax.dynamic_slice_in_dim(y, k * PANEL, PANEL, axis=0) - columns.T @ x
        return jax.lax.dynamic_update_slice_in_dim(x, factor.inverses[k].T @ right, k * PANEL, axis=0)

    return jax.lax.fori_loop(0, last + 1, up, jnp.zeros_like(y))[:n]


def forward_substitution(factor: Factor, b: jax.Array) -> jax.Array:
    """y [n', k] with L y = b [n, k], followed by zeros up to whole panels: ‖y‖² is bᵀ (L Lᵀ)⁻¹ b."""
    if not factor.lower.size:
        return factor.inverses[0] @ b
    b = jnp.pad(b, ((0, len(factor.lower) - len(b)), (0, 0)))

    def down(k: jax.Array, y: jax.Array) -> jax.Array:
        rows = jax.lax.dynamic_slice_in_dim(factor.lower, k * PANEL, PANEL, axis=0)
        right = jax.lax.dynamic_slice_in_dim(b, k * PANEL, PANEL, axis=0) - rows @ y
        return jax.lax.dynamic_update_slice_in_dim(y, factor.inverses[k] @ right, k * PANEL, axis=0)

    return jax.lax.fori_loop(0, len(factor.inverses), down, jnp.zeros_like(b))


def shifted(a: jax.Array, shift: Any) -> jax.Array:
    """a + shift, where shift is a number or the diagonal [n] of a matrix."""
    return a + jnp.eye(len(a), dtype=a.dtype) * shift


def damped(a: jax.Array, shift: Any, b: jax.Array, active: Any = True) -> jax.Array:
    """x [n] with (a + shift) x = b of a symmetric a [n, n], shift being a number or a diagonal [n]; not finite where
    that is not positive definite. active: where it is False x does not matter."""
    if len(a) <= IN_KERNEL and symmetric.accepts(a, b):
        return symmetric.solution(a, shift, b, active)
    return solve(factorize(shifted(a, shift)), b[:, None])[:, 0]


def trace_of_inverse(a: jax.Array, shift: Any, active: Any = True) -> jax.Array:
    """The trace of (a + shift)⁻¹; a, shift, active as in `damped`."""
    if len(a) <= IN_KERNEL and symmetric.accepts(a):
        return symmetric.trace(a, shift, active)
    return jnp.sum(forward_substitution(factorize(shifted(a, shift)), jnp.eye(len(a), dtype=a.dtype)) ** 2)


def _inverse_factor(a: jax.Array, leaf: int = LEAF) -> jax.Array:
    """L⁻¹ [n, n] of a = L Lᵀ, by halves: the products of blocks do nearly all of the work."""
    n = a.shape[0]
    if n <= leaf:
        return _eliminated(a)
    k = max(leaf, n // 2 // leaf * leaf)
    first = _inverse_factor(a[:k, :k], leaf)
    beside = a[k:, :k] @ first.T
    second = _inverse_factor(a[k:, k:] - beside @ beside.T, leaf)
    below = -(second @ beside) @ first
    above = jnp.pad(first, ((0, 0), (0, n - k)))
    return jnp.concatenate([above, jnp.concatenate([below, second], axis=1)], axis=0)


def _eliminated(a: jax.Array) -> jax.Array:
    """L⁻¹ by Gauss's elimination in [a | 1], which gives [D Lᵤᵀ | Lᵤ⁻¹] of a = Lᵤ D Lᵤᵀ."""
    n = a.shape[0]
    row = jnp.arange(n)

    def column(j: jax.Array, both: jax.Array) -> jax.Array:
        pivot = jax.lax.dynamic_index_in_dim(both, j, axis=0, keepdims=False)
        share = jax.lax.dynamic_index_in_dim(both, j, axis=1, keepdims=False) / pivot[j]
        return both - jnp.where(row > j, share, 0)[:, None] * pivot

    both = jax.lax.fori_loop(0, n - 1, column, jnp.concatenate([a, jnp.eye(n, dtype=a.dtype)], axis=1))
    return both[:, n:] * jax.lax.rsqrt(jnp.diagonal(both))[:, None]
