"""What a study holds is counted as it is, the budget bounds it, and what cannot be bounded is said before training."""

from __future__ import annotations

import logging
import weakref

import jax
import numpy as np
import polars as pl
import pytest

from perceptory import CNN, LSTM, MLP, Adam, HoldOut, Study, choice, read_arrays, read_series, read_table
from perceptory.app.door import command_line
from perceptory.data.examples import HandedOver
from perceptory.notes import beyond_memory
from perceptory.studies import run as running
from perceptory.studies.memory import GIBIBYTE, as_taken_bytes
from perceptory.studies.prepare import prepare

RANDOM = np.random.default_rng(0)


def of_every_kind():
    frame = pl.DataFrame({
        "a": RANDOM.normal(size=300), "color": [("red", "green", "blue")[k % 3] for k in range(300)],
        "b": [None if k % 7 == 0 else k / 3 for k in range(300)], "y": RANDOM.normal(size=300),
    })  # fmt: skip
    return {
        "table": (MLP((3,)), read_table(frame, "y")),
        "forecasts": (LSTM((3,)), read_series(frame.drop("color", "b"), "y", predict="ahead", window=10)),
        "images": (CNN((2,)), read_arrays(RANDOM.integers(0, 255, (40, 6, 6, 1)).astype(np.uint8), np.arange(40) % 2)),
    }


@pytest.mark.parametrize("kind", ["table", "forecasts", "images"])
@pytest.mark.parametrize("precision", ["single", "double"])
def test_what_the_program_takes_is_counted(kind, precision):
    network, data = of_every_kind()[kind]
    prepared = prepare(Study(network, precision=precision), data)
    raw = prepared.raw
    held = sum(part.nbytes for part in jax.tree.leaves(raw))
    assert held <= as_taken_bytes(prepared.encoded, precision) <= 2.2 * held + 4000
    assert kind != "table" or held == as_taken_bytes(prepared.encoded, precision)


def table(rows=20_000, width=10):
    x = RANDOM.normal(size=(rows, width))
    return read_table(x, x[:, 0])


def test_a_budget_that_cannot_be_held_is_said_with_one_that_can(caplog, monkeypatch):
    """Before training: nothing is trained here."""
    data = table()
    study = Study(MLP((4,)), memory=0.001, validation=HoldOut(0.2))
    (note,) = (n for n in prepare(study, data).sealed.notes if beyond_memory.describes(n))
    assert 1.6e6 / GIBIBYTE < note.facts["needed"] < 0.2
    assert f"memory={note.facts['needed']:g}" in str(note)
    assert "stream_table" in str(note)
    assert f"--memory {note.facts['needed']:g}" in note.said(command_line)
    enough = prepare(study.replace(memory=note.facts["needed"]), data)
    assert not any(beyond_memory.describes(n) for n in enough.sealed.notes)

    with caplog.at_level(logging.WARNING, "perceptory"):
        running._prepared(study, data, None, False)
    assert str(note) in caplog.text


def test_fewer_networks_train_at_once_where_the_data_leave_little_room():
    data, study = table(), Study(MLP((4,)), optimizer=Adam(choice(*np.logspace(-4, -2, 8))), validation=HoldOut(0.2))
    blocks = []
    for memory in (2.0, 0.008, 0.001):
        (group,) = prepare(study.replace(memory=memory), data).groups
        blocks.append(group.plan.blocks)
        assert group.plan.block == prepare(study, data).groups[0].plan.block  # which would change bits
    assert blocks[0] > blocks[1] > blocks[2] == 1


def test_data_that_are_handed_over_are_not_held_twice():
    data = table(200)
    column, handed = weakref.ref(data.columns[0].data), HandedOver(data)
    del data
    prepared = prepare(Study(MLP((4,))), handed)
    assert column() is None
    assert prepared.data.rows == 160


def test_what_the_program_took_is_let_go():
    prepared = prepare(Study(MLP((4,))), table(200))
    taken = weakref.ref(prepared.raw)
    assert prepared.of_part(0).raw is taken()  # and a refit needs no second one
    prepared.encoded.let_go()
    assert taken() is None
