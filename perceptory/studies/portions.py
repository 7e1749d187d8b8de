"""The training rows of a streamed table, portion by portion, in an order that another pass changes.

A pass cuts the table into pieces at fixed places, shuffles the pieces, and lays their training rows one after the
other. Every `MIXED` portions of that line of rows are mixed: which of them a row falls into is random. So a portion
holds rows of many places of the table, any portion can be made without those before it, and the order of rows within a
portion is each network's own. A thread makes the next portions while the last ones train.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from perceptory.data.ahead import ahead
from perceptory.data.aligned import aligned_empty
from perceptory.data.tables.cells import in_order, places
from perceptory.data.tables.dataset import Dataset
from perceptory.data.tables.encoder import Encoder
from perceptory.data.tables.streamed import StreamedTable
from perceptory.data.tables.table import Table, label
from perceptory.data.tables.targets import as_numbers
from perceptory.errors import InputError, Setting
from perceptory.selection.equal_rows import mixed
from perceptory.studies.encoded_examples import EncodedExamples, target_numbers

if TYPE_CHECKING:
    import polars as pl

PIECE = 1 << 17  # rows of a table that are read at once
MIXED = 4  # portions that are made together
BLOCK = 8192  # rows that are made ready at once, so that they stay in the cache


@dataclass(frozen=True)
class Parts:
    """Which rows are sealed, validate, or train: by a hash of a row's place, so the file's row groups do not matter.

    test: share of all rows. validation: share of the others.
    """

    seed: int
    test: float
    validation: float

    def of(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """[row] bool of places in the table: which train, validate, and are sealed."""
        bits = self._bits(rows, 0)
        sealed = (bits >> np.uint64(32)) < np.uint64(round(self.test * 2**32))
        validating = ~sealed & ((bits & np.uint64(2**32 - 1)) < np.uint64(round(self.validation * 2**32)))
        return ~(sealed | validating), validating, sealed

    def drawn(self, rows: np.ndarray) -> np.ndarray:
        """[row] numbers from 0 to below 1, by which samples of the parts are drawn."""
        return (self._bits(rows, 1) >> np.uint64(11)) * 2.0**-53

    def _bits(self, rows: np.ndarray, stream: int) -> np.ndarray:
        (salt,) = mixed(np.array([2 * self.seed + stream + 1], np.uint64))
        bits: np.ndarray = mixed(rows.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + salt)
        return bits


@dataclass(frozen=True, eq=False)
class Meaning:
    """What rows of a streamed table mean: its columns by an encoder, its classes by their names in order."""

    table: StreamedTable
    encoder: Encoder
    order: list[str]  # of classes, as `cells.identity` names them; empty for a regression
    class_values: np.ndarray | None

    def read(self, frame: pl.DataFrame) -> tuple[Table, np.ndarray, np.ndarray | None]:
        """Rows of a frame that have a target as a table, their targets as in a `Dataset`, and their weights."""
        import polars as pl

        table = self.table.table(frame)
        targets, has = self.table.targets(table)
        if not has.all():
            return self.read(frame.filter(pl.Series(has)))
        return table, places(targets, self.order) if self.order else targets, self.table.weights_of(table)

    def dataset(self, frame: pl.DataFrame, rows: np.ndarray) -> Dataset:
        """Rows of a frame, each with a target, as a `Dataset`; rows: their places in the table."""
        table, targets, weights = self.read(frame)
        classes = self.class_values
        return Dataset(
            columns=tuple(plan.column(table.column(plan.name)) for plan in self.encoder.columns if plan.used),
            target_names=self.table.target_names,
            task=self.table.task,
            targets=targets,
            classes=None if classes is None else tuple(label(v) for v in classes.tolist()),
            class_values=classes,
            weights=weights,
            kept=rows,
            reading=self.table.reading,
            encoder=self.encoder,
        )


def classes_among(table: StreamedTable, seen: set[str]) -> tuple[list[str], np.ndarray | None]:
    """Names of all classes in order and their values, of those in the table's head and those seen elsewhere."""
    import polars as pl

    if table.head.class_values is None:
        return [], None
    order = in_order(pl.Series(sorted(seen), dtype=pl.String))
    if table.task == "binary" and len(order) > 2:
        raise InputError(
            f"the target {table.target_names[0]!r} holds {len(order)} classes, and {table.head.rows:,} rows spread over"
            " the table hold two. Say so: ", Setting("task", "multiclass"), ".",
        )  # fmt: skip
    kind = table.head.class_values.dtype.kind
    if kind == "b":
        return order, np.array([name == "True" for name in order])
    return order, as_numbers(order, kind != "f") if kind in "iuf" else np.array(order, dtype=str)


@dataclass(frozen=True, eq=False)
class Portions:
    """resident: rows that stay in memory: as many training rows as a portion has, then those for validation.
    counts: [piece] training rows of each. size: rows of a portion; the last one of a pass may have less."""

    resident: EncodedExamples
    meaning: Meaning
    parts: Parts
    counts: np.ndarray
    size: int
    dtype: Any

    @property
    def rows(self) -> int:
        """Rows of a pass."""
        return int(self.counts.sum())

    @property
    def each_pass(self) -> int:
        """Portions of a pass."""
        return -(-self.rows // self.size)

    def kept(self, center: np.ndarray) -> np.ndarray:
        """[row, in + target + 1] of the rows that stay in memory, as the program takes them."""
        encoded = self.resident
        exact = np.concatenate([encoded.inputs, encoded.targets], axis=1) - center
        return np.concatenate([exact.astype(self.dtype), encoded.weights[:, None].astype(self.dtype)], axis=1)

    def after(self, number: int, center: np.ndarray, tail: np.ndarray) -> Iterator[tuple[np.ndarray, int]]:
        """Portions without end from this number on, and how many rows each has: [size + tail, in + target + 1] inputs
        and targets without their center [in + target], and weights; the rows `tail` stand below."""
        in_pass, place = divmod(number, self.each_pass)
        mixes = self._mixes(in_pass, place // MIXED, center, tail)
        skip = place % MIXED
        for portions in ahead(mixes):
            while portions:  # each one is let go before the next
                portion = portions.pop(0)
                if skip:
                    skip -= 1
                else:
                    yield portion
                del portion

    def _mixes(
        self, in_pass: int, mix: int, center: np.ndarray, tail: np.ndarray
    ) -> Iterator[list[tuple[np.ndarray, int]]]:
        while True:
            while mix * MIXED < self.each_pass:
                yield self._mix(in_pass, mix, center, tail)
                mix += 1
            in_pass, mix = in_pass + 1, 0

    def _mix(self, in_pass: int, mix: int, center: np.ndarray, tail: np.ndarray) -> list[tuple[np.ndarray, int]]:
        """The portions that are made together."""
        order = np.random.default_rng([self.parts.seed, in_pass]).permutation(np.flatnonzero(self.counts))
        ends = np.cumsum(self.counts[order])
        first, last = mix * MIXED * self.size, min(self.rows, (mix + 1) * MIXED * self.size)
        sizes = [min(self.size, last - k) for k in range(first, last, self.size)]
        to = np.repeat(np.arange(len(sizes), dtype=np.uint8), sizes)
        np.random.default_rng([self.parts.seed, in_pass, mix + 1]).shuffle(to)
        portions = [aligned_empty((self.size + len(tail), tail.shape[1]), self.dtype) for _ in sizes]
        filled = [0] * len(sizes)
        from_, until = (int(np.searchsorted(ends, row, "right")) for row in (first, last - 1))
        for piece in order[from_ : until + 1].tolist():
            begin = int(ends[from_]) - int(self.counts[piece])
            from_ += 1
            rows = self._piece(piece, center)[max(0, first - begin) : last - begin]
            goes = to[max(0, begin - first) :][: len(rows)]
            for k, portion in enumerate(portions):
                here = np.flatnonzero(goes == k)
                out = portion[filled[k] : filled[k] + len(here)]
                np.take(rows, here, axis=0, out=out, mode="clip")  # which writes at once: `raise` copies
                filled[k] += len(here)
        for portion, size in zip(portions, sizes, strict=True):
            portion[size : self.size] = 0
            portion[self.size :] = tail
        return list(zip(portions, sizes, strict=True))

    def _piece(self, piece: int, center: np.ndarray) -> np.ndarray:
        """The training rows of a piece of the table, as the program takes them."""
        import polars as pl

        meaning = self.meaning
        frame = meaning.table.frame(piece * PIECE, PIECE)
        train, _, _ = self.parts.of(piece * PIECE + np.arange(len(frame)))
        table, targets, weights = meaning.read(frame.filter(pl.Series(train)))
        numbers = target_numbers(meaning.table.task, targets, len(meaning.order))
        features, inputs = meaning.encoder.features(table), len(center) - numbers.shape[1]
        rows = np.empty((table.rows, len(center) + 1), self.dtype)
        for start in range(0, table.rows, BLOCK):
            at = slice(start, min(start + BLOCK, table.rows))
            exact = features.by_column(at)
            block = np.ones((rows.shape[1], exact.shape[1]), self.dtype)
            np.subtract(exact, center[:inputs, None], out=exact)
            block[:inputs] = exact
            block[inputs:-1] = numbers[at].T - center[inputs:, None]
            if weights is not None:
                block[-1] = weights[at]
            rows[at] = block.T
        return rows
