"""Layers: Equinox modules that take `[batch, ...]` and an optional key. A key means training, none means use.

A layer that needs more than its input names it in `takes`: "weights" [batch] are the rows' shares of the cost (0 for
padding), "lengths" [batch] int32 the rows' own numbers of time steps; `Sequential` and `Skip` hand them on. "progress"
is the share of the training that is done, in training steps of a network with phases (`Network.phased`) alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp


class Fixed(eqx.Module):
    """Holds an array that is part of a module but never trained, such as a rate or a fixed center."""

    value: jax.Array


def number(value: Any) -> Fixed:
    """A number of a spec (a float or a tracer) as a part of a module that is never trained."""
    return Fixed(jnp.asarray(value, jnp.result_type(float)))


class Dense(eqx.Module):
    """A layer of neurons (E1, in the matrix form E12): v = σ(x W + b). weight: [in, out], bias: [out]."""

    weight: jax.Array
    bias: jax.Array
    activation: Callable = eqx.field(static=True)

    def __call__(self, x: jax.Array, key: jax.Array | None = None) -> jax.Array:
        wide = self.weight.ndim == 2 and self.weight.size >= 1 << 15 and self.weight.shape[1] >= 64 and x.ndim == 2
        z = (product(x, self.weight) if wide else x @ self.weight) + self.bias
        return self.activation(z)


@jax.custom_vjp
def product(x: jax.Array, weight: jax.Array) -> jax.Array:
    """x W, whose gradient by W comes in the order of W; the automatic one is its transpose, turned by every reader."""
    return x @ weight


product.defvjp(
    lambda x, w: (x @ w, (x, w)),
    lambda kept, d: (d @ kept[1].T, jax.lax.dot_general(kept[0], d, (((0,), (0,)), ((), ())))),
)


class Activate(eqx.Module):
    """σ alone, where something stands between a layer's weighted sums and its activation."""

    activation: Callable = eqx.field(static=True)

    def __call__(self, x: jax.Array, key: jax.Array | None = None) -> jax.Array:
        return self.activation(x)


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
        self.rate = number(rate)

    def __call__(self, x: jax.Array, key: jax.Array | None = None) -> jax.Array:
        keep = 1 - self.rate.value
        if key is None:
            return x * keep
        return jnp.where(jax.random.uniform(key, x.shape) < keep, x, 0)


def call(
    layer: Any, x: jax.Array, key: jax.Array | None, weights: Any = None, lengths: Any = None, progress: Any = None
) -> jax.Array:
    """Call a layer with what it takes."""
    offered = {"weights": weights, "lengths": lengths, "progress": progress}
    taken = {name: offered[name] for name in getattr(layer, "takes", ()) if offered[name] is not None}
    return layer(x, key, **taken)


class Sequential(eqx.Module):
    """Layers one after the other. A key is split among them."""

    layers: tuple[eqx.Module, ...]
    takes: ClassVar[tuple[str, ...]] = ("weights", "lengths")

    def __call__(
        self, x: jax.Array, key: jax.Array | None = None, weights: Any = None, lengths: Any = None
    ) -> jax.Array:
        for i, layer in enumerate(self.layers):
            x = call(layer, x, None if key is None else jax.random.fold_in(key, i), weights, lengths)
        return x

    def calibrate(self, x: jax.Array, w: jax.Array) -> Sequential:
        """The same layers, their stored statistics taken from rows x [row, ...] of weight w [row], in turn."""
        layers = []
        for layer in self.layers:
            if hasattr(layer, "calibrate"):
                layer = layer.calibrate(x, w)
            layers.append(layer)
            x = call(layer, x, None, w)
        return Sequential(tuple(layers))


class Skip(eqx.Module):
    """x + f(x): a residual connection around f, which keeps the shape (He et al. 2016)."""

    inner: Sequential
    takes: ClassVar[tuple[str, ...]] = ("weights", "lengths")

    def __call__(
        self, x: jax.Array, key: jax.Array | None = None, weights: Any = None, lengths: Any = None
    ) -> jax.Array:
        return x + call(self.inner, x, key, weights, lengths)

    def calibrate(self, x: jax.Array, w: jax.Array) -> Skip:
        return Skip(self.inner.calibrate(x, w))
