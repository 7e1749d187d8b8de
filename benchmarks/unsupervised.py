"""Learning without targets, measured: `python -m benchmarks.unsupervised [ROW ...]`; without a name, every row.

A row is a function in `ROWS` that prints its own table; published figures stand beside ours where there are any.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np
import polars as pl

from benchmarks import few_labels
from benchmarks.anomaly_sets import OTHERS, Detector, Task, tasks
from benchmarks.auxiliary_records import auxiliary_objectives
from benchmarks.deep_autoencoder import deep_autoencoder
from benchmarks.linear_autoencoder import linear_against_components


def autoencoder(train: pl.DataFrame, test: pl.DataFrame | None, seed: int) -> np.ndarray:
    """As the detectors of `anomaly_sets`: ours, linear, with so much noise that it does not learn rare rows."""
    from perceptory import NetworkAutoencoder

    model = NetworkAutoencoder(hidden=(), noise=2.0, random_state=seed).fit(train)
    return -model.score_samples(train if test is None else test)


def area(task: Task, detector: Detector, novelty: bool, seed: int) -> float:
    """The area under the ROC curve of the rare rows. Trained on all rows without telling which are rare, and asked of
    the same rows; or (novelty) trained on half of the normal rows, and asked of the others and the rare ones."""
    from sklearn.metrics import roc_auc_score

    if not novelty:
        return float(roc_auc_score(task.rare, detector(task.frame, None, seed)))
    normal = np.random.default_rng(seed).permutation(np.flatnonzero(~task.rare))
    train, test = normal[: len(normal) // 2], np.concatenate([normal[len(normal) // 2 :], np.flatnonzero(task.rare)])
    return float(roc_auc_score(task.rare[test], detector(task.frame[train], task.frame[test], seed)))


def anomaly_detection(seeds: int = 1, only: str = "") -> None:
    """Rare rows found without being told which they are: the area under the ROC curve, the mean over seeds."""
    detectors = {"NetworkAutoencoder": autoencoder, **OTHERS}
    print(f"{'':34s}" + "".join(f"{name:>20s}" for name in detectors) + "   place")
    places = []
    for task in tasks():
        if only not in task.name:
            continue
        for novelty in (False, True):
            areas = [np.mean([area(task, d, novelty, s) for s in range(seeds)]) for d in detectors.values()]
            place = 1 + sum(other > areas[0] + 5e-4 for other in areas[1:])
            places.append(place)
            name = f"{task.name}, {task.rare.mean():.1%}{', novelty' if novelty else ''}"
            print(f"{name:34s}" + "".join(f"{a:20.3f}" for a in areas) + f"{place:8d}", flush=True)
    print(f"first or second in {sum(place <= 2 for place in places)} of {len(places)}")


ROWS: dict[str, Callable[[], None]] = {
    "anomalies": anomaly_detection,
    "auxiliary": auxiliary_objectives,
    "linear": linear_against_components,
    "deep": deep_autoencoder,
    **few_labels.ROWS,
}


def main(names: list[str]) -> None:
    """Print the rows of these names."""
    for name in names or list(ROWS):
        start = time.perf_counter()
        print(f"\n{name}: {(ROWS[name].__doc__ or '').splitlines()[0]}")
        ROWS[name]()
        print(f"({time.perf_counter() - start:.0f} s)")


if __name__ == "__main__":
    main(sys.argv[1:])
