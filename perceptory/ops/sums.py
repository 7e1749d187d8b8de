"""Sums over rows, traced, as products of matrices: of sums over long axes XLA on CPU makes trees of loops, each of
which has to be compiled, where a product is a call."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

PART = 64  # rows that are summed up at once
PARTS = 256  # up to which the sums of parts are


def deviations(x: jax.Array) -> jax.Array:
    """[column] standard deviation of the rows x [row, column], about their mean."""
    ones = jnp.full(len(x), 1 / len(x), x.dtype)
    away = x - ones @ x
    return jnp.sqrt(ones @ away**2)


def running_sums(x: jax.Array) -> jax.Array:
    """[row, column] sums of the rows x [row, column] up to each row."""
    rows, columns = x.shape
    if rows <= PARTS:
        return jnp.asarray(np.tri(rows, dtype=x.dtype)) @ x
    parts = -(-rows // PART)
    each = jnp.pad(x, ((0, parts * PART - rows), (0, 0))).reshape(parts, PART, columns)
    within = jnp.einsum("ij,pjc->pic", np.tri(PART, dtype=x.dtype), each)
    whole = within[:, -1]
    before = running_sums(whole) - whole
    return (within + before[:, None]).reshape(-1, columns)[:rows]
