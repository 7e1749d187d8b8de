"""Examples of which single columns are exchanged for other values, to see what a model makes of that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import numpy as np

from perceptory.data import ArrayDataset, Dataset
from perceptory.data.tables.column_plan import OTHER, ColumnPlan
from perceptory.data.tables.features import Features
from perceptory.data.tables.like import read_like
from perceptory.data.tables.table import label
from perceptory.errors import InputError
from perceptory.models.averages import mean_of


@dataclass(frozen=True, eq=False)
class Judged:
    """Examples with what came of them. truth: [row, ..., target] numbers or [row] index of the model's classes.
    weights: [row], or [row, time] of a target a step."""

    columns: TableColumns | Channels
    truth: np.ndarray
    weights: np.ndarray

    @property
    def rows(self) -> int:
        return len(self.truth)

    def weighted(self) -> Judged:
        """Those that count."""
        of_row = self.weights if self.weights.ndim == 1 else self.weights.sum(axis=1)
        return self if np.all(of_row > 0) else self.take(np.flatnonzero(of_row > 0))

    def take(self, rows: np.ndarray) -> Judged:
        return Judged(self.columns.take(rows), self.truth[rows], self.weights[rows])


@dataclass(frozen=True, eq=False)
class TableColumns:
    """Columns of a table as a model takes them: a category or a date, with all of its features, is one."""

    parts: Sequence[tuple[ColumnPlan, np.ndarray]]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(plan.name for plan, _ in self.parts)

    def take(self, rows: np.ndarray) -> TableColumns:
        return TableColumns([(plan, values[rows]) for plan, values in self.parts])

    def shuffled(self, places: Sequence[int], donors: np.ndarray) -> TableColumns:
        """Those of the given places with the values of other rows: donors [row]."""
        return self.with_values({k: self.parts[k][1][donors] for k in places})

    def with_values(self, new: Mapping[int, np.ndarray]) -> TableColumns:
        """The columns of some places with other values [row]."""
        return TableColumns([(plan, new.get(k, values)) for k, (plan, values) in enumerate(self.parts)])

    def predicted(self, model: Any) -> np.ndarray:
        """[row, target] numbers or [row, class] probabilities."""
        return np.asarray(mean_of(model, model.members(Features(list(self.parts)))))

    def numbers(self, place: int) -> np.ndarray | None:
        """[row] float64, NaN where missing; None of categories."""
        plan, values = self.parts[place]
        return None if plan.kind == "categorical" else np.asarray(values, np.float64)

    def codes(self, place: int) -> np.ndarray:
        """[row] of categories: place in `categories`, below 0 for a missing, rare or unseen one."""
        return np.asarray(self.parts[place][1])

    def categories(self, place: int) -> tuple[str, ...]:
        """Names of the categories; of truth values, which are numbers, ()."""
        plan = self.parts[place][0]
        return plan.categories if plan.kind == "categorical" else ()

    def kind(self, place: int) -> str:
        """ "numeric", "boolean", "date" or "categorical"."""
        return self.parts[place][0].kind


@dataclass(frozen=True, eq=False)
class Channels:
    """Channels of series or of plain arrays [row, ..., channel]; what is made of one column is exchanged together.

    groups: name of a column -> places of its channels. lengths: [row] of series, or None.
    """

    inputs: np.ndarray
    groups: Mapping[str, tuple[int, ...]]
    lengths: np.ndarray | None = None

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.groups)

    def take(self, rows: np.ndarray) -> Channels:
        lengths = None if self.lengths is None else self.lengths[rows]
        return replace(self, inputs=np.asarray(self.inputs[rows]), lengths=lengths)

    def shuffled(self, places: Sequence[int], donors: np.ndarray) -> Channels:
        """As of a table: of series the whole course of a column comes from another one."""
        names = self.names
        channels = [c for k in places for c in self.groups[names[k]]]
        inputs = np.array(self.inputs)
        inputs[..., channels] = inputs[donors][..., channels]
        return replace(self, inputs=inputs)

    def with_values(self, new: Mapping[int, np.ndarray]) -> Channels:
        inputs, names = np.array(self.inputs, np.float64), self.names
        for k, values in new.items():
            inputs[:, self.groups[names[k]][0]] = values
        return replace(self, inputs=inputs)

    def predicted(self, model: Any) -> np.ndarray:
        return np.asarray(mean_of(model, model.members_of(self.inputs, self.lengths)))

    def numbers(self, place: int) -> np.ndarray | None:
        """[row] float64 of a plain array; None where a row has more than one number of the column."""
        channels = self.groups[self.names[place]]
        if self.inputs.ndim != 2 or len(channels) > 1:
            return None
        return np.asarray(self.inputs[:, channels[0]], np.float64)

    def codes(self, place: int) -> np.ndarray:
        return np.full(len(self.inputs), OTHER)

    def categories(self, place: int) -> tuple[str, ...]:
        return ()

    def kind(self, place: int) -> str:
        return "numeric"


def judged(model: Any, data: Any) -> Judged:
    """The examples of `data` as the model takes them, with their targets.

    data: a `Dataset` or `ArrayDataset`; for a model of a table any table that holds the target column as well.
    `InputError` where there is no target, or no column that could be exchanged.
    """
    if model.task == "autoencode":
        raise InputError(
            "an autoencoder has no target whose error could rise. What it loses of each column is in its summary."
        )
    kind = getattr(model.encoder, "kind", "table")
    if kind == "image":
        raise InputError(
            "importance is of columns, and a model of images has none: a single pixel means something else in each"
            " picture."
        )
    if isinstance(data, ArrayDataset):
        return _of_arrays(model, data)
    if kind != "table":
        raise InputError(
            f"a model of {kind if kind == 'series' else 'arrays'} needs examples with their targets, got a"
            f" {type(data).__name__}. Give what read_{'series' if kind == 'series' else 'arrays'} returns."
        )
    data = with_targets(model, data)
    _check_same(model, data)
    encoder = model.encoder
    weights = np.ones(data.rows) if data.weights is None else data.weights
    return Judged(TableColumns(encoder.values_of(data)), _truth(model, data), weights)


def with_targets(model: Any, data: Any) -> Dataset:
    """A table with the target's column, read as the study's was."""
    if isinstance(data, Dataset):
        return data
    classes = None if model.classes is None else tuple(label(c) for c in model.classes)
    like: Any = SimpleNamespace(
        encoder=model.encoder, target_names=model.targets, task=model.task, classes=classes,
        class_values=model.classes, reading=model.encoder.reading,
    )  # fmt: skip
    return read_like(data, like)


def _check_same(model: Any, data: Any) -> None:
    if (data.classes is None) != (model.classes is None) or tuple(data.target_names) != tuple(model.targets):
        raise InputError(
            f"the model predicts {', '.join(model.targets)} ({model.task}), and the data have the target"
            f" {', '.join(data.target_names) or 'none'} ({data.task}). Read them alike."
        )


def _of_arrays(model: Any, data: ArrayDataset) -> Judged:
    kind = getattr(model.encoder, "kind", "table")
    if data.kind != kind:
        raise InputError(f"the model is of the kind {kind!r}, and the data of the kind {data.kind!r}. Read them alike.")
    _check_same(model, data)
    if data.lengths is not None and np.ptp(data.lengths):
        raise InputError(
            "series of different lengths cannot lend each other their values. Give those of one length, or windows."
        )
    weights = np.ones(data.targets.shape[:-1] if data.targets.ndim == 3 else data.rows)
    weights = weights if data.weights is None else data.weights
    return Judged(Channels(data.inputs, _columns_of(model.encoder), data.lengths), _truth(model, data), weights)


def _columns_of(encoder: Any) -> dict[str, tuple[int, ...]]:
    """Name of a column -> its channels: those of a column that is known ahead stand beside its own."""
    names: tuple[str, ...] = encoder.feature_names
    beside = None if encoder.plan is None else encoder.plan.beside
    groups: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        column = name
        if beside is not None and name in beside.ahead:
            column = name.rsplit(" ", 2)[0]  # "promotion 12 ahead"
        elif beside is not None:
            column = next((one.name for one in beside.static if name in one.channels), name)
        groups.setdefault(column, []).append(place)
    return {name: tuple(places) for name, places in groups.items()}


def _truth(model: Any, data: Any) -> np.ndarray:
    """Targets as the model counts them."""
    if model.classes is None:
        return data.targets
    known = {label(c): k for k, c in enumerate(model.classes)}
    new = [c for c in data.classes if c not in known]
    if new:
        raise InputError(f"the data hold classes that the model has not learned: {', '.join(new[:5])}.")
    return np.array([known[c] for c in data.classes])[data.targets]
