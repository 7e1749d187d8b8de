"""Which member stands in which slot of a chunk: bookkeeping on the host, by numbers alone.

Members that have ended leave their slots to waiting ones, and the rest are packed into as few blocks as they fill, so a
chunk's shape never changes and nothing is compiled again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, runtime_checkable

import numpy as np

from perceptory.training.plan import ProgramPlan, chunk_devices

EMPTY = -1


@runtime_checkable
class Standing(Protocol):
    """Where members stand: `members`, `fresh` and `source` as in `Slots`."""

    @property
    def members(self) -> np.ndarray: ...
    @property
    def fresh(self) -> np.ndarray: ...
    @property
    def source(self) -> np.ndarray | None: ...


class Slots:
    """members [chunk]: the place of the member in each slot, or `EMPTY`. fresh [chunk]: whether it has come anew.
    source [chunk]: from which slot those that have not have come; None where nobody has moved."""

    def __init__(self, plan: ProgramPlan, waiting: Iterable[int]):
        self._waiting = list(waiting)[::-1]
        self._order = fill_order(plan)
        self._released = True
        self.members = np.full(plan.chunk, EMPTY)
        self.fresh = np.zeros(plan.chunk, bool)
        self.source: np.ndarray | None = None

    def fill(self) -> bool:
        """Let waiting members take free slots. False where nobody is left."""
        old = self.occupied
        free = len(self.members) - len(old)
        new = [self._waiting.pop() for _ in range(min(len(self._waiting), free))]
        self.fresh = np.zeros(len(self.members), bool)
        self.source = None
        if new or self._released:
            places = self._order[: len(old) + len(new)]
            staying = self.members[old]
            self.members = np.full(len(self.members), EMPTY)
            self.members[places] = np.concatenate([staying, np.asarray(new, int)]).astype(int)
            self.fresh[places[len(old) :]] = True
            self.source = np.zeros(len(self.members), int)
            self.source[places[: len(old)]] = old
        self._released = False
        return len(old) + len(new) > 0

    @property
    def occupied(self) -> np.ndarray:
        """The slots that hold a member."""
        return np.flatnonzero(self.members != EMPTY)

    def release(self, slots: np.ndarray) -> None:
        """Members of these slots have ended."""
        self.members[slots] = EMPTY
        self._released |= len(slots) > 0


def fill_order(plan: ProgramPlan) -> np.ndarray:
    """[chunk] the slots in the order in which they fill: whole blocks, taking the devices in turn."""
    devices = len(chunk_devices(plan.blocks))
    blocks = np.arange(plan.blocks).reshape(devices, -1).T.ravel()
    return (blocks[:, None] * plan.block + np.arange(plan.block)).ravel()
