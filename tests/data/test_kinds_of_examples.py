"""Series and arrays: kinds of input that other tools read in silence mean there what they mean in tables."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from perceptory import Linear, Naive, Study, read_arrays, read_series, read_table
from perceptory.errors import InputError
from perceptory.notes import ordered_as_later_target, ordered_as_target, spike_in_series, value_far_off
from perceptory.studies.prepare import prepare
from perceptory.studies.split import on_all_rows

ROWS = 60
RANDOM = np.random.default_rng(0)
U, Y = RANDOM.normal(size=(2, ROWS))
T = np.arange(ROWS)
FRAME = {"u": U, "y": Y}
OF = np.repeat(np.arange(30), 2)
STEPS = {"predict": "every step", "window": 10}
AHEAD = {"predict": "ahead", "window": 5, "horizon": range(1, 4)}
ONE = {"predict": "one value", "series": "id"}


def told(data):
    kinds = {"same": ordered_as_target, "later": ordered_as_later_target}
    return [(name, n.facts) for n in data.notes for name, kind in kinds.items() if kind.describes(n)]


COPIES = {  # columns, options, which note of the column "v"
    "itself": ({"v": Y}, STEPS, "same"),
    "other units": ({"v": 3 - 2 * Y}, STEPS, "same"),
    "noise": ({"v": Y + 0.1 * U}, STEPS, None),
    "the next one": ({"v": np.roll(Y, -1)}, AHEAD, "later"),
    "three later": ({"v": np.exp(np.roll(Y, -3))}, AHEAD, "later"),
    "beyond the horizon": ({"v": np.roll(Y, -4)}, AHEAD, None),
    "the past": ({"v": np.roll(Y, 2)}, AHEAD, None),
    "known ahead": ({"v": Y}, AHEAD | {"known_ahead": "v"}, "same"),
    "seen so far": ({"v": Y}, AHEAD, None),
    "its own season": ({"v": U, "y": np.sin(T * np.pi / 2 + 0.1)}, AHEAD | {"horizon": 4}, None),
    "of a series": ({"id": OF, "y": np.exp(OF / 9), "v": 1.5 * OF}, ONE, "same"),
}


@pytest.mark.parametrize("case", COPIES)
def test_an_input_that_holds_the_target_of_a_series_is_told(case):
    columns, options, kind = COPIES[case]
    found = told(read_series(FRAME | columns, "y", **options))
    assert [name for name, _ in found] == ([] if kind is None else [kind])
    assert all(facts["column"] == "v" for _, facts in found)


BESIDE = {
    "target": ({"target": Y}, "name the target"),
    "series": ({"series": T // 20}, "series needs the name of a column"),
    "groups": ({"groups": T // 20}, "groups needs the name of a column"),
    "time": ({"time": pd.Series(T)}, "time needs the name of a column"),
}


@pytest.mark.parametrize("what", BESIDE)
def test_series_take_names_and_no_values(what):
    given, sentence = BESIDE[what]
    with pytest.raises(InputError, match=sentence):
        read_series(pd.DataFrame(FRAME), **{"target": "y"} | STEPS | given)


@pytest.mark.parametrize("bad", ["#REF!", "#DIV/0!", "<0.01", "12 kg", "--", "TBC", "1.2.3", "5%", "12e", "?!"])
@pytest.mark.parametrize("where", ["u", "y"])
def test_one_bad_cell_of_a_series_is_named_and_the_remedy_works(bad, where):
    cells = {name: [str(v) for v in values] for name, values in FRAME.items()}
    cells[where][7] = bad
    with pytest.raises(InputError, match="in row 8") as caught:
        read_series(cells, "y", **STEPS)
    assert f'missing="{bad}"' in str(caught.value)
    with pytest.raises(InputError, match=r'needs a value in every row.*fill="previous"'):
        read_series(cells, "y", **STEPS, missing=bad)
    assert read_series(cells, "y", **STEPS, missing=bad, fill="linear").rows == 6


MARKS = [f"{k % 9 + 1},{100 + k}" for k in range(ROWS)]


@pytest.mark.parametrize("where", ["u", "y"])
def test_unclear_numbers_of_a_series_are_refused(where):
    table = FRAME | {where: MARKS}
    with pytest.raises(InputError, match='Say decimal="," or thousands=","'):
        read_series(table, "y", **STEPS)
    decimal, thousands = (read_series(table, "y", **STEPS, **{name: ","}) for name in ("decimal", "thousands"))
    values = [d.inputs if where == "u" else d.targets for d in (decimal, thousands)]
    np.testing.assert_allclose(values[0] * 1000, values[1])


MORE = {  # the input, the column of series, or the sentence
    "nullable": (pd.array([None, *U[1:]], dtype="Float64"), "misses 1 .the first in row 1"),
    "masked": (np.ma.masked_array(U, T == 3), "misses 1 .the first in row 4"),
    "whole numbers": (pd.array(T, dtype="Int64"), None),
    "truth": (pd.array(T % 2 == 0, dtype="boolean"), None),
    "durations": (pd.to_timedelta(T, unit="s"), None),
    "decimals": (pl.Series(U).cast(pl.Decimal(20, 6)), None),
    "sparse": (pd.arrays.SparseArray(np.where(T % 5, 0.0, 1.0)), None),
    "categories": (pd.Categorical(T % 3), "holds texts or categories"),
    "intervals": (pd.cut(U, 4), "holds texts or categories"),
    "complex": (U + 1j, "no column is left"),
}


@pytest.mark.parametrize("case", MORE)
def test_inputs_of_series_that_carry_more_than_numbers(case):
    values, sentence = MORE[case]
    table = {"u": values, "y": Y}
    if sentence is not None:
        with pytest.raises(InputError, match=sentence):
            read_series(table, "y", **STEPS)
        return
    data = read_series(table, "y", **STEPS)
    expected = np.asarray(pd.Series(values).dt.total_seconds() if case == "durations" else values, float)
    np.testing.assert_allclose(data.inputs[..., 0].ravel(), expected, atol=1e-6)


NAMES = np.array(["007", "7", "07"])[T // 20]
IDENTIFIERS = {
    "texts": NAMES,
    "beyond float64": 2**53 + T // 20,
    "pandas": pd.Categorical(NAMES),
    "polars": pl.Series(NAMES).cast(pl.Enum(["07", "7", "007", "other"])),
    "arrow": pa.array(NAMES.tolist()).dictionary_encode(),
    "exponents": np.array(["1E3", "1000", "1e3"])[T // 20],
}


@pytest.mark.parametrize("case", IDENTIFIERS)
def test_identifiers_of_series_and_arrays(case):
    names = IDENTIFIERS[case]
    assert read_series(FRAME | {"id": names}, "y", predict="every step", series="id").rows == 3
    x = RANDOM.normal(size=(ROWS, 4, 2))
    assert len(set(read_arrays(x, Y, groups=names).groups.tolist())) == 3
    data = read_arrays(x, names, task="classification")
    assert len(data.classes) == 3
    assert len(np.unique(data.targets)) == 3


PICTURES = RANDOM.integers(0, 255, (ROWS, 4, 4)).astype(np.uint8)
CODES = T % 3
LABELS = {  # labels of pictures, their classes as they come back, pictures that are left
    "whole numbers": (CODES, [0, 1, 2], ROWS),
    "beyond float64": (2**53 + CODES, [2**53, 2**53 + 1, 2**53 + 2], ROWS),
    "truth": (T % 2 == 0, [False, True], ROWS),
    "codes": (np.array(["007", "7"])[T % 2], ["007", "7"], ROWS),
    "none": (np.array(["none", "some"])[T % 2], ["none", "some"], ROWS),
    "masked": (np.ma.masked_array(CODES, T == 5), [0, 1, 2], ROWS - 1),
    "nullable": (pd.array([None, *CODES[1:]], dtype="Int64"), [0, 1, 2], ROWS - 1),
    "texts with gaps": (pd.array([None, *np.array(list("abc"))[CODES][1:]], dtype="string"), ["a", "b", "c"], ROWS - 1),
    "categories": (pd.Categorical(np.array(["lo", "hi"])[T % 2], ["lo", "mid", "hi"]), ["hi", "lo"], ROWS),
    "categories of whole numbers": (pd.Categorical(np.array([10, 2])[T % 2], [10, 2, 7]), [2, 10], ROWS),
    "categories of truth": (pd.Series(T % 2 == 0, dtype="category"), [False, True], ROWS),
    "polars": (pl.Series(np.array(["lo", "hi"])[T % 2]).cast(pl.Enum(["lo", "mid", "hi"])), ["hi", "lo"], ROWS),
    "arrow": (pa.array(np.array(list("abc"))[CODES].tolist()), ["a", "b", "c"], ROWS),
}


@pytest.mark.parametrize("case", LABELS)
def test_labels_of_pictures_and_tables_stay_what_they_are(case):
    labels, classes, rows = LABELS[case]
    pictures, table = read_arrays(PICTURES, labels), read_table({"x": U, "y": labels}, "y", task="classification")
    for data in (pictures, table):
        assert data.class_values.tolist() == classes
        assert type(data.class_values.tolist()[0]) is type(classes[0])
        assert data.rows == rows


ARRAYS = {"series": RANDOM.normal(size=(24, 5, 2)), "pictures": PICTURES[:24]}
ALONE = Study(Linear(), test=0)


@pytest.mark.parametrize("kind", ARRAYS)
def test_a_weight_is_a_number_of_copies(kind):
    x, y, copies = ARRAYS[kind], Y[:24], T[:24] % 3
    weighted = prepare(ALONE, read_arrays(x, y, weights=copies), splitting=on_all_rows)
    repeated = prepare(ALONE, read_arrays(x.repeat(copies, axis=0), y.repeat(copies)), splitting=on_all_rows)
    for one, other in zip(weighted.scalings[0], repeated.scalings[0], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)
    assert weighted.encoded.judged[1].sum() == repeated.encoded.judged[1].sum()


LIMITS = {  # what the numbers are made, and the sentence where they are refused
    "huge targets": (lambda x, y: (x, 1e300 * y), "spans .*Use other units"),
    "tiny targets": (lambda x, y: (x, 1e-310 * y), "spans .*Use other units"),
    "huge inputs": (lambda x, y: (1e300 * x, y), "spans .*Use other units"),
    "a small spread": (lambda x, y: (x, 1 + 1e-13 * y), None),
    "a large offset": (lambda x, y: (1e9 + x, y), None),
}


@pytest.mark.parametrize("case", LIMITS)
def test_limits_of_series(case):
    change, sentence = LIMITS[case]
    x, y = change(ARRAYS["series"], Y[:24])
    for data in (read_arrays(x, y), read_series({"u": x[:, 0, 0], "y": y}, "y", predict="ahead", window=3)):
        if sentence is None:
            assert np.ptp(prepare(ALONE, data).encoded.aims) > 0
        else:
            with pytest.raises(InputError, match=sentence):
                prepare(ALONE, data)


@pytest.mark.parametrize("options", [STEPS, AHEAD])
@pytest.mark.parametrize("where", ["u", "y"])
def test_a_value_that_is_far_off_is_told_with_its_row(where, options):
    data = read_series(FRAME | {where: np.where(T == 40, 1e30, FRAME[where])}, "y", **options)
    kinds = value_far_off, spike_in_series
    (note,) = [n for n in data.notes if any(kind.describes(n) for kind in kinds)]
    assert (note.facts["column"], note.facts["row"], note.facts["value"]) == (where, 41, 1e30)
    assert not any(kind.describes(n) for kind in kinds for n in read_series(FRAME, "y", **options).notes)


def test_a_season_longer_than_the_windows_says_which_do():
    """And the remedy works."""
    data = {"y": 10 + np.sin(T * np.pi / 6)}
    study = Study(Naive(), test=0)
    with pytest.raises(InputError, match=r"season of 12 steps needs windows of at least 12, .*window=12, or with sea"):
        prepare(study, read_series(data, "y", predict="ahead", window=8))
    for more in ({"window": 12}, {"window": 8, "season": 1}):
        assert prepare(study, read_series(data, "y", predict="ahead", **more)).groups
