"""Where the time of a first `fit` goes, programs and kernels compiled from nothing: `python -m benchmarks.first_fit`.

A made table of `--numbers` columns of numbers and `--categories` of categories, and what `fit` does where nothing is
asked: what compiling each network's program takes and what its training does. Programs are compiled ahead
(`training/ahead.py`), so the processor time that a network's training shows may be of another one's program.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
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
    begun = time.perf_counter()
    events: list[tuple[float, str]] = []

    def noted(what: Callable[..., str], function: Callable[..., Any]) -> Callable[..., Any]:
        """`function`, each of whose calls becomes a line."""

        def call(*arguments: Any, **more: Any) -> Any:
            clock, own, whole = time.perf_counter(), time.thread_time(), time.process_time()
            try:
                return function(*arguments, **more)
            finally:
                end, own, whole = time.perf_counter(), time.thread_time() - own, time.process_time() - whole
                line = f"{clock - begun:6.1f} to {end - begun:6.1f} s{end - clock:8.1f} s{own:8.1f} s{whole:8.1f} s  "
                events.append((clock, line + what(*arguments)))

        return call

    def imported() -> None:
        import perceptory  # noqa: F401

    noted(lambda: "import", imported)()
    import perceptory as pt
    from perceptory.kernels import build
    from perceptory.studies import run as running
    from perceptory.training.program_cache import Program

    def network(spec: Any) -> str:
        return " ".join([type(spec).__name__, *(str(getattr(spec, name, "")) for name in ("numbers", "inputs"))])

    build._compile = noted(lambda command, path: f"compile kernel {path.name.split('-')[1]}", build._compile)
    Program._made = noted(  # type: ignore[method-assign]
        lambda program: f"compile {network(program._plan.network)}", Program._made
    )
    running.train_group = noted(lambda plan, *_: f"train {network(plan.network)}", running.train_group)
    data = pt.read_table(table(rows, numbers, categories), "y")
    result = pt.default_study(data, test=0.0).run(data)
    print(f"{'from, to':>18}{'clock':>10}{'thread':>10}{'process':>10}  (XLA has threads of its own)")
    print(*(line for _, line in sorted(events)), sep="\n")
    here, there = time.process_time(), os.times()
    all_of_it = f"{time.perf_counter() - begun:.1f} s, {here:.1f} s of processor time"
    print(f"{len(result.members)} networks: {all_of_it} and {there.children_user:.1f} s of the compiler's")


if __name__ == "__main__":
    main()
