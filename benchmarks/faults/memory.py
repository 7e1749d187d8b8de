"""The most memory that `fit` takes, which its budget bounds, beside the program itself; or says that it cannot."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl

PROGRAM = 0.6  # GiB of Python, its libraries, and compiling
CODE = """
import resource, sys
from perceptory.app.cli import main
code = main(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
raise SystemExit(code)
"""


def try_all(folder: Path, count: int = 20, seed: int = 0) -> Counter[str]:
    """So many millions of numbers as a long and a wide table of CSV and of Parquet, with two budgets."""
    random, counts = np.random.default_rng(seed), Counter[str]()
    for width in (20, 2000):
        x = random.normal(size=(count * 10**6 // width, width)).round(6)
        frame = pl.DataFrame({f"c{k}": x[:, k] for k in range(width)} | {"y": x[:, 0].copy()})
        frame.write_csv(folder / "table.csv")
        frame.write_parquet(folder / "table.parquet")
        for name in ("table.csv", "table.parquet"):
            for budget in (1.0, 0.5):
                peak, said = _peak(folder, name, budget)
                bad = peak > budget + PROGRAM and "more than the budget" not in said
                counts["bad" if bad else "sound"] += 1
                print(f"{len(x)} x {width} of {name}, --memory {budget:g}: {peak:.2f} GiB at most. {said}", flush=True)
    return counts


def _peak(folder: Path, name: str, budget: float) -> tuple[float, str]:
    """(GiB, what was said on standard error) of a fit."""
    argv = ["fit", str(folder / name), "--target", "y", "--network", "mlp:8", "--epochs", "1", "--folds", "2"]
    argv += ["--memory", str(budget), "--out", str(folder / "run"), "--overwrite"]
    done = subprocess.run([sys.executable, "-c", CODE, *argv], capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1]), " ".join(s for s in done.stderr.splitlines() if s.startswith("perceptory:"))
