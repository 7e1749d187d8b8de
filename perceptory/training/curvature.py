"""Jᵀ C J of a batch of rows: from the layers of a network of neurons alone, or from J row by row."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import jax
import jax.numpy as jnp

from perceptory.kernels import symmetric
from perceptory.layers.arrays import arrays_of
from perceptory.layers.base import call
from perceptory.layers.dense import Activate, Dense, Reshape
from perceptory.layers.sequential import Sequential, Skip
from perceptory.objectives.table import SquaredError, total_cost
from perceptory.optimizers.descent import derivatives
from perceptory.training.rows import Batch


def layered(module: Any) -> bool:
    """Whether a module is layers of neurons alone, each used once: a row of J by a layer's weights is then the outer
    product of the layer's inputs, with a 1 for the biases, and the derivatives by its weighted sums."""

    def fine(layer: Any) -> bool:
        if isinstance(layer, Sequential | Skip):
            return all(map(fine, layer.layers if isinstance(layer, Sequential) else [layer.inner]))
        if type(layer) is Dense:
            return layer.weight.ndim == 2 and layer.bias.ndim == 1
        return type(layer) in (Reshape, Activate)

    return fine(module) and len(arrays_of(module)) > 0


def by_layers(cost: Any, module: Any, batch: Batch, share: Any, active: Any) -> tuple[Any, Any, Any]:
    """(J, ∇J, Jᵀ C J) of a batch, of a module that is `layered` and gives one row of outputs an example; share [row].

    The derivatives by the weighted sums are those by biases that each row has for itself: a pass backwards an output.
    """
    leaves = jax.tree.leaves(module, is_leaf=_is_dense)
    rows, dense = len(batch.x), [leaf for leaf in leaves if _is_dense(leaf)]

    def outputs_of(biases: list[Any]) -> tuple[Any, list[Any]]:
        layer_inputs: list[Any] = []
        left = iter(biases)
        own = jax.tree.map(
            lambda a: _Own(a, next(left), layer_inputs) if _is_dense(a) else a, module, is_leaf=_is_dense
        )
        y = call(own, batch.x, None, lengths=batch.lengths)
        return y, layer_inputs

    biases = [jnp.broadcast_to(layer.bias, (rows, layer.bias.shape[0])) for layer in dense]
    y, back, inputs = jax.vjp(outputs_of, biases, has_aux=True)
    m = y.shape[1]
    if m == 1:
        slopes = [d[:, None] for d in back(jnp.ones_like(y))[0]]
    else:
        directions = jnp.broadcast_to(jnp.eye(m, dtype=y.dtype)[:, None], (m, *y.shape))
        slopes = [jnp.moveaxis(d, 0, 1) for d in jax.vmap(lambda d: back(d)[0])(directions)]
    value, gradient = jax.value_and_grad(lambda y: total_cost(cost, y, batch.t, share))(y)
    middle = cost.curvature(y, batch.t) * share[:, None, None]
    curvature, slope = symmetric.normal(middle, gradient, list(zip(inputs, slopes, strict=True)), active)
    return value, slope, curvature


def _is_dense(leaf: Any) -> bool:
    return type(leaf) is Dense


class _Own:
    """A layer of neurons whose biases [row, out] each row has for itself; it adds its inputs to `layer_inputs`."""

    def __init__(self, layer: Dense, bias: jax.Array, layer_inputs: list[Any]):
        self.layer, self.bias, self.layer_inputs = layer, bias, layer_inputs

    def __call__(self, x: jax.Array, key: Any = None) -> jax.Array:
        self.layer_inputs.append(x)
        return self.layer.activation(x @ self.layer.weight + self.bias)


def row_jacobians(outputs_of: Callable[[Any, Batch], Any], vector: jax.Array, batch: Batch) -> tuple[Any, Any]:
    """(outputs [row, m], their derivatives by the vector [row, m, n]), the outputs of one row as one axis.

    Row by row: a pass backwards over one row costs no more than the n numbers that it gives.
    """

    def alone(x: Any, length: Any) -> tuple[Any, Any]:
        row = Batch(x[None], None, None, None if length is None else length[None])
        return derivatives(lambda v: outputs_of(v, row)[0].ravel(), vector)

    return jax.vmap(alone)(batch.x, batch.lengths)


def curved(cost: Any, outputs: Any, targets: Any, share: Any, jacobian: Any) -> tuple[Any, Any, Any]:
    """(J, ∇J, Jᵀ C J) of a batch: outputs [row, m], targets [row, target] or [row, time, target], share [row] or
    [row, time], jacobian [row, m, n]."""
    rows, m, n = jacobian.shape
    shape = cost.shape(targets.shape)
    steps = prod(shape[1:-1])
    # Each step of a sequence is an example of its own as far as the cost is concerned.
    y, t = outputs.reshape(rows * steps, shape[-1]), targets.reshape(rows * steps, targets.shape[-1])
    j, s = jacobian.reshape(rows * steps, m // steps, n), share.reshape(-1)
    value, slope = jax.value_and_grad(lambda y: total_cost(cost, y, t, s))(y)
    gradient = jnp.einsum("rm,rmn->n", slope, j)
    if isinstance(cost, SquaredError):
        return value, gradient, gram((jnp.sqrt(s)[:, None, None] * j).reshape(-1, n))
    middle = cost.curvature(y, t) * s[:, None, None]
    if y.shape[1] == 1:
        return value, gradient, gram(jnp.sqrt(middle[:, 0]) * j[:, 0])
    half = jnp.einsum("rab,rbn->ran", middle, j).reshape(-1, n)
    if symmetric.accepts(half):
        return value, gradient, symmetric.product(half, j.reshape(-1, n))
    product = half.T @ j.reshape(-1, n)
    return value, gradient, 0.5 * (product + product.T)


def gram(a: jax.Array) -> jax.Array:
    """aᵀ a [n, n] of a [row, n], one triangle of it computed; without the kernel of many columns by halves, since one
    of the four products is another's transpose."""
    if symmetric.accepts(a):
        return symmetric.product(a, a)
    half = a.shape[1] // 2
    if half < 32:
        return a.T @ a
    one, two = a[:, :half], a[:, half:]
    beside = two.T @ one
    above = jnp.concatenate([one.T @ one, beside.T], axis=1)
    return jnp.concatenate([above, jnp.concatenate([beside, two.T @ two], axis=1)], axis=0)
