"""A fault at every write of every command that makes a file from a finished run: predictions, forecasts, backtests,
codes, examples, pictures, reports, exports.

Each operation on files fails as in `writes`. Besides, no file may grow beyond some size, which also stops what polars
and ONNX write without Python. Whatever comes, the run stays as it is, and where the new file is to stand there is the
new one, whole, or what stood there before.
"""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from benchmarks.faults.studies import fit, without_pictures, write_data
from benchmarks.faults.writes import FAULTS, Fault, called
from perceptory.files import TEMPORARY

SMALL = ["--folds", "2", "--epochs", "2", "--patience", "0", "--quiet", "--test", "0.2"]
RUNS = {
    "table": fit("table", 2, "--quiet"),
    "forecast": ["fit", "series.csv", "--target", "y", "--time", "t", "--predict", "ahead", "--window", "10",
                 "--horizon", "1..3", "--network", "linear", *SMALL],
    "codes": ["fit", "table.csv", "--task", "autoencode", "--network", "autoencoder:2",
              "--variational", "0.1", *SMALL],
    "pictures": ["fit", "images.npz", "--task", "autoencode", "--network", "autoencoder:2", "--variational", "0.1",
                 *SMALL],
}  # fmt: skip
OUTPUTS: dict[str, tuple[str, list[str], str]] = {  # what it is: run, the command before the file's name, the name
    "predict, CSV": ("table", ["predict", "table", "table.csv", "--members", "--out"], "new.csv"),
    "predict, Parquet": ("table", ["predict", "table", "table.csv", "--coverage", "0.9", "--out"], "new.parquet"),
    "predict --ahead": ("forecast", ["predict", "forecast", "--ahead", "--out"], "new.csv"),
    "backtest": ("forecast", ["backtest", "forecast", "series.csv", "--origins", "2", "--out"], "new.csv"),
    "encode": ("codes", ["encode", "codes", "table.csv", "--out"], "new.csv"),
    "encode, Parquet": ("codes", ["encode", "codes", "table.csv", "--out"], "new.parquet"),
    "decode": ("codes", ["decode", "codes", "codes.csv", "--out"], "new.csv"),
    "sample": ("codes", ["sample", "codes", "--count", "40", "--out"], "new.csv"),
    "sample, Parquet": ("codes", ["sample", "codes", "--count", "40", "--out"], "new.parquet"),
    "sample, picture": ("pictures", ["sample", "pictures", "--out"], "new.png"),
    "sample, arrays": ("pictures", ["sample", "pictures", "--out"], "new.npz"),
    "report": ("table", ["report", "table", "--out"], "new.html"),
    "export, ONNX": ("table", ["export", "table", "--onnx"], "new.onnx"),
    "export, C": ("table", ["export", "table", "--code"], "new.c"),
    "export, Python": ("table", ["export", "table", "--code"], "new.py"),
}
BEFORE = {"nothing": None, "an older file": b"older\n" * 500}
SIZES = (0.0, 0.01, 0.5, 0.99)  # of the file that is to be written, beyond which none grows


def try_all(folder: Path, seed: int = 0, count: int | None = None) -> Counter[str]:
    """Every fault at every operation of every command, beside nothing and beside an older file. count: of commands."""
    write_data(folder)
    without_pictures()
    os.chdir(folder)
    for name, argv in RUNS.items():
        _done([*argv, "--out", name])
    _done(["encode", "codes", "table.csv", "--out", "codes.csv"])
    counts: Counter[str] = Counter()
    tempfile.tempdir = str(folder / "new")  # so that faults strike what stands there for a while, too
    try:
        for name in list(OUTPUTS)[:count]:
            for before in BEFORE:
                for what, bad in _each(folder, name, BEFORE[before]):
                    counts[f"{name}: {'bad' if bad else 'sound'}"] += 1
                    if bad:
                        print(f"{name}, beside {before}, {what}: {bad}", flush=True)
    finally:
        tempfile.tempdir = None
    return counts


def _done(argv: list[str]) -> None:
    code, said = called(argv)
    if code:
        raise RuntimeError(f"{argv[0]} ended with {code}: {said}")


def _each(folder: Path, name: str, before: bytes | None) -> Iterator[tuple[str, str]]:
    """(what failed, what is bad about how it ended) of every fault."""
    run, argv, file = OUTPUTS[name]
    new, there = folder / "new", folder / "new" / file
    argv = [*argv, f"new/{file}"]

    def begin() -> None:
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir()
        if before is not None:
            there.write_bytes(before)

    begin()
    clean, kept = Fault(new), _contents(folder / run)
    code, said = called(argv, clean)
    if code != 0:
        raise RuntimeError(f"{name} ended with {code}: {said}")
    whole = there.read_bytes()
    faults = [(kind, at) for kind in FAULTS for at in range(clean.count)]
    for kind, at in faults:
        begin()
        fault = Fault(new, kind, at)
        ended = called(argv, fault)
        if fault.what.startswith(("unlink", "rmdir")):  # what cannot be removed is left
            for path in new.glob("*perceptory-*"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        yield f"{kind} at operation {at} ({fault.what})", _judged(ended, there, before, whole)
    for share in SIZES:
        begin()
        size = int(share * len(whole))
        with _no_file_beyond(size):
            ended = called(argv)
        yield f"no file beyond {size} bytes", _judged(ended, there, before, whole)
    if _contents(folder / run) != kept:
        yield "all of them", "the run changed"


def _judged(ended: tuple[int | None, str], there: Path, before: bytes | None, whole: bytes) -> str:
    """What is bad about how a command ended and what it left; "" where nothing is."""
    code, said = ended
    if code not in (0, 2, None) or "Traceback" in said or (code == 2 and said.count("\n") != 1):
        return f"ended with {code} and {said!r}"
    content = there.read_bytes() if there.exists() else None
    if content not in ((whole,) if code == 0 else (before, whole)):
        return f"ended with {code}, and the file is neither the new one nor what was there ({said!r})"
    others = [p.name for p in there.parent.iterdir() if p != there]
    left = others if code is not None else [n for n in others if not Path(n).match(TEMPORARY) and "perceptory" not in n]
    return f"left {left}" if left else ""


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@contextlib.contextmanager
def _no_file_beyond(size: int) -> Iterator[None]:
    """No file of this process grows beyond so many bytes. Python ignores the signal; writing fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
