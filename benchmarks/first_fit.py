"""Where the time of a first `fit` goes, programs and kernels compiled from nothing: `python -m benchmarks.first_fit`.

A made table of `--numbers` columns of numbers and `--categories` of categories, and what `fit` does where nothing is
asked: what compiling each network's program takes and what its training does. Programs are compiled ahead
(`training/ahead.py`), so the processor time that a network's training shows may be of another one's program.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
import time
from typing import Any

import numpy as np


def table(rows: int, numbers: int, categories: int) -> dict[str, Any]:
    """Columns, and a target that depends on some of them."""
    random = np.random.default_rng(0)
    columns: dict[str, Any] = {f"x{i}": random.normal(size=rows) for i in range(numbers)}
    target = np.sin(2 * columns["x0"]) + sum(columns.values()) / np.sqrt(numbers) + 0.3 * random.normal(size=rows)
    for k in range(categories):
        place = random.integers(0, 3 + k % 10, rows)
        columns[f"c{k}"] = [f"v{p}" for p in place]
        target = target + 0.2 * (place == 0)
    return columns | {"y": target}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=3000)
    parser.add_argument("--numbers", type=int, default=8)
    parser.add_argument("--categories", type=int, default=0)
    parser.add_argument("--cache", help="folder of compiled programs; a new one by default")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as empty:
        os.environ["PERCEPTORY_CACHE"] = options.cache or empty
        _run(options.rows, options.numbers, options.categories)


def _run(rows: int, numbers: int, categories: int) -> None:
    begun = time.perf_counter(), time.process_time()
    import perceptory as pt
    from perceptory.studies import run as running
    from perceptory.training.program_cache import Program

    print(f"import{'':<42}{time.perf_counter() - begun[0]:>8.1f} s{time.process_time() - begun[1]:>8.1f} s processor")
    made, train = Program._made, running.train_group

    def noted(program: Program) -> Any:
        clock, own = time.perf_counter(), time.thread_time()
        out = made(program)
        label = f"compile {program._plan.network.label}"[:47]
        ahead = "  ahead" if threading.current_thread() is not threading.main_thread() else ""
        # XLA's own threads, which share the work of compiling, are not in a thread's time.
        print(
            f"{label:<48}{time.perf_counter() - clock:>8.1f} s{time.thread_time() - own:>8.1f} s of its thread{ahead}"
        )
        return out

    def trained(plan: Any, *arguments: Any, **more: Any) -> None:
        clock, processor = time.perf_counter(), time.process_time()
        train(plan, *arguments, **more)
        label = f"train {plan.network.label}"[:47]
        clock, processor = time.perf_counter() - clock, time.process_time() - processor
        print(f"{label:<48}{clock:>8.1f} s{processor:>8.1f} s processor")

    Program._made, running.train_group = noted, trained  # type: ignore[method-assign,assignment]
    data = pt.read_table(table(rows, numbers, categories), "y")
    result = pt.default_study(data, test=0.0).run(data)
    clock, processor = time.perf_counter() - begun[0], time.process_time() - begun[1]
    print(f"all, {len(result.members)} networks{'':<31}{clock:>8.1f} s{processor:>8.1f} s processor")


if __name__ == "__main__":
    main()
