"""Layer and batch normalization: values, PyTorch, differences, padding, calibration."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from perceptory.layers.arrays import arrays_of, pack, unpack, with_arrays
from perceptory.layers.norm import EPSILON, NORMS, BatchNorm, LayerNorm, calibrate, is_stored
from perceptory.networks.base import layout
from perceptory.networks.mlp import MLP

KEY = jax.random.key(0)


@pytest.fixture
def x64():
    with jax.enable_x64(True):
        yield


def test_layer_norm_by_hand():
    """(1, 3) has mean 2 and variance 1; (5, 5) has variance 0."""
    layer = with_arrays(LayerNorm(2), [jnp.array([2.0, 3.0]), jnp.array([0.5, 0.0])])
    one = 1 / np.sqrt(1 + EPSILON)
    np.testing.assert_allclose(
        layer(jnp.array([[1.0, 3.0], [5.0, 5.0]])), [[0.5 - 2 * one, 3 * one], [0.5, 0]], rtol=1e-6
    )


def test_batch_norm_by_hand():
    """Columns (1, 3) and (4, 4) in training; stored mean 1 and variance 4 in use."""
    layer = BatchNorm(2)
    x = jnp.array([[1.0, 4.0], [3.0, 4.0]])
    one = 1 / np.sqrt(1 + EPSILON)
    np.testing.assert_allclose(layer(x, KEY), [[-one, 0], [one, 0]], rtol=1e-6)
    stored = with_arrays(layer, [jnp.ones(2), jnp.zeros(2), jnp.ones(2), jnp.full(2, 4.0)])
    np.testing.assert_allclose(stored(x), (np.asarray(x) - 1) / np.sqrt(4 + EPSILON), rtol=1e-6)


@pytest.mark.parametrize("shape", [(6, 3), (4, 5, 3), (2, 4, 4, 3)])
def test_equal_to_pytorch(shape):
    torch = pytest.importorskip("torch")
    random = np.random.default_rng(0)
    x = random.normal(3, 2, size=shape).astype(np.float32)
    scale, shift = random.normal(size=(2, 3)).astype(np.float32)
    ours = with_arrays(LayerNorm(3), [jnp.asarray(scale), jnp.asarray(shift)])(jnp.asarray(x))
    theirs = torch.nn.functional.layer_norm(torch.tensor(x), (3,), torch.tensor(scale), torch.tensor(shift))
    np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-4, atol=1e-5)
    rest = [jnp.zeros(3), jnp.ones(3)]
    ours = with_arrays(BatchNorm(3), [jnp.asarray(scale), jnp.asarray(shift), *rest])(jnp.asarray(x), KEY)
    first = torch.tensor(np.moveaxis(x, -1, 1))
    theirs = torch.nn.functional.batch_norm(
        first, torch.zeros(3), torch.ones(3), torch.tensor(scale), torch.tensor(shift), training=True
    )
    np.testing.assert_allclose(ours, np.moveaxis(theirs.numpy(), 1, -1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", NORMS)
@pytest.mark.parametrize("training", [True, False])
def test_gradient_against_differences(kind, training, x64):
    random = np.random.default_rng(1)
    x, out = random.normal(size=(4, 2, 3)), random.normal(size=(4, 2, 3))
    weights = {"weights": jnp.array([0.5, 0.2, 0.3, 0.0])} if kind == "batch" and training else {}
    layer = NORMS[kind](3)
    start = np.asarray(pack(layer)) + 0.3 * random.random(pack(layer).size)

    @jax.jit
    def total(vector, x):
        return jnp.sum(unpack(layer, vector)(x, KEY if training else None, **weights) * out)

    for argument, value in enumerate((start, x)):
        gradient = np.ravel(jax.grad(total, argument)(start, x))
        for i in range(value.size):
            step = np.zeros_like(value)
            step.flat[i] = 1e-6
            ahead, behind = [start, x], [start, x]
            ahead[argument], behind[argument] = value + step, value - step
            assert gradient[i] == pytest.approx(float(total(*ahead) - total(*behind)) / 2e-6, rel=1e-6, abs=1e-8)
    if kind == "batch" and training:
        assert not np.any(jax.grad(total)(start, x)[6:])  # nothing moves what is stored


def test_padding_rows_do_not_count():
    random = np.random.default_rng(2)
    x = random.normal(size=(5, 3)).astype(np.float32)
    padded = jnp.concatenate([x, jnp.full((3, 3), 1e3)])
    w = jnp.array([1, 2, 1, 1, 1, 0, 0, 0.0])
    layer = BatchNorm(3)
    mean = np.average(x, axis=0, weights=w[:5])
    variance = np.average((x - mean) ** 2, axis=0, weights=w[:5])
    np.testing.assert_allclose(
        layer(padded, KEY, weights=w)[:5], (x - mean) / np.sqrt(variance + EPSILON), rtol=2e-4, atol=1e-5
    )
    np.testing.assert_allclose(layer(padded, KEY, weights=w / 6), layer(padded, KEY, weights=w), rtol=1e-5)
    stored = layer.calibrate(padded, w)
    np.testing.assert_allclose(stored.mean, mean, rtol=1e-5)
    np.testing.assert_allclose(stored.variance, variance, rtol=1e-5)
    empty = layer.calibrate(padded, jnp.zeros(8))
    assert np.isfinite(empty(padded)).all()
    assert np.isfinite(layer(padded, KEY, weights=jnp.zeros(8))).all()


def test_use_equals_training_on_the_rows_of_calibration():
    """Two hidden layers, one residual: with all rows in one batch, stored statistics are the batch's own."""
    spec = MLP((4, 4), norm="batch", residual=True)
    random = np.random.default_rng(3)
    x, w = jnp.asarray(random.normal(size=(9, 3)), jnp.float32), jnp.asarray(np.arange(9) < 7, jnp.float32)
    net = spec.build((3,), (1,), key=KEY)
    in_training = net(x, KEY, weights=w)
    done = jax.jit(lambda: pack(spec.calibrate(net, lambda: (x, w))))()
    ready = unpack(net, done)
    np.testing.assert_allclose(ready(x), in_training, rtol=1e-4, atol=1e-5)
    assert not np.allclose(net(x), in_training, atol=1e-2)
    # only the stored statistics have changed
    names = layout(spec, (3,), (1,)).names
    changed = [not np.array_equal(a, b) for a, b in zip(arrays_of(net), arrays_of(ready), strict=True)]
    assert changed == [is_stored(name) for name in names] == [not spec.trains(name) for name in names]
    assert sum(changed) == 4


def test_calibration_is_bounded_and_takes_rows_from_everywhere():
    spec = MLP((2,), norm="batch", activation="linear")
    net = spec.build((1,), (1,), key=KEY)
    x = jnp.arange(1024.0)[:, None] / 100
    few = calibrate(net, x, jnp.ones(1024), 1 << 30)
    every = calibrate(net, x, jnp.ones(1024), 1)
    np.testing.assert_allclose(few.layers[1].variance, every.layers[1].variance, rtol=0.02)
    np.testing.assert_allclose(
        few.layers[1].variance,
        every.layers[1].variance * np.var(np.arange(0, 1024, 4)) / np.var(np.arange(1024)),
        rtol=1e-4,
    )


def test_a_mapped_member_equals_itself_alone():
    spec = MLP((3,), norm="batch", dropout=0.2)
    random = np.random.default_rng(4)
    x, w = jnp.asarray(random.normal(size=(3, 8, 2)), jnp.float32), jnp.asarray(random.random((3, 8)), jnp.float32)
    vectors = jnp.stack([pack(spec.build((2,), (1,), key=jax.random.key(i))) for i in range(3)])
    net = spec.build((2,), (1,), key=KEY)

    def both(vector, x, w, key):
        new = spec.calibrate(unpack(net, vector), lambda: (x, w))
        return new(x, key, weights=w), new(x)

    keys = jax.random.split(KEY, 3)
    together, alone = jax.jit(jax.vmap(both))(vectors, x, w, keys), jax.jit(both)
    for i in range(3):
        one = alone(vectors[i], x[i], w[i], keys[i])
        for a, b, c in zip(together, one, both(vectors[i], x[i], w[i], keys[i]), strict=True):
            np.testing.assert_allclose(a[i], b, rtol=1e-5, atol=1e-6)
            np.testing.assert_allclose(c, b, rtol=1e-5, atol=1e-6)
