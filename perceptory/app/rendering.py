"""What the command line says in words: of what comes next, and how lines fit a terminal."""

from __future__ import annotations

import shlex
import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path

from perceptory.wording import printable


def what_next(
    folder: Path, new: str | None, task: str, ahead: bool = False, explained: bool = False, future: bool = False
) -> list[tuple[str, str]]:
    """(step, file or command) of what to do with a finished run; new: what its model predicts, None without a model;
    ahead: whether that forecasts, future: from columns that are known ahead; explained: whether it holds the importance
    of columns."""
    where = shlex.quote(str(folder))
    steps = [("Report", str(folder / "report.html"))]
    if not new:
        return steps
    codes = [("Encode", f"perceptory encode {where} {new}")] if task == "autoencode" else []
    if ahead:
        return [
            *steps,
            ("Forecast", f"perceptory predict {where} --ahead{' --future FUTURE.csv' if future else ''}"),
            ("Predict", f"perceptory predict {where} {new}"),
        ]
    classes = "" if task in ("regression", "autoencode") else "   (--proba adds probabilities)"
    columns = [("Explain", f"perceptory explain {where}")] if explained else []
    return [*steps, ("Predict", f"perceptory predict {where} {new}{classes}"), *columns, *codes]


def again(argv: Sequence[str]) -> str:
    """The command that goes on with what `argv` began."""
    return shlex.join(["perceptory", *(a for a in argv if a not in ("--overwrite", "--resume")), "--resume"])


def fitted(lines: Iterable[str]) -> str:
    """The lines as one text, without control characters; on a terminal, wrapped to its width."""
    lines = [printable(line) for line in lines]
    if not sys.stdout.isatty():
        return "\n".join(lines)
    width = shutil.get_terminal_size().columns
    return "\n".join(
        textwrap.fill(line, width, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)
        for line in lines
    )
