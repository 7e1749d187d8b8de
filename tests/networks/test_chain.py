"""`Chain`: layers by value, shapes, hooks, files, refusals."""

import json
from itertools import pairwise
from math import prod

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from perceptory import choice
from perceptory.catalog import LAYERS
from perceptory.errors import InputError
from perceptory.layers.arrays import pack, unpack
from perceptory.layers.noise import WeightNoise
from perceptory.networks.base import layout
from perceptory.networks.chain import Chain, Residual
from perceptory.networks.chain_units import (
    DenseLayer,
    DropoutLayer,
    Flatten,
    LayerSpec,
    NoiseLayer,
    NormLayer,
    PReLULayer,
    ReshapeLayer,
)
from perceptory.networks.mlp import MLP
from perceptory.selection.search import expand
from perceptory.specs import combine, from_json, partition, to_json

KEY = jax.random.key(0)
EVERY = Chain(
    (
        NoiseLayer(0.1),
        DenseLayer(4, "relu"),
        NormLayer("batch"),
        Residual((DenseLayer(3, "elu(0.5)"), DropoutLayer(0.25), DenseLayer(4), NormLayer("layer"))),
        Flatten(),
    ),
    weight_noise=0.05,
)


def test_a_chain_of_dense_layers_is_an_mlp():
    chain = Chain((DenseLayer(5, "relu"), DropoutLayer(0.2), DenseLayer(3))).build((2,), (1,), key=KEY)
    mlp = MLP((5, 3), ("relu", "tanh"), dropout=0.2).build((2,), (1,), key=KEY)
    mlp = unpack(mlp, pack(chain))
    x = jnp.asarray(np.random.default_rng(0).normal(size=(4, 2)), jnp.float32)
    # the MLP also drops units of its last hidden layer
    hidden = chain.layers[2](chain.layers[1](chain.layers[0](x)))
    np.testing.assert_allclose(mlp.layers[4](0.8 * hidden), mlp(x), rtol=1e-6)
    np.testing.assert_allclose(chain(x), hidden @ chain.layers[3].weight, rtol=1e-6)
    he = (6 / 2) ** 0.5
    assert 0.6 * he < np.abs(chain.layers[0].weight).max() <= he


def test_no_layers_is_a_linear_model():
    net = unpack(Chain(()).build((2,), (1,), key=KEY), jnp.array([2.0, -3.0, 0.5]))
    np.testing.assert_allclose(net(jnp.array([[4.0, 2.0]])), [[2.5]])
    assert Chain(()).label == "Chain linear"
    assert Chain(()).hidden_units((2,), (1,)) == 0


def test_residual_adds_its_input():
    net = Chain((Residual((DenseLayer(2, "linear"),)),)).build((2,), (2,), key=KEY)
    net = unpack(net, jnp.array([1.0, 0, 0, 2, 0, 1, 1, 0, 0, 1, 0, 0]))
    np.testing.assert_allclose(net(jnp.array([[3.0, 5.0]])), [[3 + 3, 5 + 11]])


def test_learned_slopes_by_hand():
    x = jnp.array([[-2.0, 3.0], [-4.0, -8.0]])
    each, shared = (PReLULayer(shared=s).build((2,), key=KEY)[0] for s in (False, True))
    each, shared = unpack(each, jnp.array([0.5, 0.25])), unpack(shared, jnp.array([0.5]))
    np.testing.assert_allclose(each(x), [[-1, 3], [-2, -2]])
    np.testing.assert_allclose(shared(x), [[-1, 3], [-2, -4]])
    # the slope's gradient is the sum of the negative inputs
    slope = jax.grad(lambda a: jnp.sum(unpack(each, a)(x)))(jnp.array([0.5, 0.25]))
    np.testing.assert_allclose(slope, [-6, -8])


def test_the_last_layer_works_at_each_step_where_outputs_have_them():
    x = np.random.default_rng(1).normal(size=(3, 6, 2)).astype(np.float32)
    spec = Chain((DenseLayer(4),))
    each = spec.build((6, 2), (6, 1), key=KEY)
    first, last = each.layers
    np.testing.assert_allclose(each(jnp.asarray(x)), np.tanh(x @ first.weight) @ last.weight, rtol=1e-5, atol=1e-6)
    assert last.weight.shape == (4, 1)
    flat = spec.build((6, 2), (1,), key=KEY)
    assert flat.layers[-1].weight.shape == (24, 1)
    v = np.tanh(x @ flat.layers[0].weight).reshape(3, 24)
    np.testing.assert_allclose(flat(jnp.asarray(x)), v @ flat.layers[-1].weight, rtol=1e-5, atol=1e-6)
    other = spec.build((6, 2), (2, 5), key=KEY)
    assert other(jnp.asarray(x)).shape == (3, 2, 5)


def test_gradient_against_differences_and_members():
    with jax.enable_x64(True):
        random = np.random.default_rng(2)
        net = EVERY.build((3, 2), (2,), key=KEY)
        x, w = jnp.asarray(random.normal(size=(5, 3, 2))), jnp.array([1, 2, 1, 1, 0.0])
        start = np.asarray(pack(net)) + 0.1 * random.normal(size=pack(net).size)

        def total(vector, key):
            return jnp.sum(w[:, None] * unpack(net, vector)(x, key, weights=w) ** 2)

        run, slope = jax.jit(total), jax.jit(jax.grad(total))
        gradient = np.asarray(slope(start, KEY))
        for i in range(start.size):
            step = 1e-6 * (np.arange(start.size) == i)
            difference = float(run(start + step, KEY) - run(start - step, KEY)) / 2e-6
            assert gradient[i] == pytest.approx(difference, rel=1e-5, abs=1e-7)
        keys = jax.random.split(KEY, 2)
        both = jax.jit(jax.vmap(jax.grad(total)))(np.stack([start + 0.1, start]), keys)
        np.testing.assert_allclose(both[1], slope(start, keys[1]), rtol=1e-9, atol=1e-11)


def test_calibration_reaches_norms_inside():
    spec = Chain((Residual((DenseLayer(3), NormLayer("batch"))), NormLayer("batch")), weight_noise=0.1)
    net = spec.build((3,), (1,), key=KEY)
    x = jnp.asarray(np.random.default_rng(3).normal(2, 3, size=(40, 3)), jnp.float32)
    done = spec.calibrate(net, lambda: (x, jnp.ones(40)))
    inside = done.inner.layers[0].inner.layers
    v = np.tanh(np.asarray(x) @ np.asarray(inside[0].weight))
    np.testing.assert_allclose(inside[1].mean, v.mean(0), rtol=1e-4, atol=1e-6)
    v = np.asarray(x) + (v - v.mean(0)) / np.sqrt(v.var(0) + 1e-5)
    np.testing.assert_allclose(done.inner.layers[1].variance, v.var(0), rtol=1e-4)
    assert isinstance(done, WeightNoise)
    names = layout(spec, (3,), (1,)).names
    assert [n for n in names if not spec.trains(n)] == [n for n in names if n.endswith(("mean", "variance"))]


def test_properties_come_from_the_layers():
    assert EVERY.stochastic
    assert EVERY.calibrated
    plain = Chain((DenseLayer(4), NormLayer(), Flatten(), DropoutLayer(0.0), NoiseLayer(0.0)))
    assert not plain.stochastic
    assert not plain.calibrated
    assert Chain((Residual((DropoutLayer(0.1),)),)).stochastic
    assert Chain((), weight_noise=0.1).stochastic
    assert plain.hidden_units((5, 2), (1,)) == 20 + 40 + 0 + 20 + 20
    assert EVERY.label == "Chain noise, 4 relu, norm, residual(3 elu(0.5), dropout, 4 tanh, norm), flatten"


def test_shapes_of_every_layer_spec():
    """What `build` says of the shape is what comes out; for every layer spec in the table."""
    kinds = [cls for cls in LAYERS.values() if cls is Residual or cls.__module__ == LayerSpec.__module__]
    assert len(kinds) == 8
    for kind in kinds:
        for inputs in [(4,), (2, 3, 4)]:
            made = {
                DenseLayer: DenseLayer(3),
                Residual: Residual((NormLayer(),)),
                ReshapeLayer: ReshapeLayer(inputs[::-1]),
            }
            spec, said = made[kind] if kind in made else kind(), []

            def outputs(x, spec=spec, said=said, inputs=inputs):
                module, shape = spec.build(inputs, key=KEY)
                said.append(shape)
                return module(x), module(x, KEY)

            in_use, in_training = jax.eval_shape(outputs, jnp.ones((2, *inputs)))
            assert in_use.shape == in_training.shape == (2, *said[0]), kind
            assert kind is not Flatten or said[0] == (prod(inputs),)


def test_survives_a_file_and_is_searched():
    assert from_json(json.loads(json.dumps(to_json(EVERY)))) == EVERY
    static, numbers = partition(EVERY)
    assert numbers == (0.1, 0.25, 0.05)
    assert combine(static, numbers) == EVERY
    assert partition(Chain((DropoutLayer(0.0),)))[1] == ()
    found = expand(Chain((DenseLayer(choice(4, 8)), choice(DropoutLayer(0.1), NormLayer("batch")))))
    assert [spec.layers[0].width for spec in found] == [4, 4, 8, 8]
    assert [spec.calibrated for spec in found] == [False, True, False, True]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Chain([DenseLayer(3)]), r"Chain\.layers needs a tuple of layers, got \[DenseLayer"),
        (lambda: Chain((DenseLayer(3), 4)), r"Chain\.layers needs layers, got 4 among them\. Example"),
        (lambda: Chain((MLP((3,)),)), r"Chain\.layers needs layers, got MLP"),
        (lambda: DenseLayer(0), r"DenseLayer\.width needs a whole number of at least 1, got 0"),
        (lambda: DenseLayer(3, "rleu"), r"unknown activation 'rleu'"),
        (lambda: DropoutLayer(1.0), r"DropoutLayer\.rate needs a number of at least 0 and below 1"),
        (lambda: NoiseLayer(-1), r"NoiseLayer\.std needs a number of at least 0"),
        (lambda: ReshapeLayer((2, 3)).build((5,), key=KEY), r"examples of 6 values.*got 5.*DenseLayer\(6\)"),
        (lambda: NormLayer("bach"), r"unknown normalization 'bach'\. Did you mean 'batch'\?"),
        (
            lambda: Chain((Residual((DenseLayer(3),)),)).build((2,), (1,), key=KEY),
            r"Residual needs layers that keep the shape, got \(2,\) in and \(3,\) out\. Let the last of them",
        ),
    ],
)  # fmt: skip
def test_messages(make, message):
    with pytest.raises(InputError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_layers_start_differently():
    net = Chain((DenseLayer(6), DenseLayer(6), Residual((DenseLayer(6),)))).build((6,), (6,), key=KEY)
    weights = [net.layers[i].weight for i in (0, 1, 3)] + [net.layers[2].inner.layers[0].weight]
    assert not any(np.array_equal(a, b) for a, b in pairwise(weights))
    assert len(np.unique(np.concatenate([np.ravel(w) for w in weights]))) == 4 * 36


def test_trained_in_a_study_and_read_back(tmp_path):
    """Batch normalization, dropout, weight noise: the model file predicts the same bits."""
    import perceptory as pt

    random = np.random.default_rng(0)
    x = random.normal(5, 3, size=(70, 2))
    data = pt.read_table(x, target=np.sin(x[:, :1]), task="regression")
    spec = Chain((DenseLayer(8), NormLayer("batch"), Residual((DropoutLayer(0.1), DenseLayer(8)))), weight_noise=0.01)
    model = pt.Study(spec, epochs=5, batch_size=16, validation=pt.KFold(2), test=0).run(data).model
    model.save(tmp_path / "model.safetensors")
    assert np.array_equal(pt.Model.load(tmp_path / "model.safetensors").predict(x), model.predict(x))
    where = layout(spec, (2,), (1,))
    ends = np.cumsum([prod(shape) for shape in where.shapes])
    parts = dict(zip(where.names, np.split(model.weights[0], ends[:-1]), strict=True))
    assert (parts["inner.layers.1.variance"] != 1).all()  # calibrated
