"""Starting weights: bounds, variances, keys."""

import jax
import numpy as np
import pytest

from perceptory.ops.initializers import INITIALIZERS, initial_weights

IN, OUT = 150, 250
LIMITS = {
    "glorot": (6 / (IN + OUT)) ** 0.5,  # variance 2 / (in + out)
    "he": (6 / IN) ** 0.5,  # variance 2 / in
    "lecun": (3 / IN) ** 0.5,  # variance 1 / in
    "small": 0.1,
}


def one(name, seed, fan_in, fan_out):
    return np.asarray(initial_weights(jax.random.key(seed), [name], [(fan_in, fan_out)])[0])


@pytest.mark.parametrize("name", LIMITS)
def test_uniform_within_its_bounds_with_its_variance(name):
    w = one(name, 3, IN, OUT).astype(float)
    assert w.shape == (IN, OUT)
    assert np.abs(w).max() <= LIMITS[name] * (1 + 1e-6)
    assert np.abs(w).max() > 0.999 * LIMITS[name]
    variance = LIMITS[name] ** 2 / 3
    deviation = variance * np.sqrt(0.8 / w.size)  # of the estimate, for a uniform distribution
    assert abs(w.var() - variance) < 5 * deviation
    assert abs(w.mean()) < 5 * np.sqrt(variance / w.size)


@pytest.mark.parametrize("shape", [(40, 12), (12, 40), (7, 7)])
def test_orthogonal(shape):
    w = one("orthogonal", 0, *shape).astype(float)
    gram = w.T @ w if shape[0] >= shape[1] else w @ w.T
    np.testing.assert_allclose(gram, np.eye(min(shape)), atol=1e-5)


@pytest.mark.parametrize("name", INITIALIZERS)
def test_key_decides_and_precision_follows(name):
    assert np.array_equal(one(name, 1, 5, 4), one(name, 1, 5, 4))
    assert not np.array_equal(one(name, 1, 5, 4), one(name, 2, 5, 4))
    assert one(name, 1, 5, 4).dtype == np.float32
    with jax.enable_x64(True):
        assert one(name, 1, 5, 4).dtype == np.float64


@pytest.mark.parametrize("name", INITIALIZERS)
def test_layers_of_one_network_share_no_numbers(name):
    weights = initial_weights(jax.random.key(0), [name] * 3, [(6, 6)] * 3)
    flat = np.concatenate([np.ravel(w) for w in weights])
    assert len(np.unique(flat)) == flat.size


@pytest.mark.parametrize(
    ("name", "gain"),
    [("relu", 1), ("leaky_relu", 1), ("tanh", 0.62), ("linear", 1)],  # tanh: √E[tanh²(z)] for z of deviation 1
)
def test_by_default_a_layer_keeps_the_size_of_its_values(name, gain):
    """The reason for a start by activation: deep layers neither fade nor grow."""
    from perceptory.ops.activations import ACTIVATIONS

    random = np.random.default_rng(0)
    w = one(ACTIVATIONS[name].initializer, 0, 400, 400).astype(float)
    z = random.normal(size=(200, 400))
    v = np.asarray(ACTIVATIONS[name](jax.numpy.asarray(z)), float)
    assert np.sqrt(np.mean((v @ w) ** 2)) == pytest.approx(gain, rel=0.06)


def test_every_initializer_is_covered():
    assert set(LIMITS) | {"orthogonal", "nguyen_widrow"} == set(INITIALIZERS)


def test_nguyen_widrow_puts_the_slopes_side_by_side():
    """Every neuron's direction has the length 0.7 h^(1/n) / √3, and the biases go evenly from end to end."""
    from perceptory.ops.initializers import starting_bias

    w = one("nguyen_widrow", 0, 3, 8).astype(float)
    np.testing.assert_allclose(np.linalg.norm(w, axis=0), 0.7 * 8 ** (1 / 3) / 3**0.5, rtol=1e-6)
    b = np.asarray(starting_bias("nguyen_widrow", w.astype(np.float32)), float)
    np.testing.assert_allclose(b * np.sign(w[0]), 0.7 * 8 ** (1 / 3) * np.linspace(-1, 1, 8), rtol=1e-5, atol=1e-6)
    assert not np.any(starting_bias("glorot", w.astype(np.float32)))
