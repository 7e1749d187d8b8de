"""The run folder as a study writes it: one writer at a time, every file whole or not there, a way on from any state.

study.json is the mark: the first file of a run and the last that is removed. result.json is written last, so that its
presence means completeness. What is trained meanwhile is kept in `chunks`. A process may end between any two of these
steps: what it leaves is a folder that can be resumed or overwritten.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from perceptory import files
from perceptory.errors import InputError, Setting
from perceptory.models import model_file
from perceptory.results.result_data import ResultData
from perceptory.runs.contents import (
    FILES,
    FORMAT,
    HISTORY,
    MARK,
    MODEL,
    PREDICTIONS,
    REPORT,
    RESULT,
    history_bytes,
    predictions_bytes,
    result_json,
    signed,
)
from perceptory.runs.lock import FolderLock
from perceptory.runs.reading import read_mark

CHUNKS = "chunks"
RUNNING = "running"  # in `CHUNKS`: the states of members that are being trained

log = logging.getLogger("perceptory")

Kept = tuple[dict[str, np.ndarray], dict[str, Any]]  # arrays by name, and JSON data


@dataclass(frozen=True)
class Request:
    """What a run is known by. study: what is asked, as JSON data. fingerprint: a digest of that and of the data.
    environment: what the bits of its results depend on beside, such as versions."""

    study: dict[str, Any]
    fingerprint: str
    environment: dict[str, Any]

    @property
    def key(self) -> str:
        """Under which the parts of this run are sealed, so that no other run takes them for its own."""
        text = json.dumps([self.fingerprint, self.environment], sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


class RunFolder:
    """A run folder that this process writes."""

    def __init__(self, path: str | Path):
        self.path = files.path_of(path)
        self._chunks = self.path / CHUNKS
        self._key = ""  # of the request that is being written
        self._next = 0  # number of the next part

    def prepare(self, *, resume: bool, overwrite: bool) -> None:
        """Check, before any work, that the folder may be written; nothing is changed where it may not."""
        path = self.path
        if path.exists() and not path.is_dir():
            raise InputError(f"{path} is a file, and a run needs a folder. Choose another folder.")
        self._check_use(resume, overwrite)
        parent = path if path.is_dir() else next(p for p in path.absolute().parents if p.exists())
        if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
            raise InputError(f"cannot write to {parent}. Choose a folder that you may write to.")

    def _check_use(self, resume: bool, overwrite: bool) -> None:
        """Refuse a folder that holds other things, or a run that is not to be touched."""
        path = self.path
        used = path.is_dir() and any(self._counts(p) for p in path.iterdir())
        if used and not (path / MARK).is_file():
            raise InputError(f"{path} is not empty and not a run folder. Choose another folder.")
        if used and not (resume or overwrite):
            raise InputError(
                f"{path} holds a run already. Choose ",
                Setting("resume", True),
                " to go on, ",
                Setting("overwrite", True),
                ", or another folder.",
            )

    def _counts(self, path: Path) -> bool:
        """Whether this is more than what a process leaves that was killed before it had kept anything."""
        if path.name.startswith(".perceptory") or (path.name == CHUNKS and path.is_dir() and not any(path.iterdir())):
            return False
        if path.name == MARK:
            with contextlib.suppress(OSError, ValueError):
                read_mark(self.path)
                return False
        return True

    @contextlib.contextmanager
    def writing(self, request: Request, *, resume: bool = False, overwrite: bool = False) -> Iterator[None]:
        """Write a run in this block, which no other process can do meanwhile. On resuming, it is checked that the same
        is asked of the same data. Where the block fails before anything of the run is kept, the folder is as before.
        """
        lock, begun = FolderLock(self.path), False
        with self._explained():
            made = lock.take()
        try:
            self._check_use(resume, overwrite)
            with self._explained():
                begun = self._begin(request, resume, overwrite)
            yield
        except BaseException:
            if begun and not any(self._chunks.glob("*")) and not (self.path / RESULT).exists():
                with contextlib.suppress(OSError):
                    self._clear()
                    (self.path / MARK).unlink()
            raise
        finally:
            lock.release(remove=made)

    def rewrite(self, result: ResultData) -> None:
        """Write a finished run anew, with what has become known since. Refused where the folder holds another by now.

        Raises `InputError`.
        """
        lock = FolderLock(self.path)
        with self._explained():
            made = lock.take()
        try:
            if made or read_mark(self.path)["fingerprint"] != result.fingerprint:
                raise InputError(f"{self.path} holds another run by now, so nothing is written there. Save elsewhere.")
            self.complete(result)
        except (OSError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"the run folder {self.path} is damaged ({error}). Save elsewhere.") from None
        finally:
            lock.release(remove=made)

    def _begin(self, request: Request, resume: bool, overwrite: bool) -> bool:
        """Make the folder ready; whether its mark is new."""
        self._key = request.key
        files.clear_temporary(self.path)
        marked = (self.path / MARK).is_file()
        if marked and resume and not overwrite:
            new = not self._same(request)
        else:
            self._clear()
            new = True
        if new:
            mark = {"format": FORMAT, "fingerprint": request.fingerprint, "environment": request.environment}
            files.replace(self.path / MARK, signed(mark | {"study": request.study}))
        self._chunks.mkdir(exist_ok=True)
        files.clear_temporary(self._chunks)
        numbers = [int(p.stem) for p in self._chunks.iterdir() if p.stem.isascii() and p.stem.isdigit()]
        self._next = max(numbers, default=-1) + 1
        return new and not marked

    def _same(self, request: Request) -> bool:
        """Whether the mark is that of the same request; False where it is damaged, but parts of the run are there.
        Raises `InputError` where it is that of another."""
        try:
            mark = read_mark(self.path)
        except ValueError:
            if any(self._part(path) is not None for path in self._parts()):
                log.warning("perceptory: %s was damaged and is made anew.", self.path / MARK)
                return False
            raise InputError(
                f"{MARK} of the run in {self.path} is damaged, so nobody knows what it asked. Choose ",
                Setting("overwrite", True),
                ", or another folder.",
            ) from None
        if mark["fingerprint"] != request.fingerprint:
            raise InputError(
                f"the run in {self.path} asked something else or of other data, so its parts cannot be used."
                " Ask for the same again with ",
                Setting("resume", True),
                ", or choose ",
                Setting("overwrite", True),
                ".",
            )
        self.check_environment(mark["environment"], request.environment)
        return True

    def check_environment(self, before: dict[str, Any], now: dict[str, Any]) -> None:
        """Raise `InputError` where something differs that bits depend on."""
        for name in sorted(before.keys() | now.keys()):
            if before.get(name) != now.get(name):
                raise InputError(
                    f"the run in {self.path} was begun with {name.replace('_', ' ')}"
                    f" {_short(before.get(name))}, and here it is {_short(now.get(name))}, so its other half would not"
                    " give the same numbers. Restore that, or choose ",
                    Setting("overwrite", True),
                    ".",
                )

    def _clear(self) -> None:
        """Remove what a run has written but for its mark, and nothing else: first what says that it is complete."""
        for name in (RESULT, *(name for name in FILES if name not in (RESULT, MARK))):
            (self.path / name).unlink(missing_ok=True)
        self._clear_chunks()

    def _clear_chunks(self) -> None:
        if self._chunks.is_dir():
            files.clear_temporary(self._chunks)
            for path in (*self._parts(), self._chunks / RUNNING):
                path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                self._chunks.rmdir()

    # --- what is trained, kept until the run is complete --------------------------------------------------------

    def keep(self, kind: str, tensors: dict[str, np.ndarray], facts: dict[str, Any]) -> None:
        """Keep what has been trained, in a file of its own. kind: of its content, for `kept`."""
        self._write(f"{self._next:05d}.{kind}", tensors, facts)
        self._next += 1

    def kept(self, kind: str) -> list[Kept]:
        """What `keep` has written so far, in order. A file that is not whole is removed and counts as not written."""
        contents = []
        for path in self._parts():
            if path.suffix == f".{kind}":
                content = self._part(path)
                if content is None:
                    self._left_out(path)
                else:
                    contents.append(content)
        return contents

    def keep_running(self, tensors: dict[str, np.ndarray], facts: dict[str, Any]) -> None:
        """Keep the states of members that are being trained, in place of those that were kept before."""
        self._write(RUNNING, tensors, facts)

    def kept_running(self) -> Kept | None:
        """What `keep_running` has written last, if it is whole."""
        path = self._chunks / RUNNING
        content = self._part(path) if path.exists() else None
        if content is None and path.exists():
            self._left_out(path)
        return content

    def _parts(self) -> list[Path]:
        return sorted(p for p in self._chunks.glob("*.*") if p.stem.isdigit())

    def _write(self, name: str, tensors: dict[str, np.ndarray], facts: dict[str, Any]) -> None:
        from safetensors.numpy import save

        arrays = {k: np.ascontiguousarray(v) for k, v in tensors.items()}
        content = save(arrays, metadata={"perceptory": json.dumps(facts)})
        with self._explained():
            files.replace(self._chunks / name, files.sealed(content, f"{self._key}/{name}"))

    def _part(self, path: Path) -> Kept | None:
        from safetensors.numpy import load

        with contextlib.suppress(OSError):
            content = files.unsealed(path.read_bytes(), f"{self._key}/{path.name}")
            if content is not None:
                header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
                return load(content), json.loads(header["__metadata__"]["perceptory"])
        return None

    def _left_out(self, path: Path) -> None:
        log.warning("perceptory: %s was damaged; what it held is trained anew.", path)
        with contextlib.suppress(OSError):
            path.unlink()

    # --- the finished run ---------------------------------------------------------------------------------------

    @property
    def complete_before(self) -> bool:
        """Whether a finished run stands here, by its files' names."""
        return (self.path / RESULT).is_file()

    def complete(self, result: ResultData) -> None:
        """Write all files of a finished run, of which result.json is the last."""
        from perceptory.reports.page import render

        contents = {HISTORY: history_bytes(result), PREDICTIONS: predictions_bytes(result)}
        if result.model is not None:
            with contextlib.suppress(InputError) if result.model.facts.get("custom") else contextlib.nullcontext():
                contents[MODEL] = model_file.to_bytes(result.model)
        page = {REPORT: render(result).encode(errors="replace")}  # may be drawn again
        last = {RESULT: signed(result_json(result, contents))}
        with self._explained():
            files.replace_all(self.path, contents | page | last)
        if result.tested is not None or not result.data.test_rows:  # else the sealed rows have still to be read
            self.drop_parts()

    def drop_parts(self) -> None:
        """Remove what was kept while the run was not complete."""
        with contextlib.suppress(OSError):
            self._clear_chunks()

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """An operating system's error as a sentence that says how to go on."""
        try:
            yield
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            said = f"cannot write to {self.path}: {error.strerror}."
            if (self.path / MARK).is_file() and any(self._chunks.glob("*")):
                remedy = "make room" if full else "mend that"
                raise InputError(
                    f"{said} What is trained is kept: {remedy} and go on with ", Setting("resume", True), "."
                ) from None
            raise InputError(f"{said} {'Make room' if full else 'Choose a folder that you may write to'}.") from None


def _short(value: Any) -> str:
    text = "nothing" if value is None else json.dumps(value) if isinstance(value, list | dict) else str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
