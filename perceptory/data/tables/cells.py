"""Cells of text: which stand for a missing value, which are numbers, and by which marks the numbers are written."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from perceptory.data.tables.plain_words import are_words
from perceptory.data.tables.table import MISSING, RawColumn, composed, label, listed, one_form, shown_value
from perceptory.errors import InputError, Setting
from perceptory.kernels import texts

if TYPE_CHECKING:
    import polars as pl

MARKS = {",": "comma", ".": "point", " ": "space", "'": "apostrophe"}
SEPARATORS = (",", ".", " ", "'", "_")
_NUMBER = re.compile(r"[+-]?\.?[0-9]|[+-]?[iInN]")  # how a number begins
_INTEGER = re.compile(r"[+-]?[0-9]{1,4000}")
FEW = 20  # categories that are counted one by one: bytes are compared many at a time
MANY_CELLS = 1000  # that a kernel is worth its call
EXPONENT = r"(?:[eE][+-]?[0-9]+)?$"


@dataclass(frozen=True)
class Reading:
    """How cells of text are written, where that is not left to be found out.

    missing: texts that stand for a missing value, beside `MISSING`. decimal: the mark before decimals, "." or ",".
    thousands: the mark between groups of three digits. Both are "" where they are found from the cells. usual: the mark
    before decimals that was found in the data of a study, by which cells are read that leave it open.
    """

    missing: tuple[str, ...] = ()
    decimal: str = ""
    thousands: str = ""
    usual: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON data."""
        marks = {"decimal": self.decimal, "thousands": self.thousands, "usual": self.usual}
        return {"missing": list(self.missing), **marks}


PLAIN = Reading()


def reading_of(
    missing: Collection[str] | str | None = (), decimal: str | None = None, thousands: str | None = None
) -> Reading:
    """The `Reading` of these arguments; a text `missing` is cut at its commas. Raises `InputError` for other marks."""
    missing = () if missing is None else missing
    several = isinstance(missing, Collection) and not isinstance(missing, str)
    tokens = missing.split(",") if isinstance(missing, str) else list(missing) if several else [missing]
    numbers = [isinstance(token, int | float | np.number) and not isinstance(token, bool) for token in tokens]
    tokens = [label(token) if number else token for token, number in zip(tokens, numbers, strict=True)]
    if not all(isinstance(token, str) for token in tokens):
        raise InputError(
            Setting("missing"), f" needs texts that stand for a missing value, got {shown_value(missing)}."
        )
    if decimal not in (None, ",", "."):
        raise InputError(Setting("decimal"), f' needs "." or ",", got {decimal!r}.')
    if thousands not in (None, *SEPARATORS):
        raise InputError(Setting("thousands"), f" needs one of {listed(SEPARATORS)}, got {thousands!r}.")
    if decimal is not None and decimal == thousands:
        raise InputError(f"decimals and thousands cannot both be marked by {decimal!r}. Give two different marks.")
    if thousands is not None and decimal is None:
        decimal = "," if thousands == "." else "."
    texts = tuple(one_form(str(token).strip()) for token in tokens if str(token).strip())
    return Reading(texts, decimal or "", thousands or "")


@dataclass(frozen=True, eq=False)
class Distinct:
    """Cells of text of which each distinct one is looked at once.

    cells: stripped, null where they stand for a missing value, some twice.
    coded: what was written in the rows, an Enum, None where `cells` has a cell for each row. Its categories are the
    cells as they are written, in the order of `cells`; where rows are null, a null stands behind them.
    codes: of `coded`, where a kernel has found them. words: whether all cells are certain to be `are_words`.
    """

    rows: pl.Series
    cells: pl.Series
    coded: pl.Series | None
    codes: texts.Codes | None = None
    words: bool = False

    @classmethod
    def of(cls, rows: pl.Series) -> Distinct:
        import polars as pl

        head = rows.head(2000)  # do not count the distinct cells where hardly any two are the same
        keys = head.unique(maintain_order=True)
        if len(rows) < 1000 or len(keys) > 0.9 * len(head):
            return cls(rows, stripped(rows), None)
        coded, codes = with_codes(rows, keys.drop_nulls())
        written = coded.dtype.categories  # type: ignore[attr-defined]
        words = are_words(written.to_list())
        if rows.null_count():
            written = pl.concat([written, pl.Series([None], dtype=pl.String)])
        return cls(rows, written if words else stripped(written), coded, codes, words)

    @cached_property
    def _counts(self) -> np.ndarray:
        """How many rows each cell stands for."""
        if self.coded is None:
            return np.ones(len(self.cells), np.int64)
        counts = counts_of(self.coded) if self.codes is None else self.codes.counts
        return np.append(counts, self.rows.null_count())[: len(self.cells)]

    def count(self, of: pl.Series) -> int:
        """How many rows the cells stand for that are True in `of`."""
        return int(self._counts[of.fill_null(False).to_numpy()].sum())

    @cached_property
    def present(self) -> int:
        """Rows with a value."""
        return self.count(self.cells.is_not_null())

    def expand(self, values: pl.Series) -> pl.Series:
        """[row] of one value for each of `cells`."""
        if self.coded is None:
            return values
        if values is self.cells and self._as_written:
            return self.rows
        return values.gather(self.coded.to_physical())

    def labels(self) -> pl.Series:
        """[row] the cells as categories: an Enum, so that each row is a small number from here on."""
        if self.coded is None:
            return self.cells
        if self._as_written:
            return self.coded
        return renamed(self.coded, self.cells)

    @property
    def label_codes(self) -> texts.Codes | None:
        """Of `labels`, where they are known."""
        return self.codes if self.codes is not None and self._as_written else None

    @cached_property
    def _as_written(self) -> bool:
        """Whether nothing was stripped, and nothing but null stands for a missing value."""
        if self.words:
            return True
        written = self.coded.dtype.categories  # type: ignore[union-attr]
        return bool(self.cells.head(len(written)).equals(written, check_names=False))


def coded_by(cells: pl.Series, known: Any) -> pl.Series:
    """[row] Enum of texts, of the categories `known` where these are all that there are."""
    return with_codes(cells, known)[0]


def with_codes(cells: pl.Series, known: Any) -> tuple[pl.Series, texts.Codes | None]:
    """As `coded_by`, and the codes of its categories where a kernel has found them."""
    import polars as pl

    if isinstance(cells.dtype, pl.Enum):
        return cells, None
    found = texts.codes_of(cells, pl.Series(known, dtype=pl.String)) if len(cells) >= MANY_CELLS else None
    if found is not None:
        codes, written = found
        filled = written.cast(pl.Enum(written)).gather(
            np.arange(texts.MOST + 1) % len(written)
        )  # a null has a code, too
        coded = filled.gather(pl.Series(codes.by_row))
        if cells.null_count():
            coded = pl.select(pl.when(cells.is_not_null()).then(coded)).to_series()
        return coded, codes
    coded = cells.cast(pl.Enum(known), strict=False)
    if coded.null_count() == cells.null_count():
        return coded, None
    return cells.cast(pl.Enum(cells.unique(maintain_order=True).drop_nulls())), None


def renamed(coded: pl.Series, names: pl.Series) -> pl.Series:
    """[row] Enum of other names, one for each category of `coded`, some of them the same, or null."""
    import polars as pl

    names_once = names.drop_nulls().unique(maintain_order=True)
    return names.cast(pl.Enum(names_once)).gather(coded.to_physical())


def codes_of(labels: pl.Series) -> np.ndarray:
    """[row] which of an Enum's categories a row has, in the smallest type; their number where it has none."""
    import polars as pl

    none, codes = len(labels.dtype.categories), labels.to_physical()  # type: ignore[attr-defined]
    if labels.null_count():
        codes = (codes if none < 255 else codes.cast(pl.UInt32)).fill_null(none)
    return codes.to_numpy()


def counts_of(labels: pl.Series) -> np.ndarray:
    """How many rows of an Enum hold each of its categories."""
    categories, codes = len(labels.dtype.categories), codes_of(labels)  # type: ignore[attr-defined]
    if categories <= FEW:
        return np.array([np.count_nonzero(codes == k) for k in range(categories)], np.int64)
    return np.bincount(codes, minlength=categories)[:categories]


def looked_up(table: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """table[codes], of codes from 0."""
    if codes.dtype != np.uint8 or table.dtype.itemsize > 1:
        return np.take(table, codes)
    whole = table.tobytes().ljust(256, b"\0")  # `numpy.take` would write all codes as integers of 64 bits first
    found = texts.looked_up(whole, codes)
    return np.frombuffer(codes.tobytes().translate(whole), table.dtype) if found is None else found.view(table.dtype)


def stripped(cells: pl.Series) -> pl.Series:
    """Texts in one form, without the spaces around them; null for those that stand for a missing value."""
    import polars as pl

    cells = composed(cells).str.strip_chars()
    return pl.select(pl.when(~cells.is_in(list(MISSING))).then(cells)).to_series()


def numbers_in(cells: pl.Series) -> pl.Series:
    """[row] Float64 of stripped cells that are written as Python writes numbers ("-1.5e3", "inf"); null elsewhere."""
    import polars as pl

    return cells.cast(pl.Float64, strict=False)


def parse_numbers(cells: pl.Series) -> pl.Series | None:
    """Numbers of stripped cells, null for what is missing; None where a text is not a number."""
    first = first_of(cells)
    if first is not None and _NUMBER.match(first) is None:  # most columns of text are seen by their first cell
        return None
    numbers = numbers_in(cells)
    return numbers if numbers.null_count() == cells.null_count() else None


def parse_truth(cells: pl.Series) -> pl.Series | None:
    """Boolean for true and false (in any case), null for null; None where a text is neither."""
    first = first_of(cells)
    if first is None or first.lower() not in ("true", "false"):
        return None
    lower = cells.str.to_lowercase()
    return lower == "true" if lower.drop_nulls().is_in(["true", "false"]).all() else None


def first_of(cells: pl.Series) -> str | None:
    """The first cell that is not null; None where all are."""
    place = cells.first_non_null_index() if hasattr(cells, "first_non_null_index") else cells.is_not_null().arg_max()
    return None if place is None else cells[int(place)]


def identity(raw: RawColumn) -> pl.Series:
    """[row] String that is equal where two rows have the same label, group, series or category; null where missing.

    Identity is that of the text, or of the whole number: 007 is not 7, and 2^53 + 1 is not 2^53. Only spellings that
    differ by the type in which a value was stored are one: 1 and 1.0, TRUE and True.
    """
    import polars as pl

    if raw.storage == "label":
        return raw.data
    if raw.storage == "text" or raw.cells is not None:
        return one_spelling(stripped(raw.text))
    if raw.storage == "boolean":
        return pl.select(pl.when(raw.data).then(pl.lit("True")).when(~raw.data).then(pl.lit("False"))).to_series()
    if raw.data.dtype.is_integer():
        return raw.data.cast(pl.String)
    distinct = raw.data.fill_nan(None).drop_nulls().unique()  # Python writes each distinct number, polars looks it up
    names = pl.Series([label(v) for v in distinct.to_list()], dtype=pl.String)
    return raw.data.fill_nan(None).replace_strict(distinct, names, default=None, return_dtype=pl.String)


def in_order(labels: pl.Series) -> list[str]:
    """The distinct labels: as numbers where all are numbers, else as text."""
    distinct = sorted(labels.drop_nulls().unique().to_list())
    if all(_INTEGER.fullmatch(name) for name in distinct):
        return sorted(distinct, key=int)
    try:
        return sorted(distinct, key=float)
    except ValueError:
        return distinct


def places(labels: pl.Series, order: Sequence[str], other: int = -1, kind: Any = np.int64) -> np.ndarray:
    """[row] place of each label in `order`, as integers of a kind; `other` where it is null or none of them."""
    import polars as pl

    if isinstance(labels.dtype, pl.Enum):  # its few categories are looked up, not its rows
        of_label = places(labels.dtype.categories, order, other)
    else:
        labels, of_label = labels.cast(pl.Enum(order), strict=False), np.arange(len(order), dtype=kind)
    return looked_up(np.append(of_label, other).astype(kind), codes_of(labels))


def one_spelling(cells: pl.Series) -> pl.Series:
    """Texts in the one spelling of whole numbers and truth values: '1.0' becomes '1', 'TRUE' becomes 'True'."""
    import polars as pl

    whole = cells.str.contains(r"^[+-]?(?:0|[1-9][0-9]*)\.0+$")
    lower = cells.str.to_lowercase()
    if not whole.any() and not lower.is_in(["true", "false"]).any():
        return cells
    spelled = (
        pl.when(whole)
        .then(cells.str.extract(r"^([+-]?[0-9]+)", 1))
        .when(lower == "true")
        .then(pl.lit("True"))
        .when(lower == "false")
        .then(pl.lit("False"))
        .otherwise(cells)
    )
    return pl.select(spelled).to_series()
