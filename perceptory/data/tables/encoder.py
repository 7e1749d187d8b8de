"""From columns to network inputs, by a plan that is learned once, from the study rows, and written to a file."""

from __future__ import annotations

import dataclasses
import math
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, get_args

import numpy as np

from perceptory.data.ahead import on_all_cores
from perceptory.data.model_inputs import ModelInputs
from perceptory.data.tables.cells import PLAIN, Reading, reading_of
from perceptory.data.tables.column import Column, Kind
from perceptory.data.tables.column_plan import MOST_PLACES, OTHER, PERIODS, ColumnPlan, counted_labels, plan_columns
from perceptory.data.tables.dataset import Dataset
from perceptory.data.tables.dates import PATTERNS
from perceptory.data.tables.features import Features
from perceptory.data.tables.inference import convert
from perceptory.data.tables.lost_digits import lost_digits
from perceptory.data.tables.single_row import Place, encode_row, named_row, places_of, row_of
from perceptory.data.tables.sources import as_table
from perceptory.data.tables.table import RawColumn, Storage, Table, listed
from perceptory.errors import InputError
from perceptory.notes import Note, NoteWarning, auxiliary_target, columns_not_used, digits_lost, unseen_categories
from perceptory.registry import did_you_mean

_STORAGE: dict[str, Storage] = {"numeric": "number", "boolean": "boolean", "categorical": "label", "date": "date"}
_TYPES = {"str": str, "Kind": str, "bool": bool, "int": int, "float": float, "tuple[str, ...]": list}


@dataclass(frozen=True)
class Encoder:
    """Makes network inputs [row, in] of a table, the same way for study rows and for any row that comes later.

    A number stays as it is; a category becomes one 0/1 feature for each of the most frequent categories: at most 50,
    and of more those with five study rows or more, as far as all columns together have no more than 1,000; a date
    becomes days and phases of year, week and day. Columns that miss values in the study rows get one more feature, 1
    where the value is missing. A missing number is NaN in the result, to be filled with a mean by whoever knows the
    training rows; a missing, rare or unseen category is 0 in all its features.
    """

    columns: tuple[ColumnPlan, ...]
    target_names: tuple[str, ...] = ()
    reading: Reading = PLAIN

    @classmethod
    def fit(cls, dataset: Dataset) -> Encoder:
        """Learn from the study rows. Raises `InputError` where no column carries information."""
        encoder = cls(plan_columns(dataset.columns, dataset.rows), dataset.target_names, dataset.reading)
        if not encoder.feature_names:
            reasons = "; ".join(f"{p.name!r} is {p.describe()['made']}" for p in encoder.columns[:5])
            raise InputError(
                f"no feature is left to learn from ({reasons or 'there are no columns besides the target'}). Add input "
                "columns that vary."
            )
        return encoder

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the features [in], in their order."""
        return tuple(name for plan in self.columns for name in plan.features)

    @property
    def kinds(self) -> tuple[int, ...]:
        """Of each feature 0 for a number, -1 for 0 or 1, n for one value of the n-th column of categories."""
        kinds: list[int] = []
        groups = 0
        for plan in self.columns:
            values = len(plan.features) - plan.missing
            grouped = plan.kind == "categorical" and values > 0
            groups += grouped
            kinds += [groups if grouped else -1 if plan.kind == "boolean" else 0] * values + [-1] * plan.missing
        return tuple(kinds)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one row's features: (in,)."""
        return (len(self.feature_names),)

    def transform(self, source: Any) -> np.ndarray:
        """Inputs [row, in] float64 of a file, data frame, array, `Table` or `Dataset`, or a dict of one row's values.

        Columns are found by name, whatever their order; other columns are left aside (`notes_for` tells which). An
        array without names needs all input columns in the order of the training table. Raises `InputError` for missing
        columns, columns of another type and infinite values.
        """
        single = self.one(source)
        if single is not None:
            return single
        return self.features(source).dense()

    def features(self, source: Any) -> Features:
        """What `transform` gives, made when it is asked for; features that are made already come back."""
        if isinstance(source, Features):
            return source
        digits: list[Note] = []
        parts = self.values_of(source, digits)
        dates = {c.name: c for c in source.columns if c.kind == "date"} if isinstance(source, Dataset) else {}
        known = {p.name: dates[p.name].facts for p, v in parts if p.name in dates and v is dates[p.name].data}
        return Features(parts, known=known, digits=tuple(digits))

    def batches(self, source: Any, rows: int) -> Iterator[ModelInputs]:
        """As `examples`, at most `rows` rows at a time, so that no more of them are in memory at once."""
        single = self.one(source)
        if single is not None:
            yield ModelInputs(single, None, np.zeros(1, np.int64))
            return
        features = self._told(source)
        for start in range(0, features.rows, rows):
            at = slice(start, min(start + rows, features.rows))
            yield ModelInputs(features.dense(at), None, np.arange(at.start, at.stop))

    def many(self, source: Any) -> Features | None:
        """The features of what `batches` takes, with its warnings; None where it has no rows."""
        features = self._told(source)
        return features if features.rows else None

    def _told(self, source: Any) -> Features:
        """The features, with warnings of what is unseen, unless they come as such: who makes them tells of them."""
        features = self.features(source)
        if features is not source:
            self.tell_unseen(source, features)
        return features

    def one(self, source: Any) -> np.ndarray | None:
        """Inputs [1, in] of a source that is one plain row, else None."""
        row = row_of(self._named(source)) if self.reading == PLAIN else None
        return None if row is None else encode_row(row, self._places)

    @cached_property
    def _places(self) -> list[Place]:
        return places_of(self.columns)

    def values_of(self, source: Any, digits: list[Note] | None = None) -> list[tuple[ColumnPlan, np.ndarray]]:
        """Of each column that is used: its plan, and the values that features are made of. digits: takes a note on each
        column of a source with other rows than the study's whose numbers have lost some."""
        used = [plan for plan in self.columns if plan.used]
        known = {c.name: c for c in source.columns} if isinstance(source, Dataset) else {}
        as_they_are = all(p.name in known and known[p.name].kind == p.kind for p in used)
        table = {} if as_they_are else self._match(source)

        def part(plan: ColumnPlan) -> tuple[ColumnPlan, np.ndarray]:
            if as_they_are and plan.kind != "categorical":
                return plan, known[plan.name].data
            found = plan.places_in(known[plan.name]) if as_they_are else None
            if found is None:
                found = plan.values(_raw(known[plan.name]) if as_they_are else table[plan.name])
            if digits is not None and plan.kind == "numeric" and not as_they_are:
                lost = lost_digits(table[plan.name], found)
                digits.extend(digits_lost(plan.name, **note.facts, role="new") for note in lost)
            return plan, found

        return on_all_cores(part, used, len((known or table)[used[0].name]))

    def examples(self, source: Any) -> ModelInputs:
        """Inputs of whatever `transform` takes, no lengths, and row numbers [row] from 0."""
        inputs = self.transform(source)
        return ModelInputs(inputs, None, np.arange(len(inputs), dtype=np.int64))

    def notes_for(self, source: Any, features: Features | None = None) -> tuple[Note, ...]:
        """What `transform` leaves aside: columns it does not know, categories that the study rows did not have, and
        digits of whole numbers. features: of the source, where they are made already."""
        table = self._table(source)
        notes: list[Note] = []
        known = {plan.name for plan in self.columns} | set(self.target_names)
        extra = [name for name in table.names if name not in known]
        if extra and table.named:
            notes.append(columns_not_used(extra))
        columns = self._match(table)
        features = self.features(table) if features is None else features
        notes += features.digits
        for plan, places in features.parts:
            if plan.kind == "categorical" and not plan.rare and (places == OTHER).any():
                values = convert(columns[plan.name], plan.kind, plan.layout, plan.categories)
                unseen = {name: count for name, count in counted_labels(values).items() if name not in plan.categories}
                if unseen:
                    notes.append(unseen_categories(plan.name, sum(unseen.values()), sorted(unseen)))
        return tuple(notes)

    def tell_unseen(self, source: Any, features: Features) -> None:
        """Warn of categories that the study rows did not have, and of digits that are lost; features: of the source."""
        for note in features.digits:
            warnings.warn(NoteWarning(note), stacklevel=2)
        columns = (places for plan, places in features.parts if plan.kind == "categorical" and not plan.rare)
        if any((places == OTHER).any() for places in columns):
            for note in self.notes_for(source, features):
                if unseen_categories.describes(note):
                    warnings.warn(NoteWarning(note), stacklevel=2)

    def describe(self) -> list[dict[str, str]]:
        """What became of each input column: dicts of "name", "kind", "made" and "note"."""
        return [plan.describe() for plan in self.columns]

    def _match(self, source: Any) -> dict[str, RawColumn]:
        table = self._table(source)
        if not table.named:
            plans = self.columns
            if len(table.columns) != len(plans):  # an auxiliary target need not be there in use
                plans = tuple(p for p in plans if not any(auxiliary_target.describes(note) for note in p.notes))
            if len(table.columns) != len(plans):
                raise InputError(
                    f"an array without column names needs the {len(plans)} input columns of training in their "
                    f"order, got {len(table.columns)} columns. Expected: {listed(p.name for p in plans)}."
                )
            return {p.name: dataclasses.replace(c, name=p.name) for p, c in zip(plans, table.columns, strict=True)}
        table.needs((plan.name for plan in self.columns if plan.used), "the model needs")
        # Columns of one name were told apart by their order in training, so they are here.
        known = {re.sub(r"\.\d+$", "", plan.name) for plan in self.columns if plan.name.count(".")}
        return {p.name: table.column(p.name, clear=p.name not in known) for p in self.columns if p.used}

    def _table(self, source: Any) -> Table:
        if isinstance(source, Dataset):
            return Table(tuple(_raw(c) for c in source.columns), source.rows)
        reading = None if self.reading == PLAIN else self.reading
        return as_table(self._named(source), reading=reading, as_text=self.texts)

    def _named(self, source: Any) -> Any:
        return named_row(source, [plan.name for plan in self.columns])

    @property
    def texts(self) -> list[str]:
        """Names of the columns whose texts are asked for."""
        return [plan.name for plan in self.columns if plan.used and plan.kind in ("categorical", "date")]

    # --- JSON ---------------------------------------------------------------------------------------------------

    def to_json(self) -> dict[str, Any]:
        """Plain JSON data; `from_json` reads it back."""
        columns = []
        for plan in self.columns:
            entry = {f.name: getattr(plan, f.name) for f in dataclasses.fields(plan)}
            entry["notes"] = [note.to_json() for note in plan.notes]
            columns.append({k: list(v) if isinstance(v, tuple) else v for k, v in entry.items()})
        return {"columns": columns, "target_names": list(self.target_names), "reading": self.reading.to_json()}

    @classmethod
    def from_json(cls, data: Any) -> Encoder:
        """Read `to_json`'s data. Unknown or missing keys and values of other types raise `InputError`."""
        _keys(data, {"columns", "target_names", "reading"}, "the table description")
        if not isinstance(data["columns"], list):
            raise InputError("the table description needs a list of columns. Is this a file that perceptory wrote?")
        encoder = cls(
            tuple(_plan_from_json(entry) for entry in data["columns"]),
            _texts(data["target_names"], "targets"),
            reading_from_json(data["reading"]),
        )
        names = [plan.name for plan in encoder.columns]
        if len(set(names)) != len(names) or not encoder.feature_names:
            raise InputError("the table description has a column twice, or no feature. It was altered.")
        return encoder


def _raw(column: Column) -> RawColumn:
    return RawColumn(column.name, _STORAGE.get(column.kind, "other"), column.data)


def _keys(data: Any, expected: set[str], what: str) -> None:
    if not isinstance(data, dict):
        raise InputError(f"{what} needs an object, got {str(data)[:40]!r}. Is this a file that perceptory wrote?")
    for key in data:
        if key not in expected:
            raise InputError(f"{what} has an unknown key {key!r}.{did_you_mean(key, expected)} It was altered.")
    for key in sorted(expected - data.keys()):
        raise InputError(f"{what} lacks the key {key!r}. It was altered or is not complete.")


def _texts(value: Any, what: str) -> tuple[str, ...]:
    if not isinstance(value, Sequence) or isinstance(value, str) or not all(isinstance(v, str) for v in value):
        raise InputError(f"{what} needs a list of texts, got {str(value)[:40]!r}. The description was altered.")
    return tuple(value)


def _notes(value: Any) -> tuple[Note, ...]:
    if not isinstance(value, list):
        raise InputError(f"the notes of a column need a list, got {str(value)[:40]!r}. The description was altered.")
    return tuple(Note.from_json(note) for note in value)


def reading_from_json(data: Any) -> Reading:
    """Read what `to_json` says of how cells are written. Raises `InputError` for anything else."""
    data = {"usual": ""} | data if isinstance(data, dict) else data  # files of before it was found lack it
    _keys(data, {"missing", "decimal", "thousands", "usual"}, "the description of how cells are written")
    marks = {name: data[name] for name in ("decimal", "thousands")}
    if not all(isinstance(mark, str) for mark in marks.values()) or data["usual"] not in ("", ",", "."):
        raise InputError("the description of how cells are written needs marks of numbers as texts. It was altered.")
    marks = {name: mark or None for name, mark in marks.items()}
    reading = reading_of(_texts(data["missing"], "missing"), **marks)
    return dataclasses.replace(reading, usual=data["usual"])


def _plan_from_json(data: Any) -> ColumnPlan:
    fields = {f.name: str(f.type) for f in dataclasses.fields(ColumnPlan)}
    data = {"unit": ""} | data if isinstance(data, dict) else data  # files of before it was found lack it
    _keys(data, set(fields), "the description of a column")
    values: dict[str, Any] = {}
    for name, kind in fields.items():
        if name == "notes":
            values[name] = _notes(data[name])
            continue
        value, expected = data[name], _TYPES[kind]
        if expected is float and type(value) is int:
            value = float(value)
        if type(value) is not expected or (isinstance(value, float) and not math.isfinite(value)):
            raise InputError(
                f"the description of a column needs {expected.__name__} in {name!r}, got {str(value)[:40]!r}."
            )
        values[name] = _texts(value, name) if expected is list else value
    plan = ColumnPlan(**values)
    known = (
        plan.kind in get_args(Kind)
        and set(plan.periods) <= PERIODS.keys()
        and (not plan.layout or plan.layout in PATTERNS)
        and len(set(plan.categories)) == len(plan.categories)
        and not (plan.used and plan.kind == "ignored")
        and plan.rare >= 0
        and len(plan.categories) <= MOST_PLACES
    )
    if not known:
        raise InputError(f"the description of column {plan.name!r} does not fit together. It was altered.")
    return plan
