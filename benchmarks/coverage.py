"""Coverage of intervals by horizon over all weekly series of M4: `python -m benchmarks.coverage [FOLDER] [WINDOW]`.

A linear model of the window is trained on the training part alone; its intervals around the forecasts from the end of
each series are compared with the competition's test part, which nothing else has seen. What the default reaches is
printed by `python -m benchmarks.forecasts m4-weekly`.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Any

import numpy as np

HORIZON, LEVELS = 13, (0.5, 0.8, 0.9, 0.95)


def read(path: Path) -> list[list[float]]:
    with path.open() as file:
        return [[float(cell) for cell in row[1:] if cell] for row in list(csv.reader(file))[1:]]


def main() -> None:
    import perceptory as pt
    from perceptory.data import read_series

    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "../shared/data/m4")
    window = int(sys.argv[2]) if len(sys.argv) > 2 else 3 * HORIZON
    known, came = read(folder / "weekly-train.csv"), np.array(read(folder / "weekly-test.csv"))
    names = np.repeat([f"W{k}" for k in range(len(known))], [len(one) for one in known]).tolist()
    data = read_series(
        {"series": names, "y": np.concatenate(known)}, "y", predict="ahead", series="series", window=window,
        horizon=range(1, HORIZON + 1),
    )  # fmt: skip
    network = pt.Windowed(pt.Linear(1e-3), level="last", scale="season")
    model = pt.Study(networks=network, test=0.0).run(data).model
    print_coverage(model, came)


def print_coverage(model: Any, came: np.ndarray) -> None:
    """Shares of what came [series, horizon] that lie within the intervals around forecasts from the end of the series,
    whose names end with their places."""
    for level in LEVELS:
        ahead = model.forecast(coverage=level)
        truth = came[[int(name[1:]) for name in ahead.series]]
        inside = (ahead.lower[..., 0] <= truth) & (truth <= ahead.upper[..., 0])
        width = np.median((ahead.upper - ahead.lower)[..., 0] / truth)
        each = " ".join(f"{share:.2f}" for share in inside.mean(axis=0))
        print(f"{level:.0%}: {inside.mean():.3f} covered (by horizon {each}), median width {width:.1%} of the value")


if __name__ == "__main__":
    main()
