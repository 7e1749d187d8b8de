"""Mirrors of networks: shapes, weights, what they refuse, and that a pair of them learns."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from perceptory.errors import InputError
from perceptory.layers.arrays import arrays_of, pack, unpack
from perceptory.networks.base import layout
from perceptory.networks.chain import Chain, Residual
from perceptory.networks.chain_layers import ConvolutionLayer, GlobalPool, GRULayer, LSTMLayer
from perceptory.networks.chain_units import DenseLayer, DropoutLayer, Flatten, NormLayer
from perceptory.networks.cnn import CNN
from perceptory.networks.decoders import CNNDecoder, RecurrentDecoder
from perceptory.networks.mlp import MLP
from perceptory.networks.recurrent import GRU, LSTM, RNN
from perceptory.networks.state_space import StateSpace
from perceptory.specs import combine, from_json, partition, to_json

KEY = jax.random.key(0)
LENET = CNN((6, 16), kernel=5, padding=("same", "valid"), hidden=(120, 84), activation="tanh")


def test_of_an_mlp():
    network = MLP((64, 16), ("relu", "tanh"), dropout=0.1, norm="batch", input_noise=0.1, output_noise=0.1)
    assert network.mirror((5,)) == MLP((16, 64), ("tanh", "relu"), dropout=0.1, norm="batch")
    assert MLP(()).mirror((5,)) == MLP(())
    assert MLP((8,)).mirror((4, 3, 2)).build((2,), (4, 3, 2), key=KEY)(jnp.ones((5, 2))).shape == (5, 4, 3, 2)


def test_of_a_cnn():
    assert CNN((16, 32), dropout=0.1).mirror((28, 28, 1)) == CNNDecoder((32, 16), 4, 2, 1, (64,), "relu", 0.1)
    assert LENET.mirror((28, 28, 1)) == CNNDecoder((16, 6), 6, 2, 1, (84, 120), "tanh")
    network = CNN((2, 3), kernel=((3, 2), 3), stride=(1, 2), pool=(1, (1, 2)), dilation=((1, 2), 1), hidden=())
    assert network.mirror((9, 9, 1)) == CNNDecoder((3, 2), ((4, 8), (3, 2)), ((2, 4), 1), (1, (1, 2)), ())
    assert CNN((2, 3), dilation=(1, 2), pool=1).mirror((13, 1)) == CNNDecoder((3, 2), 3, 1, (2, 1))


CONVOLUTIONS = (CNN((3, 4), hidden=(5,)), CNN((4,), kernel=5, stride=3, pool=2, activation="tanh", dropout=0.1))
RECURRENT = (RNN((3,)), GRU((4, 3), dropout=0.1), LSTM((3,), bidirectional=True))
CHAIN = Chain((ConvolutionLayer(3, pool=2), DropoutLayer(0.1), ConvolutionLayer(4, 2, 2), Flatten(), DenseLayer(6)))
PAIRS = [
    *((network, inputs) for network in (*CONVOLUTIONS, CHAIN) for inputs in ((8, 8, 1), (13, 2), (7, 6, 3))),
    *((network, inputs) for network in RECURRENT for inputs in ((13, 2),)),
    (Chain((GRULayer(3), NormLayer(), LSTMLayer(2))), (13, 2)),
    (Chain((ConvolutionLayer(2, 3, padding="valid", pool=(2, 1)), GlobalPool())), (7, 6, 3)),
    (MLP((4,)), (13, 2)),
]


@pytest.mark.parametrize(("network", "inputs"), PAIRS)
def test_shapes(network, inputs):
    """A pair gives back the shape of its inputs, also with twice the channels; both specs pass through a file."""
    outputs = (*inputs[:-1], 2 * inputs[-1])
    decoder = network.mirror(inputs)
    assert from_json(to_json(decoder)) == decoder
    static, rates = partition(decoder)
    assert decoder.hidden_units((2,), outputs) > 0
    assert decoder.label

    def pair():
        code = network.build(inputs, (2,), key=KEY)(jnp.ones((3, *inputs)))
        return combine(static, jnp.asarray(rates)).build((2,), outputs, key=KEY)(code)

    assert jax.eval_shape(pair).shape == (3, *outputs)
    assert layout(static, (2,), outputs).size > 0


@pytest.mark.parametrize("inputs", [(28, 28, 1), (8, 8, 1), (5, 7, 3), (13, 2), (100, 1), (1, 1, 1)])
def test_odd_sizes(inputs):
    decoder = CNN((2, 3, 4), padding="same", pool=1, stride=2).mirror(inputs)
    assert jax.eval_shape(lambda: decoder.build((3,), inputs, key=KEY)(jnp.ones((2, 3)))).shape == (2, *inputs)


def test_a_chain_of_dense_layers_mirrors_as_an_mlp():
    chain = Chain((DenseLayer(7, "relu"), Residual((DenseLayer(7),)), DenseLayer(3)), weight_noise=0.1)
    layers = DenseLayer(3), DenseLayer(7, "relu"), Residual((DenseLayer(7, "relu"),))
    assert chain.mirror((9,)) == Chain(layers, weight_noise=0.1)
    deep = Chain((DenseLayer(7, "relu"), DenseLayer(3)))
    ours, theirs = (n.mirror((9,)).build((2,), (9,), key=KEY) for n in (deep, MLP((7, 3), ("relu", "tanh"))))
    x = jnp.asarray(np.random.default_rng(0).normal(size=(4, 2)), jnp.float32)
    np.testing.assert_allclose(unpack(theirs, pack(ours))(x), ours(x), rtol=1e-6)
    assert Chain(()).mirror((9,)) == Chain(())


def test_lengths_and_other_numbers_of_steps():
    """Steps from a row's length on are 0, those before are as if there were no more; any number of steps will do. The
    gradient of the real steps reaches every array."""
    lengths = jnp.array([4, 6], jnp.int32)

    def every(code):
        for network in RECURRENT[1:]:
            net = network.mirror((6, 2)).build((3,), (6, 2), key=KEY)
            gradient = eqx.filter_grad(lambda net: jnp.sum(net(code, lengths=lengths) ** 2))(net)
            yield net(code, lengths=lengths), net(code), net(code, steps=4), net(code, steps=9), arrays_of(gradient)

    code = jnp.asarray(np.random.default_rng(0).normal(size=(2, 3)), jnp.float32)
    for padded, whole, short, long, gradient in jax.jit(lambda code: list(every(code)))(code):
        np.testing.assert_array_equal(padded[0, 4:], 0)
        np.testing.assert_allclose(padded[0, :4], short[0], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(padded[1], whole[1], rtol=1e-5, atol=1e-6)
        assert long.shape == (2, 9, 2)
        assert all(np.isfinite(array).all() for array in gradient)
        assert sum(np.any(array != 0) for array in gradient) >= len(gradient) - 1  # not that of a dropout rate


def test_convolutions_leave_zeros_behind_a_series():
    def both(code):
        net = CNNDecoder((3,), hidden=()).build((2,), (7, 2), key=KEY)
        return net(code, lengths=jnp.array([4, 7], jnp.int32)), net(code)

    padded, whole = jax.jit(both)(jnp.ones((2, 2)))
    np.testing.assert_array_equal(padded[0, 4:], 0)
    np.testing.assert_array_equal(padded[0, :4], whole[0, :4])


def test_a_pair_learns_digits():
    """Digits drawn by hand, 8 x 8: a few steps leave a quarter of the variance at most, and move every array."""
    random = np.random.default_rng(0)
    rows, columns = np.mgrid[:8, :8]
    ring = (np.abs(np.hypot(rows - 3.5, columns - 3.5) - 2.5) < 0.8).astype(np.float32)
    bar, seven = np.zeros((8, 8), np.float32), np.zeros((8, 8), np.float32)
    bar[1:7, 3:5] = seven[1, 1:7] = seven[np.arange(2, 7), 8 - np.arange(2, 7)] = 1
    which, shifts = random.integers(3, size=60), random.integers(-1, 2, size=60)
    x = np.stack([np.roll((ring, bar, seven)[k], s, axis=1) for k, s in zip(which, shifts, strict=True)])[..., None]
    x = jnp.asarray((x - x.mean()) / x.std())
    network = CNN((8, 16), hidden=(32,))
    nets = network.build((8, 8, 1), (6,), key=KEY), network.mirror((8, 8, 1)).build((6,), (8, 8, 1), key=KEY)
    optimizer = optax.adam(1e-2)

    @eqx.filter_jit
    def train(nets):
        arrays, rest = eqx.partition(nets, eqx.is_inexact_array)

        def cost(arrays):
            encoder, decoder = eqx.combine(arrays, rest)
            return jnp.mean((decoder(encoder(x)) - x) ** 2)

        def step(state, _):
            arrays, moments = state
            value, gradient = jax.value_and_grad(cost)(arrays)
            updates, moments = optimizer.update(gradient, moments)
            return (optax.apply_updates(arrays, updates), moments), value

        (trained, _), errors = jax.lax.scan(step, (arrays, optimizer.init(arrays)), length=100)
        return jax.tree.map(lambda a, b: jnp.any(a != b), arrays, trained), errors

    moved, errors = train(nets)
    assert all(jax.tree.leaves(moved))
    assert errors[-1] < 0.25 < 1 < errors[0]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: StateSpace(2).mirror((9, 2)), r"StateSpace has no mirror.*decoder=MLP\(\(32,\)\)"),
        (lambda: CNNDecoder().build((2,), (5,), key=KEY), r"got outputs of shape \(5,\)\. Use MLP"),
        (lambda: CNNDecoder(kernel=(3, 3, 3)), "one for each of the 2 stages"),
        (lambda: CNNDecoder(channels=()), "CNNDecoder.channels"),
        (lambda: RecurrentDecoder().build((2,), (5, 5, 1), key=KEY), "Use MLP for"),
        (lambda: RecurrentDecoder(MLP()), "needs an RNN, a GRU or an LSTM, got MLP"),
    ],
)
def test_refusals(make, message):
    with pytest.raises(InputError, match=message):
        make()
