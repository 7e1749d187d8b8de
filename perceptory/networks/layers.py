"""Layers: Equinox modules that take `[batch, ...]` and an optional key. A key means training, none means use."""

from __future__ import annotations

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp


class Fixed(eqx.Module):
    """Holds an array that is part of a module but never trained, such as a rate or a fixed center."""

    value: jax.Array


class Dense(eqx.Module):
    """A layer of neurons (E1, in the matrix form E12): v = σ(x W + b). weight: [in, out], bias: [out]."""

    weight: jax.Array
    bias: jax.Array
    activation: Callable = eqx.field(static=True)

    def __call__(self, x: jax.Array, key: jax.Array | None = None) -> jax.Array:
        return self.activation(x @ self.weight + self.bias)


class Dropout(eqx.Module):
    """In training a unit is dropped with probability p; in use all are kept and multiplied by 1 - p.

    (Srivastava et al. 2014, in the form that scales in use; the usual 'inverted' form scales in training instead.)
    """

    rate: Fixed

    def __init__(self, rate: jax.Array | float):
        self.rate = Fixed(jnp.asarray(rate, jnp.result_type(float)))

    def __call__(self, x: jax.Array, key: jax.Array | None = None) -> jax.Array:
        keep = 1 - self.rate.value
        if key is None:
            return x * keep
        return jnp.where(jax.random.uniform(key, x.shape) < keep, x, 0)


class Chain(eqx.Module):
    """Layers one after the other. A key is split among those that draw random numbers."""

    layers: tuple[eqx.Module, ...]

    def __call__(self, x: jax.Array, key: jax.Array | None = None) -> jax.Array:
        for i, layer in enumerate(self.layers):
            x = layer(x, None if key is None else jax.random.fold_in(key, i))  # type: ignore[operator]
        return x
