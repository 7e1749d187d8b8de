"""The raw columns of a table as inputs of a graph, and the network's inputs made of them, as the encoder makes them.

A number or a truth value is a double, NaN where it is missing; a category is a text, "" where it is missing; a date is
its microseconds since 1970-01-01 as a whole number, the least of its 64 bits where it is missing: what NumPy's
datetime64[us] holds. Categories that differ in spelling alone ("1.0" for 1, " red") are listed beside their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi
from typing import Any

import numpy as np

from perceptory.data.tables.column_plan import PERIODS
from perceptory.data.tables.dates import DAY
from perceptory.data.tables.table import MISSING
from perceptory.errors import InputError
from perceptory.export.graph import Builder

NO_DATE = np.iinfo(np.int64).min  # NumPy's NaT
ML = "ai.onnx.ml"
TYPES = {"categorical": "string", "date": "int64", "numeric": "double", "boolean": "double"}
MEANING = {
    "numeric": "NaN where it is missing",
    "boolean": "1 for true, 0 for false, NaN where it is missing",
    "categorical": "the category, '' where it is missing",
    "date": "microseconds since 1970-01-01 UTC, -9223372036854775808 where it is missing",
}


@dataclass(frozen=True)
class Features:
    """Some network inputs. name: tensor [row, feature] of the graph's numbers, its center taken off. places: of the
    features among all inputs."""

    name: str
    places: list[int]


def used_columns(encoder: Any) -> list[Any]:
    """Plans of the columns that the graph has an input for."""
    return [plan for plan in encoder.columns if plan.used]


def describe(encoder: Any) -> list[dict[str, str]]:
    """Of each input of the graph its name, what the column held, the tensor's type, and how a value is written."""
    return [
        {"name": p.name, "kind": p.kind, "type": TYPES[p.kind], "meaning": MEANING[p.kind]}
        for p in used_columns(encoder)
    ]


def columns_as_inputs(b: Builder, encoder: Any, center: np.ndarray) -> tuple[str, list[int]]:
    """(tensor [row, in] of the network's inputs less `center` [in], places that may be NaN)."""
    numbers: list[tuple[str, int]] = []  # double [row, 1] tensors, and their places
    parts: list[Features] = []
    start = 0
    for plan in encoder.columns:
        if not plan.used:
            continue
        width = len(plan.features)
        places = list(range(start, start + width))
        start += width
        if plan.kind == "categorical":
            parts.append(_category(b, plan, encoder.reading.missing, center[places], places))
            continue
        if plan.missing:
            parts.append(_whether_missing(b, plan, center[places[-1]], places[-1]))
        if plan.value:
            numbers += zip(_numbers(b, plan), places, strict=False)
    may_miss = [place for _, place in numbers]
    if numbers:
        together = b.concat([name for name, _ in numbers], 1)
        less = b.op("Sub", together, b.constant(center[may_miss], np.float64))
        parts.insert(0, Features(less if b.dtype == np.float64 else b.cast(less, b.dtype), may_miss))
    order = [place for part in parts for place in part.places]
    whole = b.concat([part.name for part in parts], 1)
    if order != sorted(order):
        whole = b.op("Gather", whole, b.integers(*np.argsort(order).tolist()), axis=1)
    return whole, may_miss


def _numbers(b: Builder, plan: Any) -> list[str]:
    """[row, 1] double tensors of a column of numbers, truth values or dates."""
    column = b.op("Unsqueeze", plan.name, b.integers(1))
    if plan.kind != "date":
        return [column]
    missing = b.op("Equal", column, b.constant(NO_DATE, np.int64))
    micros = b.where(missing, b.constant(np.nan, np.float64), b.cast(column, np.float64))
    days = b.op("Div", micros, b.constant(DAY, np.float64))
    found = [b.op("Sub", days, b.constant(plan.origin, np.float64))]
    for period in plan.periods:
        whole = b.op("Floor", days) if period == "week" else days
        turns = b.op("Div", whole, b.constant(PERIODS[period], np.float64))
        phase = b.op("Sub", turns, b.op("Floor", turns))
        angle = b.op("Mul", phase, b.constant(2 * pi, np.float64))
        # The cosine as a sine, since older runtimes have no cosine in double precision.
        later = b.op("Add", angle, b.constant(pi / 2, np.float64))
        found += [b.op("Sin", angle), b.op("Sin", later)]
    return found


def _whether_missing(b: Builder, plan: Any, center: float, place: int) -> Features:
    column = b.op("Unsqueeze", plan.name, b.integers(1))
    date = plan.kind == "date"
    missing = b.op("Equal", column, b.constant(NO_DATE, np.int64)) if date else b.op("IsNaN", column)
    flag = b.cast(missing, b.dtype)
    return Features(b.op("Sub", flag, b.constant(center)) if center else flag, [place])


def _category(b: Builder, plan: Any, absent: tuple[str, ...], center: np.ndarray, places: list[int]) -> Features:
    """One row of a table of features for each category, one for others, one where it is missing."""
    count = len(plan.categories)
    texts, rows = zip(*spellings(plan.categories, count + 1, absent).items(), strict=True)
    place = b.op(
        "LabelEncoder", plan.name, domain=ML, keys_strings=list(texts), values_int64s=list(rows), default_int64=count
    )
    table = np.zeros((count + 2, len(places)))
    if plan.value:
        table[:count, :count] = np.eye(count)
    if plan.missing:
        table[count + 1, -1] = 1
    return Features(b.op("Gather", b.constant(table - center), place, axis=0), places)


def spellings(categories: tuple[str, ...], missing: int, absent: tuple[str, ...] = ()) -> dict[str, int]:
    """Texts and the number of the category that each stands for; `missing` for those that stand for no value, such as
    the study's own, `absent`.

    Beside a category's own text there are those that the encoder takes for it: a whole number with .0 behind, truth
    values in other letters, and each of them with a space on either side.
    """
    found = {text: missing for text in (*sorted(MISSING), *absent) if text not in categories}
    others: dict[str, int] = {}
    for number, category in enumerate(categories):
        for text in _other_spellings(category):
            others[text] = -1 if others.get(text, number) != number else number
    found |= {text: number for text, number in others.items() if number >= 0 and text not in found}
    found |= {category: number for number, category in enumerate(categories)}
    spaced = {f"{before}{text}{after}": n for text, n in found.items() for before, after in ((" ", ""), ("", " "))}
    return spaced | found


def _other_spellings(category: str) -> list[str]:
    from perceptory.data.tables.cells import one_spelling
    from perceptory.data.tables.table import series_of

    guesses = [category.lower(), category.upper(), category.capitalize(), f"{category}.0", category.removesuffix(".0")]
    guesses += [f"{category}0", f"+{category}"]
    guesses = [guess for guess in dict.fromkeys(guesses) if guess and guess != category]
    spelled = one_spelling(series_of(np.array([category, *guesses], object))).to_list()
    return [guess for guess, text in zip(guesses, spelled[1:], strict=True) if text == spelled[0]]


def feeds(encoder: Any, source: Any) -> dict[str, np.ndarray]:
    """A table as the graph's inputs, by name [row]. source: whatever `Model.predict` takes. `InputError` as there."""
    arrays: dict[str, np.ndarray] = {}
    table = encoder._match(source)
    for plan in used_columns(encoder):
        raw = table[plan.name]
        arrays[plan.name] = fed(plan, raw)
    return arrays


def fed(plan: Any, raw: Any) -> np.ndarray:
    """One column as the graph's input."""
    from perceptory.data.tables.inference import convert

    if plan.kind == "categorical":
        cells = convert(raw, plan.kind, plan.layout, plan.categories)
        return np.array(["" if cell is None else cell for cell in cells.to_list()], object)
    values = np.asarray(convert(raw, plan.kind, plan.layout, plan.categories), float)
    if plan.kind != "date":
        return values
    missing = np.isnan(values)
    return np.where(missing, NO_DATE, np.round(np.where(missing, 0, values) * DAY).astype(np.int64))


def check_names(encoder: Any) -> None:
    """`InputError` where two inputs would have one name, or one has none."""
    names = [plan.name for plan in used_columns(encoder)]
    if len(set(names)) < len(names) or not all(names):
        raise InputError(
            "the model's columns need names of their own to be inputs of a graph. Rename them and train again."
        )
