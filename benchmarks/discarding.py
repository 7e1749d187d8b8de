"""Giving candidates up on the way against training all of them: `python -m benchmarks.discarding`.

On the training parts of the tables of `benchmarks.tables`: 16 small candidates of two structures, five folds. Every way
of discarding trains the very same members, so the whole run tells what a choice is worth: the regret is what the chosen
candidate's mean over the folds is worse by than the best one's, in standard errors of the best one's mean. Times are
processor time of training without compiling; the programs are the same.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.table_sets import FOLDER, TABLES, parts_of
from perceptory import (
    MLP,
    Adam,
    Cosine,
    DiscardAfter,
    Halving,
    KFold,
    StratifiedKFold,
    Study,
    WeightPenalty,
    choice,
    read_table,
)
from perceptory.studies.prepare import prepare
from perceptory.studies.records import Records
from perceptory.studies.run import train

WAYS: dict[str, Any] = {
    "halving 2": Halving(2, 0.1), "halving 3": Halving(3, 0.1), "halving 2 from 0.05": Halving(2, 0.05),
    "half after 0.25": DiscardAfter(0.25, 0.5), "quarter after 0.25": DiscardAfter(0.25, 0.25),
    "quarter after 0.1": DiscardAfter(0.1, 0.25),
}  # fmt: skip


def trained(study: Study, data: Any) -> tuple[Records, float]:
    """Members of the study, and seconds of the processor."""
    prepared = prepare(study, data)
    records, begun = Records(prepared), time.process_time()
    train(records, None)
    return records, time.process_time() - begun


def compared(data: Any, epochs: int) -> dict[str, tuple[float, float]]:
    """Of each way (regret in standard errors, share of the time)."""
    plan = KFold(5) if data.classes is None else StratifiedKFold(5)
    study = Study(
        [MLP((16,), "tanh"), MLP((32, 32), "relu")], optimizer=Adam(Cosine(choice(1e-3, 3e-3, 1e-2, 3e-2))),
        penalty=WeightPenalty(choice(0.0, 1e-3)), validation=plan, test=0, epochs=epochs, patience=max(10, epochs // 5),
    )  # fmt: skip
    trained(study, data)  # compiles
    whole, seconds = trained(study, data)
    by_fold = whole.scores().mean(axis=2)
    means = by_fold.mean(axis=1)
    best = int(means.argmin())
    error = by_fold[best].std(ddof=1) / np.sqrt(by_fold.shape[1])
    found = {}
    for name, way in WAYS.items():
        records, took = trained(study.replace(discard=way), data)
        left = [c for c in range(len(means)) if c not in records.discarded()]
        chosen = min(left, key=lambda c: records.scores()[c].mean())
        found[name] = (float((means[chosen] - means[best]) / error), took / seconds)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tables", nargs="*", default=list(TABLES))
    parser.add_argument("--data", type=Path, default=FOLDER, help="folder of the tables")
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--epochs", type=int, default=100)
    options = parser.parse_args()
    by_way: dict[str, list[tuple[float, float]]] = {name: [] for name in WAYS}
    for name in options.tables or list(TABLES):
        one, frame, _ = parts_of("tables", name, 0, options.data)
        rows = np.sort(np.random.default_rng(0).permutation(len(frame))[: options.rows])
        found = compared(read_table(frame.iloc[rows].reset_index(drop=True), one.target, task=one.task), options.epochs)
        for way, pair in found.items():
            by_way[way].append(pair)
        print(f"{name:<14}" + "  ".join(f"{way}: {r:.2f} se, {t:.2f}" for way, (r, t) in found.items()), flush=True)
    for way, pairs in by_way.items():
        regret, share = np.array(pairs).T
        same, near = int(np.sum(regret == 0)), int(np.sum(regret <= 1))
        print(
            f"{way:<20} same choice {same}, within one standard error {near} of {len(regret)}, "
            f"worst {regret.max():.2f}, time {share.mean():.2f} (median {np.median(share):.2f})"
        )


if __name__ == "__main__":
    main()
