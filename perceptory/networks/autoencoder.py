"""Autoencoders: networks that give back their own inputs through a narrow code; PCA, the linear one in closed form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import jax
import jax.numpy as jnp

from perceptory.errors import InputError
from perceptory.kernels.stack import Stack, unit
from perceptory.layers.arrays import Shape
from perceptory.layers.base import fixed_number
from perceptory.layers.coder import Coder, Tied, Variational
from perceptory.layers.dense import Dense, Reshape
from perceptory.layers.sequential import Sequential
from perceptory.networks.base import Network
from perceptory.networks.mlp import MLP
from perceptory.ops.activations import ACTIVATIONS
from perceptory.ops.principal import principal_directions
from perceptory.ops.ridge import ridge_regression
from perceptory.specs import Search, checked, count, flag, is_on, not_negative, traced

FLAT = 1e-9  # of PCA's least squares: a direction without any spread stays at 0


class CodedNetwork(Network):
    """Base of networks whose modules are a `Coder`. Fields: `code`, how many numbers a code has."""

    code: int


@dataclass(frozen=True)
class Autoencoder(CodedNetwork):
    """x -> code -> x: an encoder to `code` numbers and a decoder back, trained on their difference.

    encoder: a network from an example to its code: dense, convolutional or recurrent.
    code: the width of the code.
    decoder: a network from a code to an example; None mirrors the encoder.
    variational: β of the evidence bound (Kingma & Welling 2014; Higgins et al. 2017): the encoder gives a mean
        and a logarithm of a variance for each number of the code, training draws the code from them, and β times the
        divergence from a standard normal distribution is added to the cost. Under squared error it is the variance of
        the noise of a Gaussian decoder, in units of the scaled inputs. 0 leaves all of it out.
    sparsity: λ of the penalty λ Σ |code|, a mean over the rows; 0 leaves it out.
    tied: the decoder's weights are the encoder's, transposed; its biases are its own. For `MLP` encoders alone.
    activation: name of σ of the code, in the table of activations.

    What makes it denoising is the study's `augmentation`, which changes inputs and not what is to be given back.
    """

    encoder: Network = MLP((64,))
    code: int = checked(8, check=count)
    decoder: Network | None = None
    variational: float = traced(0.0, off=0.0, check=not_negative)
    sparsity: float = traced(0.0, off=0.0, check=not_negative)
    tied: bool = checked(False, check=flag)
    activation: str = checked("linear", check=lambda _, value: ACTIVATIONS[value])

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, part in (("encoder", self.encoder), ("decoder", self.decoder)):
            plain = isinstance(part, Network | Search) and not isinstance(part, CodedNetwork)
            if part is not None and not plain:
                raise InputError(f"{name} needs a network such as MLP((64,)), got {part!r}.")
            if part is not None and part.unscaled:
                raise InputError(f"{name} needs inputs that are scaled, as it gives them back, got {part.label}.")
        if is_on(self.variational) and self.activation != "linear":
            raise InputError(
                f"the code of a variational autoencoder is a mean and a deviation, which {self.activation!r} would"
                ' bound. Use activation="linear".'
            )
        if self.tied is True and not isinstance(self.encoder, Search):
            self._check_tied()

    def _check_tied(self) -> None:
        encoder = self.encoder
        plain = isinstance(encoder, MLP) and encoder.norm is None and not encoder.residual and not encoder.stochastic
        if not plain or self.decoder is not None or is_on(self.variational):
            raise InputError(
                "tied=True is for an encoder of dense layers alone, without norm, residual, dropout and noise, without"
                " a decoder of its own and not variational. Use tied=False here."
            )

    def build(self, inputs: Shape, outputs: Shape, *, key: jax.Array) -> Coder:
        first, second = jax.random.split(key)
        width = 2 * self.code if is_on(self.variational) else self.code
        encoder: Any = self.encoder.build(inputs, (width,), key=first)
        if self.tied:
            decoder: Any = Tied.of(encoder, outputs)
        else:
            decoder = self._decoder(inputs).build((self.code,), self._decoded(inputs, outputs), key=second)
        bound = Variational(fixed_number(self.variational)) if is_on(self.variational) else None
        sparsity = fixed_number(self.sparsity) if is_on(self.sparsity) else None
        return Coder(encoder, decoder, bound, sparsity, ACTIVATIONS[self.activation].function, _in_one_row(outputs))

    def _decoder(self, inputs: Shape) -> Network:
        return self.encoder.mirror(inputs) if self.decoder is None else self.decoder

    @staticmethod
    def _decoded(inputs: Shape, outputs: Shape) -> Shape:
        """The shape that the decoder gives: that of an example where the outputs are its numbers in one row."""
        return inputs if len(outputs) == 1 and prod(inputs) == prod(outputs) else outputs

    # --- hooks of training --------------------------------------------------------------------------------------

    def calibrate(self, module: Any, rows: Callable[[], tuple[jax.Array, ...]]) -> Any:
        if self.tied:
            return module
        encoder = self.encoder.calibrate(module.encoder, rows)

        def codes() -> tuple[jax.Array, ...]:
            x, w = rows()
            return replace(module, encoder=encoder).encode(x), w

        decoder = module.decoder
        if self.decoder is not None:
            decoder = self.decoder.calibrate(decoder, codes)
        elif encoder is not module.encoder:  # else its mirror has nothing to calibrate either
            decoder = self._decoder(rows()[0].shape[1:]).calibrate(decoder, codes)
        same = encoder is module.encoder and decoder is module.decoder
        return module if same else replace(module, encoder=encoder, decoder=decoder)

    def trains(self, name: str) -> bool:
        part, _, rest = name.partition(".")
        return self.encoder.trains(rest) if part == "encoder" else (self.decoder or self.encoder).trains(rest)

    def stack(self, inputs: Shape, outputs: Shape) -> Stack | None:
        """Encoder and decoder as one stack of layers, the code being a layer of it."""
        code = unit(self.activation)
        if self.tied or self.added_cost or len(inputs) != 1 or not isinstance(self.encoder, MLP) or code is None:
            return None
        first, second = self.encoder.stack(inputs, (self.code,)), self._decoder(inputs).stack((self.code,), outputs)
        if first is None or second is None:
            return None
        return Stack((*first.widths, *second.widths[1:]), (*first.activations, code, *second.activations))

    @property
    def added_cost(self) -> bool:
        return is_on(self.variational) or is_on(self.sparsity)

    @property
    def stochastic(self) -> bool:
        parts = (self.encoder, self.decoder or self.encoder)
        return is_on(self.variational) or any(part.stochastic for part in parts)

    @property
    def label(self) -> str:
        kind = "variational autoencoder" if is_on(self.variational) else "autoencoder"
        beta = f" β {self.variational:.3g}" if is_on(self.variational) else ""
        sparse = f" sparse {self.sparsity:.3g}" if is_on(self.sparsity) else ""
        tied = " tied" if self.tied else ""
        decoder = "" if self.decoder is None else f", {self.decoder.label}"
        sigma = "" if self.activation == "linear" else f" {self.activation}"
        return f"{kind} to {self.code}{sigma} ({self.encoder.label}{decoder}){tied}{beta}{sparse}"

    def hidden_units(self, inputs: Shape, outputs: Shape) -> int:
        decoder = self._decoder(inputs).hidden_units((self.code,), self._decoded(inputs, outputs))
        return self.encoder.hidden_units(inputs, (self.code,)) + decoder + 3 * self.code


@dataclass(frozen=True)
class PCA(CodedNetwork):
    """Principal component analysis: the linear autoencoder that least squares choose, in closed form.

    code: how many components, at most as many as there are inputs. They are those of the scaled training rows, what is
    missing being at its mean; the way back is least squares on them, which for numbers is the transpose.
    """

    code: int = checked(2, check=count)

    @property
    def solved(self) -> bool:
        return True

    @property
    def label(self) -> str:
        return f"PCA to {self.code}"

    def build(self, inputs: Shape, outputs: Shape, *, key: jax.Array) -> Coder:
        linear, features, out = ACTIVATIONS["linear"].function, prod(inputs), prod(outputs)
        flat = [Reshape((features,))] if len(inputs) != 1 else []
        encoder = Dense(jnp.zeros((features, self.code)), jnp.zeros(self.code), linear)
        decoder = Dense(jnp.zeros((self.code, out)), jnp.zeros(out), linear)
        shaped = [Reshape(outputs)] if len(outputs) != 1 else []
        parts = Sequential((*flat, encoder)), Sequential((decoder, *shaped))
        return Coder(*parts, None, None, linear, _in_one_row(outputs))

    def prime(self, module: Any, rows: Callable[[], tuple[jax.Array, ...]], *, key: jax.Array) -> Any:
        x, t, w = rows()
        x, t = x.reshape(len(x), -1), t.reshape(len(t), -1)
        w = w if w.ndim == 1 else jnp.max(w, axis=1)
        mean, directions = principal_directions(x, w, self.code, key)
        linear = ACTIVATIONS["linear"].function
        encoder = Dense(directions, -mean @ directions, linear)
        weight, bias = ridge_regression(encoder, x, t, w, FLAT)
        decoder = Dense(weight, bias, linear)
        first, last = module.encoder.layers[:-1], module.decoder.layers[1:]
        return replace(module, encoder=Sequential((*first, encoder)), decoder=Sequential((decoder, *last)))

    def hidden_units(self, inputs: Shape, outputs: Shape) -> int:
        return self.code


def _in_one_row(outputs: Shape) -> Shape | None:
    """The outputs' shape, where they are to stand in one row; steps of a series stay as the decoder has them."""
    return outputs if len(outputs) == 1 else None
