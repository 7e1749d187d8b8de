"""Conversions of autoencoders: the code of an example, and the example of a code."""

from __future__ import annotations

from typing import Any

import numpy as np

from perceptory.export.activations import activate
from perceptory.export.convert import convert
from perceptory.export.graph import Builder, Value
from perceptory.layers.coder import Tied, dense_layers
from perceptory.layers.dense import Dense, Reshape


def encode(b: Builder, module: Any, x: Value) -> Value:
    """The code; of a variational autoencoder its mean."""
    encoded = convert(b, module.encoder, x)
    if module.bound is None:
        return activate(b, module.activation, encoded)
    half = (encoded.shape[-1] or 0) // 2
    return b.put(encoded, b.slice(encoded.name, -1, 0, half), (half,))


def decode(b: Builder, module: Any, code: Value) -> Value:
    """What a code stands for, as the network's linear outputs."""
    tied = isinstance(module.decoder, Tied)
    output = _tied(b, module, code) if tied else convert(b, module.decoder, code)
    return output if module.shape is None else b.shaped(output, module.shape)


def coder(b: Builder, module: Any, x: Value) -> Value:
    return decode(b, module, encode(b, module, x))


def _tied(b: Builder, module: Any, code: Value) -> Value:
    """The encoder's layers in the opposite order, their weights transposed."""
    layers = dense_layers(module.encoder)
    activations = [layers[-1].activation, *(layer.activation for layer in layers[:-1])]
    for layer, bias, sigma in zip(reversed(layers), module.decoder.biases, reversed(activations), strict=True):
        turned: Any = np.swapaxes(layer.weight, 1, 2)
        code = convert(b, Dense(turned, bias, sigma), code)
    return convert(b, Reshape(module.decoder.shape), code)


__all__ = ["coder", "decode", "encode"]
