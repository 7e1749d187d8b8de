"""Places of centers among weighted rows: k-means, or a sample of rows. Traced, in bounded memory, rows of weight 0 out.

All take x [row, in] and w [row] >= 0, which is 0 for padding, and give [center, in].
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from perceptory.registry import Registry

CHUNK = 1024  # rows in hand at once where rows meet all centers
ITERATIONS = 20  # of Lloyd's method; more change the centers of a network little


def distances(x: jax.Array, c: jax.Array) -> jax.Array:
    """‖x - c‖² [row, center] by differences, which loses no digits where x and c are near."""
    # The features come first, so that the sum runs over whole arrays [row, center].
    return jnp.sum((x.T[:, :, None] - c.T[:, None, :]) ** 2, axis=0)


def over_rows(partial: Callable[..., Any], *rows: jax.Array, most: int = CHUNK) -> tuple[jax.Array, ...]:
    """Sums over rows of what `partial(*rows)` sums over at most `most` of them. Rows past the end are 0."""
    count = rows[0].shape[0]
    if count <= most:
        return partial(*rows)
    chunks = -(-count // most)
    parts = tuple(
        jnp.pad(a, ((0, chunks * most - count),) + ((0, 0),) * (a.ndim - 1)).reshape(chunks, most, *a.shape[1:])
        for a in rows
    )
    zero = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), jax.eval_shape(partial, *(a[0] for a in parts)))
    return jax.lax.scan(lambda sums, part: (jax.tree.map(jnp.add, sums, partial(*part)), None), zero, parts)[0]


def sample(x: jax.Array, w: jax.Array, centers: int, key: jax.Array) -> jax.Array:
    """Rows drawn without replacement, a row of twice the weight twice as likely first (Efraimidis & Spirakis 2006).

    Where there are fewer real rows than centers, they come again.
    """
    uniform = jax.random.uniform(key, w.shape, minval=1e-12)
    score = jnp.where(w > 0, jnp.log(uniform) / jnp.where(w > 0, w, 1), -jnp.inf)
    most = min(centers, x.shape[0])
    _, chosen = jax.lax.top_k(score, most)
    real = jnp.clip(jnp.sum(w > 0), 1, most)
    return x[chosen[jnp.arange(centers) % real]]


def plus_plus(x: jax.Array, w: jax.Array, centers: int, key: jax.Array) -> jax.Array:
    """k-means++ (Arthur & Vassilvitskii 2007): rows with probability by w · distance² to the nearest so far."""
    uniform = jax.random.uniform(key, (centers,), dtype=x.dtype)
    w = w / jnp.maximum(jnp.max(w), 1e-30)

    def pick(i: jax.Array, state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        chosen, nearest = state
        mass = w * nearest
        mass = jnp.where(jnp.sum(mass) > 0, mass, w)  # all rows are centers already
        total = jnp.cumsum(mass)
        # Sums by parts do not rise with each row to the last bit, so a row of mass 0 must be kept out by name.
        reached = (mass > 0) & (total > uniform[i] * total[-1])
        row = x[jnp.where(jnp.any(reached), jnp.argmax(reached), jnp.argmax(mass))]
        return chosen.at[i].set(row), jnp.minimum(nearest, jnp.sum((x - row) ** 2, axis=1))

    far = jnp.full(x.shape[0], 1e30, x.dtype)  # as if all rows were equally far from a center before the first
    return jax.lax.fori_loop(0, centers, pick, (jnp.zeros((centers, x.shape[1]), x.dtype), far))[0]


def lloyd(x: jax.Array, w: jax.Array, centers: jax.Array) -> jax.Array:
    """Lloyd's iterations: each center to the weighted mean of the rows nearest to it, until none moves, at most 20.

    A center with no row stays.
    """
    number = centers.shape[0]

    def move(state: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array, jax.Array]:
        places, _, done = state

        def sums(x: jax.Array, w: jax.Array) -> tuple[jax.Array, jax.Array]:
            nearest = jnp.argmin(distances(x, places), axis=1)
            belongs = jnp.where(nearest[:, None] == jnp.arange(number), w[:, None], 0)
            return belongs.T @ x, jnp.sum(belongs, axis=0)

        total, mass = over_rows(sums, x, w)
        new = jnp.where(mass[:, None] > 0, total / jnp.where(mass > 0, mass, 1)[:, None], places)
        return new, jnp.any(new != places), done + 1

    def going(state: tuple[jax.Array, jax.Array, jax.Array]) -> jax.Array:
        return state[1] & (state[2] < ITERATIONS)

    return jax.lax.while_loop(going, move, (centers, jnp.asarray(True), jnp.asarray(0)))[0]


def kmeans(x: jax.Array, w: jax.Array, centers: int, key: jax.Array) -> jax.Array:
    return lloyd(x, w, plus_plus(x, w, centers, key))


def spacing(centers: jax.Array, x: jax.Array, w: jax.Array, neighbors: int) -> jax.Array:
    """[center] mean distance to the nearest other centers, at least a hundredth of the rows' spread.

    The spread, the root mean square distance of the rows from their mean, also stands in for a single center.
    """
    total = jnp.sum(w)
    share = w / jnp.where(total > 0, total, 1)
    spread = jnp.sqrt(jnp.sum(share[:, None] * (x - share @ x) ** 2))
    spread = jnp.where(spread > 0, spread, 1)
    number = centers.shape[0]
    if number == 1:
        return spread[None]
    apart = jnp.where(jnp.eye(number, dtype=bool), jnp.inf, distances(centers, centers))
    nearest = -jax.lax.top_k(-apart, min(neighbors, number - 1))[0]
    return jnp.maximum(jnp.mean(jnp.sqrt(nearest), axis=1), spread / 100)


STARTS: Registry[Callable[..., Any]] = Registry("start of the centers", {"kmeans": kmeans, "rows": sample})
