"""Kept files that run as machine code: read only where nobody else could have written them, and only if they are whole.

Compiled programs and kernels lie in a folder of the user's own. A folder or file that belongs to somebody else (root
excepted), or that others may write to, is not used. Every file ends in a digest of its content and its name; one that
does not fit, because it was cut short or altered, counts as not there and is made anew. No kept file is a pickle.

Whatever keeps the cache from being used is a `Problem`: collected in `problems`, and told once, in one line, through
the logger "perceptory".
"""

from __future__ import annotations

import atexit
import contextlib
import enum
import logging
import os
import shutil
import stat
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock

from perceptory.files import sealed, unsealed

LEAST_SPACE = 16 << 20  # bytes that must be free before anything is written

log = logging.getLogger("perceptory")


class ProblemKind(enum.Enum):
    """Why a folder or a file of the cache is not used; the values complete a sentence about it."""

    NO_HOME = "there is no home folder to keep compiled programs in"
    FOREIGN = "belongs to another user"
    OPEN_TO_OTHERS = "can be written to by other users"
    NOT_A_FOLDER = "is not a folder"
    NOT_WRITABLE = "cannot be written to"
    FULL = "is full"
    DAMAGED = "is damaged"


@dataclass(frozen=True)
class Problem:
    """What is wrong with the cache. path: the folder or file, None where there is none."""

    kind: ProblemKind
    path: Path | None = None

    def __str__(self) -> str:
        if self.path is None:
            return f"{self.kind.value}; they are made anew in every run. Set PERCEPTORY_CACHE to a folder of your own."
        if self.kind is ProblemKind.DAMAGED:
            return f"{self.path} {self.kind.value} and is made anew."
        remedy = "Set PERCEPTORY_CACHE to a folder of your own."
        if self.kind is ProblemKind.OPEN_TO_OTHERS:
            remedy = f"Take that right away (chmod go-w '{self.path}') or set PERCEPTORY_CACHE to another folder."
        if self.kind is ProblemKind.FULL:
            remedy = "Make room, or set PERCEPTORY_CACHE to another folder."
        return f"{self.path} {self.kind.value}, so compiled programs are not kept there. {remedy}"


_problems: dict[Problem, None] = {}
_lock = Lock()


def problems() -> tuple[Problem, ...]:
    """What has kept this process from using the cache so far."""
    return tuple(_problems)


def note(kind: ProblemKind, path: Path | None = None) -> None:
    """Record a problem, and tell it where it is new."""
    problem = Problem(kind, path)
    with _lock:
        if problem in _problems:
            return
        _problems[problem] = None
    log.warning("perceptory: %s", problem)


# --- folders -----------------------------------------------------------------------------------------------------


@lru_cache(maxsize=64)
def usable(folder: Path) -> bool:
    """Whether files of this folder may be used; it is made, for this user alone, where it is not there. Decided once a
    process."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        status = folder.stat()
        kind = _distrust(status) if stat.S_ISDIR(status.st_mode) else ProblemKind.NOT_A_FOLDER
        exposed = _exposed(folder) if kind is None else None
    except (NotADirectoryError, FileExistsError):  # a file in the place of a folder above
        kind, exposed = ProblemKind.NOT_A_FOLDER, None
    except OSError:
        kind, exposed = ProblemKind.NOT_WRITABLE, None
    if exposed is not None:
        note(ProblemKind.OPEN_TO_OTHERS, exposed)
    elif kind is not None:
        note(kind, folder)
    return kind is None and exposed is None


def writable(folder: Path) -> bool:
    """Whether this usable folder has room for more."""
    if not os.access(folder, os.W_OK):
        note(ProblemKind.NOT_WRITABLE, folder)
        return False
    with contextlib.suppress(OSError, AttributeError):  # no statvfs on Windows
        space = os.statvfs(folder)
        if space.f_bavail * space.f_frsize < LEAST_SPACE:
            note(ProblemKind.FULL, folder)
            return False
    return True


def _distrust(status: os.stat_result) -> ProblemKind | None:
    """Why what was found cannot be trusted: somebody else may have written it."""
    if not hasattr(os, "geteuid"):  # Windows: a user's folders are the user's own
        return None
    if status.st_uid not in (os.geteuid(), 0):
        return ProblemKind.FOREIGN
    return ProblemKind.OPEN_TO_OTHERS if status.st_mode & 0o022 else None


def _exposed(folder: Path) -> Path | None:
    """A folder above this one that everybody may write to, and without the sticky bit that /tmp has: anybody could put
    another folder in the place of this one."""
    if not hasattr(os, "geteuid"):
        return None
    for above in folder.resolve().parents:
        mode = above.stat().st_mode
        if mode & 0o002 and not mode & stat.S_ISVTX:
            return above
    return None


def temporary_folders() -> Iterator[Path]:
    """Private folders with room in them, one for each place of temporary files; they live as long as the process."""
    places = [os.environ.get("TMPDIR", ""), "/tmp", "/var/tmp", "/dev/shm"]
    with contextlib.suppress(OSError):
        places.insert(0, tempfile.gettempdir())
    for place in dict.fromkeys(p for p in places if p):
        folder = _temporary(place)
        if folder is not None and writable(folder):
            yield folder


@lru_cache(maxsize=8)
def _temporary(place: str) -> Path | None:
    try:
        own = tempfile.mkdtemp(prefix="perceptory-", dir=place)  # mode 0700
    except OSError:
        return None
    _made.append(own)
    return Path(own)


_made: list[str] = []


@atexit.register
def remove_temporary() -> None:
    """Remove the temporary folders of this process."""
    while _made:
        shutil.rmtree(_made.pop(), ignore_errors=True)


# --- files -------------------------------------------------------------------------------------------------------


def read(path: Path) -> bytes | None:
    """The content of a kept file; None where there is none, or none that can be used."""
    try:
        # Neither a link, which may lead anywhere, nor a pipe, which would wait.
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except OSError:
        return None
    try:
        with open(handle, "rb") as file:
            status = os.fstat(file.fileno())
            distrusted = _distrust(status)
            if distrusted is not None:
                note(distrusted, path)
                return None
            content = file.read() if stat.S_ISREG(status.st_mode) else b""
    except OSError:  # a folder, a disk that fails
        content = b""
    whole = unsealed(content, path.name)
    if whole is None:
        note(ProblemKind.DAMAGED, path)
    return whole


def write(path: Path, content: bytes) -> bool:
    """Keep a file, in place of what stands there; False where that fails. Several processes may do so at once: each
    writes a file of its own, and the last to rename it wins."""
    own = path.with_name(f"{uuid.uuid4().hex}.tmp")
    try:
        handle = os.open(own, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(handle, "wb") as file:
            file.write(sealed(content, path.name))
        os.replace(own, path)
    except OSError:
        with contextlib.suppress(OSError):
            own.unlink()
        return False
    return True
