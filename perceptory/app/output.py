"""Standard output and standard error of the command line: nothing is lost in silence, whatever stands behind them."""

from __future__ import annotations

import errno
import io
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from perceptory import files

if TYPE_CHECKING:
    import polars as pl


MOST_HELD = 1 << 28  # bytes of predictions in memory before a file takes them


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


def writes_parquet(path: str | None) -> bool:
    """Whether a path says that Parquet is to be written."""
    return path is not None and Path(path).suffix.lower() in (".parquet", ".pq")


def write_frames(path: str | None, frames: Iterator[pl.DataFrame], *, formulas: bool = False) -> None:
    """Write frames of the same columns, one below the other, as they come: as Parquet where the path says so, else as
    CSV; None is standard output. A file is there whole or not at all. In CSV a text that a spreadsheet would take for a
    formula is `guarded`, unless `formulas`."""
    parquet = writes_parquet(path)
    frames = frames if parquet or formulas else map(_guarded, frames)
    if path is None:
        for number, frame in enumerate(frames):
            write_data(frame.write_csv(include_header=not number))
        return
    first = next(frames)  # what is refused is refused before anything is written
    try:
        with files.replacing(Path(path)) as file:
            if parquet:
                _write_parquet(file, first, frames)
            else:
                first.write_csv(file)
                for frame in frames:
                    frame.write_csv(file, include_header=False)
    except OSError as error:
        raise files.not_written(path, error) from None


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file, which is there whole or not at all."""
    try:
        files.replace(path, content)
    except OSError as error:
        raise files.not_written(path, error) from None


def _guarded(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with no text, name or value, that a spreadsheet takes for a formula."""
    import polars as pl

    from perceptory.runs.spreadsheet import guarded

    changed = []
    for column in frame.select(pl.col(pl.String)).get_columns():
        new = {text: guarded(text) for text in column.unique().drop_nulls() if guarded(text) != text}
        if new:
            changed.append(column.replace(new))
    return frame.with_columns(changed).rename({name: guarded(name) for name in frame.columns})


def _write_parquet(file: BinaryIO, first: pl.DataFrame, others: Iterator[pl.DataFrame]) -> None:
    """From memory, and what is too much for that by way of files, which polars reads and writes in a stream."""
    import polars as pl

    with tempfile.TemporaryDirectory(prefix="perceptory-", ignore_cleanup_errors=True) as folder:
        parts: list[Path] = []
        held = first
        for frame in others:
            if held.estimated_size() > MOST_HELD:
                parts.append(files.write_part(held, Path(folder, f"{len(parts):06d}.parquet")))
                held = frame
            else:
                held = pl.concat([held, frame])
        if parts:
            parts.append(files.write_part(held, Path(folder, f"{len(parts):06d}.parquet")))
        with files.said_by_the_system(file):
            if parts:
                pl.scan_parquet(parts).sink_parquet(file)
            else:
                held.write_parquet(file)
