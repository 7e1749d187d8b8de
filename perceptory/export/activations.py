"""Activations in a graph, by their names. Parameters that a node would keep in single precision are constants."""

from __future__ import annotations

from collections.abc import Callable
from math import pi
from typing import Any

import numpy as np

from perceptory.errors import InputError
from perceptory.export.graph import Builder, Value
from perceptory.ops.activations import SELU_ALPHA, SELU_SCALE, named

Formula = Callable[[Builder, str, float], str]


def activate(b: Builder, function: Callable[..., Any], x: Value) -> Value:
    """σ(x)."""
    name, parameter = named(function)
    if name not in FORMULAS:
        raise InputError(
            f"the activation {name or getattr(function, '__name__', 'of a layer')!r} has no conversion to ONNX. Train"
            f" with one of {', '.join(FORMULAS)}, or enter one: perceptory.export.activations.FORMULAS[name] ="
            " (function of (builder, tensor, parameter), parameter)."
        )
    formula, usual = FORMULAS[name]
    x = b.last(x) if name == "softmax" else x  # of the units of a layer, which are the last axis
    return b.put(x, formula(b, x.name, usual if parameter is None else parameter))


def _node(kind: str) -> Formula:
    return lambda b, z, _: b.op(kind, z)


def times(b: Builder, z: str, factor: float) -> str:
    return b.op("Mul", z, b.constant(factor))


def clipped(b: Builder, z: str, low: float | None, high: float | None) -> str:
    ends = ["" if end is None else b.constant(end) for end in (low, high)]
    return b.op("Clip", z, *(ends if ends[1] else ends[:1]))


def _elu(b: Builder, z: str, alpha: float) -> str:
    if alpha == 1:
        return b.op("Elu", z)
    below = b.op("Sub", b.op("Exp", clipped(b, z, None, 0.0)), b.constant(1.0))
    return b.where(b.op("Greater", z, b.constant(0.0)), z, times(b, below, alpha))


def _leaky_relu(b: Builder, z: str, slope: float) -> str:
    if slope > 1:
        return b.where(b.op("Greater", z, b.constant(0.0)), z, times(b, z, slope))
    return b.op("Max", z, times(b, z, slope))


def _gelu(b: Builder, z: str, _: float) -> str:
    cube = b.op("Mul", b.op("Mul", z, z), z)
    inner = times(b, b.op("Add", z, times(b, cube, 0.044715)), (2 / pi) ** 0.5)
    share = times(b, b.op("Add", b.op("Tanh", inner), b.constant(1.0)), 0.5)
    return b.op("Mul", z, share)


def _silu(b: Builder, z: str, _: float) -> str:
    if b.dtype == np.float32:
        return b.op("Mul", z, b.op("Sigmoid", z))
    # onnxruntime 1.20 makes of a product with a sigmoid a node that it does not have in double precision.
    return b.op("Div", z, b.op("Add", b.op("Exp", b.op("Neg", z)), b.constant(1.0)))


def _threshold(b: Builder, z: str, _: float) -> str:
    return b.cast(b.op("GreaterOrEqual", z, b.constant(0.0)), b.dtype)


def _from_0_to_1(b: Builder, z: str, slope: float) -> str:
    return clipped(b, b.op("Add", z if slope == 1 else times(b, z, slope), b.constant(0.5)), 0.0, 1.0)


def softplus(b: Builder, z: str, _: float = 0.0) -> str:
    """ln(1 + e^z) = max(z, 0) + ln(1 + e^-|z|)."""
    rest = b.op("Log", b.op("Add", b.op("Exp", b.op("Neg", b.op("Abs", z))), b.constant(1.0)))
    return b.op("Add", b.op("Relu", z), rest)


# name: (formula, parameter where none is given)
FORMULAS: dict[str, tuple[Formula, float]] = {
    "tanh": (_node("Tanh"), 0.0),
    "relu": (_node("Relu"), 0.0),
    "elu": (_elu, 1.0),
    "sigmoid": (_node("Sigmoid"), 0.0),
    "steep_sigmoid": (lambda b, z, _: b.op("Sigmoid", times(b, z, 2.0)), 0.0),
    "linear": (lambda b, z, _: z, 0.0),
    "threshold": (_threshold, 0.0),
    "piecewise_linear": (_from_0_to_1, 1.0),
    "leaky_relu": (_leaky_relu, 0.01),
    "gelu": (_gelu, 0.0),
    "mish": (lambda b, z, _: b.op("Mul", z, b.op("Tanh", softplus(b, z))), 0.0),
    "silu": (_silu, 0.0),
    "softplus": (softplus, 0.0),
    "selu": (lambda b, z, _: times(b, _elu(b, z, SELU_ALPHA), SELU_SCALE), 0.0),
    "softsign": (lambda b, z, _: b.op("Div", z, b.op("Add", b.op("Abs", z), b.constant(1.0))), 0.0),
    "hard_sigmoid": (_from_0_to_1, 1 / 6),
    "softmax": (lambda b, z, _: b.op("Softmax", z, axis=-1), 0.0),
}


def power(b: Builder, z: str, exponent: float) -> str:
    return b.op("Pow", z, b.constant(np.float64(exponent)))
