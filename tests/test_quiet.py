"""What is held back of standard error, and what is not."""

import os
import threading

from perceptory.quiet import without_panics

PANIC = b"\nthread 'polars-%d' (77) panicked at a.rs:9:5:\nout of range\nnote: run with `RUST_BACKTRACE=1`\n"


def test_panics_are_held_back_and_nothing_else(capfd):
    with without_panics():
        os.write(2, b"before\n" + PANIC % 1 + PANIC % 22 + b"after\n")
        with without_panics():  # within itself, and in another thread at once
            thread = threading.Thread(target=_read)
            thread.start()
            thread.join()
        os.write(2, b"end\n")
    os.write(2, b"at once\n")
    assert capfd.readouterr().err == "before\nafter\nread\nend\nat once\n"


def _read():
    with without_panics():
        os.write(2, PANIC % 3 + b"read\n")


def test_a_panic_that_was_cut_off(capfd):
    with without_panics():
        os.write(2, b"said\nthread '<unnamed>' panicked at a.rs:1:1:\nlost")
    assert capfd.readouterr().err == "said\n"


def test_closed_standard_error():
    before = os.dup(2)
    os.close(2)
    try:
        with without_panics():
            pass
    finally:
        os.dup2(before, 2)
        os.close(before)
