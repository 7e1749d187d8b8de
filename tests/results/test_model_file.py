"""The model file: the same bits back, and one sentence for whatever is wrong with it."""

import json
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save as to_bytes

from perceptory import GradientDescent, KFold, Model, Study, read_table
from perceptory.errors import InputError
from perceptory.models import model_file as modelfile
from perceptory.models.model_file import TENSORS, write_bytes
from perceptory.networks.base import Network
from perceptory.networks.mlp import MLP


def model_of(classes=False, **changes):
    random = np.random.default_rng(0)
    columns = {
        "x": random.normal(size=30) * 100,
        "kind": [["a", "bü", "c, d"][i % 3] for i in range(30)],
        "when": [f"2024-{1 + i % 12:02d}-{1 + i % 28:02d}" for i in range(30)],
        "gap": [None if i % 5 == 0 else i / 7 for i in range(30)],
    }
    target = [("yes" if i % 3 else "no") for i in range(30)] if classes else random.normal(size=30)
    study = Study(networks=MLP((3,)), optimizer=GradientDescent(0.1), epochs=2, validation=KFold(2), test=0, **changes)
    data = read_table(columns | {"y": target}, "y")
    return study.run(data).model, data


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    model, data = model_of()
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    model.save(path)
    return model, data, path


# --- the way there and back --------------------------------------------------------------------------------------


def test_the_same_bits_come_back(saved):
    model, data, path = saved
    loaded = Model.load(path)
    assert np.array_equal(loaded.predict(data), model.predict(data))
    assert np.array_equal(loaded.members(data), model.members(data))
    for name in TENSORS:
        assert getattr(loaded, name).dtype == getattr(model, name).dtype
        assert np.array_equal(getattr(loaded, name), getattr(model, name))
    for name in ("task", "targets", "classes", "encoder", "network", "cost", "outputs", "precision", "facts"):
        assert getattr(loaded, name) == getattr(model, name), name
    assert Model.load(path.parent).facts == model.facts  # a run folder
    assert Model.load(str(path)).facts == model.facts


@pytest.mark.parametrize("changes", [{"precision": "double", "classes": True}])
def test_other_kinds_of_models(changes, tmp_path):
    model, data = model_of(**changes)
    model.save(tmp_path / "m.safetensors")
    loaded = Model.load(tmp_path / "m.safetensors")
    assert np.array_equal(loaded.members(data), model.members(data))
    assert np.array_equal(loaded.predict(data), model.predict(data))


def test_a_file_of_a_model_with_heads_is_read_as_it_was_written(tmp_path):
    """Written by the first version that knew heads: classes with the sigmoid likelihood, numbers under Huber's cost."""
    path = Path(__file__).parent / "golden" / "heads.safetensors"
    model = Model.load(path)
    new = {"x": [1.0, 5.0, None], "w": [0.5, -0.5, 0.0]}
    heads = [(head.about, head.task, head.classes) for head in model.heads.each]
    assert heads == [("z", "binary", ("high", "low")), ("d", "regression", None)]
    np.testing.assert_allclose(model.predict(new), [6.778556, 6.197397, 6.749836], rtol=1e-5)
    np.testing.assert_allclose(model.head("z").predict_proba(new)[:, 0], [0.412046, 0.427436, 0.40072], rtol=1e-4)
    np.testing.assert_allclose(model.head("d").predict(new), [8.397914, 14.44132, 9.667495], rtol=1e-5)
    model.save(tmp_path / "again.safetensors")
    again = Model.load(tmp_path / "again.safetensors").heads
    assert again.each == model.heads.each
    assert np.array_equal(again.weights, model.heads.weights)


@pytest.mark.parametrize("labels", [[3, 7], [True, False], ["a", "b"]])
def test_labels_keep_their_type(labels, tmp_path):
    x = np.random.default_rng(0).normal(size=(24, 1))
    data = read_table(x, np.array(labels)[(x[:, 0] > 0).astype(int)], task="classification")
    model = (
        Study(networks=MLP(()), optimizer=GradientDescent(0.1), epochs=1, validation=KFold(2), test=0).run(data).model
    )
    model.save(tmp_path / "m.safetensors")
    loaded = Model.load(tmp_path / "m.safetensors")
    assert loaded.classes.dtype == model.classes.dtype
    assert loaded.predict(x).tolist() == model.predict(x).tolist()
    assert set(loaded.predict(x).tolist()) <= set(labels)


class Mine(Network):
    def build(self, inputs, outputs, *, key):
        return MLP(()).build(inputs, outputs, key=key)


def test_a_network_that_files_do_not_know_is_not_written(saved, tmp_path):
    import dataclasses

    model = dataclasses.replace(saved[0], network=Mine())
    with pytest.raises(InputError, match="a Mine is not in the table of specs"):
        model.save(tmp_path / "m.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_replaced_at_once_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "f"
    write_bytes(path, b"one")
    write_bytes(path, b"two")
    assert path.read_bytes() == b"two"
    assert [p.name for p in tmp_path.iterdir()] == ["f"]

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(modelfile.os, "fsync", full)
    with pytest.raises(InputError, match=r"cannot write .*: no space is left on the device\. Make room"):
        write_bytes(path, b"three")
    assert path.read_bytes() == b"two"
    assert [p.name for p in tmp_path.iterdir()] == ["f"]
    monkeypatch.undo()
    with pytest.raises(InputError, match="cannot write"):
        write_bytes(tmp_path / "no" / "such" / "folder", b"")


# --- damage ------------------------------------------------------------------------------------------------------


def refused(path, content, match="."):
    path.write_bytes(content)
    with pytest.raises(InputError, match=match) as caught:
        Model.load(path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


def test_truncated_at_every_length(saved, tmp_path):
    """Every length in the header, and many in the tensors."""
    content = saved[2].read_bytes()
    header = 8 + struct.unpack("<Q", content[:8])[0]
    lengths = [*range(40), *range(40, header, 61), *range(header - 9, header + 9), *range(header, len(content), 37)]
    for length in [*lengths, len(content) - 1]:
        refused(tmp_path / "m", content[:length])


def test_longer_than_it_says(saved, tmp_path):
    refused(tmp_path / "m", saved[2].read_bytes() + b"\0")
    refused(tmp_path / "m", saved[2].read_bytes() * 2)


@settings(max_examples=150)
@given(st.data())
def test_flipped_bytes(saved, tmp_path_factory, data):
    content = bytearray(saved[2].read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] ^= data.draw(st.integers(1, 255))
    if bytes(content) != saved[2].read_bytes():
        refused(tmp_path_factory.getbasetemp() / "flipped", bytes(content))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 8,
        b"\0" * 4096,
        b"\xff" * 4096,
        b"PK\x03\x04" + b"\0" * 60,
        b"a,b,y\n1,2,3\n" * 20,
        pickle.dumps({"weights": [1, 2, 3]}),
        struct.pack("<Q", 2) + b"{}",
        struct.pack("<Q", 4) + b"null",
        struct.pack("<Q", 2) + b"[]",
        struct.pack("<Q", 200_000) + b"[" * 200_000,
        struct.pack("<Q", 33) + b'{"__metadata__":{"perceptory":1}}',
        to_bytes({"weights": np.zeros(3)}),
        to_bytes({"weights": np.zeros(3)}, metadata={"perceptory": "{"}),
        to_bytes({"weights": np.zeros(3)}, metadata={"perceptory": "[]"}),
        to_bytes({"weights": np.zeros(3)}, metadata={"perceptory": '{"format": 1}'}),
        to_bytes({"weights": np.zeros(3)}, metadata={"perceptory": '{"format": true}'}),
        to_bytes({"weights": np.zeros(3)}, metadata={"format": "pt"}),
    ],
    ids=range(18),
)
def test_other_files(content, tmp_path):
    refused(tmp_path / "m", content)


def test_no_code_is_run(tmp_path):
    """A pickle that would write a file when it is loaded."""
    target = tmp_path / "it ran"

    class Bomb:
        def __reduce__(self):
            return Path.write_text, (target, "boom")

    refused(tmp_path / "m", pickle.dumps(Bomb()))
    refused(
        tmp_path / "m", to_bytes({"w": np.zeros(1)}, metadata={"perceptory": pickle.dumps(Bomb(), 0).decode("latin1")})
    )
    assert not target.exists()


def test_no_file_and_no_model_in_the_folder(tmp_path):
    with pytest.raises(InputError, match=r"there is no model file .*nothing\. Give the path of a run folder"):
        Model.load(tmp_path / "nothing")
    with pytest.raises(InputError, match=r"there is no model file .*model\.safetensors"):
        Model.load(tmp_path)
    (tmp_path / "model.safetensors").mkdir()
    with pytest.raises(InputError, match="cannot read"):
        Model.load(tmp_path)


# --- descriptions that are altered with a checksum that fits ------------------------------------------------------


def altered(saved, change, tensors=None):
    """The file with `change(description)` made and signed anew."""
    content = saved[2].read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    description = json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["perceptory"])
    description.pop("checksum")
    arrays = {name: getattr(saved[0], name) for name in TENSORS} | (tensors or {})
    arrays = {k: np.ascontiguousarray(v) for k, v in arrays.items()}
    new = change(description)
    description = description if new is None else new
    if isinstance(description, dict):
        description = description | {"checksum": modelfile._checksum(arrays, description)}
    return to_bytes(arrays, metadata={"perceptory": json.dumps(description)})


def put(**entries):
    return lambda description: description.update(entries)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put(format=2), r"the file has format 2 and this version reads up to 1\. Update perceptory\."),
        (put(format=10**9), "Update perceptory"),
        (put(format=0), "format"),
        (put(format="1"), "format"),
        (put(extra=1), "missing or unknown entries"),
        (lambda d: d.pop("task") and None, "missing or unknown entries"),
        (put(network={"kind": "MLPP"}), "Did you mean 'MLP'"),
        (put(network={"kind": "subprocess.run"}), "unknown spec"),
        (put(network={"kind": "SquaredError"}), "names no network or no cost"),
        (put(network=None), "names no network"),
        (put(cost={"kind": "MLP"}), "names no network or no cost"),
        (put(network={"kind": "MLP", "hidden": [4]}), "weights should be finite numbers of shape"),
        (put(network={"kind": "MLP", "hidden": [10**5, 1]}), "its network has a size of 100000 and"),
        (put(network={"kind": "MLP", "hidden": [-3]}), "positive widths"),
        (put(network={"kind": "MLP", "hidden": [3], "dropout": {"kind": "Uniform", "low": 0.1, "high": 0.2}}), "."),
        (put(network={"kind": "MLP", "hidden": {"kind": "Choice", "values": [[3]]}}), "."),
        (put(outputs=[2]), "outputs"),
        (put(outputs=[-1]), "."),
        (put(outputs=[True]), "."),
        (put(outputs=["1"]), "."),
        (put(task="guessing"), "task"),
        (put(task="binary"), "task|class"),
        (put(task=None), "task"),
        (put(precision="triple"), "precision"),
        (put(targets="y"), "targets"),
        (put(targets=[1]), "targets"),
        (put(targets=["y", "z"]), "targets"),
        (put(classes=["a", "b"]), "class"),
        (put(classes=5), "class"),
        (put(facts=[]), "facts"),
        (put(encoder=None), "."),
        (put(encoder={"columns": [], "target_names": []}), "."),
        (lambda d: [d], "format"),
    ],
)
def test_a_signed_description_that_makes_no_sense(saved, tmp_path, change, message):
    refused(tmp_path / "m", altered(saved, change), message)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("weights", lambda w: w * np.nan),
        ("weights", lambda w: w[:, :-1]),
        ("weights", lambda w: w[0]),
        ("weights", lambda w: w[:0]),
        ("weights", lambda w: w > 0),
        ("in_factor", lambda w: w + np.inf),
        ("in_center", lambda w: w[:1]),
        ("out_scale", lambda w: w[..., None]),
        ("out_center", lambda w: w.astype(np.int64)),
    ],
)
def test_signed_tensors_that_do_not_fit(saved, tmp_path, name, value):
    content = altered(saved, lambda d: None, {name: value(getattr(saved[0], name))})
    refused(tmp_path / "m", content, name)


leaves = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 99), st.floats(allow_nan=False), st.text(max_size=4), st.just("MLP")
)
junk = st.recursive(
    leaves, lambda x: st.one_of(st.lists(x, max_size=3), st.dictionaries(st.just("kind"), x)), max_leaves=4
)


def paths(data, here=()):
    yield here
    for key in data if isinstance(data, dict) else range(len(data)) if isinstance(data, list) else ():
        yield from paths(data[key], (*here, key))


@settings(max_examples=100)
@given(st.data())
def test_any_signed_description_gives_a_model_that_predicts_or_a_sentence(saved, tmp_path_factory, data):
    def change(description):
        way = data.draw(st.sampled_from([p for p in paths(description) if p]))
        inner = description
        for key in way[:-1]:
            inner = inner[key]
        inner[way[-1]] = data.draw(junk)

    path = tmp_path_factory.getbasetemp() / "signed"
    path.write_bytes(altered(saved, change))
    message, model = "", None
    try:
        model = Model.load(path)
    except InputError as error:
        message = str(error)
    assert "\n" not in message
    if model is not None:
        try:
            predicted = model.predict(saved[1])
        except InputError:  # such as a column that is called something else now
            return
        assert len(predicted) == 30
