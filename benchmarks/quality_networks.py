"""What studies of series and images reach by the published protocols.

`python -m benchmarks.quality_networks [task ...]`. Tasks: tanks, silverbox, drives, mnist (their records stand in
../shared/data, with protocols and published figures) and adding. The studies are those of published_records.py,
read_digits.py and adding_problem.py in examples/: each chooses between its candidates by validation, and its test
record is read once, at the end.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import perceptory as pt  # noqa: F401  # isort: skip, it sets up what JAX runs on

sys.path.insert(0, str(Path(__file__).parent.parent / "examples"))

import adding_problem
import published_records
import read_digits

FOLDER = Path("../shared/data")


@dataclass(frozen=True)
class Line:
    """One line of the table: what was chosen, and its figure in validation and test (`unit`)."""

    task: str
    chosen: str
    weights: int
    unit: str
    validation: float
    test: float
    published: str
    target: str
    seconds: float

    HEAD = (
        f"{'task':18} {'validation':>10} {'test':>10} {'target':>9} {'published':>28} {'weights':>8} {'s':>5}  chosen"
    )

    def __str__(self) -> str:
        return (
            f"{self.task + ', ' + self.unit:18} {self.validation:10.4g} {self.test:10.4g} {self.target:>9} "
            f"{self.published:>28} {self.weights:8d} {self.seconds:5.0f}  {self.chosen}"
        )


def line_of(
    run: Callable[[], Any], task: str, value: str, published: str, target: str, unit: str | None = None
) -> Line:
    """Run a study; value: the metric."""
    since = time.perf_counter()
    result = run()
    for c in result.candidates:
        print(f"  {c.label}: {c.mean:.4g} (training {c.train:.4g}, {c.status})", flush=True)
    best = result.candidate(result.best)
    return Line(
        task, f"{best.label}, {len(result.model)} networks", best.weights, unit or value, result.validation[value],
        result.test()[value], published, target, time.perf_counter() - since,
    )  # fmt: skip


def system(name: str, task: str, published: str, target: str) -> Line:
    protocol = published_records.PROTOCOLS[name]
    columns = published_records.read(str(FOLDER / "sysid" / f"{name}.csv"))
    return line_of(lambda: protocol.run(columns), task, "rmse", published, target, protocol.unit)


def tanks() -> Iterator[Line]:
    yield system("cascaded_tanks", "tanks", "GRU 0.396, best 0.191", "<= 0.40")


def silverbox() -> Iterator[Line]:
    yield system("silverbox", "silverbox", "GRU 1.49, best 0.30", "<= 1.0")


def drives() -> Iterator[Line]:
    yield system("coupled_drives_1", "drives 1", "RNN 0.096, best 0.090", "<= 0.10")
    yield system("coupled_drives_2", "drives 2", "MLP 0.095, best 0.074", "<= 0.12")


def mnist() -> Iterator[Line]:
    yield line_of(
        lambda: read_digits.idx_folder(FOLDER / "mnist"), "MNIST", "accuracy", "LeNet-5 0.9905, CNN 0.992", ">= 0.992"
    )


def adding() -> Iterator[Line]:
    """200 steps; who never looks has 1/6."""
    data, test = adding_problem.problem(20_000, 200, 0), adding_problem.problem(5_000, 200, 1)
    for kind in ("LSTM", "GRU", "RNN"):
        study = adding_problem.study_of(kind, epochs=12)
        target = "fails" if kind == "RNN" else "< 1e-3"
        yield line_of(
            lambda study=study: study.run(data, test=test), f"adding {kind}", "mse", "chance 0.167", target, "MSE"
        )


TASKS: dict[str, Callable[[], Iterator[Line]]] = {
    "tanks": tanks,
    "silverbox": silverbox,
    "drives": drives,
    "mnist": mnist,
    "adding": adding,
}

if __name__ == "__main__":
    lines = []
    for name in sys.argv[1:] or TASKS:
        for line in TASKS[name]():
            lines.append(str(line))
            print(line, flush=True)
    print("\n".join(["", Line.HEAD, *lines]))
