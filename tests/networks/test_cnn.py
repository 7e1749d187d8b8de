"""The CNN spec: against PyTorch by value, shapes it gives and refuses, lengths, causality, members."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from perceptory import backend
from perceptory.errors import InputError
from perceptory.layers.arrays import pack, unpack
from perceptory.networks.base import layout
from perceptory.networks.cnn import CNN
from perceptory.specs import combine, from_json, partition, to_json

LENET = CNN((6, 16), kernel=5, padding=("same", "valid"), hidden=(120, 84), activation="tanh")


@pytest.fixture(autouse=True)
def x64():
    with jax.enable_x64(True):
        yield


def numbers(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape))


def test_lenet_has_61706_weights():
    """156 + 2416 + 48120 + 10164 + 850, as in every textbook's table of it (with all 6 maps seen by all 16)."""
    shape = layout(LENET, (28, 28, 1), (10,))
    assert shape.size == 61706
    assert shape.names[0] == "stages.0.weight"
    assert shape.shapes[:4] == ((5, 5, 1, 6), (6,), (5, 5, 6, 16), (16,))


@pytest.mark.parametrize(("activation", "pooling"), [("relu", "max"), ("tanh", "average")])
def test_torch(activation, pooling):
    """Outputs and the gradient of every weight of a small LeNet."""
    torch = pytest.importorskip("torch")
    spec = CNN((2, 3), 3, padding=("same", "valid"), pooling=pooling, hidden=(4,), activation=activation)
    net = spec.build((9, 8, 1), (2,), key=jax.random.key(0))
    net = unpack(net, numbers(layout(spec, (9, 8, 1), (2,)).size) * 0.5)
    x, g = numbers(3, 9, 8, 1), numbers(3, 2, seed=1)
    y, grads = eqx.filter_jit(lambda net: (net(x), eqx.filter_grad(lambda net: (net(x) * g).sum())(net)))(net)

    sigma = {"relu": torch.relu, "tanh": torch.tanh}[activation]
    pool = {"max": torch.nn.functional.max_pool2d, "average": torch.nn.functional.avg_pool2d}[pooling]
    t = [torch.tensor(np.array(a), requires_grad=True) for a in jax.tree.leaves(eqx.filter(net, eqx.is_array))]
    w1, b1, w2, b2, w3, b3, w4, b4 = t
    v = torch.tensor(np.array(x)).permute(0, 3, 1, 2)
    v = pool(sigma(torch.nn.functional.conv2d(v, w1.permute(3, 2, 0, 1), b1, padding=1)), 2)
    v = pool(sigma(torch.nn.functional.conv2d(v, w2.permute(3, 2, 0, 1), b2)), 2)
    v = sigma(v.permute(0, 2, 3, 1).flatten(1) @ w3 + b3) @ w4 + b4
    (v * torch.tensor(np.array(g))).sum().backward()
    np.testing.assert_allclose(y, v.detach(), rtol=1e-12)
    for a, b in zip(jax.tree.leaves(eqx.filter(grads, eqx.is_array)), t, strict=True):
        np.testing.assert_allclose(a, b.grad, rtol=1e-10, atol=1e-12)


SERIES = {
    "global": (CNN((3, 4), kernel=(3, 4), head="global", hidden=(5,)), (2,)),
    "average": (CNN((3, 4), stride=(2, 1), head="global", pooling="average", activation="gelu", hidden=()), (2,)),
    "valid": (CNN((3, 4), padding="valid", dilation=(2, 1), pool=(2, 1), head="global", activation="silu"), (2,)),
    "steps": (CNN((3, 4), dilation=(1, 2), hidden=(5,)), (1, 2)),
}


@pytest.mark.parametrize("name", SERIES)
def test_padding_changes_no_value(name):
    """A series of 13 steps in a row of 20, with anything in the padding, has the outputs of the series alone."""
    spec, outputs = SERIES[name]
    outputs = outputs if len(outputs) == 1 else (20, 2)
    net = spec.build((20, 2), outputs, key=jax.random.key(1))
    x = numbers(3, 20, 2)
    run = eqx.filter_jit(lambda net, x, lengths=None: net(x, lengths=lengths))
    y = run(net, x.at[1, 13:].set(1e3), jnp.array([20, 13, 0], jnp.int32))
    alone = run(net, x[1:2, :13])
    whole = run(net, x[:1])
    np.testing.assert_allclose(y[:1], whole, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(y[1, :13] if len(outputs) == 2 else y[1], alone[0], rtol=1e-12, atol=1e-14)
    assert np.isfinite(y).all()
    if len(outputs) == 2:
        np.testing.assert_array_equal(y[1, 13:], 0)


def test_causal_network_sees_nothing_later():
    spec = CNN((3, 3, 3), kernel=2, dilation=(1, 2, 4), padding="causal", hidden=(4,), activation="tanh")
    net = spec.build((12, 1), (12, 2), key=jax.random.key(0))
    x = numbers(1, 12, 1)
    jacobian = jax.jit(jax.jacobian(lambda x: net(x[None, :, None])[0, :, 0]))(x[0, :, 0])
    assert np.all(np.triu(jacobian, 1) == 0)
    assert np.all(np.abs(np.diagonal(jacobian, -7)) > 0)  # 1 + 1 + 2 + 4 steps are seen
    assert np.all(np.tril(jacobian, -8) == 0)


def test_library_path_gives_the_same(monkeypatch):
    network, x = CNN((2, 3), hidden=(), activation="gelu"), numbers(2, 8, 6, 2)

    def run():
        return jax.jit(lambda x: network.build((8, 6, 2), (2,), key=jax.random.key(0))(x))(x)

    ours = run()
    monkeypatch.setattr(backend, "native", lambda: True)
    np.testing.assert_allclose(run(), ours, rtol=1e-10)


def test_members_equal_one_alone():
    """vmap over the weights of 3 networks, data in common, gradients too."""
    spec = CNN((2, 3), hidden=(4,))
    x, net = numbers(4, 8, 8, 1), spec.build((8, 8, 1), (2,), key=jax.random.key(0))
    vectors = jnp.stack([pack(spec.build((8, 8, 1), (2,), key=jax.random.key(i))) for i in range(3)])
    gradient = jax.grad(lambda v: (unpack(net, v)(x) ** 2).sum())
    together, alone = jax.jit(jax.vmap(gradient))(vectors), jax.jit(gradient)
    for i in range(3):
        np.testing.assert_allclose(together[i], alone(vectors[i]), rtol=1e-9, atol=1e-12)


def test_dropout_is_traced_and_drawn_only_in_training():
    spec, rates = partition(CNN((2,), hidden=(4,), dropout=0.3))
    assert rates == (0.3,)
    x, key = numbers(2, 6, 6, 1), jax.random.key(1)
    net = combine(spec, jnp.array(rates)).build((6, 6, 1), (2,), key=key)
    run = eqx.filter_jit(lambda x, key=None: net(x, key))
    assert np.array_equal(run(x), run(x))
    assert not np.allclose(run(x, key), run(x))
    assert not np.allclose(run(x, key), run(x, jax.random.key(2)))


def test_json():
    spec = CNN((6, 16), kernel=(5, (3, 1)), padding=("same", 2), pool=((2, 1), 2))
    assert from_json(to_json(spec)) == spec
    assert from_json(to_json(LENET)) == LENET


@pytest.mark.parametrize(
    ("spec", "inputs", "outputs", "message"),
    [
        (CNN(), (3,), (1,), "For a table use MLP"),
        (CNN((2,), kernel=9, padding="valid"), (8, 8, 1), (1,), "kernel of stage 1 of 9 steps does not fit into 8"),
        (CNN((2, 2, 2)), (5, 5, 1), (1,), "pool of stage 3 of 2 steps does not fit into 1"),
        (CNN(padding="causal"), (8, 8, 1), (1,), "is for series"),
        (CNN(pool=2), (8, 1), (8, 1), "no pooling"),
        (CNN(padding="valid"), (8, 1), (8, 1), "'same' or 'causal'"),
        (CNN(), (8, 8, 1), (8, 1), r"got \(8, 1\) for inputs"),
    ],
)
def test_refused_shapes(spec, inputs, outputs, message):
    with pytest.raises(InputError, match=message):
        spec.build(inputs, outputs, key=jax.random.key(0))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"channels": ()}, "CNN.channels"),
        ({"channels": (4, 0)}, "CNN.channels needs a whole number"),
        ({"kernel": 0}, "CNN.kernel"),
        ({"kernel": (3, 3, 3)}, "one for each of the 2 stages"),
        ({"padding": "half"}, "CNN.padding"),
        ({"padding": -1}, "CNN.padding"),
        ({"pooling": "median"}, "pooling"),
        ({"head": "mean"}, "head"),
        ({"activation": "softmax"}, "one number"),
        ({"dropout": 1.0}, "CNN.dropout"),
    ],
)
def test_refused_fields(fields, message):
    with pytest.raises(InputError, match=message):
        CNN(**fields)
