"""Ctrl-C, an end that the system or a closing terminal asks for: one sentence, the right exit code, at once.

Python raises KeyboardInterrupt in the main thread. A library may swallow it, code that is not Python's keeps it waiting
for as long as a compilation takes, and where it strikes a library that is being imported, that may crash. So here a
thread of our own says the sentence and ends the program. Whatever is written is written whole or not at all
(`perceptory.files`, `perceptory.runs`), so that may be done at any moment.

Nothing heavy is imported here: the signals are watched before anything else is.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
INTERRUPTED = 128 + signal.SIGINT

_sentence: Callable[[], str] = lambda: "stopped."  # noqa: E731
_left_alone = False  # whether somebody else answers signals


@contextlib.contextmanager
def saying(sentence: Callable[[], str]) -> Iterator[None]:
    """What is said in this block where a signal ends the program. It must import nothing and wait for nothing."""
    global _sentence
    before, _sentence = _sentence, sentence
    try:
        yield
    finally:
        _sentence = before


@contextlib.contextmanager
def gracefully() -> Iterator[None]:
    """Signals in this block are left to a server, which answers what it has in hand before it ends."""
    global _left_alone
    _left_alone = True
    try:
        yield
    finally:
        _left_alone = False


@contextlib.contextmanager
def watched() -> Iterator[None]:
    """Watch the signals in this block. One that the caller has told to be ignored (nohup) stays ignored."""
    here, there = socket.socketpair()
    there.setblocking(False)
    before = {number: signal.getsignal(number) for number in SIGNALS}
    threading.Thread(target=_end_on_signal, args=(here,), name="perceptory signals", daemon=True).start()
    wakeup = signal.set_wakeup_fd(there.fileno(), warn_on_full_buffer=False)
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, lambda number, frame: None)  # the interpreter writes its number to the socket
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(wakeup)
        there.close()


def _end_on_signal(numbers: socket.socket) -> None:
    number = 0
    with numbers:
        while number not in SIGNALS:
            came = numbers.recv(1)
            if not came:  # nothing is watched any more
                return
            number = came[0]
            if _left_alone:
                number = 0
    with contextlib.suppress(Exception):
        quiet = sys.modules.get("perceptory.quiet")
        if quiet is not None:
            quiet.give_back()
    with contextlib.suppress(Exception):
        shown_again = "\n\x1b[?25h" if sys.stderr.isatty() else ""  # the cursor, which a display may have hidden
        sys.stderr.write(f"{shown_again}perceptory: {_sentence()}\n")
        sys.stderr.flush()
    with contextlib.suppress(Exception):
        cache = sys.modules.get("perceptory.cache")
        if cache is not None:
            cache.remove_temporary()
    os._exit(128 + number)
