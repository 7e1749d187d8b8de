"""A folder of tables is one table; of series each file is one."""

import numpy as np
import polars as pl
import pytest

import perceptory as pt
from perceptory.data import Encoder
from perceptory.data.tables.folders import tables_in
from perceptory.data.tables.sources import as_table
from perceptory.errors import InputError

random = np.random.default_rng(0)


def frame(rows=30):
    return pl.DataFrame(
        {
            "a": random.normal(size=rows),
            "n": random.integers(0, 9, rows),
            "kind": random.choice(["u", "v"], rows),
            "day": [f"2024-01-{1 + k % 28:02d}" for k in range(rows)],
            "y": random.normal(size=rows),
        }
    )


def in_parts(folder, whole, cuts=(7, 18), write="write_csv", ending="csv"):
    folder.mkdir()
    for k, (start, end) in enumerate(zip((0, *cuts), (*cuts, len(whole)), strict=True)):
        getattr(whole[start:end], write)(folder / f"part-{k}.{ending}")
    (folder / "_SUCCESS").touch()
    (folder / ".part-0.csv.crc").touch()
    return folder


@pytest.mark.parametrize(("write", "ending"), [("write_csv", "csv"), ("write_parquet", "parquet")])
def test_parts_are_the_whole(tmp_path, write, ending):
    whole = frame()
    getattr(whole, write)(tmp_path / f"whole.{ending}")
    parts = in_parts(tmp_path / "parts", whole, write=write, ending=ending)
    one, other = (pt.read_table(path, "y") for path in (tmp_path / f"whole.{ending}", parts))
    assert one.describe() == other.describe()  # without a column of files
    np.testing.assert_array_equal(one.targets, other.targets)
    encoder = Encoder.fit(one)
    np.testing.assert_array_equal(encoder.transform(parts), encoder.transform(tmp_path / f"whole.{ending}"))
    assert pt.read_table(parts, "y", groups="file").groups.tolist() == [0] * 7 + [1] * 11 + [2] * 12


def test_a_column_is_read_as_a_whole(tmp_path):
    """Numbers in one file and text in another are text; one without a value is what the others are."""
    folder = tmp_path / "parts"
    folder.mkdir()
    (folder / "a.csv").write_text("x,z,y\n1,,3\n2,,4\n")
    (folder / "b.csv").write_text("x,z,y\n1.50,7,5\nlow,8,6\n")
    table = as_table(folder)
    assert table.column("x").text.to_list() == ["1", "2", "1.50", "low"]
    assert table.column("z").text.cast(pl.Float64).to_list() == [None, None, 7, 8]
    assert table.column("y").numbers.tolist() == [3, 4, 5, 6]
    assert table.column("file").text.to_list() == ["a", "a", "b", "b"]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"a.csv": "x,y\n1,2\n", "b.csv": "x,z\n1,2\n"}, r"b\.csv lacks 'y' and has 'z' besides\. a\.csv: Its columns"),
        ({"a.csv": "x,y\n1,2\n", "b.csv": "x;y\n1;2\n"}, "separate their cells by different characters"),
        ({"a.csv": "x,y\n1,2\n", "notes.pdf": "x"}, r"holds tables, and 'notes\.pdf' beside them"),
    ],
)
def test_what_does_not_go_together(tmp_path, files, said):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=said):
        pt.read_table(tmp_path, "y")


@pytest.mark.parametrize("picture", ["one.png", "train-images-idx3-ubyte"])
def test_a_folder_of_pictures_may_hold_a_text(tmp_path, picture):
    for name in (picture, "README.txt"):
        (tmp_path / name).touch()
    assert tables_in(tmp_path) == []


def test_kinds_that_differ_are_named_with_their_files(tmp_path):
    pl.DataFrame({"x": [1.0], "y": [2.0]}).write_parquet(tmp_path / "a.parquet")
    pl.DataFrame({"x": ["u"], "y": [2.0]}).write_parquet(tmp_path / "b.parquet")
    with pytest.raises(InputError, match=r"'x' holds numbers in a\.parquet and text in b\.parquet"):
        as_table(tmp_path)


def test_each_file_is_a_series(tmp_path):
    y = np.cumsum(random.normal(size=(3, 40)), axis=1)
    long = pl.DataFrame({"file": np.repeat(["s0", "s1", "s2"], 40), "t": np.tile(np.arange(40), 3), "y": y.ravel()})
    folder = tmp_path / "series"
    folder.mkdir()
    for name, part in long.group_by("file"):
        part.drop("file").write_csv(folder / f"{name[0]}.csv")
    how = {"predict": "ahead", "time": "t", "window": 6, "horizon": 2}
    one, other = pt.read_series(folder, "y", **how), pt.read_series(long, "y", series="file", **how)
    np.testing.assert_array_equal(np.asarray(one.inputs), np.asarray(other.inputs))
    assert (one.plan.series, one.plan) == ("file", other.plan)
    later = one.plan.cut(folder / "s1.csv", one.channels)
    np.testing.assert_allclose(later.inputs[-1, :, 0], y[1, -6:])
