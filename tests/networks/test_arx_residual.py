"""A network over a linear model of a dynamic system."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from perceptory import GRU, MLP, NARX, ARXResidual, HoldOut, InputError, Linear, Model, Study, choice, read_series
from perceptory.objectives.distribution import GaussianLikelihood


@pytest.fixture(scope="module")
def data():
    random = np.random.default_rng(0)
    u, y = random.normal(size=240), np.zeros(240)
    for t in range(1, 240):
        y[t] = 0.7 * y[t - 1] + u[t]
    return read_series({"u": u, "y": y + 0.1 * y**2}, "y", predict="every step", window=40, stride=20)


def test_it_begins_as_the_linear_model_and_adds_what_that_leaves(data, tmp_path):
    network, arx = ARXResidual(GRU((3,)), lags=1), NARX((), "tanh", 1, 1, train="least squares", at_rest=True)
    study = Study(arx, validation=HoldOut(0.3), test=0, epochs=2, patience=0)
    linear, model = (study.replace(networks=one).run(data).model for one in (arx, network))
    assert network.label == "ARX 1+1 + GRU 3"
    below, above = linear.arrays(), model.arrays()
    for name in ("weight", "bias"):  # left as it was solved
        np.testing.assert_array_equal(above[f"linear.layers.0.{name}"], below[f"layers.0.{name}"])
    x = np.random.default_rng(1).normal(size=(2, 9, 1))
    (module,) = model.networks()

    def parts(x):
        run = module.linear(x)
        return run, module.share * module.inner(jnp.concatenate([x, run], axis=-1)), module(x)

    run, added, whole = map(np.asarray, jax.jit(parts)(x))
    np.testing.assert_allclose(whole, run + added, atol=1e-6)
    assert np.abs(added).max() > 1e-3
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(Model.load(tmp_path / "model").predict(x), model.predict(x))


def test_what_it_cannot_stand_with_is_said(data):
    for network in (Linear(), NARX((3,)), ARXResidual()):
        with pytest.raises(InputError, match=r"Use GRU|such as GRU"):
            ARXResidual(network)
    assert isinstance(ARXResidual(choice(GRU((2,)), GRU((3,)))), ARXResidual)
    with pytest.raises(InputError, match="Use squared, absolute or huber"):
        Study(ARXResidual(GRU((2,))), cost=GaussianLikelihood()).run(data)
    with pytest.raises(InputError, match=r"needs series .* Read them with predict=.every step"):
        ARXResidual(MLP((2,))).build((4,), (1,), key=jax.random.key(0))
