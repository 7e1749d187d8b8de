"""The module of an autoencoder: an encoder, a decoder, and what training adds to the cost of what lies between."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from perceptory.errors import InputError
from perceptory.layers.base import Fixed, call
from perceptory.layers.dense import Dense, Reshape
from perceptory.layers.sequential import Sequential

LOWEST, HIGHEST = -20.0, 10.0  # of a logarithm of a variance: beyond, its exponential says nothing any more


class Variational(eqx.Module):
    """The code as a normal distribution of which the encoder gives mean and logarithm of the variance."""

    beta: Fixed

    def mean(self, encoded: jax.Array) -> jax.Array:
        """[row, code] of [row, 2 code]."""
        return encoded[:, : encoded.shape[1] // 2]

    def log_variance(self, encoded: jax.Array) -> jax.Array:
        """[row, code] of [row, 2 code], kept within what a number can hold."""
        return jnp.clip(encoded[:, encoded.shape[1] // 2 :], LOWEST, HIGHEST)

    def drawn(self, encoded: jax.Array, key: jax.Array) -> jax.Array:
        """[row, code] a draw from each row's distribution."""
        mean = self.mean(encoded)
        return mean + jnp.exp(self.log_variance(encoded) / 2) * jax.random.normal(key, mean.shape, mean.dtype)

    def divergence(self, encoded: jax.Array) -> jax.Array:
        """[row] KL(N(m, s²) ‖ N(0, 1)) = ½ Σ (m² + s² - ln s² - 1)."""
        mean, log_variance = self.mean(encoded), self.log_variance(encoded)
        return 0.5 * jnp.sum(mean**2 + jnp.exp(log_variance) - log_variance - 1, axis=1)


class Coder(eqx.Module):
    """x -> code -> output. `takes` as its parts do; padding of series reaches both."""

    encoder: Any
    decoder: Any
    bound: Variational | None
    sparsity: Fixed | None
    activation: Callable[..., Any] = eqx.field(static=True)
    shape: tuple[int, ...] | None = eqx.field(static=True)  # of an example's outputs; None leaves the decoder's
    takes: ClassVar[tuple[str, ...]] = ("weights", "lengths")

    def __call__(
        self, x: jax.Array, key: jax.Array | None = None, weights: Any = None, lengths: Any = None
    ) -> jax.Array:
        return self.with_added_cost(x, key, weights, lengths)[0]

    def with_added_cost(
        self, x: jax.Array, key: jax.Array | None = None, weights: Any = None, lengths: Any = None
    ) -> tuple[jax.Array, jax.Array]:
        """(output [row, ...], what is added to the cost of each row [row])."""
        keys = (None, None, None) if key is None else jax.random.split(key, 3)
        encoded = call(self.encoder, x, keys[0], weights, lengths)
        code, added = self._code(encoded, keys[1])
        return self._decoded(code, keys[2], weights, lengths), added

    def _decoded(self, code: jax.Array, key: jax.Array | None, weights: Any, lengths: Any) -> jax.Array:
        decoder = self.decoder.beside(self.encoder) if isinstance(self.decoder, Tied) else self.decoder
        output: jax.Array = call(decoder, code, key, weights, lengths)
        return output if self.shape is None else output.reshape(len(output), *self.shape)

    def _code(self, encoded: jax.Array, key: jax.Array | None) -> tuple[jax.Array, jax.Array]:
        added = jnp.zeros(len(encoded), encoded.dtype)
        if self.bound is None:
            code = self.activation(encoded)
        else:
            code = self.bound.mean(encoded) if key is None else self.bound.drawn(encoded, key)
            added = added + self.bound.beta.value * self.bound.divergence(encoded)
        if self.sparsity is not None:
            added = added + self.sparsity.value * jnp.sum(jnp.abs(code), axis=1)
        return code, added

    def encode(self, x: jax.Array, lengths: Any = None) -> jax.Array:
        """[row, code] of scaled inputs; of a variational one the mean."""
        return self._code(call(self.encoder, x, None, lengths=lengths), None)[0]

    def decode(self, code: jax.Array, lengths: Any = None) -> jax.Array:
        """Outputs [row, ...] of codes [row, code]."""
        return self._decoded(code, None, None, lengths)


class Tied(eqx.Module):
    """The decoder whose weights are those of an encoder of dense layers, transposed; its own are the biases alone."""

    biases: tuple[jax.Array, ...]
    shape: tuple[int, ...] = eqx.field(static=True)

    @classmethod
    def of(cls, encoder: Sequential, outputs: tuple[int, ...]) -> Tied:
        """With biases of 0. `InputError` where the outputs are not as many as the inputs."""
        widths = [layer.weight.shape[0] for layer in dense_layers(encoder)]
        if prod(outputs) != widths[0]:
            raise InputError(
                f"tied weights give back as many numbers as go in, {widths[0]}, and {prod(outputs)} are to be given"
                " back (a category is more than its features). Use tied=False."
            )
        dtype = dense_layers(encoder)[0].weight.dtype
        return cls(tuple(jnp.zeros(width, dtype) for width in reversed(widths)), outputs)

    def beside(self, encoder: Sequential) -> Sequential:
        """The layers of this decoder: the activation before a weight of the encoder comes after its transpose."""
        layers = dense_layers(encoder)
        activations = [layers[-1].activation, *(layer.activation for layer in layers[:-1])]
        turned = [
            Dense(layer.weight.T, bias, activation)
            for layer, bias, activation in zip(reversed(layers), self.biases, reversed(activations), strict=True)
        ]
        return Sequential((*turned, Reshape(self.shape)))


def dense_layers(module: Sequential) -> list[Dense]:
    """The layers of neurons of a stack."""
    return [layer for layer in module.layers if isinstance(layer, Dense)]
