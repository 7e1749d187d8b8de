"""Principal directions against NumPy's singular values: subspace, weights, rank, many inputs."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from perceptory.ops import principal
from perceptory.ops.principal import orthonormal_columns, principal_directions

RANDOM = np.random.default_rng(0)
ROWS = RANDOM.normal(size=(300, 12)) @ RANDOM.normal(size=(12, 12)) + 5.0


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


def residual(x: np.ndarray, mean: np.ndarray, directions: np.ndarray, w: np.ndarray) -> float:
    centered = x - mean
    return float(np.sum(w[:, None] * (centered - centered @ directions @ directions.T) ** 2))


@pytest.mark.parametrize("way", ["covariance", "rows"])
def test_the_subspace_leaves_what_singular_values_leave(way, monkeypatch):
    if way == "rows":
        monkeypatch.setattr(principal, "WIDEST", 2)
    w = RANDOM.uniform(0.1, 2, len(ROWS))
    mean, directions = map(np.asarray, principal_directions(ROWS, w, 4, jax.random.key(0)))
    exact = np.average(ROWS, axis=0, weights=w)
    singular = np.linalg.svd(np.sqrt(w)[:, None] * (ROWS - exact), compute_uv=False)
    np.testing.assert_allclose(mean, exact, rtol=1e-5)
    np.testing.assert_allclose(directions.T @ directions, np.eye(4), atol=1e-5)
    assert residual(ROWS, mean, directions, w) == pytest.approx(float(np.sum(singular[4:] ** 2)), rel=1e-5)


def test_the_largest_variance_comes_first_and_a_row_of_weight_0_does_not_count():
    x = np.concatenate([ROWS, np.full((5, 12), 1e3)])
    w = np.r_[np.ones(len(ROWS)), np.zeros(5)]
    _, directions = principal_directions(x, w, 3, jax.random.key(0))
    variance = np.var(ROWS @ np.asarray(directions), axis=0)
    assert (np.diff(variance) < 0).all()
    np.testing.assert_allclose(variance, np.linalg.eigvalsh(np.cov(ROWS.T, bias=True))[::-1][:3], rtol=1e-3)


def test_directions_beyond_the_rank_are_0():
    x = np.repeat(RANDOM.normal(size=(40, 2)), 3, axis=1)  # six columns of rank two
    _, directions = map(np.asarray, principal_directions(x, np.ones(40), 8, jax.random.key(0)))
    assert directions.shape == (6, 8)
    np.testing.assert_allclose(directions.T @ directions, np.diag([1.0, 1, 0, 0, 0, 0, 0, 0]), atol=1e-5)


def test_a_column_of_nothing_but_rounding_is_0():
    a = np.array([[1.0, 1.0], [1.0, 1.0 + 1e-7], [0.0, 0.0]], np.float32)
    q = np.asarray(orthonormal_columns(a))
    np.testing.assert_allclose(q[:, 0], [0.5**0.5, 0.5**0.5, 0], rtol=1e-6)
    assert not q[:, 1].any()
