"""Ctrl-C, an end that the system or a closing terminal asks for: one sentence, the right exit code, and soon.

A signal raises KeyboardInterrupt in the main thread, as Ctrl-C does everywhere in Python. But a library may swallow it,
and code that is not Python's may keep it waiting for minutes, so a thread of our own sees to it: where the program has
not ended after `GRACE` seconds, the thread says the sentence and ends it. Whatever is written meanwhile is written
whole or not at all (`perceptory.files`), so that is safe at any moment.

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
from typing import Any

GRACE = 3.0  # seconds that the main thread has
SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))

_received: int | None = None
_sentence: Callable[[], str] = lambda: "stopped."  # noqa: E731
_ended = threading.Event()  # what was watched is over


def received() -> int | None:
    """The signal that came, if one has."""
    return _received


def exit_code() -> int:
    """That of a program which a signal ended: 130 after Ctrl-C."""
    return 128 + (signal.SIGINT if _received is None else _received)


@contextlib.contextmanager
def saying(sentence: Callable[[], str]) -> Iterator[None]:
    """What is said in this block where a signal ends the program."""
    global _sentence
    before, _sentence = _sentence, sentence
    try:
        yield
    finally:
        _sentence = before


@contextlib.contextmanager
def watched() -> Iterator[None]:
    """Watch the signals in this block. One that the caller has told to be ignored (nohup) stays ignored."""
    global _received
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _received = None
    _ended.clear()
    before = {number: signal.getsignal(number) for number in SIGNALS}
    here, there = socket.socketpair()
    there.setblocking(False)
    wakeup = signal.set_wakeup_fd(there.fileno(), warn_on_full_buffer=False)
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, _interrupt)
    guard = threading.Thread(target=_guard, args=(here,), name="perceptory signals", daemon=True)
    guard.start()
    try:
        yield
    finally:
        _ended.set()
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(wakeup)
        there.close()
        guard.join(1.0)
        here.close()


def _interrupt(number: int, frame: Any) -> None:
    global _received
    first, _received = _received is None, number if _received is None else _received
    if first:
        sys.unraisablehook = lambda _: (
            None
        )  # where it is raised in a place that cannot raise, nobody wants to read that
        raise KeyboardInterrupt


def _guard(wakeups: socket.socket) -> None:
    """The thread: the interpreter writes the number of a signal to the socket when it comes, whatever is at work."""
    global _received
    count = 0
    while not _ended.is_set():
        try:
            numbers = wakeups.recv(1 if not count else 64)
        except OSError:
            return
        numbers = bytes(n for n in numbers if n in SIGNALS)
        if not numbers:
            if _ended.is_set():
                return
            continue
        count += len(numbers)
        if count == 1:
            threading.Thread(target=_end, args=(numbers[0], GRACE), daemon=True).start()
        else:  # who presses Ctrl-C twice does not want to wait
            _end(numbers[0], 0.1)


def _end(number: int, grace: float) -> None:
    """End the program after so many seconds, unless it has ended."""
    global _received
    if _ended.wait(grace):
        return
    _received = number if _received is None else _received
    with contextlib.suppress(Exception):
        shown_again = "\x1b[?25h" if sys.stderr.isatty() else ""  # the cursor, which a display may have hidden
        sys.stderr.write(f"{shown_again}perceptory: {_sentence()}\n")
        sys.stderr.flush()
    os._exit(exit_code())
