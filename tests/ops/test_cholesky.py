"""Factorizations as loops, against LAPACK by NumPy and SciPy."""

import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

import perceptory
from perceptory.ops import cholesky as factors
from perceptory.ops.cholesky import cholesky, cholesky_solve, factorize, forward_substitution, orthonormal, solve


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


@pytest.mark.parametrize("shape", [(1, 1), (6, 6), (9, 4)])
def test_orthonormal_is_q_of_a_positive_r(shape):
    a = np.random.default_rng(0).normal(size=shape)
    q, r = np.linalg.qr(a)
    np.testing.assert_allclose(orthonormal(a), q * np.sign(np.diag(r)), atol=1e-12)


def test_orthonormal_of_nearly_equal_columns_in_single_precision():
    a = np.random.default_rng(1).normal(size=(40, 1)) + 1e-3 * np.random.default_rng(2).normal(size=(40, 30))
    q = np.asarray(orthonormal(a.astype(np.float32)), float)
    np.testing.assert_allclose(q.T @ q, np.eye(30), atol=2e-6)


@pytest.mark.parametrize("size", [1, 7])
def test_cholesky_and_its_solution(size):
    random = np.random.default_rng(3)
    b = random.normal(size=(size, size + 2))
    a, right = jnp.asarray(b @ b.T), jnp.asarray(random.normal(size=(size, 3)))
    factor = cholesky(a)
    np.testing.assert_allclose(factor, np.linalg.cholesky(a), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(cholesky_solve(factor, right), scipy.linalg.solve(a, right, assume_a="pos"), rtol=1e-8)


def test_what_is_not_positive_definite_gives_nan():
    assert np.isnan(cholesky(jnp.array([[1.0, 2.0], [2.0, 1.0]]))).any()


def test_mapped_equals_alone():
    a = jnp.asarray(np.random.default_rng(4).normal(size=(3, 5, 5)))
    for k, q in enumerate(jax.vmap(orthonormal)(a)):
        np.testing.assert_allclose(q, orthonormal(a[k]), atol=1e-12)


@pytest.mark.parametrize("size", [3, 5, 15, 37])
def test_factors_by_blocks(as_users, size, monkeypatch):
    """Sizes of one leaf, of two halves, of several, and of several panels; one of three is not positive definite."""
    monkeypatch.setattr(factors, "LEAF", 4)
    monkeypatch.setattr(factors, "PANEL", 16)
    random = np.random.default_rng(6)
    b = random.normal(size=(3, size, size + 4))
    a, right = b @ b.swapaxes(1, 2), random.normal(size=(3, size, 2))
    a[1, -1, -1] = -1.0

    def both(a, right):
        factor = factorize(a)
        return solve(factor, right), forward_substitution(factor, right)

    compile_ = as_users if size == 15 else jax.jit
    x, y = map(np.asarray, compile_(jax.vmap(both))(a, right))
    for k in (0, 2):
        np.testing.assert_allclose(x[k], scipy.linalg.solve(a[k], right[k], assume_a="pos"), rtol=1e-6)
        np.testing.assert_allclose(y[k].T @ y[k], right[k].T @ x[k], rtol=1e-7)
    assert not np.isfinite(x[1]).all()


def test_no_program_calls_lapack():
    """It deadlocks where two devices do so at once."""
    called = re.compile(r"linalg\.|initializers\.orthogonal\(")
    apart = {"least_squares.py"}  # on one device, and on the host
    for folder in ("ops", "layers", "networks", "optimizers", "training"):
        for path in (Path(perceptory.__file__).parent / folder).glob("*.py"):
            assert path.name in apart or not called.search(path.read_text()), path.name
