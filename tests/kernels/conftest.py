import jax
import numpy as np
import polars as pl
import pytest

import perceptory as pt
from perceptory import kernels
from perceptory.data import Encoder
from perceptory.kernels import build
from perceptory.models.model import Model
from perceptory.networks.base import layout


@pytest.fixture(scope="module")
def kernel(request):
    """The module's kernel, `KERNEL`, for both types of numbers; where there can be none, its tests are skipped."""
    if not build.possible():
        pytest.skip(f"kernels {kernels.status()}")
    for dtype in build.TYPES:
        assert build.loads(request.module.KERNEL, dtype), build.states()[request.module.KERNEL, dtype]


@pytest.fixture
def x64():
    with jax.enable_x64(True):
        yield


ROWS, TOWNS = 780, 130  # of a table, in one of whose columns a code of one byte is not enough


@pytest.fixture
def untrained():
    """Makes a model of a table whose networks have random weights: predictions need no training."""

    def made(network):
        """(model, its table): two networks for columns of numbers, of few and of many categories, and of dates."""
        random = np.random.default_rng(0)
        number = np.where(random.random(ROWS) < 0.2, np.nan, random.normal(3.0, 2.0, ROWS))
        day = pl.Series(random.integers(10_000, 12_000, ROWS), dtype=pl.Int32).cast(pl.Date)
        word = random.choice(["u", "v", None], ROWS).tolist()
        town = [None, *(f"t{k % TOWNS:03d}" for k in range(1, ROWS))]
        frame = pl.DataFrame({"n": number, "w": word, "day": day, "town": town, "y": random.normal(size=ROWS)})
        encoder = Encoder.fit(pt.read_table(frame, "y"))
        network = network.for_columns(encoder.kinds)
        x = encoder.transform(frame)
        center, factor = np.nanmean(x, axis=0), 1 / np.nanstd(x, axis=0)
        own = np.ones(len(center))
        for array, value in ((center, 0), (factor, 1), (own, 0)):
            array[list(network.unscaled)] = value
        arrays = layout(network, encoder.shape, (1,))
        weights = 0.3 * random.normal(size=(2, arrays.size)).astype(np.float32)
        for name, shape, part in zip(arrays.names, arrays.shapes, arrays.parts(weights.T), strict=True):
            if name.endswith("edges"):  # which ascend
                part[:] = np.sort(part.T.reshape(2, *shape), axis=2).reshape(2, -1).T
            elif name == "seen":
                part[:] = 1
        centers, factors = np.stack([center, center + 0.1 * own]), np.stack([factor, (1 + 0.5 * own) * factor])
        model = Model(
            "regression", ("y",), None, encoder, network, pt.SquaredError(), (1,), weights,
            centers, factors, np.ones((2, 1)), np.full((2, 1), 2.0),
        )  # fmt: skip
        return model, frame

    return made
