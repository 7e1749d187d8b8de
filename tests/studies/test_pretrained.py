"""Early layers that come from another network: which, in what terms, how they move, and what is refused."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

import perceptory as pt
from perceptory import backend
from perceptory.app.starts import starts
from perceptory.models.model_file import TENSORS
from perceptory.networks.base import layout
from perceptory.specs import from_json, to_json
from perceptory.studies.assemble import model_of
from perceptory.studies.matching import structure
from perceptory.studies.prepare import prepare
from perceptory.studies.pretrained import KnownModel
from perceptory.studies.split import on_all_rows
from perceptory.training.driver import train_group
from perceptory.training.one_member import train_single

RANDOM = np.random.default_rng(0)
FOLDS = pt.KFold(2)


def data_of(shape, rows=24, shift=0.0, steps=False):
    """Examples of a shape, their numbers shifted and spread by it."""
    x = (RANDOM.normal(size=(rows, *shape)) * (1 + shift) + shift).astype(np.float32)
    if len(shape) == 1:
        return pt.read_table({**{f"x{i}": x[:, i] for i in range(shape[0])}, "y": x[:, 0] + x[:, 1]}, target="y")
    y = x[..., :1] + 0.5 if steps else x.reshape(rows, -1)[:, :1]
    return pt.read_arrays(x, y, kind="series" if len(shape) == 2 else "image")


def untrained(network, data, members=3):
    """A model of random weights, as a study would leave it."""
    ready = prepare(pt.Study(network, validation=pt.KFold(members), test=0), data)
    size = layout(network, ready.encoded.shape, ready.groups[0].plan.outputs).size
    weights = RANDOM.normal(size=(members, size)).astype(np.float32) / 3
    return model_of(ready, 0, weights, ready.scalings, {})


def begun(model, network, data, **fields):
    """The group of a study whose members begin with the layers of a model."""
    start = pt.Pretrained(model, **fields)
    ready = prepare(pt.Study(network, validation=FOLDS, test=0, seeds=2, start=start), data)
    return ready, ready.groups[0]


NETWORKS = {
    "table": (pt.MLP((5, 4)), (3,), False),
    "flat": (pt.MLP((5,), norm="layer"), (4, 3, 2), False),
    "valid": (pt.CNN((3, 2), kernel=2, padding="valid", pool=1, hidden=(4,)), (6, 5, 2), False),
    "padded": (pt.CNN((3,), kernel=3, hidden=(4,)), (6, 5, 2), False),
    "rnn": (pt.RNN((4, 3)), (6, 2), True),
    "both directions": (pt.LSTM((4,), bidirectional=True), (6, 2), False),
    "gru": (pt.GRU((4,)), (6, 2), False),
    "chain": (pt.Chain((pt.DenseLayer(4), pt.DropoutLayer(0.2), pt.RNNLayer(3))), (6, 2), False),
    "normed inputs": (pt.Chain((pt.NormLayer("layer"), pt.DenseLayer(4))), (6, 2), False),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_first_layers_give_what_they_gave(name):
    network, shape, steps = NETWORKS[name]
    model = untrained(network, data_of(shape, steps=steps))
    data = data_of(shape, shift=2.0, steps=steps)
    ready, group = begun(model, network, data)
    where = layout(network, ready.encoded.shape, group.plan.outputs)
    marks = where.vector(group.plan.start.given)
    assert not all(group.plan.start.given[-2:])
    assert any(group.plan.start.given)
    turns = [(seed * 2 + fold) % 3 for _, fold, seed in group.who]
    there = dataclasses.replace(model, **{name: getattr(model, name)[turns] for name in TENSORS})
    weights = there.weights.astype(float)
    weights[:, marks] = np.concatenate([a.reshape(len(turns), -1) for a in group.members.given], axis=1)
    center, factor = (np.stack([getattr(s, name) for s in group.scalings]) for name in ("in_center", "in_factor"))
    here = dataclasses.replace(there, weights=weights.astype(np.float32), in_center=center, in_factor=factor)
    inputs = ready.encoded.inputs
    np.testing.assert_allclose(here.members_of(inputs), there.members_of(inputs), rtol=2e-4, atol=2e-5)
    own = [
        np.array_equal(s.in_factor, ready.scalings[f].in_factor)
        for s, (_, f, _) in zip(group.scalings, group.who, strict=True)
    ]
    assert own == [name not in ("padded", "normed inputs")] * 4


def test_parts_have_the_names_of_the_layout():
    for network, shape, steps in NETWORKS.values():
        outputs = (shape[0], 1) if steps else (1,)
        parts, where = structure(network, shape, outputs), layout(network, shape, outputs)
        assert tuple(name for part in parts for name in part.names) == where.names
        assert tuple(shape for part in parts for shape in part.shapes) == where.shapes


# --- how the layers move ---------------------------------------------------------------------------------------------

SMALL = pt.MLP((5, 4))


@pytest.fixture(scope="module")
def source():
    """A model of two hidden layers on three columns, and the rows of another study."""
    return untrained(SMALL, data_of((3,))), data_of((3,), rows=30, shift=1.0)


def on_every_row(source, epochs, optimizer="adam", **fields):
    """The one member of a study on all rows, whose last weights count, and its data. Its key is always the same."""
    study = pt.Study(SMALL, test=0, optimizer=optimizer, start=pt.Pretrained(source[0], **fields))
    ready = prepare(study, source[1], splitting=on_all_rows, epochs=epochs)
    (group,) = ready.groups
    return group.plan, group.members._replace(key=np.zeros((1, 2), np.uint32)), ready.raw


def steps(source, epochs, **fields):
    """(what the member begins with, its weights after each epoch), of the arrays that are given."""
    plan, member, raw = on_every_row(source, epochs, **fields)
    first, seen = np.concatenate([a[0].ravel() for a in member.given]), []

    def look(_, weights):
        seen.append(weights()[: len(first)])

    with backend.precision("single"):
        train_single(plan, member, raw, watch=look, each=True)
    return plan.start, first, seen


def test_frozen_layers_keep_their_bits_and_tuned_ones_move(source):
    _, first, seen = steps(source, 2, train="frozen")
    assert all(np.array_equal(weights, first) for weights in seen)
    plan, _, _ = on_every_row(source, 1, layers=1)
    assert plan.start.given == (True, True, False, False, False, False)
    assert plan.start.still == (False,) * 6


def test_a_rate_factor_scales_the_first_step_of_its_layer(source):
    """One step of gradient descent on all rows moves a layer by its factor times what it moves alone."""
    descent = pt.GradientDescent(0.1)
    _, first, (whole,) = steps(source, 1, optimizer=descent)
    assert (whole != first).any()
    _, _, (part,) = steps(source, 1, optimizer=descent, train={1: 0.25, "layers.1.bias": 0.5})
    factor = np.repeat([0.25, 1, 0.5], [20, 20, 4])
    np.testing.assert_allclose(part - first, factor * (whole - first), rtol=1e-2, atol=1e-6)


def test_layers_rest_until_their_share_of_the_epochs_is_done(source):
    """With half of four epochs to rest, two epochs leave them where they were, and the third moves them."""
    _, first, seen = steps(source, 4, unfreeze_after=0.5)
    assert [np.array_equal(weights, first) for weights in seen] == [True, True, False, False]


def test_shares_and_factors_are_numbers_of_one_program(source):
    """What may differ between members of a program differs without a new one, and so do models."""
    other = dataclasses.replace(source[0], weights=source[0].weights + 1)
    starts = [pt.Pretrained(m, train={1: f}, unfreeze_after=u) for m in (source[0], other) for f in (0.1, 0.2)
              for u in (0.3, 0.6)]  # fmt: skip
    ready = prepare(pt.Study(SMALL, validation=FOLDS, test=0, start=pt.choice(*starts)), source[1])
    assert len(ready.candidates) == 8
    assert len(ready.groups) == 1
    scratch = prepare(pt.Study(SMALL, validation=FOLDS, test=0, start=pt.choice(None, starts[0])), source[1])
    plain = prepare(pt.Study(SMALL, validation=FOLDS, test=0), source[1])
    assert scratch.groups[0].plan == plain.groups[0].plan  # whoever starts from scratch has the program of old
    assert np.array_equal(scratch.groups[0].members.key, plain.groups[0].members.key)


# --- studies ---------------------------------------------------------------------------------------------------------


def test_a_study_holds_the_digest_and_finds_the_model_again(source, tmp_path):
    model, _data = source
    path = tmp_path / "source.safetensors"
    model.save(path)
    start = pt.Pretrained(path, layers=1, train={"layers.0": pt.uniform(0.1, 0.9)})
    assert start.model == KnownModel.of(model)
    assert hash(start) == hash(start.replace())
    text = json.dumps(to_json(start))
    assert len(text) < 400
    assert str(path) in text
    again = from_json(json.loads(text))
    assert again == start
    assert again.model.model is None
    assert np.array_equal(again.model.ready().weights, model.weights)
    assert str(path) not in json.dumps(to_json(start, lean=True))  # a member is known by what it begins with
    dataclasses.replace(model, weights=model.weights + 1).save(path)
    with pytest.raises(pt.InputError, match="holds another model"):
        from_json(json.loads(text)).model.ready()
    lost = from_json(to_json(pt.Pretrained(model)))
    with pytest.raises(pt.InputError, match="was in memory and in no file"):
        lost.model.ready()


@pytest.fixture(scope="module")
def compared(source):
    """A study that compares both starts, its data and its result."""
    model, data = source
    study = pt.Study(SMALL, validation=FOLDS, test=0, epochs=4, patience=0, start=pt.choice(None, pt.Pretrained(model)))
    return study, data, study.run(data)


def test_the_study_says_whether_it_pays(compared):
    study, data, result = compared
    labels = {c.label for c in result.candidates}
    assert any("from scratch" in label for label in labels)
    assert any("tuned" in label for label in labels)
    alone = study.replace(start=None).run(data)
    pairs = {(m.fold, m.seed): m.score for m in alone.members}
    (scratch,) = [c.id for c in result.candidates if "from scratch" in c.label]
    assert {(m.fold, m.seed): m.score for m in result.members if m.candidate == scratch} == pairs


def test_the_model_says_what_it_began_with(source, compared, tmp_path):
    study, data, _ = compared
    result = study.replace(start=pt.Pretrained(source[0], train="frozen")).run(data, folder=tmp_path / "run")
    read = pt.Model.load(tmp_path / "run")
    assert read.facts["start"] == result.model.facts["start"]
    assert "frozen" in read.facts["start"]
    assert from_json(read.facts["start_spec"]).model == KnownModel.of(source[0])
    assert (tmp_path / "run" / "result.json").stat().st_size < 20_000
    assert "frozen" in result.summary()


def test_a_member_alone_has_the_bits_that_it_has_among_others(compared, source):
    study, data, result = compared
    start = study.start.values[1]
    ready = prepare(study.replace(start=start), data)
    (group,), outcomes = ready.groups, {}
    with backend.precision("single"):
        train_group(group.plan, group.members, ready.raw, waiting=[1], finished=outcomes.update)
    (tuned,) = [c.id for c in result.candidates if "tuned" in c.label]
    (among,) = [m for m in result.members if m.candidate == tuned and m.fold == 1]
    assert list(outcomes) == [1]
    assert np.array_equal(outcomes[1].validation_cost, among.validation_cost)


def test_an_interrupted_study_goes_on_to_the_same_bits(compared, tmp_path):
    study, data, whole = compared

    class StopHereError(Exception):
        pass

    def stop(state):
        if state["members_done"] >= 2:
            raise StopHereError

    with pytest.raises(StopHereError):
        study.run(data, folder=tmp_path / "run", progress=stop)
    other = study.start.values[1].replace(train="frozen")
    with pytest.raises(pt.InputError, match="asked something else"):
        study.replace(start=pt.choice(None, other)).run(data, folder=tmp_path / "run", resume=True)
    again = study.run(data, folder=tmp_path / "run", resume=True)
    assert np.array_equal(again.model.weights, whole.model.weights)


# --- tables ----------------------------------------------------------------------------------------------------------


def table(categories, days, extra=None, rows=24):
    columns = {
        "a": RANDOM.normal(size=rows), "kind": np.resize(categories, rows),
        "day": np.datetime64("2024-01-01") + np.arange(rows) * days, "y": RANDOM.normal(size=rows),
    }  # fmt: skip
    return pt.read_table(columns | (extra or {}), target="y")


def test_columns_are_found_by_name_and_new_categories_begin_at_zero():
    network = pt.MLP((4,))
    there = table(["p", "q", "r"], 2)
    model = untrained(network, there, members=2)
    data = table(["q", "new", "p"], 3)
    data = dataclasses.replace(data, columns=data.columns[::-1])
    ready, group = begun(model, network, data)
    names = ready.encoder.feature_names
    weight, bias = (a[0] for a in group.members.given)
    assert not weight[names.index("kind=new")].any()
    assert weight[names.index("kind=p")].any()
    assert any("'kind=new'" in str(note) for note in ready.notes)
    assert any("'kind=r'" in str(n) for n in ready.notes)
    scaling, x = group.scalings[0], ready.encoded.inputs
    here = np.nan_to_num((x - scaling.in_center) * scaling.in_factor) @ weight + bias
    old = model.encoder.transform(data)  # a category that it does not know is 0 in all features
    where = layout(network, model.encoder.shape, (1,))
    size = int(np.prod(where.shapes[0]))
    w, b = model.weights[0][:size].reshape(where.shapes[0]), model.weights[0][size : size + 4]
    expected = (old - model.in_center[0]) * model.in_factor[0] @ w + b
    known = ~np.isin(np.arange(24) % 3, [1])
    np.testing.assert_allclose(here[known], expected[known], rtol=1e-3, atol=1e-3)


def test_an_autoencoder_gives_its_encoder_and_takes_one():
    """A study of targets begins with an encoder's hidden layers, and so does another autoencoder; PCA begins anew."""
    data, coder = data_of((3,)), pt.Autoencoder(SMALL, code=2)
    rows = pt.read_table({f"x{i}": RANDOM.normal(size=24) for i in range(3)}, task="autoencode")
    ready = prepare(pt.Study(coder, validation=FOLDS, test=0), rows)
    group = ready.groups[0]
    size = layout(coder, (3,), (3,)).size
    weights = RANDOM.normal(size=(2, size)).astype(np.float32)
    model = model_of(ready, group.who[0][0], weights, ready.scalings, {})
    _, begins = begun(model, SMALL, data)
    assert begins.plan.start.given == (True,) * 4 + (False, False)
    np.testing.assert_allclose(begins.members.given[2][0], weights[0][20:40].reshape(5, 4))
    study = pt.Study(coder, validation=FOLDS, test=0, start=pt.Pretrained(model, layers=1))
    again = prepare(study, rows)
    assert sorted(c.network.label for c in again.candidates if c.start is None) == ["PCA to 2"]


def test_other_columns_are_listed():
    model = untrained(pt.MLP((4,)), table(["p", "q"], 2, {"old": RANDOM.normal(size=24)}), members=2)
    with pytest.raises(pt.InputError, match="the study lacks 'old'; the model does not know 'new'"):
        begun(model, pt.MLP((4,)), table(["p", "q"], 2, {"new": RANDOM.normal(size=24)}))
    other = table(["p", "q"], 2, {"old": np.resize(["one", "two", "three"], 24)})
    with pytest.raises(pt.InputError, match="'old' is numeric there and categorical here"):
        begun(model, pt.MLP((4,)), other)


# --- what is refused -------------------------------------------------------------------------------------------------

MESSAGES = {
    "shape": (pt.MLP((5, 3)), {"layers": 2}, r"only 1 of its layers of MLP 5-4 tanh: layer 2 is dense tanh layers"),
    "kind": (pt.MLP((5, 4), "relu"), {}, r"no layer of MLP.*layers.0.weight \[3, 5\].* there and dense relu"),
    "too many": (SMALL, {"layers": 3}, r"layer 3 is the output layer there and the output layer here.*or layers=2"),
    "rate": (SMALL, {"train": {"layers.9": 0.1}}, r"'layers.9', which is no layer that is taken"),
    "solved": (pt.RBFNetwork(3), {}, r"is solved in one step"),
}  # fmt: skip


@pytest.mark.parametrize("name", MESSAGES)
def test_what_does_not_fit_is_said(source, name):
    network, fields, message = MESSAGES[name]
    with pytest.raises(pt.InputError, match=message):
        begun(source[0], network, source[1], **fields)


def test_fields_that_are_no_start(source):
    model, data = source
    with pytest.raises(pt.InputError, match="train needs 'tuned', 'frozen'"):
        pt.Pretrained(model, train="slow")
    with pytest.raises(pt.InputError, match="needs a number of at least 0 and below 1"):
        pt.Pretrained(model, unfreeze_after=1.5)
    with pytest.raises(pt.InputError, match="there is no model file"):
        pt.Pretrained("nowhere")
    with pytest.raises(pt.InputError, match="Pretrained needs a model, a result or the path"):
        pt.Pretrained(3)
    with pytest.raises(pt.InputError, match="start needs a Pretrained"):
        pt.Study(SMALL, start=model)
    with pytest.raises(pt.InputError, match="takes steps of all weights together"):
        prepare(pt.Study(SMALL, optimizer="lm", start=pt.Pretrained(model, unfreeze_after=0.5)), data)
    with pytest.raises(pt.InputError, match="on a table or on arrays"):
        begun(model, SMALL, data_of((4, 2)))


def test_the_command_line_writes_starts(source, tmp_path):
    path = tmp_path / "a:2.safetensors"
    source[0].save(path)
    one = starts([f"{path}:1:frozen"])
    assert one == pt.Pretrained(source[0], layers=1, train="frozen")
    assert starts(["none", str(path), f"{path}:2"]) == pt.choice(
        None, pt.Pretrained(path), pt.Pretrained(path, layers=2)
    )
    for text, message in {":2": "names no run", f"{path}:0": "at least 1", "x:2": "no model file x"}.items():
        with pytest.raises(pt.InputError, match=message):
            starts([text])
