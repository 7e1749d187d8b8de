"""The rows that a study seals off before it sees its data, and their opening, once."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from perceptory.data import seal
from perceptory.data.examples import Examples
from perceptory.data.partition import seal_horizons
from perceptory.data.series.rolled import target_columns
from perceptory.data.series.timeline import Timeline
from perceptory.data.tables.dataset import Dataset
from perceptory.errors import InputError
from perceptory.models.autoencoding import errors_of
from perceptory.models.averages import mean_of
from perceptory.models.ensemble import ensemble_gains
from perceptory.models.exchange import Judged, TableColumns
from perceptory.models.horizon_intervals import USUAL, ends_of_intervals, knows_intervals
from perceptory.models.importance import WORK, Importance, affordable, importance
from perceptory.models.intervals import density_metrics
from perceptory.models.model import Model
from perceptory.models.row_measures import NUMBERS
from perceptory.models.temperature import calibration_error
from perceptory.notes import (
    Note,
    classes_not_learned,
    classes_only_tested,
    in_order_of_dates,
    learned_from_all,
    sealed_ends,
    shares_sealed_steps,
    tested_far_off,
    tested_on_constant,
    tested_on_one_class,
)
from perceptory.results.horizons import horizons_of
from perceptory.results.predictions import Predictions, judged_rows
from perceptory.results.sealed_test import TestOutcome
from perceptory.results.shown_forecasts import shown_forecasts
from perceptory.selection.metrics import evaluate, quiet
from perceptory.selection.nested import Nested
from perceptory.selection.plans import BlockedKFold, RollingOrigin
from perceptory.studies.design import StudyDesign
from perceptory.studies.encoded_examples import EncodedExamples, encode

PIECE = 1 << 14  # sealed forecasts whose windows are cut at once
MANY_STEPS = 20  # between dates, of which an order by chance has as many back as on
TURNS = 0.1  # share of steps that go back, from the end of one part of a table to the beginning of the next
FAR = 1e6  # so many times as far off as the study's values reach


@dataclass(frozen=True)
class Sealed:
    """study: the examples that the study may see; test: those that it must not, or None; notes on how they were cut.
    whole: both, and what stood between them, of forecasts whose last rows are sealed."""

    study: Examples
    test: Examples | None
    notes: tuple[Note, ...] = ()
    whole: Examples | None = None


def seal_off(study: StudyDesign, data: Examples, test: Any = None) -> Sealed:
    """Seal the given test examples, or else the study's share of the data.

    Where validation goes by time, the future is what the model will meet: the last rows are sealed, of forecasts those
    of every series. Study examples that have seen sealed targets are left out.
    """
    if test is not None:
        test = _with_classes_of(data, test)
        return Sealed(data, test, remarks(data, test))
    if study.test == 0:
        return Sealed(data, None)
    timeline = data.timeline
    if timeline is not None and timeline.ahead and data.groups is None:
        study_rows, cut = seal_horizons(timeline, study.test)
        by_time = True
    else:
        plans = [study.validation]
        if isinstance(study.validation, Nested):
            plans = [study.validation.outer, study.validation.inner]
        by_time = any(isinstance(plan, BlockedKFold | RollingOrigin) for plan in plans)
        by_time |= timeline is not None and data.groups is None
        study_rows, cut = seal(data, study.test, seed=study.seed, last=by_time)
    if not len(cut):
        return Sealed(data, None)
    notes = _by_dates(data) if study.validation is None and not by_time else ()
    if timeline is not None:
        leaks = timeline.leaks(study_rows, cut)
        study_rows = study_rows[~leaks]
        if leaks.any() and not timeline.ahead:  # of forecasts, always the last ones before the sealed rows
            notes = (shares_sealed_steps(int(leaks.sum())),)
    if timeline is not None and timeline.ahead and data.groups is None:
        notes = (_sealed_ends(timeline, cut), *notes)
    known, test = data.take(study_rows), data.take(cut)
    ahead = timeline is not None and timeline.ahead and data.groups is None
    return Sealed(known, test, (*notes, *remarks(known, test)), data if ahead else None)


def _by_dates(data: Examples) -> tuple[Note, ...]:
    """A note where a table's rows follow a column of dates, as a whole or in each of several parts."""
    if not isinstance(data, Dataset) or data.task == "autoencode":
        return ()
    for column in data.columns:
        if column.kind == "date":
            steps = np.diff(column.data[np.isfinite(column.data)])
            down, up = int((steps < 0).sum()), int((steps > 0).sum())
            if down + up >= MANY_STEPS and min(down, up) <= TURNS * (down + up):
                return (in_order_of_dates(column.name, down == 0),)
    return ()


def _sealed_ends(timeline: Timeline, cut: np.ndarray) -> Note:
    """How many rows at the end of how many series are what is tested."""
    last = timeline.ends()[1]
    series = np.unique(timeline.series[cut])
    first = np.full(len(last), np.iinfo(np.int64).max)
    np.minimum.at(first, timeline.series[cut], timeline.scored[cut, 0])
    rows = (last - first)[series]
    return sealed_ends(int(rows.min()), int(rows.max()), len(series), len(np.unique(timeline.series)) - len(series))


def remarks(known: Examples, test: Examples | None) -> tuple[Note, ...]:
    """What cannot be computed of the test examples, and what of them could not be learned."""
    if test is None or known.task == "autoencode":
        return ()
    if test.timeline is not None and test.timeline.ahead and test.rows == 1:
        return ()  # one forecast is no test of a constant
    if known.classes is None:
        pairs = zip(test.target_names, target_columns(test.targets), strict=True)
        constant = [name for name, column in pairs if np.all(column == column[0])]
        ahead = horizons_of(list(test.target_names))
        if ahead and len(constant) == len(test.target_names):
            constant = [ahead[0]]  # of one target at all of its horizons
        return (*map(tested_on_constant, constant), *_tested_far_off(known, test))
    held = np.unique(test.targets)
    new = [known.classes[k] for k in np.setdiff1d(held, known.targets)]
    notes = [classes_only_tested(new)] if new else []
    notes += [note for note in test.notes if classes_not_learned.describes(note)]
    return (*notes, tested_on_one_class(known.classes[held[0]])) if len(held) == 1 else tuple(notes)


def _tested_far_off(known: Examples, test: Examples) -> tuple[Note, ...]:
    """A test value of a target that is far away from all that the study has."""
    found = []
    seen, tested = target_columns(known.targets), target_columns(test.targets)
    for name, own, column in zip(known.target_names, seen, tested, strict=True):
        low, high = np.fmin.reduce(own), np.fmax.reduce(own)
        off = np.fmax(column / 2 - high / 2, low / 2 - column / 2)  # halves, for the sum may be beyond float64
        most = int(np.argmax(np.nan_to_num(off, nan=-np.inf)))
        if low < high and off[most] > FAR * (high - low):
            row = test.row_numbers[most // (len(column) // test.rows)]
            found.append(tested_far_off(name, int(row) + 1, float(column[most])))
    return tuple(found)


def _with_classes_of(data: Examples, test: Any) -> Any:
    """The test examples with classes counted as in the data. `InputError` where they are of another task or target."""
    alike = isinstance(test, type(data)) and test.target_names == data.target_names
    if not alike or (test.classes is None) != (data.classes is None):  # some of many classes may look like two
        raise InputError("the test data need the same target and task as the study's. Read both alike.")
    if data.classes is None or test.classes == data.classes:
        return test
    known = {str(c): i for i, c in enumerate(data.classes)}
    new = [str(c) for c in test.classes or () if str(c) not in known]
    if new:
        raise InputError(f"the test data hold classes that the study has not: {', '.join(new)}.")
    codes = np.array([known[str(c)] for c in test.classes or ()])
    return dataclasses.replace(
        test,
        task=data.task,
        targets=codes[test.targets],
        classes=data.classes,
        class_values=data.class_values,
    )


def with_unknown(metrics: dict[str, Any], test: Examples) -> dict[str, Any]:
    """The accuracy where test rows of classes that the study has not are counted, which are wrong in any case."""
    unknown = sum(note.facts["share"] for note in test.notes if classes_not_learned.describes(note))
    return {"accuracy": metrics["accuracy"] * (1 - unknown)} if unknown else {}


@dataclass(frozen=True)
class SealedRows:
    """Test examples that a study has not seen, as its result holds them (a `SealedTest`). anew: makes of a model the
    one that has learned from these rows too, where there is one."""

    examples: Examples
    anew: Callable[[Model], Model | None] | None = None

    def learned_from(self, model: Model) -> tuple[Model, Note] | None:
        """See `SealedTest`."""
        whole = None if self.anew is None else self.anew(model)
        return None if whole is None else (whole, learned_from_all())

    @quiet
    def open(self, model: Model) -> TestOutcome:
        """Predictions of the final model against the truth, and what the mean of its networks gains."""
        test = self.examples
        encoded = encode(test, model.encoder)
        if test.task == "autoencode":
            return self._reconstructed(model, encoded)
        members, about = (
            model.members_of(encoded.given if test.kind == "series" else encoded.inputs, encoded.lengths),
            (test.task, model.targets),
        )
        truth, output, weights = encoded.truth, mean_of(model, members), encoded.weights
        metrics = evaluate(test.task, *judged_rows(truth, output, weights), units=encoded.units)
        metrics |= with_unknown(metrics, test)
        if model.classes is not None:
            more = {"ece": calibration_error(truth, output, weights)}
        else:
            more = density_metrics(model, encoded.inputs, members, truth, weights)
            more |= _coverage_ahead(model, test, np.asarray(truth), output)
        return TestOutcome(
            metrics=metrics | more,
            predictions=Predictions.of("test", test.row_numbers, truth, output, weights),
            # the formula is of networks with equal shares
            ensemble=() if model.shares is not None else ensemble_gains(*about, truth, members, weights),
            forecasts=shown_forecasts("test", test, np.arange(test.rows), output, model),
        )

    @quiet
    def importance(self, model: Model, score: str) -> Importance | None:
        """Of a table that is predicted without a program: others would cost more than a user may wait for unasked."""
        test = self.examples
        if test.task == "autoencode" or not isinstance(test, Dataset) or not affordable(model, test.rows, WORK / 2):
            return None
        encoded = encode(test, model.encoder)
        given = Judged(TableColumns(encoded.given.parts), encoded.truth, encoded.weights)
        found = importance(model, given, score=score if score in NUMBERS else None, work=WORK / 2)
        return found if np.isfinite(found.values).all() else None  # networks that diverged

    def _reconstructed(self, model: Model, encoded: EncodedExamples) -> TestOutcome:
        """Errors of a single network, the mean over all of them: an autoencoder's networks are used one by one."""
        errors = errors_of(model, encoded.inputs, encoded.targets, encoded.weights, encoded.lengths).mean(axis=0)
        truth, weights = encoded.judged
        return TestOutcome(
            metrics=evaluate(self.examples.task, *judged_rows(truth, errors, weights)),
            predictions=Predictions.of("test", self.examples.row_numbers, truth, errors, weights),
        )


def _coverage_ahead(model: Model, test: Examples, truth: np.ndarray, output: np.ndarray) -> dict[str, Any]:
    """The coverage, by output, of the intervals that forecasts have (`Model.forecast`), in place of those of any row;
    {} where the model knows none, or too few held-out forecasts for them."""
    if not knows_intervals(model) or test.timeline is None or not np.isfinite(output).all():
        return {}
    names = () if model.ends is None else model.ends.names
    series = [names[s] if s < len(names) else "" for s in test.timeline.series.tolist()]
    windows: Any = test.inputs  # type: ignore[attr-defined]
    inside, pieces = np.zeros(output.shape[1]), range(0, len(output), PIECE)
    with suppress(InputError):
        for k in pieces:
            at = slice(k, k + PIECE)
            ends = ends_of_intervals(model, np.asarray(windows[at]), output[at], USUAL, series[at])
            inside += np.sum((ends[..., 0] <= truth[at]) & (truth[at] <= ends[..., 1]), axis=0)
        share = inside / len(output)
        return {"coverage_90": share.tolist() if len(share) > 1 else float(share[0])}
    return {}
