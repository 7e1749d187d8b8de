"""A module's conversion, found by its class in the catalog; and the modules of all networks of a model as one."""

from __future__ import annotations

from typing import Any

import numpy as np

from perceptory.catalog import CONVERSIONS
from perceptory.errors import InputError
from perceptory.export.graph import Builder, Value

TAKES_UNSCALED = ("Dense", "Noise", "Sequential", "WeightNoise")  # modules that leave scaling to a first product
OWN = "perceptory."  # modules of this package; any other needs an entry of its own in the table


def convert(b: Builder, module: Any, x: Value) -> Value:
    """Add what a module computes to the graph. Its arrays have a leading axis of the networks."""
    conversion = conversion_of(module)
    return conversion(b, module, x if type(module).__name__ in TAKES_UNSCALED else b.scaled(x))


def conversion_of(module: Any) -> Any:
    """(builder, module, value) -> value. `InputError` where a module has none."""
    kind = type(module).__name__
    known = kind in CONVERSIONS and (type(module).__module__.startswith(OWN) or kind in CONVERSIONS.own())
    if not known:
        raise InputError(
            f"the part {kind} of the network has no conversion to ONNX, since it is code of your own. Build the network"
            f" from the layers of Chain, or enter one: perceptory.catalog.CONVERSIONS.add({kind!r}, function of"
            " (builder, module, value))."
        )
    return CONVERSIONS[kind]


def stacked_module(network: Any, inputs: Any, outputs: Any, weights: np.ndarray, precision: str) -> Any:
    """The network's module with the arrays of all k networks, each [k, ...] in double precision. weights: [k, weight].

    Numbers that are never trained, such as a dropout rate, are the same in all of them and stay as they are.
    """
    import jax

    from perceptory import backend
    from perceptory.layers.arrays import arrays_of, with_arrays

    with backend.precision(precision):
        module = network.build(inputs, outputs, key=jax.random.key(0))
    arrays = arrays_of(module)
    ends = np.cumsum([a.size for a in arrays])[:-1].tolist()
    parts = np.split(np.asarray(weights, float), ends, axis=1) if arrays else []
    each: Any = [p.reshape(len(weights), *a.shape) for p, a in zip(parts, arrays, strict=True)]
    return with_arrays(module, each)
