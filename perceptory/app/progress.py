"""The display of a study at work: networks done, epochs a second, best score, time left. It ticks while it waits."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from perceptory.typing import Progress

PATIENCE = 2.0  # seconds without news, or four times the usual, after which a program is being compiled


def clock(seconds: float) -> str:
    """'0:07', '12:30', '1:02:03'."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


class Display:
    """Draws the newest state; `rich.live.Live` asks for it several times a second, from a thread of its own."""

    def __init__(self) -> None:
        self.started = self.heard = time.monotonic()
        self.pause = 0.0  # the usual time between two states
        self.state: dict[str, Any] | None = None

    def __call__(self, state: dict[str, Any]) -> None:
        now = time.monotonic()
        if self.state is not None:
            self.pause = now - self.heard if not self.pause else 0.7 * self.pause + 0.3 * (now - self.heard)
        self.heard, self.state = now, dict(state)

    def stage(self) -> str:
        """What is being done, as far as can be told from outside."""
        if self.state is None:
            return "compiling"
        if self.state["members_done"] >= self.state["members"]:
            return "finishing"
        return "compiling" if time.monotonic() - self.heard > max(PATIENCE, 4 * self.pause) else "training"

    def facts(self) -> str:
        """The second line."""
        from perceptory.wording import count_of, metric_name, number

        now = time.monotonic()
        parts = []
        if self.state is not None:
            rows = self.state.get("rows_per_second")
            parts.append(f"{self.state['epochs_per_second']:,.0f} epochs/s" if rows is None else f"{rows:,.0f} rows/s")
            if self.state.get("workers"):
                parts[0] += f" on {count_of(self.state['workers'], 'worker')}"
            if math.isfinite(self.state["best"]):
                parts.append(f"best {metric_name(self.state['score'])} {number(self.state['best'])}")
        parts.append(f"{clock(now - self.started)} so far")
        if self.state is not None and self.stage() != "finishing":
            left = self.state["seconds_left"] - (now - self.heard)
            if math.isfinite(left):
                parts.append(f"about {clock(max(left, 1))} left")
        return ", ".join(parts)

    def __rich__(self) -> RenderableType:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        state = self.state
        line = Table.grid(padding=(0, 1))
        if state is None:
            bar, count = ProgressBar(total=None, width=30, pulse=True), ""
        else:
            bar = ProgressBar(total=max(state["members"], 1), completed=state["members_done"], width=30)
            count = f"{state['members_done']} of {state['members']} networks"
        line.add_row(Text(f"{self.stage():<9}", style="bold"), bar, Text(count))
        return Group(line, Text(self.facts(), style="dim", no_wrap=True, overflow="ellipsis"))


@contextmanager
def watching(console: Console, quiet: bool) -> Iterator[Progress | None]:
    """Gives what a study calls with its state, and shows it; nothing where `console` is no terminal."""
    if quiet or not console.is_terminal:
        yield None
        return
    from rich.live import Live

    display = Display()
    with Live(display, console=console, refresh_per_second=8, transient=True, redirect_stdout=False):
        yield display
