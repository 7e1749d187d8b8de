"""What is static in a group of members (`Plan`) and what each member brings (`Member`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np

from perceptory import backend
from perceptory.networks.base import Network, Shape, layout
from perceptory.objectives.costs import Cost
from perceptory.objectives.penalties import WeightPenalty
from perceptory.optimizers.first_order import Optimizer

CPU_BLOCK_BYTES = 1 << 20  # what one block of members works on should stay in a core's second-level cache
FLAT_WEIGHTS = 1 << 17  # above, the copies between vector and arrays cost more than a longer list of arrays
PIECE_VALUES = 1 << 21  # values that a forward pass outside of training steps may hold
MAX_BLOCK = 16
MAX_BLOCKS = 32


@dataclass(frozen=True)
class Plan:
    """The static side of a group: one plan, one compilation.

    network, cost, optimizer, penalty: static parts of specs, with placeholders for traced numbers.
    rows: length of the members' padded lists of training rows. validation_rows: likewise, 0 for none.
    batch: rows a step. segment: most epochs in one compiled call. block: members mapped at once; blocks: how many
    of them make a chunk. All of these are functions of the study alone.
    """

    network: Network
    cost: Cost
    optimizer: Optimizer
    penalty: WeightPenalty | None
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

    @property
    def flat(self) -> bool:
        """Whether a member's weights are one vector (few arrays in the loop) or stay apart (nothing is copied)."""
        return layout(self.network, self.inputs, self.outputs).size <= FLAT_WEIGHTS

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
    center: Any  # [2, in + out] rounded (in: the last axis of the inputs), and what that rounds off
    factor: Any  # [in + out]; 0 for an input that is constant in the training rows
    epochs: Any  # int32, epochs to go
    patience: Any  # int32, epochs without a better validation cost before stopping; 0 for never


def values_an_example(network: Network, inputs: Shape, outputs: Shape) -> int:
    """Numbers that one example's forward pass keeps."""
    return network.hidden_units(inputs, outputs) + int(np.prod(inputs)) + int(np.prod(outputs))


def piece_of(network: Network, inputs: Shape, outputs: Shape) -> int:
    """Examples of one forward pass outside of training steps."""
    return max(32, PIECE_VALUES // values_an_example(network, inputs, outputs))


def sizes(network: Network, inputs: Shape, outputs: Shape, batch: int, rows: int) -> int:
    """Bytes that one member keeps in hand during training, in single precision."""
    weights = layout(network, inputs, outputs).size
    activations = 3 * batch * values_an_example(network, inputs, outputs)
    table = rows * (inputs[0] + outputs[0] + 1) if len(inputs) == 1 else 2 * rows
    return 4 * (6 * weights + activations + table)


def chunking(members: int, bytes_each: int, budget: int) -> tuple[int, int]:
    """(block, blocks) for a group: functions of the study alone, never of the machine.

    A block is as many members as fit in a cache, at most half the group so that two devices have work; a chunk is as
    many blocks as the group fills and the memory budget (bytes) allows.
    """
    if members == 1:
        return 1, 1
    fit = max(1, min(MAX_BLOCK, CPU_BLOCK_BYTES // max(bytes_each, 1)))
    pairs = -(-members // (2 * fit))
    block = -(-members // (2 * pairs))  # as even as it goes: an empty slot costs as much as a full one
    room = max(1, budget // max(1, 2 * bytes_each * block))
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
