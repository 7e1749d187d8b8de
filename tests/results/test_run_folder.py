"""The run folder: written whole, read back the same, and never over something else."""

import dataclasses
import json
import math
import os

import numpy as np
import polars as pl
import pytest

from perceptory import GradientDescent, KFold, Model, Study, load_result, read_table
from perceptory.errors import InputError
from perceptory.models.ensemble import decompose
from perceptory.networks.mlp import MLP
from perceptory.results.data_facts import ShownExamples
from perceptory.results.predictions import Predictions
from perceptory.runs import run_folder as store
from perceptory.runs.run_folder import FILES, RunFolder, dump


def small(make_result, **changes):
    return make_result(**{"rows": 24, "test_rows": 6, "candidates": 3, "folds": 2, "seeds": 1, "epochs": 9} | changes)


KINDS = {
    "regression": {},
    "two targets": {"targets": ("p", "q, r")},
    "binary": {"task": "binary", "targets": ("sick",), "classes": ("no", "yes")},
    "multiclass": {"task": "multiclass", "targets": ("kind",), "classes": ("a", "b", "c")},
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_is_read_back(kind, make_result, tmp_path):
    result = small(make_result, **KINDS[kind])
    result.fingerprint = "f" * 64
    result.save(tmp_path / "run")
    again = load_result(tmp_path / "run")
    different = {"candidates", "members", "predictions", "model", "folder", "sealed"}
    for name in set(vars(result)) - different:
        assert getattr(again, name) == getattr(result, name), name
    for a, b in zip(again.candidates, result.candidates, strict=True):
        np.testing.assert_equal(vars(a), vars(b))  # nan equals nan
    for a, b in zip(again.members, result.members, strict=True):
        np.testing.assert_equal(vars(a), vars(b))
    for name in ("row", "part", "target", "output"):
        a, b = getattr(again.predictions, name), getattr(result.predictions, name)
        assert np.array_equal(a, b), name
        assert a.dtype.kind == b.dtype.kind
    assert again.folder == str(tmp_path / "run")
    assert again.test() == result.tested
    assert dump(store.result_json(again)) == (tmp_path / "run" / "result.json").read_bytes()
    assert store.predictions_bytes(again) == (tmp_path / "run" / "predictions.csv").read_bytes()


@pytest.mark.parametrize(
    "classes",
    [("1", "2"), ("01", "02"), ("1.0", "2.50"), ("true", "false"), ("True", "False"), ("", "x"), (" a", "a"),
     ('say "x"', "y,z"), ("NaN", "null"), ("2020-01-01", "2021-01-01"), ("1e3", "x")],
)  # fmt: skip
def test_names_of_classes_survive_the_csv(classes, make_result, tmp_path):
    result = small(make_result, task="binary", targets=("t",), classes=classes)
    again = through_csv(result, tmp_path)
    assert np.array_equal(again.target, result.predictions.target)
    assert np.array_equal(again.output, result.predictions.output)


def through_csv(result, tmp_path):
    (tmp_path / "p.csv").write_bytes(store.predictions_bytes(result))
    return store._read_predictions(tmp_path / "p.csv", store.result_json(result))


def test_names_of_targets_may_be_those_of_other_columns(make_result, tmp_path):
    result = small(make_result, targets=("row", "part", "predicted row"))
    again = through_csv(result, tmp_path)
    assert np.array_equal(again.target, result.predictions.target)
    assert np.array_equal(again.output, result.predictions.output)


def test_numbers_that_are_not_finite(make_result, tmp_path):
    """Written as null (JSON has no nan), read back as nan where a number stands."""
    result = small(make_result)
    result.candidates[1].mean = math.nan
    result.candidates[1].per_fold = [math.nan, 3.0]
    result.members[0].score = math.inf
    result.validation["r2"] = math.nan
    result.members[0].validation_cost[-1] = math.nan
    result.save(tmp_path / "run")
    text = (tmp_path / "run" / "result.json").read_text()
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} in result.json"))
    again = load_result(tmp_path / "run")
    assert math.isnan(again.candidates[1].mean)
    assert math.isnan(again.candidates[1].per_fold[0])
    assert math.isnan(again.members[0].score)
    assert math.isnan(again.validation["r2"])
    assert math.isnan(again.members[0].validation_cost[-1])
    assert "r2" in again.validation
    again.summary()


def test_strict_json_of_numpy_values():
    value = {
        "a": np.float32(0.5),
        1: np.array([[1, 2]]),
        "b": (np.int64(3), np.bool_(True)),
        "c": [np.nan, -np.inf],
        "d": None,
    }
    assert json.loads(dump(value)) == {"a": 0.5, "1": [[1, 2]], "b": [3, True], "c": [None, None], "d": None}
    assert dump(value).endswith(b"\n")


def test_the_files_of_a_run_and_their_contract(make_result, tmp_path):
    result = small(make_result, **KINDS["binary"])
    result.save(tmp_path / "run")
    here = {p.name for p in (tmp_path / "run").iterdir()}
    assert here == set(FILES) - {"model.safetensors"}  # this result has no model; no temporary file is left, no chunk
    data = json.loads((tmp_path / "run" / "result.json").read_bytes())
    contract = "format task target score best candidates validation test members environment seconds"
    assert set(contract.split()) <= set(data)
    assert data["format"] == 2
    assert data["target"] == "sick"
    assert list(data["candidates"][0])[:3] == ["id", "label", "spec"]
    history = pl.read_parquet(tmp_path / "run" / "history.parquet")
    assert history.columns == ["candidate", "fold", "seed", "epoch", "train_cost", "validation_cost"]
    first = result.members[0]
    rows = history.filter((pl.col("candidate") == first.candidate) & (pl.col("fold") == 0) & (pl.col("seed") == 0))
    assert rows["epoch"].to_list() == list(range(1, len(first.train_cost) + 1))
    assert rows["train_cost"].to_list() == first.train_cost.tolist()
    table = pl.read_csv(tmp_path / "run" / "predictions.csv")
    assert table.columns == ["row", "part", "sick", "predicted sick", "probability no", "probability yes"]
    assert table["predicted sick"].to_list() == [("no", "yes")[i] for i in result.predictions.output.argmax(1)]
    assert table["probability yes"].to_list() == result.predictions.output[:, 1].tolist()  # to the last digit


def test_several_targets_are_a_list_in_the_contract(make_result, tmp_path):
    small(make_result, **KINDS["two targets"]).save(tmp_path / "run")
    data = json.loads((tmp_path / "run" / "result.json").read_bytes())
    assert data["target"] == ["p", "q, r"]
    assert len(data["validation"]["rmse"]) == 2


# --- a whole run -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    random = np.random.default_rng(0)
    x = random.normal(size=(30, 2))
    data = read_table(x, x @ [1.0, 2.0] + random.normal(size=30))
    study = Study(networks=MLP(()), optimizer=GradientDescent(0.1), epochs=3, validation=KFold(2))
    folder = tmp_path_factory.mktemp("runs") / "deep" / "run"
    return study, data, study.run(data, folder=folder), folder


def test_a_run_writes_its_folder(run):
    _, data, result, folder = run
    assert set(FILES) <= {p.name for p in folder.iterdir()}
    assert not [p for p in folder.rglob("*") if ".tmp" in p.name]
    assert np.array_equal(Model.load(folder).predict(data), result.model.predict(data))
    again = load_result(folder)
    assert again.tested is None
    assert np.array_equal(again.predictions.output, result.predictions.output)
    assert [c.mean for c in again.candidates] == [c.mean for c in result.candidates]


def test_opening_the_sealed_rows_writes_anew(run):
    _, _, result, folder = run
    before = (folder / "model.safetensors").read_bytes()
    tested = result.test()
    again = load_result(folder)
    assert again.tested == tested
    assert (again.predictions.part == "test").sum() == 6
    assert (folder / "model.safetensors").read_bytes() == before
    assert not (folder / store.CHUNKS).exists()
    assert {p.name for p in folder.iterdir()} == set(FILES)


def test_a_second_run_is_refused_before_any_training(run):
    study, data, _, folder = run
    told = []
    with pytest.raises(InputError, match="holds a run already"):
        study.run(data, folder=folder, progress=told.append)
    assert told == []
    overwritten = study.replace(epochs=2).run(data, folder=folder, overwrite=True)
    assert load_result(folder).members[0].epochs == overwritten.members[0].epochs == 2


# --- where a run may be written ----------------------------------------------------------------------------------


def prepare(path, resume=False, overwrite=False):
    RunFolder(path).prepare(resume=resume, overwrite=overwrite)


@pytest.fixture
def used(tmp_path):
    """A folder that holds an interrupted run, and a note of the user's."""
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "study.json").write_text('{"fingerprint": "f"}')
    (folder / "notes.txt").write_text("mine")
    (folder / "chunks").mkdir()
    return folder


def test_new_and_empty_folders_are_taken_and_not_made_yet(tmp_path):
    prepare(tmp_path)
    prepare(tmp_path / "a" / "b" / "c")
    assert list(tmp_path.iterdir()) == []


def test_refusals(used, tmp_path):
    with pytest.raises(InputError, match=r"holds a run already\. Choose resume=True to go on, overwrite=True, or"):
        prepare(used)
    prepare(used, resume=True)
    prepare(used, overwrite=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file, and a run needs a folder"):
        prepare(tmp_path / "file")
    with pytest.raises(InputError, match="cannot write to"):
        prepare(tmp_path / "file" / "below")
    other = tmp_path / "photos"
    other.mkdir()
    (other / "cat.jpg").write_text("")
    for flags in ({}, {"overwrite": True}, {"resume": True}):
        with pytest.raises(InputError, match="is not empty and not a run folder"):
            prepare(other, **flags)
    assert (other / "cat.jpg").exists()


def test_a_complete_run_has_nothing_to_resume(used):
    (used / "result.json").write_text("{}")
    (used / "chunks").rmdir()
    with pytest.raises(InputError, match="is complete, nothing to resume"):
        prepare(used, resume=True)
    prepare(used, overwrite=True)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(InputError, match="cannot write to"):
        prepare(tmp_path / "locked" / "run")


def test_overwriting_removes_what_perceptory_wrote_and_nothing_else(used):
    (used / "result.json").write_text("{}")
    (used / "chunks" / "00000.safetensors").write_text("x")
    RunFolder(used).begin({"epochs": 1}, "g", resume=False, overwrite=True)
    assert sorted(p.name for p in used.iterdir()) == ["chunks", "notes.txt", "study.json"]
    assert list((used / "chunks").iterdir()) == []
    assert json.loads((used / "study.json").read_bytes())["fingerprint"] == "g"


@pytest.mark.parametrize("content", ['{"fingerprint": "other"}', "{", "[]", "", "null"])
def test_resuming_something_else_is_refused(used, content):
    (used / "study.json").write_text(content)
    with pytest.raises(InputError, match="asked something else or of other data"):
        RunFolder(used).begin({}, "f", resume=True, overwrite=False)
    assert (used / "study.json").read_text() == content


def test_resuming_the_same_keeps_its_parts(used):
    folder = RunFolder(used)
    folder.begin({}, "f", resume=True, overwrite=False)
    folder.keep({"0.weights": np.arange(3.0)}, {"members": [1]})
    folder.keep({"0.weights": np.arange(2.0)}, {"members": [2]})
    (used / "chunks" / "00009.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{cut sho")
    (tensors, facts), (_, second) = folder.kept()
    assert np.array_equal(tensors["0.weights"], np.arange(3.0))
    assert (facts, second) == ({"members": [1]}, {"members": [2]})
    folder.keep({"0.weights": np.arange(1.0)}, {"members": [3]})  # never over another part
    assert len(folder.kept()) == 3
    assert not list(used.rglob("*.tmp"))


# --- what cannot be read -----------------------------------------------------------------------------------------


def test_folders_that_hold_no_complete_run(tmp_path, used):
    with pytest.raises(InputError, match=r"is not a run folder: it has no study\.json"):
        load_result(tmp_path)
    with pytest.raises(InputError, match="is not a run folder"):
        load_result(tmp_path / "nothing")
    with pytest.raises(InputError, match=r"is not complete\. Ask for it again with resume=True"):
        load_result(used)


@pytest.mark.parametrize("name", ["result.json", "study.json", "history.parquet", "predictions.csv"])
def test_damaged_files(name, make_result, tmp_path):
    small(make_result).save(tmp_path / "run")
    path = tmp_path / "run" / name
    content = path.read_bytes()
    for damaged in (b"", content[: len(content) // 2], b"\xff\xfe\0" * 40, b"[1, 2]", b"null"):
        path.write_bytes(damaged)
        try:
            load_result(tmp_path / "run")
        except InputError as error:
            assert "\n" not in str(error)  # noqa: PT017
        else:
            # Half of a table of predictions is a table of predictions; nothing else may pass.
            assert name == "predictions.csv"
            assert damaged == content[: len(content) // 2]
    path.unlink()
    with pytest.raises(InputError):
        load_result(tmp_path / "run")


@pytest.mark.parametrize(("number", "remedy"), [(1, "Run fit again"), (3, "Update perceptory")])
def test_a_run_of_another_version(make_result, tmp_path, number, remedy):
    small(make_result).save(tmp_path / "run")
    path = tmp_path / "run" / "result.json"
    path.write_bytes(dump(json.loads(path.read_bytes()) | {"format": number}))
    with pytest.raises(InputError, match=rf"has format {number}, and this version reads 2\. {remedy}"):
        load_result(tmp_path / "run")


def test_examples_and_what_the_ensemble_gains_are_read_back(make_result, tmp_path):
    result = small(make_result)
    x = np.arange(4, dtype=np.float32).reshape(1, 4, 1)
    shown = ShownExamples("series", (4, 1), ("u",), 3, "ahead", None, False, 1, ("row 3",), (3,), x)
    result.data = dataclasses.replace(result.data, examples=shown, validation={"kind": "KFold", "folds": 5})
    result.ensemble = (decompose([[1.0, -1.0], [3.0, 1.0]]),)
    result.save(tmp_path / "run")
    again = load_result(tmp_path / "run")
    assert again.ensemble == result.ensemble
    assert again.data.validation == {"kind": "KFold", "folds": 5}
    assert again.data.predict == "ahead"
    np.testing.assert_equal(vars(again.data.examples), vars(shown))


def test_a_result_is_shown_in_a_few_lines(make_result):
    result = small(make_result)
    best = result.candidates[0]
    lines = [line.strip() for line in repr(result).splitlines()]
    assert lines[0] == f"Result: {len(result.candidates)} candidates, {len(result.members)} networks"
    assert lines[1] == f"chosen c0: {best.label}"
    assert lines[2] == f"rmse {best.mean:.4g} on validation, {result.tested['rmse']:.4g} on test"
    assert lines[3].endswith(f"{result.data.test_rows} for the test")
    result.tested = None
    assert repr(result).endswith(f"{result.data.test_rows} sealed")


def test_predictions_of_no_row(make_result, tmp_path):
    result = small(make_result)
    none = np.zeros((0, 1))
    result.predictions = Predictions(np.zeros(0, int), np.zeros(0, "U10"), none, none)
    columns = pl.read_csv(store.predictions_bytes(result)).columns
    assert columns == ["row", "part", "strength", "predicted strength"]
