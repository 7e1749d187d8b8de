"""The kernel of a stack of layers of neurons as a function of JAX arrays; `dense.cc` has the formulas. Members that
`vmap` maps go into one call.

Shapes: weights [weight], of each layer W [in, out] and then b [out], and of hidden units that are parametric a [out];
x [batch, in]. All are of one type, float32 or float64.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from perceptory.kernels import build
from perceptory.kernels.stack import KINDS, Stack


def accepts(dtype: Any) -> bool:
    """Whether the kernel is there and computes in this type."""
    return build.loads("dense", np.dtype(dtype).name)


def noise_of(key: jax.Array, rate: jax.Array) -> jax.Array:
    """[3] int32 of a random key and the probability that a unit is dropped: what `outputs` of a stack with dropout
    takes."""
    words = jax.lax.bitcast_convert_type(jax.random.key_data(key).ravel()[-2:], jnp.int32)
    keep = jnp.clip((1 - rate).astype(jnp.float32) * 2.0**32, 1.0, 2.0**32 - 256).astype(jnp.uint32)
    return jnp.append(words, jax.lax.bitcast_convert_type(keep, jnp.int32))


@lru_cache(maxsize=256)
def outputs(stack: Stack) -> Callable[..., jax.Array]:
    """(weights, x) -> y [batch, out], of a stack with dropout (weights, x, noise): `noise_of`, whose kept units are
    divided by the share of those that are kept. Its gradient, in reverse and once, is by the weights and by x."""

    @jax.custom_vjp
    def run(weights: jax.Array, x: jax.Array, noise: jax.Array) -> jax.Array:
        return forward(weights, x, noise)[0]

    def forward(*arrays: jax.Array) -> tuple[jax.Array, ...]:
        batch = arrays[1].shape[0]
        return _call("forward", stack, ((batch, stack.widths[-1]), (batch * stack.kept,)), *arrays)

    def there(weights: Any, x: Any, noise: Any) -> tuple[jax.Array, Any]:
        arrays = weights.value, x.value, noise.value
        y, values = forward(*arrays)
        return y, (*arrays, values, jnp.zeros(0 if x.perturbed else 1, bool))

    def back(stored: Any, dy: jax.Array) -> Any:
        weights, x, noise, values, by_weights_alone = stored
        shapes = weights.shape, (0 if by_weights_alone.size else x.size,)
        dw, dx = _call("backward", stack, shapes, weights, x, noise, values, dy)
        return dw, None if by_weights_alone.size else dx.reshape(x.shape), None

    run.defvjp(there, back, symbolic_zeros=True)
    return run if stack.dropout else lambda weights, x: run(weights, x, jnp.zeros(0, jnp.int32))


def values(stack: Stack, weights: jax.Array, x: jax.Array) -> jax.Array:
    """y [batch, out] of a stack as in use, where nothing is dropped; it is not differentiable."""
    return _call("values", stack, ((x.shape[0], stack.widths[-1]),), weights, x)[0]


def start(stack: Stack, weights: jax.Array, x: jax.Array, places: jax.Array, shares: jax.Array) -> jax.Array:
    """Weights [weight] of a start from the data: those of each layer divided by the deviation of their sums over rows
    x, and biases that are minus the mean of the sums of some rows, at `places` [some, out of all layers] among x,
    weighed by `shares` of the same shape. What stands in place of biases is ignored; it is not differentiable."""
    return _call("start", stack, (weights.shape,), weights, x, places.astype(jnp.int32), shares)[0]


def rows(table: jax.Array, places: jax.Array, first: int) -> tuple[jax.Array, jax.Array]:
    """Of the rows of a table [n, column] at these places [batch], each below n, the first columns and the others. It is
    not differentiable. XLA has its threads share a batch, and wait for each other longer than the rows take."""
    dtype = np.dtype(table.dtype)
    widths = first, table.shape[1] - first
    out = tuple(jax.ShapeDtypeStruct((len(places), width), dtype) for width in widths)
    call = jax.ffi.ffi_call(f"perceptory_dense_rows_{dtype.name}", out, vmap_method="expand_dims")
    x, others = call(table, places.astype(jnp.int32))
    return x, others


def _call(name: str, stack: Stack, shapes: tuple[Any, ...], *arrays: Any) -> tuple[Any, ...]:
    dtype = np.dtype(arrays[0].dtype)
    out = tuple(jax.ShapeDtypeStruct(shape, dtype) for shape in shapes)
    call = jax.ffi.ffi_call(f"perceptory_dense_{name}_{dtype.name}", out, vmap_method="expand_dims")
    return tuple(
        call(
            *arrays,
            widths=np.array(stack.widths, np.int64),
            kinds=np.array([KINDS[name] for name, _ in stack.activations], np.int32),
            parameters=np.array([parameter for _, parameter in stack.activations], np.float64),
            full=np.int32(stack.full),
            parametric=np.int32(stack.parametric),
        )
    )
