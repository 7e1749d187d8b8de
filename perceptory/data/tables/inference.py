"""The meaning of a column: found from its values (`infer`), or known already and only to be held to (`convert`)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from perceptory import notes
from perceptory.data.tables.cells import (
    Distinct,
    coded_by,
    first_of,
    identity,
    numbers_in,
    one_spelling,
    parse_numbers,
    parse_truth,
    places,
    renamed,
)
from perceptory.data.tables.column import Column, Kind
from perceptory.data.tables.dates import PATTERNS, days_in, find_dates, parse_dates
from perceptory.data.tables.lost_digits import lost_digits
from perceptory.data.tables.marks import refuse_unclear
from perceptory.data.tables.numbers import NumberFacts, floats
from perceptory.data.tables.table import MISSING, RawColumn, composed, label, series_of, shown_value
from perceptory.data.tables.unit_signs import two_units
from perceptory.errors import InputError, Remedy, Setting
from perceptory.notes import Note

if TYPE_CHECKING:
    import polars as pl

MANY = 50  # categories of a column; a text column of more, most of them seen once, is an identifier
FEW = 20  # different whole numbers that may be categories or classes
MOST_BAD = 0.2  # of a column's cells may be no numbers (no dates) for it still to be meant as one of numbers (dates)
ROW_NUMBER_NAMES = frozenset(["index", "id", "row", "rownames", "row_number", "rownumber", "no", "nr", "unnamed: 0"])
NEARLY = (  # numbers with separators or a unit, of bases but ten, in brackets, with the sign behind, as in Fortran
    r"^(?:[€$£]? ?[+-]?[0-9][0-9.,' _\x{a0}]*(?: ?[%€$£])?|0[xXbBoO][0-9A-Fa-f_]+|\([0-9.,]+\)|[0-9.,]+-"
    r"|[+-]?[0-9.]+[dD][+-]?[0-9]+|['\x{200b}\x{feff}][+-]?[0-9.,]+|=\"[^\"]*\")$"
)
UNIT = r"^[€$£<>≤≥~]? ?[+-]?[0-9]+(?:[.,][0-9]+)? ?(?:%|‰|[€$£]|°?[A-Za-zµμΩ°][A-Za-z0-9/²³^*]{0,7})$"
DAY = (
    r"^(?:[0-9]{4}[-/][0-9]{1,2}[-/][0-9]{1,2}|[0-9]{1,2}[./][0-9]{1,2}[./][0-9]{4})(?:[T ][0-9:]+)?$"  # in any layout
)
MOMENT = (  # times of day, durations, months, weeks, quarters, days of a year without its century
    r"^(?:[0-9]{1,3}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]+)?)?(?: ?[AaPp][Mm])?|[0-9]{4}-[0-9]{2}|[0-9]{4}-?W[0-9]{2}"
    r"|[0-9]{4}[ -]?Q[1-4]|Q[1-4][ /-]?[0-9]{4}|[0-9]{1,2}[./-](?:[0-9]{1,2}|[A-Za-z]{3})[./-][0-9]{2}"
    r"|[A-Za-z]{3}[ -][0-9]{2}(?:[0-9]{2})?)$"
)
ERROR = r"^#[A-Z]+[A-Z0-9/]*[!?]?$"  # of a spreadsheet


def infer(raw: RawColumn, row_numbers: np.ndarray | None = None) -> Column:
    """Say what a column holds. Text whose values are all numbers (or dates, or true and false) is read as such;
    of a table's numbers, infinite ones raise `InputError`, which names the row by `row_numbers` [row], from 0."""
    if raw.storage == "other":
        return Column(raw.name, "ignored", raw.data, raw.notes)
    if raw.storage == "label":
        return _categorical(raw.name, raw.data, raw.notes, raw.data)
    if raw.unclear:
        raise InputError(*raw.unclear)
    if raw.storage == "text" and raw.cells is None:
        return _text(raw, row_numbers)
    if raw.facts.missing == len(raw):
        return Column(raw.name, "ignored", raw.values, (notes.no_value(),))
    if raw.storage in ("number", "text"):
        remarks = (*raw.notes, *lost_digits(raw))
        return replace(_numeric(raw.name, raw.numbers, remarks, row_numbers, raw.facts), unit=raw.unit)
    kind: Kind = "boolean" if raw.storage == "boolean" else "date"
    return Column(raw.name, kind, raw.values, raw.notes, known=raw.facts)


def _text(raw: RawColumn, row_numbers: np.ndarray | None) -> Column:
    text = Distinct.of(raw.data)
    cells = text.cells
    if text.words:
        return replace(_categorical(raw.name, text.labels(), raw.notes, cells), codes=text.label_codes)
    if cells.null_count() == len(cells):
        return Column(raw.name, "ignored", raw.data, (notes.no_value(),))
    truth = parse_truth(cells)
    if truth is not None:
        return Column(raw.name, "boolean", floats(text.expand(truth)), raw.notes)
    numbers = parse_numbers(cells)
    if numbers is not None:
        values = floats(text.expand(numbers))
        if np.isnan(values).all():
            return Column(raw.name, "ignored", raw.data, (notes.no_value(),))
        return _numeric(raw.name, values, (*raw.notes, *lost_digits(raw, values)), row_numbers)
    days, layout = find_dates(cells)
    if days is not None:
        return Column(raw.name, "date", floats(text.expand(series_of(days))), raw.notes, layout)
    remarks = raw.notes
    if layout == "ambiguous":
        remarks = (notes.ambiguous_dates(first_of(cells)),)
    elif not remarks and (moment := _moments(text, MOMENT)) is not None:
        remarks = (notes.moments_as_text(moment),)
    elif not remarks:
        remarks = _nearly_numbers(raw.name, text, row_numbers)
        if not remarks and (day := _moments(text, DAY)) is not None:
            remarks = (notes.moments_as_text(day),)
    return replace(_categorical(raw.name, text.labels(), remarks, cells), codes=text.label_codes)


def _moments(text: Distinct, pattern: str) -> str | None:
    """The first cell of a column most of which follow a pattern of moments, as does that cell."""
    first = first_of(text.cells)
    if first is None or re.match(pattern, first) is None:
        return None
    return first if text.count(text.cells.str.contains(pattern)) > (1 - MOST_BAD) * text.present else None


def _nearly_numbers(name: str, text: Distinct, row_numbers: np.ndarray | None) -> tuple[Note, ...]:
    """A remark on a column of text which nearly holds numbers; `InputError` where only a few cells are no numbers, or
    no dates, and reading the column as text would lose what the others are."""
    cells = text.cells
    numbers = numbers_in(cells)
    wrong = cells.is_not_null() & numbers.is_null()
    some = numbers.null_count() < len(numbers)  # rows are counted where there is something to weigh
    few = some and text.present > 4 and text.count(wrong) <= MOST_BAD * text.present
    if few:
        values = floats(numbers.drop_nulls())
        quantity = len(np.unique(values)) > FEW or bool((values != np.floor(values)).any())
        if quantity or cells.filter(wrong).str.contains(ERROR).any():
            raise bad_cells("column", name, "numbers", text.expand(cells), text.expand(wrong), row_numbers)
    elif (no_dates := _nearly_dates(text)) is not None:
        raise bad_cells("column", name, "dates", text.expand(cells), text.expand(no_dates), row_numbers)
    words = cells.str.to_lowercase().is_in(["true", "false"])
    if words.any() and text.present > 4 and text.count(~words) <= MOST_BAD * text.present:
        return (notes.beside_truth(*_example(text, ~words, row_numbers)),)
    if len(cells.unique()) > FEW and two_units(cells) is not None:
        raise of_two_units("column", name, text.expand(cells), row_numbers)
    units = wrong & cells.str.contains(UNIT) & ~cells.str.contains("^0[xXbBoO]")
    if units.any() and text.count(units) > 0.9 * text.count(wrong) and text.count(wrong) > text.present / 2:
        example, row = _example(text, wrong, row_numbers)
        odd = cells.filter(wrong)
        if len(odd) > MANY and odd.n_unique() > MANY:
            raise InputError(
                f"column {name!r} holds numbers with a unit, such as {shown_value(example)} in row {row}, which cannot "
                "be read as numbers. Write the numbers alone, or leave the column out",
                Remedy(": ", Setting("ignore", name)),
                ".",
            )
        return (notes.with_unit(example, row),)
    nearly = wrong & cells.str.contains(NEARLY)
    if not (some or nearly.any()) or text.count(wrong & ~nearly) >= text.present / 2:
        return ()
    example, row = _example(text, wrong, row_numbers)
    return (notes.not_plain_numbers(example, row if few else None),)


def of_two_units(what: str, name: str, cells: pl.Series, row_numbers: np.ndarray | None) -> InputError:
    """The error of a column of numbers with different signs of units, of which `two_units` tells."""
    one, other = two_units(cells) or (0, 0)
    rows = [k + 1 if row_numbers is None else int(row_numbers[k]) + 1 for k in (one, other)]
    remedy = () if what != "column" else (Remedy(", or leave the column out: ", Setting("ignore", name)),)
    return InputError(
        f"{what} {name!r} holds numbers in more than one unit: {shown_value(cells[one])} in row {rows[0]} and"
        f" {shown_value(cells[other])} in row {rows[1]}. Write all in one, such as plain numbers",
        *remedy,
        ".",
    )


def _example(text: Distinct, wrong: pl.Series, row_numbers: np.ndarray | None) -> tuple[str, int]:
    """The first of the wrong cells, and its row."""
    where = text.expand(wrong).fill_null(False)
    return str(text.rows.filter(where)[0]).strip(), _row(where, row_numbers)


def _nearly_dates(text: Distinct) -> pl.Series | None:
    """True for the few cells that are no dates in a column of dates; None where it is no such column."""
    import polars as pl

    head = text.cells.drop_nulls().head(20)
    for layout, pattern in PATTERNS.items():
        if head.str.contains(pattern).sum() < len(head) / 2 or text.present <= 4:
            continue
        wrong = pl.Series(np.isnan(days_in(text.cells, layout))) & text.cells.is_not_null()
        if text.count(wrong) <= MOST_BAD * text.present:
            return wrong
    return None


def bad_cells(
    what: str, name: str, held: str, cells: pl.Series, wrong: pl.Series, row_numbers: np.ndarray | None, more: Any = ()
) -> InputError:
    """The error of a column of numbers (or dates) that holds a few other cells, with the remedy."""
    wrong = wrong.fill_null(False)
    texts = cells.filter(wrong).unique(maintain_order=True).to_list()
    others = f" and {int(wrong.sum()) - 1} more" if int(wrong.sum()) > 1 else ""
    remedy = Remedy(", or say that it stands for a missing value: ", Setting("missing", ",".join(texts)))
    simple = len(texts) <= 12 and all("," not in text and len(text) <= 40 for text in texts)
    return InputError(
        f"{what} {name!r} holds {held}, but {shown_value(texts[0])} in row {_row(wrong, row_numbers)}{others}. Correct "
        "the cell",
        *((remedy,) if simple else ()),
        *more,
        ".",
    )


def _row(wrong: pl.Series, row_numbers: np.ndarray | None) -> int:
    first = int(wrong.arg_max() or 0)
    return first + 1 if row_numbers is None else int(row_numbers[first]) + 1


def _numeric(
    name: str,
    values: np.ndarray,
    remarks: tuple[Note, ...],
    row_numbers: np.ndarray | None,
    facts: NumberFacts | None = None,
) -> Column:
    if facts is None or facts.infinite:
        finite(name, values, row_numbers=row_numbers)
    rows = len(values)
    if rows > 2 and _numbers_rows(name, values):
        return Column(name, "ignored", values, (notes.counts_rows(),))
    return Column(name, "numeric", values, remarks, known=facts)


def _numbers_rows(name: str, values: np.ndarray) -> bool:
    """Whether a column by its name and its values, which all differ, is an index that came along: of rows that were
    shuffled it tells the order in which they once stood, by class perhaps."""
    unnamed = bool(re.fullmatch(r"column \d+", name))
    if not (unnamed or name.lower() in ROW_NUMBER_NAMES or re.fullmatch(r"__index_level_\d+__", name)):
        return False
    least, most = values.min(), values.max()
    whole = least >= 0 and bool((values == np.floor(values)).all())
    return whole and (most < FEW * len(values) or not unnamed) and len(np.unique(values)) == len(values)


def _categorical(name: str, cells: pl.Series, remarks: tuple[Note, ...], among: pl.Series) -> Column:
    """cells: [row]; among: every value of them, perhaps fewer times."""
    if cells.null_count() == len(cells):
        return Column(name, "ignored", cells, (notes.no_value(),))
    distinct = among.n_unique() - (among.null_count() > 0)
    if distinct > MANY and distinct > len(cells) / 2:
        differ = "nearly every value differs" if distinct < len(cells) else "every value differs"
        return Column(name, "ignored", cells, (notes.identifier(differ), *remarks))
    return Column(name, "categorical", cells, remarks)


def finite(name: str, values: np.ndarray, what: str = "column", row_numbers: np.ndarray | None = None) -> None:
    """Raise `InputError` where a column holds infinities."""
    if np.isfinite(values.sum()):  # most columns: one pass, no array
        return
    if np.isinf(np.fmin.reduce(values)) or np.isinf(np.fmax.reduce(values)):
        infinite = np.isinf(values)
        count, first = int(infinite.sum()), int(np.argmax(infinite))
        row = first + 1 if row_numbers is None else int(row_numbers[first]) + 1
        raise InputError(
            f"{what} {name!r} holds {count} infinite value{'s' if count > 1 else ''} (first in row {row}). "
            f"Replace infinities by numbers, or leave those cells empty."
        )


# --- a column whose kind is known ---------------------------------------------------------------------------------


def convert(raw: RawColumn, kind: Kind, layout: str = "", categories: Sequence[str] = ()) -> Any:
    """The values of a column that was of `kind` when it was learned: [row], as `Column.data`.

    Raises `InputError` with an example where they are of another type. Texts that are no known category come back as
    they are.
    """
    if kind == "categorical":
        return _labels(raw, categories)
    if raw.storage == "other":
        raise _differs(raw, kind, str(raw.data.drop_nulls()[0]))
    if raw.storage in ("text", "label"):
        return _from_text(raw, kind, layout)
    values = raw.values
    if kind == "date" or raw.storage == "date":
        if (kind == "date") != (raw.storage == "date") and not np.isnan(values).all():
            number = values[~np.isnan(values)][0]
            raise _differs(raw, kind, "a date" if raw.storage == "date" else f"the number {label(number)}")
        return values
    finite(raw.name, values)
    if kind == "boolean":
        _truth_values(raw, values)
    return values


def _from_text(raw: RawColumn, kind: Kind, layout: str) -> np.ndarray:
    refuse_unclear(raw)
    if kind != "date" and raw.cells is not None:
        values = floats(raw.data)
    else:
        text = Distinct.of(raw.text)
        read = _cells_of_kind(text.cells, kind, layout)
        if read is None:
            cells = text.cells
            good = _is_nan(days_in(cells, layout or "y-m-d")) if kind == "date" else numbers_in(cells).is_null()
            raise _differs(raw, kind, f"the text {shown_value(cells.filter(cells.is_not_null() & good)[0])}")
        values = floats(text.expand(read))
        if kind == "date":
            return values
    finite(raw.name, values)
    if kind == "boolean":
        _truth_values(raw, values)
    return values


def _cells_of_kind(cells: pl.Series, kind: Kind, layout: str) -> pl.Series | None:
    if kind == "date":
        for known in dict.fromkeys([layout or "y-m-d", "y-m-d", "d.m.y"]):
            days = parse_dates(cells, known)
            if days is not None:
                return series_of(days)
        return None
    truth = parse_truth(cells) if kind == "boolean" else None
    return parse_numbers(cells) if truth is None else truth


def _is_nan(values: np.ndarray) -> pl.Series:
    import polars as pl

    return pl.Series(np.isnan(values))


def label_cells(raw: RawColumn) -> pl.Series:
    """[row] String or Enum: the cells of a column that is to hold categories, as they are written."""
    import polars as pl

    if raw.storage == "other":
        raise _differs(raw, "categorical", str(raw.data.drop_nulls()[0]))
    if raw.storage == "date":
        if not raw.missing.all():
            raise _differs(raw, "categorical", "a date")
        return pl.Series([None], dtype=pl.String).new_from_index(0, len(raw))
    return identity(raw) if raw.storage in ("number", "boolean") else raw.text


def _labels(raw: RawColumn, known: Sequence[str]) -> pl.Series:
    """[row] Enum: the known categories where a cell is one of them, in whatever spelling."""
    import polars as pl

    cells = coded_by(label_cells(raw), known)
    # A known category may read like a missing value ("None" in a pandas category), so it is looked up first.
    written = cells.dtype.categories  # type: ignore[attr-defined]
    strange = written.filter(places(written, known) < 0)
    if not len(strange):
        return cells
    spelled = composed(strange).str.strip_chars()
    absent = [word for word in MISSING if word not in known]
    spelled = _respelled(pl.select(pl.when(~spelled.is_in(absent)).then(spelled)).to_series(), known)
    return renamed(cells, written.replace(strange, spelled))


def _respelled(cells: pl.Series, known: Sequence[str]) -> pl.Series:
    """Cells that are no known category, in the spelling of the one that they are in another: 1.0 for 1."""
    categories = {}
    for category, one in zip(known, one_spelling(series_of(np.array(known, object))).to_list(), strict=True):
        categories[one] = category if one not in categories else None  # two categories may be one in this spelling
    respelled = [
        cell if cell in categories.values() else categories.get(one) or cell
        for cell, one in zip(cells.to_list(), one_spelling(cells).to_list(), strict=True)
    ]
    return series_of(np.array(respelled, object))


def _truth_values(raw: RawColumn, values: np.ndarray) -> None:
    other = values[~np.isnan(values) & (values != 0) & (values != 1)]
    if other.size:
        raise _differs(raw, "boolean", f"the number {label(other[0])}")


def _differs(raw: RawColumn, kind: Kind, received: str) -> InputError:
    expected = {
        "numeric": "numbers",
        "boolean": "true or false",
        "categorical": "categories",
        "date": "dates",
    }.get(kind, kind)
    return InputError(
        f"column {raw.name!r} held {expected} when the model was trained, but here it holds {received}. Give "
        f"{expected}, or leave the cell empty where the value is missing."
    )
