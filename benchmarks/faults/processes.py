"""Commands in processes of their own that begin at once: forked from one that has imported all and started nothing.

Importing takes longer than the small studies that are killed here. JAX and polars start their threads when they are
first used, which is in the process of each command.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.faults.studies import without_pictures

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(
    ["jax", "optax", "polars", "perceptory.app.cli", "perceptory.app.fit", "perceptory.studies.run",
     "perceptory.training.driver", "perceptory.reports.page"]
)  # fmt: skip


class Command:
    """`perceptory` with these arguments. interval: seconds between two times that states are kept; None as usual."""

    def __init__(self, argv: Sequence[str], interval: float | None = None):
        with tempfile.NamedTemporaryFile(prefix="perceptory-said-", delete=False) as file:
            self._said = Path(file.name)
        self._process: Any = _context.Process(target=_run, args=(list(argv), interval, self._said, os.getcwd()))
        self.begun = time.time()
        self._process.start()

    @property
    def pid(self) -> int:
        return int(self._process.pid)

    def running(self) -> bool:
        return bool(self._process.is_alive())

    def worked(self) -> float:
        """Seconds of processor time that it has had, of all its threads."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def kill(self) -> None:
        self._process.kill()
        self._process.join()
        self._said.unlink()

    def wait(self) -> tuple[int, str]:
        """(exit code, standard error)."""
        self._process.join()
        said = self._said.read_text()
        self._said.unlink()
        return int(self._process.exitcode), said


def _run(argv: list[str], interval: float | None, said: Path, folder: str) -> None:
    os.chdir(folder)
    file = os.open(said, os.O_WRONLY)
    os.dup2(file, 2)
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    from perceptory.studies import keeping

    without_pictures()
    if interval is not None:
        keeping.INTERVAL, keeping.SHARE = interval, 1e9
    sys.argv = ["perceptory", *argv]
    from perceptory.__main__ import main

    code = main()
    sys.stderr.flush()
    os._exit(code)
