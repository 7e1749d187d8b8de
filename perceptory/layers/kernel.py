"""Kernel neurons at training rows, for the columns of a table: layers of `networks.kernel_ridge`."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from perceptory.kernels import columns
from perceptory.kernels import kernel_ridge as fast
from perceptory.layers.dense import matmul
from perceptory.layers.tabular import ColumnScaling, some_columns

UNROLLED = 32  # columns whose differences are one expression; more go through a loop
PAIRS, LEAST_ROWS = 1 << 20, 32  # of a row and a center, and rows, in hand where there is no kernel in C++
LEAST = 1e-12  # of a squared distance, below which its root has no slope


def kernel_values(kernel: str, x: jax.Array, c: jax.Array, narrowness: jax.Array, numbers: int) -> jax.Array:
    """k(x, c) [row, center] of x [row, feature] and c [center, feature]; narrowness: [feature], 1 / s.

    The first `numbers` features are numbers, the others 0 or 1: of these |x - c| is x + c - 2 x c, so that all of them
    together are a product of matrices. (Between 0 and 1 that is a kernel still, but not 1 where x = c.)
    """
    a, b = x * narrowness, c * narrowness
    if kernel == "laplacian":
        apart = _city_block(a[:, :numbers], b[:, :numbers])
        if numbers < x.shape[1]:
            own, other = a[:, numbers:], c[:, numbers:]
            apart += jnp.sum(own, axis=1)[:, None] + jnp.sum(b[:, numbers:], axis=1) - 2 * matmul(own, other.T)
        return jnp.exp(-apart)
    squares = jnp.sum(a * a, axis=1)[:, None] + jnp.sum(b * b, axis=1) - 2 * matmul(a, b.T)
    squares = jnp.maximum(squares, LEAST)
    return jnp.exp(-jnp.sqrt(squares)) if kernel == "exponential" else jnp.exp(-0.5 * squares)


def _city_block(a: jax.Array, b: jax.Array) -> jax.Array:
    """Σ |a - b| over columns, [row, center] of a [row, column] and b [center, column]."""
    zero = jnp.zeros((len(a), len(b)), a.dtype)
    columns = a.shape[1]
    if columns <= UNROLLED:
        for j in range(columns):
            zero += jnp.abs(a[:, j, None] - b[:, j])
        return zero
    last = -(-columns // UNROLLED) * UNROLLED - columns
    parts = [jnp.pad(v, ((0, 0), (0, last))).reshape(len(v), -1, UNROLLED).swapaxes(0, 1) for v in (a, b)]
    return jax.lax.scan(lambda total, part: (total + _city_block(*part), None), zero, tuple(parts))[0]


def neurons(kernel: str, numbers: int, *arrays: jax.Array) -> jax.Array:
    """Σ_c k(x, c) α_c [row, out] of x [row, feature], centers [center, feature], narrowness [feature] and strengths α
    [center, out], as `kernel_values` has them."""
    return _by_kernel(kernel, numbers, *arrays) if fast.there(*arrays) else _by_formula(kernel, numbers, *arrays)


def _by_formula(
    kernel: str, numbers: int, x: jax.Array, c: jax.Array, narrowness: jax.Array, strengths: jax.Array
) -> jax.Array:
    def some(x: jax.Array) -> jax.Array:
        return matmul(kernel_values(kernel, x, c, narrowness, numbers), strengths)

    most = max(LEAST_ROWS, PAIRS // len(c))
    if len(x) <= most:
        return some(x)
    pieces = -(-len(x) // most)
    each = -(-len(x) // pieces)
    parts = jnp.pad(x, ((0, pieces * each - len(x)), (0, 0))).reshape(pieces, each, -1)
    return jax.lax.map(some, parts).reshape(pieces * each, -1)[: len(x)]


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _by_kernel(kernel: str, numbers: int, *arrays: jax.Array) -> jax.Array:
    return fast.values(kernel, numbers, *arrays)


_by_kernel.defvjp(  # derivatives are for looking into a model, and few
    lambda kernel, numbers, *arrays: (fast.values(kernel, numbers, *arrays), arrays),
    lambda kernel, numbers, arrays, d: jax.vjp(partial(_by_formula, kernel, numbers), *arrays)[1](d),
)


class KernelMachine(eqx.Module):
    """y = Σ_c k(x, c) α_c + x W + b over the training rows c, for inputs [row, in] of a table.

    scaling: of the columns of numbers, None where there are none; those of 0 and 1 stay. centers: [center, feature],
    scaled; narrowness: [feature], 1 / s. strengths: α [center, out]; weight: W [feature, out]; bias: [out].
    places: of the numbers, and of the columns of 0 and 1.
    """

    scaling: ColumnScaling | None
    narrowness: jax.Array
    centers: jax.Array
    strengths: jax.Array
    weight: jax.Array
    bias: jax.Array
    kernel: str = eqx.field(static=True)
    places: tuple[tuple[int, ...], tuple[int, ...]] = eqx.field(static=True)
    outputs: tuple[int, ...] = eqx.field(static=True)
    takes: ClassVar[tuple[str, ...]] = ("judged",)

    def features(self, x: jax.Array, judged: bool = False) -> jax.Array:
        """[row, feature] the scaled numbers, then the columns of 0 and 1. judged: without derivatives."""
        numbers, flags = self.places
        by_kernel = judged and columns.there(x)
        parts = [] if self.scaling is None else [self.scaling(some_columns(x, numbers), by_kernel)]
        parts += [some_columns(x, flags)] if flags else []
        return jnp.concatenate(parts, axis=1) if len(parts) > 1 else parts[0]

    def __call__(self, x: jax.Array, key: jax.Array | None = None, judged: bool = False) -> jax.Array:
        v = self.features(x.reshape(len(x), -1), judged)
        near = neurons(self.kernel, len(self.places[0]), v, self.centers, self.narrowness, self.strengths)
        y: Any = near + matmul(v, self.weight) + self.bias
        return jnp.reshape(y, (len(x), *self.outputs))
