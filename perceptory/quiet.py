"""Standard error without what the threads of a reader say when they fail on a damaged file.

Polars reads in threads of its own. One that fails writes lines to standard error ("thread ... panicked at ...") before
Python has a say, and then raises what becomes one sentence here. So while such a file is read, standard error is held
back; what is no panic is written as soon as it has been read.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterator

PANIC = re.compile(
    rb"(?:(?<![^\n])\n)?thread '[^\n]* panicked at .*?(?:\nnote: [^\n]*\n|(?=\n?thread ')|\Z)", re.DOTALL
)
_ERROR = 2  # the number of standard error
_lock = threading.Lock()
_held: list[int] = []  # standard error as it was, while it is held back
_inside = 0  # threads that read


@contextlib.contextmanager
def without_panics() -> Iterator[None]:
    """Hold standard error back in this block, and write then what is no panic. Nothing where that cannot be done."""
    global _inside
    with _lock:
        _inside += 1
        if not _held:
            _begin()
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            said = _end() if _held and not _inside else b""
        if said:
            with contextlib.suppress(OSError):
                os.write(_ERROR, said)


def give_back() -> None:
    """Standard error as it was, for one who ends the program in the middle."""
    with contextlib.suppress(OSError, IndexError):
        os.dup2(_held[0], _ERROR)


def _begin() -> None:
    with contextlib.suppress(Exception):
        if sys.stderr is not None:
            sys.stderr.flush()
    try:
        before = os.dup(_ERROR)
    except OSError:  # closed
        return
    try:
        with tempfile.TemporaryFile() as file:
            os.dup2(file.fileno(), _ERROR)
    except OSError:
        os.close(before)
    else:
        _held.append(before)


def _end() -> bytes:
    """What was said."""
    before = _held.pop()
    try:
        with contextlib.suppress(OSError):
            size = os.lseek(_ERROR, 0, os.SEEK_END)
            if size:
                os.lseek(_ERROR, 0, os.SEEK_SET)
                return PANIC.sub(b"", os.read(_ERROR, size))
        return b""
    finally:
        os.dup2(before, _ERROR)
        os.close(before)
