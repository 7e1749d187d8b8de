"""How many epochs the blocks of a chunk train before the host looks at them again: by the time that epochs take.

What a run does between two looks it has to do again when it is killed, and a person who stops it waits so long. The
number of epochs is a number that the program is given, so it costs no compilation, and where a segment ends changes no
bit. Where one epoch of all blocks takes too long, some blocks train and the others stand still, in turn.
"""

from __future__ import annotations

import numpy as np

from perceptory.training.plan import ProgramPlan, chunk_devices

SECONDS = 1.0  # that a segment should take
GROWTH = 8  # a segment may be so many times as long as the one before, which may have been very short
FIRST = 2000  # steps of the first segment, of all blocks of a device: most take below a tenth of a millisecond


class Pace:
    """Epochs of the next segment, from the time of the last one."""

    def __init__(self, plan: ProgramPlan):
        self._plan, self._devices = plan, len(chunk_devices(plan.blocks))
        self._each = 0.0  # seconds that a device takes for an epoch of a block
        self._last = 0  # epochs of the last segment, of all blocks of a device
        self._turn = 0

    def epochs(self, occupied: np.ndarray) -> np.ndarray:
        """[chunk] int32: epochs that each slot trains at most. occupied: the slots that hold a member."""
        blocks, here = self._plan.blocks, self._plan.blocks // self._devices
        used = np.zeros(blocks, bool)
        used[occupied // self._plan.block] = True
        by_device = used.reshape(self._devices, here)
        most_used = int(by_device.sum(axis=1).max())
        total = self._budget(most_used)
        epochs = np.zeros((self._devices, here), np.int32)
        if total >= most_used:
            epochs[:] = min(self._plan.segment, total // most_used)
        else:  # in every device the next ones in turn
            place = (np.cumsum(by_device, axis=1) - 1 - self._turn) % by_device.sum(axis=1, keepdims=True).clip(1)
            epochs[by_device & (place < total)] = 1
            self._turn += total
        return np.repeat(epochs.ravel(), self._plan.block)

    def _budget(self, used: int) -> int:
        """Epochs of all blocks of a device together."""
        if not self._each:
            epochs = min(FIRST // (self._plan.batches * max(1, used)), self._plan.segment // GROWTH)
            return max(1, epochs) * used
        return max(1, min(int(SECONDS / self._each), GROWTH * self._last))

    def measured(self, trained: np.ndarray, seconds: float) -> None:
        """What a segment took; trained [chunk]: epochs that each slot has trained."""
        by_block = np.reshape(trained, (self._devices, -1, self._plan.block)).max(axis=2)
        self._last = int(by_block.sum(axis=1).max())
        self._each = seconds / max(1, self._last)
