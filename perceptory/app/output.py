"""Standard output and standard error of the command line: nothing is lost in silence, whatever stands behind them."""

from __future__ import annotations

import errno
import io
import os
import sys


class _ClosedOutput(io.TextIOBase):
    """Stands where the caller closed standard output: writing fails, as it does where a disk is full."""

    encoding = "utf-8"

    def write(self, text: str) -> int:
        raise OSError(errno.EBADF, "standard output is closed, so what belongs there would be lost")


def open_streams() -> None:
    """Make both streams take every sign: one that the encoding lacks is written as an escape, never left out."""
    if sys.stdout is None:
        sys.stdout = _ClosedOutput()
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def write_data(text: str) -> None:
    """Write what another program reads, as UTF-8 whatever the locale says; a terminal gets its own encoding."""
    if sys.stdout.isatty() or not hasattr(sys.stdout, "buffer"):
        sys.stdout.write(text)
        return
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode())
    sys.stdout.buffer.flush()
