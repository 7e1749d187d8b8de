"""Numbers, identifiers, bad cells and values beside the table: nothing is read for what it is not."""

import json
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest

from perceptory.data import Encoder, read_series, read_table
from perceptory.data.tables import cells
from perceptory.errors import InputError
from perceptory.kernels import texts

ROWS = 60
X = np.random.default_rng(0).normal(size=ROWS).round(3)


@pytest.fixture
def write(tmp_path):
    def write(_file="data.csv", _delimiter=",", **columns):
        lines = [_delimiter.join(columns)]
        lines += [_delimiter.join(map(str, row)) for row in zip(*columns.values(), strict=True)]
        path = tmp_path / _file
        path.write_text("\n".join(lines) + "\n")
        return path

    return write


def cycle(*values):
    return [values[k % len(values)] for k in range(ROWS)]


def said(data):
    """The sentences of its notes."""
    return [str(note) for note in data.notes]


def column(data, name):
    return next(c for c in data.columns if c.name == name)


# --- files as programs write them ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff\ufeffa,y\n{rows}",  # files that were put together
        "a,y\r\n{rows}\x1a",  # DOS
        "sep=,\n a , y \n{rows}",  # Excel
        "sep=,\r\na,y\r\n{rows}",
    ],
)
def test_marks_of_programs_are_no_cells(tmp_path, text):
    path = tmp_path / "data.csv"
    path.write_bytes(text.format(rows="".join(f"{x},{k % 7}.5\n" for k, x in enumerate(X))).encode())
    data = read_table(path, "y")
    assert [c.name for c in data.columns] == ["a"]
    np.testing.assert_array_equal(data.columns[0].values, X)


def test_lines_are_counted_with_the_one_that_names_the_separator(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text("sep=;\na;y\n1;2\n3;4;5\n")
    with pytest.raises(InputError, match=r"line 4 of data.csv has 3 cells"):
        read_table(path, "y")


def test_long_cells_are_cells(write):
    path = write(a=[("x" * 70_000, "y" * 200_000)[k % 2] for k in range(6)], b=range(6), y=X[:6])
    data = read_table(path, "y")
    assert data.columns[0].data.str.len_chars().to_list() == [70_000, 200_000] * 3


@pytest.mark.parametrize(
    ("header", "line", "said"),
    [
        ("a,y", "1,2,", "It ends with a separator, and the header does not"),
        ("a,y,", "1,2", "The header ends with a separator, and the line does not"),
        ("# of 2020", "1,2", "The first line begins with #: remove lines of comments"),
        ("a,y", "1,2,3", "Correct the line, or quote cells"),
    ],
)
def test_rows_of_another_length_come_with_a_remedy(tmp_path, header, line, said):
    path = tmp_path / "data.csv"
    path.write_text(f"{header}\n" + f"{line}\n" * 5)
    with pytest.raises(InputError, match=f"line 2 of data.csv has .* cells?, but the header has .*{said}"):
        read_table(path, "y")


DIGITS = {"Arabic": 0x0660, "Persian": 0x06F0, "Indian": 0x0966, "wide": 0xFF10}


@pytest.mark.parametrize("zero", DIGITS.values(), ids=DIGITS)
def test_digits_of_other_scripts_are_digits(write, zero):
    numbers = [str(abs(x)) for x in X]
    path = write(a=["".join(chr(zero + int(d)) if d.isdigit() else d for d in n) for n in numbers], y=X)
    np.testing.assert_array_equal(read_table(path, "y").columns[0].values, np.abs(X))


@pytest.mark.parametrize("mark", ["\u200b", "\ufeff", "\u200e"])
def test_marks_that_are_not_seen_are_no_part_of_numbers(write, mark):
    path = write(a=[f"{mark}{x}" for x in X], y=X)
    np.testing.assert_array_equal(read_table(path, "y").columns[0].values, X)


@pytest.mark.parametrize(
    "layout", ["%d %b %Y", "%d-%b-%Y", "%d %B %Y", "%b %d, %Y", "%B %d %Y", "%d. %B %Y", "%d %b %Y %H:%M", "%b. %d %Y"]
)
def test_months_have_names(write, layout):
    days = pd.date_range("2019-01-30", periods=ROWS, freq="17D")
    cells = [f'"{day.strftime(layout)}"' for day in days]
    found = read_table(write(a=cells, y=X), "y").columns[0]
    assert found.kind == "date"
    np.testing.assert_array_equal(found.values, (days - pd.Timestamp(0)).days)
    again = Encoder.from_json(json.loads(json.dumps(Encoder.fit(read_table(write(a=cells, y=X), "y")).to_json())))
    assert again.transform({"a": [cells[3].strip('"')], "y": [0.0]}).shape == (1, len(again.feature_names))
    wrong = [f'"{cell}"' for cell in ["31 Feb 2020", *(day.strftime(layout) for day in days[1:])]]
    with pytest.raises(InputError, match="holds dates, but '31 Feb 2020' in row 1"):
        read_table(write(a=wrong, y=X), "y")


MOMENTS = ["12:30", "100:59:59", "2020-W03", "2020-03", "2020Q3", "Q3 2020", "1.12.20", "01-Jan-20", "Jan 2020"]


@pytest.mark.parametrize("moment", MOMENTS)
def test_times_that_are_read_as_text_are_told(write, moment):
    data = read_table(write(a=cycle(moment, moment.replace("20", "21"), moment.replace("0", "1")), y=X), "y")
    assert said(data) == [
        f"column 'a': times such as {moment!r} are read as text (write dates as 2020-12-31, and times and durations as"
        " numbers)."
    ]


def test_dates_in_several_layouts_are_told(write):
    data = read_table(write(a=cycle("2020-01-31", "31.01.2021", "01/31/2022"), y=X), "y")
    assert "times such as '2020-01-31' are read as text" in said(data)[0]


@pytest.mark.parametrize("cell", ["0x1F", "0b11", "1_000", "(1.5)", "1.5-", "1.5D+00", "'15", '"=""015"""'])
def test_numbers_that_are_read_as_text_are_told(write, cell):
    data = read_table(write(a=cycle(cell, cell.replace("1", "2"), cell.replace("1", "7")), y=X), "y")
    assert data.columns[0].kind == "categorical"
    assert "read as text because of values that are not plain numbers" in said(data)[0]


# --- identifiers --------------------------------------------------------------------------------------------------

IDENTIFIERS = [
    ["007", "07", "7"],
    ["012", "345", "078"],
    ["1E3", "1000", "2E1"],
    ["9007199254740992", "9007199254740993", "9007199254740994"],
    ["01067", "1067", "010670"],
    ["+5", "5", "05"],
    ["1.50", "1.5", "1.500"],
    ["340282366920938463463374607431768211455", "340282366920938463463374607431768211456", "1"],
    ["0x1F", "31", "1F"],
    ["-0", "0", "00"],
]


@pytest.mark.parametrize("names", IDENTIFIERS)
def test_labels_groups_and_series_are_texts(write, names):
    path = write(x=X, name=cycle(*names), y=X**2)
    data = read_table(path, "name", task="classification", ignore="y")
    assert len(data.classes) == 3
    labels = np.array(cycle(*names))
    for a in names:
        assert len(set(data.targets[labels == a])) == 1
    assert len(set(read_table(path, "y", groups="name").groups.tolist())) == 3
    series = read_series(path, "y", predict="every step", series="name", inputs="x")
    assert series.rows == 3


@pytest.mark.parametrize("make", [pl.DataFrame, pd.DataFrame, lambda d: pl.DataFrame(d).to_arrow(), dict])
def test_whole_numbers_beyond_float64(make):
    big = [2**53 + k for k in range(8)]
    frame = make({"x": X, "g": cycle(*big), "y": X**2})
    assert len(set(read_table(frame, "y", groups="g").groups.tolist())) == 8
    data = read_table(frame, "g", task="classification", ignore="y")
    assert data.class_values.tolist() == big
    assert data.classes == tuple(map(str, big))


@pytest.mark.parametrize("rows", [ROWS, 1200])  # also as many as a kernel reads
@pytest.mark.parametrize("source", ["read column by column.csv", "a.parquet", "cell by cell.csv"])
def test_digits_that_float64_does_not_hold_are_told_once_a_column(write, tmp_path, source, rows):
    exact, odd = np.arange(rows), np.arange(rows) % 7
    big, huge = 10**16 + 2 * exact, 2**63 + 2048 * exact.astype(np.uint64)
    frame = pl.DataFrame(
        {"x": odd, "id": big + 1, "even": big, "u": huge + np.uint64(1), "f": big + 1.0, "y": big + odd}
    )
    path = tmp_path / source
    if source == "a.parquet":
        frame.write_parquet(path)
    else:
        frame.write_csv(path, quote_style="always" if "cell" in source else "necessary")
    data = read_table(path, "y")
    what = "holds whole numbers of more digits than are kept"
    new = f"column 'id' {what}: 10000000000000001 is read as 10000000000000000."
    told = [note for note in said(data) if "digits" in note]
    assert told[0] == f'{new[:-1]}. If they are names and no quantity, leave the column out: ignore="id".'
    assert [note.split(" holds")[0] for note in told] == ["column 'id'", "column 'u'", "the target 'y'"]
    encoder = Encoder.fit(data)
    assert new in map(str, encoder.notes_for(path))
    with pytest.warns(UserWarning, match="more digits than are kept") as caught:
        encoder.many(path)
    assert str(caught[0].message) == new
    assert len(caught) == 2
    series = read_series(path, "y", predict="every step", window=20, inputs=["id", "even", "u"])
    assert [note for note in said(series) if "digits" in note] == told


def test_codes_with_zeros_in_front_are_predicted_with_them(write):
    data = read_table(write(x=X, zip=cycle("01067", "04109", "80331")), "zip")
    assert data.task == "multiclass"
    assert data.class_values.tolist() == ["01067", "04109", "80331"]
    assert "the target 'zip' holds codes with zeros in front, read as classes" in said(data)[0]
    many = write(x=X, zip=[f"{k:05d}" for k in range(ROWS)])
    with pytest.raises(InputError, match='task="regression"'):
        read_table(many, "zip")
    assert read_table(many, "zip", task="regression").targets[:3, 0].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("learned", "new"),
    [
        (["1", "2", "x"], [1.0, 2.0, None]),
        (["1", "2", "x"], [1, 2, 7]),
        (["1", "2", "x"], ["1.0", " 2.00", "y"]),
        (["TRUE", "FALSE", "x"], [True, False, None]),
        (["True", "False", "x"], ["TRUE", "false", ""]),
        ([1, 2, "x"], pd.Series([1, 2, None])),
        (["1", "2", "x"], pd.array([1, 2, None], dtype="Int64")),
    ],
)
def test_one_value_in_two_spellings(learned, new):
    encoder = Encoder.fit(read_table({"c": cycle(*learned), "y": X}, "y"))
    codes = encoder.transform({"c": new})
    first, second = (encoder.feature_names.index(f"c={name}") for name in learned[:2])
    assert codes[0, first] == codes[1, second] == 1
    assert codes[2].sum() == 0
    assert codes.sum() == 2


def test_unlike_spellings_are_not_merged():
    encoder = Encoder.fit(read_table({"c": cycle("007", "1E3", "x"), "y": X}, "y"))
    new = {"c": ["7", "1000", "07", "1e3"]}
    assert encoder.transform(new).sum() == 0
    assert "4 values that training did not have" in str(encoder.notes_for(new)[0])


# --- bad cells ----------------------------------------------------------------------------------------------------

BAD = ["#REF!", "#DIV/0!", "#VALUE!", "<0.01", "12 kg", "5%", "TBC", ".", "-1.#IND", "1.2.3", "12e", "--", "missing"]


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("what", ["target", "whole target", "input"])
def test_one_bad_cell_is_named_and_the_remedy_works(write, bad, what):
    values = [str(v) for v in (X.round(1) * 10).astype(int)] if what == "whole target" else [str(v) for v in X]
    values[7] = bad
    path = write(x=X + 1, y=values) if what != "input" else write(x=values, y=X**2)
    with pytest.raises(InputError) as caught:
        read_table(path, "y")
    assert f"{bad!r} in row 8" in str(caught.value)
    assert f'missing="{bad}"' in str(caught.value)
    data = read_table(path, "y", missing=bad)
    assert data.task == "regression"
    assert data.rows == ROWS - (what != "input")
    assert column(data, "x").kind == "numeric"


def test_bad_cells_that_are_few_among_few_numbers_leave_a_note(write):
    counts = cycle("0", "1", "2", "3")
    counts[3] = "10+"
    data = read_table(write(x=counts, y=X), "y")
    assert column(data, "x").kind == "categorical"
    assert "'10+' in row 4" in said(data)[0]
    flags = cycle("TRUE", "FALSE")
    flags[9] = "unknown"
    assert "'unknown' in row 10" in said(read_table(write(x=flags, y=X), "y"))[0]


def test_classes_may_be_numbers_and_texts(write):
    labels = cycle("0", "1", "2", "3", "4", "5", "6", "7", "8", "X")
    with pytest.raises(InputError, match='task="classification"'):
        read_table(write(x=X, y=labels), "y")
    assert len(read_table(write(x=X, y=labels), "y", task="classification").classes) == 10


def test_units_are_not_dropped_as_identifiers(write):
    path = write(w=[f"{k + 0.5} kg" for k in range(ROWS)], x=X, y=X**2)
    with pytest.raises(InputError, match=r"numbers with a unit, such as '0\.5 kg' in row 1.*ignore=\"w\""):
        read_table(path, "y")
    assert Encoder.fit(read_table(path, "y", ignore="w")).feature_names == ("x",)


def test_missing_numbers_in_any_source(write):
    cells = [v if k % 5 else -999.0 for k, v in enumerate(X)]
    for source in (write(x=cells, y=X), {"x": cells, "y": X}, pl.DataFrame({"x": cells, "y": X})):
        assert np.isnan(column(read_table(source, "y", missing=["-999"]), "x").values).sum() == ROWS / 5


def test_none_is_a_class(write):
    data = read_table(write(x=X, y=cycle("none", "mild", "severe")), "y")
    assert data.classes == ("mild", "none", "severe")
    assert "'none' in 20 rows is read as a class" in said(data)[0]
    assert read_table(write(x=X, y=cycle("none", "mild", "severe")), "y", missing="none").rows == 40


# --- dates --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "moment"),
    [
        ("2023-01-{:02d} 03:30:00 PM", 15.5),
        ("2023-01-{:02d} 12:15 am", 0.25),
        ("1/{:02d}/2023 3:30 PM", 15.5),
        ("2023-01-{:02d}T15:30:00+0130", 14),
        ("2023-01-{:02d}T15:30:00-02", 17.5),
        ("2023-01-{:02d} 15:30:00 UTC", 15.5),
        ("2023-01-{:02d} 06", 6),
        ("2023-01-{:02d} 15:30:00.250Z", 15.5 + 0.25 / 3600),
    ],
)
def test_halves_of_the_day_and_zones(write, cell, moment):
    cells = [cell.format(k % 28 + 1) for k in range(ROWS)]
    data = read_table(write(d=cells, y=X), "y")
    days = np.arange(ROWS) % 28 + (np.datetime64("2023-01-01") - np.datetime64("1970-01-01")).astype(int)
    assert column(data, "d").kind == "date"
    np.testing.assert_allclose(column(data, "d").values, days + moment / 24, rtol=0, atol=1e-9)


def test_one_bad_date_is_named(write):
    cells = [str(np.datetime64("2023-01-01") + k) for k in range(ROWS)]
    cells[12] = "TBC"
    with pytest.raises(InputError, match="column 'd' holds dates, but 'TBC' in row 13"):
        read_table(write(d=cells, y=X), "y")
    assert column(read_table(write(d=cells, y=X), "y", missing="TBC"), "d").kind == "date"


def test_identifiers_are_left_out_with_a_note(write):
    data = read_table(write(name=[f"name {k}" for k in range(ROWS)], x=X, y=X**2), "y")
    assert said(data) == ["column 'name': every value differs (identifier)."]


# --- marks in numbers ---------------------------------------------------------------------------------------------

WHOLE = [850 + 37 * k for k in range(ROWS)]
COMMAS = [f"{v:,}" for v in WHOLE]
POINTS = [c.replace(",", ".") for c in COMMAS]


@pytest.mark.parametrize(
    ("delimiter", "cells", "mark"),
    [("\t", COMMAS, ","), (";", COMMAS, ","), (";", POINTS, "."), ("|", POINTS, "."), ("\t", POINTS, ".")],
)
def test_three_digits_behind_every_mark_are_unclear(write, delimiter, cells, mark):
    path = write("data.tsv" if delimiter == "\t" else "data.csv", delimiter, n=cells, x=range(ROWS), y=WHOLE)
    with pytest.raises(InputError, match=f'decimal="{mark}" or thousands="{mark}"'):
        read_table(path, "y")
    thousands = read_table(path, "y", thousands=mark)
    np.testing.assert_array_equal(column(thousands, "n").values, WHOLE)
    decimal = read_table(path, "y", decimal=mark)
    np.testing.assert_array_equal(column(decimal, "n").values, [float(c.replace(mark, ".")) for c in cells])
    assert column(read_table(path, "y", ignore="n"), "x").kind == "numeric"
    as_target = write("data.tsv" if delimiter == "\t" else "data.csv", delimiter, n=cells, x=range(ROWS))
    with pytest.raises(InputError, match="Say"):
        read_table(as_target, "n")


def test_quoted_thousands_are_unclear_as_well(write):
    path = write(n=[f'"{c}"' for c in COMMAS], y=WHOLE)
    with pytest.raises(InputError, match='thousands=","'):
        read_table(path, "y")
    np.testing.assert_array_equal(column(read_table(path, "y", thousands=","), "n").values, WHOLE)


def test_other_columns_make_marks_clear(write):
    rates = [f"{k / 100:.2f}".replace(".", ",") for k in range(ROWS)]
    data = read_table(write(_delimiter=";", n=POINTS, rate=rates, y=WHOLE), "y")
    np.testing.assert_array_equal(column(data, "n").values, WHOLE)
    np.testing.assert_allclose(column(data, "rate").values, np.arange(ROWS) / 100)
    assert "points are read as marks between thousands in 'n'." in said(data)
    millions = [f"{10**6 + v:,}" for v in WHOLE]
    data = read_table(write("d.tsv", "\t", n=millions, y=WHOLE), "y")
    np.testing.assert_array_equal(column(data, "n").values, np.array(WHOLE) + 10**6)


def test_points_in_a_comma_file_are_read_with_a_note(write):
    data = read_table(write(n=[f"{1 + k / 1000:.3f}" for k in range(ROWS)], y=WHOLE), "y")
    assert column(data, "n").values[1] == 1.001
    assert 'thousands="." reads it' in said(data)[0]


def test_a_model_reads_as_it_learned(write):
    cells = [c if k else "n. d." for k, c in enumerate(COMMAS)]
    data = read_table(write("a.tsv", "\t", n=cells, y=WHOLE), "y", thousands=",", missing="n. d.")
    encoder = Encoder.from_json(json.loads(json.dumps(Encoder.fit(data).to_json())))
    x = encoder.transform(write("b.tsv", "\t", n=cells, y=WHOLE))
    np.testing.assert_array_equal(x[:, 0], [np.nan, *WHOLE[1:]])


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"decimal": ";"}, "decimal needs"),
        ({"thousands": "x"}, "thousands needs"),
        ({"decimal": ",", "thousands": ","}, "two different marks"),
        ({"missing": [[3]]}, "missing needs texts"),
    ],
)
def test_options_that_do_not_fit(options, sentence):
    with pytest.raises(InputError, match=sentence):
        read_table({"x": X, "y": X**2}, "y", **options)


# --- values beside the table --------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["target", "weights", "groups"])
@pytest.mark.parametrize("how", ["series", "array", "list", "renamed", "polars"])
def test_values_beside_the_table_are_no_inputs(what, how):
    frame = pd.DataFrame({"a": X, "b": X[::-1], "v": (np.arange(ROWS) // 6 + 1.0), "price": X**2})
    held = "price" if what == "target" else "v"
    given = {
        "series": frame[held],
        "array": frame[held].to_numpy(),
        "list": frame[held].tolist(),
        "renamed": frame[held].rename("other"),
        "polars": pl.Series(held, frame[held].to_numpy()),
    }[how]
    data = read_table(frame, given) if what == "target" else read_table(frame, "price", **{what: given})
    assert held not in [c.name for c in data.columns]
    assert f"column {held!r} holds the values that are given as the {what}, so it is no input." in said(data)


def test_a_name_that_stands_for_other_values_is_refused():
    frame = pd.DataFrame({"a": X, "price": X**2})
    with pytest.raises(InputError, match="'price' already, with other values"):
        read_table(frame, frame["price"] * 2)


def test_several_targets_beside_an_array():
    x = np.stack([X, X[::-1], X**2], axis=1)
    data = read_table(x, x[:, 1:])
    assert [c.name for c in data.columns] == ["x0"]


@pytest.mark.parametrize(
    ("cell", "said"),
    [("{:.1f}%", ""), ("${:,.2f}", ""), ("{:.1f} kg", "a unit"), ("€ {:.2f}", "")],
)
def test_a_target_with_units_is_no_list_of_classes(cell, said):
    table = {"x": np.sin(np.arange(60)), "y": [cell.format(k % 30) for k in range(60)]}
    if said:
        with pytest.raises(InputError, match=said):
            read_table(table, "y")
    else:
        assert read_table(table, "y").targets[:, 0].tolist() == [k % 30 for k in range(60)]
    assert len(read_table(table, "y", task="classification").classes) == 30
    few = read_table(table | {"y": [cell.format(10 * (k % 3)) for k in range(60)]}, "y")  # doses, say
    assert few.task == "multiclass"


@pytest.mark.parametrize("change", [("-", "\u2212"), ("1", "\uff11"), ("-", "\uff0d")])
def test_numbers_in_characters_of_typography_are_numbers(change):
    numbers = [f"{k - 10.5}" for k in range(30)]
    written = [cell.replace(*change) for cell in numbers]
    data = read_table({"x": written, "c": ["a\u2212b", "c"] * 15, "y": written}, "y")
    assert [c.kind for c in data.columns] == ["numeric", "categorical"]
    assert data.targets.ravel().tolist() == [float(cell) for cell in numbers] == data.columns[0].values.tolist()
    assert data.columns[1].data[0] == "a\u2212b"


def test_a_number_that_may_stand_for_a_missing_value_is_told_and_the_remedy_works():
    x, y = np.sin(np.arange(40.0)), np.cos(np.arange(40.0))
    x[::8], y[3:5] = -999, 9999
    data = read_table({"x": x, "y": y, "z": np.arange(40.0) * 99}, "y")
    assert [n.facts for n in data.notes] == [
        {"column": "x", "value": "-999", "rows": 5}, {"column": "y", "value": "9999", "rows": 2},
    ]  # fmt: skip
    assert 'missing="-999"' in str(data.notes[0])
    data = read_table({"x": x, "y": y, "z": np.arange(40.0) * 99}, "y", missing="-999,9999")
    assert np.isnan(data.columns[0].values).sum() == 5
    assert data.rows == 38


def test_columns_between_spaces_are_told(tmp_path):
    path = tmp_path / "t.dat"
    path.write_text("x z y\n1.5 2 3\n 2.5  3 4\n")
    with pytest.raises(InputError, match="separated by spaces"):
        read_table(path, "y")


def test_categories_that_training_did_not_have_are_told_in_python_too():
    learned = read_table({"k": ["a", "b"] * 10, "x": np.arange(20.0), "y": np.sin(np.arange(20))}, "y")
    encoder = Encoder.fit(learned)
    for new in ({"k": ["q", "a"], "x": [1.0, 2.0]}, {"k": "q", "x": 1.0}):
        with pytest.warns(UserWarning, match="1 values that training did not have .'q'."):
            list(encoder.batches(new, 10))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        list(encoder.batches({"k": ["a", None], "x": [1.0, 2.0]}, 10))


def test_words_are_read_as_if_every_pattern_had_been_asked(monkeypatch):
    kinds = {
        "plain": ["red 0", "blue (dark)", "x"], "odd": ["tEST", "a-b", "AB12"], "months": ["May 24", "Jun 24"],
        "dates": ["Mar 3, 2020", "Apr 4, 2021"], "truth": ["True", "false"], "ends": ["infra", "nan", "nano"],
        "units": ["EUR 5", "EUR 7"], "missing": ["none", "NA", "yes"], "quarters": ["Q1 2020", "Q2 2020"],
        "spaces": ["a ", " a", "b"], "accents": ["e\u0301", "\u00e9", "ab"], "codes": ["abc 12", "abd 13"],
    }  # fmt: skip
    random = np.random.default_rng(0)
    frame = pl.DataFrame({name: random.choice([*texts, None], 1000).tolist() for name, texts in kinds.items()})
    frame = frame.with_columns(pl.col("plain", "dates").fill_null(strategy="forward"), y=random.normal(size=1000))

    def read():
        data = read_table(frame, "y")
        features = Encoder.fit(data).features(data)
        return [(c.name, c.kind, list(map(str, c.notes)), list(map(str, c.values))) for c in data.columns], features

    endless = frame.with_columns(ends=pl.lit("Infinity"))
    with pytest.raises(InputError, match="infinite"):
        read_table(endless, "y")
    seen, features = read()
    monkeypatch.setattr(cells, "are_words", lambda texts: False)
    monkeypatch.setattr(texts, "codes_of", lambda cells, known: None)
    asked, others = read()
    assert seen == asked
    np.testing.assert_array_equal(features.dense(), others.dense())
    assert {"plain", "odd"} <= {c[0] for c in seen if c[1] == "categorical"}
