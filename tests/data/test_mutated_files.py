"""Whatever bytes a file holds, the reader reads them or says one sentence."""

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from perceptory.data import Encoder, read_inputs, read_table
from perceptory.errors import InputError

GOOD = (
    "size,color,ok,when,größe,y\n1,red,true,2020-01-01,5,1.5\n,blue,FALSE,2020-01-02 12:00,6,2\n"
    '2.5e1,NA,true,2020/01/03,7,0\n-3,"re""d, or",,2020-01-04T06:00Z,5,4\n'
).encode()
CELL = st.sampled_from(
    [b"", b"inf", b"1e999", b'"', b"\xff", b"9" * 400, b"1_0", b"2020-13-40", b"a\x0bb", b"\xe2\x80\xa8"]
)


@st.composite
def mutated(draw):
    data = GOOD if draw(st.booleans()) else GOOD.replace(b",", draw(st.sampled_from([b";", b"\t", b"|"])))
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(data)))
        stop = min(len(data), start + draw(st.integers(0, 12)))
        way = draw(st.sampled_from(["cut", "drop", "double", "bytes", "cell", "swap"]))
        if way == "cut":
            data = data[:start]
        elif way == "drop":
            data = data[:start] + data[stop:]
        elif way == "double":
            data = data[:stop] + data[start:]
        elif way == "bytes":
            data = data[:start] + draw(st.binary(max_size=6)) + data[stop:]
        else:
            lines = data.split(b"\n")
            row = draw(st.integers(0, len(lines) - 1))
            cells = lines[row].split(b",")
            place = draw(st.integers(0, len(cells) - 1))
            cells[place] = draw(CELL) if way == "cell" else cells[0]
            lines[row] = b",".join(cells)
            data = b"\n".join(lines)
    return data


def learn(path):
    data = read_table(path, "y")
    x = Encoder.fit(data).transform(data)
    assert len(x) == data.rows > 0
    assert np.isfinite(data.targets).all()
    assert not np.isinf(x).any()


def predict(path, encoder):
    table = read_inputs(path)
    assert encoder.transform(table).shape == (table.rows, len(encoder.feature_names))
    encoder.notes_for(table)


def sentence(call, *args):
    """What `call` complains about, or '' where it does not; any other exception goes through."""
    try:
        call(*args)
    except InputError as error:
        return str(error)
    return ""


def read_or_sentence(path, encoder):
    for said in (sentence(learn, path), sentence(predict, path, encoder)):
        assert "\n" not in said
        assert "\r" not in said
        assert len(said) < 1200


def test_mutated_text(tmp_path_factory):
    path = tmp_path_factory.mktemp("mutated") / "data.csv"
    path.write_bytes(GOOD)
    encoder = Encoder.fit(read_table(path, "y"))

    @settings(max_examples=400, deadline=None)
    @given(mutated() | st.binary(max_size=60))
    def check(data):
        path.write_bytes(data)
        read_or_sentence(path, encoder)

    check()


def test_mutated_parquet_and_arrow(tmp_path_factory):
    folder = tmp_path_factory.mktemp("binary")
    frame = pl.DataFrame({"a": [1.5, None, 3.0], "c": ["u", "v", "u"], "y": [1.0, 2.0, 4.0]})
    frame.write_parquet(folder / "good.parquet")
    frame.write_ipc(folder / "good.arrow")
    encoder = Encoder.fit(read_table(frame, "y"))

    @settings(max_examples=60, deadline=None)
    @given(st.sampled_from(["parquet", "arrow"]), st.floats(0, 1), st.booleans())
    def check(kind, where, cut):
        data = bytearray((folder / f"good.{kind}").read_bytes())
        place = int(where * (len(data) - 1))
        if cut:
            data = data[:place]
        else:
            data[place] ^= 0xFF
        path = folder / f"bad.{kind}"
        path.write_bytes(bytes(data))
        read_or_sentence(path, encoder)

    check()
