"""Which member stands in which slot: packed, let in once, moved with its state."""

import numpy as np

from perceptory import MLP, Adam
from perceptory.objectives.table import SquaredError
from perceptory.training import slots as module
from perceptory.training.plan import ProgramPlan
from perceptory.training.slots import EMPTY, Slots

PLAN = ProgramPlan(MLP((2,)), SquaredError(), Adam(), None, (1,), (1,), 4, 0, 4, 1, block=4, blocks=1)


def chunk(monkeypatch, waiting, order=range(4)):
    monkeypatch.setattr(module, "fill_order", lambda plan: np.array(list(order)))
    return Slots(PLAN, waiting)


def test_members_fill_the_slots_in_their_order_and_leave_the_rest_empty(monkeypatch):
    slots = chunk(monkeypatch, [7, 5], order=(2, 3, 0, 1))
    assert slots.fill()
    assert slots.members.tolist() == [EMPTY, EMPTY, 7, 5]
    assert slots.fresh.tolist() == [False, False, True, True]


def test_nobody_moves_while_nobody_ends(monkeypatch):
    slots = chunk(monkeypatch, range(6))
    slots.fill()
    assert slots.fill()
    assert slots.source is None
    assert not slots.fresh.any()
    assert slots.members.tolist() == [0, 1, 2, 3]


def test_who_stays_is_packed_with_its_state_and_waiting_members_come_behind(monkeypatch):
    slots = chunk(monkeypatch, range(6))
    slots.fill()
    slots.release(np.array([0, 2]))
    assert slots.occupied.tolist() == [1, 3]
    slots.fill()
    assert slots.members.tolist() == [1, 3, 4, 5]
    assert slots.source[:2].tolist() == [1, 3]  # where their states are found
    assert slots.fresh.tolist() == [False, False, True, True]


def test_the_last_ones_are_packed_and_then_nobody_is_left(monkeypatch):
    slots = chunk(monkeypatch, range(4))
    slots.fill()
    slots.release(np.array([0, 1, 2]))
    assert slots.fill()
    assert slots.members.tolist() == [3, EMPTY, EMPTY, EMPTY]
    assert slots.source[0] == 3
    slots.release(np.array([0]))
    assert not slots.fill()
