"""A layer of neurons, and what stands beside it: an activation alone, another shape, dropout."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from perceptory.layers.base import Fixed, fixed_number


class Dense(eqx.Module):
    """A layer of neurons [E1], in the matrix form [E12]: v = σ(x W + b). weight: [in, out], bias: [out]."""

    weight: jax.Array
    bias: jax.Array
    activation: Callable[..., Any] = eqx.field(static=True)

    def __call__(self, x: jax.Array, key: jax.Array | None = None) -> jax.Array:
        wide = self.weight.ndim == 2 and self.weight.size >= 1 << 15 and self.weight.shape[1] >= 64 and x.ndim == 2
        z = (matmul(x, self.weight) if wide else x @ self.weight) + self.bias
        return self.activation(z)


@jax.custom_vjp
def matmul(x: jax.Array, weight: jax.Array) -> jax.Array:
    """x W, whose gradient by W comes in the order of W; the automatic one is its transpose, turned by every reader."""
    return x @ weight


matmul.defvjp(
    lambda x, w: (x @ w, (x, w)),
    lambda residuals, d: (d @ residuals[1].T, jax.lax.dot_general(residuals[0], d, (((0,), (0,)), ((), ())))),
)


class Activate(eqx.Module):
    """σ alone, where something stands between a layer's weighted sums and its activation."""

    activation: Callable[..., Any] = eqx.field(static=True)

    def __call__(self, x: jax.Array, key: jax.Array | None = None) -> jax.Array:
        return self.activation(x)


class PReLU(eqx.Module):
    """z for z > 0, else slope · z, with learned slopes, [1] for all or [unit] of the last axis (He et al. 2015)."""

    slope: jax.Array

    def __call__(self, x: jax.Array, key: jax.Array | None = None) -> jax.Array:
        return jnp.where(x > 0, x, self.slope * x)


class Reshape(eqx.Module):
    """[batch, ...] to [batch, *shape]."""

    shape: tuple[int, ...] = eqx.field(static=True)

    def __call__(self, x: jax.Array, key: jax.Array | None = None) -> jax.Array:
        return x.reshape(x.shape[0], *self.shape)


class Dropout(eqx.Module):
    """In training a unit is dropped with probability p; in use all are kept and multiplied by 1 - p.

    (Srivastava et al. 2014, in the form that scales in use; the usual 'inverted' form scales in training instead.)
    """

    rate: Fixed

    def __init__(self, rate: jax.Array | float):
        self.rate = fixed_number(rate)

    def __call__(self, x: jax.Array, key: jax.Array | None = None) -> jax.Array:
        keep = 1 - self.rate.value
        if key is None:
            return x * keep
        return jnp.where(jax.random.uniform(key, x.shape) < keep, x, 0)
