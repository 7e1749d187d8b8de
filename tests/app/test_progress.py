"""The display of progress, drawn on a console of its own."""

from __future__ import annotations

import io
import math

import pytest
from rich.console import Console

from perceptory.app import progress
from perceptory.app.progress import Display, clock, watching

STATE = {"members_done": 63, "members": 120, "epochs": 900, "epochs_per_second": 12345.6, "score": "rmse",
         "best": 4.8304, "seconds": 21.0, "seconds_left": 19.0}  # fmt: skip


@pytest.fixture
def time(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def drawn(display: Display) -> list[str]:
    console = Console(file=io.StringIO(), width=80, color_system=None, force_terminal=True, legacy_windows=False)
    console.print(display)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]


def test_it_ticks_before_the_first_news(time):
    display = Display()
    time[0] += 7
    first, second = drawn(display)
    assert first.startswith("compiling")
    assert second == "0:07 so far"


def test_facts(time):
    display = Display()
    time[0] += 21
    display(STATE)
    first, second = drawn(display)
    assert first.startswith("training  ━")
    assert first.endswith("63 of 120 networks")
    assert second == "12,346 epochs/s, best RMSE 4.830, 0:21 so far, about 0:19 left"
    time[0] += 10  # no news for long: the next program is being compiled
    assert drawn(display)[0].startswith("compiling")
    assert drawn(display)[1].endswith("0:31 so far, about 0:09 left")
    display(STATE | {"members_done": 120, "seconds_left": 0.0})
    assert drawn(display)[0].startswith("finishing")
    assert "left" not in drawn(display)[1]


def test_nothing_known_yet(time):
    display = Display()
    display(STATE | {"members_done": 0, "best": math.nan, "seconds_left": math.nan})
    assert drawn(display)[1] == "12,346 epochs/s, 0:00 so far"
    assert max(map(len, drawn(display))) <= 80


def test_clock():
    assert [clock(s) for s in (0, 59.4, 61, 3723, -3)] == ["0:00", "0:59", "1:01", "1:02:03", "0:00"]


def test_quiet_where_there_is_no_terminal():
    file = io.StringIO()
    with watching(Console(file=file), quiet=False) as show:
        assert show is None
    with watching(Console(file=file, force_terminal=True), quiet=True) as show:
        assert show is None
    assert file.getvalue() == ""
    with watching(Console(file=file, force_terminal=True, width=80), quiet=False) as show:
        assert show is not None
        show(STATE)
    assert "epochs/s" in file.getvalue()
