"""Layers one after the other, and a residual connection around them."""

from __future__ import annotations

from typing import Any, ClassVar

import equinox as eqx
import jax

from perceptory.layers.base import call


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
