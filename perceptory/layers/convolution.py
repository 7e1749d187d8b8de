"""Modules of convolutional networks: one stage, and the whole network with its head and dense layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from perceptory.layers.sequential import Sequential
from perceptory.ops.convolution import ConvolutionStage, compute_stage
from perceptory.ops.patches import Windows
from perceptory.ops.pooling import global_pool, real_steps
from perceptory.ops.transposed_convolution import Spreads, transposed_convolve


class Convolution(eqx.Module):
    """One stage: convolution, detector and pooling (Goodfellow et al. 2016, chapter 9).

    x [batch, *space, in] to [batch, *position, out]. weight: [*k, in, out], bias: [out]; the kernel is not turned
    around (cross-correlation): a learned kernel comes out turned.
    """

    weight: jax.Array
    bias: jax.Array
    windows: Windows = eqx.field(static=True)
    size: tuple[int, ...] = eqx.field(static=True)  # of the pool; 1 along an axis: no pooling there
    pooling: str = eqx.field(static=True)
    activation: Callable[..., Any] = eqx.field(static=True)
    monotone: bool = eqx.field(static=True)  # whether the activation is nondecreasing

    def __call__(self, x: jax.Array, key: jax.Array | None = None) -> jax.Array:
        sliding = (self.windows, self.size, self.pooling, self.activation, self.monotone)
        return compute_stage(ConvolutionStage(x, self.weight, self.bias, *sliding))

    def lengths(self, lengths: Any) -> Any:
        """How many steps of the output are real, of a series with so many real steps."""
        return jnp.maximum(self.windows[0].positions(lengths), 0) // self.size[0]


class TransposedConvolution(eqx.Module):
    """σ(y + bias), y the transposed convolution: x [batch, *space, in] to [batch, *place, out]. weight: [*k, in, out],
    bias: [out]. It takes examples of the size that it was built for."""

    weight: jax.Array
    bias: jax.Array
    spreads: Spreads = eqx.field(static=True)
    activation: Callable[..., Any] = eqx.field(static=True)

    def __call__(self, x: jax.Array, key: jax.Array | None = None) -> jax.Array:
        return transposed_convolve(x, self.weight, self.bias, self.spreads, self.activation)


class RealSteps(eqx.Module):
    """x [batch, time, ·] with zeros in the padding, the steps from `lengths` [batch] on."""

    takes: ClassVar[tuple[str, ...]] = ("lengths",)

    def __call__(self, x: jax.Array, key: jax.Array | None = None, lengths: jax.Array | None = None) -> jax.Array:
        return x if lengths is None else jnp.where(real_steps(x, lengths), x, 0)


class ConvolutionalNetwork(eqx.Module):
    """Stages, a head, dense layers: net(x [batch, *space, in]) -> [batch, out], or [batch, time, out].

    head: "flatten" all places and channels, "global": pool each channel over all places, None: each step on its own.
    lengths [batch] int32, series only: steps from there on are padding; no value of x there matters. They are 0 in
    front of every stage and left out of global pooling, so that a padded series has the outputs of the series alone
    (with "flatten": of the series with zeros behind). A key means training.
    """

    stages: tuple[eqx.Module, ...]  # Convolution, and Dropout in between
    head: str | None = eqx.field(static=True)
    pooling: str = eqx.field(static=True)
    dense: Sequential
    takes: ClassVar[tuple[str, ...]] = ("lengths",)

    def __call__(self, x: jax.Array, key: jax.Array | None = None, lengths: jax.Array | None = None) -> jax.Array:
        for i, stage in enumerate(self.stages):
            if lengths is not None:
                x = jnp.where(real_steps(x, lengths), x, 0)
            x = stage(x, None if key is None else jax.random.fold_in(key, i))  # type: ignore[operator]
            if lengths is not None and isinstance(stage, Convolution):
                lengths = stage.lengths(lengths)
        if self.head == "global":
            x = global_pool(x, kind=self.pooling, lengths=lengths)
        else:
            x = x if lengths is None else jnp.where(real_steps(x, lengths), x, 0)
            x = x if self.head is None else x.reshape(x.shape[0], -1)
        y = self.dense(x, None if key is None else jax.random.fold_in(key, len(self.stages)))
        return y if self.head is not None or lengths is None else jnp.where(real_steps(y, lengths), y, 0)
