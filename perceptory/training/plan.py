"""What is static in a group of members (`ProgramPlan`) and what each member brings (`Member`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np

from perceptory import backend
from perceptory.augmentation.base import Augmentation
from perceptory.layers.arrays import Shape
from perceptory.networks.base import Network, layout
from perceptory.objectives.parts import parts_of
from perceptory.objectives.penalties import Penalty
from perceptory.objectives.table import Cost
from perceptory.optimizers.averaging import WeightAverage
from perceptory.optimizers.base import Optimizer
from perceptory.optimizers.clipping import Clip
from perceptory.specs import has_code
from perceptory.training.given import GivenStart

CPU_BLOCK_BYTES = 1 << 20  # what one block of members works on should stay in a core's second-level cache
FLAT_WEIGHTS = 1 << 17  # above, the copies between vector and arrays cost more than a longer list of arrays
PIECE_VALUES = 1 << 21  # values that a forward pass outside of training steps may hold
JACOBIAN_BYTES = 1 << 18  # what rows' derivatives by all weights may take at once, for a block of members: in a cache
MATRICES = 4  # of weights by weights, that a second-order iteration holds: JᵀJ, its sum, its factor, their difference
MAX_BLOCK = 16
MAX_BLOCKS = 32


@dataclass(frozen=True)
class ProgramPlan:
    """The static side of a group: one plan, one compilation.

    network, cost, optimizer, penalty, clip, average, augmentation, start: static parts of specs, with placeholders for
    traced numbers.
    rows: length of the members' padded lists of training rows. validation_rows: likewise, 0 for none.
    batch: rows a step. segment: most epochs in one compiled call. block: members mapped at once; blocks: how many
    of them make a chunk. All of these are functions of the study alone.
    """

    network: Network
    cost: Cost
    optimizer: Optimizer
    penalty: Penalty | None
    inputs: Shape
    outputs: Shape
    rows: int
    validation_rows: int
    batch: int
    segment: int
    block: int
    blocks: int
    ragged: bool = False  # members differ in their number of batches
    replacement: bool = False  # rows of a batch drawn independently, instead of in a random order
    piece: int = 1 << 13  # examples of one forward pass outside of training steps
    clip: Clip | None = None
    average: WeightAverage | None = None
    augmentation: Augmentation | tuple[Augmentation, ...] | None = None
    varies: tuple[bool, ...] = ()  # with augmentation: for each input whether it has more than two values
    columns: tuple[int, ...] = ()  # with augmentation: `About.columns`
    target_columns: tuple[int, ...] = ()  # with augmentation: `About.target_columns`
    start: GivenStart | None = None  # where members begin with weights that there are
    layout: tuple[int, ...] = ()  # of a table's rows: `Features.layout`
    shown: int = 0  # training rows whose outputs are given back, 0 for all of them
    crossed: bool = False  # validation rows are predicted at the best epoch of others of them (`state.Crossed`)

    @property
    def has_code(self) -> bool:
        """Whether it holds code of the user's (`specs.has_code`)."""
        specs = (self.network, self.cost, self.optimizer, self.penalty, self.clip, self.average, self.augmentation)
        return has_code(specs)

    @property
    def targets(self) -> int:
        """Target columns: fewer than outputs where the cost takes several outputs a target."""
        return self.cost.targets_of(self.outputs[-1])

    @property
    def recorded(self) -> int:
        """Numbers that an epoch records: the main cost and each auxiliary one, on training and on validation rows."""
        return 2 + 2 * len(parts_of(self.cost))

    @property
    def flat(self) -> bool:
        """Whether a member's weights are one vector (few arrays in the loop) or stay apart (nothing is copied)."""
        solved = self.network.solved  # no step copies them, and each array is a dozen loops to compile
        return solved or layout(self.network, self.inputs, self.outputs).size <= FLAT_WEIGHTS

    @property
    def batches(self) -> int:
        return -(-self.rows // self.batch)

    @property
    def chunk(self) -> int:
        return self.block * self.blocks


class Member(NamedTuple):
    """One training run's own numbers; in a population every array has a leading axis [member].

    Inputs and targets are scaled by (x - center) · factor.
    """

    key: Any  # [2] uint32, made from content
    numbers: Any  # [number] traced numbers of the specs
    rows: Any  # [rows] int32, places in the data; padded with 0
    count: Any  # int32, how many of `rows` are real
    validation: Any  # [validation_rows] int32, padded with 0
    validation_count: Any
    center: Any  # [2, in + target] rounded (in: the last axis of the inputs), and what that rounds off
    factor: Any  # [in + target]; 0 for an input that is constant in the training rows
    epochs: Any  # int32, epochs to go
    patience: Any  # int32, epochs without a better validation cost before stopping; 0 for never, -1: the last weights
    balance: Any = ()  # [class] weights that follow from the frequencies in its training rows; () without
    shown: Any = ()  # [shown] int32, places in the data of the plan's `shown` rows, -1 beyond the last one; () of all
    given: Any = ()  # the arrays of `GivenStart.given`, in the order of the layout; () without


def values_an_example(network: Network, inputs: Shape, outputs: Shape) -> int:
    """Numbers that one example's forward pass keeps."""
    return network.hidden_units(inputs, outputs) + int(np.prod(inputs)) + int(np.prod(outputs))


def piece_of(network: Network, inputs: Shape, outputs: Shape) -> int:
    """Examples of one forward pass outside of training steps."""
    return max(32, PIECE_VALUES // values_an_example(network, inputs, outputs))


def rows_at_once(matrix: str, weights: int, plan: ProgramPlan) -> int:
    """Rows of a block of a second-order iteration: their derivatives by every weight stay in a cache."""
    each = int(np.prod(plan.outputs))
    if matrix == "hessian":  # a tangent of the whole pass for every weight
        each = values_an_example(plan.network, plan.inputs, plan.outputs)
    return max(1, JACOBIAN_BYTES // (8 * weights * each * plan.block))


def curved_sizes(optimizer: Optimizer, network: Network, inputs: Shape, outputs: Shape, rows: int) -> int:
    """As `sizes`, of a second-order optimizer in double precision."""
    weights = layout(network, inputs, outputs).size
    each = values_an_example(network, inputs, outputs)
    if optimizer.matrix:  # type: ignore[attr-defined]
        kept, passed = MATRICES * weights, 0  # rows pass in small blocks
    else:
        kept, passed = 2 * optimizer.memory + 8, 3 * min(rows, piece_of(network, inputs, outputs)) * each  # type: ignore[attr-defined]
    table = rows * (inputs[0] + outputs[0] + 1) if len(inputs) == 1 else 2 * rows
    return 8 * (kept * weights + passed + table)


def sizes(network: Network, inputs: Shape, outputs: Shape, batch: int, rows: int) -> int:
    """Bytes that one member keeps in hand during training, in single precision."""
    weights = layout(network, inputs, outputs).size
    activations = 3 * batch * values_an_example(network, inputs, outputs)
    table = rows * (inputs[0] + outputs[0] + 1) if len(inputs) == 1 else 2 * rows
    return 4 * (6 * weights + activations + table)


def chunking(members: int, bytes_each: int, budget: int, left: int | None = None) -> tuple[int, int]:
    """(block, blocks) for a group: functions of the study alone, never of the machine.

    A block is as many members as fit in a cache, at most half the group so that two devices have work; a chunk is as
    many blocks as the group fills and the memory budget (bytes) allows, and what the data leave of it.
    """
    if members == 1:
        return 1, 1
    fit = max(1, min(MAX_BLOCK, CPU_BLOCK_BYTES // max(bytes_each, 1)))
    pairs = -(-members // (2 * fit))
    block = -(-members // (2 * pairs))  # as even as it goes: an empty slot costs as much as a full one
    room = max(1, budget // max(1, 2 * bytes_each * block))
    room = room if left is None else max(1, min(room, left // max(1, bytes_each * block)))
    return block, max(1, min(2 * pairs, MAX_BLOCKS, room))


def chunk_devices(blocks: int) -> list[Any]:
    """The local devices that share a chunk: as many as divide its blocks."""
    backend.prepare()  # before JAX starts: it makes one CPU device a core
    devices = jax.local_devices()
    return devices[: max(d for d in range(1, len(devices) + 1) if blocks % d == 0)]


def pad_rows(rows: np.ndarray, length: int) -> np.ndarray:
    """[length] int32: the rows, then zeros."""
    out = np.zeros(length, np.int32)
    out[: len(rows)] = rows
    return out
