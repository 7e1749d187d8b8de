from __future__ import annotations

import numpy as np
import pytest

from perceptory import RNN, InputError, SequenceRegressor

SMALL = {"epochs": 80, "learning_rate": 0.02, "random_state": 0}


@pytest.fixture(scope="module")
def series():
    """X [80, 6, 2], y [80]: the sum of the first channel."""
    X = np.random.default_rng(0).normal(size=(80, 6, 2))
    return X, X[:, :, 0].sum(axis=1)


def test_one_value_a_series(series, tmp_path):
    X, y = series
    network = SequenceRegressor((8,), cell="gru", **SMALL).fit(X, y)
    assert network.score(X, y) > 0.8
    assert network.predict(X[:, :4]).shape == (80,)  # another number of steps
    assert network.predict_interval(X, 0.5).shape == (80, 2)
    network.to_file(tmp_path / "series.safetensors")
    again = SequenceRegressor.from_file(tmp_path / "series.safetensors")
    np.testing.assert_array_equal(again.predict(X), network.predict(X))
    with pytest.raises(InputError, match="X has 1 features, but SequenceRegressor is expecting 2"):
        network.predict(X[:, :, :1])


def test_a_value_every_step(series):
    X, _ = series
    y = X[:, :, :1].cumsum(axis=1)
    network = SequenceRegressor(RNN((8,)), validation_fraction=0, **SMALL).fit(X.astype(np.float32), y)
    assert network.predict(X).shape == (80, 6)
    assert np.corrcoef(network.predict(X).ravel(), y.ravel())[0, 1] > 0.9
