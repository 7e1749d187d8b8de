"""Code of the user's is looked at anew in every study: what it reads from outside may have changed."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import perceptory as pt
from perceptory import catalog
from perceptory.networks.base import layout
from perceptory.objectives.penalties import WeightPenalty
from perceptory.ops import traced
from perceptory.ops.activations import Activation
from perceptory.optimizers.least_squares import least_squares
from perceptory.specs import has_code

OUTSIDE = {"a": np.array(1.0), "width": 2}


def cost(output, target):
    return jnp.sum((output - target - OUTSIDE["a"].astype(output.dtype)) ** 2, axis=-1)


class Callable:
    def __init__(self):
        self.a = OUTSIDE["a"]

    def __call__(self, output, target):
        return cost(output, target)

    def method(self, output, target):
        return jnp.sum((output - target - self.a) ** 2, axis=-1)


class WithArrays(eqx.Module):
    """Cannot be hashed."""

    weight: jax.Array

    def __call__(self, output, target):
        return self.weight * cost(output, target)


class Moved(eqx.Module):
    weight: jax.Array

    def __call__(self, x):
        return x @ self.weight + OUTSIDE["a"].astype(x.dtype)


def wider(inputs, outputs, key):
    return eqx.nn.MLP(inputs, outputs, OUTSIDE["width"], 1, key=key)


def scaled(gradient, state, parameters=None):
    return jax.tree.map(lambda g: (-0.1 * OUTSIDE["a"]).astype(g.dtype) * g, gradient), state


@dataclasses.dataclass(frozen=True)
class Growing(WeightPenalty):
    def slope(self, gradient, weights, mask):
        return gradient + OUTSIDE["a"].astype(weights.dtype) * weights * mask


METHOD = Callable()
CASES = {
    "function": {"cost": pt.CustomCost(cost)},
    "callable": {"cost": pt.CustomCost(Callable(), name="cost")},
    "method": {"cost": pt.CustomCost(METHOD.method, name="method")},
    "jit": {"cost": pt.CustomCost(jax.jit(cost), name="cost")},
    "module": {"networks": pt.Custom(lambda i, o, key: Moved(jax.random.normal(key, (i, o))), name="moved")},
}


@pytest.fixture(scope="module")
def data():
    x = np.random.default_rng(0).normal(size=(12, 2))
    return pt.read_table(x, target=x[:, 0])


@pytest.mark.parametrize("case", CASES)
def test_a_study_answers_for_data_as_they_are(case, data, monkeypatch):
    study = pt.Study(**{"networks": pt.MLP(()), "epochs": 3, "validation": pt.HoldOut(0.25), "test": 0} | CASES[case])

    def predictions(a):
        monkeypatch.setitem(OUTSIDE, "a", np.array(a))
        monkeypatch.setattr(METHOD, "a", np.array(a))
        model = study.run(data).model
        return model, model.predict(data)

    model, first = predictions(1.0)
    assert not np.allclose(first, predictions(3.0)[1], rtol=1e-4)
    if case == "module":  # a model in hand reads anew, too
        np.testing.assert_allclose(model.predict(data) - first, 2 * model.out_scale[0, 0], rtol=1e-5)
    compilations = len(traced._COMPILED)
    np.testing.assert_array_equal(predictions(1.0)[1], first)
    assert len(traced._COMPILED) == compilations  # an equal computation is not compiled again


def test_a_layout_is_that_of_the_builder_as_it_is(monkeypatch):
    sizes = []
    for width in (2, 5):
        monkeypatch.setitem(OUTSIDE, "width", width)
        sizes.append(layout(pt.Custom(wider), (3,), (1,)).size)
    assert sizes == [11, 26]


def test_least_squares_through_jit():
    factor = np.array(2.0)
    residuals = jax.jit(lambda x: factor * x - 6.0)
    assert least_squares(residuals, 1.0).x == pytest.approx(3)
    factor[...] = 3.0
    assert least_squares(residuals, 1.0).x == pytest.approx(2)


def test_least_squares_with_jit_within():
    """JAX keeps the traces of inner functions too: their arrays and their numbers would be those of the first call."""
    factor, offset = np.array(2.0), 6.0

    @jax.jit
    def inner(x):
        return factor * x - offset

    def residuals(x):
        return jax.lax.scan(lambda carry, _: (inner(x), carry), x, None, length=2)[0]

    assert least_squares(residuals, 1.0).x == pytest.approx(3)
    factor[...] = 3.0
    assert least_squares(residuals, 1.0).x == pytest.approx(2)
    offset = 12.0
    assert least_squares(residuals, 1.0).x == pytest.approx(4)


def test_a_run_goes_on_only_if_the_function_computes_what_it_did(data, monkeypatch, tmp_path):
    def run(a, how="function", **more):
        monkeypatch.setitem(OUTSIDE, "a", np.array(a))
        named = pt.CustomCost(lambda o, t: cost(o, t), name="cost") if how == "copy" else CASES[how]["cost"]
        study = pt.Study(pt.MLP(()), named, epochs=3, validation=pt.HoldOut(0.25), test=0)
        return study.run(data, folder=tmp_path / "run", **more)

    first = run(1.0)
    again = run(1.0, "copy", resume=True)  # the same computation, by another object
    assert again.fingerprint == first.fingerprint
    with pytest.raises(pt.InputError, match=r"was begun with code of your own [0-9a-f]{20}, and here it is"):
        run(3.0, resume=True)


@pytest.mark.parametrize(
    "spec",
    [
        pt.CustomCost(cost), pt.CustomCost(WithArrays(jnp.ones(())), name="cost"), (pt.MLP((3,)), pt.Custom(wider)),
        Growing(0.1), pt.Optax(optax.GradientTransformation(lambda parameters: (), scaled)),
    ],
)  # fmt: skip
def test_code_of_ones_own_is_found(spec):
    assert has_code(spec)
    hash(spec)


def test_names_of_ones_own_are_found(monkeypatch):
    for plain in (pt.MLP((3,), activation="elu(0.5)"), pt.GRU((2,)), pt.Adam(), WeightPenalty(0.1), pt.Huber()):
        assert not has_code(plain)
    monkeypatch.setattr(catalog.ACTIVATIONS, "_entries", dict(catalog.ACTIVATIONS._entries))
    catalog.ACTIVATIONS.add("moved tanh", Activation(lambda z: jnp.tanh(z + OUTSIDE["a"].astype(z.dtype)), "glorot"))
    assert has_code(pt.MLP((2, 2), activation=("tanh", "moved tanh")))
    assert not has_code(pt.MLP((2,), activation="tanh"))
