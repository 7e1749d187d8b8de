"""Layers of a chain that change how many places there are, and grouped convolution: by hand and against PyTorch."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from perceptory import backend
from perceptory.errors import InputError
from perceptory.layers.arrays import arrays_of, with_arrays
from perceptory.networks.chain_layers import ConvolutionLayer
from perceptory.networks.chain_places import PoolLayer, TransposedConvolutionLayer, UpsamplingLayer
from perceptory.networks.chain_units import PReLULayer
from perceptory.networks.cnn import CNN

KEY = jax.random.key(0)


@pytest.fixture(autouse=True)
def x64():
    with jax.enable_x64(True):
        yield


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def series(layer, *values):
    """What a layer gives of a series of one channel."""
    module, shape = layer.build((len(values), 1), key=KEY)
    y = module(jnp.array(values, float).reshape(1, -1, 1))
    assert y.shape == (1, *shape)
    return y[0, :, 0].tolist()


def test_pools_by_hand():
    assert series(PoolLayer(2), 1, 3, 2, 5, 4) == [3, 5]
    assert series(PoolLayer(3, 1), 1, 3, 2, 5, 4) == [3, 5, 5]
    assert series(PoolLayer(2, padding="same"), -1, -3, -2) == [-1, -2]
    assert series(PoolLayer(2, padding="same", pooling="average"), 1, 3, 2) == [2, 2]
    assert series(PoolLayer(2, padding="same", pooling="average", zeros=True), 1, 3, 2) == [2, 1]
    # of 4 places with stride 2 "same" sees one zero on each side, Keras's one behind, ONNX's SAME_LOWER one in front
    assert series(PoolLayer(3, 2, "same"), 4, 3, 5, 6) == [4, 6]
    assert series(PoolLayer(3, 2, "same_upper"), 4, 3, 5, 6) == [5, 6]
    assert series(PoolLayer(3, 2, "same_lower", "average"), 4, 2, 6, 7) == [3, 5]


def test_upsampling_by_hand():
    assert series(UpsamplingLayer(2), 1, 2, 3) == [1, 1, 2, 2, 3, 3]
    assert series(UpsamplingLayer(output=4), 1, 2, 3) == [1, 1, 2, 3]
    assert series(UpsamplingLayer(output=2), 1, 2, 3) == [1, 2]
    module, shape = UpsamplingLayer((1, 2)).build((2, 2, 1), key=KEY)
    assert shape == (2, 4, 1)
    np.testing.assert_array_equal(module(jnp.arange(4.0).reshape(1, 2, 2, 1))[0, ..., 0], [[0, 0, 1, 1], [2, 2, 3, 3]])


def test_paddings_of_other_libraries_by_hand():
    """Kernel 1 10 100 over 1 2 3 4 with stride 2."""
    for padding, expected in {
        "same": [210, 432],  # 0 1 2 | 2 3 4
        "same_upper": [321, 43],  # 1 2 3 | 3 4 0: Keras's and TensorFlow's "same"
        "same_lower": [210, 432],
    }.items():
        module, _ = ConvolutionLayer(1, 3, 2, padding, activation="linear").build((4, 1), key=KEY)
        module = with_arrays(module, (jnp.array([1.0, 10, 100]).reshape(3, 1, 1), jnp.zeros(1)))
        y = module(jnp.array([1.0, 2, 3, 4]).reshape(1, 4, 1))
        assert y[0, :, 0].tolist() == expected, padding


def test_groups_by_hand(monkeypatch):
    """Two channels in, four out: the first two see the first channel alone."""
    module, _ = ConvolutionLayer(4, 1, activation="linear", groups=2).build((3, 2), key=KEY)
    assert module.weight.shape == (1, 1, 4)
    module = with_arrays(module, (jnp.array([1.0, 2, 3, 4]).reshape(1, 1, 4), jnp.array([0.0, 0, 0, 9])))
    x = jnp.array([[1.0, 10], [2, 20], [3, 30]])[None]
    expected = [[1, 2, 30, 49], [2, 4, 60, 89], [3, 6, 90, 129]]
    np.testing.assert_array_equal(module(x)[0], expected)
    monkeypatch.setattr(backend, "native", lambda: True)
    np.testing.assert_array_equal(module(x)[0], expected)


def test_torch():
    """Values, and the gradients by inputs and weights, of all of them in one compilation."""
    torch = pytest.importorskip("torch")
    nn, f = torch.nn, torch.nn.functional
    pairs = [
        (PoolLayer((3, 2), (1, 2), (1, 0)), lambda x: f.max_pool2d(x, (3, 2), (1, 2), (1, 0))),
        (PoolLayer(3, 2, 1, "average"), lambda x: f.avg_pool2d(x, 3, 2, 1, count_include_pad=False)),
        (PoolLayer(3, 2, 1, "average", True), lambda x: f.avg_pool2d(x, 3, 2, 1)),
        (UpsamplingLayer((2, 3)), lambda x: f.interpolate(x, scale_factor=(2, 3))),
        (UpsamplingLayer(output=(7, 9)), lambda x: f.interpolate(x, size=(7, 9))),
        (PReLULayer(0.3), nn.PReLU(4, 0.3)),
        (ConvolutionLayer(6, 3, activation="relu", groups=2), nn.Conv2d(4, 6, 3, padding=1, groups=2)),
        (ConvolutionLayer(8, 3, 2, 1, activation="linear", groups=4), nn.Conv2d(4, 8, 3, 2, 1, groups=4)),
    ]
    x = numbers(8, 5, 6, 4)
    modules = [layer.build(x.shape[1:], key=jax.random.key(i))[0] for i, (layer, _) in enumerate(pairs)]

    def total(module, x):
        y = module(x)
        return jnp.sum(y * jnp.cos(jnp.arange(y.size, dtype=y.dtype)).reshape(y.shape)), y

    @eqx.filter_jit
    def run(modules, x):
        both = eqx.filter_value_and_grad(lambda m: total(m[0], m[1]), has_aux=True)
        return [both((m, x)) for m in modules]

    for (layer, theirs), module, ((_, y), (slopes, dx)) in zip(
        pairs, modules, run(modules, jnp.asarray(x)), strict=True
    ):
        own = arrays_of(module)
        if isinstance(theirs, nn.Module):
            theirs.double()
            order = (3, 2, 0, 1)
            for parameter, array in zip(theirs.parameters(), own, strict=True):
                with torch.no_grad():
                    parameter.copy_(torch.tensor(np.transpose(array, order) if array.ndim == 4 else np.array(array)))
        t = torch.tensor(x, requires_grad=True)
        expected = theirs(t.movedim(-1, 1)).movedim(1, -1)
        expected = expected.relu() if getattr(layer, "activation", "") == "relu" else expected
        weights = torch.cos(torch.arange(expected.numel(), dtype=torch.float64)).reshape(expected.shape)
        (expected * weights).sum().backward()
        np.testing.assert_allclose(y, expected.detach(), atol=1e-12, err_msg=str(layer))
        np.testing.assert_allclose(dx, t.grad, atol=1e-11, err_msg=str(layer))
        if isinstance(theirs, nn.Module):
            for slope, parameter in zip(arrays_of(slopes), theirs.parameters(), strict=True):
                gradient = parameter.grad.numpy()
                gradient = gradient.transpose(np.argsort(order)) if gradient.ndim == 4 else gradient
                np.testing.assert_allclose(slope, gradient, atol=1e-10, err_msg=str(layer))


def test_members_with_groups_equal_one_alone():
    spec = CNN((4, 4), groups=(2, 4), hidden=())
    net = spec.build((6, 6, 2), (1,), key=KEY)
    x = jnp.asarray(numbers(9, 6, 6, 2))
    cost = lambda arrays: jnp.sum(with_arrays(net, arrays)(x) ** 2)  # noqa: E731
    arrays = arrays_of(net)
    together = jax.jit(jax.vmap(jax.grad(cost)))([jnp.stack([a, 2 * a]) for a in arrays])
    for both, alone in zip(together, jax.jit(jax.grad(cost))(arrays), strict=True):
        np.testing.assert_allclose(both[0], alone, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("layer", "inputs", "message"),
    [
        (PoolLayer(), (7,), r"PoolLayer needs images.*got \(7,\)\. Put ReshapeLayer"),
        (PoolLayer(2, padding=2), (7, 1), "smaller than the pool, got 2 for 2"),
        (PoolLayer(9), (7, 1), "a pool of 9 steps does not fit into 7"),
        (UpsamplingLayer((2, 2)), (7, 1), "one entry for each of 1 axes"),
        (TransposedConvolutionLayer(2), (7,), "needs images"),
        (TransposedConvolutionLayer(2, padding="same_upper"), (7, 1), 'needs "valid"'),
        (ConvolutionLayer(4, groups=3), (7, 6), "stage 1 leads from 6 channels to 4.*3 groups"),
    ],
)
def test_refusals(layer, inputs, message):
    with pytest.raises(InputError, match=message):
        layer.build(inputs, key=KEY)
