"""Cross-correlation with fewer multiplications: Toom and Cook's products, as Winograd (1980) uses them for filters.

m neighboring outputs of a kernel with r taps are m · r products; here they are n = m + r - 1 products of weighted sums
of the inputs with weighted sums of the taps: 8 instead of 20 for 4 outputs of 5 taps, and 2 copies of each input
instead of 5. In exact arithmetic nothing changes; in float32 the rounding error is about twice that of the plain sum.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from perceptory.ops.patches import Window, Windows, interleave, scatter_axis, taps

INTERPOLATION_POINTS = [
    Fraction(p) for p in ("0", "1", "-1", "2", "-2", "1/2", "-1/2")
]  # and infinity; small, so that errors are small
MAX_POINTS = len(INTERPOLATION_POINTS) + 1


@lru_cache(maxsize=64)
def transforms(outputs: int, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(B [n, n], G [n, size], A [n, outputs]) with y = Aᵀ[(G g) ⊙ (B d)] for y_j = Σ_k g_k d_(j+k).

    The product of two polynomials, taken at n points and interpolated, is a convolution; its transpose is the filter.
    """
    n = outputs + size - 1
    points = INTERPOLATION_POINTS[: n - 1]

    def powers(count: int) -> list[list[Fraction]]:
        return [[p**j for j in range(count)] for p in points] + [[Fraction(0)] * (count - 1) + [Fraction(1)]]

    inverse = _inverse(powers(n))
    return tuple(np.array(m, float) for m in (list(zip(*inverse, strict=True)), powers(size), powers(outputs)))  # type: ignore[return-value]


def _inverse(matrix: list[list[Fraction]]) -> list[list[Fraction]]:
    """By Gauss and Jordan, exactly."""
    n = len(matrix)
    rows = [[*row, *(Fraction(i == j) for j in range(n))] for i, row in enumerate(matrix)]
    for c in range(n):
        pivot = next(i for i in range(c, n) if rows[i][c])
        rows[c], rows[pivot] = rows[pivot], rows[c]
        rows[c] = [v / rows[c][c] for v in rows[c]]
        rows = [
            row if i == c else [a - row[c] * b for a, b in zip(row, rows[c], strict=True)] for i, row in enumerate(rows)
        ]
    return [row[n:] for row in rows]


def tile(size: int, positions: int) -> int:
    """How many outputs to make at once: the least products for all positions."""
    return min(range(1, MAX_POINTS - size + 2), key=lambda m: (-(-positions // m) * (m + size - 1), m))


def weighted_sums(matrix: np.ndarray, parts: Sequence[jax.Array]) -> list[jax.Array]:
    """For each row the sum of its entries times the parts: written out, as most entries are 0 or ±1."""
    sums = []
    for row in matrix:
        terms = [x if a == 1 else -x if a == -1 else float(a) * x for a, x in zip(row, parts, strict=True) if a != 0]
        sums.append(sum(terms[1:], terms[0]))
    return sums


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def correlate_toom_cook(x: jax.Array, kernel: jax.Array, windows: Windows) -> jax.Array:
    """x [in, *space, batch], kernel [*k, in, out] to [out, *position, batch]. Along the last axis of space the window
    has stride and dilation 1 and at most 7 taps; along the others it is gathered."""
    return _forward(x, kernel, windows)[0]


def _tiling(x: jax.Array, windows: Windows) -> tuple[int, Window]:
    """(positions along the last axis, the window of a whole tile along it)."""
    last = windows[-1]
    positions = last.positions(x.shape[-2])
    m = tile(last.size, positions)
    n, tiles = m + last.size - 1, -(-positions // m)
    return positions, Window(n, m, 1, last.before, tiles * m + last.size - 1 - x.shape[-2] - last.before)


def _inputs(x: jax.Array, windows: Windows) -> jax.Array:
    """The weighted sums of the inputs, [point, k · in, *position, batch], the last axis of space counting tiles."""
    _, wide = _tiling(x, windows)
    b, _, _ = transforms(wide.stride, windows[-1].size)
    pads = [(0, 0), *((w.before, w.after) for w in windows[:-1]), (wide.before, wide.after), (0, 0)]
    x = lax.optimization_barrier(jnp.pad(x, pads)) if any(map(any, pads)) else x
    v = jnp.stack(weighted_sums(b, taps(x, x.ndim - 2, wide)))
    for axis in range(len(windows) - 1, 0, -1):
        v = jnp.concatenate(taps(v, axis + 1, windows[axis - 1]), axis=1)
    return v


def _kernels(kernel: jax.Array, g: np.ndarray) -> jax.Array:
    """The weighted sums of the taps, [point, k · in, out]."""
    u = jnp.tensordot(jnp.asarray(g, kernel.dtype), kernel, (1, kernel.ndim - 3))
    return u.reshape(u.shape[0], -1, u.shape[-1])


def _forward(x: jax.Array, kernel: jax.Array, windows: Windows) -> tuple[jax.Array, Any]:
    positions, wide = _tiling(x, windows)
    _, g, a = transforms(wide.stride, windows[-1].size)
    v, u = _inputs(x, windows), _kernels(kernel, g)
    products = lax.dot_general(u, v.reshape(*v.shape[:2], -1), (((1,), (1,)), ((0,), (0,))))
    parts = weighted_sums(a.T, [p.reshape(-1, *v.shape[2:]) for p in products])
    y = interleave(parts, x.ndim - 2)
    return lax.slice_in_dim(y, 0, positions, 1, x.ndim - 2), (x, kernel)


def _backward(windows: Windows, residuals: Any, gradient: jax.Array) -> tuple[jax.Array, jax.Array]:
    x, kernel = residuals
    axis = x.ndim - 2
    positions, wide = _tiling(x, windows)
    m, n = wide.stride, wide.size
    b, g, a = transforms(m, windows[-1].size)
    pads = [(0, 0)] * x.ndim
    pads[axis] = (0, -positions % m)
    outputs = taps(jnp.pad(gradient, pads), axis, Window(m, m))
    products = jnp.stack(weighted_sums(a, outputs))
    flat = products.reshape(n, products.shape[1], -1)
    v = _inputs(x, windows)
    by_point = lax.dot_general(v.reshape(*v.shape[:2], -1), flat, (((2,), (2,)), ((0,), (0,))))
    by_point = by_point.reshape(n, *kernel.shape[: kernel.ndim - 3], *kernel.shape[-2:])
    kernel_gradient = jnp.moveaxis(jnp.tensordot(jnp.asarray(g.T, kernel.dtype), by_point, 1), 0, kernel.ndim - 3)
    back = lax.dot_general(_kernels(kernel, g), flat, (((2,), (1,)), ((0,), (0,)))).reshape(v.shape)
    for i, (window, length) in enumerate(zip(windows[:-1], x.shape[1:], strict=False), 2):
        back = back.reshape(n, window.size, -1, *back.shape[2:])
        back = scatter_axis([back[:, tap] for tap in range(window.size)], i, window, length)
    parts = weighted_sums(b.T, [back[p] for p in range(n)])
    return scatter_axis(parts, axis, wide, x.shape[axis]), kernel_gradient


correlate_toom_cook.defvjp(_forward, _backward)
