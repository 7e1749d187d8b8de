"""Sparse weights of given features, traced: proximal Newton steps, each solved by coordinate descent.

What is made small is Σ_i c_i(y_i) + λ Σ |W| over rows i with outputs y = b + Z W (the lasso, Tibshirani 1996, for any
smooth cost; Friedman, Hastie & Tibshirani 2010). Features Z [row, feature] are never held: the three products with
them come as functions, so that a feature may be as cheap as a comparison.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

ROUNDS = 4  # of the curvature, each with its own matrix of features by features
STEPS = 8  # of Newton a round
SWEEPS = 4  # over all weights a step
SHARES = (1.0, 0.5, 0.25, 0.0625, 0.0)  # of a step, of which the best is gone
LEAST_CURVATURE = 0.02  # of a row's weight: where a cost is flat or has a corner a step stays finite


class Features(NamedTuple):
    """Products with features Z - z̄ [row, feature], whose weighted mean z̄ is taken off.

    times: W [feature, out] -> Z W [row, out]. against: G [row, out] -> Zᵀ G. gram: h [row] -> (Zᵀ diag(h) Z, Zᵀ h).
    """

    times: Callable[[jax.Array], jax.Array]
    against: Callable[[jax.Array], jax.Array]
    gram: Callable[[jax.Array], tuple[jax.Array, jax.Array]]


class Weights(NamedTuple):
    """bias: b [out]; weight: W [feature, out]."""

    bias: jax.Array
    weight: jax.Array


def sparse_weights(
    features: Features, count: int, cost: Callable[[jax.Array], jax.Array], w: jax.Array, outputs: int,
    strength: jax.Array,
) -> Weights:  # fmt: skip
    """The weights of so many features with which rows of weights w [row] cost least.

    cost: outputs [row, out] -> [row] what they cost. strength: λ, which biases are spared.
    """

    def total(y: jax.Array) -> jax.Array:
        return w @ cost(y)

    slope = jax.grad(total)

    def penalized(at: Weights, y: jax.Array) -> jax.Array:
        return total(y) + strength * jnp.sum(jnp.abs(at.weight))

    def a_round(_: int, state: tuple[Weights, jax.Array]) -> tuple[Weights, jax.Array]:
        h = _curvature(slope, state[1], w)
        matrix, beside = features.gram(h)
        whole = jnp.block([[jnp.sum(h)[None, None], beside[None]], [beside[:, None], matrix]])

        def step(_: int, state: tuple[Weights, jax.Array]) -> tuple[Weights, jax.Array]:
            at, y = state
            g = slope(y)
            pull = jnp.concatenate([jnp.sum(g, axis=0)[None], features.against(g)])
            now = jnp.concatenate([at.bias[None], at.weight])
            move = _descended(whole, pull, now, strength) - now
            by = move[0] + features.times(move[1:])
            shares = jnp.asarray(SHARES, y.dtype)
            costs = jax.vmap(lambda share: penalized(Weights(at.bias, at.weight + share * move[1:]), y + share * by))(
                shares
            )
            share = shares[jnp.argmin(jnp.where(jnp.isfinite(costs), costs, jnp.inf))]
            return Weights(at.bias + share * move[0], at.weight + share * move[1:]), y + share * by

        return jax.lax.fori_loop(0, STEPS, step, state)

    zero = jnp.zeros((count, outputs), w.dtype)
    first = Weights(jnp.zeros(outputs, w.dtype), zero)
    found, _ = jax.lax.fori_loop(0, ROUNDS, a_round, (first, jnp.zeros((len(w), outputs), w.dtype)))
    return found


def _curvature(slope: Callable[[jax.Array], jax.Array], y: jax.Array, w: jax.Array) -> jax.Array:
    """[row] a bound of the cost's second derivatives by the outputs of a row: the largest on the diagonal, of several
    outputs twice as much, which bounds softmax's."""
    outputs = y.shape[1]

    def own(k: jax.Array) -> jax.Array:
        along = jnp.zeros_like(y).at[:, k].set(1)
        return jnp.abs(jax.jvp(slope, (y,), (along,))[1][:, k])

    h = jnp.max(jax.lax.map(own, jnp.arange(outputs)), axis=0) * (1 if outputs == 1 else 2)
    return jnp.maximum(jnp.where(jnp.isfinite(h), h, w), LEAST_CURVATURE * w)


def _descended(matrix: jax.Array, pull: jax.Array, now: jax.Array, strength: jax.Array) -> jax.Array:
    """Weights [1 + feature, out], biases first, nearer to the least of pull · d + ½ dᵀ matrix d + λ Σ |now + d|, the
    biases spared, after some sweeps of coordinate descent."""
    count = len(matrix)
    limits = jnp.full(count, strength, pull.dtype).at[0].set(0)
    own = jnp.diagonal(matrix)
    steep = own > 1e-6 * jnp.max(own)
    take = partial(jax.lax.dynamic_index_in_dim, keepdims=False)  # mapped over members no gather, which is slow

    def one(step: jax.Array, state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        at, slope = state
        j = step % count
        here, size = take(at, j), jnp.where(steep[j], own[j], 1)
        aim = here * size - take(slope, j)
        new = jnp.sign(aim) * jnp.maximum(jnp.abs(aim) - limits[j], 0) / size
        move = jnp.where(steep[j], new - here, 0)
        at = jax.lax.dynamic_update_index_in_dim(at, here + move, j, 0)
        return at, slope + take(matrix, j)[:, None] * move

    return jax.lax.fori_loop(0, SWEEPS * count, one, (now, pull))[0]
