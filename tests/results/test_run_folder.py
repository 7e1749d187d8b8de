"""The run folder: written whole, read back the same, and never over something else."""

import dataclasses
import errno
import json
import math
import os
import subprocess
import sys

import numpy as np
import polars as pl
import pytest

from perceptory import GradientDescent, KFold, Model, Study, files, load_result, read_table
from perceptory.errors import InputError
from perceptory.models.ensemble import decompose
from perceptory.networks.mlp import MLP
from perceptory.reports import page
from perceptory.results.data_facts import ShownExamples
from perceptory.results.predictions import Predictions
from perceptory.runs import contents
from perceptory.runs.contents import FILES, FORMAT, dump, predictions_bytes, result_json, signed
from perceptory.runs.lock import LOCK
from perceptory.runs.reading import predictions_from
from perceptory.runs.run_folder import CHUNKS, RUNNING, Request, RunFolder


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
    parts = {name: (tmp_path / "run" / name).read_bytes() for name in ("history.parquet", "predictions.csv")}
    assert signed(result_json(again, parts)) == (tmp_path / "run" / "result.json").read_bytes()
    assert predictions_bytes(again) == parts["predictions.csv"]


@pytest.mark.parametrize(
    "classes",
    [("1", "2"), ("01", "02"), ("1.0", "2.50"), ("true", "false"), ("True", "False"), ("", "x"), (" a", "a"),
     ("=1+1", "'=1+1"), ("@x", "+cmd|'/C'!A0"), ("-1", "+1"), ("'=a", "''=a"),
     ('say "x"', "y,z"), ("NaN", "null"), ("2020-01-01", "2021-01-01"), ("1e3", "x")],
)  # fmt: skip
def test_names_of_classes_survive_the_csv(classes, make_result):
    result = small(make_result, task="binary", targets=("t",), classes=classes)
    again = through_csv(result)
    assert np.array_equal(again.target, result.predictions.target)
    assert np.array_equal(again.output, result.predictions.output)


def through_csv(result):
    return predictions_from(predictions_bytes(result), result_json(result, {}))


def test_names_of_targets_may_be_those_of_other_columns(make_result):
    result = small(make_result, targets=("row", "part", "predicted row"))
    again = through_csv(result)
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
    assert data["format"] == 4
    assert set(data["files"]) == {"history.parquet", "predictions.csv"}
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
    assert not (folder / CHUNKS).exists()
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
    mark = {"format": FORMAT, "fingerprint": "f", "environment": {"cores": 2}, "study": {}}
    (folder / "study.json").write_bytes(signed(mark))
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


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(InputError, match="cannot write to"):
        prepare(tmp_path / "locked" / "run")


REQUEST = Request({}, "f", {"cores": 2})


def test_overwriting_removes_what_perceptory_wrote_and_nothing_else(used):
    (used / "result.json").write_text("{}")
    for name in ("00000.members", RUNNING, "mine.txt", ".perceptory-0.tmp"):
        (used / "chunks" / name).write_text("x")
    (used / ".perceptory-1.tmp").write_text("x")
    with RunFolder(used).writing(Request({"epochs": 1}, "g", {}), overwrite=True):
        assert sorted(p.name for p in used.iterdir()) == [LOCK, "chunks", "notes.txt", "study.json"]
        assert [p.name for p in (used / "chunks").iterdir()] == ["mine.txt"]
    assert json.loads((used / "study.json").read_bytes())["fingerprint"] == "g"


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (Request({}, "g", {"cores": 2}), "asked something else or of other data"),
        (Request({}, "f", {"cores": 4}), r"was begun with cores 2, and here it is 4, .*overwrite=True"),
        (Request({}, "f", {}), "begun with cores 2, and here it is nothing"),
    ],
)
def test_resuming_something_else_is_refused(used, request_, said):
    before = (used / "study.json").read_bytes()
    with pytest.raises(InputError, match=said), RunFolder(used).writing(request_, resume=True):
        pass
    assert (used / "study.json").read_bytes() == before
    assert {p.name for p in used.iterdir()} == {"study.json", "chunks", "notes.txt"}


@pytest.mark.parametrize("content", [b'{"fingerprint": "f"}', b"{", b"[]", b"", b"null"])
def test_a_damaged_mark_is_made_anew_where_parts_prove_whose_it_is(used, content, caplog):
    (used / "study.json").write_bytes(content)
    with pytest.raises(InputError, match="is damaged, so nobody knows"), RunFolder(used).writing(REQUEST, resume=True):
        pass
    assert (used / "study.json").read_bytes() == content
    with RunFolder(used).writing(REQUEST, overwrite=True):
        pass
    folder = RunFolder(used)
    with folder.writing(REQUEST, overwrite=True):
        folder.keep("members", {}, {})
    (used / "study.json").write_bytes(content)
    with RunFolder(used).writing(REQUEST, resume=True):
        assert "was damaged and is made anew" in caplog.text
    assert contents.opened((used / "study.json").read_bytes())["fingerprint"] == "f"


def test_resuming_the_same_keeps_its_parts(used):
    folder = RunFolder(used)
    with folder.writing(REQUEST, resume=True):
        folder.keep("members", {"0.weights": np.arange(3.0)}, {"members": [1]})
        folder.keep("members", {"0.weights": np.arange(2.0)}, {"members": [2]})
        folder.keep("refit", {}, {"members": [3]})
        folder.keep_running({"a": np.arange(2, dtype=np.uint32)}, {"epochs": [1]})
    (used / "chunks" / "00009.members").write_bytes(b"\x10\0\0\0\0\0\0\0{cut sho")
    with folder.writing(REQUEST, resume=True):
        (tensors, facts), (_, second) = folder.kept("members")
        assert np.array_equal(tensors["0.weights"], np.arange(3.0))
        assert (facts, second) == ({"members": [1]}, {"members": [2]})
        assert [f for _, f in folder.kept("refit")] == [{"members": [3]}]
        arrays, facts = folder.kept_running()
        assert (arrays["a"].tolist(), facts) == ([0, 1], {"epochs": [1]})
        folder.keep("members", {"0.weights": np.arange(1.0)}, {"members": [3]})  # never over another part
        assert len(folder.kept("members")) == 3
    assert not list(used.rglob("*.tmp"))


def test_a_flipped_bit_in_a_part_is_found(used, caplog):
    folder = RunFolder(used)
    with folder.writing(REQUEST, resume=True):
        folder.keep("members", {"w": np.arange(3.0)}, {})
        folder.keep_running({"w": np.arange(3.0)}, {})
        for name in ("00000.members", RUNNING):
            path = used / "chunks" / name
            whole = path.read_bytes()
            for place in range(0, len(whole), 7):
                path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
                assert folder.kept("members") == [] if name != RUNNING else folder.kept_running() is None
                assert not path.exists()
            path.write_bytes(whole)
        (used / "chunks" / "00001.members").write_bytes((used / "chunks" / "00000.members").read_bytes())
        assert len(folder.kept("members")) == 1  # under another's name
    assert "was damaged; what it held is trained anew" in caplog.text
    with RunFolder(used).writing(Request({}, "g", {}), overwrite=True):
        pass
    other = RunFolder(used)
    (used / "chunks" / "00000.members").write_bytes(whole)
    with other.writing(Request({}, "g", {}), resume=True):
        assert other.kept("members") == []  # of another run


# --- one writer --------------------------------------------------------------------------------------------------


def test_two_writers_exclude_each_other(tmp_path):
    path, first = tmp_path / "run", RunFolder(tmp_path / "run")
    with first.writing(REQUEST):
        for how in ({}, {"resume": True}, {"overwrite": True}):
            with pytest.raises(InputError, match="another process writes"), RunFolder(path).writing(REQUEST, **how):
                pass
        assert sorted(p.name for p in path.iterdir()) == [LOCK, "chunks", "study.json"]
        first.keep("members", {}, {})
    with pytest.raises(InputError, match="holds a run already"), RunFolder(path).writing(REQUEST):
        pass  # who comes when the first has ended is told so, whatever `prepare` found
    assert not (path / LOCK).exists()


def test_a_lock_ends_with_its_process(tmp_path):
    path = tmp_path / "run"
    take = "import os, pathlib, sys; from perceptory.runs.lock import FolderLock"
    code = f"{take}; FolderLock(pathlib.Path(sys.argv[1])).take(); os._exit(0)"
    subprocess.run([sys.executable, "-c", code, path], check=True)
    assert (path / LOCK).exists()
    with RunFolder(path).writing(REQUEST):
        pass
    assert not (path / LOCK).exists()


@pytest.mark.parametrize("there", [False, True])
def test_what_fails_before_anything_is_kept_leaves_the_folder_as_it_was(tmp_path, there):
    path = tmp_path / "run"
    if there:
        path.mkdir()
    with pytest.raises(KeyError), RunFolder(path).writing(REQUEST):
        raise KeyError
    assert path.exists() == there
    folder = RunFolder(path)
    with pytest.raises(TypeError), folder.writing(REQUEST):
        folder.keep("members", {}, {"of no file": folder.keep("members", {}, {}) or {1, 2}})
    assert (path / "study.json").exists()


@pytest.mark.parametrize("left", [[], [LOCK], [LOCK, ".perceptory-0.tmp"]])
def test_a_folder_that_was_left_before_its_mark_is_taken(tmp_path, left):
    for name in left:
        (tmp_path / name).write_text("x")
    for how in ({}, {"resume": True}, {"overwrite": True}):
        prepare(tmp_path, **how)
    with RunFolder(tmp_path).writing(REQUEST, resume=True):
        assert sorted(p.name for p in tmp_path.iterdir()) == [LOCK, "chunks", "study.json"]


def test_a_result_is_not_written_over_another_run(make_result, tmp_path):
    result = small(make_result)
    result.fingerprint = "f"
    result.save(tmp_path / "run")
    other = small(make_result)
    other.fingerprint = "g"
    with pytest.raises(InputError, match="holds another run by now"):
        RunFolder(tmp_path / "run").rewrite(other)
    with pytest.raises(InputError, match="holds another run by now"):
        RunFolder(tmp_path / "gone").rewrite(result)
    assert not (tmp_path / "gone").exists()


def test_a_full_disk_leaves_a_finished_run_as_it_was(make_result, tmp_path, monkeypatch):
    result = small(make_result)
    monkeypatch.setattr(page, "render", lambda result: "page")
    result.save(tmp_path / "run")
    before = {p.name: p.read_bytes() for p in (tmp_path / "run").iterdir()}
    written = files._written
    for name in set(FILES) - {"study.json", "model.safetensors"}:

        def full(path, content, name=name):
            if path.name == name:
                raise OSError(errno.ENOSPC, "No space left on device")
            return written(path, content)

        monkeypatch.setattr(files, "_written", full)
        with pytest.raises(InputError, match=r"No space left on device\. Make room"):
            RunFolder(tmp_path / "run").rewrite(result)
        assert {p.name: p.read_bytes() for p in (tmp_path / "run").iterdir()} == before


# --- what cannot be read -----------------------------------------------------------------------------------------


def test_folders_that_hold_no_complete_run(tmp_path, used):
    with pytest.raises(InputError, match=r"is not a run folder: it has no study\.json"):
        load_result(tmp_path)
    with pytest.raises(InputError, match="is not a run folder"):
        load_result(tmp_path / "nothing")
    with pytest.raises(InputError, match=r"is not complete\. Ask for it again with resume=True"):
        load_result(used)


def test_damaged_files(make_result, tmp_path):
    small(make_result).save(tmp_path / "run")
    for name in ("result.json", "study.json", "history.parquet", "predictions.csv"):
        path = tmp_path / "run" / name
        content = path.read_bytes()
        flips = [content[:i] + bytes([content[i] ^ 2]) + content[i + 1 :] for i in range(0, len(content), 499)]
        for damaged in (b"", content[: len(content) // 2], b"\xff\xfe\0" * 40, b"[1, 2]", b"null", content * 2, *flips):
            path.write_bytes(damaged)
            with pytest.raises(InputError, match=r"is damaged, or is being written .*resume=True"):
                load_result(tmp_path / "run")
        path.unlink()
        with pytest.raises(InputError):
            load_result(tmp_path / "run")
        path.write_bytes(content)
    load_result(tmp_path / "run")


UNSOUND = [
    (("best",), "c77"), (("candidates", 0, "mean"), "good"), (("candidates", 0, "weights"), 1.5), (("classes",), 3),
    (("members", 0, "candidate"), "x"), (("members", 0, "epochs"), 1), (("data", "rows"), True), (("test",), []),
    (("validation", "rmse"), {}), (("data", "notes", 0), 1), (("targets",), []), (("score", "direction"), "up"),
    (("more",), 1), (("environment",), None), (("candidates",), {}), (("ensemble",), [{}]), (("seconds",), "1"),
]  # fmt: skip


def test_what_is_signed_has_still_to_be_sound(make_result, tmp_path):
    small(make_result).save(tmp_path / "run")
    path = tmp_path / "run" / "result.json"
    sound = path.read_bytes()
    for (*above, name), value in UNSOUND:
        holder = data = contents.opened(sound)
        for step in above:
            holder = holder[step]
        holder[name] = value
        path.write_bytes(signed(data))
        with pytest.raises(InputError, match="damaged"):
            load_result(tmp_path / "run")


@pytest.mark.parametrize(("number", "remedy"), [(FORMAT - 1, "Run fit again"), (FORMAT + 1, "Update perceptory")])
def test_a_run_of_another_version(make_result, tmp_path, number, remedy):
    small(make_result).save(tmp_path / "run")
    path = tmp_path / "run" / "result.json"
    path.write_bytes(dump(json.loads(path.read_bytes()) | {"format": number}))
    with pytest.raises(InputError, match=rf"has format {number}, and this version reads {FORMAT}\. {remedy}"):
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
    columns = pl.read_csv(predictions_bytes(result)).columns
    assert columns == ["row", "part", "strength", "predicted strength"]
