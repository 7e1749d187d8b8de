"""Paths that no file can have, and things that are no paths: one sentence at each door that takes a path."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

import perceptory as pt
from perceptory.app.cli import main
from perceptory.data.images.files import load_pictures
from perceptory.runs.run_folder import RunFolder

DOORS = {
    "table": lambda path: pt.read_table(path, "y"),
    "stream": lambda path: pt.stream_table(path, "y"),
    "series": lambda path: pt.read_series(path, "y", predict="ahead", window=4),
    "arrays": pt.read_arrays,
    "targets": lambda path: pt.read_arrays(np.ones((4, 2)), path),
    "images": pt.read_images,
    "pictures": load_pictures,
    "model": pt.Model.load,
    "result": pt.load_result,
    "run folder": lambda path: RunFolder(path).prepare(resume=False, overwrite=False),
}


@pytest.mark.parametrize("door", DOORS)
def test_paths_that_cannot_be(door, tmp_path):
    loop = tmp_path / "loop.csv"
    loop.symlink_to(loop)
    (tmp_path / "file.csv").write_text("x")
    for path in (
        "n" * 300,
        "n" * 300 + ".npy",
        str(tmp_path / ("n" * 300 + ".csv")),
        loop / "t.csv",
        "a\0b.csv",
        "a\0b.npz",
    ):
        with pytest.raises(pt.InputError, match="there can be no file"):
            DOORS[door](path)
    if door != "run folder":
        for path in (tmp_path / "file.csv" / "t.csv", "a\udcff.csv", Path("/dev/null"), Path("~nobody/t.csv")):
            with pytest.raises(pt.InputError):
                DOORS[door](path)
    if door in ("model", "result", "run folder"):
        for value in (5, b"run", None, ["run"]):
            with pytest.raises(pt.InputError, match=r"a path is a text or a pathlib\.Path, got a"):
                DOORS[door](value)


@pytest.mark.parametrize("ending", ["csv", "parquet", "arrow"])
def test_a_name_that_is_not_utf8(ending, tmp_path):
    """Whatever bytes a system allows in names: polars takes none that is not UTF-8."""
    frame, path = pl.DataFrame({"x": np.arange(20.0), "y": np.sin(np.arange(20.0))}), tmp_path / f"a\udcff.{ending}"
    with open(path, "wb") as file:
        {"csv": frame.write_csv, "parquet": frame.write_parquet, "arrow": frame.write_ipc}[ending](file)
    assert pt.read_table(path, "y").rows == 20
    assert pt.stream_table(path, "y").rows == 20
    assert pt.read_series(path, "y", predict="ahead", window=4).rows == 16


@pytest.mark.parametrize(
    "argv",
    ["fit {} --target y", "predict {} t.csv", "predict run {}", "backtest run {}", "explain run {}", "report {}"],
)
def test_the_command_line_quotes_no_path_of_thousands_of_characters(argv, capsys):
    assert main(argv.format("n" * 5000).split()) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert len(said) < 250
