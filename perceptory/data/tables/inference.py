"""The meaning of a column: found from its values (`infer`), or known already and only to be held to (`convert`)."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np

from perceptory import notes
from perceptory.data.tables.dataset import Column, Kind
from perceptory.data.tables.dates import find_dates, parse_dates
from perceptory.data.tables.table import MISSING, RawColumn, label, objects, shown_value
from perceptory.errors import InputError
from perceptory.notes import Note

MANY = 50  # categories that become features; a text column of more, most of them seen once, is an identifier
ROW_NUMBER_NAMES = frozenset(["index", "id", "row", "rownames", "row_number", "rownumber", "no", "nr", "unnamed: 0"])
NEARLY = re.compile(r"[€$£]? ?[+-]?\d[\d.,' \u00a0]*( ?[%€$£])?")  # numbers with separators or a unit
TRUTH = {"true": 1.0, "false": 0.0}


def infer(raw: RawColumn, row_numbers: np.ndarray | None = None) -> Column:
    """Say what a column holds. Text whose values are all numbers (or dates, or true and false) is read as such;
    of a table's numbers, infinite ones raise `InputError`, which names the row by `row_numbers` [row], from 0."""
    if raw.storage == "other":
        return Column(raw.name, "ignored", raw.values, raw.notes)
    if raw.storage == "label":
        return _categorical(raw.name, raw.values, raw.notes)
    if raw.storage == "text":
        return _text(raw, row_numbers)
    if np.isnan(raw.values).all():
        return Column(raw.name, "ignored", raw.values, (notes.no_value(),))
    if raw.storage == "number":
        return _numeric(raw.name, raw.values, raw.notes, row_numbers)
    kind: Kind = "boolean" if raw.storage == "boolean" else "date"
    return Column(raw.name, kind, raw.values, raw.notes)


def _text(raw: RawColumn, row_numbers: np.ndarray | None) -> Column:
    numbers = parse_numbers(raw.values)  # most columns are plain numbers: try that before taking off all spaces
    if numbers is not None and not np.isnan(numbers).all():
        return _numeric(raw.name, numbers, raw.notes, row_numbers)
    cells = stripped(raw.values)
    present = [c for c in cells if c is not None]
    if not present:
        return Column(raw.name, "ignored", raw.values, (notes.no_value(),))
    truth = parse_truth(cells)
    if truth is not None:
        return Column(raw.name, "boolean", truth, raw.notes)
    numbers = parse_numbers(cells)
    if numbers is not None:
        return _numeric(raw.name, numbers, raw.notes, row_numbers)
    days, layout = find_dates(cells)
    if days is not None:
        return Column(raw.name, "date", days, raw.notes, layout)
    remarks = raw.notes
    if layout == "ambiguous":
        remarks = (notes.ambiguous_dates(present[0]),)
    else:
        sample = present[:1000]
        wrong = [c for c in sample if parse_numbers([c]) is None]
        if sum(NEARLY.fullmatch(c) is None for c in wrong) < len(sample) / 2:
            example = (wrong or [c for c in present if parse_numbers([c]) is None])[0]
            remarks = (notes.not_plain_numbers(example),)
    return _categorical(raw.name, objects(cells), remarks)


def _numeric(name: str, values: np.ndarray, remarks: tuple[Note, ...], row_numbers: np.ndarray | None) -> Column:
    finite(name, values, row_numbers=row_numbers)
    rows = len(values)
    unnamed = re.fullmatch(r"column \d+", name) or name.lower() in ROW_NUMBER_NAMES
    if unnamed and rows > 2 and values[0] in (0, 1) and bool((np.diff(values) == 1).all()):
        return Column(name, "ignored", values, (notes.counts_rows(),))
    return Column(name, "numeric", values, remarks)


def _categorical(name: str, values: np.ndarray, remarks: tuple[Note, ...]) -> Column:
    present = [v for v in values if v is not None]
    if not present:
        return Column(name, "ignored", values, (notes.no_value(),))
    distinct = len(set(present))
    if distinct > MANY and distinct > len(values) / 2:
        differ = "nearly every value differs" if distinct < len(values) else "every value differs"
        return Column(name, "ignored", values, (notes.identifier(differ), *remarks))
    return Column(name, "categorical", values, remarks)


def finite(name: str, values: np.ndarray, what: str = "column", row_numbers: np.ndarray | None = None) -> None:
    """Raise `InputError` where a column holds infinities."""
    infinite = np.isinf(values)
    if infinite.any():
        count, first = int(infinite.sum()), int(np.argmax(infinite))
        row = first + 1 if row_numbers is None else int(row_numbers[first]) + 1
        raise InputError(
            f"{what} {name!r} holds {count} infinite value{'s' if count > 1 else ''} (first in row {row}). "
            f"Replace infinities by numbers, or leave those cells empty."
        )


# --- text ---------------------------------------------------------------------------------------------------------


def stripped(values: Sequence[str | None] | np.ndarray) -> list[str | None]:
    """Texts without the spaces around them; None for those that stand for a missing value."""
    return [None if v is None or (cell := v.strip()) in MISSING else cell for v in values]


def parse_numbers(cells: Sequence[str | None] | np.ndarray) -> np.ndarray | None:
    """Numbers as Python writes them ("-1.5e3", "inf"), NaN for what is missing; None where a text is not a number."""
    present: list[str] = [c for c in cells if c is not None and c not in MISSING]
    try:
        numbers = np.fromiter(map(float, present), np.float64, len(present))
    except ValueError:
        return None
    joined = "".join(present)
    if "_" in joined or not joined.isascii():  # float() takes 1_000 and ٣
        return None
    if len(present) == len(cells):
        return numbers
    values = np.full(len(cells), math.nan)
    values[[c is not None and c not in MISSING for c in cells]] = numbers
    return values


def parse_truth(cells: Sequence[str | None]) -> np.ndarray | None:
    """1 for true, 0 for false (in any case), NaN for None; None where a text is neither."""
    first = next((c for c in cells if c is not None), "true")
    if first.lower() not in TRUTH or not {c.lower() for c in cells if c is not None} <= TRUTH.keys():
        return None
    return np.array([math.nan if c is None else TRUTH[c.lower()] for c in cells], dtype=np.float64)


# --- a column whose kind is known ---------------------------------------------------------------------------------


def convert(raw: RawColumn, kind: Kind, layout: str = "", categories: Sequence[str] = ()) -> np.ndarray:
    """The values of a column that was of `kind` when it was learned: [row], as `Column.values`.

    Raises `InputError` with an example where they are of another type. Texts that are no known category come back as
    they are.
    """
    if kind == "categorical":
        return _labels(raw, frozenset(categories))
    if raw.storage == "other":
        raise _differs(raw, kind, shown_value(next(v for v in raw.values if v is not None)))
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
    cells = stripped(raw.values)
    if kind == "date":
        for known in dict.fromkeys([layout or "y-m-d", "y-m-d", "d.m.y"]):
            days = parse_dates(cells, known)
            if days is not None:
                return days
        bad = next(c for c in cells if c is not None and parse_dates([c], layout or "y-m-d") is None)
        raise _differs(raw, kind, f"the text {shown_value(bad)}")
    truth = parse_truth(cells) if kind == "boolean" else None
    values = truth if truth is not None else parse_numbers(cells)
    if values is None:
        bad = next(c for c in cells if c is not None and parse_numbers([c]) is None)
        raise _differs(raw, kind, f"the text {shown_value(bad)}")
    finite(raw.name, values)
    if kind == "boolean":
        _truth_values(raw, values)
    return values


def _labels(raw: RawColumn, known: frozenset[str]) -> np.ndarray:
    if raw.storage == "other":
        raise _differs(raw, "categorical", shown_value(next(v for v in raw.values if v is not None)))
    if raw.storage == "date" and not np.isnan(raw.values).all():
        raise _differs(raw, "categorical", "a date")
    if raw.storage == "boolean":
        return objects(None if v != v else label(bool(v)) for v in raw.values)
    if raw.storage in ("number", "date"):
        return objects(None if v != v else label(v) for v in raw.values)
    # A known category may read like a missing value ("None" in a pandas category), so it is looked up first.
    cells = (v if v is None or v in known else v.strip() for v in raw.values)
    return objects(None if c in MISSING and c not in known else c for c in cells)


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
