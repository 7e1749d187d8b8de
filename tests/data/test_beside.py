"""What forecasts are given beside the past: what is known ahead and nothing else of the future, the calendar, columns
with one value a series."""

import numpy as np
import polars as pl
import pytest

import perceptory as pt
from perceptory.data import read_series
from perceptory.data.series.beside import Beside
from perceptory.data.series.calendar_inputs import time_channels, time_values

ROWS, AFTER, WINDOW, HORIZON = 30, 4, 5, 3
RANDOM = np.random.default_rng(2)


def table(rows=ROWS, after=AFTER, series=("a", "b", "c", "d")):
    """Days of series that go on after their end with what is planned; `later` is measured, one row late."""
    parts = []
    for k, name in enumerate(series):
        n = rows + after
        sales = RANDOM.normal(size=n)
        known = np.arange(n) < rows
        parts.append(
            pl.DataFrame(
                {
                    "day": np.arange("2024-01-01", np.datetime64("2024-01-01") + n, dtype="datetime64[D]").astype(str),
                    "shop": name,
                    "region": ["north", "south", "north", "south", "west"][k],
                    "size": float(k % 2),
                    "plan": RANDOM.normal(size=n),
                    "weather": RANDOM.normal(size=n),
                    "sales": [v if ok else None for v, ok in zip(sales, known, strict=True)],
                }
            )
        )
    return pl.concat(parts)


def read(data, **changes):
    usual = {"predict": "ahead", "window": WINDOW, "horizon": range(1, HORIZON + 1), "series": "shop", "time": "day"}
    return read_series(data, "sales", **usual | {"known_ahead": "plan"} | changes)


@pytest.mark.parametrize("window", [2, 5])
def test_a_window_holds_what_is_known_ahead_and_no_row_of_anything_else_after_its_origin(window):
    """Where each number of a window stands in the table; a horizon longer than the window takes several channels."""
    given = table()
    places = given.with_columns(
        pl.int_range(pl.len()).cast(float).alias("plan"), pl.int_range(pl.len()).cast(float).alias("weather")
    )
    data = read(places, window=window, static=(), ignore=["region", "size"])
    assert data.channels[:3] == ("plan", "weather", "sales")
    origin = data.row_numbers - 1  # the first target is one row ahead
    windows = np.asarray(data.inputs)
    for name in ("plan", "weather"):
        rows = windows[..., data.channels.index(name)]
        np.testing.assert_array_equal(rows, origin[:, None] + np.arange(1 - window, 1))
    ahead = [k for k, name in enumerate(data.channels) if name.endswith("ahead")]
    seen = np.sort(windows[..., ahead].reshape(len(origin), -1), axis=1)
    np.testing.assert_array_equal(seen[:, -HORIZON:], origin[:, None] + np.arange(1, HORIZON + 1))
    assert data.ends.windows[..., ahead].max() == len(given) - AFTER + HORIZON - 1


def test_what_is_not_known_ahead_may_be_anything_after_the_end():
    """Planted leak: values of the target's neighbors after the end change nothing of examples and ends."""
    given = table()
    later = given["sales"].is_null().to_numpy()
    wild = given.with_columns(pl.when(pl.Series(later)).then(1e6).otherwise(pl.col("weather")).alias("weather"))
    one, other = read(given), read(wild)
    np.testing.assert_array_equal(np.asarray(one.inputs), np.asarray(other.inputs))
    np.testing.assert_array_equal(one.ends.windows, other.ends.windows)
    assert one.rows == 4 * (ROWS - WINDOW - HORIZON + 1)


def test_series_may_stand_among_each_other():
    given = table().with_row_index("place")
    mixed = given.sort("day", maintain_order=True)
    one, other = read(given, ignore="place"), read(mixed, ignore="place")
    np.testing.assert_array_equal(mixed["place"].to_numpy()[other.row_numbers], one.row_numbers)
    np.testing.assert_array_equal(np.asarray(one.inputs), np.asarray(other.inputs))


def test_columns_with_one_value_a_series_are_found_and_encoded_once():
    given = table(series=("a", "b", "c", "d", "e"))
    data = read(given)
    assert data.channels[-4:] == ("region = north", "region = south", "size", "plan 3 ahead")
    assert "'region', 'size' are the same in all rows" in " ".join(map(str, data.notes))
    rows = np.asarray(data.inputs)[:, 0, -4:-2]
    owner = np.array(data.ends.names)[data.timeline.series]
    np.testing.assert_array_equal(rows[owner == "a"][0], [1, 0])
    np.testing.assert_array_equal(rows[owner == "e"][0], [0, 0])  # west is in one series alone
    later = data.plan.cut(table(series=("a",)).with_columns(pl.lit("east").alias("region")), data.channels)
    assert not later.inputs[..., -4:-2].any()
    with pytest.raises(pt.InputError, match="static column 'weather' needs one value a series"):
        read(given, static=["weather"], ignore="region")
    with pytest.raises(pt.InputError, match="'shop' cannot be static and have another use"):
        read(given, static=["shop"])


def test_the_calendar_goes_around():
    moments = np.arange(np.datetime64("2024-02-20"), np.datetime64("2024-03-20")).astype(float)
    for name, period in (("day of week", 7), ("hour of day", 1)):
        values = time_values(name, moments + 0.25)
        np.testing.assert_allclose(values[:-period], values[period:], atol=1e-9)
        np.testing.assert_allclose(np.hypot(values[:, 0], values[:, 1]), 1)
    np.testing.assert_allclose(time_values("hour of day", np.array([0.25]))[0, :2], [1, 0], atol=1e-12)
    months = np.array(["2023-04-01", "2024-04-30"], "datetime64[D]").astype(float)
    np.testing.assert_allclose(*time_values("month", months))
    assert len(time_channels("month")) == 11
    assert len(np.unique(np.round(time_values("day of week", moments), 6), axis=0)) == 7


def test_which_times_suit():
    data = read(table(), calendar=True)
    assert data.plan.beside.times == ("day of week",)  # no year is held twice
    assert read(table()).plan.beside.times == ()
    assert read(table(), calendar="month").plan.beside.times == ("month",)
    with pytest.raises(pt.InputError, match="unknown time of the calendar 'hour'"):
        read(table(), calendar="hour")
    with pytest.raises(pt.InputError, match="needs a column of time that holds dates"):
        read(
            table().with_columns(pl.col("day").str.slice(8, 2).cast(int) + 0), calendar="month", time=None, ignore="day"
        )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"known_ahead": "sales"}, "target 'sales' cannot be known ahead"),
        ({"known_ahead": ["plan", "plan"]}, "named twice"),
        ({"known_ahead": "plans"}, "Did you mean 'plan'"),
        ({"known_ahead": "region"}, "needs numbers, or true and false"),
    ],
)
def test_refusals(change, said):
    with pytest.raises(pt.InputError, match=said):
        read(table(), **change)


def test_a_future_that_is_not_whole_is_named_by_its_row():
    given = table(series=("a", "b"))
    gone = given.with_columns(
        pl.when(pl.int_range(pl.len()) == ROWS + 1).then(None).otherwise(pl.col("plan")).alias("plan")
    )
    with pytest.raises(pt.InputError, match=rf"'plan' is known ahead, but has no value in row {ROWS + 2} "):
        read(gone)
    hole = given.filter(pl.int_range(pl.len()) != ROWS)
    with pytest.raises(pt.InputError, match="have to go on by equal steps"):
        read(hole)
    with pytest.raises(pt.InputError, match='is for predict="ahead"'):
        read_series(given, "sales", predict="every step", known_ahead="plan", inputs="weather")


def test_the_description_in_a_file():
    beside = read(table(), calendar=True).plan.beside
    assert Beside.from_json(beside.to_json()) == beside
    for change in ({"window": 0}, {"times": ["noon"]}, {"static": [{"name": "a", "categories": None, "usual": "x"}]}):
        with pytest.raises(pt.InputError):
            Beside.from_json(beside.to_json() | change)


def test_a_gap_is_named_by_its_row_in_the_file_where_series_go_on_into_the_future():
    days = np.arange("2023-01-01", np.datetime64("2023-01-01") + 20, dtype="datetime64[D]").astype(str)
    keep = np.arange(20) != 9
    table = {
        "day": [*days, *days[keep]], "shop": ["a"] * 20 + ["b"] * 19, "promotion": [0.0, 1.0, 0.0] * 13,
        "sales": np.where(np.arange(39) % 20 < 17, np.arange(39.0), np.nan),
    }  # fmt: skip
    usual = {"predict": "ahead", "series": "shop", "time": "day", "known_ahead": "promotion", "window": 4}
    with pytest.raises(
        pt.InputError, match=r"gap of 2 days between 2023-01-09 and 2023-01-11 in row 30 \(series 'b'\)"
    ):
        read_series(table, "sales", **usual)
    assert read_series(table, "sales", **usual, fill="linear").rows
