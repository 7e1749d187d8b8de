"""A fault at every operation on files of every command, and whether the folder that is left can be used.

The command runs in this process. Its n-th operation fails: without room, without permission, in the middle of what it
writes, or as if the process were killed before or after it, which is an exception that nothing catches and after which
no operation has any effect. What other commands write is in `outputs`. `tests/results/test_faults.py` is the short
form.
"""

from __future__ import annotations

import builtins
import contextlib
import errno
import io
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.faults.studies import differences, fit, without_pictures, write_data

FAULTS = ("no space", "no permission", "short write", "killed before", "killed after")


class Killed(BaseException):
    """Stands for the end of the process."""


@dataclass
class Fault:
    """Fails the operation of this number below a folder; counts them all."""

    below: Path
    kind: str = ""
    at: int = -1
    count: int = 0
    dead: bool = False
    what: str = ""

    def before(self, name: str, path: Any) -> bool:
        """Whether the operation is the one that fails; raises what it fails with, where it fails before it is done."""
        if isinstance(path, int) or not str(os.path.abspath(os.fspath(path))).startswith(str(self.below)):
            return False
        if self.dead:
            raise Killed
        self.count += 1
        if self.count - 1 != self.at:
            return False
        self.what = f"{name} {os.path.basename(os.fspath(path))}"
        if self.kind in ("no space", "no permission"):
            number = errno.ENOSPC if self.kind == "no space" else errno.EACCES
            raise OSError(number, os.strerror(number), os.fspath(path))
        if self.kind == "killed before":
            self.dead = True
            raise Killed
        return True

    def after(self) -> None:
        if self.kind == "killed after":
            self.dead = True
            raise Killed


class _File:
    """A file that is written; `Fault` looks at what is done with it."""

    def __init__(self, file: Any, path: Any, fault: Fault):
        self._file, self._path, self._fault = file, path, fault

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> _File:
        return self

    def __exit__(self, *how: Any) -> None:
        self._file.close()

    def write(self, content: Any) -> int:
        if self._fault.before("write", self._path):
            self._file.write(content[: len(content) // 2])
            self._file.flush()
            self._fault.after()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return int(self._file.write(content))


@contextlib.contextmanager
def failing(fault: Fault) -> Iterator[None]:
    """The operations of this process are those of `fault`. Locks that a killed command left are given back."""
    names = ("replace", "mkdir", "unlink", "rmdir", "open", "fsync")
    real: dict[str, Any] = {name: getattr(os, name) for name in names} | {"file": builtins.open}
    opened: list[int] = []

    def wrapped(name: str) -> Callable[..., Any]:
        def call(path: Any, *args: Any, **kwargs: Any) -> Any:
            reads = name == "open" and not args[0] & os.O_CREAT
            hit = False if reads else fault.before(name, path)
            result = real[name](path, *args, **kwargs)
            if name == "open" and not reads:
                opened.append(result)
            if hit:
                fault.after()
            return result

        return call

    def open_file(path: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        if isinstance(path, int) or not set(mode) & set("wax"):
            return real["file"](path, mode, *args, **kwargs)
        hit = fault.before("create", path)
        file = real["file"](path, mode, *args, **kwargs)
        if hit and fault.kind == "killed after":
            file.close()
        if hit:
            fault.after()
        return _File(file, path, fault)

    for name in names:
        setattr(os, name, wrapped(name))
    builtins.open = open_file  # type: ignore[assignment]
    try:
        yield
    finally:
        for name in names:
            setattr(os, name, real[name])
        builtins.open = real["file"]
        for handle in opened:  # of a process that was killed the system closes them
            with contextlib.suppress(OSError):
                os.close(handle)


def called(argv: list[str], fault: Fault | None = None) -> tuple[int | None, str]:
    """(exit code, standard error) of a command; None where it was killed."""
    from perceptory.app.cli import main

    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            with failing(fault) if fault else contextlib.nullcontext():
                return main(argv), err.getvalue()
        except Killed:
            return None, err.getvalue()


def try_all(folder: Path, commands: list[str] | None = None, step: int = 1) -> Counter[str]:
    """Every fault at every operation (or every `step`-th) of these commands; counts of what came of them."""
    write_data(folder)
    without_pictures()
    os.chdir(folder)
    counts: Counter[str] = Counter()
    epochs = 3
    assert called(fit("refit", epochs, "--out", "whole", "--quiet")) == (0, "")
    assert called(fit("refit", epochs + 1, "--out", "other", "--quiet")) == (0, "")
    _half_done(fit("refit", epochs, "--out", "half", "--quiet"))
    for name in commands or list(COMMANDS):
        begin, argv = COMMANDS[name]
        begin(Path("run"))
        clean = Fault(folder / "run")
        assert called(argv(epochs), clean)[0] == 0, name
        for kind in FAULTS:
            for at in range(0, clean.count, step):
                begin(Path("run"))
                fault = Fault(folder / "run", kind, at)
                code, said = called(argv(epochs), fault)
                bad = _judged(name, code, said, fault, epochs)
                counts[f"{name}: {'bad' if bad else 'sound'}"] += 1
                if bad:
                    print(f"{name}, {kind} at operation {at} ({fault.what}): {bad}", flush=True)
    return counts


def _half_done(argv: list[str]) -> None:
    """A run that was killed before its last file."""
    fault = Fault(Path("half").absolute())
    real = os.replace

    def last(source: Any, target: Any) -> None:
        if os.path.basename(target) in ("history.parquet", "result.json"):
            fault.dead = True
            raise Killed
        real(source, target)

    os.replace = last  # type: ignore[assignment]
    try:
        code, _ = called(argv)
    finally:
        os.replace = real
    assert code is None


def _nothing(run: Path) -> None:
    shutil.rmtree(run, ignore_errors=True)


def _copy_of(name: str) -> Callable[[Path], None]:
    def copy(run: Path) -> None:
        shutil.rmtree(run, ignore_errors=True)
        shutil.copytree(name, run)

    return copy


def _fit(*more: str) -> Callable[[int], list[str]]:
    return lambda epochs: fit("refit", epochs, "--out", "run", "--quiet", *more)


COMMANDS: dict[str, tuple[Callable[[Path], None], Callable[[int], list[str]]]] = {
    "fit": (_nothing, _fit()),
    "fit --resume": (_copy_of("half"), _fit("--resume")),
    "fit --overwrite": (_copy_of("other"), _fit("--overwrite")),
    "report": (_copy_of("whole"), lambda epochs: ["report", "run"]),
}


def _judged(name: str, code: int | None, said: str, fault: Fault, epochs: int) -> str:
    """What is bad about how a command ended and what it left; "" where nothing is."""
    if "Traceback" in said or (code not in (0, 2, None)) or (code == 2 and said.count("\n") != 1):
        return f"ended with {code} and {said!r}"
    run = Path("run")
    if name == "report":
        left = differences(run, Path("whole"))
        return f"the run changed: {left}" if left else ""
    if code == 0 and fault.kind != "killed after":
        left = differences(run, Path("whole"))
        if left:
            return f"said that all is well, and {left} differ"
    shutil.rmtree("copy", ignore_errors=True)
    if run.exists():
        shutil.copytree(run, "copy")
    for way in ("--resume", "--overwrite"):
        shutil.rmtree(run, ignore_errors=True)
        if Path("copy").exists():
            shutil.copytree("copy", run)
        code, said = called(fit("refit", epochs, "--out", "run", "--quiet", way))
        if code == 2 and way == "--resume" and name == "fit --overwrite" and "asked something else" in said:
            continue  # the run before is still there
        if code != 0:
            return f"then {way} ended with {code}: {said.strip()}"
        left = differences(run, Path("whole"))
        if left:
            return f"then {way} gave other {left}"
        odd = [p.name for p in run.iterdir() if p.name.startswith(".") or p.name == "chunks"]
        if odd:
            return f"then {way} left {odd}"
    return ""
