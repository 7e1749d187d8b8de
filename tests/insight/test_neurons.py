"""E11's stages, histograms of weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import perceptory as pt
from perceptory.errors import InputError
from perceptory.insight import neuron_responses, weight_histograms
from perceptory.layers.dense import Dense
from perceptory.layers.sequential import Sequential

W, B, OUT = np.array([2.0, -1.0, 0.5]), np.array([0.3, 0.0, -1.0]), np.array([1.5, -2.0, 0.25])


def module():
    return Sequential((
        Dense(jnp.asarray(W[None]), jnp.asarray(B), jnp.tanh),
        Dense(jnp.asarray(OUT[:, None]), jnp.asarray([0.4]), lambda z: z),
    ))  # fmt: skip


def test_the_three_stages_of_e11(read):
    x = np.array([-1.0, 0.0, 0.5, 2.0])
    found = neuron_responses(module(), x)
    z = x[:, None] * W + B
    np.testing.assert_allclose(found.z, z, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(found.v, np.tanh(z), rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(found.terms, OUT * np.tanh(z), rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(found.y, np.tanh(z) @ OUT + 0.4, rtol=1e-6)
    figure = read.drawn(found.figure())
    for what, values in zip("zvw", (found.z, found.v, found.terms), strict=True):
        for j in range(3):
            (line,) = read.lines(figure, f"{what}{j + 1}")
            np.testing.assert_allclose(line.get_ydata(), values[:, j])
    (total,) = read.lines(figure, "sum")
    np.testing.assert_allclose(total.get_ydata(), found.y)
    assert [t for t in read.texts(figure) if t in ("1", "2", "3")] == ["1", "2", "3"] * 3
    dashes = {line.get_linestyle() + str(line._dash_pattern) for line in figure.axes[0].lines}
    assert len(dashes) == 3


@pytest.fixture(scope="module")
def fitted(make_model):
    x = np.linspace(-2, 2, 20)
    return make_model(pt.read_table({"x": x, "y": np.sin(x)}, "y"), pt.MLP((4,)))


def test_a_model_answers_in_its_own_units(fitted):
    found = neuron_responses(fitted, (-2, 2), points=7, member=1)
    np.testing.assert_allclose(found.y, fitted.members_of(found.x[:, None])[1, :, 0], rtol=1e-4, atol=1e-3)
    assert found.names == ("x", "y")


def test_what_has_no_three_stages():
    with pytest.raises(InputError, match="one input and one hidden layer, got 1 inputs and 2 hidden"):
        neuron_responses(pt.MLP((2, 2)))
    with pytest.raises(InputError, match=r"x needs finite numbers \(from, to\)"):
        neuron_responses(module(), [1.0])
    with pytest.raises(InputError, match="output needs a number from 0 to 0"):
        neuron_responses(module(), output=1)


def test_histograms_count_the_weights(fitted, read):
    figure = read.drawn(weight_histograms(fitted))
    assert len(figure.axes) == 2
    counts = [sum(np.ravel(n.get_xy()[:, 1]).max() > 0 for n in ax.patches) for ax in figure.axes]
    assert min(counts) > 0
    words = " ".join(read.texts(figure))
    assert words.count("n 8") == 2  # 1 x 4 and 4 x 1 weights of two members
    hatches = {p.get_hatch() for ax in figure.axes for p in ax.patches}
    assert hatches == {"////"}
    with_biases = weight_histograms(module(), biases=True)
    assert len([ax for ax in with_biases.axes if ax.axison]) == 4
    sparse = weight_histograms(Dense(jnp.asarray([[0.0, 1.0], [0.0, -2.0]]), jnp.zeros(2), jnp.tanh))
    assert any("exactly 0: 2" in t for t in read.texts(sparse))
    with pytest.raises(InputError, match="needs a trained model or a module"):
        weight_histograms(pt.MLP())


def test_more_neurons_than_lines(read):
    found = neuron_responses(pt.MLP((60,)), key=jax.random.key(1))
    figure = read.drawn(found.figure())
    assert len(figure.axes[0].lines) == 20
    assert any("One neuron of 3 is drawn" in t for t in read.texts(figure))
