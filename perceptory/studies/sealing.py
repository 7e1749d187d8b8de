"""The rows that a study seals off before it sees its data, and their opening, once."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from perceptory.data import seal
from perceptory.data.examples import Examples
from perceptory.errors import InputError
from perceptory.models.ensemble import ensemble_gains
from perceptory.models.model import Model
from perceptory.notes import Note, shares_sealed_steps
from perceptory.results.predictions import Predictions, judged_rows
from perceptory.results.sealed_test import TestOutcome
from perceptory.selection.metrics import evaluate
from perceptory.selection.plans import BlockedKFold, RollingOrigin
from perceptory.selection.purge import overlaps
from perceptory.studies.design import StudyDesign
from perceptory.studies.encoded_examples import encode


@dataclass(frozen=True)
class Sealed:
    """study: the examples that the study may see; test: those that it must not, or None; notes on how they were cut."""

    study: Examples
    test: Examples | None
    notes: tuple[Note, ...] = ()


def seal_off(study: StudyDesign, data: Examples, test: Any = None) -> Sealed:
    """Seal the given test examples, or else the study's share of the data.

    Where validation goes by time, the future is what the model will meet: the last rows are sealed. Study examples that
    share steps of a series with sealed ones are left out.
    """
    if test is not None:
        return Sealed(data, _with_classes_of(data, test))
    if study.test == 0:
        return Sealed(data, None)
    by_time = isinstance(study.validation, BlockedKFold | RollingOrigin)
    by_time |= data.spans is not None and data.groups is None
    kept, cut = seal(data, study.test, seed=study.seed, last=by_time)
    if not len(cut):
        return Sealed(data, None)
    if data.spans is None:
        return Sealed(data.take(kept), data.take(cut))
    shares = overlaps(data.spans[kept], data.spans[cut])
    notes: tuple[Note, ...] = ()
    if shares.any():
        notes = (shares_sealed_steps(int(shares.sum())),)
    return Sealed(data.take(kept[~shares]), data.take(cut), notes)


def _with_classes_of(data: Examples, test: Any) -> Any:
    """The test examples with classes counted as in the data. `InputError` where they are of another task or target."""
    if not isinstance(test, type(data)) or test.task != data.task or test.target_names != data.target_names:
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
        targets=codes[test.targets],
        classes=data.classes,
        class_values=data.class_values,  # type: ignore[type-var]
    )


@dataclass(frozen=True)
class SealedRows:
    """Test examples that a study has not seen, as its result holds them (a `SealedTest`)."""

    examples: Examples

    def open(self, model: Model) -> TestOutcome:
        """Predictions of the final model against the truth, and what the mean of its networks gains."""
        test = self.examples
        encoded = encode(test, model.encoder)
        members = model.members_of(encoded.inputs, encoded.lengths)
        truth, output, weights = encoded.truth, members.mean(axis=0), encoded.weights
        return TestOutcome(
            metrics=evaluate(test.task, *judged_rows(truth, output, weights)),
            predictions=Predictions.of("test", test.row_numbers, truth, output, weights),
            ensemble=ensemble_gains(test.task, model.targets, truth, members, weights),
        )
