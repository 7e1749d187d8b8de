"""Weight averages against NumPy."""

import jax.numpy as jnp
import numpy as np
import pytest

from perceptory import WeightAverage
from perceptory.errors import InputError
from perceptory.specs import from_json, to_json


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.9, 0.999, 1, 1.0])
@pytest.mark.parametrize("start", [0.0, 0.5])
def test_the_weighted_mean_of_what_was_seen(decay, start):
    weights = np.random.default_rng(0).normal(size=(8, 3))
    average, rule = (jnp.zeros(3, jnp.float32),), WeightAverage(decay, start)
    for epoch in range(1, 9):
        average = rule.after(average, (jnp.asarray(weights[epoch - 1], jnp.float32),), epoch, 8)
        seen = weights[:epoch][int(start * 8) :] if epoch > start * 8 else weights[epoch - 1 : epoch]
        share = float(decay) ** np.arange(len(seen))[::-1]
        np.testing.assert_allclose(average[0], share @ seen / share.sum(), rtol=2e-4, atol=1e-5)


@pytest.mark.parametrize(("bad", "message"), [
    ({"decay": 1.1}, r"WeightAverage\.decay needs a number from 0 to 1, got 1\.1"),
    ({"decay": -0.1}, r"WeightAverage\.decay needs a number from 0 to 1"),
    ({"decay": True}, r"WeightAverage\.decay needs a number from 0 to 1"),
    ({"start": 1.0}, r"WeightAverage\.start needs a number of at least 0 and below 1"),
])  # fmt: skip
def test_bad_numbers(bad, message):
    with pytest.raises(InputError, match=message):
        WeightAverage(**bad)


def test_json_and_label():
    assert from_json(to_json(WeightAverage(0.8, 0.25))) == WeightAverage(0.8, 0.25)
    assert WeightAverage(0.8).label == "average 0.8"
