"""The arrays of a model's networks by name: read, and set to those of a network that was trained elsewhere."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from perceptory.errors import InputError
from perceptory.layers.arrays import Layout
from perceptory.networks.base import layout
from perceptory.registry import did_you_mean


def arrays(model: Any, member: int = 0) -> dict[str, np.ndarray]:
    """The arrays of one network, copies, by name and in the order of its weight vector."""
    where = _layout(model, member)
    parts = zip(where.names, where.shapes, where.parts(model.weights[member]), strict=True)
    return {name: part.reshape(shape).copy() for name, shape, part in parts}


def with_arrays(model: Any, given: Mapping[str, Any], member: int = 0) -> Any:
    """The model with some arrays of one network replaced, without the facts that were measured on the old ones."""
    where = _layout(model, member)
    weights = model.weights.copy()
    parts = dict(zip(where.names, where.parts(weights[member]), strict=True))  # views
    for name, array in given.items():
        if name not in parts:
            raise InputError(
                f"the network has no array {name!r}.{did_you_mean(name, parts)} It has: {', '.join(parts)}."
            )
        values, shape = np.asarray(array, float), where.shapes[where.names.index(name)]
        if values.shape != shape or not np.all(np.isfinite(values)):
            raise InputError(f"{name} needs finite numbers of shape {shape}, got an array of shape {values.shape}.")
        parts[name][:] = values.ravel()
    facts = {name: fact for name, fact in model.facts.items() if name not in MEASURED}
    return dataclasses.replace(model, weights=weights, facts=facts)


def _layout(model: Any, member: int) -> Layout:
    if not 0 <= member < len(model):
        raise InputError(f"member needs a number from 0 to {len(model) - 1}, got {member!r}.")
    return layout(model.network, model.encoder.shape, model.outputs)


# facts of what the networks, as they were, said of held-out rows
MEASURED = ("intervals", "horizon_scores", "held_out", "temperature")
