"""Correlation by fewer products: the transforms by hand, and equality with the plain sums."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from perceptory.ops.patches import correlate, windows_of
from perceptory.ops.toom_cook import MAX_POINTS, correlate_toom_cook, tile, transforms


@pytest.fixture(autouse=True)
def x64():
    with jax.enable_x64(True):
        yield


def test_two_outputs_of_three_taps_by_hand():
    """F(2, 3) at the points 0, 1, -1, infinity (Lavin & Gray 2016, with the factors 1/2 on the other side)."""
    b, g, a = transforms(2, 3)
    np.testing.assert_allclose(b, [[1, 0, -1, 0], [0, 0.5, 0.5, 0], [0, -0.5, 0.5, 0], [0, -1, 0, 1]])
    np.testing.assert_allclose(g, [[1, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 1]])
    np.testing.assert_allclose(a, [[1, 0], [1, 1], [1, -1], [0, 1]])


@pytest.mark.parametrize("size", range(1, MAX_POINTS))
def test_transforms_are_exact(size):
    """y_j = Σ_k g_k d_(j+k) for every basis vector of g and d."""
    for outputs in range(1, MAX_POINTS - size + 2):
        b, g, a = transforms(outputs, size)
        found = np.einsum("pj,pk,pi->jki", a, g, b)
        np.testing.assert_allclose(
            found, np.eye(outputs + size - 1)[np.add.outer(range(outputs), range(size))], atol=1e-12
        )


def test_tile():
    assert (tile(5, 256), tile(3, 256), tile(5, 10), tile(3, 2)) == (4, 6, 4, 2)


@pytest.mark.parametrize(("size", "padding", "length"), [(2, "valid", 9), (3, "same", 16), (5, "same", 4), (7, 2, 9)])
def test_one_axis(size, padding, length):
    check((length, 5), (size, 2, 4), windows_of(size, padding=padding, axes=1))


def test_two_axes():
    check((7, 9, 3), (3, 3, 2, 4), windows_of((3, 3), (2, 1), "same", (2, 1)))


def check(x_shape, kernel_shape, windows):
    random = np.random.default_rng(0)
    kernel = jnp.asarray(random.normal(size=kernel_shape))
    x = jnp.asarray(random.normal(size=(kernel_shape[-2], *x_shape)))

    def all_of(f):
        y, back = jax.vjp(f, x, kernel)
        return y, *back(jnp.cos(jnp.arange(y.size, dtype=y.dtype)).reshape(y.shape))

    ours, plain = jax.jit(
        lambda: (
            all_of(lambda x, k: correlate_toom_cook(x, k, windows)),
            all_of(lambda x, k: correlate(x, k.reshape(-1, k.shape[-1]), windows)),
        )
    )()
    for a, b in zip(ours, plain, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-12)


def test_error_in_single_precision_is_that_of_rounding():
    random = np.random.default_rng(0)
    x, kernel = random.normal(size=(32, 64, 8)), random.normal(size=(5, 32, 32))
    windows = windows_of(5, padding="same", axes=1)
    exact = jax.jit(lambda x, k: correlate(x, k.reshape(-1, 32), windows))(x, kernel)
    ours = jax.jit(lambda x, k: correlate_toom_cook(x, k, windows))(jnp.float32(x), jnp.float32(kernel))
    assert np.sqrt(np.mean((ours - exact) ** 2) / np.mean(exact**2)) < 2e-6
