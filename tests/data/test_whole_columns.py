"""Columns that polars reads at once are those that the exact reader reads, cell by cell."""

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perceptory import MLP, Study
from perceptory.data import Encoder, read_inputs, read_table
from perceptory.data.tables import delimited
from perceptory.data.tables.cells import stripped
from perceptory.errors import InputError
from perceptory.studies.prepare import prepare

WORDS = st.text("ab é,;|\t'\"\n\r0.-\u00a0\u2028𝄞", max_size=5)
NUMBERS = st.sampled_from(
    ["0", "-0", "+1", "007", "1E3", "1.5", ".5", "5.", "1e-400", "1e400", "inf", "-nan", "9007199254740993", "1_0"]
) | st.sampled_from(
    ["1,5", "1.250", "1,250,000", "0.1234567890123456789", " 2", "3 ", "\t4", "NA", "", "?", "١", "1f", "0x1"]
)


def written(cell, delimiter, quoted):
    risky = any(sign in cell for sign in (delimiter, '"', "\n", "\r"))
    return '"' + cell.replace('"', '""') + '"' if quoted or risky else cell


STYLES = ("{:.2f}", "{:,.2f}", "{:,}", "{:.3e}", "\u2212{:.1f}", "{:,.1f} €", "$ {:,.2f}", "{:.0f}%", "({:.1f})")


@st.composite
def styled(draw):
    """Numbers as one column writes them: with points or commas before decimals, and any mark between thousands."""
    style, mark = draw(st.sampled_from(STYLES)), draw(st.sampled_from([",", ".", " ", "'", "\u202f"]))
    marks = {",": mark, ".": "," if mark == "." else "."}
    number = draw(st.floats(0, 1e7, width=32) | st.integers(0, 10**7).map(float))
    return "".join(marks.get(letter, letter) for letter in style.format(number))


@st.composite
def files(draw):
    delimiter = draw(st.sampled_from([",", ";", "\t", "|"]))
    end = draw(st.sampled_from(["\n", "\r\n"]))
    other = draw(st.sampled_from([end, end, "\n", "\r\n"]))  # of every second line
    columns = draw(st.lists(st.sampled_from([WORDS, NUMBERS, st.floats().map(repr), styled()]), min_size=1, max_size=4))
    rows = draw(st.lists(st.tuples(*columns), min_size=1, max_size=8))
    lines = [delimiter.join(f"c{k}" for k in range(len(columns)))]
    lines += [delimiter.join(written(c, delimiter, draw(st.booleans())) for c in row) for row in rows]
    text = (
        draw(st.sampled_from(["", "\ufeff"]))
        + "".join(f"{line}{(end, other)[k % 2]}" for k, line in enumerate(lines[:-1]))
        + lines[-1]
        + draw(st.sampled_from(["", end, end + end]))
    )
    if draw(st.integers(0, 3)) == 0:  # damaged
        place = draw(st.integers(0, len(text)))
        text = text[:place] + draw(st.sampled_from(['"', delimiter, "\n", "\r", " ", ""])) + text[place + 1 :]
    return text


def tables(path, monkeypatch):
    """What both readers make of a file: a `Table` or a sentence."""
    found = []
    for exact in (False, True):
        with monkeypatch.context() as patch:
            if exact:
                patch.setattr(delimited, "read_whole_columns", lambda *args: None)
            try:
                found.append(read_inputs(path))
            except InputError as error:
                found.append(str(error))
    return found


def test_generated_files(tmp_path, monkeypatch):
    path = tmp_path / "data.csv"
    used = []
    monkeypatch.setattr(delimited, "read_whole_columns", counted := _counting(delimited.read_whole_columns, used))

    @settings(max_examples=150, deadline=None)
    @given(files())
    def check(text):
        path.write_bytes(text.encode())
        fast, exact = tables(path, monkeypatch)
        if isinstance(fast, str) or isinstance(exact, str):
            assert fast == exact
            return
        assert (fast.names, fast.rows, fast.notes) == (exact.names, exact.rows, exact.notes)
        for a, b in zip(fast.columns, exact.columns, strict=True):
            assert stripped(a.text).equals(stripped(b.text))
            assert a.unclear == b.unclear
            if a.cells is not None and b.cells is not None:  # by the marks in their numbers
                np.testing.assert_array_equal(a.data.to_numpy(), b.data.to_numpy())
            elif a.cells is not None:  # those that Python reads
                expected = [math.nan if c is None else float(c) for c in stripped(b.text).to_list()]
                np.testing.assert_array_equal(a.data.to_numpy(), expected)

    check()
    assert counted is not None
    assert sum(used) > len(used) / 4  # the comparison compares two readers


def _counting(read, used):
    def counting(*args):
        found = read(*args)
        used.append(found is not None)
        return found

    return counting


@pytest.mark.parametrize(
    "text",
    [
        "a,y\n1,2\n3\n",  # short
        "a,y\n1,2\n3,4,5\n",
        'a,y\n1,2\n"3,4\n',
        'a,y\n1,2\nx"3",4\n',
        'a,y\n1,2\n "3,5",4\n',  # a quote behind a space
        "a,y\r1,2\r3,4\r",
        "a,y\n1,2\n\n3,4\n",
        'a,y\n"1\r0",2\n3,4\n',
        "a,y\n1,2\n3,4\n  \n",
    ],
)
def test_files_that_are_left_to_the_exact_reader(tmp_path, monkeypatch, text):
    path = tmp_path / "data.csv"
    path.write_bytes(text.encode())
    used = []
    monkeypatch.setattr(delimited, "read_whole_columns", _counting(delimited.read_whole_columns, used))
    fast, exact = tables(path, monkeypatch)
    assert used == [False]
    if isinstance(exact, str):
        assert fast == exact
    else:
        assert [c.values.tolist() for c in fast.columns] == [c.values.tolist() for c in exact.columns]


def test_a_number_column_gives_its_texts(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text("a,b,y\n" + "".join(f"{k:03d},{k}.50,{k}\n" for k in range(1, 40)))
    table = read_inputs(path)
    assert [c.cells is not None for c in table.columns] == [True] * 3
    assert table.columns[0].values.tolist()[:2] == ["001", "002"]
    part = table.take(np.array([4, 2]))
    assert part.columns[1].values.tolist() == ["5.50", "3.50"]
    assert part.columns[1].data.to_list() == [5.5, 3.5]


def test_a_late_text_makes_the_column_text(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text("a,y\n" + "".join(f"{k},{k % 7}\n" for k in range(1000)) + "NA,3\n")
    data = read_table(path, "y", task="regression")
    assert data.columns[0].kind == "numeric"
    np.testing.assert_array_equal(data.columns[0].values, [*range(1000), np.nan])


def test_every_source_gives_the_same_bits(tmp_path):
    random = np.random.default_rng(0)
    rows = 500
    seconds = random.integers(0, 3 * 365 * 86400, rows)
    frame = pl.DataFrame(
        {
            "number": [None if k % 20 == 0 else v for k, v in enumerate(random.normal(size=rows))],
            "whole": random.integers(-5, 5, rows),
            "flag": random.random(rows) < 0.5,
            "word": random.choice(["u", "v", "w é"], rows),
            "when": (pl.Series(seconds, dtype=pl.Int64) * 1_000_000).cast(pl.Datetime("us")),
            "y": random.normal(size=rows),
        }
    )
    frame.write_csv(tmp_path / "data.csv", datetime_format="%Y-%m-%d %H:%M:%S")
    frame.write_parquet(tmp_path / "data.parquet")
    frame.write_ipc(tmp_path / "data.arrow")
    sources = [tmp_path / "data.csv", tmp_path / "data.parquet", tmp_path / "data.arrow", frame]
    sources += [frame.to_pandas(), frame.to_arrow(), frame.to_dict(as_series=False)]
    expected = None
    for source in sources:
        data = read_table(source, "y")
        inputs = Encoder.fit(data).transform(data)
        prepared = prepare(Study(MLP((2,))), data)  # all that a study trains on, and the rows that it seals
        bits = (inputs.tobytes(), data.targets.tobytes(), Encoder.fit(data).feature_names, prepared.fingerprint)
        expected = expected or bits
        assert bits == expected, type(source)
