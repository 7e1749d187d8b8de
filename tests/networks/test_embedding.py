"""Vectors of categories: by hand, against PyTorch, in a study whose other columns are scaled."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import perceptory as pt
from perceptory.errors import InputError
from perceptory.layers.arrays import pack, unpack
from perceptory.networks.autoencoder import Autoencoder
from perceptory.networks.chain import Chain, Residual
from perceptory.networks.chain_units import DenseLayer
from perceptory.networks.embedding import EmbeddingLayer
from perceptory.specs import from_json, to_json

KEY = jax.random.key(0)


def test_by_hand():
    """Column 1 holds a category of three, with vectors 1 2, 3 4, 5 6; 3 and -1 are none."""

    def of(x, columns):
        module, shape = EmbeddingLayer(3, 2, columns=columns).build(x.shape[1:], key=KEY)
        y = unpack(module, jnp.arange(1.0, 7))(x)
        assert y.shape[1:] == shape
        return y

    x, series = jnp.array([[7.0, 2, 8], [7, 0, 8], [7, 3, 8], [7, -1, 8]]), jnp.array([[[0.0, 9, 1]] * 5])
    one, two = jax.jit(lambda x, series: (of(x, 1), of(series, (2, 0))))(x, series)
    np.testing.assert_array_equal(one, [[7, 8, 5, 6], [7, 8, 1, 2], [7, 8, 0, 0], [7, 8, 0, 0]])
    np.testing.assert_array_equal(two, [[[9, 3, 4, 1, 2]] * 5])


def test_torch():
    torch = pytest.importorskip("torch")
    words = np.random.default_rng(0).integers(5, size=(4, 6))
    module, _ = EmbeddingLayer(5, 3).build((6, 1), key=KEY)
    theirs = torch.nn.Embedding.from_pretrained(torch.tensor(np.array(module.weight)), freeze=False)
    expected = theirs(torch.tensor(words))
    (expected**3).sum().backward()
    x = jnp.asarray(words[..., None], jnp.float32)
    np.testing.assert_allclose(module(x), expected.detach(), rtol=1e-6)
    gradient = jax.grad(lambda w: jnp.sum(unpack(module, w)(x) ** 3))(pack(module)).reshape(5, 3)
    np.testing.assert_allclose(gradient, theirs.weight.grad, rtol=1e-5)


def test_in_a_study_its_column_is_not_scaled(tmp_path):
    """The target is a number for each of 40 categories in no order, times a scaled column: no line in the category."""
    random = np.random.default_rng(0)
    value, kind = random.normal(size=40), random.integers(40, size=400)
    x = np.stack([kind, random.normal(100, 7, size=400)], axis=1)
    data = pt.read_arrays(x, value[kind], kind="array")
    spec = Chain((EmbeddingLayer(40, 4),))
    study = pt.Study(spec, optimizer=pt.Adam(3e-2), epochs=60, validation=pt.KFold(2), batch_size=64, test=0)
    result = study.run(data)
    model = result.model
    assert np.all(model.in_center[:, 0] == 0)
    assert np.all(model.in_factor[:, 0] == 1)
    np.testing.assert_allclose(model.in_center[:, 1], 100, atol=2)
    np.testing.assert_allclose(model.predict(x).ravel(), value[kind], atol=0.35)
    model.save(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(pt.Model.load(tmp_path / "model.safetensors").predict(x), model.predict(x))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: EmbeddingLayer(5, columns=(1, 1)), "each once"),
        (lambda: EmbeddingLayer(5, columns=3).build((3,), key=KEY), "columns from 0 to 2, got columns=3"),
        (lambda: Chain((DenseLayer(3), EmbeddingLayer(5))).build((3,), (1,), key=KEY), "has to be the first layer"),
        (lambda: Chain((Residual((EmbeddingLayer(5),)),)).build((3,), (1,), key=KEY), "got it in Residual"),
        (lambda: Chain((EmbeddingLayer(5),)).mirror((3,)), "EmbeddingLayer has no mirror"),
        (lambda: Autoencoder(Chain((EmbeddingLayer(5),))), "needs inputs that are scaled"),
    ],
)
def test_refusals(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_a_file_keeps_it():
    spec = Chain((EmbeddingLayer(50, 4, (0, 2)), DenseLayer(3)))
    assert from_json(to_json(spec)) == spec
    assert spec.label == "Chain embedding 4, 3 tanh"
