"""Gradients by layer and time while training, and what is said of them."""

import re
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import perceptory as pt
from perceptory import backend
from perceptory.errors import InputError
from perceptory.insight import gradient_flow
from perceptory.insight.findings import findings_of, reach
from perceptory.insight.flow import _looker
from perceptory.insight.one_member import single
from perceptory.insight.units import hidden_values
from perceptory.layers.arrays import arrays_of, with_arrays


def changed(name, spec, change):
    """A spec whose module starts from changed arrays."""

    def build(inputs, outputs, key):
        module = spec.build((inputs,), (outputs,), key=key)
        return with_arrays(module, change(arrays_of(module)))

    return pt.Custom(build, name=name, batched=True)


def kinds(flow):
    return [f.kind for f in flow.findings]


@pytest.fixture(scope="module")
def deep(small_table):
    return gradient_flow(pt.MLP((6,) * 6, activation="sigmoid"), small_table, epochs=2, rows=50)


def test_a_deep_sigmoid_network_vanishes(deep):
    (found,) = deep.findings
    assert found.kind == "vanishing"
    assert "layer 2" in found.where
    assert re.match(r"at the start, gradients here are up to [\d,.]+(e\+\d+)? times smaller than in the", found.words)
    assert "relu or elu in place of sigmoid" in found.remedy
    assert str(found) in deep.summary()
    assert np.all(np.diff(np.log(deep.norms[0, 1:])) > 0)  # every layer before gets less
    assert deep.layers == (*(f"layer {i}" for i in range(1, 7)), "output layer")
    assert deep.steps.tolist() == [0, 6, 12]  # 192 training rows in batches of 32


def test_the_figure_draws_the_norms(deep, read):
    figure = read.drawn(deep.figure())
    (line,) = read.lines(figure, "layer 3")
    np.testing.assert_allclose(line.get_ydata(), deep.norms[:, 2])
    assert len({(ax.get_linestyle(), ax.get_marker()) for ax in figure.axes[0].lines}) == 7
    assert figure.axes[0].get_yscale() == "log"


def test_norms_are_the_gradients_of_the_mean_cost(small_table):
    study = pt.Study(pt.MLP((4,)), precision="double", validation=pt.HoldOut(0.2), test=0)
    with backend.precision("double"):
        one = single(study, small_table, epochs=1)
        cost, norms, weights, *_ = _looker(one, 40)(one.state.weights)
        batch = one.run.rows.first(40)

        def cost_of(weights):
            output = one.run.module(weights)(batch.x)
            return jnp.mean(0.5 * jnp.sum((output - batch.t) ** 2, axis=1))

        value, (gradient,) = jax.jit(jax.value_and_grad(cost_of))(one.state.weights)
        first, rest = np.asarray(gradient[:16]), np.asarray(gradient[16:])
        own = np.asarray(one.state.weights[0][:16])
    assert cost == pytest.approx(float(value))
    wanted = [np.sqrt(np.mean(first**2)), np.sqrt(np.mean(rest**2))]
    np.testing.assert_allclose(norms, wanted, rtol=1e-10)
    np.testing.assert_allclose(weights[0], np.sqrt(np.mean(own**2)), rtol=1e-10)


def test_large_weights_explode_and_dead_relus_are_counted(small_table, read):
    """Weights 30 times as large, and 5 of the first 12 units so far to the left that no row reaches them."""
    large = changed(
        "large", pt.MLP((12, 6, 6), activation="relu"),
        lambda a: [30 * a[0], a[1].at[:5].set(-1e4), *(30 * v for v in a[2:])],
    )  # fmt: skip
    flow = gradient_flow(large, small_table, epochs=1, rows=192)
    found = next(f for f in flow.findings if f.kind == "exploding")
    assert "a single step can overwrite them" in found.words
    assert "smaller weights" in found.remedy
    found = next(f for f in flow.findings if f.kind == "dead")
    assert found.where == "layer 1"
    assert "of 12 relu units are 0 on every row" in found.words
    assert "(at the start: 5)" in found.words
    assert "leaky_relu" in found.remedy
    (line,) = read.lines(read.drawn(flow.figure()), "flat layer 1")
    np.testing.assert_allclose(line.get_ydata(), 100 * flow.flat[:, 0])


@pytest.fixture(scope="module")
def sums():
    """Series of 24 steps whose target is the sum of the first and the last number."""
    x = np.random.default_rng(0).uniform(size=(60, 24, 1)).astype(np.float32)
    return pt.read_arrays(x, x[:, 0, 0] + x[:, -1, 0], kind="series")


def test_gradients_by_time(sums, read):
    flow = gradient_flow(pt.RNN((4,), activation="sigmoid"), sums, epochs=2, records=2, rows=20)
    assert flow.by_time.shape == (3, 1, 24)
    vanishing = [f for f in flow.findings if f.kind == "vanishing" and f.where.startswith("time")]
    assert {f.where for f in vanishing} == {"time, at the start", "time, after training"}
    assert "Take an LSTM or GRU" in vanishing[0].remedy
    figure = read.drawn(flow.figure())
    (line,) = read.lines(figure, "time start")
    shown = np.maximum(flow.by_time[0, 0], 1e-12 * flow.by_time.max())
    np.testing.assert_allclose(line.get_ydata(), shown)


def test_reach():
    assert reach(np.array([1e-9, 1e-4, 0.02, 1.0])) == 2
    assert reach(np.ones(5)) == 5
    assert reach(np.zeros(5)) == 0


def test_what_constructed_flows_are_called(deep):
    fine = replace(
        deep, norms=np.ones((3, 7)), weights=np.ones((3, 7)), findings=(), hidden=(("layer 1", "tanh", 10),),
        flat=np.zeros((3, 1)),
    )  # fmt: skip
    assert findings_of(fine) == ()
    assert "reach every layer" in fine.summary()
    assert [f.kind for f in findings_of(replace(fine, norms=np.ones((3, 7)) * [[1], [10], [5e3]]))] == ["exploding"]
    assert [f.kind for f in findings_of(replace(fine, weights=np.full((3, 7), 1e-3)))] == ["exploding"]
    lost = replace(fine, norms=np.array([[1.0] * 7, [1.0] * 7, [np.nan] * 7]), diverged=True)
    assert [f.kind for f in findings_of(lost)] == ["diverged", "exploding"]
    (stuck,) = findings_of(replace(fine, flat=np.array([[0.1], [0.2], [0.5]])))
    assert (stuck.kind, stuck.where) == ("saturated", "layer 1")
    assert stuck.words.startswith("5 of 10 tanh units are saturated on nearly all rows")
    falling = np.geomspace(1e-8, 1, 40)[None, None].repeat(3, 0)
    (a, b) = findings_of(replace(fine, by_time=falling, gated=True))
    assert "only over the last 10 of 40 steps" in a.words
    assert b.remedy.startswith("Train it longer")
    mended = np.concatenate([falling[:2], np.ones((1, 1, 40))])
    (only,) = findings_of(replace(fine, by_time=mended, gated=True))
    assert (only.where, only.remedy) == ("time, at the start", "Leave it as it is.")
    assert "10 of 40 steps. Training fixed this." in only.words
    assert findings_of(replace(fine, by_time=falling, every=True)) == ()
    assert {f.kind for f in findings_of(replace(fine, by_time=falling[..., ::-1]))} == {"exploding"}


def test_hidden_values_of_other_networks():
    def of(spec, *inputs):
        found = []
        jax.eval_shape(
            lambda: found.extend(
                (h.activation, h.v.shape)
                for h in hidden_values(spec.build(inputs, (2,), key=jax.random.key(0)), jnp.ones((2, *inputs)))
            )
        )
        return found

    image = [("relu", (2, 3, 3, 3)), ("relu", (2, 1, 1, 4)), ("relu", (2, 5))]
    assert of(pt.CNN((3, 4), kernel=2, hidden=(5,)), 6, 6, 1) == image
    assert of(pt.MLP((4, 4), residual=True, norm="layer"), 3) == [("tanh", (2, 4))] * 2
    assert of(pt.MLP((4,), dropout=0.5, weight_noise=0.1), 3) == [("tanh", (2, 4))]


def test_refusals(small_table):
    with pytest.raises(InputError, match="a study, a candidate or a network is needed"):
        gradient_flow("MLP", small_table)
    with pytest.raises(InputError, match="runs on a Dataset"):
        gradient_flow(pt.MLP(), np.ones((3, 2)))
    with pytest.raises(InputError, match="epochs, records and rows"):
        gradient_flow(pt.MLP(), small_table, epochs=0)
