"""The study engine against what people use: `python -m benchmarks.population [steps|cold|members|help|quality]`.

Contenders take turns within each round; the table shows medians over rounds. Run it on a quiet machine.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import cold
from benchmarks import contenders as c

ROUNDS = 7


def interleaved(runs: dict[str, Callable[[], float]], rounds: int = ROUNDS) -> dict[str, float]:
    """Median of each contender, all measured once in every round."""
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            taken[name].append(run())
    return {name: float(np.median(values)) for name, values in taken.items()}


def row(what: str, got: str, target: str, met: bool | None) -> None:
    mark = "" if met is None else ("met" if met else "MISSED")
    print(f"| {what:<58} | {got:<44} | {target:<12} | {mark:<6} |", flush=True)


def header() -> None:
    print(f"| {'measure':<58} | {'measured':<44} | {'target':<12} | {'':<6} |")
    print(f"|{'-' * 60}|{'-' * 46}|{'-' * 14}|{'-' * 8}|")


def steps() -> None:
    """Time a network and step, and the price of everything that a study does beside."""
    flops = 6 * (8 * 64 + 64 * 64 + 64) * 128
    small = interleaved(
        {
            "torch": c.torch_eager(8, (32, 32), 1, 32, 300),
            "sklearn": c.sklearn_mlp(8, (32, 32), 32, 416, 10),
            "ours": c.population(8, (32, 32), 1, 32, 100, 416, 40),
            "bare": c.bare(8, (32, 32), 1, 32, 100, 416, 40),
            "one": c.population(8, (32, 32), 1, 32, 1, 416, 300),
            "one bare": c.bare(8, (32, 32), 1, 32, 1, 416, 300),
        }
    )

    def ratio(name: str, ours: float, other: float, target: float) -> None:
        row(name, f"1/{other / ours:.0f} ({ours * 1e6:.2f} us against {other * 1e6:.0f})", f"<= 1/{target:g}",
            other / ours >= target)  # fmt: skip

    def cost_of_all(name: str, ours: float, plain: float) -> None:
        row(name, f"{100 * (ours / plain - 1):+.0f} % ({plain * 1e6:.2f} us bare)", "<= +25 %", ours <= 1.25 * plain)

    ratio("8-32-32-1, batch 32, 100 members, of eager PyTorch", small["ours"], small["torch"], 70)
    ratio("the same, of scikit-learn's MLPRegressor", small["ours"], small["sklearn"], 35)
    cost_of_all("the same, everything on against the bare program", small["ours"], small["bare"])
    ratio("8-32-32-1, one network, of eager PyTorch", small["one"], small["torch"], 25)
    cost_of_all("the same, everything on against the bare program", small["one"], small["one bare"])
    middle = interleaved(
        {
            "torch": c.torch_eager(8, (64, 64), 1, 128, 200),
            "ours": c.population(8, (64, 64), 1, 128, 100, 1664, 12),
            "bare": c.bare(8, (64, 64), 1, 128, 100, 1664, 12),
            "product": c.matrix_product(),
        }
    )
    ratio("8-64-64-1, batch 128, 100 members, of eager PyTorch", middle["ours"], middle["torch"], 15)
    share = flops / middle["ours"] / 1e9 / middle["product"]
    row("the same, GFLOP/s of a 2048 x 2048 product's", f"{100 * share:.0f} % ({flops / middle['ours'] / 1e9:.0f} of "
        f"{middle['product']:.0f})", ">= 60 %", share >= 0.6)  # fmt: skip
    cost_of_all("the same, everything on against the bare program", middle["ours"], middle["bare"])
    large = interleaved(
        {
            "torch": c.torch_eager(784, (512, 512), 10, 128, 40),
            "ours": c.population(784, (512, 512), 10, 128, 1, 1664, 12),
            "bare": c.bare(784, (512, 512), 10, 128, 1, 1664, 12),
        }
    )
    row("784-512-512-10, batch 128, one network, of eager PyTorch",
        f"{large['ours'] / large['torch']:.2f} ({large['ours'] * 1e6:.0f} us against {large['torch'] * 1e6:.0f})",
        "<= 0.7", large["ours"] <= 0.7 * large["torch"])  # fmt: skip
    cost_of_all("the same, everything on against the bare program", large["ours"], large["bare"])


def whole_process() -> None:
    """From starting Python to the chosen network, against GridSearchCV with the same work."""
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "diabetes.csv"
        cold.write_table(table)
        times: dict[str, list[float]] = {"sklearn": [], "cold": [], "warm": []}
        for turn in range(3):
            empty = Path(folder) / f"cache{turn}"
            times["sklearn"].append(_timed("sklearn", table, {}))
            times["cold"].append(_timed("perceptory", table, {"PERCEPTORY_CACHE": str(empty)}))
            times["warm"].append(_timed("perceptory", table, {"PERCEPTORY_CACHE": str(empty)}))
    median = {name: float(np.median(values)) for name, values in times.items()}
    for name, target in (("cold", 5), ("warm", 10)):
        got = median["sklearn"] / median[name]
        words = f"1/{got:.1f} ({median[name]:.1f} s against {median['sklearn']:.1f})"
        row(f"16 candidates x 10 folds x 100 epochs, process, {name}", words, f"<= 1/{target}", got >= target)


def _timed(which: str, table: Path, environment: dict[str, str]) -> float:
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "benchmarks.cold", which, str(table)], check=True, env=os.environ | environment,
        capture_output=True,
    )  # fmt: skip
    return time.perf_counter() - start


def members() -> None:
    """Time and memory over the size of the population."""
    found: dict[int, tuple[float, float]] = {}
    for count in (10, 100, 1000, 10000):
        out = subprocess.run(
            [sys.executable, "-m", "benchmarks.cold", "members", str(count)], check=True, capture_output=True, text=True
        ).stdout.split()
        found[count] = float(out[-2]), float(out[-1])
    for count, (seconds, gib) in found.items():
        each = seconds / count
        expected = found[100][0] / 100
        met = None if count < 1000 else each <= 1.15 * expected and gib <= 2.0
        row(f"{count} members x 20 epochs", f"{seconds:.2f} s, {1e3 * each:.2f} ms each, peak {gib:.2f} GiB",
            "linear, 2 GiB" if count >= 1000 else "", met)  # fmt: skip


def help_time() -> None:
    """The command line must not import JAX to print its help."""
    times = []
    for _ in range(5):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "perceptory", "--help"], check=True, capture_output=True)
        times.append(time.perf_counter() - start)
    row("perceptory --help", f"{np.median(times):.2f} s", "<= 0.5 s", float(np.median(times)) <= 0.5)


def quality() -> None:
    """`fit` with no options on the UCI tables, mean test RMSE over the first 5 of the published 20 splits."""
    from benchmarks.quality import PUBLISHED, default_rmse

    for name, (target, limit) in PUBLISHED.items():
        got: Any = default_rmse(name, target, splits=5)
        if got is None:
            row(f"fit with no options, {name}", "skipped: the table is not on this machine", f"<= {limit}", None)
            continue
        rmse, seconds = got
        row(f"fit with no options, {name}, test RMSE over 5 splits", f"{rmse:.4f} ({seconds:.0f} s a fit)",
            f"<= {limit}", rmse <= limit)  # fmt: skip


PARTS = {"steps": steps, "cold": whole_process, "members": members, "help": help_time, "quality": quality}

if __name__ == "__main__":
    header()
    for part in sys.argv[1:] or PARTS:
        PARTS[part]()
