"""Files that are there whole or not at all, and content that tells whether it was altered."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import os
import stat
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from perceptory.errors import InputError

if TYPE_CHECKING:
    import polars as pl


def path_of(value: Any) -> Path:
    """A path, where it is one that the system can look for; there may be nothing at it. Raises `InputError`."""
    if not isinstance(value, str | os.PathLike) or isinstance(os.fspath(value), bytes):
        raise InputError(f"a path is a text or a pathlib.Path, got a {type(value).__name__}.")
    path = Path(value)
    try:
        os.lstat(path)
    except (OSError, ValueError) as error:
        if isinstance(error, ValueError) or error.errno in (errno.ENAMETOOLONG, errno.ELOOP):
            why = getattr(error, "strerror", None) or "it holds a character that no path may hold"
            raise InputError(f"there can be no file {str(path)!r}: {why[:1].lower()}{why[1:]}.") from None
    return path


def readable(path: Path) -> Path | io.BytesIO:
    """The path, or, where its name is not UTF-8, which polars takes no name in, what the file holds."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return io.BytesIO(path.read_bytes())
    return path


def is_full(error: OSError) -> bool:
    """Whether there was no room; polars says so in its text alone."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT) or f"os error {errno.ENOSPC}" in str(error)


def not_written(path: Any, error: OSError) -> InputError:
    """A file that could not be written, and what to do."""
    if is_full(error):
        return InputError(f"cannot write to {path}: no space is left on the device. Make room, or choose another one.")
    why = error.strerror or str(error).splitlines()[0].partition(" (os error")[0]
    return InputError(f"cannot write to {path}: {why}. Choose a folder that you may write to.")


def no_temporary(folder: Any, error: OSError) -> InputError:
    """A temporary file or folder that could not be written, and what to do."""
    return InputError(
        f"cannot write to the temporary folder {folder}: {error.strerror or error}. Make room there, or name another"
        " folder in the environment variable TMPDIR."
    )


def write_part(frame: pl.DataFrame, path: Path) -> Path:
    """Write a frame as Parquet into a temporary folder. Raises `InputError`, which names the folder."""
    try:
        with open(path, "wb") as file, said_by_the_system(file):
            frame.write_parquet(file)
    except OSError as error:
        raise no_temporary(path.parent, error) from None
    return path


@contextlib.contextmanager
def said_by_the_system(file: BinaryIO) -> Iterator[None]:
    """What polars raises where a file cannot be written, as the system's own error, which tells why."""
    import polars as pl

    try:
        yield
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        file.write(bytes(PROBE))  # what hindered polars hinders this
        file.flush()
        os.fsync(file.fileno())
        raise OSError(errno.EIO, os.strerror(errno.EIO)) from error


PROBE = 1 << 20  # bytes that are written where polars could not write, to hear why
TEMPORARY = ".perceptory-*.tmp"  # what a process that was killed may leave
_DIGEST = 32
SEAL = b"\nperceptory seal 1\n"


def digest(content: bytes) -> str:
    """In hexadecimal digits."""
    return hashlib.blake2b(content, digest_size=_DIGEST).hexdigest()


def sealed(content: bytes, name: str) -> bytes:
    """The content, and a digest of it and of its name: what stands under another name is not what it says."""
    return content + SEAL + _keyed(content, name)


def unsealed(content: bytes, name: str) -> bytes | None:
    """The content of `sealed`, or None where it was cut short, altered or sealed under another name."""
    end = len(content) - _DIGEST - len(SEAL)
    if end < 0 or content[end : end + len(SEAL)] != SEAL or content[-_DIGEST:] != _keyed(content[:end], name):
        return None
    return content[:end]


def _keyed(content: bytes, name: str) -> bytes:
    return hashlib.blake2b(content, digest_size=_DIGEST, key=name.encode()[-64:]).digest()


def replace(path: Path, content: bytes) -> None:
    """Write to a temporary name in the same folder, then rename: a reader sees the old file or the new one, with the
    old one's permissions. A link stays and what it points to is written; a device or pipe is written to.

    Raises `OSError`; the old file is there then.
    """
    before = os.stat(path).st_mode if path.exists() else None
    if before is not None and not (stat.S_ISREG(before) or stat.S_ISDIR(before)):
        with open(path, "wb") as file:
            file.write(content)
        return
    _renamed(*_written(path, content))


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """As `replace`, for content that is written bit by bit: the file to write to takes the old one's place at the end,
    unless an error comes between."""
    before = os.stat(path).st_mode if path.exists() else None
    if before is not None and not (stat.S_ISREG(before) or stat.S_ISDIR(before)):
        with open(path, "wb") as file:
            yield file
        return
    with _temporary(path) as (file, temporary, target):
        yield file
    _renamed(temporary, target)


def _renamed(temporary: Path, target: Path) -> None:
    """The temporary file in the place of the other; removed where that fails."""
    try:
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def replace_all(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Write several files of a folder, of which the last says that all are there: it is taken away first and comes
    last. All are written before the first is renamed, so that a full disk leaves everything as it was.

    Raises `OSError`.
    """
    pairs: list[tuple[Path, Path]] = []
    try:
        for name, content in contents.items():
            pairs.append(_written(folder / name, content))
        pairs[-1][1].unlink(missing_ok=True)
        for temporary, target in pairs:
            os.replace(temporary, target)
    except BaseException:
        for temporary, _ in pairs:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
        raise


def clear_temporary(folder: Path) -> None:
    """Remove what processes that were killed have left of files that they wrote into this folder."""
    for path in folder.glob(TEMPORARY):
        path.unlink(missing_ok=True)


def _written(path: Path, content: bytes) -> tuple[Path, Path]:
    """(a temporary file with this content, the file whose place it is to take)."""
    with _temporary(path) as (file, temporary, target):
        file.write(content)
    return temporary, target


@contextlib.contextmanager
def _temporary(path: Path) -> Iterator[tuple[BinaryIO, Path, Path]]:
    """A temporary file to write to, its path, and the file whose place it is to take; removed where an error comes."""
    target = Path(os.path.realpath(path)) if path.is_symlink() else path
    temporary = target.with_name(f".perceptory-{uuid.uuid4().hex}.tmp")
    try:
        with open(temporary, "wb") as file:
            if target.exists() and hasattr(os, "fchmod"):
                os.fchmod(file.fileno(), stat.S_IMODE(os.stat(target).st_mode))
            yield file, temporary, target
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
