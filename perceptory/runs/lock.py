"""One writer at a time in a run folder: a lock that ends with the process, however it ends."""

from __future__ import annotations

import contextlib
import errno
import os
import time
from pathlib import Path
from typing import Any

from perceptory.errors import InputError

LOCK = ".perceptory.lock"
# Somebody else has it. With any other number the file system says that it has no locks.
_REFUSED = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)


class FolderLock:
    """The right to write in a folder. Whoever has it may remove what is in the folder; whoever has not may not.

    The lock is one of the operating system on the file `.perceptory.lock`, so a process that was killed leaves the file
    and no lock. Where the file system has no locks, nothing is locked.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self._file: int | None = None

    def take(self) -> bool:
        """Make the folder where it is not there, and take the lock; whether this call has made the folder.

        Raises `InputError` where another process, or another call in this one, writes there.
        """
        made = False
        for patience in range(50, -1, -1):
            try:
                self.folder.parent.mkdir(parents=True, exist_ok=True)
                with contextlib.suppress(FileExistsError):
                    self.folder.mkdir()
                    made = True
                file = os.open(self.folder / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
            except FileNotFoundError:  # the one who had made the folder has just taken it away
                if not patience:
                    raise
                made = False
                time.sleep(0.01)
                continue
            if not _lock(file):
                os.close(file)
                break
            if self._is(file):
                self._file = file
                return made
            os.close(file)  # the file was removed by the one who had the lock before
        raise InputError(
            f"another process writes its run to {self.folder}. Wait until it has ended, or choose another folder."
        )

    def release(self, *, remove: bool) -> None:
        """Give the lock back, with its file; remove: with the folder as well, if nothing else is in it."""
        if self._file is None:
            return
        with contextlib.suppress(OSError):  # on Windows an open file stays, which harms nothing
            (self.folder / LOCK).unlink()
        if remove:
            with contextlib.suppress(OSError):
                self.folder.rmdir()
        os.close(self._file)
        self._file = None

    def _is(self, file: int) -> bool:
        """Whether the file that was locked is still the one in the folder."""
        try:
            return os.path.samestat(os.fstat(file), os.stat(self.folder / LOCK))
        except OSError:
            return False


def _lock(file: int) -> bool:
    """Lock an open file; False where somebody else has locked it."""
    try:
        _system_lock(file)
    except OSError as error:
        return error.errno not in _REFUSED
    return True


def _system_lock(file: int) -> None:
    system: Any
    try:
        import fcntl as system
    except ImportError:  # Windows
        import msvcrt as system

        system.locking(file, system.LK_NBLCK, 1)
    else:
        system.flock(file, system.LOCK_EX | system.LOCK_NB)
