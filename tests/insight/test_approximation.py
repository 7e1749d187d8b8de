"""E14 and E15: slopes of constructed data, the basis, and a small study."""

from itertools import product

import numpy as np
import pytest

import perceptory as pt
from perceptory.errors import InputError
from perceptory.insight import approximation_study, fitted_slope, ridge_function
from perceptory.insight.approximation import _basis_errors, cosine_basis


def test_slopes_of_constructed_data():
    h = np.array([1, 2, 4, 8])
    exact = fitted_slope(h, 3.0 * h**-1.25)
    assert (exact.slope, exact.constant) == (pytest.approx(-1.25), pytest.approx(np.log(3)))
    assert exact.error == pytest.approx(0, abs=1e-9)
    noisy = np.exp(np.array([0.1, -0.2, 0.15, 0.05])) / h
    stats = pytest.importorskip("scipy.stats").linregress(np.log(h), np.log(noisy))
    found = fitted_slope(h, noisy)
    assert (found.slope, found.error) == (pytest.approx(stats.slope), pytest.approx(stats.stderr))
    assert np.isnan(fitted_slope([1, 2], [1.0, 0.5]).error)
    with pytest.raises(InputError, match="at least two numbers of h"):
        fitted_slope([1, 2], [1.0, 0.0])


@pytest.mark.parametrize("p", [1, 2, 3, 8])
def test_the_basis_has_the_lowest_frequencies(p):
    x = np.random.default_rng(0).uniform(-1, 1, (50, p))
    found = cosine_basis(x, 12)
    assert found.shape == (50, 12)
    assert np.all(found[:, 0] == 1)
    sides = range(12 if p == 1 else 4 if p < 4 else 2)
    orders = sorted((sum(k * k for k in ks), ks) for ks in product(sides, repeat=p))[:12]
    for column, (_, ks) in zip(found.T, orders, strict=True):
        wanted = np.prod([np.cos(k * np.pi * (x[:, i] + 1) / 2) for i, k in enumerate(ks)], axis=0)
        np.testing.assert_allclose(column, wanted, atol=1e-12)


def test_ridge_functions_do_not_grow_with_p():
    random = np.random.default_rng(0)
    for p in (1, 5, 20):
        y = ridge_function(p, seed=2)(random.uniform(-1, 1, (500, p)))
        assert y.shape == (500,)
        assert 0.05 < y.std() < 2


@pytest.fixture(scope="module")
def study():
    return approximation_study(neurons=(1, 4), inputs=(1, 3), rows=90, starts=2, epochs=60)


def test_one_study_for_all(study, read):
    assert study.network.shape == study.basis.shape == (2, 2)
    assert study.starts.shape == (2, 2, 2)
    np.testing.assert_allclose(study.network, study.starts.min(axis=2))
    assert np.all(study.network[:, 1] < study.network[:, 0])
    network, basis = study.slopes()
    assert all(s.slope < 0 for s in network)
    figure = read.drawn(study.figure())
    lines = read.lines(figure, "p 3")
    np.testing.assert_allclose(lines[0].get_ydata(), study.network[1])
    np.testing.assert_allclose(lines[1].get_ydata(), study.basis[1])
    assert figure.axes[0].get_xscale() == figure.axes[1].get_yscale() == "log"
    told = " ".join(read.texts(figure))
    assert f"p = 1: {basis[0]}" in told
    assert str(network[1]) in study.table()


def test_the_basis_fits_its_own_functions_exactly():
    x = np.random.default_rng(0).uniform(-1, 1, (60, 2))
    y = np.cos(np.pi * (x[:, 0] + 1) / 2)
    one, two = _basis_errors(x, y, (np.arange(40), np.arange(40, 60)), [1, 2])
    assert one > 0.5
    assert two < 1e-20


def test_the_module_of_h_neurons_is_a_network_of_h_neurons():
    import jax
    import jax.numpy as jnp

    from perceptory.insight.approximation import _Neurons

    net = _Neurons(6, 2.0).build((3,), (1,), key=jax.random.key(0))
    x = jnp.asarray(np.random.default_rng(0).normal(size=(4, 3)), jnp.float32)
    v = np.tanh(np.asarray(x @ net.hidden[:, :2] + net.hidden_bias[:2]))
    np.testing.assert_allclose(np.asarray(net(x)), v @ np.asarray(net.output[:2]), rtol=1e-5, atol=1e-6)


def test_refusals():
    with pytest.raises(InputError, match="neurons needs a whole number of at least 1"):
        approximation_study(neurons=(0,))
    with pytest.raises(InputError, match="rows needs a whole number of at least 12"):
        approximation_study(rows=3)
    assert "approximation_study" in dir(pt.insight)
