"""Convolving and recurrent layers of a chain: equal to the networks that they are parts of."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from perceptory.errors import InputError
from perceptory.layers.arrays import arrays_of, pack, unpack, with_arrays
from perceptory.networks.base import layout
from perceptory.networks.chain import Chain
from perceptory.networks.chain_layers import ConvolutionLayer, GlobalPool, GRULayer, LSTMLayer, RNNLayer
from perceptory.networks.chain_units import DenseLayer
from perceptory.networks.cnn import CNN
from perceptory.networks.recurrent import GRU, LSTM, RNN
from perceptory.specs import from_json, to_json

KEY = jax.random.key(0)


def same_output(chain, network, inputs, outputs, x, **extra):
    """Both with the same weights, in the order of their layers."""

    def both(x):
        theirs = network.build(inputs, outputs, key=KEY)
        ours = chain.build(inputs, outputs, key=KEY)
        assert [a.shape for a in arrays_of(ours)] == [a.shape for a in arrays_of(theirs)]
        return with_arrays(ours, arrays_of(theirs))(x, **extra), theirs(x, **extra)

    np.testing.assert_allclose(*jax.jit(both)(x), rtol=1e-5, atol=1e-6)


def test_convolutions_equal_a_cnn():
    x = jnp.asarray(np.random.default_rng(0).normal(size=(3, 9, 8, 2)), jnp.float32)
    chain = Chain((ConvolutionLayer(4, pool=2), ConvolutionLayer(5, kernel=(3, 2), padding="valid"), GlobalPool("max")))
    cnn = CNN((4, 5), kernel=(3, (3, 2)), padding=("same", "valid"), pool=(2, 1), hidden=(), head="global")
    same_output(chain, cnn, (9, 8, 2), (3,), x)


@pytest.mark.parametrize(
    ("layer", "network"), [(RNNLayer(4), RNN((4,))), (GRULayer(4), GRU((4,))), (LSTMLayer(4), LSTM((4,)))]
)
def test_recurrent_layers_equal_their_networks(layer, network):
    x = jnp.asarray(np.random.default_rng(1).normal(size=(3, 6, 2)), jnp.float32)
    same_output(Chain((layer,)), network, (6, 2), (6, 1), x)


def test_padding_changes_nothing_before_the_lengths():
    x = np.random.default_rng(2).normal(size=(2, 6, 2)).astype(np.float32)
    lengths = jnp.array([4, 6], jnp.int32)
    wild = x.copy()
    wild[0, 4:] = 1e3

    @jax.jit
    def run(x, wild):
        net = Chain((LSTMLayer(3), GlobalPool())).build((6, 2), (1,), key=KEY)
        return net(x, lengths=lengths), net(wild, lengths=lengths), net(x[:1, :4])

    padded, disturbed, alone = run(x, wild)
    np.testing.assert_allclose(disturbed, padded, rtol=1e-6)
    np.testing.assert_allclose(padded[0], alone[0], rtol=1e-5)


def test_mixed_chains_are_written_and_read():
    spec = Chain((ConvolutionLayer(3, padding="causal"), GRULayer(4), DenseLayer(5)))
    assert from_json(to_json(spec)) == spec

    def both(x):
        net = spec.build((7, 2), (7, 2), key=KEY)
        return net(x), unpack(net, pack(net))(x), pack(net)

    y, again, weights = jax.jit(both)(jnp.ones((2, 7, 2)))
    assert y.shape == (2, 7, 2)
    assert np.array_equal(y, again)
    assert layout(spec, (7, 2), (7, 2)).size == weights.size
    assert spec.hidden_units((7, 2), (7, 2)) > 7 * (3 + 4 + 5)


def test_what_does_not_fit_is_said():
    with pytest.raises(InputError, match="CNN needs images"):
        Chain((ConvolutionLayer(3),)).build((7,), (1,), key=KEY)
    with pytest.raises(InputError, match="GlobalPool"):
        Chain((GlobalPool(),)).build((7,), (1,), key=KEY)
    with pytest.raises(InputError, match="kernel"):
        ConvolutionLayer(3, kernel=0)
