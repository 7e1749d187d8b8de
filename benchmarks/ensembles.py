"""Weighted ensembles of several candidates against the fold members of the best one: `python -m benchmarks.ensembles`.

On the training parts of the tables of `benchmarks.tables` alone: some of their rows are the study's, the others are
sealed and judged by both final models, which are made of the very same trained networks. Beside the errors stands what
each promised (its estimate on validation rows), as a ratio to the error that came.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from benchmarks.table_sets import FOLDER, TABLES, parts_of
from perceptory import MLP, KFold, StratifiedKFold, TabularMLP, default_study, read_table
from perceptory.selection.metrics import score
from perceptory.selection.ranking import rank
from perceptory.studies.assemble import final_model
from perceptory.studies.encoded_examples import encode
from perceptory.studies.mixtures import mixture_of
from perceptory.studies.prepare import prepare
from perceptory.studies.records import Records
from perceptory.studies.run import train

TABULAR = [
    TabularMLP((64,)), TabularMLP((128, 128)), TabularMLP((64, 64), numbers="piecewise"), MLP((64, 64), "tanh"),
]  # fmt: skip


def compared(data, epochs: int, folds: int, seed: int, tabular: bool) -> dict[str, float]:
    """Errors on sealed rows of both final models, and their estimates."""
    plan = KFold(folds) if data.classes is None else StratifiedKFold(folds)
    study = default_study(data, "normal", validation=plan, test=0.3, seed=seed)
    study = study.replace(epochs=epochs, patience=max(10, epochs // 5))
    study = study.replace(networks=tuple(TABULAR)) if tabular else study
    prepared = prepare(study, data)
    records = Records(prepared)
    train(records, None)
    ranking = rank(records.scores(), prepared.score.direction, prepared.complexity)
    chosen = ranking.choose(score=prepared.score.name).index
    mixture = mixture_of(records, [int(c) for c in ranking.order if np.isfinite(ranking.mean[c])], chosen)
    test = prepared.sealed.test
    encoded = encode(test, prepared.encoder)

    def error(model) -> float:
        output = model.mean(encoded.inputs, encoded.lengths)
        return score(prepared.score.name, encoded.task, encoded.truth, output, encoded.weights)

    best = error(final_model(records, chosen))
    weighted = error(final_model(records, chosen, mixture))
    return {
        "best": best, "weighted": weighted, "parts": len(mixture.shares),
        "best promised": float(ranking.mean[chosen]) / best, "weighted promised": mixture.mean / weighted,
        "selected": mixture.selected / weighted,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tables", nargs="*", default=list(TABLES))
    parser.add_argument("--data", type=Path, default=FOLDER, help="folder of the tables")
    parser.add_argument("--tabular", action="store_true", help="networks for tables in place of the preset's")
    parser.add_argument("--rows", type=int, default=1500)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=1)
    options = parser.parse_args()
    ratios = []
    for name in options.tables:
        one, frame, _ = parts_of("tables", name, 0, options.data)
        for seed in range(options.seeds):
            begun = time.process_time()
            rows = np.sort(np.random.default_rng(seed).permutation(len(frame))[: options.rows])
            data = read_table(frame.iloc[rows].reset_index(drop=True), one.target, task=one.task)
            found = compared(data, options.epochs, options.folds, seed, options.tabular)
            ratios.append(found["weighted"] / found["best"])
            words = ", ".join(f"{key} {value:.4g}" for key, value in found.items())
            print(f"{name} {seed}: ratio {ratios[-1]:.3f}, {words}, {time.process_time() - begun:.0f} s", flush=True)
    print(f"geometric mean {np.exp(np.mean(np.log(ratios))):.4f}, better {np.mean(np.array(ratios) < 1):.2f}")


if __name__ == "__main__":
    main()
