"""Ctrl-C, TERM and HUP at random moments: one sentence, the right exit code, and a folder that goes on or is free."""

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

from benchmarks.faults.studies import fit, write_data

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SOON = 3.0  # seconds in which the program ends


def try_all(folder: Path, count: int = 60, seed: int = 0) -> Counter[str]:
    """So many signals in the first seconds of a run."""
    write_data(folder)
    os.chdir(folder)
    rng = random.Random(seed)
    counts: Counter[str] = Counter()
    for i in range(count):
        shutil.rmtree("run", ignore_errors=True)
        number = SIGNALS[i % len(SIGNALS)]
        command = [sys.executable, "-m", "perceptory", *fit("table", 100_000, "--out", "run")]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        time.sleep(rng.uniform(0.25, 8.0))
        process.send_signal(number)
        begun = time.monotonic()
        _, said = process.communicate(timeout=120)
        took = time.monotonic() - begun
        sound = process.returncode == 128 + number and said.count("\n") == 1 and said.startswith("perceptory: stopped")
        if process.returncode == -number:  # Python had not started yet
            counts[f"{number.name}: before Python had started"] += 1
            continue
        counts[f"{number.name}: {'sound' if sound and took < SOON else 'bad'}"] += 1
        if not sound or took >= SOON:
            print(f"{number.name}: {process.returncode} after {took:.1f} s, {said!r}", flush=True)
    return counts
