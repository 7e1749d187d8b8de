"""Threshold units: their places, the minimum that is found, steps that smooth units cannot draw, files."""

from math import prod
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import Lasso

import perceptory as pt
from perceptory.errors import InputError
from perceptory.layers.thresholds import NOWHERE, Thresholds, thresholds_of
from perceptory.models.by_kernel import ByKernel, BySteps
from perceptory.ops import binned
from perceptory.ops import sparse_weights as ops
from perceptory.ops.sparse_weights import Features, sparse_weights


def test_thresholds_lie_amid_gaps():
    x = np.array([[0.0], [0], [0], [1], [4], [0], [9], [100]], np.float32)
    w = np.array([1.0, 1, 1, 1, 1, 2, 1, 0], np.float32)  # the last row is padding
    found = np.asarray(thresholds_of(jnp.asarray(x), jnp.asarray(w), 16))[0]
    real = found[found < NOWHERE]
    assert real.tolist() == [0.5, 2.5, 6.5]
    assert len(found) == 16


def test_lookup_is_the_sum_over_units():
    random = np.random.default_rng(0)
    edges, heights = np.sort(random.normal(size=(2, 5))), random.normal(size=(2, 5, 3))
    arrays = map(jnp.asarray, (edges, heights, random.normal(size=(2, 3)), np.ones(3)))
    module = Thresholds(*arrays, ((0, 2), (1, 3)), (3,))
    x = np.where(np.arange(4) % 2, random.integers(0, 2, (9, 4)), random.normal(size=(9, 4)))
    weight = np.concatenate([heights.reshape(-1, 3), module.weight])
    np.testing.assert_allclose(module(jnp.asarray(x)), module.units(jnp.asarray(x)) @ weight + 1, atol=1e-5)


@pytest.mark.parametrize("kinds", [(1, -1, 1, -1, 1), (), (2, 2, 1, 1, 1)])
def test_products_from_histograms(kinds):
    """Those with the units themselves; a row may have none of a column's categories."""
    random = np.random.default_rng(2)
    numbers, flags = random.normal(size=(60, 2)), np.zeros((60, len(kinds)))
    edges = np.sort(random.normal(size=(2, 7)))
    numbers[:2] = edges[0, 0], edges[1, 6]  # a value at a threshold does not lie above it
    for kind in set(kinds):
        own = [place for place, one in enumerate(kinds) if one == kind]
        flags[np.arange(60), random.choice(own, 60)] = random.integers(0, 2, 60)
    units = np.concatenate([(numbers[:, :, None] > edges).reshape(60, -1), flags], axis=1)
    h, g, weight = random.random(60), random.normal(size=(60, 3)), random.normal(size=(units.shape[1], 3))
    with jax.enable_x64(True):
        bins = binned.bins_of(2, 7, kinds)
        places = bins.places(*map(jnp.asarray, (numbers, flags, edges)))
        np.testing.assert_allclose(binned.times(bins, places, jnp.asarray(weight)), units @ weight, atol=1e-12)
        np.testing.assert_allclose(binned.against(bins, places, jnp.asarray(g)), units.T @ g, atol=1e-12)
        np.testing.assert_allclose(binned.gram(bins, places, jnp.asarray(h)), (units.T * h) @ units, atol=1e-12)


def solved(z, t, strength, cost, w=None):
    """The weights of features z, found by sparse_weights."""
    z = jnp.asarray(z)
    w = jnp.ones(len(z), z.dtype) if w is None else jnp.asarray(w)
    apart = z - w @ z / jnp.sum(w)
    features = Features(
        lambda v: apart @ v, lambda g: apart.T @ g, lambda h: (apart.T @ (h[:, None] * apart), apart.T @ h)
    )
    return sparse_weights(features, z.shape[1], lambda y: cost(y, jnp.asarray(t)), w, t.shape[1], jnp.asarray(strength))


def test_the_minimum(monkeypatch):
    """Of squared error with weights of rows as scikit-learn has it; of two classes by its subgradient [E30]."""
    monkeypatch.setattr(ops, "SWEEPS", 20)
    random = np.random.default_rng(1)
    x = random.normal(size=(80, 2))
    z = (x[:, :, None] > np.linspace(-1.5, 1.5, 7)).reshape(80, -1).astype(float)
    t = ((x[:, :1] > 0.4) + 0.5 * x[:, 1:] + 0.3 * random.normal(size=(80, 1))).astype(float)
    w = random.integers(1, 3, 80).astype(float)
    with jax.enable_x64(True):
        one = solved(z, t, 2.0, lambda y, t: 0.5 * (y - t)[:, 0] ** 2, w)
        reference = Lasso(2.0 / w.sum(), tol=1e-10, max_iter=100_000).fit(z, t[:, 0], sample_weight=w)
        np.testing.assert_allclose(one.weight[:, 0], reference.coef_, atol=1e-5)
        kind = (t > 0.5).astype(float)
        two = solved(z, kind, 1.0, lambda y, t: jnp.logaddexp(0, y[:, 0]) - t[:, 0] * y[:, 0])
        pull = z.T @ (1 / (1 + np.exp(-(z @ two.weight + two.bias - z.mean(0) @ two.weight))) - kind)
    weight = np.asarray(two.weight)
    assert np.abs(pull[weight == 0]).max() <= 1 + 1e-4
    np.testing.assert_allclose(pull[weight != 0], -np.sign(weight[weight != 0]), atol=1e-4)
    assert np.sum(weight == 0) > 3


def table(count=200, task="regression"):
    """What jumps at two values of a column and for one category."""
    random = np.random.default_rng(0)
    x = {
        "a": random.integers(0, 40, count).astype(float),
        "kind": random.choice(["u", "v", "w"], count),
        "z": random.normal(size=count),
    }
    score = 3.0 * np.isin(x["a"], (7, 23)) + (x["a"] > 30) - 2.0 * (x["kind"] == "v") + 0.1 * random.normal(size=count)
    x["y"] = np.where(score > 0.3, "yes", "no") if task == "classification" else score
    x["a"] = np.where(np.arange(count) % 17 == 0, np.nan, x["a"])
    return x


def test_a_table_to_a_model_file(tmp_path, monkeypatch):
    data = pt.read_table(table(), "y")
    network = pt.ThresholdNetwork(40, pt.choice(0.3, 3.0))
    result = pt.Study([network, pt.Linear()], validation=pt.KFold(4), test=0.0).run(data)
    means = {c.label: c.mean for c in result.candidates}
    assert means["threshold units, 40 a number, λ 0.3"] < 0.6 * means["linear model"]
    path = tmp_path / "model"
    result.model.save(path)
    new = {k: v[:17] for k, v in table().items()}
    by_numpy = pt.Model.load(path).predict(new)
    np.testing.assert_array_equal(by_numpy, result.model.predict(new))
    assert isinstance(ByKernel.of_model(result.model), BySteps)
    monkeypatch.setattr(ByKernel, "of_model", lambda model: None)
    np.testing.assert_allclose(by_numpy, result.model.predict(new), atol=1e-5)


@pytest.mark.parametrize("columns", [(0, 0), (-1, 1, 1)])
def test_numbers_or_flags_alone(columns):
    """Where there are no columns of the other kind there are no weights of it."""
    network = pt.ThresholdNetwork(3, columns=columns)
    size = sum(map(prod, network.arrays(len(columns), 1).values()))
    model = SimpleNamespace(
        network=network, encoder=SimpleNamespace(shape=(len(columns),)), outputs=(1,), weights=np.ones((2, size)),
        in_center=np.zeros((2, len(columns))), in_factor=np.ones((2, len(columns))), precision="double",
    )  # fmt: skip
    out = BySteps(model, lambda out: out).of_inputs(np.full((4, len(columns)), 2.0), lambda out: out)
    assert out.tolist() == [[[1.0 + (2 * 3 if columns == (0, 0) else 3 * 2)]] * 4] * 2


def test_classes_and_a_likelihood():
    data = pt.read_table(table(task="classification"), "y")
    result = pt.Study([pt.ThresholdNetwork(40, 0.5), pt.Linear()], validation=pt.KFold(3), test=0.0).run(data)
    means = {c.label.split(",")[0]: c.mean for c in result.candidates}
    assert means["threshold units"] < 0.7 * means["linear model"]
    study = pt.Study(pt.ThresholdNetwork(40), cost=pt.GaussianLikelihood(), validation=pt.KFold(3), test=0.0)
    assert study.run(pt.read_table(table(), "y")).candidates[0].mean < 1


def test_bad_values():
    with pytest.raises(InputError, match="bins"):
        pt.ThresholdNetwork(0)
    with pytest.raises(InputError, match="strength"):
        pt.ThresholdNetwork(strength=0.0)
