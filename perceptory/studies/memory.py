"""What a study holds in memory, in bytes, and whether that stays within its budget (`Study.memory`).

The program itself is no part of it: Python and its libraries, and what compiling takes, some 0.6 GiB.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from perceptory.data.examples import Examples
from perceptory.data.series.rolled import Ahead, Rolled
from perceptory.data.tables.dataset import Dataset
from perceptory.data.tables.features import Features
from perceptory.notes import Note, beyond_memory
from perceptory.optimizers.second_order import SecondOrder
from perceptory.studies.encoded_examples import EncodedExamples
from perceptory.studies.groups import Group
from perceptory.training.plan import ProgramPlan, chunk_devices, curved_sizes, sizes

GIBIBYTE = 2**30
DOUBLE, SINGLE = 8, 4
A_TEXT = 16  # bytes of a cell of text, at the least


def arrays_of(data: Examples) -> list[Any]:
    """Of examples as they were read: arrays, and columns of text."""
    if isinstance(data, Dataset):
        columns: list[Any] = [*(column.data for column in data.columns), data.kept]
    else:
        inputs: Any = data.inputs  # type: ignore[attr-defined]
        columns = [inputs.values if isinstance(inputs, Rolled) else inputs, data.row_numbers]
    targets: Any = data.targets.values if isinstance(data.targets, Ahead) else data.targets
    return [part for part in (*columns, targets, data.weights) if part is not None]


def _bytes(values: Any) -> int:
    return int(values.nbytes) if isinstance(values, np.ndarray) else A_TEXT * len(values)


def as_taken_bytes(encoded: EncodedExamples, arithmetic: str) -> int:
    """Of the examples as the program takes them (`EncodedExamples.raw`): numbers in two parts."""
    number = DOUBLE if arithmetic == "double" else SINGLE
    aims = int(np.prod(encoded.aims.shape[1:]))
    columns = sum(width for width in encoded.layout if width > 0) or encoded.shape[-1]
    if len(encoded.shape) == 1:
        codes = sum(width < 0 for width in encoded.layout)
        return number * encoded.count * (2 * (columns + aims) + codes + 1)
    given: np.ndarray = encoded.given.values if isinstance(encoded.given, Rolled) else encoded.given
    plain = given.dtype == np.uint8 or given.dtype == np.dtype(f"f{number}")
    inputs = given.nbytes if plain else 2 * number * given.size
    targets: int = encoded.aims.values.size if isinstance(encoded.aims, Ahead) else encoded.count * aims
    places = 2 * SINGLE * encoded.count * (isinstance(encoded.given, Rolled) + isinstance(encoded.aims, Ahead))
    return int(inputs) + number * (2 * targets + int(encoded.weights.size)) + places


def resident_bytes(encoded: EncodedExamples, arrays: Iterable[Any], arithmetic: str) -> int:
    """Of what stands there all the time while networks train: these arrays, and the study's examples as the program
    takes them."""
    distinct = {id(array): array for array in arrays}
    return sum(map(_bytes, distinct.values())) + as_taken_bytes(encoded, arithmetic)


def in_training(plan: ProgramPlan) -> int:
    """Bytes that a chunk takes: of the tables of rows only those of the blocks that the devices have in hand."""
    number = SINGLE
    if isinstance(plan.optimizer, SecondOrder):
        number = DOUBLE
        each = curved_sizes(plan.optimizer, plan.network, plan.inputs, plan.outputs, plan.rows)
    else:
        each = sizes(plan.network, plan.inputs, plan.outputs, plan.batch, plan.rows)
    table = number * plan.rows * (plan.inputs[0] + plan.outputs[0] + 1) if len(plan.inputs) == 1 else 0
    both = table + table * plan.validation_rows // max(1, plan.rows)
    outputs = number * ((plan.shown or plan.rows) + plan.validation_rows) * int(np.prod(plan.outputs))
    solving = number * plan.network.solving(plan.rows, plan.block)
    return plan.chunk * (each - table + outputs) + len(chunk_devices(plan.blocks)) * (plan.block * both + solving)


def notes_on_memory(groups: Sequence[Group], encoded: EncodedExamples, budget: float) -> tuple[Note, ...]:
    """What a study needs that does not fit its budget of so many GiB."""
    results = sum(DOUBLE * len(g.who) * g.plan.validation_rows * int(np.prod(g.plan.outputs)) for g in groups)
    need = encoded.resident + max((in_training(g.plan) for g in groups), default=0) + results
    if need <= budget * GIBIBYTE:
        return ()
    enough = math.ceil(10 * need / GIBIBYTE) / 10
    return (beyond_memory(enough, float(budget), isinstance(encoded.given, Features)),)
