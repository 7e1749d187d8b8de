"""Random kills: a run that is killed again and again, and gone on with, ends with the files of one that was not."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from benchmarks.faults.studies import EPOCHS, STUDIES, differences, fit, write_data

INTERVAL = 1.0  # seconds between two times that states are kept here, instead of five; what is lost is counted in these
WRAPPER = "from perceptory.studies import keeping; keeping.INTERVAL = {interval}; keeping.SHARE = 1e9; "
MAIN = "import sys; from perceptory.__main__ import main; sys.exit(main())"


def process(argv: list[str], interval: float = INTERVAL) -> subprocess.Popen[str]:
    """The command in a process of its own."""
    code = WRAPPER.format(interval=interval) + MAIN
    return subprocess.Popen(
        [sys.executable, "-c", code, *argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def try_all(folder: Path, count: int = 200, seed: int = 0, studies: list[str] | None = None) -> Counter[str]:
    """So many kills, spread over the studies; a tenth of them in the last second of a run."""
    write_data(folder)
    os.chdir(folder)
    rng = random.Random(seed)
    names = studies or list(STUDIES)
    counts: Counter[str] = Counter()
    lost: list[float] = []
    wholes = {name: (Path(f"whole {i}"), _whole(name, Path(f"whole {i}"))) for i, name in enumerate(names)}
    for i, (name, (whole, took)) in enumerate(wholes.items()):
        share = count // len(names) + (i < count % len(names))
        while counts[f"{name}: kills"] < share:
            counts[f"{name}: chains"] += 1
            bad = _chain(name, whole, took, rng, counts, share, lost)
            if bad:
                counts["bad"] += 1
                print(f"{name}: {bad}", flush=True)
        print(f"{name}: {took:.1f} s alone, {counts[f'{name}: kills']} kills", flush=True)
    if lost:
        counts["most ms of work lost"] = round(1000 * max(lost))
    return counts


def _whole(name: str, run: Path) -> float:
    """Seconds of a run that nobody kills, which has compiled nothing."""
    for _ in range(2):
        shutil.rmtree(run, ignore_errors=True)
        begun = time.monotonic()
        done = process(fit(name, EPOCHS[name], "--out", str(run), "--quiet"))
        _, said = done.communicate()
        took = time.monotonic() - begun
        if done.returncode:
            raise RuntimeError(f"{name}: {said}")
    return took


def _chain(
    name: str, whole: Path, took: float, rng: random.Random, counts: Counter[str], share: int, lost: list[float]
) -> str:
    """Kill a run until it is complete; what is bad, or ""."""
    run = Path("run")
    shutil.rmtree(run, ignore_errors=True)
    last = rng.random() < 0.25
    for attempt in range(12):
        wait = rng.uniform(took - 1.0, took) if last and not attempt else rng.uniform(0.2, took)
        kills = attempt < 4 and counts[f"{name}: kills"] < share
        one = process(fit(name, EPOCHS[name], "--out", str(run), "--quiet", *(["--resume"] if attempt else [])))
        if kills:
            time.sleep(wait)
            if one.poll() is None:
                one.send_signal(signal.SIGKILL)
                killed = time.time()
                one.communicate()
                counts[f"{name}: kills"] += 1
                lost += _lost(run, killed)  # of those who had begun
                continue
        _, said = one.communicate()
        if one.returncode or said:
            return f"--resume ended with {one.returncode}: {said}"
        left = differences(run, whole)
        return f"{left} differ" if left else ""
    return "never came to an end"


def _lost(run: Path, killed: float) -> list[float]:
    """Seconds of training that a kill has cost: since something was kept last. Nothing where nothing was: then programs
    were being compiled, for the most part."""
    kept = [p.stat().st_mtime for p in (run / "chunks").glob("*") if p.suffix != ".tmp"]
    return [max(0.0, killed - max(kept))] if kept and not (run / "result.json").exists() else []
