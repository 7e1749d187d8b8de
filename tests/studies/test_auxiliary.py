"""Studies with auxiliary objectives: what is trained, recorded, kept and refused, and no leak into the inputs."""

from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from perceptory import (
    CNN,
    MLP,
    RNN,
    Adam,
    Auxiliary,
    Custom,
    Folds,
    GradientDescent,
    Huber,
    KFold,
    LevenbergMarquardt,
    Model,
    NextStep,
    PoissonLikelihood,
    RBFNetwork,
    SoftmaxCrossEntropy,
    Study,
    TargetNoise,
    choice,
    insight,
    load_result,
    read_arrays,
    read_series,
    read_table,
    train_further,
)
from perceptory.errors import InputError
from perceptory.figures import auxiliary_curves
from perceptory.layers.arrays import pack, unpack
from perceptory.networks.heads import check_heads, places_without_heads
from perceptory.networks.narx import NARX
from perceptory.networks.state_space import StateSpace
from perceptory.objectives.parts import objective_costs
from perceptory.objectives.reconstruction import Reconstruction
from perceptory.reports.page import render
from perceptory.results.auxiliary import auxiliary_words
from perceptory.studies.prepare import prepare
from perceptory.training.driver import train_group
from perceptory.training.epoch import epoch, start
from perceptory.training.rows import output_of
from perceptory.training.run import Run

RANDOM = np.random.default_rng(3)
ROWS = 48
TRAIN, VALIDATION = np.arange(32), np.arange(32, ROWS)
FOLDS = Folds([(TRAIN, VALIDATION)])


def table(**more):
    x = np.random.default_rng(5).normal(size=(ROWS, 3))
    z = np.sin(2 * x[:, 0]) + x[:, 1]
    frame = pd.DataFrame(x, columns=list("abc")).assign(
        z=z, kind=np.where(z > 0.5, "high", np.where(z > -0.5, "mid", "low"))
    )
    frame.loc[::5, "z"] = np.nan
    frame.loc[::7, "kind"] = None
    frame["y"] = z * x[:, 2] + 5
    return frame.assign(**more)


TABLE = table()


def data_of(names):
    """Of the training rows, scaled as the study does."""
    values = TABLE[names].to_numpy()[TRAIN]
    return (values - np.nanmean(values, axis=0)) / np.nanstd(values, axis=0)


BOTH = [Auxiliary("z", weight=choice(0, 0.5, 2), fade=0.8), Auxiliary("kind", weight=0.2)]
QUICK = {"epochs": 6, "patience": 0, "test": 0, "validation": FOLDS, "optimizer": Adam(3e-2)}
STUDY = Study(MLP((4,)), auxiliary=BOTH, keep_heads=True, **QUICK)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("auxiliary") / "run"


@pytest.fixture(scope="module")
def result(folder):
    return STUDY.run(read_table(TABLE, "y"), folder=folder)


def member(result, candidate):
    return next(m for m in result.members if m.candidate == candidate)


def test_weights_share_a_compilation_and_are_ranked_by_the_main_cost(result):
    assert len(prepare(STUDY, read_table(TABLE, "y")).groups) == 1
    labels = {c.label for c in result.candidates}
    assert any("auxiliary z 0.5 fading over 0.8, kind 0.2" in label for label in labels)
    for candidate in result.candidates:
        assert candidate.weights == 3 * 4 + 4 + 4 + 1  # the heads do not count
    best = member(result, result.best)
    error = result.model.predict(TABLE)[VALIDATION] - TABLE["y"].to_numpy()[VALIDATION]
    scale = TABLE["y"].to_numpy()[TRAIN].std()
    assert best.validation_cost[best.best_epoch - 1] == pytest.approx(np.mean((error / scale) ** 2) / 2, rel=1e-4)
    assert best.score == pytest.approx(np.sqrt(np.mean(error**2)), rel=1e-4)


def test_costs_of_each_objective_are_recorded(result, folder):
    best, model = member(result, result.best), result.model
    at = best.best_epoch - 1
    z = TABLE["z"].to_numpy()
    error = (model.head("z").predict(TABLE) - z)[VALIDATION]
    scale = np.nanstd(z[TRAIN])
    assert best.auxiliary["z"][1, at] == pytest.approx(np.nanmean((error / scale) ** 2) / 2, rel=1e-4)
    kinds, p = model.head("kind").classes.tolist(), model.head("kind").predict_proba(TABLE)[VALIDATION]
    known = [(p[i, kinds.index(k)]) for i, k in enumerate(TABLE["kind"][VALIDATION]) if isinstance(k, str)]
    assert best.auxiliary["kind"][1, at] == pytest.approx(-np.mean(np.log(known)), rel=1e-4)
    assert all(m.auxiliary["z"].shape == (2, 6) and np.isfinite(m.auxiliary["z"]).all() for m in result.members)
    again = member(load_result(folder), result.best)
    np.testing.assert_array_equal(again.auxiliary["kind"], best.auxiliary["kind"])


def test_weights_are_those_of_gradient_descent_on_the_whole_cost():
    """Three steps by hand, in double precision, the auxiliary weight falling from 0.5 to 0 over two thirds of them."""
    study = Study(
        MLP((2,)), auxiliary=Auxiliary("z", weight=0.5, fade=2 / 3), precision="double",
        **QUICK | {"epochs": 3, "optimizer": GradientDescent(0.2)},
    )  # fmt: skip
    frame = TABLE.drop(columns="kind")
    ready = prepare(study, read_table(frame, "y"))
    (group,), outcomes = ready.groups, {}
    x, y, z = (data_of(names) for names in (list("abc"), "y", "z"))
    there = ~np.isnan(z)

    def cost(w, weight):
        hidden = jnp.tanh(x @ w[:6].reshape(3, 2) + w[6:8])
        out = hidden @ w[8:12].reshape(2, 2) + w[12:]
        return jnp.mean((out[:, 0] - y) ** 2 / 2 + weight * there * (out[:, 1] - np.nan_to_num(z)) ** 2 / 2)

    with jax.enable_x64(True):
        train_group(group.plan, group.members, ready.raw, finished=outcomes.update)
        one = jax.tree.map(lambda a: jnp.asarray(a[0]), group.members)
        w = jax.jit(lambda raw: start(Run.of(one, raw, group.plan)).weights[0])(ready.raw)
        slope = jax.jit(jax.grad(cost))
        for weight in (0.5, 0.25, 0.0):
            w = w - 0.2 * slope(w, weight)
    assert outcomes[0].best_epoch == 3
    np.testing.assert_allclose(outcomes[0].weights, w, rtol=1e-12, atol=1e-12)


def test_heads_are_dropped_and_the_target_is_predicted_with_the_same_bits(result, tmp_path):
    lean = STUDY.replace(keep_heads=False).run(read_table(TABLE, "y")).model
    np.testing.assert_array_equal(lean.weights, result.model.weights)
    np.testing.assert_array_equal(lean.predict(TABLE), result.model.predict(TABLE))
    inputs = TABLE[list("abc")]
    np.testing.assert_array_equal(lean.predict(inputs), lean.predict(TABLE))
    np.testing.assert_array_equal(lean.predict(inputs.to_numpy()), lean.predict(TABLE))
    assert lean.encoder.feature_names == ("a", "b", "c")
    assert not lean.encoder.notes_for(TABLE)
    with pytest.raises(InputError, match="keep_heads=True"):
        lean.head("z")
    with pytest.raises(InputError, match="Did you mean 'kind'"):
        result.model.head("kinds")
    result.model.save(tmp_path / "m.safetensors")
    read = Model.load(tmp_path / "m.safetensors")
    for name in ("z", "kind"):
        np.testing.assert_array_equal(read.head(name).predict(inputs), result.model.head(name).predict(inputs))


def test_a_member_alone_has_the_bits_that_it_has_among_others():
    ready = prepare(STUDY, read_table(TABLE, "y"))
    (group,) = ready.groups
    together, alone = {}, {}
    train_group(group.plan, group.members, ready.raw, finished=together.update)
    train_group(group.plan, group.members, ready.raw, waiting=[1], finished=alone.update)
    for name in ("weights", "train_cost", "validation_cost", "auxiliary"):
        np.testing.assert_array_equal(getattr(alone[1], name), getattr(together[1], name))


def test_an_auxiliary_column_is_no_input(result):
    assert {c["name"]: c["made"] for c in result.data.columns}["z"] == "ignored: an auxiliary target"
    ready = prepare(STUDY.replace(test=0.25, validation=KFold(2)), read_table(TABLE, "y"))
    assert ready.encoder.feature_names == tuple("abc")
    rows = ready.sealed.test.row_numbers
    np.testing.assert_array_equal(ready.encoder.transform(ready.sealed.test), TABLE[list("abc")].to_numpy()[rows])


def test_second_order_records_each_objective():
    """Traced, not compiled: what an iteration computes is checked where curvature and landscapes are."""
    study = Study(MLP((3,)), auxiliary=Auxiliary("z", weight=0.3), **QUICK | {"optimizer": LevenbergMarquardt()})
    ready = prepare(study, read_table(TABLE, "y"))
    (group,) = ready.groups
    with jax.enable_x64(True):
        one = jax.tree.map(lambda a: jnp.asarray(a[0]), group.members)

        def first(raw):
            run = Run.of(one, raw, group.plan)
            return epoch(run, start(run))[1]

        assert jax.eval_shape(first, ready.raw).shape == (4,)


def test_classes_as_the_target_and_costs_of_their_own():
    frame = TABLE.assign(count=RANDOM.poisson(np.exp(1 + TABLE["a"])).astype(float)).dropna(subset="kind")
    objectives = [
        Auxiliary("count", cost=PoissonLikelihood()), Auxiliary("y", cost=Huber(), weight=0.3),
        Auxiliary(Reconstruction(), weight=0.1, fade=0.5),
    ]  # fmt: skip
    study = Study(MLP((4,)), auxiliary=objectives, keep_heads=True, epochs=3, batch_size=64)
    model = train_further(study, read_table(frame, "kind")).model
    assert model.head("reconstruction").predict(frame).shape == (len(frame), 4)  # z among the inputs here
    assert set(model.predict(frame)) <= {"high", "mid", "low"}
    assert (model.head("count").predict(frame) > 0).all()
    assert model.head("y").predict(frame).shape == (len(frame),)


def test_reconstruction_aims_at_the_inputs():
    data = read_table(TABLE, "y")
    ready = prepare(STUDY.replace(auxiliary=[Auxiliary("z"), Auxiliary(Reconstruction())]), data)
    aims, kinds = ready.encoded.aims[:, 2:], TABLE["kind"].to_numpy()
    np.testing.assert_array_equal(aims[:, :3], TABLE[list("abc")])  # z is no input and is not given back
    assert np.isnan(aims[[k is None for k in kinds], 3:6]).all()
    np.testing.assert_array_equal(aims[kinds == "low", 3:6], [[0, 1, 0]] * (kinds == "low").sum())
    (scaling,) = ready.scalings
    np.testing.assert_allclose(scaling.aim_center[1:4], TABLE[list("abc")].to_numpy()[TRAIN].mean(axis=0))
    pixels = RANDOM.integers(0, 255, (12, 4, 4, 2)).astype(np.uint8)
    images = read_arrays(pixels, np.arange(12) % 2, kind="image")
    study = Study(CNN((2,)), auxiliary=Auxiliary(Reconstruction()), validation=KFold(2), test=0)
    ready = prepare(study, images)
    np.testing.assert_array_equal(ready.encoded.aims[:, 1:], pixels.reshape(12, -1))
    np.testing.assert_array_equal(ready.scalings[0].aim_center, np.tile(ready.scalings[0].in_center, 16))


# --- what is told ----------------------------------------------------------------------------------------------------


def test_whether_they_helped(result):
    words = auxiliary_words(result)
    means = {c.spec["auxiliary"][0]["weight"]: c.mean for c in result.candidates}
    chosen = result.candidate(result.best).spec["auxiliary"][0]["weight"]
    assert words.startswith(f"Auxiliary objectives of the chosen candidate: 'z', weight {chosen:.3g}, fading over 0.8")
    assert "No candidate goes without them: a weight of 0" in words  # kind has a weight in all of them
    alone = [replace(c, spec=c.spec | {"auxiliary": c.spec["auxiliary"][:1]}) for c in result.candidates]
    helped = "helped" if min(means[0.5], means[2]) < means[0] else "did not help"
    assert f"They {helped}" in auxiliary_words(replace(result, candidates=alone))
    assert words in " ".join(result.summary().split())


def test_figure_of_the_curves_of_each_objective(result):
    figure = auxiliary_curves(result)
    lines = {line.get_gid(): line for ax in figure.axes for line in ax.lines}
    best = member(result, result.best)
    for name, curve in (("target: y", best.validation_cost), ("auxiliary: z", best.auxiliary["z"][1])):
        np.testing.assert_array_equal(lines[f"{name} validation"].get_ydata(), curve)
    assert lines["faded"].get_xdata()[0] == pytest.approx(0.8 * 6)
    assert "auxiliary objective" in render(result)


def test_gradients_of_the_objectives_compared():
    data = read_table(TABLE[[*"abc", "z", "y"]], "y")
    study = Study(MLP((4,)), auxiliary=Auxiliary("z", weight=0.5, fade=0.5), **QUICK)
    agreement = insight.auxiliary_agreement(study, data, epochs=2, records=1)
    assert agreement.layers == ("layer 1",)  # the output layer is not shared
    assert agreement.cosines.shape == (2, 1, 1)
    ready = prepare(study, data, epochs=2)
    (group,) = ready.groups
    one = jax.tree.map(lambda a: jnp.asarray(a[0]), group.members)
    x, y, z = (data_of(name) for name in (list("abc"), "y", "z"))
    there = ~np.isnan(z)

    @jax.jit
    def slopes(raw):
        def costs(w):
            hidden = jnp.tanh(x @ w[:12].reshape(3, 4) + w[12:16])
            out = hidden @ w[16:24].reshape(4, 2) + w[24:]
            others = jnp.sum((out[:, 1] - np.nan_to_num(z)) ** 2 * there) / there.sum()
            return jnp.stack([jnp.mean((out[:, 0] - y) ** 2), others]) / 2

        return jax.jacrev(costs)(start(Run.of(one, raw, group.plan)).weights[0])[:, :16]

    g, h = np.asarray(slopes(ready.raw), float)
    expected = g @ h / np.linalg.norm(g) / np.linalg.norm(h)
    np.testing.assert_allclose(agreement.cosines[0, 0], expected, rtol=1e-3)
    np.testing.assert_allclose(agreement.ratios[0, 0], 0.5 * np.linalg.norm(h) / np.linalg.norm(g), rtol=1e-3)
    assert agreement.ratios[1, 0, 0] == 0  # faded away
    assert f"{agreement.cosines[0, 0, 0]:+.2f}" in agreement.summary()
    assert len(agreement.figure().axes[0].lines) == 2
    with pytest.raises(InputError, match="has no auxiliary objective"):
        insight.auxiliary_agreement(study.replace(auxiliary=None), data, epochs=1)


# --- series ----------------------------------------------------------------------------------------------------------


def records():
    time = np.arange(240)
    u, v = np.sin(time / 5), np.cos(time / 9)
    y = np.convolve(u, [0.5, 0.3, 0.2])[:240]
    return pd.DataFrame({"u": u, "v": v, "y": y, "q": y * v})


@pytest.mark.parametrize(
    ("target", "inputs", "name"),
    [("y", ["u", "v"], "v"), (["y", "q"], ["u"], "q"), ("y", ["u", "v"], NextStep())],
)
def test_a_target_every_step(target, inputs, name):
    data = read_series(records(), target, predict="every step", inputs=inputs, window=12)
    ready = prepare(Study(RNN((3,)), auxiliary=Auxiliary(name, weight=0.1), test=0.2), data)
    u, v, y, q = records().to_numpy().reshape(20, 12, 4)[:16].transpose(2, 0, 1)
    following = np.stack([u, v], axis=2)
    following = np.concatenate([following[:, 1:], np.full((16, 1, 2), np.nan)], axis=1)
    aim = {"v": v[..., None], "q": q[..., None]}.get(name, following)
    np.testing.assert_array_equal(ready.encoded.aims, np.concatenate([y[..., None], aim], axis=2))
    shown = np.stack([u, v], axis=2) if isinstance(name, NextStep) else u[..., None]
    np.testing.assert_array_equal(ready.encoded.inputs, shown)
    assert ready.sealed.test.channels == ready.data.channels == ready.encoder.feature_names


def test_costs_of_series_at_the_start():
    """Costs of the starting network by hand: what is missing is masked, and each is a mean over the rest."""
    data = read_series(records(), "y", predict="every step", inputs=["u", "v"], window=12)
    objectives = [Auxiliary("v", weight=0.1), Auxiliary(NextStep(), weight=0.1, fade=0.5)]
    (group,) = (ready := prepare(Study(RNN((2,)), auxiliary=objectives, validation=KFold(2), test=0), data)).groups
    one = jax.tree.map(lambda a: jnp.asarray(a[0]), group.members)

    @jax.jit
    def costs(raw):
        run = Run.of(one, jax.tree.map(jnp.asarray, raw), group.plan)
        rows = run.rows.first()
        output = output_of(run.module(start(run).weights), rows)
        return objective_costs(run.cost, output, rows.t, rows.w), output, rows.t

    (main, others), output, target = jax.tree.map(np.asarray, costs(ready.raw))
    squares = (output - target) ** 2 / 2
    np.testing.assert_allclose(main, squares[..., 0].mean(), rtol=1e-5)
    np.testing.assert_allclose(others, [squares[..., 1].mean(), squares[:, :-1, 2].mean()], rtol=1e-5)
    assert np.isnan(target[:, -1, 2]).all()


def test_the_next_step_of_series_of_different_lengths_is_missing_at_their_ends():
    x = RANDOM.normal(size=(4, 5, 2))
    data = read_arrays(x, RANDOM.normal(size=(4, 5, 1)), kind="series", lengths=[5, 3, 5, 4])
    aims = prepare(
        Study(RNN((2,)), auxiliary=Auxiliary(NextStep()), test=0, validation=KFold(2)), data
    ).encoded.auxiliary.values
    np.testing.assert_array_equal(aims[1, :2], x[1, 1:3])
    assert np.isnan(aims[1, 2:]).all()
    assert np.isnan(aims[0, 4:]).all()
    assert np.isfinite(aims[0, :4]).all()


# --- what belongs to heads -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("network", "inputs", "outputs", "main"),
    [
        (MLP((2,)), (4, 2), (4, 3), (4, 2)),  # one layer gives every step's outputs, the target's first at each
        (RNN((2,)), (5, 2), (5, 3), (5, 1)),
    ],
)
def test_a_network_without_its_heads_says_the_same_of_the_target(network, inputs, outputs, main):
    places = places_without_heads(network, inputs, outputs, main)

    @jax.jit
    def both(x):
        whole = network.build(inputs, outputs, key=jax.random.key(1))
        part = unpack(network.build(inputs, main, key=jax.random.key(0)), pack(whole)[places])
        return part(x), whole(x)[..., : main[-1]]

    np.testing.assert_allclose(*both(RANDOM.normal(size=(3, *inputs))), rtol=1e-5, atol=1e-6)


class Blocks(eqx.Module):
    """A network of one's own whose weights lie output by output, not main ones first."""

    weight: jax.Array

    def __call__(self, x):
        return jnp.sum(self.weight.reshape(-1, 3) * x, axis=1)


def test_networks_of_ones_own_are_tried_out():
    linear = Custom(lambda inputs, outputs, key: eqx.nn.Linear(inputs, outputs, key=key), name="linear")
    check_heads(linear, (3,), (3,), (1,))
    blocks = Custom(lambda inputs, outputs, key: Blocks(jax.random.normal(key, (3 * outputs,))), name="blocks")
    with pytest.raises(InputError, match="Custom blocks does not end in outputs with weights of their own"):
        check_heads(blocks, (3,), (3,), (1,))


# --- what is refused -------------------------------------------------------------------------------------------------


def refused(words, target="y", study=STUDY, frame=TABLE, **changes):
    with pytest.raises(InputError, match=words) as caught:
        prepare(study.replace(**changes), read_table(frame, target))
    assert str(caught.value).count("\n") == 0


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ("zz", "no column 'zz'"),
        ("y", "the target itself"),
        ("empty", "cannot be used: no value"),
        ("same", "is constant"),
        ("twin", "equals the target 'y'"),
        ("name", "too many to be classes"),
    ],
)
def test_columns_that_teach_nothing(column, words):
    more = {"empty": np.nan, "same": 3.0, "twin": 2 - 3 * TABLE["y"], "name": [f"n{i}" for i in range(ROWS)]}
    refused(words, frame=table(**more), auxiliary=Auxiliary(column))


def test_classes_under_other_names_are_the_target():
    frame = TABLE.dropna(subset="kind").reset_index(drop=True)
    frame["art"] = frame["kind"].map({"high": "hoch", "mid": "mittel", "low": "tief"})
    with pytest.raises(InputError, match="'art' equals the target 'kind'"):
        prepare(Study(MLP((2,)), auxiliary=Auxiliary("art"), test=0), read_table(frame, "kind"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"networks": RBFNetwork(4)}, "solved in one step"),
        ({"auxiliary": [Auxiliary("z"), Auxiliary("z")]}, "'z' twice"),
        ({"auxiliary": Auxiliary(NextStep())}, "NextStep is for series"),
        ({"auxiliary": Auxiliary("kind", cost=Huber())}, "does not suit"),
        ({"auxiliary": Auxiliary("kind", cost=SoftmaxCrossEntropy(class_weight="balanced"))}, "no balanced class"),
        ({"auxiliary": choice(Auxiliary("z"), 3)}, "needs specs of the kind Auxiliary"),
        ({"auxiliary": 3}, "needs an Auxiliary, got 3"),
        ({"optimizer": LevenbergMarquardt()}, "may fade"),
        ({"augmentation": TargetNoise(0.1)}, "'kind' holds classes"),
        ({"keep_heads": 1}, "True or False"),
    ],
)
def test_what_does_not_go_together(changes, words):
    refused(words, **changes)


def test_training_that_goes_on_has_no_heads(result):
    data = read_table(TABLE, "y")
    with pytest.raises(InputError, match="goes on without auxiliary"):
        train_further(STUDY.replace(auxiliary=Auxiliary("z"), validation=None), data, start=result.model)


@pytest.mark.parametrize("network", [NARX((2,)), StateSpace(2, (2,), lead=2)])
def test_networks_that_take_their_outputs_for_the_targets(network):
    known = "all" if network.feedback else 2
    data = read_series(records(), "y", predict="every step", inputs=["u", "v"], window=12, known=known)
    with pytest.raises(InputError, match="takes its own outputs for those of the target"):
        prepare(Study(network, auxiliary=Auxiliary("v"), test=0), data)


def test_series_whose_channels_are_no_targets():
    data = read_series(records(), "y", predict="ahead", inputs=["u", "v", "y"], window=6)
    with pytest.raises(InputError, match="Name it among the targets"):
        prepare(Study(RNN((2,)), auxiliary=Auxiliary("v"), test=0), data)
    data = read_series(records(), "y", predict="every step", inputs=["u"], window=12)
    with pytest.raises(InputError, match="no input is left"):
        prepare(Study(RNN((2,)), auxiliary=Auxiliary("u"), test=0), data)
    with pytest.raises(InputError, match="sees the next step"):
        prepare(Study(RNN((2,), bidirectional=True), auxiliary=Auxiliary(NextStep()), test=0), data)
