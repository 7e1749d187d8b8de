"""The commands on a small table: what they write, print and return."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from perceptory.data.tables import spool, streamed
from perceptory.figures import svg
from perceptory.models.model import Model
from perceptory.runs.contents import FILES
from tests.app.conftest import TINY, table, to_svg


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(text.splitlines()))


def test_fit_says_what_it_did_and_writes_the_run_folder(perceptory, tmp_path):
    table(tmp_path / "data.csv")
    code, out, err = perceptory("fit", "data.csv", "--target", "y", *TINY)
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == "40 rows, 2 numeric, 1 categorical columns, target y: regression"
    assert "MLP 4 tanh, Adam 0.01 cosine" in out
    assert "Report   data-run/report.html" in out
    assert "Predict  perceptory predict data-run NEW.csv" in out
    assert max(map(len, out.splitlines())) <= 80
    assert {p.name for p in (tmp_path / "data-run").iterdir()} == set(FILES)
    result = json.loads((tmp_path / "data-run" / "result.json").read_text())
    assert result["data"]["test_rows"] == 8
    assert set(result["test"]) == {"mse", "rmse", "mae", "r2", "vaf", "nll", "coverage_90"}
    # Again: refused, then with --overwrite, where one of two candidates is given up on the way.
    assert perceptory("fit", "data.csv", "--target", "y", *TINY)[0] == 2
    more = ("--learning-rate", "0.02", "--discard", "after:0.34:0.5", "--overwrite")
    (tmp_path / "data.csv").write_text((tmp_path / "data.csv").read_text().replace(",", ";"))
    code, out, _ = perceptory("fit", "data.csv", "--target", "y", *TINY, *more)
    assert (code, out.count("data.csv is separated by semicolon.")) == (
        0,
        1,
    )  # and not among the notes at the end again
    assert "data.csv is separated by semicolon." in perceptory("report", "data-run")[1]
    result = json.loads((tmp_path / "data-run" / "result.json").read_text())
    assert [c["status"] for c in result["candidates"]] == ["ok", "discarded"]
    assert {m["epochs"] for m in result["members"]} == {1, 3}
    assert "discarded" in (tmp_path / "data-run" / "report.html").read_text()


def test_json_prints_the_result_and_nothing_else(perceptory, tmp_path):
    table(tmp_path / "data.csv")
    code, out, err = perceptory(
        "fit", "data.csv", "--target", "y", *TINY, "--json", "--out", "r", "--test", "0", "--ignore", "color",
        "--final", "refit", "--dropout", "0.1",
        "--rule", "one-standard-error", "--score", "mae", "--seeds", "2", "--seed", "3",
    )  # fmt: skip
    assert (code, err) == (0, "")
    assert out == (tmp_path / "r" / "result.json").read_text()
    result = json.loads(out)
    assert (result["test"], result["score"], len(result["members"])) == (None, {"name": "mae", "direction": "min"}, 4)
    assert [c["kind"] for c in result["data"]["columns"]] == ["numeric", "numeric", "ignored"]


def test_a_file_of_test_rows(perceptory, tmp_path):
    table(tmp_path / "data.csv")
    lines = table(tmp_path / "more.csv", 60).read_text().splitlines()
    (tmp_path / "test.csv").write_text("\n".join([lines[0], *lines[41:]]) + "\n")
    code, _, err = perceptory("fit", "data.csv", "--target", "y", *TINY, "--test", "test.csv", "--out", "r", "--quiet")
    assert (code, err) == (0, "")
    data = json.loads((tmp_path / "r" / "result.json").read_text())["data"]
    assert (data["study_rows"], data["test_rows"]) == (40, 20)
    # The numbers are those of the model on that file.
    rows = rows_of(perceptory("predict", "r", "test.csv")[1])
    tested = [r for r in rows_of((tmp_path / "r" / "predictions.csv").read_text()) if r["part"] == "test"]
    again = [float(r["predicted y"]) for r in rows]  # by another program, so rounded otherwise
    assert again == pytest.approx([float(r["predicted y"]) for r in tested], rel=1e-5)


def test_predict_columns_in_any_order_and_extra_ones(perceptory, run, tmp_path):
    data = (run.parent / "data.csv").read_text()
    code, out, err = perceptory("predict", run, run.parent / "data.csv")
    assert (code, err) == (0, "")  # the target is no extra column
    assert out.splitlines()[0] == "row,predicted y"
    wanted = Model.load(run).predict(run.parent / "data.csv")
    np.testing.assert_array_equal([float(r["predicted y"]) for r in rows_of(out)], wanted)
    turned = [[r["color"], "9", r["b"], r["a"]] for r in rows_of(data)]
    (tmp_path / "turned.csv").write_text("\n".join(",".join(r) for r in [["color", "new", "b", "a"], *turned]) + "\n")
    code, again, err = perceptory("predict", run, "turned.csv")
    assert (code, again) == (0, out)
    assert err == "perceptory: note: columns that the model does not use are ignored: 'new'.\n"


def test_predict_in_a_process_of_its_own(perceptory, run):
    """Everything that a model file names is in its table, though nothing but the model has been imported."""
    command = [sys.executable, "-m", "perceptory", "predict", str(run), str(run.parent / "data.csv")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == perceptory("predict", run, run.parent / "data.csv")[1]


def test_predict_members_to_a_file(perceptory, run, tmp_path):
    code, out, _ = perceptory("predict", run, run.parent / "data.csv", "--members", "--out", "p.csv")
    assert (code, out) == (0, "")
    rows = rows_of((tmp_path / "p.csv").read_text())
    assert list(rows[0]) == ["row", "predicted y", "predicted y (network 1)", "predicted y (network 2)"]
    values = np.array([[float(v) for v in list(r.values())[1:]] for r in rows])
    np.testing.assert_allclose(values[:, 0], values[:, 1:].mean(axis=1))
    assert [r["row"] for r in rows] == [str(i) for i in range(40)]


def test_predict_piece_by_piece(perceptory, run, tmp_path, monkeypatch):
    frame = pl.read_csv(run.parent / "data.csv")
    strange = pl.int_range(len(frame)).is_in([3, 20, 37])
    frame = frame.with_columns(color=pl.when(strange).then(pl.lit("mauve")).otherwise("color"))
    for name in ("t.csv", "t.parquet"):
        (frame.write_csv if name.endswith("csv") else frame.write_parquet)(tmp_path / name)
    whole = perceptory("predict", run, "t.csv")
    assert "mauve" in whole[2]
    monkeypatch.setattr(streamed, "PREDICTED", 7)
    monkeypatch.setattr(streamed, "BYTES", 100)
    monkeypatch.setattr(spool, "BYTES", 200)
    wanted = [float(r["predicted y"]) for r in rows_of(whole[1])]
    for name in ("t.csv", "t.parquet"):
        code, out, err = perceptory("predict", run, name)
        assert (code, err) == (0, whole[2])
        assert [r["row"] for r in rows_of(out)] == [str(i) for i in range(40)]
        np.testing.assert_allclose([float(r["predicted y"]) for r in rows_of(out)], wanted, rtol=1e-6)
        assert perceptory("predict", run, name, "--out", "p.parquet")[0] == 0
        assert pl.read_parquet("p.parquet")["predicted y"].to_list() == [float(r["predicted y"]) for r in rows_of(out)]
    (tmp_path / "t.csv").write_text((tmp_path / "t.csv").read_text() + "1,2\n")
    before = (tmp_path / "p.parquet").read_bytes()
    code, _, err = perceptory("predict", run, "t.csv", "--out", "p.parquet")
    assert code == 2
    assert "line 42 of t.csv has 2 cells" in err
    assert (tmp_path / "p.parquet").read_bytes() == before  # nothing is lost


def test_predict_classes(perceptory, tmp_path):
    table(tmp_path / "data.csv")
    code, out, _ = perceptory("fit", "data.csv", "--target", "color", *TINY, "--out", "c")
    assert code == 0
    assert out.startswith("40 rows, 3 numeric columns, target color: 2 classes (green, red)\n")
    rows = rows_of(perceptory("predict", "c", "data.csv", "--proba")[1])
    assert list(rows[0]) == ["row", "predicted color", "probability green", "probability red"]
    for r in rows:
        green, red = float(r["probability green"]), float(r["probability red"])
        assert green + red == pytest.approx(1)
        assert r["predicted color"] == ("green" if green >= red else "red")
    assert list(rows_of(perceptory("predict", "c", "data.csv")[1])[0]) == ["row", "predicted color"]


def test_explain(perceptory, run, tmp_path):
    """What fit found on the sealed rows, and the same of the run's own table; other tables as they are."""
    code, kept, error = perceptory("explain", run)
    assert (code, error) == (0, "")
    assert "Importance: the rise of the RMSE" in kept
    assert "among 8 rows" in kept
    own = run.parent / "data.csv"
    code, out, error = perceptory("explain", run, own, "--out", "importance.csv", "--figure", "columns.png")
    assert (code, out) == (0, kept)
    assert "only the 8 rows that it sealed" in error
    frame = pl.read_csv("importance.csv")
    assert sorted(frame["column"].to_list()) == ["a", "b", "color"]
    assert Path("columns.png").stat().st_size > 1000
    other = pl.read_csv(own).head(20)
    other.write_csv("other.csv")
    code, out, error = perceptory("explain", run, "other.csv", "--score", "mae", "--rows", "15", "--repeats", "2")
    assert (code, error) == (0, "")
    assert "rise of the MAE" in out
    assert "15 of 20 rows" in out
    model = Model.load(run)
    assert str(model.importance("other.csv", score="mae", rows=15, repeats=2)) == out.rstrip("\n")
    other.drop("y").write_csv("new.csv")
    for argv, words in (
        (("new.csv",), "has no target 'y'"),
        (("--rows", "3"), "--rows needs the rows to look at"),
        (("other.csv", "--figure", "x.doc"), "--figure needs a file"),
    ):
        code, out, error = perceptory("explain", run, *argv)
        assert (code, out) == (2, "")
        assert words in error
    assert perceptory("report", run, "--out", tmp_path / "again.html")[0] == 0
    assert "Columns that matter" in (tmp_path / "again.html").read_text()
    assert "nosuch is not a run folder" in perceptory("explain", "nosuch")[2]


def test_report(perceptory, run, tmp_path, monkeypatch):
    monkeypatch.setattr(svg, "to_svg", to_svg)  # whole, as that of the run is
    written = (run / "report.html").read_text()
    code, out, err = perceptory("report", run, "--out", "r.html")
    assert (code, err) == (0, "")
    assert out.endswith("Report   r.html\n")
    assert "MLP 4 tanh" in out
    assert len((tmp_path / "r.html").read_text()) == pytest.approx(len(written), rel=0.05)


@pytest.mark.slow
def test_demo_writes_its_folder_anew_and_no_other(perceptory, run, tmp_path):
    code, out, err = perceptory("demo", "--quick")
    assert (code, err) == (0, "")
    assert [line.split()[0] for line in out.rstrip().splitlines()[-3:]] == ["Report", "Predict", "Explain"]
    assert json.loads((tmp_path / "demo-run" / "result.json").read_text())["target"] == "progression"
    before = (run / "result.json").read_bytes()
    assert perceptory("demo", "--out", run)[0] == 2
    assert (run / "result.json").read_bytes() == before


def test_help_comes_without_the_heavy_packages():
    code = (
        "import sys; from perceptory.app.cli import main; codes = [main(a) for a in (['--help'], ['fit', '--help'],"
        " ['--version'], [])]; heavy = {'jax', 'equinox', 'optax', 'sklearn', 'polars', 'pandas', 'scipy', 'numpy',"
        " 'matplotlib'} & sys.modules.keys(); print('CHECK', codes, sorted(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=None, check=True)
    assert done.stdout.rstrip().endswith("CHECK [0, 0, 0, 2] []")
    assert done.stderr == ""


def test_module_and_closed_output(tmp_path):
    command = [sys.executable, "-m", "perceptory"]
    assert subprocess.run([*command, "--version"], capture_output=True, text=True, check=True).stdout == (
        "perceptory 0.1.0\n"
    )
    with open("/dev/full", "w") as full:
        done = subprocess.run([*command, "--help"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2
    assert done.stderr == "perceptory: No space left on device.\n"
