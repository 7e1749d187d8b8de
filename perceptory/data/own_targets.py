"""What an autoencoder is to give back: the examples themselves, as targets."""

from __future__ import annotations

from typing import Any

import numpy as np

from perceptory.data.examples import ExampleEncoder
from perceptory.data.tables.encoder import Encoder
from perceptory.data.tables.reconstruction import column_targets, table_of, targets_of_table


def own_targets(encoder: ExampleEncoder, source: Any, inputs: np.ndarray) -> np.ndarray:
    """Targets of a source of which `inputs` [n, *shape] are the encoded examples.

    Of a table [row, target], NaN where a value is missing; of series their steps [n, time, channel]; of images and
    other arrays their numbers in one row [n, target], channels last, in the type in which they came.
    """
    if isinstance(encoder, Encoder):
        return targets_of_table(encoder, source)
    return inputs if is_stepwise(encoder) else inputs.reshape(len(inputs), -1)


def is_stepwise(encoder: ExampleEncoder) -> bool:
    """Whether an example is a series, given back step by step."""
    return getattr(encoder, "kind", "table") == "series"


def own_names(encoder: ExampleEncoder) -> tuple[str, ...]:
    """Names of what errors are told apart by: columns of a table, or channels."""
    if isinstance(encoder, Encoder):
        return tuple(column.name for column in column_targets(encoder))
    return encoder.feature_names


def columns_of_inputs(encoder: Any) -> tuple[int, ...]:
    """Of a table, the number of the used column that each input is of; () of other examples."""
    if not isinstance(encoder, Encoder):
        return ()
    names = [plan.name for plan in encoder.columns if plan.used]
    return tuple(names.index(plan.name) for plan in encoder.columns for _ in plan.features)


def columns_of_targets(encoder: Any) -> tuple[int, ...]:
    """Likewise, of each of the targets of an autoencoder."""
    if not isinstance(encoder, Encoder):
        return ()
    names = [plan.name for plan in encoder.columns if plan.used]
    return tuple(names.index(column.name) for column in column_targets(encoder) for _ in range(column.width))


def kinds_and_widths(encoder: ExampleEncoder) -> tuple[tuple[str, ...], tuple[int, ...], int]:
    """(kinds, widths, channels) as `Reconstruction` has them."""
    if not isinstance(encoder, Encoder):
        return (), (), len(encoder.feature_names)
    columns = column_targets(encoder)
    return tuple(c.kind for c in columns), tuple(c.width for c in columns), 1


def given_back(encoder: Any, predicted: np.ndarray) -> Any:
    """Predictions of the targets as what was given: a polars data frame, or an array [n, *shape].

    Numbers of a picture stay between the least and the greatest of the study's: no picture is whiter than white.
    """
    if isinstance(encoder, Encoder):
        return table_of(encoder, predicted)
    if getattr(encoder, "kind", "") == "image":
        predicted = np.clip(predicted, encoder.low, encoder.high)
    return predicted if is_stepwise(encoder) else predicted.reshape(len(predicted), *encoder.shape)
