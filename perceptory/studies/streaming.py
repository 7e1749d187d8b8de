"""A study on a streamed table: one look through it tells everything that is decided before the first training step.

The rows that stay in memory, a share of the training rows and those for validation, make a table of their own, so that
candidates, groups, scores and the result are those of any study; only what trains comes in portions. The sealed rows
are told by their places and never read but for those of them that are kept for the test.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from perceptory import backend
from perceptory.data.tables.column_plan import plan_column
from perceptory.data.tables.dataset import Dataset
from perceptory.data.tables.encoder import Encoder
from perceptory.data.tables.streamed import StreamedTable
from perceptory.data.tables.streamed_facts import Moments, StreamedColumn
from perceptory.data.tables.targets import MOST_CLASSES
from perceptory.errors import InputError, Setting
from perceptory.notes import Note, streamed, without_target
from perceptory.objectives.table import DEFAULT_COST
from perceptory.optimizers.second_order import SecondOrder
from perceptory.selection.metrics import score_for
from perceptory.selection.plans import HoldOut, plan_json
from perceptory.studies import portions as pieces
from perceptory.studies.checks import check_candidates, check_data, check_groups
from perceptory.studies.design import Candidate, StudyDesign, with_numbers
from perceptory.studies.encoded_examples import encode
from perceptory.studies.groups import groups_of
from perceptory.studies.portions import Meaning, Parts, Portions, classes_among
from perceptory.studies.prepare import Prepared
from perceptory.studies.pretexts import check_no_pretexts
from perceptory.studies.sealing import Sealed, remarks
from perceptory.studies.split import Split
from perceptory.training.scaling import Scaling, scaling_of

PORTION_BYTES = 48 << 20  # of a portion as the program takes it
JUDGED, TESTED = 1 << 16, 1 << 18  # most rows that validate after each portion, and that test


@dataclass(frozen=True)
class PreparedStream(Prepared):
    """rows: of the whole table: for the study, and sealed."""

    portions: Any = None
    rows: tuple[int, int] = (0, 0)

    @property
    def row_counts(self) -> tuple[int, int]:
        return self.rows

    @cached_property
    def fingerprint(self) -> str:
        (scaling,), portions = self.scalings, self.portions
        facts = [str(self.rows), str(portions.size), *(str(a.tolist()) for a in scaling)]
        return hashlib.sha256("".join([super().fingerprint, *facts]).encode()).hexdigest()


def prepare_streamed(study: StudyDesign, table: StreamedTable) -> PreparedStream:
    """As `prepare`. Raises `InputError` for what a study refuses, and for what needs all rows at once."""
    study = study.with_precision()
    dtype = np.float64 if study.arithmetic == "double" else np.float32
    candidates = [with_numbers(c) for c in study.candidates(DEFAULT_COST[table.task])]
    _check(study, candidates)
    plan = _hold_out(study, table)
    parts = Parts(study.seed, study.test, plan.share)
    look = Look.through(table, parts, _portion_rows(table, dtype))
    columns = [(c, look.columns.get(c.name)) for c in table.columns]
    encoder = Encoder(
        tuple(plan_column(c, known.facts if known else None) for c, known in columns), table.target_names, table.reading
    )
    meaning = Meaning(table, encoder, *classes_among(table, set(look.classes)))
    size = -(-look.training // -(-look.training // look.trained.count))
    known = _with_notes(meaning.dataset(*_together(look.trained.drawn(size), look.judged.drawn())), table.notes)
    test = meaning.dataset(*look.tested.drawn()) if look.tested.count else None
    if not encoder.feature_names:
        Encoder.fit(known)  # raises
    check_data(known)
    encoded = encode(known, encoder, dense=True)
    score = score_for(table.task, study.score)
    check_candidates(candidates, known, encoded, score.name)
    rows = np.arange(known.rows)
    split = Split(encoded, [(rows[:size], rows[size:])], [look.scaling(encoder, table)])
    portions = Portions(encoded, meaning, parts, look.counts, size, dtype)
    passes = portions.each_pass
    in_portions = study.replace(epochs=study.epochs * passes, patience=study.patience * passes)
    with backend.precision(study.arithmetic):
        groups = groups_of(in_portions, candidates, split)
        check_groups(groups, study.memory)
    notes = _notes(table, look, portions, known, test)
    return PreparedStream(
        study, Sealed(known, test, notes), encoder, candidates, plan_json(plan), split, score, groups,
        portions=portions, rows=(look.study, look.sealed),
    )  # fmt: skip


def _notes(
    table: StreamedTable, look: Look, portions: Portions, known: Dataset, test: Dataset | None
) -> tuple[Note, ...]:
    """What became of the table's rows."""
    lost, judged = table.rows - look.study - look.sealed, known.rows - portions.size
    left_out = [without_target(lost, "row", table.target_names)] if lost else []
    how = streamed(look.training, portions.each_pass, portions.size, judged, look.tested.count)
    return (*left_out, how, *remarks(known, test))


def _check(study: StudyDesign, candidates: list[Candidate]) -> None:
    check_no_pretexts(candidates, "a stream")
    for candidate in candidates:
        if candidate.network.solved or isinstance(candidate.optimizer, SecondOrder):
            what = candidate.network.label if candidate.network.solved else candidate.optimizer.label
            raise InputError(f"{what} needs all rows at once, which a stream does not give. Use Adam, or fewer rows.")
        for name, value in (("start", candidate.start), ("auxiliary", candidate.auxiliary)):
            if value is not None:
                raise InputError(Setting(name), " does not go with a stream. Leave it out, or use fewer rows.")
        if candidate.auxiliary is not None:
            raise InputError("auxiliary objectives do not go with a stream. Leave auxiliary out, or use fewer rows.")
    if study.discard is not None:
        raise InputError(Setting("discard"), " does not go with a stream. Leave it out, or use fewer rows.")
    if "refit" in study.final:
        raise InputError(
            Setting("final", study.final), " does not go with a stream. Use ", Setting("final", "folds"), "."
        )


def _hold_out(study: StudyDesign, table: StreamedTable) -> HoldOut:
    """The study's plan, or no more rows than are judged."""
    plan = study.validation
    if plan is None:
        return HoldOut(min(0.2, JUDGED / max(1.0, table.rows * (1 - study.test))))
    if isinstance(plan, HoldOut) and not plan.stratify:
        return plan
    raise InputError(
        f"a stream is validated by a share of its rows, not by {plan.name}. Use ", Setting("validation"), "=HoldOut()."
    )


def _portion_rows(table: StreamedTable, dtype: Any) -> int:
    """Most rows of a portion, by what a row takes."""
    outputs = len(table.classes or table.target_names)
    width = len(Encoder.fit(table.head).feature_names) + outputs + 1
    return max(1, PORTION_BYTES // int(width * np.dtype(dtype).itemsize))


class Sample:
    """Rows drawn by a hash of their place: those with the smallest of a part's rows, at most so many.

    expected: how many rows the part has, about.
    """

    def __init__(self, parts: Parts, most: int, expected: float):
        self._parts, self._most = parts, most
        self._below = (most + 6 * np.sqrt(most) + 64) / max(expected, 1.0)
        self._frames: list[Any] = []
        self._rows: list[np.ndarray] = []

    def add(self, frame: Any, rows: np.ndarray, part: np.ndarray) -> None:
        """rows: the places of a frame's rows; part: [row] bool, which of them are of the part."""
        here = np.flatnonzero(part)
        here = here if self._below >= 1 else here[self._parts.drawn(rows[here]) < self._below]
        self._frames.append(frame[here])
        self._rows.append(rows[here])

    @property
    def count(self) -> int:
        return min(self._most, sum(map(len, self._rows)))

    def drawn(self, most: int | None = None) -> tuple[Any, np.ndarray]:
        """A frame of the rows in their order, and their places."""
        import polars as pl

        rows = np.concatenate(self._rows)
        chosen = np.sort(np.argsort(self._parts.drawn(rows), kind="stable")[: most or self.count])
        return pl.concat(self._frames)[chosen], rows[chosen]


def _together(first: tuple[Any, np.ndarray], second: tuple[Any, np.ndarray]) -> tuple[Any, np.ndarray]:
    import polars as pl

    return pl.concat([first[0], second[0]]), np.concatenate([first[1], second[1]])


class Look:
    """What one look through a table tells."""

    def __init__(self, table: StreamedTable, parts: Parts, most: int):
        study = table.rows * (1 - parts.test)
        self.columns = {c.name: StreamedColumn(c) for c in table.columns if c.kind != "ignored"}
        self.targets = Moments(len(table.target_names))
        self.classes: dict[str, int] = {}
        self.counts = np.zeros(-(-table.rows // pieces.PIECE), np.int64)  # training rows of each piece
        self.trained = Sample(parts, most, study * (1 - parts.validation))
        self.judged = Sample(parts, JUDGED, study * parts.validation)
        self.tested = Sample(parts, TESTED, table.rows * parts.test)
        self.study = self.sealed = 0

    @classmethod
    def through(cls, table: StreamedTable, parts: Parts, most: int) -> Look:
        """most: rows of a portion. Raises `InputError` for rows that are not as those of the table's head."""
        look = cls(table, parts, most)
        for start, frame in table.frames():
            try:
                look._add(table, parts, frame, start + np.arange(len(frame)))
            except InputError as error:
                raise InputError(f"of the rows from {start + 1} on: ", error) from None
        if look.training < 2 or look.judged.count < 2 or (parts.test and look.tested.count < 2):
            raise InputError(
                f"of {table.rows} rows {look.training} train, {look.judged.count} validate and {look.tested.count} "
                "test, and each part needs two. Use larger shares, or read the table as a whole."
            )
        return look

    @property
    def training(self) -> int:
        """Rows that train."""
        return int(self.counts.sum())

    def _add(self, table: StreamedTable, parts: Parts, frame: Any, rows: np.ndarray) -> None:
        import polars as pl

        targets, has = table.targets(table.table(frame.select(table.target_names)))
        train, validating, sealed = (part & has for part in parts.of(rows))
        first = int(rows[0]) // pieces.PIECE
        each = np.add.reduceat(train.astype(np.int64), np.arange(0, len(rows), pieces.PIECE))
        self.counts[first : first + len(each)] = each
        self.study += int(train.sum()) + int(validating.sum())
        self.sealed += int(sealed.sum())
        if table.task != "regression":
            self._count(targets)
        for part in (train, validating):
            read = table.table(frame.filter(pl.Series(part)))
            weights = table.weights_of(read)
            for column in self.columns.values():
                column.add(read, weights, trains=part is train)
            if part is train and table.task == "regression":
                for k, values in enumerate(targets[part].T):
                    self.targets.add(k, values, weights)
        for sample, part in ((self.trained, train), (self.judged, validating), (self.tested, sealed)):
            sample.add(frame, rows, part)

    def _count(self, labels: Any) -> None:
        for name, count in labels.drop_nulls().value_counts().iter_rows():
            self.classes[name] = self.classes.get(name, 0) + count
        if len(self.classes) > MOST_CLASSES:
            raise InputError(f"the target holds more than {MOST_CLASSES} classes. Name another column.")

    def scaling(self, encoder: Encoder, table: StreamedTable) -> Scaling:
        """Of the training rows."""
        parts = [self.columns[plan.name].scaling(plan) for plan in encoder.columns if plan.used]
        inputs = np.concatenate([mean for mean, _ in parts]), np.concatenate([spread for _, spread in parts])
        if table.task == "regression":
            return scaling_of(inputs, (self.targets.mean, self.targets.spread))
        return scaling_of(inputs, len(self.classes) if table.task == "multiclass" else 1)


def _with_notes(data: Dataset, notes: tuple[Note, ...]) -> Dataset:
    return replace(data, notes=notes)
