"""Autoencoders as modules: mirrored, tied, variational and sparse ones, as layers and as the kernel's stack."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from perceptory.errors import InputError
from perceptory.layers.arrays import pack
from perceptory.networks.autoencoder import PCA, Autoencoder
from perceptory.networks.base import layout
from perceptory.networks.chain import Chain
from perceptory.networks.chain_layers import ConvolutionLayer
from perceptory.networks.chain_units import DenseLayer, NormLayer
from perceptory.networks.cnn import CNN
from perceptory.networks.mlp import MLP

KEY = jax.random.key(0)
X = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)


def test_the_decoder_mirrors_the_encoder():
    network = Autoencoder(MLP((7, 4), ("tanh", "relu")), code=2)
    assert [s for s in layout(network, (5,), (5,)).shapes if len(s) == 2] == [
        (5, 7), (7, 4), (4, 2), (2, 4), (4, 7), (7, 5),
    ]  # fmt: skip
    module = network.build((5,), (5,), key=KEY)
    plain = MLP((4, 7), ("relu", "tanh")).build((2,), (5,), key=KEY)
    assert [layer.activation for layer in module.decoder.layers] == [layer.activation for layer in plain.layers]


def test_output_is_the_decoded_code():
    module = Autoencoder(MLP((4,)), code=2, activation="tanh").build((5,), (5,), key=KEY)
    code = module.encode(X)
    assert code.shape == (6, 2)
    assert float(jnp.max(jnp.abs(code))) < 1
    np.testing.assert_array_equal(module(X), module.decode(code))


def test_as_a_stack_its_weights_lie_as_the_layers_have_them():
    """The kernel reads the flat vector: an MLP of the same widths has the same outputs from it."""
    network = Autoencoder(MLP((7,), "relu"), code=2)
    stack = network.stack((5,), (5,))
    assert stack.widths == (5, 7, 2, 7, 5)
    assert [name for name, _ in stack.activations] == ["relu", "linear", "relu"]
    module = network.build((5,), (5,), key=KEY)
    v, vector = X, np.asarray(pack(module))
    for (i, o), sigma in zip([(5, 7), (7, 2), (2, 7), (7, 5)], ["relu", "", "relu", ""], strict=True):
        v = v @ vector[: i * o].reshape(i, o) + vector[i * o : i * o + o]
        v, vector = (np.maximum(v, 0) if sigma else v), vector[i * o + o :]
    np.testing.assert_allclose(module(X), v, rtol=1e-5, atol=1e-6)
    for other in ({"tied": True}, {"sparsity": 0.1}, {"variational": 1.0}):
        assert Autoencoder(MLP((7,)), code=2, **other).stack((5,), (5,)) is None


def test_tied_weights_are_transposed_and_have_biases_of_their_own():
    network = Autoencoder(MLP((4,)), code=2, tied=True)
    module = network.build((5,), (5,), key=KEY)
    first, second = (layer.weight for layer in module.encoder.layers)
    code = module.encode(X)
    np.testing.assert_allclose(module(X), jnp.tanh(code @ second.T) @ first.T, rtol=1e-5, atol=1e-6)
    assert layout(network, (5,), (5,)).size == 5 * 4 + 4 + 4 * 2 + 2 + 4 + 5
    with pytest.raises(InputError, match="tied=False"):
        network.build((5,), (7,), key=KEY)
    for wrong in ({"encoder": CNN((4,))}, {"encoder": MLP((4,), dropout=0.1)}, {"decoder": MLP((4,))}):
        with pytest.raises(InputError, match="tied=False"):
            Autoencoder(**{"encoder": MLP((4,)), "tied": True} | wrong)


def test_variational_code_is_drawn_in_training_and_its_mean_in_use():
    module = Autoencoder(MLP(()), code=2, variational=0.5).build((5,), (5,), key=KEY)
    encoded = module.encoder(X)
    mean, log_variance = np.split(np.asarray(encoded), 2, axis=1)
    np.testing.assert_array_equal(module.encode(X), mean)
    output, added = module.with_added_cost(X)
    np.testing.assert_array_equal(output, module.decode(mean))
    by_hand = 0.5 * 0.5 * np.sum(mean**2 + np.exp(log_variance) - log_variance - 1, axis=1)
    np.testing.assert_allclose(added, by_hand, rtol=1e-5)
    keys = jax.random.split(jax.random.key(1), 4000)
    drawn = jax.vmap(lambda key: module.bound.drawn(encoded, key))(keys)
    np.testing.assert_allclose(drawn.mean(axis=0), mean, atol=0.15)
    np.testing.assert_allclose(drawn.std(axis=0), np.exp(log_variance / 2), rtol=0.1)


def test_a_sparse_code_costs_its_absolute_sum():
    module = Autoencoder(MLP(()), code=3, sparsity=0.2).build((5,), (5,), key=KEY)
    np.testing.assert_allclose(module.with_added_cost(X)[1], 0.2 * np.abs(module.encode(X)).sum(axis=1), rtol=1e-5)


def test_pictures_come_back_in_one_row_and_series_step_by_step():
    def shape_of(network, inputs, outputs):
        return jax.eval_shape(lambda x: network.build(inputs, outputs, key=KEY)(x), jnp.ones((2, *inputs))).shape

    assert shape_of(Autoencoder(CNN((4,), pool=2), code=2), (5, 7, 3), (105,)) == (2, 105)
    assert shape_of(PCA(2), (5, 7, 3), (105,)) == (2, 105)
    assert shape_of(Autoencoder(MLP((4,)), code=2), (13, 2), (13, 2)) == (2, 13, 2)


def test_batch_statistics_of_both_halves_are_taken():
    """Of a chain of convolutions and its mirror, which is another chain, from the codes of the training rows."""
    spec = Autoencoder(Chain((ConvolutionLayer(2, pool=2), NormLayer("batch"), DenseLayer(3))), code=2)
    module = spec.build((4, 4, 1), (16,), key=KEY)
    x = jnp.asarray(np.random.default_rng(0).normal(size=(9, 4, 4, 1)), jnp.float32)
    done = spec.calibrate(module, lambda: (x, jnp.ones(9)))
    for half in (done.encoder, done.decoder):
        (norm,) = [layer for layer in half.layers if hasattr(layer, "variance")]
        assert np.all(norm.mean != 0)
        assert np.all(norm.variance != 1)


def test_parts_have_to_be_networks_with_a_mirror():
    with pytest.raises(InputError, match="encoder needs a network"):
        Autoencoder(PCA(2))
    with pytest.raises(InputError, match='activation="linear"'):
        Autoencoder(MLP((4,)), variational=1.0, activation="tanh")
    from perceptory.networks.rbf import RBFNetwork

    with pytest.raises(InputError, match="decoder"):
        Autoencoder(RBFNetwork(3), code=2).build((5,), (5,), key=KEY)
    Autoencoder(RBFNetwork(3, train="all"), code=2, decoder=MLP((3,))).build((5,), (5,), key=KEY)
