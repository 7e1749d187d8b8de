"""A study's examples as numbers, and the form in which the program takes them."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from perceptory.data.ahead import on_all_cores
from perceptory.data.aligned import aligned_empty
from perceptory.data.examples import ExampleEncoder, Examples
from perceptory.data.own_targets import own_targets
from perceptory.data.series.rolled import Ahead, Rolled, values_of
from perceptory.data.series.weights import weights_of_series
from perceptory.data.tables.encoder import Encoder
from perceptory.data.tables.features import Features
from perceptory.errors import InputError, Setting
from perceptory.layers.arrays import Shape
from perceptory.objectives.table import Cost
from perceptory.studies.auxiliary import Aims
from perceptory.studies.design import Candidate
from perceptory.studies.record import MOST_SAMPLED, sampled_rows
from perceptory.studies.table_rows import row_writer, split_into
from perceptory.training.rows import AheadRows, RolledRows, Shared
from perceptory.training.size_classes import coarse_bucket, pad_first

BLOCK = 16384  # rows of a table that are made ready at once


@dataclass
class EncodedExamples:
    """The study's examples as numbers; a row of a table is one. Test examples are not in it."""

    given: Any  # `Features` of a table; or the inputs of other examples, [n, *inputs] as given
    targets: np.ndarray  # [row, out] or [n, time, out] float64: the target's units, or 0/1 a class; see `own_targets`;
    # of forecasts of numbers `Ahead`, as truth and units
    truth: np.ndarray  # what metrics take: as targets, or [row] class index
    weights: np.ndarray  # [row], or [n, time]
    task: str
    lengths: np.ndarray | None = None  # [n]: steps from there on are padding
    encoder: ExampleEncoder | None = None  # what made the inputs
    units: np.ndarray | None = None  # [n, out] of forecasts, as `ArrayDataset.units`
    shares: np.ndarray | None = None  # [n] of forecasts, what their weights in training are multiplied by
    auxiliary: Aims | None = None  # what auxiliary objectives aim at, in a study that has any
    resident: int = 0  # bytes of what stands in memory all the time while networks train
    _taken: dict[Any, Any] = field(default_factory=dict, repr=False)  # what `as_taken` has made

    @cached_property
    def inputs(self) -> np.ndarray:
        """All of them at once: of a table [row, in] float64, NaN is missing. Little needs them so."""
        return self.given.dense() if isinstance(self.given, Features) else np.asarray(self.given)

    def inputs_at(self, rows: np.ndarray) -> np.ndarray:
        """`inputs` of these rows."""
        return self.given.dense(rows) if isinstance(self.given, Features) else np.asarray(self.given[rows])

    @property
    def count(self) -> int:
        """How many examples there are."""
        return len(self.truth)

    @property
    def shape(self) -> Shape:
        """Of one example's inputs."""
        return (self.given.width,) if isinstance(self.given, Features) else self.given.shape[1:]

    @property
    def layout(self) -> tuple[int, ...]:
        """`Features.layout` of a table's rows as the program takes them; () where all inputs are numbers."""
        return self.given.layout if isinstance(self.given, Features) else ()

    @property
    def digested(self) -> Iterable[np.ndarray]:
        """Arrays that tell these inputs from others of the same names."""
        return self.given.digested if isinstance(self.given, Features | Rolled) else (self.given,)

    def columns(self) -> Iterator[tuple[int, np.ndarray]]:
        """(place on the last axis, all numbers there) of inputs that may hold anything but 0 and 1."""
        if isinstance(self.given, Features):
            yield from self.given.columns()
        else:
            yield from enumerate(np.moveaxis(values_of(self.given), -1, 0))

    @property
    def target_shape(self) -> Shape:
        return self.targets.shape[1:]

    def shown(self, rows: np.ndarray) -> np.ndarray:
        """Of training rows those whose predictions are looked at: all of them; of forecasts that make more than `SHOWN`
        numbers so many spread over all, and those of `sampled_rows`."""
        most = max(1, SHOWN // max(1, int(np.prod(self.target_shape))))
        if not isinstance(self.targets, Ahead) or len(rows) <= most + MOST_SAMPLED:
            return rows
        spread = rows[np.linspace(0, len(rows) - 1, most).astype(np.int64)]
        return np.union1d(spread, rows[np.isin(rows, sampled_rows(self.count))])

    @property
    def judged(self) -> tuple[np.ndarray, np.ndarray]:
        """(truth, weights) as metrics take them. Of autoencoders, whose errors are what is judged, no truth [row, 0]
        and one weight a row."""
        if self.task != "autoencode":
            return self.truth, self.weights
        return np.zeros((self.count, 0)), self.weights.reshape(self.count, -1).max(axis=1)

    @property
    def aims(self) -> np.ndarray:
        """[row, ..., column] all that the program's cost sees: the targets, then those of auxiliary objectives, NaN
        where missing."""
        if self.auxiliary is None:
            return self.targets
        return np.concatenate([self.targets, self.auxiliary.values], axis=-1)

    def cost_of(self, candidate: Candidate) -> Cost:
        """The cost that the program makes small for a candidate, its numbers filled in or not."""
        if self.auxiliary is None:
            return candidate.cost
        return self.auxiliary.composite(candidate.cost, self.targets.shape[-1], candidate.auxiliary)

    def as_taken(self, dtype: Any, padded: bool) -> Any:
        """`raw`, made once, until it is let go."""
        key = np.dtype(dtype), padded
        if key not in self._taken:
            self._taken = {key: self.raw(dtype, padded)}
        return self._taken[key]

    def let_go(self) -> None:
        """Keep no longer what the program took: what follows training needs room too."""
        self._taken = {}
        gc.collect(0)  # JAX lets go of the arrays that it was lent when Python collects

    def raw(self, dtype: Any, padded: bool = False) -> Any:
        """What the program takes. Of a table [row, 2 (number + target) + code + 1]: inputs that are numbers and targets
        in `dtype`, what that rounds off, of each categorical column which of its inputs is 1 (-1: none), and the row's
        weight; of other examples `Shared`.

        Rounded to single precision, a date in seconds would lose what tells its rows apart. Two numbers keep it, and
        unlike a change of units they do not depend on any other row. padded: with rows that nobody reads, up to one of
        a few lengths.
        """
        length = coarse_bucket(self.count, 2) if padded else self.count
        if len(self.shape) == 1:
            return self._rows(dtype, length)
        x, t = _input_parts(self.given, dtype), _target_parts(self.aims, dtype)
        lengths = None if self.lengths is None else self.lengths.astype(np.int32)
        weights = self.weights if self.shares is None else self.weights * self.shares
        parts = (*x, *t, weights.astype(dtype), lengths)
        return Shared(*(None if part is None else _padded(part, length) for part in parts))

    def _rows(self, dtype: Any, length: int) -> np.ndarray:
        """Of a table; made block by block, for there is much of it."""
        aims, codes, numbers, width = self.aims, [], self.given, self.shape[0]
        if isinstance(self.given, Features):
            codes, numbers = self.given.coded, self.given.numbers
            width = 0 if numbers is None else numbers.width
        width += aims.shape[1]
        out = aligned_empty((length, 2 * width + len(codes) + 1), dtype)
        out[self.count :] = 0
        each = max(1, min(BLOCK, AT_ONCE // out.shape[1]))  # rows of a wide table are many numbers
        write = row_writer(numbers, aims, codes, self.weights, dtype)

        def write_block(start: int) -> None:
            at = slice(start, min(start + each, self.count))
            write(at, out[at])

        on_all_cores(write_block, range(0, self.count, each), self.count)
        return out


SHOWN = 1 << 22  # numbers that are predicted of training rows, from which on some of them tell of all
AT_ONCE = 1 << 22  # numbers that are made ready at a time
LEAST = {"single": 1e-30, "double": 1e-150}  # span of a column below which its numbers, or their squares, lose digits
FEW_DIGITS = 16  # steps between float64 numbers that a target has to span
MOST = {"single": 1e38, "double": 1e152}


def check_spans(columns: Iterable[tuple[int, np.ndarray]], names: Sequence[str], arithmetic: str, what: str) -> None:
    """Raise `InputError` where a column, (number of its name, values), spans so much or so little that arithmetic would
    lose it."""
    for k, column in columns:
        if column.dtype == np.uint8 or not column.size:
            continue
        with np.errstate(over="ignore", invalid="ignore"):
            span = float(np.fmax.reduce(column, axis=None)) - float(np.fmin.reduce(column, axis=None))
        if what == "target" and 0 < span < FEW_DIGITS * np.spacing(float(np.nanmax(np.abs(column)))):
            raise InputError(
                f"the {what} {names[k]!r} holds values that differ in their last digits only, beside"
                f" {float(np.nanmax(np.abs(column))):.3g}, so little is left to learn. Take the offset off before it is"
                " stored as float64."
            )
        if span == 0 or np.isnan(span) or LEAST[arithmetic] <= span <= MOST[arithmetic]:
            continue
        wider = LEAST["double"] <= span <= MOST["double"]
        raise InputError(
            f"the {what} {names[k]!r} spans {span:.3g}, and {arithmetic} precision takes spans from"
            f" {LEAST[arithmetic]:g} to {MOST[arithmetic]:g}. Use other units",
            *((", or choose ", Setting("precision", "double")) if wider else ()),
            ".",
        )


def _two_parts(exact: np.ndarray, dtype: Any) -> tuple[np.ndarray, np.ndarray]:
    rounded, rest = np.empty(exact.shape, dtype), np.empty(exact.shape, dtype)
    split_into(exact, rounded, rest)
    return rounded, rest


def _lean_parts(exact: np.ndarray, dtype: Any) -> tuple[np.ndarray, np.ndarray | None]:
    """As `_two_parts`, without a second part of nothing but zeros; bytes stay bytes."""
    if exact.dtype == np.uint8 or exact.dtype == dtype:
        return exact, None
    rounded, rest = _two_parts(exact, dtype)
    return rounded, rest if np.any(rest[~np.isnan(rest)]) else None


def _input_parts(given: Any, dtype: Any) -> tuple[Any, Any]:
    """As `_lean_parts`; of windows the rows that they are cut from."""
    if not isinstance(given, Rolled):
        return _lean_parts(given, dtype)
    starts = given.starts.astype(np.int32)
    parts = _lean_parts(given.values, dtype)
    return tuple(None if part is None else RolledRows(part, starts, given.steps) for part in parts)  # type: ignore[return-value]


def _target_parts(aims: Any, dtype: Any) -> tuple[Any, Any]:
    """As `_lean_parts`; of forecasts the rows that they are of."""
    if not isinstance(aims, Ahead):
        return _lean_parts(aims, dtype)
    parts = _lean_parts(aims.values, dtype)
    first = min(aims.horizons)
    starts, steps = (aims.origins + first).astype(np.int32), max(aims.horizons) - first + 1
    picked = tuple(h - first for h in aims.horizons)
    return tuple(None if part is None else AheadRows(RolledRows(part, starts, steps), picked) for part in parts)  # type: ignore[return-value]


def _padded(part: Any, length: int) -> Any:
    if isinstance(part, RolledRows):
        return RolledRows(part.values, pad_first(part.starts, length), part.steps)
    if isinstance(part, AheadRows):
        return AheadRows(_padded(part.windows, length), part.picked)
    return pad_first(part, length)


def split_number(exact: np.ndarray, dtype: Any) -> tuple[np.ndarray, np.ndarray]:
    """(number rounded to `dtype`, what is left of it): their sum is the number to twice the digits."""
    with np.errstate(over="ignore", invalid="ignore"):
        rounded = exact.astype(dtype)
        return rounded, (exact - rounded).astype(dtype)


def encode(data: Examples, encoder: ExampleEncoder, dense: bool = False) -> EncodedExamples:
    """Encode the inputs and targets of examples. dense: whether to make all features of a table at once."""
    targets: Any = data.targets if isinstance(data.targets, Ahead) else np.asarray(data.targets)
    lazy = isinstance(encoder, Encoder) and not dense
    inputs: Any = encoder.features(data) if lazy else encoder.transform(data)  # type: ignore[attr-defined]
    if data.task == "autoencode":
        numbers = targets = own_targets(encoder, data, inputs)
    else:
        numbers = target_numbers(data.task, targets, len(data.classes or ()))
    lengths = data.lengths
    given = np.broadcast_to(1.0, numbers.shape[:-1]) if data.weights is None else np.asarray(data.weights, float)
    weights = np.broadcast_to(given[:, None], numbers.shape[:2]) if given.ndim < numbers.ndim - 1 else given
    if lengths is not None and weights.ndim == 2:
        weights = np.where(np.arange(weights.shape[1]) < lengths[:, None], weights, 0.0)
    if not np.sum(weights) > 0:
        raise InputError("every row of the study has weight 0. Give some rows a weight above 0.")
    units = getattr(data, "units", None)
    plan, shares = getattr(data, "plan", None), None
    if plan is not None and data.timeline is not None:
        shares = weights_of_series(data.timeline.series, plan.series_weights)
    return EncodedExamples(inputs, numbers, targets, weights, data.task, lengths, encoder, units, shares)


def target_numbers(task: str, targets: np.ndarray, classes: int) -> np.ndarray:
    """What a network is to give for these targets: numbers as they are, 0 or 1 for two classes, else one of them 1."""
    if isinstance(targets, Ahead):
        return targets
    if task == "multiclass":
        return np.asarray(np.eye(classes)[targets])
    numbers = targets.astype(float, copy=False)
    return numbers if task == "regression" else numbers[:, None]
