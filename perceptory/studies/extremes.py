"""Weights that cannot be computed with, and single values that are far off all others of their column."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

import numpy as np

from perceptory.data.examples import ExampleEncoder, Examples
from perceptory.data.far_off import far_off
from perceptory.errors import InputError, Piece
from perceptory.notes import Note, value_far_off
from perceptory.studies.encoded_examples import EncodedExamples

MOST_WEIGHT, LEAST_WEIGHT = 1e30, 1e-30  # in single precision they may still be summed up and divided


def check_weights(known: Examples, weights: np.ndarray) -> None:
    """Raise `InputError`, which names the row, for a weight that cannot be computed with."""
    bad = (weights > MOST_WEIGHT) | ((weights > 0) & (weights < LEAST_WEIGHT))
    if bad.any():
        place = np.unravel_index(int(bad.argmax()), bad.shape)
        row = known.row_numbers[place[0]] + 1
        raise InputError(
            f"the weight of row {row} is {weights[place]:.3g}, and weights are computed with from {LEAST_WEIGHT:g} to"
            f" {MOST_WEIGHT:g}. Divide the weights by their mean."
        )


def hints(remarks: Iterable[Note]) -> tuple[Piece, ...]:
    """What is added to a refusal that a value which is far off may be behind."""
    return tuple(p for note in remarks if value_far_off.describes(note) for p in (" ", *note.pieces))[:4]


def values_far_off(known: Examples, encoded: EncodedExamples, encoder: ExampleEncoder) -> tuple[Note, ...]:
    """A note for each column of a table in which one value is more than a million deviations of all others away."""
    if len(encoded.shape) != 1:
        return ()
    columns: Iterable[tuple[str, np.ndarray]] = ((encoder.feature_names[k], column) for k, column in encoded.columns())
    if known.task == "regression":
        columns = chain(columns, zip(known.target_names, encoded.targets.T, strict=True))
    found = []
    for name, column in columns:
        place = far_off(column)
        if place is not None:
            found.append(value_far_off(name, int(known.row_numbers[place]) + 1, float(column[place])))
    return tuple(found)
