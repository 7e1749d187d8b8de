"""Columns named as their frame names them: by numbers, by its index, or not at all."""

import unicodedata

import numpy as np
import pandas as pd
import polars as pl
import pytest

from perceptory import Auxiliary, read_series, read_table, stream_table
from perceptory.data import Encoder
from perceptory.errors import InputError

NUMBERED = pd.DataFrame(np.abs(np.random.default_rng(0).normal(size=(60, 4))) + 0.1)
LETTERED = NUMBERED.set_axis(list("abcd"), axis=1)


def inputs(data):
    return [c.name for c in data.columns if c.kind != "ignored"]


@pytest.mark.parametrize(
    ("frame", "given", "target", "left"),
    [
        (NUMBERED, {"target": 3}, ["3"], ["0", "1", "2"]),
        (NUMBERED, {"target": np.int64(3)}, ["3"], ["0", "1", "2"]),
        (NUMBERED, {"target": "3"}, ["3"], ["0", "1", "2"]),
        (NUMBERED, {"target": [2, 3]}, ["2", "3"], ["0", "1"]),
        (NUMBERED, {"target": (2, "3")}, None, None),
        (NUMBERED, {"target": NUMBERED.columns[2:]}, ["2", "3"], ["0", "1"]),
        (NUMBERED, {"target": "3", "ignore": 0}, ["3"], ["1", "2"]),
        (NUMBERED, {"target": "3", "ignore": [0]}, ["3"], ["1", "2"]),
        (NUMBERED, {"target": 3, "weights": 1}, ["3"], ["0", "2"]),
        (NUMBERED, {"target": 3, "groups": 1}, ["3"], ["0", "2"]),
        (LETTERED, {"target": LETTERED.columns[2:]}, ["c", "d"], ["a", "b"]),
        (LETTERED, {"target": np.array(["c", "d"])}, ["c", "d"], ["a", "b"]),
        (LETTERED, {"target": "d", "ignore": LETTERED.columns[:2]}, ["d"], ["c"]),
        (LETTERED, {"target": "d", "ignore": {"a", "b"}}, ["d"], ["c"]),
        (LETTERED, {"target": "d", "ignore": None}, ["d"], ["a", "b", "c"]),
        (pl.from_pandas(LETTERED), {"target": ["d"], "ignore": pl.Series(["a"])}, ["d"], ["b", "c"]),
    ],
)
def test_tables(frame, given, target, left):
    if target is None:  # a name that the frame has not: its columns are numbers
        with pytest.raises(InputError):
            read_table(frame, **given)
        return
    data = read_table(frame, **given)
    assert list(data.target_names) == target
    assert inputs(data) == left


def test_as_many_values_as_rows_are_values():
    frame = NUMBERED.iloc[:4]
    data = read_table(frame, [0, 1, 2, 3], task="regression")
    assert data.target_names == ("y",)
    assert data.targets[:, 0].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("given", [{"target": 9}, {"target": True}, {"target": "3", "ignore": 9}])
def test_a_number_that_is_no_column_is_refused(given):
    with pytest.raises((InputError, TypeError)):
        read_table(NUMBERED, **given)


def test_series():
    asked = {"predict": "ahead", "window": 5}
    assert read_series(NUMBERED, target=3, **asked).target_names == ("3",)
    assert read_series(NUMBERED, target="3", inputs=0, **asked).channels == ("0", "3")
    assert read_series(NUMBERED, target=3, inputs=[0, 1], **asked).channels == ("0", "1", "3")
    assert read_series(NUMBERED, target=3, ignore=None, **asked).channels == ("0", "1", "2", "3")
    assert read_series(NUMBERED, target=3, ignore=[0], **asked).channels == ("1", "2", "3")


@pytest.mark.parametrize(
    ("learned", "new"), [("größe", "gro\u0308ße"), ("gro\u0308ße", "größe"), ("\u212b", "å".upper())]
)
def test_a_name_is_one_however_its_letters_are_composed(learned, new, tmp_path):
    """Some systems write ö as o and two dots."""
    size = np.arange(20.0)
    columns = {learned: size, "k": ["é", "a"] * 10, "y": np.sin(size)}
    data = read_table(columns, "y")
    assert data.columns[0].name == unicodedata.normalize("NFC", new)
    encoder = Encoder.fit(data)
    other = {new: size, "k": ["e\u0301", "a"] * 10, "y": np.sin(size)}
    pl.DataFrame(other).write_csv(tmp_path / "t.csv")
    for source in (other, tmp_path / "t.csv", pl.DataFrame(other), pd.DataFrame(other).astype({"k": "category"})):
        np.testing.assert_array_equal(encoder.transform(source), encoder.transform(columns))
    row = {new: 3.0, "k": "e\u0301"}
    np.testing.assert_array_equal(encoder.transform(row), encoder.transform({learned: 3.0, "k": "é"}))
    np.testing.assert_array_equal(encoder.transform(pd.Series(row)), encoder.transform(row))
    assert read_table(other, "y", like=data).targets.tolist() == data.targets.tolist()
    for target in (new, [new]):
        assert read_table(columns, target, ignore=["k", "y"][:1]).target_names == (data.columns[0].name,)
        series = read_series(tmp_path / "t.csv", target, predict="ahead", window=5, ignore="k")
        assert series.target_names == (data.columns[0].name,)
    assert Auxiliary(learned) == Auxiliary(new)
    assert stream_table(pl.DataFrame(other).lazy(), new, ignore=["k"]).target_names == (data.columns[0].name,)


def test_two_names_of_the_same_letters_stand_twice():
    frame = {"größe": np.arange(20.0), "gro\u0308ße": np.arange(20.0) ** 2, "y": np.sin(np.arange(20))}
    data = read_table(frame, "y")
    assert [c.name for c in data.columns] == ["größe", "größe.2"]
    assert "more than one column 'größe'" in " ".join(map(str, data.notes))
    with pytest.raises(InputError, match="stands more than once"):
        read_table(frame, "größe")
    with pytest.raises(InputError, match="two spellings of its letters"):
        stream_table(pl.DataFrame(frame).lazy(), "y")
