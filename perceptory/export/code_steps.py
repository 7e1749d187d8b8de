"""A network of layers as a list of steps on vectors, which source code in any language is written from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from perceptory.errors import InputError
from perceptory.export.convert import OWN
from perceptory.layers.norm import EPSILON
from perceptory.ops.activations import named

PARAMETERS = {"elu": 1.0, "leaky_relu": 0.01, "hard_sigmoid": 1 / 6}  # A of an activation, where none is named


@dataclass(frozen=True)
class Step:
    """One operation on the vector that the step before it gave.

    kind: "dense" (arrays W, b), "activation", "affine" (factor, offset), "norm" (scale, shift), "prelu" (slope),
    "kernels" (centers, -1/s²) or "skip", which adds what its inner steps make of the vector. width: numbers that come
    out. arrays: [member, ...] each. sigma: name and parameter of the activation. inner: of a skip.
    """

    kind: str
    width: int
    arrays: tuple[np.ndarray, ...] = ()
    sigma: tuple[str, float | None] = ("linear", None)
    inner: tuple[Step, ...] = ()


def steps_of(module: Any, shape: tuple[int, ...]) -> tuple[Step, ...]:
    """The steps of a module of k networks, for examples of this shape. `InputError` where it is more than layers of
    neurons one after the other."""
    kind = type(module).__name__
    if kind not in WRITERS or not type(module).__module__.startswith(OWN):
        raise InputError(
            f"source code is written for networks of dense layers, and this one has {kind}. Export it to ONNX instead."
        )
    return WRITERS[kind](module, shape)


def _out(steps: tuple[Step, ...], shape: tuple[int, ...]) -> int:
    return steps[-1].width if steps else prod(shape)


def _flat(shape: tuple[int, ...], what: str) -> int:
    if len(shape) != 1:
        raise InputError(
            f"source code is written for layers on vectors, and here {what} works on examples of shape {shape}. Export"
            " it to ONNX instead."
        )
    return shape[0]


def _dense(module: Any, shape: tuple[int, ...]) -> tuple[Step, ...]:
    _flat(shape, "a dense layer")
    return (Step("dense", module.weight.shape[-1], (module.weight, module.bias), named(module.activation)),)


def _activate(module: Any, shape: tuple[int, ...]) -> tuple[Step, ...]:
    return (Step("activation", prod(shape), (), named(module.activation)),)


def _dropout(module: Any, shape: tuple[int, ...]) -> tuple[Step, ...]:
    keep, width = 1 - float(module.rate.value), prod(shape)
    return (Step("affine", width, (np.full((1, width), keep), np.zeros((1, width)))),)


def _batch_norm(module: Any, shape: tuple[int, ...]) -> tuple[Step, ...]:
    width = _flat(shape, "normalization")
    factor = module.scale / np.sqrt(module.variance + EPSILON)
    return (Step("affine", width, (factor, module.shift - module.mean * factor)),)


def _layer_norm(module: Any, shape: tuple[int, ...]) -> tuple[Step, ...]:
    return (Step("norm", _flat(shape, "normalization"), (module.scale, module.shift)),)


def _prelu(module: Any, shape: tuple[int, ...]) -> tuple[Step, ...]:
    width = _flat(shape, "a learned slope")
    return (Step("prelu", width, (np.broadcast_to(module.slope, (len(module.slope), width)),)),)


def _kernels(module: Any, shape: tuple[int, ...]) -> tuple[Step, ...]:
    narrow = -(module.narrowness**2)
    return (Step("kernels", narrow.shape[-1], (module.centers.reshape(*narrow.shape, -1), narrow)),)


def _skip(module: Any, shape: tuple[int, ...]) -> tuple[Step, ...]:
    return (Step("skip", _flat(shape, "a residual layer"), inner=steps_of(module.inner, shape)),)


def _sequence(module: Any, shape: tuple[int, ...]) -> tuple[Step, ...]:
    steps: tuple[Step, ...] = ()
    for layer in module.layers:
        if type(layer).__name__ == "Reshape":
            shape = layer.shape
            continue
        found = steps_of(layer, shape)
        steps += found
        shape = shape if _out(found, shape) == prod(shape) else (_out(found, shape),)
    return steps


WRITERS: dict[str, Callable[[Any, tuple[int, ...]], tuple[Step, ...]]] = {
    "Activate": _activate,
    "BatchNorm": _batch_norm,
    "Dense": _dense,
    "Dropout": _dropout,
    "Kernels": _kernels,
    "LayerNorm": _layer_norm,
    "Noise": lambda module, shape: (),
    "PReLU": _prelu,
    "Sequential": _sequence,
    "Skip": _skip,
    "WeightNoise": lambda module, shape: steps_of(module.inner, shape),
}


def sigmas_of(steps: tuple[Step, ...]) -> set[tuple[str, float | None]]:
    """All activations among the steps."""
    found = {step.sigma for step in steps if step.kind in ("dense", "activation")}
    for step in steps:
        found |= sigmas_of(step.inner)
    return found


def parameter_of(name: str, parameter: float | None) -> float:
    """A of an activation's formula: as it was named, else the usual one."""
    return PARAMETERS.get(name, 0.0) if parameter is None else parameter
