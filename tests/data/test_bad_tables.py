"""Tables that cannot be read: one sentence each."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from perceptory.data import read_table
from perceptory.errors import InputError


@pytest.fixture
def write(tmp_path):
    def write(text: str | bytes, name: str = "data.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"a,b\x00,y\n1,2,3\n", "is binary.*byte 3"),
        (b"PK\x03\x04abc", "ZIP or Excel"),
        ("a,дата,y\n1,2,3\n".encode("cp1251"), r"not UTF-8 text: byte 2 \(line 1\) is 0xe4.*iconv"),
        (b"\xff\xfea", "not UTF-16"),
        (b"1,2,3\n4,5,6\n", "numbers only.*header line, such as x0,x1,x2"),
        (b"a,b,y\n", "no rows"),
        (b"a,b,y\n1,2,3\n1,2\n", "line 3 .* has 2 cells, but the header has 3"),
        (b'a,b,y\n"1\n0",2,3\n1,2,3,4\n', "line 4 .* has 4 cells, but the header has 3"),
        (b'a,b,y\n1,2,3\n"1,2,3\n4,5,6\n', "line 3 .* quote that is not closed"),
        (b'a,b,y\n1,2,3\n"1"2,2,3\n', "line 3 .* cannot be read"),
        (b"a,b,z\n1,2,3\n", "no target 'y'.*Its columns are: 'a', 'b', 'z'"),
        (b"a,b,Y\n1,2,3\n", "no target 'y'. Did you mean 'Y'"),
        (b"a,y,y\n1,2,3\n", "'y' stands more than once"),
        (b"a,y\n1,\n2,NA\n", "missing in all 2 rows"),
        (b"a,y\n1,2\n2,2\n", "constant"),
        (b"a,y\n1,u\n2,u\n", "constant"),
        (b"a,y\n1,inf\n2,3\n", "the target 'y' holds 1 infinite value .first in row 1"),
        (b"a,y\n1,1\n-inf,3\n", "column 'a' holds 1 infinite value .first in row 2"),
        (b"a,y\n1,1\n1,3\n", "no feature is left.*'a' is ignored: constant"),
        (b"a,y\n,1\n,3\n", "no feature is left.*no value in any row"),
        (b"y\n1\n3\n", "no feature is left"),
        (b"a,y\n1,2020-01-01x\n2,b\n3,c\n", "too many to be classes"),
    ],
)
def test_bad_files(write, text, message):
    path = write(text)
    with pytest.raises(InputError, match=message) as caught:
        read_table(path, "y")
    assert "\n" not in str(caught.value)


def test_bad_sources(tmp_path, write):
    (tmp_path / "empty").mkdir()
    x, y = np.eye(3), [1.0, 2.0, 4.0]
    good = write("a,b,y\n1,2,3\n2,5,4\n")
    cases = [
        ((tmp_path / "none.csv", "y"), {}, "there is no file"),
        ((tmp_path / "empty", "y"), {}, "is a folder"),
        ((write("a", "a.doc"), "y"), {}, "'a.doc' has to end in one of .csv"),
        ((write(b"PAR1 no", "a.parquet"), "y"), {}, "not a readable Parquet"),
        ((write(b"no", "a.feather"), "y"), {}, "not a readable Arrow"),
        ((good,), {}, "name the target.*'a', 'b', 'y'"),
        ((good, ["y", "y"]), {}, "named twice"),
        ((good, []), {}, "empty"),
        ((good, "y"), {"ignore": "c"}, "no column to ignore 'c'"),
        ((good, "y"), {"ignore": "y"}, "both the target and ignored"),
        ((good, "y"), {"weights": "y"}, "both the target and the weights"),
        ((good, "y"), {"weights": [1.0]}, "weights need one value for each of the 2 rows, got 1"),
        ((good, "y"), {"weights": [1.0, -1.0]}, "negative"),
        ((good, "y"), {"weights": [0.0, 0.0]}, "only zeros"),
        ((good, "y"), {"groups": ["u", None]}, "every row needs a group"),
        ((good, "y"), {"task": "regresion"}, "unknown task 'regresion'. Did you mean 'regression'"),
        ((x,), {}, "name the target"),
        ((x, [1.0, 2.0]), {}, "one value for each of the 3 rows of the table, got 2"),
        ((x[0], y), {}, "two dimensions"),
        ((x * 1j, y), {}, "no feature"),
        ((object(), y), {}, "a object is not a table"),
        (({"a": [1, 2], "b": [1, 2, 3]}, "a"), {}, "'a' has 2 and 'b' 3"),
        ((pl.DataFrame({"a": [1]}).lazy(), "a"), {}, "collect"),
        ((pl.DataFrame({"a": [], "y": []}), "y"), {}, "no rows"),
    ]
    for args, options, message in cases:
        with pytest.raises(InputError, match=message) as caught:
            read_table(*args, **options)
        assert "\n" not in str(caught.value)
