"""Models with random weights, made without training anything, and graphs run by two runtimes."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from perceptory import backend
from perceptory.data import ArrayEncoder
from perceptory.layers.arrays import pack
from perceptory.models.model import Model
from perceptory.networks.base import layout
from perceptory.objectives.table import Cost, SquaredError


def build_model(
    network, shape, outputs, *, members=2, precision="single", cost=None, task="regression", encoder=None, classes=None
):
    """Networks of random weights, each with scaling of its own, that fit together."""
    rng = np.random.default_rng(0)
    cost = SquaredError() if cost is None else cost
    kind = {1: "array", 2: "series", 3: "image"}[len(shape)]
    targets = outputs[-1] if task == "regression" else 1
    whole = cost.shape(outputs)
    with backend.precision(precision):
        net = jax.jit(lambda: pack(network.build(shape, whole, key=jax.random.key(0))))()
    weights = np.asarray(net, float) + 0.3 * rng.normal(size=(members, net.size))
    at = layout(network, shape, whole)
    variances = at.vector([name.endswith("variance") for name in at.names])
    weights[:, variances] = np.abs(weights[:, variances]) + 0.5
    width, unscaled = shape[-1], list(network.unscaled)
    center, factor = 0.1 * rng.normal(size=(members, width)), 1 + 0.2 * rng.random((members, width))
    center[:, unscaled], factor[:, unscaled] = 0, 1
    if encoder is None:
        names = tuple(f"y{i}" for i in range(targets)) if task != "autoencode" else ()
        encoder = ArrayEncoder(kind, shape, tuple(f"x{i}" for i in range(width)), names, -2.0, 2.0)
    columns = cost.targets_of(whole[-1]) if isinstance(cost, Cost) else targets
    return Model(
        task, encoder.target_names, classes, encoder, network, cost, whole, weights, center, factor,
        rng.normal(size=(members, columns)), 1 + rng.random((members, columns)), precision,
    )  # fmt: skip


@pytest.fixture
def make_model():
    return build_model
