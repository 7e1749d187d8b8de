"""Networks with outputs beside those of the target: heads, which share all layers but the last."""

from __future__ import annotations

from math import prod

import jax
import numpy as np

from perceptory.errors import InputError
from perceptory.layers.arrays import Shape, pack, unpack
from perceptory.layers.base import call
from perceptory.networks.base import Network, layout
from perceptory.specs import has_code, partition


def places_without_heads(network: Network, inputs: Shape, outputs: Shape, main: Shape) -> np.ndarray:
    """[weight] where the weights of the network that gives `main` stand in the vector of the one that gives `outputs`,
    whose last axis begins with those of `main`.

    An array of both that differs in one axis belongs to the outputs: it has so many entries there for each of them, and
    those of the main ones come first, at every place of the other axes of the outputs. Raises `InputError` for a
    network whose arrays do not say which weights belong to which output.
    """
    whole, part = layout(network, inputs, outputs), layout(network, inputs, main)
    if len(whole.shapes) != len(part.shapes):
        raise _unclear(network)
    places, first = [], 0
    for shape, own in zip(whole.shapes, part.shapes, strict=True):
        grid = first + np.arange(prod(shape)).reshape(shape)
        first += grid.size
        different = [axis for axis in range(len(shape)) if len(shape) == len(own) and shape[axis] != own[axis]]
        if len(shape) != len(own) or len(different) > 1:
            raise _unclear(network)
        for axis in different:
            repeats, rest = divmod(shape[axis], outputs[-1])
            if rest or own[axis] != repeats * main[-1]:
                raise _unclear(network)
            chosen = np.arange(shape[axis]).reshape(repeats, outputs[-1])[:, : main[-1]]
            grid = np.take(grid, chosen.ravel(), axis=axis)
        places.append(grid.ravel())
    return np.concatenate(places)


def check_heads(network: Network, inputs: Shape, outputs: Shape, main: Shape) -> None:
    """`InputError` where `places_without_heads` does not find the weights of the main outputs. What users build
    themselves is tried out, since shapes alone may mislead."""
    places = places_without_heads(partition(network)[0], inputs, outputs, main)
    if not has_code(network):
        return
    whole, part = (network.build(inputs, shape, key=jax.random.key(0)) for shape in (outputs, main))
    x = jax.random.normal(jax.random.key(1), (2, *inputs))
    expected = call(whole, x, None)[..., : main[-1]]
    if not np.allclose(call(unpack(part, pack(whole)[places]), x, None), expected, rtol=1e-4, atol=1e-5):
        raise _unclear(network)


def _unclear(network: Network) -> InputError:
    return InputError(
        f"{network.label} does not end in outputs with weights of their own, so it takes no auxiliary objective: its"
        " heads could not be told from the rest. Let its builder end in one linear layer of as many units as outputs."
    )
