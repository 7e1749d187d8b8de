"""Long tables as windows and whole series: content, places, times, and what is refused."""

import datetime as dt
import json
import re

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import perceptory as pt
from perceptory import notes
from perceptory.data import ArrayEncoder, read_series
from perceptory.data.series.calendar import Calendar
from perceptory.data.series.windows import windows
from perceptory.errors import InputError
from perceptory.networks.naive import Naive
from perceptory.studies.prepare import prepare

RANDOM = np.random.default_rng(0)


def long_table(lengths, shuffle=False, seed=0):
    """u, w and y are different functions of the row's place in the table, so that every cell tells where it stood."""
    random = np.random.default_rng(seed)
    names = np.repeat([f"s{k}" for k in range(len(lengths))], lengths)
    time = np.concatenate([np.arange(n) * 0.5 + 3 for n in lengths])
    if shuffle:  # rows of one series need not stand together, but stay in the order of time
        order = np.argsort(random.permutation(len(names)))
        names = names[order]
        time = np.empty(len(names))
        for name in np.unique(names):
            time[names == name] = np.arange((names == name).sum()) * 0.5 + 3
    row = np.arange(len(names), dtype=float)
    return {"id": names, "t": time, "u": row, "w": row**2 + 0.5, "y": -row}


def rows_of(table, clock_names):
    """The table's rows, series by series, in order of first appearance."""
    return np.concatenate([np.flatnonzero(table["id"] == n) for n in dict.fromkeys(clock_names)])


# --- properties ----------------------------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.integers(6, 20), min_size=1, max_size=4),
    st.sampled_from(["every step", "ahead", "one value"]),
    st.integers(1, 4),
    st.integers(1, 6),
    st.integers(1, 2),
    st.booleans(),
    st.booleans(),
)
def test_windows_hold_what_they_say(lengths, predict, window, stride, horizon, shuffle, together):
    table = long_table(lengths, shuffle, seed=sum(lengths))
    order = rows_of(table, table["id"])
    options = {"horizon": horizon} if predict == "ahead" else {}
    reach = horizon if predict == "ahead" else 0
    count = sum((n - window - reach) // stride + 1 for n in lengths)
    assume(count > 1 and (predict != "one value" or len(lengths) > 1))  # else the target is constant
    if predict == "one value":
        label = {n: k**2 for k, n in enumerate(sorted(set(table["id"])))}
        table["y"] = np.array([float(label[n]) for n in table["id"]])
        options["task"] = "regression"
    data = read_series(
        table, "y", predict=predict, time="t", series="id", window=window, stride=stride, together=together, **options
    )
    assert data.rows == count
    if count == len(lengths) and predict != "ahead":  # one example of each series
        assert data.timeline is data.groups is None
        return
    for k, (first, end) in enumerate(data.timeline.seen):
        rows = order[first:end]  # of the table
        assert end - first == window + reach
        assert len(set(table["id"][rows])) == 1
        np.testing.assert_array_equal(data.inputs[k, :, 0], table["u"][rows[:window]])
        np.testing.assert_array_equal(data.inputs[k, :, 1], table["w"][rows[:window]])
        if predict == "every step":
            np.testing.assert_array_equal(data.targets[k, :, 0], table["y"][rows])
            assert data.row_numbers[k] == rows[0]
        elif predict == "ahead":
            np.testing.assert_array_equal(data.inputs[k, :, 2], table["y"][rows[:window]])
            assert data.targets[k, 0] == table["y"][rows[-1]]
            assert data.row_numbers[k] == rows[-1]
        else:
            assert data.targets[k, 0] == table["y"][rows[0]]
    # Spans overlap exactly where examples share a row, or a row between a window and its target.
    touched = [set(order[a:b].tolist()) for a, b in data.timeline.seen]
    for i in range(min(data.rows, 12)):
        for j in range(data.rows):
            overlap = max(data.timeline.seen[i, 0], data.timeline.seen[j, 0]) < min(
                data.timeline.seen[i, 1], data.timeline.seen[j, 1]
            )
            assert overlap == bool(touched[i] & touched[j])
    several = len(lengths) > 1 and (data.rows > len(lengths) or predict == "ahead")
    if several and together:
        names = table["id"][data.row_numbers]
        assert len(set(zip(names, data.groups.tolist(), strict=True))) == len(lengths) == len(set(data.groups))
    else:
        assert data.groups is None
    if several and not together:
        assert (np.diff(table["t"][order[data.timeline.seen[:, 0]]]) >= 0).all()


@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 5))
def test_windows_of_an_array(rows, length, stride):
    array = np.arange(rows * 3).reshape(rows, 3)
    if length > rows:
        with pytest.raises(InputError, match="does not fit"):
            windows(array, length, stride)
        return
    cut = windows(array, length, stride)
    expected = [array[k : k + length] for k in range(0, rows - length + 1, stride)]
    np.testing.assert_array_equal(cut, expected)
    np.testing.assert_array_equal(windows(array[:, 0], length, stride), np.array(expected)[:, :, 0])
    assert np.shares_memory(cut, array)


# --- the three uses ------------------------------------------------------------------------------------------------


def test_every_step():
    table = {"u": np.arange(10.0), "y": np.arange(10.0) ** 2, "z": np.arange(10.0)[::-1]}
    data = read_series(table, ["y", "z"], predict="every step", window=4, washout=1)
    assert (data.kind, data.task, data.channels, data.target_names) == ("series", "regression", ("u",), ("y", "z"))
    assert (data.shape, data.target_shape, data.outputs) == ((4, 1), (4, 2), 2)
    np.testing.assert_array_equal(data.inputs[..., 0], [[0, 1, 2, 3], [4, 5, 6, 7]])
    np.testing.assert_array_equal(data.targets[..., 0], [[0, 1, 4, 9], [16, 25, 36, 49]])
    np.testing.assert_array_equal(data.weights, [[0, 1, 1, 1]] * 2)
    assert data.notes == (
        notes.cut_from_rows(2, 4, 4, 10, 1), notes.rows_in_no_window(2, "after the last"), notes.few_windows(2, 1),
    )  # fmt: skip
    assert str(data.notes[0]) == "2 examples of 4 steps from 10 rows."
    assert read_series(table, "y", predict="every step", window=5).weights is None


def test_whole_series():
    table = long_table([5, 3])
    data = read_series(table, "y", predict="every step", inputs="u", series="id", washout=2)
    np.testing.assert_array_equal(data.inputs[..., 0], [[0, 1, 2, 3, 4], [5, 6, 7, 0, 0]])
    np.testing.assert_array_equal(data.targets[..., 0], [[0, -1, -2, -3, -4], [-5, -6, -7, 0, 0]])
    np.testing.assert_array_equal(data.weights, [[0, 0, 1, 1, 1], [0, 0, 1, 0, 0]])
    assert data.lengths.tolist() == [5, 3]
    assert data.timeline is None
    assert data.groups is None
    one = read_series({"u": [1.0, 2, 3], "y": [1.0, 2, 4]}, "y", predict="every step")
    assert (one.rows, one.lengths, one.weights) == (1, None, None)


def test_several_horizons():
    table = {"a": np.arange(8.0) + 0.5, "y": np.arange(8.0) ** 2, "z": -np.arange(8.0)}
    data = read_series(table, ["y", "z"], predict="ahead", window=3, horizon=(1, 4))
    assert data.channels == ("a", "y", "z")
    assert data.target_names == ("y(t+1)", "z(t+1)", "y(t+4)", "z(t+4)")
    np.testing.assert_array_equal(data.targets, [[9, -3, 36, -6], [16, -4, 49, -7]])
    np.testing.assert_array_equal(data.inputs[0], np.stack([table["a"], table["y"], table["z"]], axis=1)[:3])
    assert data.timeline.seen.tolist() == [[0, 7], [1, 8]]
    assert data.row_numbers.tolist() == [3, 4]
    np.testing.assert_array_equal(
        read_series(table, "y", predict="ahead", window=3, horizon=range(1, 3), inputs=["y"]).targets[0], [9, 16]
    )


def test_forecasts_end_with_the_last_row():
    data = read_series({"y": np.arange(10.0)}, "y", predict="ahead", window=2, stride=3)
    assert data.targets[:, 0].tolist() == [3, 6, 9]
    assert str(data.notes[1]) == "1 row before the first whole window left out."


def test_counts_are_numbers_and_texts_are_classes():
    y = np.array([0, 1, 2, 1, 0, 1, 2, 1, 0, 1])
    assert read_series({"y": y}, "y", predict="ahead", window=2).task == "regression"
    assert read_series({"y": y}, "y", predict="ahead", window=2, task="classification").task == "multiclass"
    words = {"u": np.arange(10.0), "y": np.where(y > 0, "up", "down")}
    data = read_series(words, "y", predict="ahead", window=2)
    assert (data.task, data.channels, data.classes) == ("binary", ("u",), ("down", "up"))
    np.testing.assert_array_equal(data.targets, (y > 0)[2:])
    assert notes.past_not_an_input("y") in data.notes
    truth = read_series({"u": np.arange(10.0) + 0.5, "y": y > 0}, "y", predict="ahead", window=2)
    assert (truth.task, truth.channels) == ("binary", ("u", "y"))


def test_one_value():
    table = {
        "id": ["b", "b", "a", "a", "a", "c", "d", "d"],
        "u": np.arange(8.0),
        "y": ["left", None, "right", "right", "right", None, "", "left"],
        "who": [1, 1, 2, 2, 2, 1, 1, 1],
    }
    data = read_series(table, "y", predict="one value", series="id", groups="who")
    assert (data.task, data.classes, data.targets.tolist()) == ("binary", ("left", "right"), [0, 1, 0])
    np.testing.assert_array_equal(data.inputs[..., 0], [[0, 1, 0], [2, 3, 4], [6, 7, 0]])
    assert data.lengths.tolist() == [2, 3, 2]
    assert data.groups.tolist() == [0, 1, 0]
    assert data.row_numbers.tolist() == [0, 2, 6]
    assert data.timeline is None
    assert notes.without_target(1, "series") in data.notes


def test_rows_of_series_may_be_mixed():
    table = {"id": ["a", "b", "a", "b"], "t": [1, 1, 2, 2], "u": [1.0, 2, 3, 4], "y": [5.0, 6, 7, 8]}
    data = read_series(table, "y", predict="every step", series="id", time="t", window=1)
    assert data.inputs[..., 0].tolist() == [[1], [3], [2], [4]]
    assert data.timeline.seen.tolist() == [[0, 1], [1, 2], [2, 3], [3, 4]]
    assert data.row_numbers.tolist() == [0, 2, 1, 3]
    assert data.groups.tolist() == [0, 0, 1, 1]


# --- columns -------------------------------------------------------------------------------------------------------


def test_columns_that_are_inputs(tmp_path):
    table = {
        "index": np.arange(6), "u": np.arange(6.0), "on": [True, False] * 3, "y": np.arange(6.0) ** 2,
        "note": ["x"] * 6, "extra": np.ones(6),
    }  # fmt: skip
    data = read_series(table, "y", predict="every step", window=3, ignore=["note", "extra"])
    assert data.channels == ("u", "on")
    assert "column 'index' is not an input: it only counts the rows." in map(str, data.notes)
    assert data.inputs[0, :, 1].tolist() == [1, 0, 1]
    named = read_series(table, "y", predict="every step", window=3, inputs=["index", "u"], time="index")
    assert named.channels == ("index", "u")
    pl.DataFrame(table).write_csv(tmp_path / "a.csv")
    file = read_series(str(tmp_path / "a.csv"), "y", predict="every step", window=3, ignore=["note", "extra"])
    np.testing.assert_array_equal(file.inputs, data.inputs)
    array = read_series(np.stack([table["u"] + 0.5, table["y"]], axis=1), "x1", predict="ahead", window=2)
    assert array.channels == ("x0", "x1")


# --- time ----------------------------------------------------------------------------------------------------------


def read(time, **options):
    rows = len(time)
    table = {"t": time, "u": np.arange(rows) * 1.0, "y": np.arange(rows) ** 2.0}
    return read_series(table, "y", predict="every step", time="t", inputs="u", window=2, **options)


DAYS = [dt.date(2020, 1, 30) + dt.timedelta(k) for k in range(5)]


@pytest.mark.parametrize(
    "time",
    [
        [1, 2, 3, 4],
        [0.1, 0.2, 0.30000000000000004, 0.4],
        [1949.0, 1949.08, 1949.17, 1949.25],
        ["1.5", "2.0", "2.5"],
        DAYS,
        ["2020-02-28 12:00", "2020-02-28 18:00", "2020-02-29 00:00"],
        ["2020-01-01", "2020-02-01", "2020-03-01", "2020-04-01"],
        ["31.01.2020", "29.02.2020", "31.03.2020"],
        ["2019-01-01", "2020-01-01", "2021-01-01", "2022-01-01"],
        ["2019-01-15", "2019-04-15", "2019-07-15"],
        np.array(["2020-01-01T00:00", "2020-01-01T00:10"], dtype="datetime64[m]"),
    ],
)
def test_even_times(time):
    assert read(time).rows == len(time) // 2


@pytest.mark.parametrize(
    ("time", "said"),
    [
        ([1, 2, 2, 3], "has the time 2 twice in row 3. Keep one of the two rows, or name the column"),
        ([1, 2, 4, 3], "goes back in row 4. Sort the rows by time"),
        ([1, 2, 3, 5, 6], "has a gap of 2 between 3 and 5 in row 4, where the step is 1"),
        ([1, 2, 3, 3.5, 4.5], "has a shorter step of 0.5 between 3 and 3.5 in row 4"),
        ([1, None, 3], "has no value in row 2"),
        ([1, float("inf"), 3], "infinite"),
        ([None, None, None], "holds no value"),
        (["a", "b", "c"], "needs numbers or dates, but holds values such as 'a'"),
        ([True, False, True], "needs numbers or dates"),
        ([*DAYS[:3], *DAYS[4:]], "has a gap of 2 days between 2020-02-01 and 2020-02-03 in row 4"),
        (
            ["2020-01-01", "2020-02-01", "2020-03-01", "2020-05-01"],
            "a gap of 2 months between 2020-03-01 and 2020-05-01 in row 4, where the step is 1 month.",
        ),
        (
            ["2020-01-01 00:00", "2020-01-01 06:00", "2020-01-01 18:00"],
            "a gap of 12 hours between 2020-01-01 06:00:00 and 2020-01-01 18:00:00 in row 3",
        ),
    ],
)
def test_uneven_times(time, said):
    with pytest.raises(InputError, match=said):
        read(time)


def test_times_of_several_series():
    table = {"id": list("aaabbb"), "t": [1, 2, 3, 2, 3, 3], "u": np.arange(6.0), "y": np.arange(6.0)}
    options = {"predict": "every step", "time": "t", "series": "id", "window": 2}
    with pytest.raises(
        InputError, match=r"has the time 3 twice in row 6 \(series 'b'\). Keep one of the two rows, or let"
    ):
        read_series(table, "y", **options)
    with pytest.raises(InputError, match=r"a gap of 2 between 2 and 4 in row 5 \(series 'b'\)"):
        read_series(table | {"t": [1, 2, 3, 2, 4, 6]}, "y", **options)
    assert read_series(table | {"t": [1, 2, 3, -2, -1, 0]}, "y", **options).rows == 2


# --- refused -------------------------------------------------------------------------------------------------------

GOOD = {"id": list("aaaabbb"), "t": [0, 1, 2, 3, 0, 1, 2], "u": np.arange(7.0), "y": np.arange(7.0) ** 2}
HOLE = np.where(np.arange(7) == 5, np.nan, np.arange(7.0))


@pytest.mark.parametrize(
    ("changes", "options", "said"),
    [
        ({}, {"predict": None}, 'predict="every step"'),
        ({}, {"predict": "every stop"}, "Did you mean 'every step'"),
        ({}, {"window": 4}, "a window of 4 rows needs at least 4 rows, but series 'b' has 3"),
        (
            {},
            {"window": 3, "predict": "ahead", "horizon": 2},
            r"3 rows and a horizon of 2 needs at least 5 rows, but series 'a' has 4 \(2 series are too short\)",
        ),
        ({}, {"window": 0}, "window needs a whole number of at least 1"),
        ({}, {"window": 2.5}, "window needs a whole number"),
        ({}, {"stride": 0}, "stride needs a whole number"),
        ({}, {"window": None, "stride": 2}, "so it needs window. Example: window=100"),
        ({}, {"washout": 2}, "leaves none of 2 steps"),
        ({}, {"washout": -1}, "washout needs a whole number of at least 0"),
        ({}, {"predict": "ahead", "washout": 1}, "washout is for"),
        ({}, {"horizon": 2}, "horizon is for"),
        ({}, {"predict": "ahead", "horizon": 0}, "horizon needs a whole number of at least 1"),
        ({}, {"predict": "ahead", "horizon": (1, 1)}, "several different ones"),
        ({}, {"predict": "ahead", "horizon": ()}, "several different ones"),
        ({}, {"predict": "ahead", "horizon": "12"}, "horizon needs a whole number"),
        ({}, {"together": 1}, "True or False"),
        ({}, {"together": False, "groups": "id"}, "Give one of the two"),
        ({"g": np.arange(7)}, {"groups": "g"}, r"changes within series 'a' in row 2"),
        ({}, {"target": "z"}, "no target 'z'"),
        ({}, {"target": []}, "name the target"),
        ({}, {"target": ["y", "y"]}, "name the target"),
        ({}, {"target": "t"}, "both the target and the time"),
        ({}, {"inputs": ["y"]}, "both the target and an input"),
        ({}, {"inputs": ["u", "u"]}, "named twice"),
        ({}, {"inputs": ["v"]}, "no input 'v'"),
        ({}, {"inputs": []}, "no column is left"),
        ({}, {"inputs": 3}, "the table has no input 3"),
        ({}, {"ignore": [3]}, "ignore needs names of columns"),
        ({}, {"time": np.arange(7)}, "time needs the name of a column, got a ndarray"),
        ({}, {"ignore": "u"}, "no column is left"),
        ({}, {"ignore": "v"}, "no column to ignore 'v'"),
        ({}, {"time": "u2"}, "no column of time 'u2'"),
        ({}, {"series": "ID"}, "Did you mean 'id'"),
        ({}, {"task": "multiclass"}, "needs the task .regression."),
        ({"id": ["a", "a", "a", "a", None, "b", "b"]}, {}, "'id' has no value in row 5"),
        (
            {"u": HOLE},
            {},
            r"'u' of a series needs a value in every row, but misses 1 \(the first in row 6 \(series 'b'",
        ),
        ({"y": HOLE}, {}, "target 'y' of a series needs a value"),
        ({"u": np.where(np.isnan(HOLE), np.inf, HOLE)}, {}, "infinite"),
        ({"y": np.ones(7)}, {}, "constant"),
        ({"y": list("abababa")}, {}, "target 'y' of a series needs numbers"),
        ({"u": list("xyxyxyx")}, {}, r"holds texts or categories. Leave it out \(ignore=.u.\)"),
        ({}, {"predict": "one value", "window": None}, r"series 'a' has 0.0 and, in row 2 \(series 'a'\), 1.0"),
        ({"y": [None] * 7}, {"predict": "one value"}, "no series has a value"),
        ({"y": list("aaaaaaa")}, {"predict": "one value"}, "constant"),
        ({"y": ["p", "q", None, "p", "q", "p", None]}, {"predict": "ahead", "ignore": "u", "inputs": "u"}, "row 3"),
        ({"y": list("pqpqpqp")}, {"predict": "ahead", "horizon": (1, 2), "window": 1}, "Give one horizon"),
    ],
)
def test_series_that_cannot_be_read(changes, options, said):
    given = {"predict": "every step", "time": "t", "series": "id", "window": 2, "target": "y"} | options
    with pytest.raises(InputError, match=said) as error:
        read_series(GOOD | changes, **given)
    assert "\n" not in str(error.value)


def test_no_rows():
    with pytest.raises(InputError, match="no rows"):
        read_series({"u": [], "y": []}, "y", predict="ahead", window=2)
    with pytest.raises(InputError, match="all inputs are 1"):
        read_series({"u": np.ones(6), "y": np.arange(6.0)}, "y", predict="every step", window=2)


# --- a table that comes later --------------------------------------------------------------------------------------


def test_forecast_of_a_new_table():
    table = {"month": [f"2020-{m:02d}-01" for m in range(1, 11)], "a": np.arange(10.0), "y": np.arange(10.0) ** 2}
    data = read_series(table, "y", predict="ahead", time="month", window=3, horizon=2)
    encoder = ArrayEncoder.from_json(json.loads(json.dumps(ArrayEncoder.fit(data).to_json())))
    assert encoder.plan.calendar == Calendar(1.0, "month", 1)
    np.testing.assert_array_equal(encoder.examples(data).inputs, data.inputs)
    np.testing.assert_array_equal(encoder.examples(data).rows, data.row_numbers)
    months = [f"2021-{m:02d}-01" for m in range(3, 7)]
    later = {"y": [5.0, 6, 7, 8], "more": [0] * 4, "a": [1.0, 2, 3, 4], "month": months}
    for source in (later, pl.DataFrame(later)):
        inputs, lengths, rows = encoder.examples(source)
        np.testing.assert_array_equal(inputs[0], [[1, 5], [2, 6], [3, 7]])
        np.testing.assert_array_equal(inputs[1], [[2, 6], [3, 7], [4, 8]])
        assert lengths is None
        assert rows.tolist() == [2, 3]
        np.testing.assert_array_equal(encoder.transform(source), inputs)
    with pytest.raises(InputError, match="a window of 3 rows needs at least 3 rows"):
        encoder.transform(pl.DataFrame(later).head(2))
    with pytest.raises(InputError, match="lacks 'a', 'month', which the model needs"):
        encoder.transform({"y": [1.0]})
    with pytest.raises(InputError, match=r"in steps of 2, but in training in steps of 1 \(months\)"):
        encoder.transform(later | {"month": [f"2021-{m:02d}-01" for m in (3, 5, 7, 9)]})
    with pytest.raises(InputError, match="lengths are for arrays"):
        encoder.transform(later, lengths=[1, 2])


def test_simulation_of_a_new_table(tmp_path):
    data = read_series(long_table([6, 6]), "y", predict="every step", series="id", inputs="u", window=3, time="t")
    encoder = ArrayEncoder.fit(data)
    pl.DataFrame(long_table([2, 4])).write_csv(tmp_path / "a.csv")
    inputs, lengths, rows = encoder.examples(tmp_path / "a.csv")
    assert inputs[..., 0].tolist() == [[0, 1, 0, 0], [2, 3, 4, 5]]
    assert lengths.tolist() == [2, 4]
    assert rows.tolist() == [0, 2]
    assert encoder.transform({"t": [0, 0.5], "u": [7, 8]})[..., 0].tolist() == [[7, 8]]
    np.save(tmp_path / "a.npy", data.inputs)
    np.testing.assert_array_equal(encoder.transform(tmp_path / "a.npy"), data.inputs)
    with pytest.raises(InputError, match=r"goes in steps of 1, but in training in steps of 0.5"):
        encoder.transform({"t": [0, 1], "u": [7, 8]})


def test_class_of_a_new_series():
    table = {"id": list("aabbcc"), "u": np.arange(6.0), "y": list("ppqqpp")}
    encoder = ArrayEncoder.fit(read_series(table, "y", predict="one value", series="id"))
    inputs, lengths, rows = encoder.examples({"id": [1, 2, 2], "u": [1, 2, 3]})
    assert inputs[..., 0].tolist() == [[1, 0], [2, 3]]
    assert (lengths.tolist(), rows.tolist()) == ([1, 2], [0, 1])


@pytest.mark.parametrize(
    "changes",
    [
        {"predict": "behind"}, {"predict": []}, {"window": 0}, {"window": None}, {"window": 2.0}, {"time": 3},
        {"calendar": {"step": -1.0, "unit": "", "anchor": 1}}, {"calendar": {"step": "1", "unit": "", "anchor": 1}},
        {"calendar": {"step": float("inf"), "unit": "", "anchor": 1}}, {"calendar": {"step": 1.0, "unit": ""}},
        {"calendar": {"step": 1.0, "unit": "week", "anchor": 1}}, {"calendar": {"step": 1.0, "unit": "", "anchor": 32}},
        {"more": 1}, {"series": ["a"]}, {"horizons": [0]}, {"fill": "cubic"}, {"found": 1},
    ],
)  # fmt: skip
def test_altered_plan(changes):
    data = ArrayEncoder.fit(read_series({"y": np.arange(9.0)}, "y", predict="ahead", window=2)).to_json()
    with pytest.raises(InputError):
        ArrayEncoder.from_json(data | {"plan": data["plan"] | changes})
    with pytest.raises(InputError):
        ArrayEncoder.from_json(data | {"plan": []})
    with pytest.raises(InputError, match="holds one of series"):
        ArrayEncoder.from_json(data | {"kind": "array"})


def test_a_single_record_is_cut_where_it_is_asked_to_be():
    record = {"u": np.sin(np.arange(400.0)), "y": np.cos(np.arange(400.0))}
    data = read_series(record, "y", predict="every step", window="auto")
    assert data.shape == (100, 1)
    assert data.timeline.seen[:2].tolist() == [[30, 100], [55, 125]]  # of a washout inputs alone
    assert data.timeline.scored[0].tolist() == [30, 100]
    assert data.weights[0].sum() == 70
    measured = read_series(record, "y", predict="every step", window="auto", known="all")
    assert (measured.shape, measured.weights) == ((100, 2), None)
    test = read_series(record, "y", predict="every step", window="auto", like=data)
    assert test.shape == (400, 1)
    several = record | {"id": np.repeat([0, 1], 200)}
    assert read_series(several, "y", predict="every step", window="auto", series="id").shape == (200, 1)
    short = {name: column[:100] for name, column in record.items()}
    assert read_series(short, "y", predict="every step", window="auto").shape == (100, 1)


def test_a_series_of_little_more_than_three_horizons_is_forecast_by_default():
    y = np.random.default_rng(1).normal(100, 10, 40)
    data = read_series({"y": y}, "y", predict="ahead", horizon=range(1, 13))
    assert data.shape == (4, 1)
    prepared = prepare(pt.Study(networks=[Naive(1), Naive(1, drift=True)]), data)
    assert prepared.row_counts == (13, 1)
    assert prepared.complexity.tolist() == [0, 12]  # weights


def test_a_constant_series_is_refused_by_its_name():
    with pytest.raises(InputError, match=r"^'y' is always 7, so there is nothing to learn: its forecast is that value"):
        read_series({"y": np.full(60, 7.0)}, "y", predict="ahead", horizon=(1, 2))
    with pytest.raises(InputError, match=r"needs at least 13 rows, but the table has 7. Use a shorter horizon\.$"):
        read_series({"y": np.arange(7.0)}, "y", predict="ahead", horizon=range(1, 13))


def test_a_value_far_away_from_all_others_of_its_series_is_named():
    rng = np.random.default_rng(0)
    y = np.concatenate([rng.normal(100, 10, 40), rng.normal(1e6, 1, 40), np.full(40, 5.0)])
    names = np.repeat(["a", "b", "c"], 40).tolist()

    def said():
        data = read_series({"s": names, "y": y}, "y", predict="ahead", series="s", window=6)
        return [str(note) for note in data.notes if "deviations away" in str(note)]

    assert not said()
    y[17], y[90] = 1e6, 7.0
    (sentence,) = said()
    said_of_it = r"column 'y' holds 1e\+06 in row 18, [\d.e+]+ deviations away from all other values of series 'a'\."
    assert re.match(said_of_it, sentence)
    y[50] = -1e9
    assert "row 51" in said()[0]
    assert "as 1 more value" in said()[0]
