"""Sums over rows as products: against NumPy's."""

import jax
import numpy as np
import pytest

from perceptory.ops import sums


@pytest.mark.parametrize("rows", [1, 64, 256, 257, 1000, 20_000])  # at once, in parts, and parts of parts
def test_running_sums_of_counts_are_exact(rows):
    counts = np.random.default_rng(0).integers(0, 2, (rows, 3)).astype(np.float32)
    assert np.array_equal(jax.jit(sums.running_sums)(counts), np.cumsum(counts, axis=0))


def test_deviations_are_about_the_mean():
    x = 1000 + np.random.default_rng(0).normal(size=(5000, 1))  # small beside the mean
    x = x.astype(np.float32)
    np.testing.assert_allclose(sums.deviations(x)[0], x[:, 0].astype(float).std(), rtol=1e-4)
