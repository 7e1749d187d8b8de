"""A Parquet file whose pages say what cannot be is refused before polars, which would end the process."""

import mmap

import polars as pl
import pytest

from perceptory import InputError, read_table, stream_table
from perceptory.data.tables import parquet_pages
from perceptory.data.tables.parquet_pages import check_pages

FRAME = pl.DataFrame({"x": [0.5, None, 2.5] * 20, "name": ["a", "b", None] * 20, "y": range(60)})


def counts(path):
    """By column what its pages hold."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return [list(parquet_pages._counts(data, column)) for column in parquet_pages._columns(data)]


@pytest.mark.parametrize("how", [{}, {"compression": "uncompressed", "row_group_size": 30}, {"use_pyarrow": True}])
def test_sound_files_hold_what_they_say(tmp_path, how):
    path = tmp_path / "t.parquet"
    FRAME.write_parquet(path, **how)
    check_pages(path)
    pages = counts(path)
    assert len(pages) == 3 * (2 if "row_group_size" in how else 1)
    assert all(sum(page[-1:]) in (30, 60) for page in pages)


@pytest.mark.parametrize("read", [read_table, stream_table])
def test_a_page_of_less_than_no_values_is_refused(tmp_path, read):
    path = tmp_path / "t.parquet"
    FRAME.write_parquet(path, compression="uncompressed")
    content = bytearray(path.read_bytes())
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        column = next(iter(parquet_pages._columns(data)))
        begin = min(place for place in (column[9], column.get(11)) if place)
    place = content.index(b"\x15\x78", begin)  # 60, as zigzag in one byte, behind the kind of its field
    content[place + 1] = 0x77  # -60
    path.write_bytes(content)
    with pytest.raises(InputError, match="a page of -60 values in a column of 60"):
        read(path, "y")


def test_what_is_not_understood_is_left_to_polars(tmp_path):
    path = tmp_path / "t.parquet"
    for content in (b"", b"PAR1", b"PAR1" + bytes(40) + b"PAR1", b"PAR1" + b"\xff" * 90 + b"PAR1"):
        path.write_bytes(content)
        check_pages(path)
