"""Features of columns, and what happens to tables that come later."""

import copy
import json
import math
from datetime import date, datetime

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import perceptory as pt
from perceptory import notes
from perceptory.data import Encoder, read_inputs, read_table
from perceptory.data import ahead as threads
from perceptory.data.words import data_lines
from perceptory.errors import InputError

nan = math.nan


def frame(**columns):
    rows = len(next(iter(columns.values())))
    return {**columns, "y": [0.5 * k * k for k in range(rows)]}


def fit(**columns):
    return Encoder.fit(read_table(frame(**columns), "y"))


def test_features():
    encoder = fit(n=[1.5, None, 3], b=[True, False, True], c=["v", "u", None], k=[2, 2, 2])
    assert encoder.feature_names == ("n", "n is missing", "b", "c=u", "c=v", "c is missing")
    new = {"k": [1, 1], "c": ["w", None], "b": [None, False], "n": [None, 7.0], "y": [1, 2]}
    expected = [[nan, 1, nan, 0, 0, 0], [7, 0, 0, 0, 0, 1]]
    np.testing.assert_array_equal(encoder.transform(new), expected)
    assert tuple(map(str, encoder.notes_for(new))) == (
        "column 'c' has 1 values that training did not have ('w'); they are read as none of the known categories.",
    )


def test_missing_only_at_prediction():
    encoder = fit(n=[1.5, 2, 3], c=["v", "u", "v"])
    np.testing.assert_array_equal(encoder.transform({"n": [None], "c": [None]}), [[nan, 0, 0]])


def test_one_value_beside_missing_ones_keeps_the_missing_column():
    encoder = fit(n=[4, None, 4], c=["u", "u", None])
    assert encoder.feature_names == ("n is missing", "c is missing")


def test_only_the_study_rows_count():
    data = read_table(frame(n=[1, 2, None], c=["u", "v", "w"]), "y")
    encoder = Encoder.fit(data.take(np.array([0, 1])))
    assert encoder.feature_names == ("n", "c=u", "c=v")
    np.testing.assert_array_equal(encoder.transform(data)[2], [nan, 0, 0])


def test_the_fifty_most_frequent_categories():
    cells = [f"c{k:02d}" for k in range(60) for _ in range(3)] + ["c59"]
    encoder = fit(c=cells)
    assert len(encoder.feature_names) == 50
    assert encoder.feature_names[-1] == "c=c59"
    assert "c=c50" not in encoder.feature_names
    x = encoder.transform({"c": ["c59", "c50"]})
    assert x.sum(axis=1).tolist() == [1, 0]
    assert "10 rarest" in encoder.describe()[0]["made"]


def test_more_categories_where_rows_have_them():
    """Beyond fifty those of five rows or more, of all columns together a thousand: those of few are all there."""
    cells = [f"c{k:03d}" for k in range(300) for _ in range(5)] + [f"few{k}" for k in range(20) for _ in range(4)]
    encoder = fit(c=cells, flag=[k % 3 == 0 for k in range(len(cells))])
    assert encoder.feature_names == (*(f"c={name}" for name in sorted(set(cells)) if name < "d"), "flag")
    x = encoder.transform({"c": ["c000", "c299", "few3", None, "c121"], "flag": [True] * 5})
    assert [row.nonzero()[0].tolist() for row in x[:, :300]] == [[0], [299], [], [], [121]]
    wide = np.arange(4000)
    encoder = fit(a=[f"a{k % 800}" for k in wide], b=[f"b{k % 700}" for k in wide], c=[f"c{k % 90}" for k in wide])
    assert [len(plan.categories) for plan in encoder.columns] == [455, 455, 90]
    assert [plan.rare for plan in encoder.columns] == [345, 245, 0]


def test_what_is_said_of_rare_categories_is_said_of_their_columns():
    towns, signs = [f"t{k % 60}" for k in range(120)], ["u", "v"] * 60
    lines = data_lines(read_table(frame(town=towns, sign=signs, other=signs[::-1]), "y"))
    assert lines[1:] == [
        "  town: categorical, 50 columns, one a category; the 10 rarest categories have none",
        "  sign, other: categorical, 2 columns, one a category",
    ]


def test_many_categories_train_and_predict_as_they_are():
    """Each of 130 towns has its own target, and a missing one too: a linear model learns it, of many rows and of
    one."""
    towns = [None if k % 131 == 130 else f"t{k % 131}" for k in range(131 * 12)]
    values = [-50.0 if town is None else float(town[1:]) for town in towns]
    study = pt.Study([pt.Linear()], validation=pt.HoldOut())
    model = study.run(read_table({"town": towns, "y": values}, "y")).model
    assert model.encoder.shape == (131,)
    predicted = model.predict({"town": towns[:131]})
    np.testing.assert_allclose(predicted, values[:131], atol=2.0)
    np.testing.assert_allclose(model.predict({"town": "t129"}), predicted[129], rtol=1e-5)
    np.testing.assert_allclose(model.predict({"town": None}), predicted[130], rtol=1e-5)


def test_dates():
    days = np.array(["2020-01-06", "2020-06-01", "2022-02-01"], dtype="datetime64[D]")
    encoder = fit(d=days)
    waves = [f"d ({w} of {p})" for p in ("year", "week") for w in ("sin", "cos")]
    assert encoder.feature_names == ("d (days)", *waves)
    x = encoder.transform({"d": ["2020-01-06", "2020-01-13 00:00", ""]})
    np.testing.assert_array_equal(x[:, 0], [0, 7, nan])
    np.testing.assert_allclose(x[0, 3:], x[1, 3:], atol=1e-12)  # both Mondays
    np.testing.assert_allclose(np.hypot(x[:2, 1], x[:2, 2]), 1)
    assert np.isnan(x[2]).all()
    hours = fit(d=np.array(["2020-01-01T00", "2020-01-01T06", "2020-01-01T12"], dtype="datetime64[h]"))
    assert hours.feature_names == ("d (days)", "d (sin of day)", "d (cos of day)")
    np.testing.assert_allclose(hours.transform({"d": ["2020-01-01T06:00"]}), [[0.25, 1, 0]], atol=1e-9)


def test_slash_dates_keep_their_layout():
    encoder = fit(d=["1/31/2020", "2/1/2020", "2/3/2020"])
    assert encoder.transform({"d": ["2/5/2020"]})[0, 0] == 5
    assert encoder.transform({"d": ["2020-02-06"]})[0, 0] == 6


def test_order_of_columns_and_extra_ones_do_not_matter():
    encoder = fit(a=[1, 2, 3], b=["u", "v", "u"], c=[3.0, 1, 1])
    new = {"a": [5, 6], "b": ["v", "u"], "c": [7, 8]}
    x = encoder.transform(new)
    np.testing.assert_array_equal(x, [[5, 0, 1, 7], [6, 1, 0, 8]])
    other = {"more": [0, 0], "c": [7, 8], "y": [1, 1], "b": ["v", "u"], "a": [5, 6]}
    np.testing.assert_array_equal(encoder.transform(pl.DataFrame(other)), x)
    np.testing.assert_array_equal(encoder.transform(pd.DataFrame(other)), x)
    assert encoder.notes_for(other) == (notes.columns_not_used(["more"]),)
    assert encoder.notes_for(new) == ()


def test_the_kind_learned_decides(tmp_path):
    path = tmp_path / "new.csv"
    path.write_text("code;flag;n\n1;1;2,5\n02;0;\n")
    encoder = fit(code=["1", "2", "02", "x"], flag=[True, False, True, True], n=[1.0, 2, 3, 4])
    x = encoder.transform(read_inputs(path))
    assert encoder.feature_names[:4] == ("code=02", "code=1", "code=2", "code=x")
    np.testing.assert_array_equal(x, [[0, 1, 0, 0, 1, 2.5], [1, 0, 0, 0, 0, nan]])
    x = encoder.transform({"code": [1, 2.0], "flag": ["True", "?"], "n": ["3", " 4 "]})
    np.testing.assert_array_equal(x, [[0, 1, 0, 0, 1, 3], [0, 0, 1, 0, nan, 4]])


def test_a_category_that_reads_like_a_missing_value():
    data = read_table({"c": pd.Categorical(["None", "u", "None"]), "y": [1.0, 2, 4]}, "y")
    x = Encoder.fit(data).transform({"c": ["None", "NA", " u"]})
    np.testing.assert_array_equal(x, [[1, 0], [0, 0], [0, 1]])


def test_arrays_are_matched_by_order():
    data = read_table(np.array([[1.0, 5, 2], [2, 5, 1], [3, 5, 7]]), [1.0, 2, 4])
    encoder = Encoder.fit(data)
    assert encoder.feature_names == ("x0", "x2")
    np.testing.assert_array_equal(encoder.transform(np.array([[8, 0, 9.0]])), [[8, 9]])
    np.testing.assert_array_equal(encoder.transform({"x2": [9], "x0": [8]}), [[8, 9]])
    np.testing.assert_array_equal(encoder.transform(read_inputs(np.array([[9.0, 8]]), ["x2", "x0"])), [[8, 9]])
    with pytest.raises(InputError, match="needs the 3 input columns"):
        encoder.transform(np.eye(2))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n": ["a", "1"]}, "column 'n' held numbers when the model was trained, but here it holds the text 'a'"),
        ({"n": [np.inf, 1]}, "column 'n' holds 1 infinite value"),
        ({"n": np.array(["2020-01-01", "NaT"], dtype="datetime64[D]")}, "'n' held numbers .* holds a date"),
        ({"n": [[1], [2]]}, r"column 'n' (held numbers|needs one dimension)"),
        ({"b": [2, 1]}, "column 'b' held true or false .* the number 2"),
        ({"b": ["maybe", "true"]}, "column 'b' held true or false .* the text 'maybe'"),
        ({"d": [1, 2]}, "column 'd' held dates .* the number 1"),
        ({"d": ["2020-01-01", "soon"]}, "column 'd' held dates .* the text 'soon'"),
        ({"c": np.array(["2020-01-01", "NaT"], dtype="datetime64[D]")}, "column 'c' held categories .* a date"),
        ({"n": None, "c": None}, "lacks the columns 'n', 'c'"),
        ({"d": None}, "lacks the column 'd', which the model needs. Its columns are: 'n', 'b', 'c'"),
    ],
)
def test_differing_columns(changes, message):
    dates = np.array(["2020-01-01", "2020-01-02", "2020-01-04"], dtype="datetime64[D]")
    encoder = fit(n=[1, 2, 3], b=[True, False, True], c=["u", "v", "u"], d=dates)
    new = {"n": [1, 2], "b": [True, True], "c": ["u", "u"], "d": dates[:2]} | changes
    with pytest.raises(InputError, match=message) as caught:
        encoder.transform({k: v for k, v in new.items() if v is not None})
    assert "\n" not in str(caught.value)


CELLS = {
    "n": st.none() | st.floats(-1e6, 1e6),
    "c": st.none() | st.sampled_from(["u", "v", "w", "NA", "1", ""]),
    "b": st.none() | st.booleans(),
    "d": st.none() | st.datetimes().map(lambda t: t.replace(microsecond=0)),
}


@st.composite
def tables(draw):
    rows = draw(st.integers(3, 12))
    table = {name: draw(st.lists(cell, min_size=rows, max_size=rows)) for name, cell in CELLS.items()}
    return {**table, "sure": [float(k) for k in range(rows)], "y": [0.5 * k * k for k in range(rows)]}


@settings(max_examples=60, deadline=None)
@given(tables(), st.randoms())
def test_round_trip_take_and_order(table, random):
    data = read_table(table, "y")
    encoder = Encoder.fit(data)
    again = Encoder.from_json(json.loads(json.dumps(encoder.to_json(), allow_nan=False)))
    assert again == encoder
    x = encoder.transform(data)
    assert x.shape == (data.rows, len(encoder.feature_names))
    assert not np.isinf(x).any()
    np.testing.assert_array_equal(again.transform(table), x)
    rows = np.array(random.sample(range(data.rows), k=data.rows // 2 + 1))
    np.testing.assert_array_equal(encoder.transform(data.take(rows)), x[rows])
    names = list(table)
    random.shuffle(names)
    np.testing.assert_array_equal(encoder.transform({n: table[n] for n in names}), x)
    shuffled = Encoder.fit(read_table({n: table[n] for n in names}, "y"))
    assert sorted(shuffled.feature_names) == sorted(encoder.feature_names)
    order = [shuffled.feature_names.index(n) for n in encoder.feature_names]
    np.testing.assert_array_equal(shuffled.transform(table)[:, order], x)


def test_altered_descriptions():
    dates = np.array(["2020-01-01", "2020-01-02", "2020-01-04"], dtype="datetime64[D]")
    good = fit(n=[1, None, 3], c=["u", "v", "u"], d=dates).to_json()
    assert Encoder.from_json(good).to_json() == good

    def altered(change):
        data = copy.deepcopy(good)
        change(data)
        return data

    column = good["columns"][1]
    cases = [None, [], "x", 3, {}, {"columns": [], "target_names": []}, {**good, "more": 1}, {**good, "columns": {}}]
    cases += [{**good, "target_names": "y"}, {**good, "columns": [column, column]}, {**good, "columns": [None]}]
    for key, wrong in [
        ("name", 3),
        ("kind", "text"),
        ("kind", "ignored"),
        ("value", 1),
        ("missing", None),
        ("categories", "uv"),
        ("categories", ["u", "u"]),
        ("categories", ["u", 1]),
        ("rare", -1),
        ("rare", True),
        ("origin", nan),
        ("origin", "0"),
        ("periods", ["month"]),
        ("layout", "y"),
        ("note", None),
    ]:
        cases.append(altered(lambda d, k=key, w=wrong: d["columns"][1].update({k: w})))
    cases += [altered(lambda d, k=key: d["columns"][0].pop(k)) for key in column if key != "unit"]
    for data in cases:
        with pytest.raises(InputError) as caught:
            Encoder.from_json(data)
        assert "\n" not in str(caught.value)


def test_one_row_takes_a_short_way_to_the_same_numbers():
    dates = np.array(["2020-01-01", "2021-06-02", "2022-01-04"], dtype="datetime64[D]")
    encoder = fit(n=[1.5, None, 3], b=[True, False, None], c=["u", "v", None], d=dates)
    values = {
        "n": [2.5, 3, None, np.float64(4)],
        "b": [True, None, False, np.bool_(True)],
        "c": ["u", None, "v", "u"],
        "d": [date(2021, 5, 6), datetime(2021, 5, 6, 12), None, date(1999, 1, 1)],
    }
    whole = encoder.transform(values)
    for k in range(4):
        row = {name: column[k] for name, column in values.items()}
        assert encoder.one(row) is not None
        np.testing.assert_array_equal(encoder.transform(row), whole[k : k + 1])
        np.testing.assert_array_equal(encoder.transform({n: [v] for n, v in row.items()}), whole[k : k + 1])
        frame = pl.DataFrame({n: [v] for n, v in row.items()})
        np.testing.assert_array_equal(encoder.transform(frame), whole[k : k + 1])
        np.testing.assert_array_equal(encoder.one(frame.to_pandas()), whole[k : k + 1])  # NaN or NaT where one misses
    row = {"n": "2.5", "b": "true", "c": " u ", "d": "2021-05-06"}
    assert encoder.one(row) is None  # texts take the way of a table
    np.testing.assert_array_equal(encoder.transform(row), whole[:1])
    for change in ({"n": math.inf}, {"c": date(2020, 1, 1)}, {"b": 2}, {"d": 3.0}, {"n": "x"}):
        with pytest.raises(InputError, match="column"):
            encoder.transform({**row, **change})
    with pytest.raises(InputError, match="lacks the column 'd'"):
        encoder.transform({name: row[name] for name in "nbc"})


def test_batches_are_the_rows_of_the_whole():
    encoder = fit(n=[1.5, None, 3, 4, 5], c=["u", "v", None, "u", "u"])
    new = {"n": [1, 2, 3, None, 5.5], "c": ["u", "w", None, "v", "u"]}
    parts = list(encoder.batches(new, 2))
    assert [part.rows.tolist() for part in parts] == [[0, 1], [2, 3], [4]]
    np.testing.assert_array_equal(np.concatenate([part.inputs for part in parts]), encoder.transform(new))


def test_categories_of_many_rows_are_those_of_few(monkeypatch):
    """Many rows go by their distinct cells, and many more by threads; both give what a look at each row gives."""
    random = np.random.default_rng(0)
    words = random.choice(["a", "b ", "b", " NA ", "?", "c d"], 2400)
    frame = pl.DataFrame({"word": words, "plain": random.choice(["x", "y"], 2400), "y": random.normal(size=2400)})
    monkeypatch.setattr(threads, "LARGE", 2000)
    data = read_table(frame, "y")
    assert [type(c.data.dtype) for c in data.columns] == [pl.Enum, pl.Enum]
    few = Encoder.fit(read_table(frame.head(900), "y"))
    encoder = Encoder.fit(data)
    assert encoder == few
    assert [plan.categories for plan in encoder.columns] == [("a", "b", "c d"), ("x", "y")]
    inputs = encoder.transform(data)
    assert np.array_equal(inputs, encoder.transform(frame))
    assert np.array_equal(inputs, np.concatenate([encoder.transform(frame[k : k + 600]) for k in range(0, 2400, 600)]))
    part = data.take(np.arange(0, 2400, 3))
    assert np.array_equal(encoder.transform(part), inputs[::3])
    assert part.columns[0].values[:4].tolist() == [
        None if w.strip() in ("NA", "?") else w.strip() for w in words[:12:3]
    ]
