"""The kernel that finds which of a few texts each row holds, against Python."""

import numpy as np
import polars as pl
import pytest

from perceptory.data.tables.cells import coded_by
from perceptory.kernels import texts

KERNEL = "texts"
pytestmark = pytest.mark.usefixtures("kernel")
ALIKE = [
    "",
    "a",
    "b",
    "twelve bytes",
    "thirteen byte",
    "thirteen bytf",
    "thirteen" * 9,
    "thirteen" * 9 + "!",
    "é" * 6,
    "é" * 7,
]


def a_column(names, rows=3000, parts=3):
    """Some of the names in each row, and nulls, in several pieces that do not begin at whole bytes of bits."""
    random = np.random.default_rng(0)
    drawn = [[names[k] for k in random.integers(len(names), size=rows // parts)] for _ in range(parts)]
    pieces = [pl.Series([None if k % 7 == 0 else name for k, name in enumerate(part)]) for part in drawn]
    return pl.concat([piece.slice(3) for piece in pieces], rechunk=False)


@pytest.mark.parametrize("known", [[], ["b", "none of them", "thirteen byte"], ALIKE])
def test_each_row_has_the_code_of_its_text(known):
    cells = a_column(ALIKE)
    codes, written = texts.codes_of(cells, pl.Series(known, dtype=pl.String))
    assert written[: len(known)].to_list() == known
    new = [name for name in cells.drop_nulls().unique(maintain_order=True) if name not in known]
    assert written[len(known) :].to_list() == new
    there = cells.is_not_null().to_numpy()
    assert (codes.by_row[~there] == texts.MOST).all()
    assert written.gather(codes.by_row[there]).equals(cells.drop_nulls())
    assert codes.counts.tolist() == [int((cells == name).sum()) for name in written]


def test_each_row_keeps_its_text_and_what_is_known_comes_first():
    cells = a_column(ALIKE)
    for column in (cells, cells.drop_nulls(), cells.slice(5, 1500)):
        coded = coded_by(column, ["b", "a"])
        assert coded.cast(pl.String).equals(column)
        assert coded.dtype.categories.to_list()[:2] == ["b", "a"]
    assert coded_by(pl.Series([None] * 2000, dtype=pl.String), []).null_count() == 2000


def test_more_texts_than_codes_are_left_to_polars():
    names = [f"a name {k}" for k in range(texts.MOST + 1)]
    cells = pl.Series(names * 4)
    assert texts.codes_of(cells, pl.Series([], dtype=pl.String)) is None
    assert texts.codes_of(cells.head(texts.MOST), pl.Series([], dtype=pl.String)) is not None
    assert coded_by(cells, names[:1]).cast(pl.String).equals(cells)


def test_numbers_are_no_texts():
    assert texts.codes_of(pl.Series([1, 2]), pl.Series([], dtype=pl.String)) is None
