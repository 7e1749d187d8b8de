"""Altered files of every format that is read: a sentence or a sound reading, soon, and never a crash.

Each format has a process of its own, so that a crash or a standstill ends that one alone; another goes on with the next
file.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import random
import shutil
import subprocess
import sys
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.faults.formats import formats
from benchmarks.faults.studies import fit, write_data
from benchmarks.faults.writes import called

SECONDS = 5.0  # of CPU that a file may take
MIXTURE = ["table.csv", "--target", "y", "--network", "kernel", "--network", "mlp:4", "--final", "weighted"]
STANDSTILL = 600.0  # seconds without a further file


def try_all(folder: Path, count: int = 1_000_000, seed: int = 0) -> Counter[str]:
    """So many altered files of all formats together."""
    write_data(folder)
    os.chdir(folder)
    mixed = ["fit", *MIXTURE, "--epochs", "2", "--folds", "2", "--out", "mixture", "--quiet"]
    if any(called(argv) != (0, "") for argv in (fit("refit", 2, "--out", "run", "--quiet"), mixed)):
        raise RuntimeError("the runs that are altered did not end well")
    counts: Counter[str] = Counter()
    for name, made in formats(folder).items():
        wanted, done = max(1, round(made.share * count)), 0
        while done < wanted:
            done += _in_a_process(folder, name, wanted - done, f"{seed} {done}", counts)
        print({k: n for k, n in counts.items() if k.startswith(name)}, flush=True)
    for kind in ("sound", "bad"):
        counts[f"all: {kind}"] = sum(n for k, n in counts.items() if k.endswith(f": {kind}"))
    return counts


def _in_a_process(folder: Path, name: str, count: int, seed: str, counts: Counter[str]) -> int:
    """How many files a process has tried until it was through, or crashed, or stood still."""
    progress = folder / "progress"
    progress.write_text("{}")
    command = [sys.executable, "-m", "benchmarks.faults.mutations", str(folder), name, str(count), seed]
    own = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])
    before, since = "", time.monotonic()
    while True:
        try:
            _, said = own.communicate(timeout=5)
            break
        except subprocess.TimeoutExpired:
            now = progress.read_text()
            since = time.monotonic() if now != before else since
            before = now
            if time.monotonic() - since > STANDSTILL:
                own.kill()
    told = json.loads(progress.read_text() or "{}")
    counts.update({f"{name}: {kind}": n for kind, n in told.items()})
    done = sum(told.values())
    if said:
        counts[f"{name}: something on standard error"] += 1
        print(f"{name}: {said[-500:]!r}", flush=True)
    if own.returncode:
        counts[f"{name}: bad"] += 1
        shutil.copy(folder / "altered" / name, folder.parent / f"crash-{os.getpid()}-{done}-{name}")
        print(f"{name}: ended with {own.returncode} at file {done} of seed {seed!r}", flush=True)
        return done + 1
    return done


def _each(folder: Path, name: str, count: int, seed: str) -> None:
    """Alter and read so many files; what came of them stands in the file `progress`."""
    warnings.simplefilter("ignore")
    os.chdir(folder)
    _, content, alter, read = formats(folder)[name]
    rng, path, counts = random.Random(seed), Path("altered") / name, Counter[str]()
    path.parent.mkdir(exist_ok=True)
    told = time.monotonic()
    for _ in range(count):
        altered = alter(rng, content)
        path.write_bytes(altered)
        begun = time.process_time()
        bad = _tried(read, path)
        took = time.process_time() - begun
        if took > SECONDS:
            bad = f"took {took:.1f} s"
        counts["bad" if bad else "sound"] += 1
        if bad:
            print(f"{name}: {bad}; {len(altered)} bytes, of which the first are {altered[:80]!r}", flush=True)
        if time.monotonic() - told > 0.5:
            told = time.monotonic()
            Path("progress").write_text(json.dumps(counts))
    Path("progress").write_text(json.dumps(counts))


def _tried(read: Any, path: Path) -> str:
    from perceptory import InputError

    try:
        with contextlib.redirect_stderr(io.StringIO()):
            read(path)
    except InputError as error:
        sound = len(str(error)) < 1500 and "\n" not in str(error)
        return "" if sound else f"a sentence of {len(str(error))} characters"
    except Exception as error:
        return f"{type(error).__name__}: {str(error)[:200]}"
    return ""


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("format")
    parser.add_argument("count", type=int)
    parser.add_argument("seed")
    asked = parser.parse_args()
    _each(asked.folder, asked.format, asked.count, asked.seed)
