"""The feedforward network: E8 to E13 by value, dropout, the flat weight vector."""

from itertools import pairwise

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perceptory.errors import InputError
from perceptory.layers.arrays import pack, unpack
from perceptory.layers.base import Fixed
from perceptory.layers.dense import Dense, Dropout
from perceptory.layers.sequential import Sequential
from perceptory.networks.base import Network, layout
from perceptory.networks.mlp import MLP
from perceptory.objectives.table import SquaredError, mean_cost


@pytest.fixture
def x64():
    with jax.enable_x64(True):
        yield


def test_elementwise_form_equals_matrix_form(x64):
    """E8-E10 as loops over neurons, E12-E13 with the column of ones, and the module."""
    random = np.random.default_rng(0)
    p, h, k, rows = 3, 5, 2, 4
    X, Wh, bh = random.normal(size=(rows, p)), random.normal(size=(p, h)), random.normal(size=h)
    Wo, bo = random.normal(size=(h, k)), random.normal(size=k)
    loops = np.zeros((rows, k))
    for r in range(rows):
        v = np.zeros(h)
        for j in range(h):
            z = sum(Wh[i, j] * X[r, i] for i in range(p)) + bh[j]
            v[j] = np.tanh(z)
        for n in range(k):
            loops[r, n] = sum(Wo[j, n] * v[j] for j in range(h)) + bo[n]
    one = np.ones((rows, 1))
    V = np.tanh(np.hstack([X, one]) @ np.vstack([Wh, bh]))
    matrices = np.hstack([V, one]) @ np.vstack([Wo, bo])
    net = MLP((h,)).build((p,), (k,), key=jax.random.key(0))
    net = unpack(net, jnp.concatenate([a.ravel() for a in map(jnp.asarray, (Wh, bh, Wo, bo))]))
    np.testing.assert_allclose(matrices, loops, rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(net(jnp.asarray(X)), loops, rtol=1e-13, atol=1e-14)


def test_one_input_example_by_hand():
    """E11: y = 0.5 tanh(2x + 1) - 1.5 tanh(-x + 0.5) at x = 0.25, in its three stages."""
    net = Sequential(
        (
            Dense(jnp.array([[2.0, -1.0]]), jnp.array([1.0, 0.5]), jnp.tanh),
            Dense(jnp.array([[0.5], [-1.5]]), jnp.array([0.0]), lambda z: z),
        )
    )
    # 2 · 0.25 + 1 and -0.25 + 0.5; their tanh; 0.5 · 0.905148254 - 1.5 · 0.244918662 = 0.452574127 - 0.367377994
    x, (first, second) = jnp.array([[0.25]]), net.layers
    sums = x @ first.weight + first.bias
    np.testing.assert_allclose(sums, [[1.5, 0.25]])
    values = jnp.tanh(sums)
    np.testing.assert_allclose(values, [[0.905148254, 0.244918662]], rtol=1e-6)
    output = values @ second.weight + second.bias
    np.testing.assert_allclose(output, [[0.085196133]], rtol=2e-6)
    assert np.array_equal(first(x), values)
    assert np.array_equal(net(x), output)


def test_depth_zero_is_a_linear_model():
    net = MLP(()).build((2,), (1,), key=jax.random.key(0))
    net = unpack(net, jnp.array([2.0, -3.0, 0.5]))
    np.testing.assert_allclose(net(jnp.array([[1.0, 1.0], [4.0, 2.0]])), [[-0.5], [2.5]])


@pytest.mark.parametrize("hidden", [(4,), (5, 3), (2, 2, 2, 2, 2, 2)])
def test_deep_networks_equal_numpy(hidden, x64):
    net = MLP(hidden, activation="elu", initializer="lecun").build((3,), (2,), key=jax.random.key(1))
    x = np.random.default_rng(1).normal(size=(6, 3))
    v = x
    for layer in net.layers[:-1]:
        z = v @ np.asarray(layer.weight) + np.asarray(layer.bias)
        v = np.where(z > 0, z, np.expm1(np.minimum(z, 0)))
    y = v @ np.asarray(net.layers[-1].weight) + np.asarray(net.layers[-1].bias)
    np.testing.assert_allclose(net(jnp.asarray(x)), y, rtol=1e-12)
    assert [layer.weight.shape[1] for layer in net.layers] == [*hidden, 2]


def test_backpropagation_by_hand(x64):
    """E16-E20: ∂J/∂w of the output layer is -v e, of the hidden layer -x σ'(z) Σ e w, with e = t - y."""
    random = np.random.default_rng(2)
    X, T = random.normal(size=(7, 3)), random.normal(size=(7, 2))
    spec = MLP((4,), activation="sigmoid")
    net = spec.build((3,), (2,), key=jax.random.key(5))
    Wh, bh, Wo, bo = (np.asarray(a) for layer in net.layers for a in (layer.weight, layer.bias))
    z = X @ Wh + bh
    v = 1 / (1 + np.exp(-z))
    e = T - (v @ Wo + bo)
    d = e @ Wo.T * v * (1 - v)
    by_hand = [-X.T @ d, -d.sum(0), -v.T @ e, -e.sum(0)]

    def cost(weights):
        return mean_cost(SquaredError(), unpack(net, weights)(jnp.asarray(X)), jnp.asarray(T), jnp.ones(7))

    gradient = 7 * np.asarray(jax.jit(jax.grad(cost))(pack(net)))  # the cost is a mean over rows, E16 a sum
    np.testing.assert_allclose(gradient, np.concatenate([g.ravel() for g in by_hand]), rtol=1e-12, atol=1e-13)


# --- options of the hidden layers -------------------------------------------------------------------------------


def test_each_layer_may_have_its_own_activation(x64):
    net = MLP((4, 4), activation=("relu", "elu(0.5)")).build((3,), (1,), key=jax.random.key(0))
    x = np.random.default_rng(3).normal(size=(6, 3))
    (w1, w2, w3) = (np.asarray(layer.weight) for layer in net.layers)
    z = np.maximum(x @ w1, 0) @ w2
    v = np.where(z > 0, z, 0.5 * np.expm1(np.minimum(z, 0)))
    np.testing.assert_allclose(net(jnp.asarray(x)), v @ w3, rtol=1e-12)
    he, glorot = (6 / 4) ** 0.5, (6 / 5) ** 0.5
    assert np.abs(w2).max() <= he
    assert np.abs(w3).max() <= glorot


def test_residual_layers_add_their_input_where_widths_agree(x64):
    spec = MLP((4, 4, 3, 3), residual=True)
    net = spec.build((4,), (3,), key=jax.random.key(0))
    x = v = np.random.default_rng(4).normal(size=(5, 4))
    for i, layer in enumerate(net.layers):
        square = i in (0, 1, 3)  # 4-4, 4-4, not 4-3, 3-3; the output layer never
        dense = layer.inner.layers[0] if square else layer
        z = v @ np.asarray(dense.weight) + np.asarray(dense.bias)
        v = z if i == 4 else np.tanh(z) + (v if square else 0)
    np.testing.assert_allclose(net(jnp.asarray(x)), v, rtol=1e-12)
    plain = pack(MLP((4, 4, 3, 3)).build((4,), (3,), key=jax.random.key(0)))
    assert np.array_equal(pack(net), plain)  # the same weights in the same order


def test_dropout_leaves_the_way_past_a_residual_layer_open():
    net = MLP((50,), residual=True, dropout=0.9).build((50,), (1,), key=jax.random.key(0))
    block, x = net.layers[0], jnp.full((1, 50), 0.1)
    added = np.asarray(block(x, jax.random.key(1)) - x)
    assert 30 < (np.abs(added) < 1e-6).sum() < 50
    dense = block.inner.layers[0]
    np.testing.assert_allclose(block(x), x + 0.1 * dense(x), rtol=1e-5)


@pytest.mark.parametrize("norm", ["layer", "batch"])
def test_normalization_stands_before_the_activation(norm, x64):
    net = MLP((4,), norm=norm, activation="relu").build((3,), (1,), key=jax.random.key(0))
    x = np.random.default_rng(5).normal(size=(6, 3))
    z = x @ np.asarray(net.layers[0].weight)
    axis = 1 if norm == "layer" else 0
    z = (z - z.mean(axis, keepdims=True)) / np.sqrt(z.var(axis, keepdims=True) + 1e-5)
    y = np.maximum(z, 0) @ np.asarray(net.layers[3].weight)
    np.testing.assert_allclose(net(jnp.asarray(x), jax.random.key(0)), y, rtol=1e-10, atol=1e-12)
    names = layout(MLP((4,), norm=norm), (3,), (1,)).names
    own = ("scale", "shift") if norm == "layer" else ("scale", "shift", "mean", "variance")
    assert names[2:-2] == tuple(f"layers.1.{name}" for name in own)
    spec = MLP((4,), norm=norm)
    assert spec.calibrated == spec.stochastic == (norm == "batch")
    assert not MLP((), norm=norm).calibrated


def test_images_are_flattened_and_outputs_of_several_axes_reshaped():
    x = np.random.default_rng(6).normal(size=(2, 4, 3, 1)).astype(np.float32)
    spec = MLP((5,))
    net = spec.build((4, 3, 1), (2, 3), key=jax.random.key(0))
    flat = spec.build((12,), (6,), key=jax.random.key(0))
    np.testing.assert_allclose(net(jnp.asarray(x)), flat(jnp.asarray(x.reshape(2, 12))).reshape(2, 2, 3), rtol=1e-6)


OPTIONS = MLP((3, 3), ("tanh", "elu(0.5)"), 0.2, residual=True, norm="batch", input_noise=0.1, weight_noise=0.2)


def test_gradient_of_all_options_against_differences(x64):
    random = np.random.default_rng(7)
    x, t = jnp.asarray(random.normal(size=(6, 3))), random.normal(size=(6, 2))
    net, w = OPTIONS.build((3,), (2,), key=jax.random.key(0)), jnp.array([1, 1, 1, 1, 1, 0.0])
    start, key = np.asarray(pack(net)), jax.random.key(5)

    def cost(vector):
        return mean_cost(SquaredError(), unpack(net, vector)(x, key, weights=w), jnp.asarray(t), w)

    run, gradient = jax.jit(cost), np.asarray(jax.jit(jax.grad(cost))(start))
    for i in range(start.size):
        step = 1e-6 * (np.arange(start.size) == i)
        assert gradient[i] == pytest.approx(float(run(start + step) - run(start - step)) / 2e-6, rel=1e-5, abs=1e-8)
    both = jax.jit(jax.vmap(jax.grad(cost)))(np.stack([start + 1, start]))
    np.testing.assert_allclose(both[1], gradient, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(cost(jnp.asarray(start)), run(start), rtol=1e-12)  # without jit


def test_options_survive_a_file_and_are_searched():
    import json

    from perceptory import choice
    from perceptory.selection.search import expand
    from perceptory.specs import from_json, partition, to_json

    assert from_json(json.loads(json.dumps(to_json(OPTIONS)))) == OPTIONS
    assert partition(OPTIONS)[1] == (0.2, 0.1, 0.2)
    found = expand(MLP((4, 4), activation=("relu", choice("tanh", "elu(2)")), norm=choice(None, "layer")))
    assert [(spec.activation, spec.norm) for spec in found] == [
        (("relu", "tanh"), None),
        (("relu", "tanh"), "layer"),
        (("relu", "elu(2)"), None),
        (("relu", "elu(2)"), "layer"),
    ]


# --- starting weights --------------------------------------------------------------------------------------------


def test_biases_start_at_zero_and_weights_by_the_activation():
    net = MLP((200,), activation="relu").build((50,), (3,), key=jax.random.key(0))
    first, last = net.layers
    assert not np.asarray(first.bias).any()
    assert not np.asarray(last.bias).any()
    he, glorot = (6 / 50) ** 0.5, (6 / 203) ** 0.5
    assert 0.99 * he < np.abs(first.weight).max() <= he
    assert 0.97 * glorot < np.abs(last.weight).max() <= glorot
    small = MLP((200,), activation="relu", initializer="small").build((50,), (3,), key=jax.random.key(0))
    assert all(0.09 < np.abs(layer.weight).max() <= 0.1 for layer in small.layers)


def test_layers_start_differently():
    net = MLP((6, 6, 6)).build((6,), (6,), key=jax.random.key(0))
    weights = [np.asarray(layer.weight) for layer in net.layers]
    assert all(not np.array_equal(a, b) for i, a in enumerate(weights) for b in weights[:i])


# --- dropout -----------------------------------------------------------------------------------------------------


def test_mean_of_training_passes_is_the_pass_in_use_for_a_linear_layer():
    rate = 0.3
    net = MLP((8,), activation="linear", dropout=rate).build((3,), (1,), key=jax.random.key(0))
    x = jnp.array([[1.0, -2.0, 0.5]])
    passes = jax.jit(jax.vmap(lambda k: net(x, k)[0, 0]))(jax.random.split(jax.random.key(9), 20_000))
    in_use = float(net(x)[0, 0])
    error = float(jnp.std(passes)) / np.sqrt(20_000)
    assert float(jnp.std(passes)) > 0.05  # units do drop
    assert abs(float(passes.mean()) - in_use) < 5 * error


def test_in_use_units_are_scaled_in_training_they_are_kept_or_zero():
    layer = Dropout(0.25)
    x = jnp.arange(1.0, 4001.0)[None]
    np.testing.assert_allclose(layer(x), 0.75 * x)
    kept = np.asarray(layer(x, jax.random.key(1)))[0]
    assert set(np.unique(kept / np.arange(1, 4001))) == {0.0, 1.0}  # dropped, or just as it was
    assert abs((kept == 0).mean() - 0.25) < 5 * np.sqrt(0.25 * 0.75 / 4000)


def test_rows_and_layers_drop_their_own_units():
    net = MLP((50, 50), activation="linear", dropout=0.5).build((2,), (1,), key=jax.random.key(0))
    key, x = jax.random.key(4), jnp.ones((3, 50))
    first, second = net.layers[1](x, jax.random.fold_in(key, 1)), net.layers[3](x, jax.random.fold_in(key, 3))
    assert not np.array_equal(first[0], first[1])
    assert not np.array_equal(first, second)


def test_rate_zero_is_absent_and_a_traced_rate_is_present():
    plain = MLP((4, 3)).build((2,), (1,), key=jax.random.key(0))
    assert [type(layer) for layer in plain.layers] == [Dense, Dense, Dense]
    assert not MLP((4,)).stochastic
    with_rate = MLP((4, 3), dropout=0.1)
    assert with_rate.stochastic
    kinds = [type(layer) for layer in with_rate.build((2,), (1,), key=jax.random.key(0)).layers]
    assert kinds == [Dense, Dropout, Dense, Dropout, Dense]

    def output(rate):
        return MLP((4, 3)).replace(dropout=rate).build((2,), (1,), key=jax.random.key(0))(jnp.ones((1, 2)))[0, 0]

    x = np.ones((1, 2))
    for layer in plain.layers[:2]:
        x = np.tanh(x @ np.asarray(layer.weight)) * 0.6
    np.testing.assert_allclose(jax.jit(output)(0.4), (x @ np.asarray(plain.layers[2].weight))[0, 0], rtol=1e-5)


# --- the flat vector of weights ----------------------------------------------------------------------------------


@settings(max_examples=30)
@given(st.lists(st.integers(1, 9), max_size=4), st.integers(1, 9), st.integers(1, 9), st.booleans())
def test_layout_counts_weights_and_biases(hidden, inputs, outputs, dropout):
    where = layout(MLP(tuple(hidden), dropout=0.2 if dropout else 0.0), (inputs,), (outputs,))
    widths = [inputs, *hidden, outputs]
    weights = sum(a * b for a, b in pairwise(widths))
    assert where.weight_mask().sum() == weights
    assert where.size == weights + sum(widths[1:])


@pytest.mark.parametrize("spec", [MLP(()), MLP((4,)), MLP((3, 2), dropout=0.2)])
def test_pack_and_unpack_are_inverse(spec):
    net = spec.build((3,), (2,), key=jax.random.key(0))
    vector = jnp.arange(layout(spec, (3,), (2,)).size, dtype=jnp.float32)
    assert np.array_equal(pack(unpack(net, vector)), vector)
    assert eqx.tree_equal(unpack(net, pack(net)), net)


def test_layout_names_its_parts_in_the_order_of_the_vector():
    where = layout(MLP((3,), dropout=0.5), (2,), (1,))
    assert where.names == ("layers.0.weight", "layers.0.bias", "layers.2.weight", "layers.2.bias")
    assert where.shapes == ((2, 3), (3,), (3, 1), (1,))
    expected = [True] * 6 + [False] * 3 + [True] * 3 + [False]
    assert where.weight_mask().tolist() == expected
    net = unpack(MLP((3,), dropout=0.5).build((2,), (1,), key=jax.random.key(0)), jnp.arange(13.0))
    assert np.asarray(net.layers[0].bias).tolist() == [6, 7, 8]
    assert float(net.layers[1].rate.value) == 0.5  # fixed: no part of the vector


class Scaled(eqx.Module):
    weight: jax.Array
    factor: Fixed

    def __call__(self, x, key=None):
        return x @ self.weight * self.factor.value


def test_fixed_arrays_are_not_trained():
    net = Scaled(jnp.array([[2.0]]), Fixed(jnp.array(3.0)))
    assert pack(net).tolist() == [2.0]
    assert float(unpack(net, jnp.array([5.0]))(jnp.ones((1, 1)))[0, 0]) == 15.0


# --- the spec ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"hidden": (32, 0)}, r"MLP.hidden needs positive widths, got \(32, 0\)\. Example: hidden=\(32, 16\)"),
        ({"hidden": (-1,)}, r"needs positive widths"),
        ({"hidden": (3.5,)}, r"needs positive widths"),
        ({"hidden": (True,)}, r"needs positive widths"),
        ({"hidden": [32]}, r"needs a tuple of widths, got \[32\]\. Example"),
        ({"hidden": 32}, r"needs a tuple of widths, got 32\. Example"),
        ({"activation": "rleu"}, r"unknown activation 'rleu'\. Did you mean 'relu'\?"),
        ({"activation": ["relu"]}, r"unknown activation"),
        ({"dropout": 1.0}, r"MLP.dropout needs a number of at least 0 and below 1, got 1\.0\. Example"),
        ({"dropout": -0.1}, r"below 1"),
        ({"dropout": float("nan")}, r"finite"),
        ({"dropout": "0.1"}, r"finite number, got '0\.1'"),
        ({"activation": ("relu", "rleu")}, r"unknown activation 'rleu'"),
        ({"activation": ("relu",)}, r"one name, or one for each of the 2 hidden layers, got \('relu',\)\. Example"),
        ({"activation": "elu(-1)"}, r"the parameter of elu needs a number from 0 to 100, got '-1'"),
        ({"norm": "batches"}, r"unknown normalization 'batches'\. Did you mean 'batch'\?"),
        ({"residual": 1}, r"MLP\.residual needs True or False"),
        ({"initializer": "xavier"}, r"unknown initializer 'xavier'"),
    ],
)
def test_bad_numbers_and_names(wrong, message):
    with pytest.raises(InputError, match=message) as caught:
        MLP(**wrong)
    assert "\n" not in str(caught.value)


def test_labels():
    assert MLP((8, 4), "relu").label == "MLP 8-4 relu"
    assert MLP((8,), dropout=0.25).label == "MLP 8 tanh dropout 0.25"
    assert MLP(()).label == "linear model"
    assert MLP((8, 8), ("relu", "tanh"), residual=True, norm="layer").label == "MLP 8-8 relu/tanh residual layer norm"
    assert MLP((8,), input_noise=0.1, output_noise=0.2).label == "MLP 8 tanh input noise 0.1 output noise 0.2"
    assert MLP((), input_noise=0.1).label == "linear model input noise 0.1"
    assert MLP((8, 4)).hidden_units((3,), (1,)) == 12


def test_a_network_without_build_says_so():
    with pytest.raises(NotImplementedError):
        Network().build((1,), (1,), key=jax.random.key(0))
