"""Real calendars: what counts as equal steps, how gaps are named, and what filling makes of them."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perceptory import notes
from perceptory.data import ArrayEncoder, read_series
from perceptory.data.series.calendar import Calendar, calendar_of
from perceptory.data.series.gaps import fill_one
from perceptory.errors import InputError

FIRST = np.datetime64("1981-01-01")
DAYS = np.arange(FIRST, np.datetime64("1985-03-10"))
LEAP = np.datetime64("1984-02-29")
HOURS = np.arange(np.datetime64("2024-03-30T20"), np.datetime64("2024-04-01T08"))  # clocks go forward in it


def text(times):
    return [str(t).replace("T", " ") + (":00" if "T" in str(t) else "") for t in times]


def read(times, values=None, **options):
    values = np.sin(np.arange(len(times))) if values is None else values
    table = {"when": text(times), "y": values}
    return read_series(table, "y", **{"predict": "ahead", "window": 4, **options})


@settings(max_examples=40, deadline=None)
@given(
    st.integers(-20_000, 40_000), st.integers(1, 300), st.sampled_from(["month", "business day", "day but leap days"])
)
def test_positions_there_and_back(first, step, unit):
    days = np.arange(first, first + 2000).astype("datetime64[D]")
    if unit == "business day":
        days = days[np.is_busday(days)]
    if unit == "day but leap days":
        days = days[[not str(d).endswith("02-29") for d in days]]
    if unit == "month":
        months = np.unique(days.astype("datetime64[M]"))
        days = months.astype("datetime64[D]") + 14
    moments = days.astype(np.int64).astype(float)
    calendar = Calendar(1.0, unit, 15)
    positions = calendar.positions(moments)
    assert (np.diff(positions) == 1).all()
    np.testing.assert_array_equal(calendar.moments(positions), moments)
    np.testing.assert_array_equal(calendar.after(moments[0], np.array([1, 5])), moments[[1, 5]])


@pytest.mark.parametrize(
    ("times", "unit", "step", "after"),
    [
        (DAYS[np.is_busday(DAYS)][:30], "business day", 1, "1981-02-12"),
        (DAYS[:70:7], "day", 7, "1981-03-12"),
        (DAYS[DAYS != LEAP], "day but leap days", 1, "1985-03-10"),
        (np.arange("2019-11", "2020-12", dtype="datetime64[M]").astype("datetime64[D]") - 1, "month", 1, "2020-11-30"),
        (np.arange("2019-01", "2020-12", 3, dtype="datetime64[M]").astype("datetime64[D]"), "month", 3, "2021-01-01"),
        (HOURS, "day", 1 / 24, "2024-04-01T08"),
    ],
)
def test_equal_steps_of_a_calendar(times, unit, step, after):
    moments = times.astype("datetime64[s]").astype(np.int64) / 86400
    found = calendar_of(moments, np.ones(len(moments) - 1, bool), dates=True)
    assert not found.wrong.size
    assert (found.calendar.unit, found.calendar.step) == (unit, pytest.approx(step))
    following = found.calendar.after(moments[-1], np.array([1]))[0]
    assert following * 86400 == pytest.approx(np.datetime64(after, "s").astype(np.int64), abs=1)


def test_leap_days_that_are_left_out():
    """Ten years of daily temperatures without leap days are equal steps of a calendar of 365 days; filling puts them
    in."""
    times = DAYS[DAYS != LEAP]
    data = read(times)
    assert data.channels == ("y",)  # the date is the time, though nobody said so
    assert notes.leap_days_left_out("when") in data.notes
    assert data.rows == len(times) - 4
    filled = read(times, np.arange(len(times), dtype=float) ** 1.01, fill="linear")
    assert filled.rows == len(DAYS) - 4
    row = int(np.flatnonzero(LEAP == DAYS)[0])
    assert filled.inputs[row - 3, -1, 0] == pytest.approx(np.mean([(row - 1) ** 1.01, row**1.01]))
    assert filled.row_numbers[row - 4] == row - 1  # the row that was put in has the number of the one before


@pytest.mark.parametrize(
    ("times", "said"),
    [
        (np.delete(HOURS, 6), r"a gap of 2 hours between 2024-03-31 01:00:00 and 2024-03-31 03:00:00 in row 7,"
                              r".*\(clocks go forward: daylight saving time begins\).*fill=.linear"),
        (np.sort(np.append(HOURS + 5088, HOURS[6] + 5088)),
         r"has the time 2024-10-29 02:00:00 twice in row 8.*first row"),
        (np.delete(DAYS[:60], [20, 40]), r"a gap of 2 days between 1981-01-20 and 1981-01-22.*, and 1 more such place"),
        (np.delete(DAYS[np.is_busday(DAYS)][:60], 20), r"gap of 2 business days between 1981-01-28 and 1981-01-30"),
        (np.delete(DAYS[1100:1200], np.flatnonzero(DAYS[1100:1200] == LEAP)[0] + [0, 9]),
         r"a gap of 2 days between 1984-03-08 and 1984-03-10 in row 63"),
    ],
)  # fmt: skip
def test_gaps_are_named_with_place_and_remedy(times, said):
    with pytest.raises(InputError, match=said):
        read(times)


def test_the_hour_that_clocks_repeat():
    """An hour in autumn that stands twice is named as what it is; filling keeps the first one."""
    hours = np.arange(np.datetime64("2024-10-26T20"), np.datetime64("2024-10-28T08"))
    quarters = np.arange(np.datetime64("2024-10-26T20:00"), np.datetime64("2024-10-27T08:00"), 15)
    twice = np.concatenate([quarters[:28], quarters[24:]])
    with pytest.raises(
        InputError, match=r"goes back in row 29 \(clocks go back: daylight saving time ends\).*first row"
    ):
        read(twice)
    filled = read(twice, np.arange(len(twice)) % 7.0, fill="previous")
    assert filled.rows == len(quarters) - 4
    assert filled.inputs[24, :, 0].tolist() == [3, 4, 5, 6]
    assert filled.inputs[25, -1, 0] == 32 % 7  # behind the first of both hours
    assert notes.filled_in(0, 0, "row 29", 4, "") in filled.notes
    again = np.insert(hours, 6, hours[6])
    assert read(again, fill="linear").rows == len(hours) - 4
    with pytest.raises(InputError, match=r"goes back in row 11\. Sort"):
        read(np.concatenate([hours[:10], hours[5:]]), fill="linear")
    with pytest.raises(InputError, match="a shorter step"):
        read(np.insert(quarters, 9, quarters[8] + 7), fill="linear")
    with pytest.raises(InputError, match="leaves out 7999 rows, more than the 36"):
        read(np.append(hours[:-1], hours[-2] + 8000), fill="linear")


@pytest.mark.parametrize("how", ["previous", "linear"])
def test_cells_are_filled(how):
    y = np.array([np.nan, 2, np.nan, np.nan, 5, 6, np.nan])
    right = {"previous": [2, 2, 2, 2, 5, 6, 6], "linear": [2, 2, 3, 4, 5, 6, 6]}[how]
    assert fill_one(y.copy(), how).tolist() == right
    table = {"y": np.tile(y, 2), "s": list("aaaaaaabbbbbbb")}
    data = read_series(table, "y", predict="ahead", window=2, series="s", fill=how)
    assert data.inputs[::2, 0, 0].tolist() == data.inputs[1::2, 0, 0].tolist() == right[:5]
    assert notes.cells_filled(["y"], how) in data.notes
    with pytest.raises(InputError, match=r"misses 4 \(the first in row 1\).*fill=.previous"):
        read_series({"y": y}, "y", predict="ahead", window=2)


def test_missing_values_are_marked_and_no_targets():
    """The value before stands in, a further input tells, forecasts whose target is missing are left out, and a table
    that comes later is read alike."""
    times, y = np.delete(DAYS[:12], 5), np.arange(11.0)
    y[8] = np.nan
    data = read(times, y, fill="missing", window=3)
    # Rows of the filled table: 0 1 2 3 4 _ 5 6 7 _ 9 10, where _ is missing.
    assert data.channels == ("y", "y missing")
    assert data.targets[:, 0].tolist() == [3, 4, 5, 6, 7, 9, 10]
    assert data.inputs[2].tolist() == [[3, 0], [4, 0], [4, 1]]
    assert data.inputs[-1].tolist() == [[7, 0], [7, 1], [9, 0]]
    assert notes.targets_missing(2) in data.notes
    encoder = ArrayEncoder.from_json(json.loads(json.dumps(ArrayEncoder.fit(data).to_json())))
    later = encoder.transform({"when": text(np.delete(DAYS[20:26], 4)), "y": [1.0, 2, 3, 4, 6]})
    assert later[-1].tolist() == [[4, 0], [4, 1], [6, 0]]
    steps = read_series(
        {"u": np.arange(11.0) ** 2, "y": y, "t": times.astype(str)}, "y", predict="every step", window=6, fill="missing"
    )
    assert steps.weights.tolist() == [[1, 1, 1, 1, 1, 0], [1, 1, 1, 0, 1, 1]]
    none = {"y": [*y[:5], *[np.nan] * 5], "s": list("aaaaabbbbb")}
    with pytest.raises(InputError, match=r"a value in every row, but misses 1 \(the first in row 6 \(series 'b'"):
        read_series(none, "y", predict="ahead", window=3, series="s", fill="missing")
    with pytest.raises(InputError, match="unknown way to fill gaps 'cubic'"):
        read(DAYS[:20], fill="cubic")


def test_the_number_of_the_year_is_no_input_by_accident():
    table = {"year": np.arange(1700, 1730), "u": np.arange(30.0) ** 2, "y": np.sin(np.arange(30.0))}
    data = read_series(table, "y", predict="ahead", window=4)
    assert (data.channels, data.plan.time) == (("u", "y"), "year")
    assert notes.taken_for_time("year", []) in data.notes
    assert read_series(table, "y", predict="ahead", window=4, inputs=["year", "y"]).channels == ("year", "y")
    assert read_series(table, "y", predict="ahead", window=4, inputs="y").plan.time == "year"
    assert read_series({**table, "year": np.r_[0:29, 40]}, "y", predict="ahead", window=4, inputs="y").plan.time is None
    with pytest.raises(InputError, match=r"a gap of 11 between 28 and 39 in row 30.*with ignore=.year"):
        read_series({**table, "year": np.r_[0:29, 39] + 0.0}, "y", predict="ahead", window=4)
    two = {**table, "when": [f"{y}-01-01" for y in table["year"]]}
    assert notes.taken_for_time("when", ["year"]) in read_series(two, "y", predict="ahead", window=4).notes
    later = ArrayEncoder.fit(data).transform({"u": np.ones(5), "y": np.ones(5)})  # nobody named it, so it may be absent
    assert later.shape == (2, 4, 2)
    ramp = {"u": np.arange(30.0), "y": table["y"]}
    assert read_series(ramp, "y", predict="every step", window=5).channels == ("u",)  # else no input were left


@pytest.mark.parametrize(
    ("times", "time"),
    [(range(8), "t"), (range(5, 45, 5), "t"), ([0, 1, 2, 3, 4, 5, 6, 8], None), (np.arange(8) / 2, None)],
)
def test_whole_numbers_that_count_the_rows_of_a_short_series_are_its_time(times, time):
    table = {"t": list(times), "u": np.arange(8.0) ** 2, "y": np.sin(np.arange(8.0))}
    data = read_series(table, "y", predict="ahead", window=2)
    assert data.plan.time == time
    assert ("t" in data.channels) == (time is None)
    if time is None:
        return
    both = {name: [*column, *column] for name, column in table.items()} | {"s": [*"aaaaaaaabbbbbbbb"]}
    assert read_series(both, "y", predict="ahead", window=2, series="s").plan.time == time


@pytest.mark.parametrize(
    ("write", "months"),
    [(lambda i: f"{1990 + i // 12}-{i % 12 + 1:02d}", 1), (lambda i: f"{1990 + i // 4}Q{i % 4 + 1}", 3)],
)
def test_months_and_quarters_are_dates(write, months):
    y = np.sin(np.arange(40.0))
    data = read_series({"when": [write(i) for i in range(40)], "y": y}, "y", predict="ahead", window=8, horizon=[1])
    assert data.plan.time == "when"
    assert (data.plan.calendar.step, data.plan.calendar.unit) == (months, "month")
    assert data.ends.moments[0] == (np.datetime64("1990-01") + 39 * months).astype("datetime64[D]").astype(int)
    later = data.plan.cut({"when": [write(i) for i in range(8, 20)], "y": y[:12]}, data.channels)
    assert len(later.inputs) == 5


def test_a_few_short_series_are_left_out_and_do_not_shorten_the_window_of_all():
    lengths = {"a": 80, "b": 80, "c": 6, "d": 80}
    table = {
        "id": np.repeat(list(lengths), list(lengths.values())),
        "y": np.concatenate([np.sin(np.arange(n)) + n for n in lengths.values()]),
    }
    data = read_series(table, "y", predict="ahead", series="id", season=1)
    assert data.shape[0] == 10
    assert data.ends.names == ("a", "b", "d")
    assert any("1 series of fewer than 11 rows left out (the first 'c')" in str(note) for note in data.notes)
    with pytest.raises(InputError, match="series 'c' has 6"):
        read_series(table, "y", predict="ahead", series="id", season=1, window=10)
