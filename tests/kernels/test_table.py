"""The kernel that reads columns of numbers and writes a program's rows, against polars and NumPy."""

import numpy as np
import polars as pl
import pytest

import perceptory as pt
from perceptory.data import Encoder
from perceptory.data.tables.numbers import NumberFacts, ends_of, facts_of, floats, numbers_of
from perceptory.errors import InputError
from perceptory.kernels import table
from perceptory.studies import table_rows
from perceptory.studies.encoded_examples import encode

KERNEL = "table"
pytestmark = pytest.mark.usefixtures("kernel")
TYPES = (
    pl.Float64,
    pl.Float32,
    pl.Int64,
    pl.Int32,
    pl.Int16,
    pl.Int8,
    pl.UInt64,
    pl.UInt32,
    pl.UInt16,
    pl.UInt8,
    pl.Date,
)


def in_parts(dtype, share_null, rows=1500):
    """Numbers of a type in three pieces that do not begin at whole bytes of bits, some of them null."""
    random = np.random.default_rng(0)
    values = random.integers(0, 100, 3 * rows).astype(object)
    if dtype.is_float():
        values = np.where(random.random(3 * rows) < 0.5, values + 0.25, -values).astype(object)
    values[random.random(3 * rows) < share_null] = None
    parts = np.split(values, 3)
    return pl.concat([pl.Series(part.tolist(), dtype=dtype).slice(3) for part in parts], rechunk=False)


def by_numpy(values):
    whole = int(np.count_nonzero(values == np.floor(values)))
    return NumberFacts(int(np.isnan(values).sum()), int(np.isinf(values).sum()), whole, *ends_of(values))


@pytest.mark.parametrize("share_null", [0.0, 0.3])
@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_numbers_are_those_of_polars(dtype, share_null):
    for series in (column := in_parts(dtype, share_null), column.rechunk(), column.slice(1, 1001)):
        values, _ = numbers_of(series)
        np.testing.assert_array_equal(values, floats(series))
        assert table.numbers_of(series)[1] == by_numpy(values)


def test_what_is_asked_of_numbers():
    odd = np.array([0.5, -0.0, 1e16, 2.0**52 + 1, 4503599627370495.5, 1e308, -3.0, 2.0**-1074])
    for extra in ([], [np.nan], [np.inf, np.nan], [-np.inf]):
        values = np.tile(np.append(odd, extra), 150)
        assert facts_of(values) == by_numpy(values)
    assert np.isnan(facts_of(np.full(1001, np.nan))[3:]).all()
    assert facts_of(np.full(1001, np.inf)) == (0, 1001, 1001, np.inf, np.inf)


def test_what_is_no_number_is_left_to_polars():
    for series in (pl.Series(["1"] * 2000), pl.Series([True] * 2000), pl.Series([1] * 2000, dtype=pl.Int128)):
        assert table.numbers_of(series) is None


def a_study(rows=3000):
    random = np.random.default_rng(1)
    day = pl.Series(random.integers(10_000, 12_000, rows), dtype=pl.Int32).cast(pl.Date)
    gaps = np.where(random.random(rows) < 0.2, np.nan, random.normal(1e6, 1, rows))
    constant = np.where(random.random(rows) < 0.2, np.nan, 7.0)
    data = {"n": gaps, "one": constant, "w": random.choice(["u", "v", None], rows).tolist(), "day": day}
    data |= {f"x{k}": random.normal(size=rows) for k in range(18)}
    return pl.DataFrame({**data, "short": day.dt.truncate("20y"), "y": random.normal(size=rows), "z": gaps > 1e6})


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("columns", [pl.all(), pl.exclude("w"), pl.exclude("w", "n", "one", "day")], ids=str)
def test_rows_are_those_of_numpy(columns, dtype, monkeypatch):
    data = pt.read_table(a_study().select(columns), ["y", "x0"])
    made = [encode(data, Encoder.fit(data), dense).raw(dtype, padded=True) for dense in (False, True)]
    monkeypatch.setattr(table_rows.table, "accepts", lambda dtype, numbers: False)
    wanted = [encode(data, Encoder.fit(data), dense).raw(dtype, padded=True) for dense in (False, True)]
    for one, other in zip(made, wanted, strict=True):
        np.testing.assert_array_equal(one, other)
        assert one.dtype == dtype


def test_numbers_beyond_the_type_are_refused():
    frame = pl.DataFrame({"x": [1e300, *range(1999)], "y": range(2000)})
    data = pt.read_table(frame, "y")
    with pytest.raises(InputError, match="beyond 3e\\+38"):
        encode(data, Encoder.fit(data)).raw(np.float32)


def test_arrays_that_do_not_fit_are_no_rows():
    ten, row = np.arange(10.0), np.zeros((10, 4), np.float32)
    meant = np.arange(-128, 128).astype(np.int8)[::-1]
    codes = table.Coded(np.arange(10, dtype=np.uint8), meant)
    writer = table.RowWriter(table.Row([table.Stored(ten)], [codes], ten), np.float32)
    assert writer(0, row)
    assert row.tolist() == np.stack([ten, 0 * ten, 127 - ten, ten], axis=1).tolist()
    with pytest.raises(ValueError, match="do not fit"):
        writer(1, row)
    with pytest.raises(ValueError, match="do not fit"):
        table.RowWriter(table.Row([table.Stored(ten[:5])], [], ten), np.float32)
    with pytest.raises(ValueError, match="lack"):
        table.RowWriter(table.Row([table.Stored(None)], [codes], ten), np.float32)(0, row)
