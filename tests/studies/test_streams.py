"""Tables larger than memory: what is drawn, how it is scaled, trained portion by portion, cut off and gone on with."""

import datetime as dt
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import perceptory as pt
from perceptory.app.source import OPTIONS, Source
from perceptory.data.tables import spool, streamed
from perceptory.data.tables.encoder import Encoder
from perceptory.data.words import data_lines
from perceptory.runs.run_folder import RUNNING
from perceptory.studies import keeping, portions, streaming
from perceptory.studies.encoded_examples import encode
from perceptory.studies.streaming import prepare_streamed
from perceptory.studies.usual import default_study
from perceptory.training.scaling import fit_scaling

ROWS = 3000


def make_small(setattr_):
    """Everything that has a size is small: 3000 rows are several pieces, and a pass is several portions."""
    setattr_(streamed, "SPAN", 512)
    setattr_(streamed, "HEAD", 1600)
    setattr_(spool, "BYTES", 20_000)
    setattr_(portions, "PIECE", 128)
    setattr_(portions, "MIXED", 2)
    setattr_(streaming, "PORTION_BYTES", 400 * 6 * 4)
    setattr_(streaming, "JUDGED", 300)
    setattr_(streaming, "TESTED", 200)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    make_small(monkeypatch.setattr)


def numbers(rows=ROWS):
    random = np.random.default_rng(0)
    x = random.normal(size=(rows, 4))
    y = np.sin(x[:, 0]) + x[:, 1] + 1e6
    return pl.DataFrame({f"x{k}": x[:, k] for k in range(4)} | {"y": y})


def mixed(rows=ROWS):
    random = np.random.default_rng(1)
    there = random.random((3, rows)) > 0.1
    frame = pl.DataFrame(
        {
            "n": random.normal(1e5, 3, rows),
            "c": random.choice(["a", "b", "c"], rows),
            "d": [dt.date(2020, 1, 1) + dt.timedelta(int(k)) for k in random.integers(0, 900, rows)],
            "same": np.ones(rows),
            "w": random.integers(1, 4, rows),
            "y": random.choice(["yes", "no", "perhaps"], rows),
        }
    )
    names = ("n", "c", "d")
    return frame.with_columns(
        pl.when(pl.Series(has)).then(pl.col(name)).alias(name) for name, has in zip(names, there, strict=True)
    )


def study(**changes):
    spec = {"networks": pt.MLP((3,)), "epochs": 3, "patience": 0, "batch_size": 64, "seeds": 2, "final": "folds"}
    return pt.Study(**{**spec, **changes})


def weights_of(result):
    return result.model.weights


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("streams")
    numbers().write_parquet(folder / "a.parquet", row_group_size=1000)
    numbers().write_parquet(folder / "b.parquet", row_group_size=77)
    numbers().write_ipc(folder / "c.arrow")
    numbers().write_csv(folder / "d.csv")
    commas = numbers().select(pl.all().cast(pl.String).str.replace(".", ",", literal=True))
    commas.write_csv(folder / "e.csv", separator=";", quote_style="always")
    return folder


def test_every_training_row_comes_once_a_pass_in_another_order_each_time(files):
    prepared = prepare_streamed(study(), pt.stream_table(files / "a.parquet", "y"))
    source = prepared.portions
    assert source.each_pass > 4
    assert source.size < 400
    center = np.zeros(5)
    tail = source.kept(center)[source.size :]
    stream = source.after(0, center, tail)
    passes = [[next(stream) for _ in range(source.each_pass)] for _ in range(2)]
    stream.close()
    rows = [np.concatenate([data[:count] for data, count in one]) for one in passes]
    train, validating, sealed = source.parts.of(np.arange(ROWS))
    expected = numbers().filter(pl.Series(train)).to_numpy().astype(np.float32)
    for one in rows:
        assert np.array_equal(
            one[np.lexsort(one.T)][:, :5], expected[np.lexsort(np.c_[expected, np.ones(len(expected))].T)]
        )
    assert not np.array_equal(*rows)
    assert abs(sealed.mean() - 0.2) < 0.03
    assert abs(validating.sum() - 300) < 60
    assert all(np.array_equal(data[source.size :], tail) for data, _ in passes[0])
    for number in (1, source.each_pass - 1, source.each_pass + 2):  # begun anywhere
        other = source.after(number, center, tail)
        data, count = next(other)
        other.close()
        again, same = passes[number // source.each_pass][number % source.each_pass]
        assert count == same
        assert np.array_equal(data, again)


def test_what_one_look_tells_is_what_all_study_rows_in_memory_tell(tmp_path):
    frame = mixed()
    frame.write_parquet(tmp_path / "t.parquet", row_group_size=500)
    prepared = prepare_streamed(study(), pt.stream_table(tmp_path / "t.parquet", "y", weights="w"))
    train, validating, _ = prepared.portions.parts.of(np.arange(ROWS))
    whole = pt.read_table(frame, "y", weights="w")
    known = whole.take(np.flatnonzero(train | validating))
    encoder = Encoder.fit(known)
    assert prepared.encoder.to_json() == encoder.to_json()
    training = encode(whole.take(np.flatnonzero(train)), encoder)
    scaling = fit_scaling(training.inputs, training.targets, scale_targets=False, weights=training.weights)
    for ours, theirs in zip(prepared.scalings[0], scaling, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-13)
    assert prepared.data.classes == whole.classes == ("no", "perhaps", "yes")
    assert prepared.row_counts == (int((train | validating).sum()), int((~(train | validating)).sum()))


def test_row_groups_and_formats_change_nothing(files):
    results = [
        study().run(pt.stream_table(files / name, "y"), open_test=True)
        for name in ("a.parquet", "b.parquet", "c.arrow", "d.csv", "e.csv")
    ]
    first, *others = results
    assert first.validation["rmse"] < 0.5  # the target's deviation is 1.2, around a million
    assert first.data.rows == ROWS
    assert first.data.test_rows > 500 > 200 >= (first.predictions.part == "test").sum()
    for other in others:
        assert np.array_equal(weights_of(first), weights_of(other))
        assert np.array_equal(first.predictions.row, other.predictions.row)
        assert other.fingerprint == first.fingerprint


def keep_always(setattr_):
    setattr_(keeping, "INTERVAL", 0)
    setattr_(keeping, "SHARE", 1e9)


def asked_of_streams():
    return study(patience=1, optimizer=pt.Adam(pt.choice(1e-2, 10.0)))


def train_slowly(path, folder):
    """In a process that is to be killed."""
    make_small(setattr)
    keep_always(setattr)
    slowly = {"progress": lambda state: time.sleep(0.2)}
    asked_of_streams().run(pt.stream_table(path, "y"), folder=folder, **slowly)


def killed(path, folder):
    """A run folder whose process was killed in the middle of its training."""
    code = f"from tests.studies.test_streams import train_slowly; train_slowly({str(path)!r}, {str(folder)!r})"
    process = subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parents[2])
    deadline = time.monotonic() + 120
    while not (folder / "chunks" / RUNNING).exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert not (folder / "result.json").exists()
    return folder


def test_a_stream_that_was_cut_off_goes_on_to_the_same_bits(files, tmp_path, monkeypatch):
    keep_always(monkeypatch.setattr)
    table = pt.stream_table(files / "a.parquet", "y")
    asked = asked_of_streams()
    whole = asked.run(table)

    class CutError(Exception):
        pass

    def cut(state):
        assert state["rows_per_second"] > 0
        assert state["seconds_left"] >= 0
        if state["epochs"] >= 26:
            raise CutError

    with pytest.raises(CutError):
        asked.run(table, folder=tmp_path / "run", progress=cut)
    seen = []
    again = asked.run(table, folder=tmp_path / "run", resume=True, progress=lambda state: seen.append(state["epochs"]))
    assert seen[0] <= 4
    assert seen[-1] < sum(m.epochs for m in whole.members) - 20
    after_a_kill = asked.run(table, folder=killed(files / "a.parquet", tmp_path / "killed"), resume=True)
    for resumed in (again, after_a_kill):
        assert np.array_equal(weights_of(whole), weights_of(resumed))
        for one, other in zip(whole.members, resumed.members, strict=True):
            assert (one.status, one.epochs, one.best_epoch) == (other.status, other.epochs, other.best_epoch)
            assert np.array_equal(one.validation_cost, other.validation_cost)


def test_members_do_not_depend_on_where_they_stand(files):
    table = pt.stream_table(files / "a.parquet", "y")
    together, apart = (study(memory=memory).run(table) for memory in (2.0, 1e-5))
    assert np.array_equal(weights_of(together), weights_of(apart))


def test_what_needs_all_rows_is_refused(files, tmp_path):
    table = pt.stream_table(files / "a.parquet", "y")
    for changes, words in (
        ({"optimizer": pt.LevenbergMarquardt()}, "needs all rows at once"),
        ({"validation": pt.KFold(5)}, "validated by a share of its rows"),
        ({"networks": pt.Linear()}, "needs all rows at once"),
        ({"final": "refit"}, 'final="refit" does not go with a stream'),
    ):
        with pytest.raises(pt.InputError, match=words):
            study(**changes).run(table)
    with pytest.raises(pt.InputError, match="no file"):
        pt.stream_table(tmp_path / "none.parquet", "y")
    with pytest.raises(pt.InputError, match="in memory needs no stream"):
        pt.stream_table(numbers(), "y")
    with pytest.raises(pt.InputError, match="autoencoder"):
        pt.stream_table(files / "a.parquet", "y", task="autoencode")
    gaps = pt.stream_table(numbers().with_columns(y=pl.when(pl.int_range(ROWS) % 5 > 0).then("y")).lazy(), "y")
    prepared = prepare_streamed(study(), gaps)
    assert sum(prepared.row_counts) == 2400
    assert str(prepared.sealed.notes[0]).startswith("600 rows without")
    late = numbers().with_columns(x1=pl.when(pl.int_range(ROWS) == 2690).then(np.inf).otherwise("x1"))
    with pytest.raises(pt.InputError, match="rows from 2561 on: column 'x1' holds 1 infinite"):
        study().run(pt.stream_table(late.lazy(), "y"))


def test_a_text_file_is_held_to_its_first_piece_line_by_line(tmp_path):
    path = tmp_path / "t.csv"
    mixed().select("n", "c", "d", "y").write_csv(path)
    lines = path.read_text().splitlines()
    for bad, words in (
        ("1,2,3", "line 2701 of t.csv has 3 cells"),
        ("x,a,2020-01-01,yes", "rows from .* on: column 'n' held numbers .* 'x'"),
    ):
        path.write_text("\n".join([*lines[:2700], bad, *lines[2700:]]))
        with pytest.raises(pt.InputError, match=words):
            pt.stream_table(path, "y")
    quoted = [line.replace(",a,", ',"a\n""b"", c",') for line in lines]  # line breaks and commas inside of cells
    path.write_text("\n".join(quoted))
    table = pt.stream_table(path, "y")
    assert table.rows == ROWS
    whole = pt.read_table(path, "y")
    train, validating, _ = prepare_streamed(study(), table).portions.parts.of(np.arange(ROWS))
    known = Encoder.fit(whole.take(np.flatnonzero(train | validating)))
    assert prepare_streamed(study(), table).encoder.feature_names == known.feature_names


def test_the_command_line_streams_where_asked_and_where_the_file_is_large(files):
    path = files / "a.parquet"
    options = dict.fromkeys([*OPTIONS, "task", "memory"]) | {"target": ["y"], "ignore": [], "missing": []}
    for change, kind in (({}, "table"), ({"stream": True}, "stream"), ({"memory": 1e-9}, "stream")):
        data, _ = Source("table", options | change).read(str(path))
        assert data.kind == kind
        assert data.rows == ROWS
    assert data_lines(data)[0] == "3000 rows, 4 numeric columns, target y: regression"
    assert default_study(data, "quick").epochs == 100
    with pytest.raises(pt.InputError, match="tested on a share of its own rows"):
        Source("table", options).read_test(str(path), data)
