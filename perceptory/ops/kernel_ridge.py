"""Kernel ridge regression, traced: scales of a kernel by marginal likelihood, and the solution by Cholesky.

K = s k(X, X) + c X Xᵀ is the kernel of rows X [row, feature] with the linear one beside it; β solves (K + λ) β = t.
Both are also the mean and the likelihood of a Gaussian process (Rasmussen & Williams 2006, 2.23 and 5.9).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from perceptory.kernels import kernel_ridge as fast
from perceptory.ops.cholesky import factorize, forward_substitution, shifted, solve
from perceptory.ops.members import members_in_turn

LEAF = 64  # of Cholesky's factor: half of the time to compile is its leaves
STEPS, RATE = 50, 0.4  # of Adam on the logarithms of the scales
LIMITS = ((-7.0, 3.0), (-5.0, 5.0), (-12.0, 2.0), (float(np.log(1e-3)), 1.0))  # of the fields of `Scales`
ROUNDINGS = 4  # of the largest k(x, x) and of each row: the least ridge


class Kernel(NamedTuple):
    """values: (x, c, narrowness) -> [row, center]. name, numbers: by which the kernel in C++ knows it, and how many
    features in front are numbers."""

    name: str
    numbers: int
    values: Callable[[jax.Array, jax.Array, jax.Array], jax.Array]


class Scales(NamedTuple):
    """Logarithms. narrowness: [feature]; smooth: s; linear: c; noise: λ, the variance of targets about the function."""

    narrowness: jax.Array
    smooth: jax.Array
    linear: jax.Array
    noise: jax.Array


def gram(kernel: Kernel, x: jax.Array, w: jax.Array, scales: Scales) -> jax.Array:
    """√w K √w [row, row], w [row] 0 for rows that do not count."""
    root = jnp.sqrt(w)
    linear = jnp.exp(scales.linear) * x @ x.T
    return root[:, None] * (jnp.exp(scales.smooth) * kernel.values(x, x, jnp.exp(scales.narrowness)) + linear) * root


def likely_scales(
    kernel: Kernel, x: jax.Array, t: jax.Array, w: jax.Array, learn: jax.Array, start: jax.Array, groups: np.ndarray,
    deviation: jax.Array,
) -> Scales:  # fmt: skip
    """Those that make targets t [row, out] likely, by Adam on -log p(t) a row: ½ tᵀ C⁻¹ t + ½ ln |C|, C = K + λ, and
    with Σ_g ln(1 + (ν_g - ν̄)² / d²) for a Cauchy prior of the narrowness ν_g of each group of features about their
    mean, which holds most of them together and lets a few go far.

    learn: [step, some] places of the rows that each step looks at: others each time, so that what a few rows show by
    chance does not add up. start: [group] the logarithms of the narrowness to begin with. groups: [feature] its group,
    whose narrowness it has. deviation: d. Targets have mean 0 and deviation 1.
    """
    dtype, outputs, features = x.dtype, t.shape[1], x.shape[1]
    first = Scales(start, jnp.zeros((), dtype), jnp.asarray(-2 - np.log(features), dtype), jnp.asarray(-1.5, dtype))
    if fast.accepts(x, t, w, start, deviation):
        packed = jnp.concatenate([start, jnp.stack(first[1:])])
        found = fast.likely(kernel.name, kernel.numbers, x, t, w, learn, packed, groups, deviation, RATE, LIMITS)
        return _by_feature(Scales(found[:-3], *found[-3:]), groups)
    steps = len(learn)

    def slope(scales: Scales, x: jax.Array, t: jax.Array, w: jax.Array) -> Scales:
        t = t * jnp.sqrt(w)[:, None]
        count = jnp.maximum(jnp.sum(w > 0), 1) * outputs
        matrix, back = jax.vjp(lambda s: gram(kernel, x, w, _by_feature(s, groups)), scales)
        factor = factorize(shifted(matrix, jnp.exp(scales.noise)), LEAF)
        alpha = solve(factor, t)
        below = forward_substitution(factor, jnp.eye(len(x), dtype=dtype))
        inverse = below.T @ below
        by_matrix = 0.5 * (outputs * inverse - alpha @ alpha.T) / (len(x) * outputs)
        (by_scales,) = back(by_matrix)
        away = scales.narrowness - jnp.mean(scales.narrowness)
        return by_scales._replace(
            narrowness=by_scales.narrowness + 2 * away / ((deviation**2 + away**2) * count),
            noise=by_scales.noise + jnp.trace(by_matrix) * jnp.exp(scales.noise),
        )

    def step(k: jax.Array, state: Any) -> Any:
        scales, mean, square = state
        at = learn[k]
        g = jax.tree.map(lambda v: jnp.where(jnp.isfinite(v), v, 0), slope(scales, x[at], t[at], w[at]))
        mean = jax.tree.map(lambda m, v: 0.8 * m + 0.2 * v, mean, g)
        square = jax.tree.map(lambda s, v: 0.9 * s + 0.1 * v * v, square, g)
        rate = RATE * 0.5 * (1 + jnp.cos(jnp.pi * k / steps))
        ones = 1 - 0.8 ** (k + 1.0), 1 - 0.9 ** (k + 1.0)
        narrowness, smooth, linear, noise = [
            jnp.clip(v - rate * (m / ones[0]) / (jnp.sqrt(s / ones[1]) + 1e-6), *limits)
            for v, m, s, limits in zip(scales, mean, square, LIMITS, strict=True)
        ]
        return Scales(narrowness, smooth, linear, noise), mean, square

    zero = jax.tree.map(jnp.zeros_like, first)
    return _by_feature(jax.lax.fori_loop(0, steps, step, (first, zero, zero))[0], groups)


def _by_feature(scales: Scales, groups: np.ndarray) -> Scales:
    return scales._replace(narrowness=scales.narrowness[groups])


class Solution(NamedTuple):
    """strengths: α [row, out] of k at each row; weight: W [feature, out]; narrowness: [feature], 1 / s of the kernel.
    left_out: of some rows [chosen, out] what the function would say without the row itself."""

    strengths: jax.Array
    weight: jax.Array
    narrowness: jax.Array
    left_out: jax.Array


def kernel_ridge(
    kernel: Kernel, x: jax.Array, t: jax.Array, w: jax.Array, learn: jax.Array, start: jax.Array, chosen: jax.Array,
    narrow: jax.Array, ridge: jax.Array, groups: np.ndarray, deviation: jax.Array,
) -> Solution:  # fmt: skip
    """Scales by likelihood from some rows, then the solution from all.

    kernel, x, t, w, learn, start, groups, deviation: as in `likely_scales`.
    chosen: places of rows to leave out, one at a time. narrow, ridge: factors of the narrowness and of the noise that
    were found likely: fewer rows ask for wider kernels than all of them.

    Mapped over members it goes one after another, as each has a matrix [row, row] of its own.
    """

    def one(*args: Any) -> Solution:
        x, t, w, learn, start, chosen, narrow, ridge, deviation = args
        scales = likely_scales(kernel, x, t, w, learn, start, groups, deviation)
        scales = scales._replace(narrowness=scales.narrowness + jnp.log(narrow), noise=scales.noise + jnp.log(ridge))
        return _solution(kernel, x, t, w, scales, chosen)

    return members_in_turn(one, everywhere=True)(x, t, w, learn, start, chosen, narrow, ridge, deviation)


def _solution(kernel: Kernel, x: jax.Array, t: jax.Array, w: jax.Array, scales: Scales, chosen: jax.Array) -> Solution:
    strengths, inverse = _strengths(kernel, x, t, w, scales, chosen)
    own = w[chosen][:, None]
    left_out = t[chosen] - strengths[chosen] / (inverse[:, None] * jnp.where(own > 0, own, 1))
    return Solution(
        jnp.exp(scales.smooth) * strengths,
        jnp.exp(scales.linear) * x.T @ strengths,
        jnp.exp(scales.narrowness),
        jnp.where(own > 0, left_out, 0),
    )


def _strengths(
    kernel: Kernel, x: jax.Array, t: jax.Array, w: jax.Array, scales: Scales, chosen: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """√w C⁻¹ √w t [row, out], C = √w K √w + λ, and of the rows `chosen` the diagonal of C⁻¹ [chosen]."""
    if fast.accepts(x, t, w, *scales):
        packed = jnp.concatenate([scales.narrowness, jnp.stack(scales[1:])])
        return fast.solution(kernel.name, kernel.numbers, x, t, w, packed, chosen, ROUNDINGS)
    root = jnp.sqrt(w)[:, None]
    matrix = gram(kernel, x, w, scales)
    least = ROUNDINGS * jnp.finfo(x.dtype).eps * len(x) * jnp.max(jnp.diagonal(matrix))
    factor = factorize(shifted(matrix, jnp.maximum(jnp.exp(scales.noise), least)), LEAF)
    one_hot = jnp.zeros((len(x), len(chosen)), x.dtype).at[chosen, jnp.arange(len(chosen))].set(1)
    inverse = jnp.sum(forward_substitution(factor, one_hot) ** 2, axis=0)
    return root * solve(factor, t * root), inverse
