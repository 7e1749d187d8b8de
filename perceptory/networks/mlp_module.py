"""The module that an `MLP` builds."""

from __future__ import annotations

from itertools import pairwise
from math import prod
from typing import Any

import jax

from perceptory.layers.dense import Activate, Dense, Dropout, Reshape
from perceptory.layers.noise import Noise, WeightNoise
from perceptory.layers.norm import NORMS
from perceptory.layers.sequential import Sequential, Skip
from perceptory.ops.activations import ACTIVATIONS
from perceptory.ops.initializers import initial_weights, starting_bias
from perceptory.specs import is_on


def built(mlp: Any, inputs: tuple[int, ...], outputs: tuple[int, ...], key: jax.Array) -> Any:
    """As `Network.build`; mlp: the spec."""
    hidden = [ACTIVATIONS[name] for name in mlp.activations]
    activations = [*hidden, ACTIVATIONS["linear"]]
    fans = list(pairwise((prod(inputs), *mlp.hidden, prod(outputs))))
    starts = [mlp.initializer or a.initializer for a in activations]
    weights = initial_weights(key, starts, fans)
    layers: list[Any] = [Reshape((prod(inputs),))] if len(inputs) != 1 else []
    if is_on(mlp.input_noise):
        layers.append(Noise(mlp.input_noise))
    for i, (weight, activation) in enumerate(zip(weights, activations, strict=True)):
        bias = jax.numpy.zeros(weight.shape[1], weight.dtype)
        if i == len(hidden):
            layers.append(Dense(weight, bias, activation.function))
            continue
        bias = starting_bias(starts[i], weight)
        part: list[Any] = [Dense(weight, bias, activation.function)]
        if mlp.norm is not None:
            part = [
                Dense(weight, bias, ACTIVATIONS["linear"].function),
                NORMS[mlp.norm](weight.shape[1]),
                Activate(activation.function),
            ]
        if is_on(mlp.dropout):
            part.append(Dropout(mlp.dropout))
        square = mlp.residual and weight.shape[0] == weight.shape[1]
        layers.extend([Skip(Sequential(tuple(part)))] if square else part)
    if len(outputs) != 1:
        layers.append(Reshape(outputs))
    if is_on(mlp.output_noise):
        layers.append(Noise(mlp.output_noise))
    module = Sequential(tuple(layers))
    return WeightNoise(module, mlp.weight_noise) if is_on(mlp.weight_noise) else module
