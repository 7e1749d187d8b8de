"""What stands beside a table, names of columns, types and marks: cases that people reported of other tools."""

import datetime as dt
import uuid

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from perceptory import Study, read_arrays
from perceptory.data import Encoder, read_inputs, read_series, read_table
from perceptory.errors import InputError
from perceptory.notes import classes_not_learned
from perceptory.studies.sealing import seal_off, with_unknown

ROWS = 60
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=ROWS).round(3)
NAMES = np.array(["u", "v", "w"])[np.arange(ROWS) % 3]
CODES = np.arange(ROWS) % 3
FRAME = pd.DataFrame({"a": X, "b": X[::-1], "price": X**2 + 1, "c": NAMES})


def kinds(data):
    return {c.name: c.kind for c in data.columns}


def said(data):
    return " ".join(map(str, data.notes))


# --- values beside the table in another form ------------------------------------------------------------------------

FORMS = {
    "codes of names": (FRAME, CODES, {}, "c"),
    "names of codes": (FRAME.assign(c=CODES), NAMES, {}, "c"),
    "codes backwards": (FRAME.assign(c=CODES), 7 - 2 * CODES, {"task": "classification"}, "c"),
    "truth of words": (FRAME.assign(c=np.where(X > 0, "yes", "no")), X > 0, {}, "c"),
    "filled in": (FRAME.assign(price=FRAME.price.where(FRAME.a > -1.5)), FRAME.price.to_numpy(), {}, "price"),
    "texts": (FRAME.assign(price=FRAME.price.astype(str)), FRAME.price.to_numpy(), {}, "price"),
    "as texts": (FRAME, FRAME.price.astype(str).tolist(), {}, "price"),
    "codes of groups": (FRAME, "price", {"groups": CODES}, "c"),
    "groups as texts": (FRAME.assign(c=CODES), "price", {"groups": CODES.astype(str)}, "c"),
    "weights as texts": (FRAME, "a", {"weights": FRAME.price.astype(str).tolist()}, "price"),
}


@pytest.mark.parametrize("form", FORMS)
def test_values_beside_the_table_in_another_form(form):
    frame, target, options, held = FORMS[form]
    data = read_table(frame, target, **options)
    assert held not in kinds(data)
    assert f"column {held!r} holds the values that are given as the" in said(data)


def test_few_or_other_values_stay_inputs():
    assert "c" in kinds(read_table(FRAME, RANDOM.permutation(CODES)))
    assert "id" in kinds(
        read_table(FRAME.assign(id=RANDOM.permutation(ROWS)), "price", groups=RANDOM.permutation(ROWS))
    )
    few = FRAME.iloc[:6]
    assert "c" in kinds(read_table(few, CODES[:6], task="classification"))


@pytest.mark.parametrize("function", [np.log, lambda y: 3 * y - 1, lambda y: -(y**3), np.exp])
def test_a_function_of_the_target_is_told(function):
    frame = FRAME.assign(other=function(FRAME.price))
    assert "'other' puts the rows in the same order as the target 'price'" in said(read_table(frame, "price"))
    assert 'ignore="other"' in said(read_table(frame, "price"))
    assert "same order" not in said(read_table(frame[["other", "price"]], "price"))
    assert "same order" not in said(read_table(frame.assign(other=function(FRAME.price) + X * 1e-2), "price"))


def test_an_index_in_another_order_is_not_guessed():
    shuffled = FRAME.price.rename("y").sample(frac=1, random_state=0)
    table = FRAME[["a", "b"]]
    for given in (
        {"target": shuffled},
        {"target": FRAME.a, "weights": shuffled},
        {"target": FRAME.a, "groups": shuffled},
    ):
        with pytest.raises(InputError, match=r"same index as the table, in another order.*reindex\(table.index\)"):
            read_table(table, **{"target": FRAME.a, **given})
    assert read_table(table, shuffled.reindex(table.index)).targets[:, 0].tolist() == FRAME.price.tolist()
    assert read_table(table, shuffled.to_numpy()).targets[:, 0].tolist() == shuffled.tolist()
    assert read_table(table, shuffled.reset_index(drop=True)).rows == ROWS


def test_a_target_that_is_one_input_of_each_example_is_told():
    x = RANDOM.normal(size=(ROWS, 5, 2))
    assert "channel 'x1' at place 4:" in said(read_arrays(x, x[:, 3, 1]))
    assert "stands among its inputs" not in said(read_arrays(x, x[:, 3, 1] + 1e-9))


# --- names --------------------------------------------------------------------------------------------------------

ARRAY = np.stack([X, X[::-1], X**2], axis=1)
MOMENT = pd.Timestamp("2020-01-03")
NAMED = {
    "a place": (ARRAY, 2, "x2"),
    "the last place": (ARRAY, -1, "x2"),
    "a numpy place": (ARRAY, np.int32(1), "x1"),
    "a float": (pd.DataFrame(ARRAY, columns=[0.5, 1.5, 2.5]), 2.5, "2.5"),
    "a date": (pd.DataFrame(ARRAY, columns=pd.date_range("2020", periods=3)), MOMENT, "2020-01-03 00:00:00"),
    "two levels": (pd.DataFrame(ARRAY, columns=pd.MultiIndex.from_tuples([("a", 1), ("a", 2), ("b", 1)])), ("b", 1),
                   "('b', 1)"),
    "truth": (pd.DataFrame(ARRAY[:, :2], columns=[True, False]), False, "False"),
    "bytes": (pd.DataFrame(ARRAY[:, :2], columns=[b"a", b"y"]), b"y", "b'y'"),
    "a key": ({0: X, 1: X**2}, 1, "1"),
    "a key of series": (pd.DataFrame(ARRAY, columns=[5, 6, 7]), np.int64(7), "7"),
}  # fmt: skip


@pytest.mark.parametrize("case", NAMED)
def test_columns_are_named_as_they_are_at_hand(case):
    source, target, name = NAMED[case]
    assert read_table(source, target).target_names == (name,)
    assert read_series(source, target, predict="every step", window=10).target_names == (name,)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"target": 7}, "the table has no target 7. Its columns are: 'a', 'b', 'price', 'c'."),
        ({"target": True}, "the table has no target True"),
        ({"target": slice(2)}, "the target needs the name of a column, or values [row], got a slice"),
        ({"target": "price", "ignore": 0}, "the table has no column to ignore 0"),
        ({"target": "price", "weights": 1.5}, "the table has no column of weights 1.5"),
        ({"target": "price", "groups": len}, "the column of groups needs the name of a column"),
    ],
)
def test_what_names_no_column(options, sentence):
    with pytest.raises(InputError) as error:
        read_table(FRAME, **options)
    assert sentence in str(error.value)


def test_settings_that_are_none_or_numbers():
    frame = FRAME.assign(a=np.where(X > 1, -999.0, X))
    assert read_table(frame, "price", ignore=None, missing=None).rows == ROWS
    for missing in (-999, [-999.0], "-999"):
        values = read_table(frame, "price", missing=missing).columns[0].values
        np.testing.assert_array_equal(np.isnan(values), X > 1)
    assert kinds(read_table(ARRAY, "x2", ignore=0))["x0"] == "ignored"


# --- types --------------------------------------------------------------------------------------------------------

DAYS = pd.date_range("2020", periods=ROWS)
TYPES = {
    "periods": (pd.period_range("2020", periods=ROWS, freq="D"), "date", 18262.0),
    "period objects": (np.array(list(pd.period_range("2020", periods=ROWS, freq="D")), object), "date", 18262.0),
    "intervals": (pd.cut(X, 3).astype(object), "categorical", None),
    "times": ([dt.time(k % 24, 30) for k in range(ROWS)], "numeric", 1800.0),
    "polars times": (pl.Series([dt.time(k % 24, 30) for k in range(ROWS)]), "numeric", 1800.0),
    "numpy dates in a list": (list(DAYS.to_numpy()), "date", 18262.0),
    "identifiers": ([uuid.UUID(int=k % 3) for k in range(ROWS)], "categorical", None),
    "dictionary": (pd.Series(NAMES).astype(pd.ArrowDtype(pa.dictionary(pa.int32(), pa.string()))), "categorical", "u"),
    "arrow dates": (pd.Series(DAYS).astype("date32[pyarrow]"), "date", 18262.0),
    "arrow truth": (pd.array([True, None, False] * 20, dtype="bool[pyarrow]"), "boolean", 1.0),
}


@pytest.mark.parametrize("case", TYPES)
def test_types_that_carry_more_than_numbers(case):
    values, kind, first = TYPES[case]
    data = read_table({"v": values, "b": X, "y": X**2}, "y")
    assert kinds(data)["v"] == kind
    assert first is None or data.columns[0].data[0] == first
    encoder = Encoder.fit(data)
    assert encoder.transform(read_inputs({"v": values[:1], "b": X[:1]})).shape[0] == 1


def test_tables_of_other_forms():
    columns = {"a": X, "b": X[::-1], "y": X**2}
    batch = pa.record_batch(columns)
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    for source in (batch, rows):
        assert kinds(read_table(source, "y")) == {"a": "numeric", "b": "numeric"}
    del rows[3]["a"]
    assert np.isnan(read_table(rows, "y").columns[0].values[3])
    assert kinds(read_table(pd.Series(X, name="a"), X**2)) == {"a": "numeric"}
    for ragged, remedy in (
        (X, r"reshape\(x, \(-1, 1\)\)"),
        ([[1], [1, 2]], "same length"),
        (X[None, None], "read_arrays"),
    ):
        with pytest.raises(InputError, match=remedy):
            read_table(ragged, X)
    with pytest.raises(InputError, match=r"column 'c' of the frame holds others.*read_table"):
        read_arrays(FRAME, X)
    np.testing.assert_array_equal(
        read_arrays((DAYS - DAYS[0]).to_numpy()[:, None], X).inputs[:3, 0], [0, 86400, 172800]
    )


# --- marks in numbers -----------------------------------------------------------------------------------------------

WHOLE = [3850 + 37 * k for k in range(ROWS)]
HALVES = [value + 0.25 * (k % 3) for k, value in enumerate(WHOLE)]
US, EU = [f"{v:,.2f}" for v in HALVES], [f"{v:_.2f}".replace(".", ",").replace("_", ".") for v in HALVES]
MARKED = {
    "US": (US, HALVES),
    "European": (EU, HALVES),
    "Swiss": ([v.replace(",", "'") for v in US], HALVES),
    "typographic": ([v.replace(",", "’") for v in US], HALVES),
    "French": ([v.replace(".", "\u202f") for v in EU], HALVES),
    "spaces": ([f"{v:_}".replace("_", " ") for v in [17, *WHOLE[1:]]], [17, *WHOLE[1:]]),
    "no-break spaces": ([f"{v:_}".replace("_", "\u00a0") for v in [17, *WHOLE[1:]]], [17, *WHOLE[1:]]),
    "Indian": ([f"{k + 1},{k % 90 + 10},{100 + k}" for k in range(ROWS)],
               [(k + 1) * 10**5 + (k % 90 + 10) * 10**3 + 100 + k for k in range(ROWS)]),
    "millions": ([f"{v + 10**6:_}".replace("_", ".") for v in WHOLE], [v + 10**6 for v in WHOLE]),
    "negative": (["-" + v for v in US], [-v for v in HALVES]),
}  # fmt: skip


@pytest.mark.parametrize("case", MARKED)
@pytest.mark.parametrize("delimiter", [";", '","'])
def test_marks_that_can_mean_one_thing(tmp_path, case, delimiter):
    cells, values = MARKED[case]
    quote = '"' if delimiter == '","' else ""
    rows = [quote + delimiter.join((cell, str(k))) + quote for k, cell in enumerate(cells)]
    (tmp_path / "t.csv").write_text("\n".join([quote + f"n{delimiter}y" + quote, *rows]))
    for source in (tmp_path / "t.csv", {"n": cells, "y": range(ROWS)}):
        data = read_table(source, "y")
        np.testing.assert_array_equal(data.columns[0].values, values)
        assert "read in 'n'" in said(data) or "thousands in 'n'" in said(data)


def test_a_decimal_comma_that_was_asked_for_is_not_a_point(tmp_path):
    """The point of 1.250 was taken for one before decimals in spite of it."""
    (tmp_path / "t.csv").write_text("n;y\n" + "".join(f"{1 + k / 1000:.3f};{k}\n" for k in range(ROWS)))
    with pytest.raises(InputError, match=r"holds numbers with a point, such as '1.000', and decimal=\",\" says"):
        read_table(tmp_path / "t.csv", "y", decimal=",")
    assert read_table(tmp_path / "t.csv", "y", decimal=",", thousands=".").columns[0].values[1] == 1001


def test_codes_that_look_like_numbers_in_groups_stay_texts():
    data = read_table({"n": [f"110 {k:03d}" for k in range(ROWS)] * 2, "y": range(2 * ROWS)}, "y")
    assert kinds(data) == {"n": "categorical"}
    assert 'thousands=" " reads it so' in said(data)
    assert kinds(read_table({"n": ["1,2", "2,3", "1,3"] * 20, "b": X, "y": X**2}, "y"))["n"] == "categorical"


def test_what_a_study_found_is_how_new_rows_are_read(tmp_path):
    (tmp_path / "t.csv").write_text("n;y\n" + "".join(f"{k},5;{k}\n" for k in range(ROWS)))
    (tmp_path / "new.csv").write_text("n;b\n1,250;1\n")
    (tmp_path / "series.csv").write_text("n;y\n" + "1,250;3\n" * 10)
    encoder = Encoder.from_json(Encoder.fit(read_table(tmp_path / "t.csv", "y")).to_json())
    table = encoder.transform(tmp_path / "new.csv")
    assert table.tolist() == [[1.25]]
    series = read_series(tmp_path / "t.csv", "y", predict="every step", window=10)
    test = read_series(tmp_path / "series.csv", "y", predict="every step", window=10, like=series)
    assert test.inputs[0, 0, 0] == 1.25
    other = Encoder.fit(read_table({"n": X, "y": X**2}, "y"))
    with pytest.raises(InputError, match="Write the numbers with a point before decimals"):
        other.transform(tmp_path / "new.csv")


# --- targets and test rows ------------------------------------------------------------------------------------------


def test_targets_that_cannot_be_predicted_say_why():
    big = [str(2**53 + k % 2) for k in range(ROWS)]
    with pytest.raises(InputError, match=r'float64 does not hold.*task="classification"'):
        read_table({"a": X, "y": big}, "y")
    assert read_table({"a": X, "y": big}, "y", task="classification").classes == (str(2**53), str(2**53 + 1))
    days = ["#REF!", *map(str, DAYS[1:].date)]
    with pytest.raises(InputError, match="the target 'y' holds dates"):
        read_table({"a": X, "y": days}, "y")
    with pytest.raises(InputError, match="differ in their last digits only"):
        Study(epochs=1).run(
            read_table({"a": X, "y": np.where(X > 0, 1.0, np.nextafter(1.0, 2))}, "y", task="regression")
        )


def test_a_few_cells_among_categories_are_told_with_the_remedy():
    cells = [str(k % 5) for k in range(ROWS)]
    cells[17] = "<1"
    data = read_table({"a": cells, "b": X, "y": X**2}, "y")
    assert 'where that stands for a missing value, missing="<1" says so' in said(data)
    assert kinds(read_table({"a": cells, "b": X, "y": X**2}, "y", missing="<1"))["a"] == "numeric"


@pytest.mark.parametrize(("weighted", "share"), [(False, 0.25), (True, 0.5)])
def test_test_rows_of_new_classes_count_as_wrong(weighted, share):
    data = read_table({"a": X, "c": np.where(X > 0, "p", "n"), "w": np.ones(ROWS)}, "c", weights="w")
    new = np.arange(ROWS) < 15
    table = {"a": X, "c": np.where(new, "new", np.where(X > 0, "p", "n")), "w": np.where(new, 3.0, 1.0)}
    rows = read_table(table, like=data, weights="w" if weighted else None)
    assert rows.row_numbers.tolist() == list(range(15, ROWS))
    assert "15 test rows of a class that the study has not ('new') count as wrong" in said(rows)
    sealed = seal_off(Study(), data, rows)
    assert [note for note in sealed.notes if classes_not_learned.describes(note)] == [rows.notes[0]]
    assert with_unknown({"accuracy": 0.8, "auc": 0.7}, rows) == {"accuracy": pytest.approx(0.8 * (1 - share))}
    assert with_unknown({"accuracy": 0.8}, data) == {}


@pytest.mark.parametrize(
    ("name", "start", "read"),
    [("__index_level_0__", 0, False), ("id", 7, False), ("Unnamed: 0", 1, False), ("count", 0, True)],
)
def test_an_index_that_came_along_is_no_input(name, start, read):
    """Of rows that stood in order of their class and were shuffled, it would tell the class."""
    place = np.random.default_rng(0).permutation(60)
    frame = pl.DataFrame({name: place + start, "x": np.sin(place), "y": np.where(place < 30, "a", "b")})
    data = read_table(frame, "y")
    assert [c.kind == "numeric" for c in data.columns] == [read, True]
    doubled = read_table(frame.with_columns((pl.col(name) // 2).alias(name)), "y")  # a number of something else
    assert doubled.columns[0].kind == "numeric"


def test_columns_of_unlike_indexes_are_not_mixed():
    first, second = pd.Series([1.0, 2.0, 3.0]), pd.Series([3.0, 2.0, 1.0], index=[2, 1, 0])
    for read in (lambda: read_table({"x": first, "y": second}, "y"), lambda: read_inputs({"x": first, "z": second})):
        with pytest.raises(InputError, match=r"unlike indexes.*DataFrame"):
            read()
    with pytest.raises(InputError, match="in another order"):
        read_table({"x": first}, second)
    frame = pd.DataFrame({"x": first, "y": second})
    assert read_table({"x": first, "y": frame.y}, "y").targets.ravel().tolist() == [1.0, 2.0, 3.0]


def test_one_row_is_read_by_its_names():
    frame = pd.DataFrame({"x": [1.0, 4.0, 9.0], "c": ["a", "b", "a"], "y": [1.0, 2.0, 3.0]})
    encoder = Encoder.fit(read_table(frame, "y"))
    row = encoder.transform(frame.iloc[[1]])
    for one in (
        frame.iloc[1],
        frame.iloc[1][["c", "x"]],
        next(frame.iloc[1:].itertuples()),
        [*frame[1:2].itertuples()],
    ):
        np.testing.assert_array_equal(encoder.transform(one), row)
    numbers = Encoder.fit(read_table(frame[["x", "y"]], "y"))
    assert numbers.transform(frame["x"]).shape == (3, 1)  # a column as ever
