"""Masking hides whole columns, patches and stretches, and with `only` nothing else counts."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from perceptory.augmentation.base import About
from perceptory.augmentation.masking import Masking
from perceptory.errors import InputError

KEY = jax.random.key(3)
ANY = About(1, 0)


def masked(spec: Masking, shape: tuple[int, ...], about: About = ANY):
    x = np.ones(shape, np.float32)
    targets = x.reshape(len(x), -1) if x.ndim == 4 else x
    return map(np.asarray, spec.apply(x, targets, None, about, KEY))


def test_features_of_a_column_are_hidden_together():
    x, t = masked(Masking(0.4), (2000, 5), About(1, 0, columns=(0, 1, 1, 1, 2)))
    assert (x[:, 1] == x[:, 2]).all()
    assert (x[:, 1] == x[:, 3]).all()
    assert (x[:, 0] != x[:, 4]).any()
    np.testing.assert_allclose(1 - x.mean(axis=0), 0.4, atol=0.04)
    assert (t == 1).all()


def test_only_what_is_hidden_counts_by_the_columns_of_the_targets():
    about = About(1, 0, columns=(0, 1, 1), target_columns=(1, 1, 1, 0))
    x = np.ones((50, 3), np.float32)
    hidden, t = map(np.asarray, Masking(0.4, only=True).apply(x, np.ones((50, 4), np.float32), None, about, KEY))
    np.testing.assert_array_equal(~np.isnan(t[:, 3]), hidden[:, 0] == 0)
    for k in range(3):
        np.testing.assert_array_equal(~np.isnan(t[:, k]), hidden[:, 1] == 0)


@pytest.mark.parametrize("shape", [(4, 9, 7, 2), (4, 11, 2)])
def test_patches_and_stretches(shape):
    x, t = masked(Masking(0.5, patch=3, only=True), shape)
    places = x[..., 0]
    np.testing.assert_array_equal(x[..., 1], places)
    for axis, n in enumerate(shape[1:-1], start=1):  # what lies in one block is hidden alike
        firsts = np.take(places, np.arange(n) // 3 * 3, axis=axis)
        np.testing.assert_array_equal(firsts, places)
    assert 0 < (places == 0).mean() < 1
    np.testing.assert_array_equal(np.isnan(t), (x != 0).reshape(t.shape))


def test_strength_0_and_refusals():
    x, _ = masked(Masking(0.0), (3, 2))
    assert (x == 1).all()
    with pytest.raises(InputError, match="only=False"):
        Masking(0.3, only=True).check("table", "regression")
    with pytest.raises(InputError, match="share"):
        Masking(1.0)
