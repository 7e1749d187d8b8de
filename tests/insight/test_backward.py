"""E16 to E20, term by term: hand-worked numbers, and equal to the automatic gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import perceptory as pt
from perceptory import backend
from perceptory.errors import InputError
from perceptory.insight import backpropagation
from perceptory.insight.derivatives import SLOPES
from perceptory.layers.arrays import pack, unpack
from perceptory.layers.dense import Dense
from perceptory.layers.sequential import Sequential
from perceptory.objectives.table import COSTS, SquaredError
from perceptory.ops.activations import ACTIVATIONS

LINEAR, TANH = ACTIVATIONS["linear"].function, ACTIVATIONS["tanh"].function
KEY = jax.random.key(3)
X, T = np.array([0.4, -1.1, 0.7]), np.array([0.3, -0.2])


def layers_of(*widths, activation="tanh"):
    """Dense layers of given widths, weights and biases some numbers, in double precision."""
    sigma = [ACTIVATIONS[activation].function] * (len(widths) - 2) + [LINEAR]
    with backend.precision("double"):
        return Sequential(
            tuple(
                Dense(
                    jnp.asarray(0.8 * np.sin(1.7 * np.arange(a * b) + b).reshape(a, b)),
                    jnp.asarray(0.3 * np.cos(np.arange(b))),
                    function,
                )
                for a, b, function in zip(widths[:-1], widths[1:], sigma, strict=True)
            )
        )


def agree(cases):
    """Every (module, cost, t) as the automatic gradient has it; all of them are one program."""
    with backend.precision("double"):

        def of(module, cost, t):
            return lambda w: cost.per_row(unpack(module, w)(jnp.asarray(X)[None]), jnp.asarray(t)[None])[0]

        weights = [pack(module) for module, _, _ in cases]
        wanted = jax.jit(lambda ws: [jax.value_and_grad(of(*c))(w) for c, w in zip(cases, ws, strict=True)])(weights)
    for (module, cost, t), (value, gradient) in zip(cases, wanted, strict=True):
        found = backpropagation(module, X, t, cost=cost)
        assert found.cost == pytest.approx(float(value), rel=1e-12, abs=1e-14), cost
        np.testing.assert_allclose(found.gradient(), np.asarray(gradient), rtol=1e-10, atol=1e-12, err_msg=str(cost))


def test_a_1_2_1_network_by_hand():
    module = Sequential((
        Dense(jnp.array([[0.5, -1.0]]), jnp.array([0.1, 0.2]), ACTIVATIONS["relu"].function),
        Dense(jnp.array([[2.0], [3.0]]), jnp.array([-0.5]), LINEAR),
    ))  # fmt: skip
    found = backpropagation(module, [2.0], [1.0])
    hidden, output = found.layers
    # z = 2 · (0.5, -1) + (0.1, 0.2), v = relu(z), y = 2 · 1.1 + 3 · 0 - 0.5, e = t - y
    for got, wanted in [
        (hidden.z, [1.1, -1.8]), (hidden.v, [1.1, 0.0]), (output.z, [1.7]), (found.y, [1.7]), (output.dz, [0.7]),
        (output.dw, [[0.77], [0.0]]), (output.db, [0.7]), (hidden.dv, [1.4, 2.1]), (hidden.dz, [1.4, 0.0]),
        (hidden.dw, [[2.8, 0.0]]), (hidden.db, [1.4, 0.0]),
    ]:  # fmt: skip
        np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=1e-7)
    assert found.cost == pytest.approx(0.5 * 0.7**2)
    assert (hidden.name, hidden.activation, output.name, output.activation) == (
        "layer 1",
        "relu",
        "output layer",
        "linear",
    )


def test_every_activation_as_the_automatic_gradient():
    names = [*ACTIVATIONS, "elu(0.5)", "leaky_relu(0.2)"]
    agree([(layers_of(3, 4, 2, activation=name), SquaredError(), T) for name in names])


def test_every_table_slope_is_the_derivative():
    z = np.linspace(-3, 3, 13) + 0.01
    with backend.precision("double"):
        functions = [ACTIVATIONS[name].function for name in SLOPES]
        both = jax.jit(lambda z: [(f(z), jax.vmap(jax.grad(f))(z)) for f in functions])(jnp.asarray(z))
    for slope_of, (v, slope) in zip(SLOPES.values(), both, strict=True):
        np.testing.assert_allclose(slope_of(z, np.asarray(v)), np.asarray(slope), rtol=1e-9, atol=1e-12)
    assert set(SLOPES) < set(ACTIVATIONS)  # others are differentiated automatically


def test_any_depth_and_any_cost():
    depths = [layers_of(3, *hidden, 2) for hidden in ((), (5,), (5, 4), (4, 4, 3))]
    cases = [(module, SquaredError(), T) for module in depths]
    for cost in (kind() for kind in COSTS.values()):
        cases.append((layers_of(3, 4, cost.outputs(2)), cost, np.array([0.0, 1.0])))
    agree(cases)
    found = backpropagation(depths[-1], X, T)
    assert [layer.name for layer in found.layers] == ["layer 1", "layer 2", "layer 3", "output layer"]


def test_links_are_written_as_by_hand():
    found = backpropagation(layers_of(3, 4, 1), X, [1.0], cost="sigmoid")
    z, y = found.layers[-1].z, found.y
    np.testing.assert_allclose(y, 1 / (1 + np.exp(-z)))
    np.testing.assert_allclose(found.layers[-1].dz, y - 1)
    np.testing.assert_allclose(found.layers[-1].dv, -1 / y)
    assert found.layers[-1].activation == "sigmoid"
    three = backpropagation(layers_of(3, 4, 3), X, [0, 1, 0], cost="softmax")
    np.testing.assert_allclose(three.layers[-1].dz, three.y - [0, 1, 0])
    assert three.y.sum() == pytest.approx(1)


def test_residual_connections_and_dropout_in_use():
    specs = (pt.MLP((3, 3), residual=True, dropout=0.3), pt.MLP((4,), dropout=0.5, input_noise=0.1, weight_noise=0.1))
    with backend.precision("double"):
        modules = [spec.build((3,), (2,), key=KEY) for spec in specs]
    agree([(module, SquaredError(), T) for module in modules])


def test_dv_of_hidden_layers_is_the_gradient_by_them():
    module = layers_of(3, 4, 3, 2)
    found = backpropagation(module, X, T)
    with backend.precision("double"):

        def rest(v):
            return SquaredError().per_row(module.layers[2](module.layers[1](v)), jnp.asarray(T)[None])[0]

        wanted = jax.jit(jax.grad(rest))(jnp.asarray(found.layers[0].v)[None])[0]
    np.testing.assert_allclose(found.layers[0].dv, np.asarray(wanted), rtol=1e-10)


def test_a_sigmoid_output_layer_of_ones_own():
    with backend.precision("double"):
        module = Sequential((
            Dense(jnp.ones((3, 2)) * 0.3, jnp.zeros(2), TANH), Dense(jnp.eye(2), jnp.ones(2), jax.nn.sigmoid),
        ))  # fmt: skip
    agree([(module, SquaredError(), T)])
    found = backpropagation(module, X, T)
    assert found.layers[-1].activation == "sigmoid"


def test_a_spec_and_its_key():
    one, two = (backpropagation(pt.MLP((3,)), [1.0], [0.0], key=jax.random.key(k)) for k in (1, 2))
    assert not np.allclose(one.y, two.y)
    assert np.allclose(one.y, backpropagation(pt.MLP((3,)), [1.0], [0.0], key=jax.random.key(1)).y)


def test_table_and_html_hold_the_numbers():
    found = backpropagation(layers_of(3, 2, 1), X, [0.5])
    text = found.table()
    assert str(found) == text
    assert "layer 1: z = a W + b, v = tanh(z)" in text
    rows = [line.split() for line in text.splitlines() if line.strip().startswith("x2 -> 1")]
    layer = found.layers[0]
    np.testing.assert_allclose([float(c) for c in rows[0][3:]], [X[1], layer.weight[1, 0], layer.dw[1, 0]], rtol=1e-3)
    unit = next(line.split() for line in text.splitlines() if line.split()[:1] == ["2"])
    np.testing.assert_allclose(
        [float(c) for c in unit[1:]], [layer.z[1], layer.v[1], layer.dv[1], layer.dz[1]], rtol=1e-3
    )
    html = found._repr_html_()
    assert html.count("<table>") == 4
    assert "x2 -&gt; 1" in html
    assert "... and" in backpropagation(layers_of(3, 40, 2), X, T).table()


def test_the_graph_carries_the_numbers(read):
    found = backpropagation(layers_of(2, 3, 1), X[:2], [0.5])
    figure = read.drawn(found.figure())
    weights = read.lines(figure, "weight")
    assert len(weights) == 9
    hidden = found.layers[0]
    words = f"{hidden.weight[0, 0]:.3g}".replace("-", "−")
    assert any(t.startswith(words) for t in read.texts(figure, "weight number"))
    negative = [w for layer in found.layers for w in layer.weight.ravel() if w < 0]
    assert sum(line.get_linestyle() == "--" for line in weights) == len(negative)
    assert sum("t = 0.5" in t for t in read.texts(figure, "target")) == 1
    assert len(read.texts(figure, "node")) == 6
    plain = read.drawn(backpropagation(layers_of(3, 9, 2), X, T).figure())
    assert not read.texts(plain, "weight number")
    assert any("print the table" in t for t in read.texts(plain))


def test_what_cannot_be_shown_is_refused():
    with pytest.raises(InputError, match=r"dense layers can be shown.*LayerNorm"):
        backpropagation(pt.MLP((4,), norm="layer"), X, T)
    with pytest.raises(InputError, match="x needs 3 finite numbers"):
        backpropagation(layers_of(3, 4, 2), [1.0], T)
    with pytest.raises(InputError, match="room for 16 units a layer, got 20"):
        backpropagation(layers_of(3, 20, 2), X, T).figure()


def test_a_model_in_its_own_units(small_result, classified):
    model = small_result.model
    row = [0.2, -0.4, 1.0]
    for member in (0, 1):
        found = backpropagation(model, row, [0.7], member=member)
        predicted = model.members_of(np.array([row]))[member, 0]
        np.testing.assert_allclose(found.y * model.out_scale[member] + model.out_center[member], predicted, rtol=1e-5)
        np.testing.assert_allclose(found.t * model.out_scale[member] + model.out_center[member], [0.7])
    assert (found.inputs, found.outputs) == (("a", "b", "c"), ("y",))
    data, classifier = classified
    one = data.take(np.array([60]))
    told = backpropagation(classifier, one, "mid")
    np.testing.assert_allclose(told.y, classifier.members(one)[0, 0], rtol=1e-4)
    np.testing.assert_allclose(told.t, [0, 1, 0])
    assert told.outputs == ("down", "mid", "up")
    with pytest.raises(InputError, match="one of the classes down, mid, up"):
        backpropagation(classifier, one, "rose")
    with pytest.raises(InputError, match="member needs a number from 0 to 1"):
        backpropagation(model, row, [0.7], member=2)
