"""Random kills: a run that is killed again and again, and gone on with, ends with the files of one that was not."""

from __future__ import annotations

import os
import random
import shutil
import time
from collections import Counter
from pathlib import Path

from benchmarks.faults.processes import Command
from benchmarks.faults.studies import EPOCHS, STUDIES, differences, fit, write_data

INTERVAL = 0.3  # seconds between two times that states are kept here, instead of five
LAST = 0.1  # of the kills: in the last second of a run
LONG = 60  # a run for which the usual interval matters is so many times as long
MOST_KILLS = 5  # of one run


def try_all(folder: Path, count: int = 200, seed: int = 0, studies: list[str] | None = None) -> Counter[str]:
    """So many kills, spread over the studies; a tenth of them in the last second of a run. As many more of long runs
    whose states are kept as usual tell what a kill costs."""
    write_data(folder)
    os.chdir(folder)
    rng = random.Random(seed)
    names = studies or list(STUDIES)
    counts: Counter[str] = Counter()
    for i, name in enumerate(names):
        whole = Path(f"whole {i}")
        took = _whole(name, whole)
        share = count // len(names) + (i < count % len(names))
        while counts[f"{name}: kills"] < share:
            counts[f"{name}: chains"] += 1
            last = counts[f"{name}: kills in the last second"] < LAST * share
            bad = _chain(name, whole, took, rng, counts, share, last)
            if bad:
                counts["bad"] += 1
                print(f"{name}: {bad}", flush=True)
        print(f"{name}: {took:.1f} s alone, {counts[f'{name}: kills']} kills", flush=True)
    lost = [_lost(name, rng) for name in names for _ in range(max(1, round(LAST * count / len(names))))]
    counts["kills of long runs"] = len(lost)
    counts["most ms of work lost"] = round(1000 * max(lost))
    counts["all kills"] = sum(n for k, n in counts.items() if k.endswith(": kills")) + len(lost)
    return counts


def _whole(name: str, run: Path) -> float:
    """Seconds of a run that nobody kills, which has compiled nothing."""
    for _ in range(2):
        shutil.rmtree(run, ignore_errors=True)
        done = Command(fit(name, EPOCHS[name], "--out", str(run), "--quiet"))
        code, said = done.wait()
        if code:
            raise RuntimeError(f"{name}: {said}")
    return time.time() - done.begun


def _chain(
    name: str, whole: Path, took: float, rng: random.Random, counts: Counter[str], share: int, last: bool
) -> str:
    """Kill a run until it is complete; what is bad, or ""."""
    run = Path("run")
    shutil.rmtree(run, ignore_errors=True)
    for attempt in range(MOST_KILLS + 5):
        wait = rng.uniform(max(0.0, took - 1.0), took) if last and not attempt else rng.uniform(0.0, 0.8 * took)
        kills = attempt < MOST_KILLS and counts[f"{name}: kills"] < share
        one = Command(
            fit(name, EPOCHS[name], "--out", str(run), "--quiet", *(["--resume"] if attempt else [])), INTERVAL
        )
        if kills:
            time.sleep(wait)
            if one.running():
                one.kill()
                counts[f"{name}: kills"] += 1
                counts[f"{name}: kills in the last second"] += last and not attempt
                continue
        code, said = one.wait()
        if code or said:
            return f"--resume ended with {code}: {said}"
        left = differences(run, whole)
        return f"{left} differ" if left else ""
    return "never came to an end"


def _lost(name: str, rng: random.Random, most: float = 20.0) -> float:
    """Seconds of processor time after the last kept state that a kill at a random time has cost, of a run that would go
    on for long: those do not depend on what else the machine does."""
    run = Path("long")
    shutil.rmtree(run, ignore_errors=True)
    one = Command(fit(name, LONG * EPOCHS[name], "--out", str(run), "--quiet"))
    end = time.time() + rng.uniform(0.4 * most, most)
    kept, worked = 0.0, one.worked()
    while time.time() < end:
        if not one.running():  # it has converged: again, with an earlier kill
            code, said = one.wait()
            if code:
                raise RuntimeError(f"{name}: {said}")
            return _lost(name, rng, most / 2)
        newest = max((p.stat().st_mtime for p in _states(run)), default=0.0)
        if newest > kept:
            kept, worked = newest, one.worked()
        time.sleep(0.05)
    lost = one.worked() - worked
    one.kill()
    return lost


def _states(run: Path) -> list[Path]:
    return [p for p in (run / "chunks").glob("*") if p.suffix != ".tmp" and p.exists()]
