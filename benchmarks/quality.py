"""What `fit` with no options reaches on the UCI tables, by the published protocol: `python -m benchmarks.quality`."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

FOLDER = Path("../shared/data/uci")
PUBLISHED = {  # target column, and the figure to reach
    "concrete": ("strength", 5.0),
    "power-plant": ("power", 4.05),
    "wine-quality-red": ("quality", 0.64),
    "kin8nm": ("y", 0.085),
}


def default_rmse(name: str, target: str, splits: int, effort: str = "normal") -> tuple[float, float] | None:
    """(mean test RMSE, seconds a fit) over the first of 20 random 90/10 splits; None where the table is absent."""
    import perceptory as pt

    path = FOLDER / f"{name}.csv"
    if not path.exists():
        return None
    data = pt.read_table(path, target)
    random = np.random.RandomState(1)
    errors, seconds = [], []
    for _ in range(splits):
        order = random.choice(range(data.rows), data.rows, replace=False)
        kept = int(0.9 * data.rows + 0.5)
        start = time.perf_counter()
        train = data.take(order[:kept])
        result = pt.default_study(train, effort, test=0.0).run(train, test=data.take(order[kept:]))
        errors.append((result.test() or {})["rmse"])
        seconds.append(time.perf_counter() - start)
    return float(np.mean(errors)), float(np.mean(seconds))


if __name__ == "__main__":
    effort = sys.argv[1] if len(sys.argv) > 1 else "normal"
    for name, (target, limit) in PUBLISHED.items():
        found = default_rmse(name, target, 5, effort)
        print(name, "skipped" if found is None else f"{found[0]:.4f} ({found[1]:.0f} s a fit), to reach {limit}")
