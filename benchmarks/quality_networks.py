"""What studies of series and images reach by the published protocols: `python -m benchmarks.quality_networks [task ...]`.

Tasks: tanks, silverbox, drives, mnist (their records stand in ../shared/data, with protocols and published figures) and
adding. Each study chooses between its candidates by validation, and its test record is read once, at the end.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import perceptory as pt

FOLDER = Path("../shared/data")
Record = dict[str, np.ndarray]


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
    task: str, result: Any, unit: str, value: str, test: float, published: str, target: str, since: float
) -> Line:
    best = result.candidate(result.best)
    for c in result.candidates:
        print(f"  {c.label}: {c.mean:.4g} (training {c.train:.4g}, {c.status})")
    return Line(
        task, f"{best.label}, {len(result.model)} networks", best.weights, unit, result.validation[value], test,
        published, target, time.perf_counter() - since,
    )  # fmt: skip


# --- images -------------------------------------------------------------------------------------------------------


def mnist() -> Iterator[Line]:
    """One network of 98 thousand weights; the dropout rate is chosen on a tenth of the training images."""
    since = time.perf_counter()
    study = pt.Study(
        pt.CNN((16, 32, 64), hidden=(128,), dropout=pt.choice(0.15, 0.3)), optimizer=pt.Adam(pt.Cosine(2e-3)),
        epochs=18, patience=0, batch_size=64, test=0, validation=pt.HoldOut(0.1), score="accuracy",
    )  # fmt: skip
    result = study.run(pt.read_images(FOLDER / "mnist", part="train"))
    test = pt.read_images(FOLDER / "mnist", part="test")
    right = np.asarray(test.class_values)[test.targets] == result.model.predict(test)
    yield line_of("MNIST", result, "accuracy", "accuracy", right.mean(), "LeNet-5 0.9905, CNN 0.992", ">= 0.992", since)


TASKS: dict[str, Callable[[], Iterator[Line]]] = {"mnist": mnist}

if __name__ == "__main__":
    lines = [line for name in sys.argv[1:] or TASKS for line in TASKS[name]()]
    print("\n".join([Line.HEAD, *map(str, lines)]))
