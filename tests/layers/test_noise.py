"""Noise on values and weights: its distribution, where it falls, and that use has none."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import kstest

from perceptory.errors import InputError
from perceptory.layers.arrays import arrays_of, pack, unpack
from perceptory.layers.noise import Noise, WeightNoise, disturbed
from perceptory.layers.sequential import Sequential
from perceptory.networks.base import layout
from perceptory.networks.mlp import MLP
from perceptory.specs import combine, partition

KEY = jax.random.key(0)


def linear(**noise):
    """y = 2 x₁ - 3 x₂ + 0.5."""
    spec = MLP((), **noise)
    return unpack(spec.build((2,), (1,), key=KEY), jnp.array([2.0, -3.0, 0.5]))


def spread(net, times=4000):
    """Standard deviation and mean of training passes at x = (1, 2)."""
    passes = jax.jit(jax.vmap(lambda key: net(jnp.array([[1.0, 2.0]]), key)[0, 0]))(jax.random.split(KEY, times))
    return float(passes.std()), float(passes.mean())


def test_noise_is_normal_and_fresh_for_every_value():
    x = jnp.full((3, 1000), 5.0)
    made = np.asarray(Noise(0.2)(x, KEY)).astype(float)
    assert kstest((made.ravel() - 5) / 0.2, "norm").pvalue > 1e-3
    assert len(np.unique(made)) > 2900
    assert np.array_equal(Noise(0.2)(x), x)


@pytest.mark.parametrize(
    ("noise", "expected"),
    [
        ({"input_noise": 0.1}, 0.1 * np.sqrt(2**2 + 3**2)),  # σ ‖w‖
        ({"weight_noise": 0.1}, 0.1 * np.sqrt(1**2 + 2**2)),  # σ ‖x‖: the bias is left alone
        ({"output_noise": 0.1}, 0.1),
        ({"input_noise": 0.1, "output_noise": 0.2}, np.sqrt(0.13 + 0.04)),
    ],
)
def test_spread_of_a_linear_network(noise, expected):
    net = linear(**noise)
    std, mean = spread(net)
    assert std == pytest.approx(expected, rel=0.05)
    assert abs(mean + 3.5) < 5 * expected / np.sqrt(4000)
    assert float(net(jnp.array([[1.0, 2.0]]))[0, 0]) == pytest.approx(-3.5)


def test_weight_noise_is_one_for_all_rows_and_new_for_every_key():
    net = linear(weight_noise=0.1)
    x = jnp.array([[1.0, 2.0], [1.0, 2.0]])
    first, second = net(x, KEY), net(x, jax.random.key(1))
    assert first[0] == first[1]
    assert first[0] != second[0]


def test_weight_noise_disturbs_every_weight_and_no_bias():
    module = MLP((3, 4), norm="layer").build((2,), (1,), key=KEY)
    moved = disturbed(module, jnp.asarray(0.1), KEY)
    differences = [np.asarray(a) - np.asarray(b) for a, b in zip(arrays_of(moved), arrays_of(module), strict=True)]
    assert [bool(d.all()) for d in differences] == [d.ndim == 2 for d in differences]
    weights = np.concatenate([d.ravel() for d in differences if d.ndim == 2])
    assert len(np.unique(weights)) == weights.size


def test_noise_of_zero_is_left_out():
    assert not MLP((3,)).stochastic
    assert isinstance(MLP((3,)).build((2,), (1,), key=KEY), Sequential)
    assert isinstance(MLP((3,), weight_noise=0.1).build((2,), (1,), key=KEY), WeightNoise)
    for name in ("input_noise", "weight_noise", "output_noise"):
        static, numbers = partition(MLP((3,), **{name: 0.3}))
        assert numbers == (0.3,)
        assert static.stochastic
        assert partition(MLP((3,), **{name: 0.7}))[0] == static
        assert partition(MLP((3,), **{name: 0.0})) == (MLP((3,)), ())
        with pytest.raises(InputError, match=rf"MLP\.{name} needs a number of at least 0"):
            MLP((3,), **{name: -0.1})


def test_a_traced_strength_scales_the_noise_and_its_gradient():
    static, _ = partition(MLP((3,), input_noise=0.1, weight_noise=0.1, output_noise=0.1))
    plain = MLP((3,)).build((2,), (1,), key=KEY)
    vector = pack(plain)
    assert layout(static, (2,), (1,)).size == vector.size  # a strength is no weight

    def output(numbers, vector):
        net = unpack(combine(static, numbers).build((2,), (1,), key=KEY), vector)
        return net(jnp.ones((4, 2)), jax.random.key(3))

    run = jax.jit(output)
    np.testing.assert_allclose(run(jnp.zeros(3), vector), plain(jnp.ones((4, 2))), rtol=1e-6)
    together = jax.jit(jax.vmap(output, (0, None)))(jnp.array([[0.0, 0.0, 0.0], [0.1, 0.2, 0.3]]), vector)
    np.testing.assert_allclose(together[1], run(jnp.array([0.1, 0.2, 0.3]), vector), rtol=1e-5)
    with jax.enable_x64(True):
        x, start = jnp.ones((4, 2)), np.asarray(vector, float)
        noisy = MLP((3,), input_noise=0.1, weight_noise=0.1).build((2,), (1,), key=KEY)
        total = jax.jit(lambda v: jnp.sum(unpack(noisy, v)(x, KEY)))
        gradient = np.asarray(jax.jit(jax.grad(total))(start))
        for i in range(start.size):
            step = 1e-6 * (np.arange(start.size) == i)
            assert gradient[i] == pytest.approx(
                float(total(start + step) - total(start - step)) / 2e-6, rel=1e-6, abs=1e-8
            )
