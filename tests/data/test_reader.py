"""What the reader makes of files, frames and arrays."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from perceptory import notes
from perceptory.data import Encoder, read_inputs, read_table
from perceptory.errors import InputError

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.fixture
def write(tmp_path):
    def write(text: str | bytes, name: str = "data.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def kinds(dataset):
    return {c.name: c.kind for c in dataset.columns}


def column(dataset, name):
    return next(c for c in dataset.columns if c.name == name)


MIXED = (
    "size,color,ok,when,same,y\n1,red,true,2020-01-01,5,1.5\n,blue,FALSE,2020-01-02 12:00,5,2\n"
    "2.5e1,NA,true,2020/01/03,5,0\n-3, red ,,2020-01-04T06:00Z,5,4\n"
)


def test_csv_of_every_kind(write):
    data = read_table(write(MIXED), "y")
    assert kinds(data) == {
        "size": "numeric",
        "color": "categorical",
        "ok": "boolean",
        "when": "date",
        "same": "numeric",
    }
    np.testing.assert_array_equal(column(data, "size").values, [1, np.nan, 25, -3])
    assert column(data, "color").values.tolist() == ["red", "blue", None, "red"]
    np.testing.assert_array_equal(column(data, "ok").values, [1, 0, 1, np.nan])
    np.testing.assert_array_equal(column(data, "when").values, [18262, 18263.5, 18264, 18265.25])
    np.testing.assert_array_equal(data.targets, [[1.5], [2], [0], [4]])
    assert data.task == "regression"
    assert data.notes == ()
    made = {d["name"]: d["made"] for d in data.describe()}
    assert made["color"] == "2 columns, one a category; a column that tells where it is missing"
    shown = repr(data).splitlines()
    assert shown[0] == "4 rows, 1 numeric, 1 boolean, 1 categorical, 1 date, 1 ignored columns, target y: regression"
    assert "  color: categorical, 2 columns, one a category; a column that tells where it is missing" in shown
    assert made["same"] == "ignored: constant, carries no information (always 5)"


def test_german_csv(write):
    text = '\ufeffLänge, mm;"Breite, mm";Ort;y\r\n1,5;2;Köln;0,5\r\n-2,25;3;Bonn;1e3\r\nNA;4;Köln;-0,1\r\n'
    data = read_table(write(text), "y")
    np.testing.assert_array_equal(column(data, "Länge, mm").values, [1.5, -2.25, np.nan])
    np.testing.assert_array_equal(column(data, "Breite, mm").values, [2, 3, 4])
    np.testing.assert_array_equal(data.targets[:, 0], [0.5, 1000, -0.1])
    assert notes.decimal_commas(["Länge, mm", "y"]) in data.notes
    assert any("separated by semicolon" in str(n) for n in data.notes)


def test_decimal_comma_beside_decimal_point_is_not_guessed(write):
    with pytest.raises(InputError, match='decimal="," or thousands=","'):
        read_table(write("a;b;y\n1,500;1.5;1\n2,250;2.5;2\n1,500;3;4\n"), "y")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("a\tb\ty\n1,2\tu\t3\n4,5\tv\t6\n", "data.tsv"),
        ("a|b|y\n1.2|u|3\n4.5|v|6\n", "data.txt"),
        ("a;b;y\n1.2;u;3\n4.5;v;6\n", "data.csv"),
        ('a,b,y\n1.2,u,3\n"4.5",v,6\n\n\n', "data.csv"),
        ("a,b,y\r1.2,u,3\r4.5,v,6\r", "data.csv"),
        ("a, b, y\n1.2, u, 3\n 4.5 , v , 6 \n", "data.csv"),
    ],
)
def test_delimiters(write, text, name):
    data = read_table(write(text, name), "y")
    np.testing.assert_array_equal(column(data, "a").values, [1.2, 4.5])
    assert column(data, "b").values.tolist() == ["u", "v"]
    np.testing.assert_array_equal(data.targets[:, 0], [3, 6])


def test_quotes_hold_separators_and_line_breaks(write):
    data = read_table(write('a,b,y\n"x;1, ""2""\nend",1,1\n"p\r\nq",2,2\nr,3,3\n'), "y")
    assert column(data, "a").values.tolist() == ['x;1, "2"\nend', "p\r\nq", "r"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_encodings(write, encoding):
    data = read_table(write("ä,y\n1,2\n3,4\n".encode(encoding)), "y")
    np.testing.assert_array_equal(column(data, "ä").values, [1, 3])


def test_empty_lines(write):
    data = read_table(write("a,y\n1,2\n\n\n3,4\n\n"), "y")
    assert data.rows == 2
    assert "data.csv has 2 empty lines between its rows, left out." in map(str, data.notes)
    table = read_inputs(write("a\n1\n\n3\n\n"))
    assert table.columns[0].values.tolist() == ["1", "", "3"]


def test_missing_tokens(write):
    tokens = ["", "NA", "N/A", "nan", "NaN", "null", "None", "?", "-", " NA ", "#N/A"]
    text = "a,b,y\n" + "".join(f"{t},{t},1\n" for t in tokens) + "1,u,2\n2,v,3\n"
    data = read_table(write(text), "y")
    assert np.isnan(column(data, "a").values).tolist() == [True] * len(tokens) + [False] * 2
    assert column(data, "b").values.tolist() == [None] * len(tokens) + ["u", "v"]


def test_duplicate_and_empty_names(write):
    data = read_table(write("a,a,,a.2,y\n1,2,3,9,1\n4,5,7,8,2\n"), "y")
    assert [c.name for c in data.columns] == ["a", "a.3", "column 3", "a.2"]
    assert str(data.notes[0]) == "data.csv has more than one column 'a'; one of them is read as 'a.3'."
    frame = pd.DataFrame([[1, 2, 3], [4, 5, 6]], columns=["a", "a", "y"])
    assert [c.name for c in read_table(frame, "y").columns] == ["a", "a.2"]
    assert kinds(read_table(frame, "y", ignore="a")) == {"a": "ignored", "a.2": "numeric"}
    np.testing.assert_array_equal(Encoder.fit(read_table(frame, "y")).transform(frame), [[1, 2], [4, 5]])
    single = Encoder.fit(read_table({"a": [1, 2], "y": [1.0, 3]}, "y"))
    with pytest.raises(InputError, match="'a' stands more than once"):
        single.transform(frame)
    arrow = pa.table([[1, 2], [3, 4], [5, 6]], names=["a", "a", "y"])
    assert [c.name for c in read_table(arrow, "y").columns] == ["a", "a.2"]


def test_row_numbers_and_identifiers_are_ignored(write):
    rows = "".join(f"{k},name {k},{k % 7},{k % 5}\n" for k in range(60))
    data = read_table(write(",who,a,y\n" + rows), "y", task="regression")
    described = {d["name"]: d for d in data.describe()}
    assert described["column 1"]["made"] == "ignored: it only counts the rows"
    assert described["who"]["made"] == "ignored: every value differs (identifier)"
    assert Encoder.fit(data).feature_names == ("a",)


def test_nearly_numbers_are_read_as_text_with_a_note(write):
    data = read_table(write("a,y\n1,1\n2,2\n3 kg,3\n4,5\n"), "y")
    assert kinds(data) == {"a": "categorical"}
    assert [str(n) for n in data.notes] == [
        "column 'a': read as text because of values that are not plain numbers, such as '3 kg'."
    ]
    many = "".join(f'"€{k},{k},0",{k % 7}\n' for k in range(1, 60))
    data = read_table(write("a,b,y\n" + many.replace('",', '",1,').replace("1,1\n", "2,1\n")), "y", task="regression")
    assert kinds(data)["a"] == "ignored"
    assert tuple(map(str, data.notes)) == (
        "column 'a': every value differs (identifier).",
        "column 'a': read as text because of values that are not plain numbers, such as '€1,1,0'.",
    )
    assert kinds(read_table(write("a,y\n1_0,1\n2_0,2\n1_0,4\n"), "y")) == {"a": "categorical"}


@pytest.mark.parametrize(
    ("cells", "days"),
    [
        (["01.02.2020", "13.02.2020 18:00"], [18293, 18305.75]),
        (["1/2/2020", "13/2/2020"], [18293, 18305]),
        (["2/1/2020", "2/13/2020"], [18293, 18305]),
        (["2020-02-01T00:00:00+02:00", "2020-02-13"], [18293 - 2 / 24, 18305]),
    ],
)
def test_date_layouts(write, cells, days):
    data = read_table(write("d,a,y\n" + f"{cells[0]},1,1\n{cells[1]},2,2\n"), "y")
    np.testing.assert_allclose(column(data, "d").values, days, rtol=0, atol=1e-9)


def test_ambiguous_dates_are_not_guessed(write):
    data = read_table(write("d,y\n1/2/2020,1\n3/4/2020,2\n"), "y")
    assert kinds(data) == {"d": "categorical"}
    (remark,) = column(data, "d").notes
    assert notes.ambiguous_dates.describes(remark)
    assert "two ways" in str(remark)


def test_rows_without_target_are_left_out_with_a_note(write):
    data = read_table(write("a,w,g,y\n1,1,u,1\n2,,,NA\n3,3,v,3\n4,4,u,2\n"), "y", weights="w", groups="g")
    assert [str(n) for n in data.notes] == ["1 row without a value of the target 'y' left out."]
    assert data.row_numbers.tolist() == [0, 2, 3]
    assert data.weights.tolist() == [1, 3, 4]
    assert data.groups.tolist() == [0, 1, 0]
    assert [c.name for c in data.columns] == ["a"]
    part = data.take(np.array([2, 0]))
    assert part.row_numbers.tolist() == [3, 0]
    assert part.targets.tolist() == [[2], [1]]
    assert part.columns[0].values.tolist() == [4, 1]


FRAME = {
    "n": [1.5, None, 3.0, 4.0],
    "i": [1, 2, 3, 5],
    "b": [True, None, False, True],
    "s": ["u", "v", None, "u"],
    "c": ["7", "7.0", "7", None],
    "d": [date(2020, 1, 1), None, date(2020, 1, 3), date(2020, 1, 4)],
    "t": [datetime(2020, 1, 1, 12), None, datetime(2020, 1, 3), datetime(2020, 1, 4)],
    "z": [
        datetime(2020, 1, 1, 12, tzinfo=UTC),
        None,
        datetime(2020, 1, 3, tzinfo=UTC),
        datetime(2020, 1, 4, tzinfo=UTC),
    ],
    "e": [timedelta(seconds=90), None, timedelta(0), timedelta(seconds=1)],
    "y": [1.0, 2.0, 4.0, 8.5],
}
EXPECTED = {
    "n": ("numeric", [1.5, np.nan, 3, 4]),
    "i": ("numeric", [1, 2, 3, 5]),
    "b": ("boolean", [1, np.nan, 0, 1]),
    "s": ("categorical", ["u", "v", None, "u"]),
    "c": ("categorical", ["7", "7.0", "7", None]),
    "d": ("date", [18262, np.nan, 18264, 18265]),
    "t": ("date", [18262.5, np.nan, 18264, 18265]),
    "z": ("date", [18262.5, np.nan, 18264, 18265]),
    "e": ("numeric", [90, np.nan, 0, 1]),
}


def _polars():
    return pl.DataFrame(FRAME).with_columns(pl.col("c").cast(pl.Enum(["7", "7.0"])))


def _pandas():
    frame = pd.DataFrame(FRAME)
    frame["c"] = frame["c"].astype("category")
    frame["b"] = frame["b"].astype("boolean")
    return frame


def _arrow():
    table = pa.table(FRAME)
    return table.set_column(4, "c", table["c"].combine_chunks().dictionary_encode())


@pytest.mark.parametrize("way", ["polars", "pandas", "arrow", "parquet", "feather"])
def test_frames_and_binary_files(tmp_path, way):
    make = {"pandas": _pandas, "arrow": _arrow}.get(way, _polars)
    source = make()
    if way in ("parquet", "feather"):
        path = tmp_path / f"data.{way}"
        (source.write_parquet if way == "parquet" else source.write_ipc)(path)
        source = path
    data = read_table(source, "y")
    assert [c.name for c in data.columns] == list(EXPECTED)
    for c in data.columns:
        kind, values = EXPECTED[c.name]
        assert c.kind == kind, c.name
        if kind == "categorical":
            assert c.values.tolist() == values
        else:
            np.testing.assert_array_equal(c.values, values, err_msg=c.name)


def test_arrays():
    x = np.arange(12.0).reshape(4, 3) ** 2
    y = np.array([0.5, 1, 2, 9])
    data = read_table(x, y)
    assert [c.name for c in data.columns] == ["x0", "x1", "x2"]
    assert data.target_names == ("y",)
    assert read_table(x, "x1").target_names == ("x1",)
    structured = np.array([(1, 2.5, 0.1), (3, 1.5, 0.2)], dtype=[("a", "i4"), ("b", "f4"), ("y", "f8")])
    assert [c.name for c in read_table(structured, "y").columns] == ["a", "b"]
    assert read_table({"a": [1, 2], "b": np.array(["u", "v"])}, pd.Series([1.5, 2], name="out")).target_names == (
        "out",
    )
    both = read_table(x, np.stack([y, -y], axis=1))
    assert both.target_names == ("y0", "y1")
    assert both.outputs == 2
    np.testing.assert_array_equal(both.targets[:, 1], -y)
    assert read_table(x.astype(object), ["u", "v", "u", "v"]).classes == ("u", "v")
    masked = np.ma.array(x, mask=x == 0)
    assert np.isnan(read_table(masked, y).columns[0].values).tolist() == [True, False, False, False]


def test_pandas_index_and_numbered_columns():
    frame = pd.DataFrame(np.arange(6.0).reshape(3, 2) ** 2, index=pd.Index([5, 6, 7], name="when"))
    data = read_table(frame, np.array([1.0, 2, 4]))
    assert [c.name for c in data.columns] == ["0", "1"]
    assert "reset_index()" in str(data.notes[0])


def test_an_infinite_value_is_found_in_the_row_of_the_file(write):
    with pytest.raises(InputError, match=r"column 'a' holds 1 infinite value \(first in row 3"):
        read_table(write("a,y\n1,\n2,1\ninf,2\n3,3\n"), "y")


def test_ignored_columns_and_unreadable_ones():
    data = read_table(
        pl.DataFrame({"a": [1, 2, 3], "b": [3, 1, 2], "l": [[1], [2], None], "y": [1.0, 2, 4]}), "y", ignore="a"
    )
    assert kinds(data) == {"a": "ignored", "b": "numeric", "l": "ignored"}
    assert column(data, "l").notes == (notes.unreadable("list"),)


@pytest.mark.parametrize(
    ("file", "target", "shape"),
    [
        ("uci/concrete.csv", "strength", (1030, 8)),
        ("uci/power-plant.csv", "power", (9568, 4)),
        ("uci/wine-quality-red.csv", "quality", (1599, 11)),
        ("uci/kin8nm.csv", "y", (8192, 8)),
        ("timeseries/air_passengers.csv", "passengers", (144, 1)),
        ("timeseries/lynx.csv", "lynx", (114, 1)),
        ("timeseries/sunspots_yearly.csv", "sunspots", (309, 1)),
    ],
)
def test_real_files(file, target, shape):
    path = SHARED / file
    if not path.exists():
        pytest.skip(f"{path} is not on this machine")
    data = read_table(path, target)
    assert data.task == "regression"
    inputs = Encoder.fit(data).transform(data)
    assert inputs.shape == shape
    expected = np.loadtxt(path, delimiter=",", skiprows=1)
    np.testing.assert_array_equal(inputs, expected[:, :-1])
    np.testing.assert_array_equal(data.targets, expected[:, -1:])


def test_what_is_said_of_an_ignored_column_is_said_once(write):
    rows = "\n".join(f"K{k:04d},{k / 7},{k % 3},{k * k}" for k in range(120))
    data = read_table(write(f"customer,a,b,c\n{rows}\n"), "a", ignore=["b"])
    shown = repr(data).splitlines()
    assert shown[:3] == [
        "120 rows, 1 numeric, 2 ignored columns, target a: regression",
        "  customer: ignored: every value differs (identifier)",
        "  b: ignored as asked",
    ]
    assert not any("customer" in line for line in shown[3:])
    assert notes.about_column("customer", notes.identifier("every value differs")) in data.notes
