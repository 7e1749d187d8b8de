"""The network for tables, part by part: `python -m benchmarks.tabular [--steps] [--tables NAMES] [--epochs N]`.

What a training step costs beside the plain MLP of the same widths, in turns and in processor time; and what each part
does, left out of the whole network and alone in a plain one, judged on held-out rows of the training part of the
development tables. No test row is looked at.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.table_sets import FOLDER, TABLES, parts_of

WIDTHS = (128, 128, 128)
PARTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {  # name: (on, off)
    "embedding of numbers": ({"numbers": "piecewise"}, {"numbers": "none"}),
    "periodic embedding instead": ({"numbers": "periodic", "width": 4}, {"numbers": "none"}),
    "scaling by quartiles": ({"inputs": "robust"}, {"inputs": "standard"}),
    "scaling by quantiles instead": ({"inputs": "quantiles"}, {"inputs": "standard"}),
    "smooth clip": ({"clip": 3.0}, {"clip": 0.0}),
    "embedding of categories": ({"categories": 8}, {"categories": 0}),
    "scale of features": ({"feature_scale": 6.0}, {"feature_scale": 0.0}),
    "learned activation": ({"parametric": True}, {"parametric": False}),
    "steps by width": ({"scaled": True}, {"scaled": False}),
    "start from the data": ({"start": "data"}, {"start": "random"}),
    "dropout": ({"dropout": 0.15}, {"dropout": 0.0}),
}


def variants() -> dict[str, dict[str, Any]]:
    """Fields of the network by name: whole, without each part, plain, plain with each part."""
    off: dict[str, Any] = {}
    for _, without in PARTS.values():
        off |= without
    out: dict[str, dict[str, Any]] = {"whole": {}, "plain": off}
    for name, (on, without) in PARTS.items():
        out[f"with {name}" if name.endswith("instead") else f"without {name}"] = (
            on if name.endswith("instead") else without
        )
        out[f"plain with {name}"] = off | on
    return out


def score_of(data: Any, task: str, fields: dict[str, Any], epochs: int, decay: float = 0.3) -> float:
    """Mean RMSE or log loss on held-out rows of networks of one structure."""
    import perceptory as pt

    network = pt.TabularMLP(WIDTHS, "mish" if task == "regression" else "selu", **fields)
    optimizer = pt.AdamW(
        pt.CosineCycles(3e-3 if task == "regression" else 1e-3), beta2=0.95, weight_decay=decay, decay_falls=True
    )
    small = data.rows <= 2000
    study = pt.Study(
        network, optimizer=optimizer, validation=pt.KFold(5) if small else pt.HoldOut(), seeds=1 if small else 3,
        epochs=epochs * (2 if small else 1), patience=0, batch_size=32 if small else 128, test=0.0,
    )  # fmt: skip
    return float(study.run(data).candidates[0].mean)


def ablation(tables: Sequence[str], epochs: int, folder: Path) -> None:
    """A line a variant: on each table its score to that of the whole network, and the geometric mean."""
    import perceptory as pt

    data = {}
    for name in tables:
        one, train, _ = parts_of("tables", name, 0, folder)
        data[name] = pt.read_table(train, one.target, task=one.task), one.task
    whole: dict[str, float] = {}
    print(f"{'':<44}" + "".join(f"{name[:10]:>11}" for name in tables) + f"{'mean':>9}", flush=True)
    for variant, fields in variants().items():
        scores = {name: score_of(table, task, fields, epochs) for name, (table, task) in data.items()}
        whole = whole or scores
        ratios = np.array([scores[name] / whole[name] for name in tables])
        line = "".join(f"{ratio:>11.3f}" for ratio in ratios)
        print(f"{variant:<44}{line}{np.exp(np.log(ratios).mean()):>9.3f}", flush=True)


def steps(repeats: int = 3) -> None:
    """Processor time of a step of each of eight networks, the network for tables and the plain MLP in turn."""
    import perceptory as pt

    random = np.random.default_rng(0)
    x = random.normal(size=(4096, 8))
    data = pt.read_table(x, np.sin(x).sum(axis=1))
    kinds = {
        "mlp": pt.MLP(WIDTHS, "relu"),
        "tabular": pt.TabularMLP(WIDTHS),
        "many bins": pt.TabularMLP(WIDTHS, bins=128, width=17),
    }
    optimizer = pt.AdamW(3e-3)
    taken: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(repeats + 1):  # the first one compiles
        for name, network in kinds.items():
            each = []
            for epochs in (2, 10):
                study = pt.Study(
                    network,
                    optimizer=optimizer,
                    validation=pt.HoldOut(),
                    seeds=8,
                    epochs=epochs,
                    patience=0,
                    batch_size=128,
                    test=0.0,
                )
                start = time.process_time()
                study.run(data)
                each.append(time.process_time() - start)
            taken[name].append((each[1] - each[0]) / (8 * 8 * -(-3277 // 128)))
    plain = float(np.median(taken["mlp"][1:]))
    for name, values in taken.items():
        middle = float(np.median(values[1:]))
        print(f"{name:<12}{1e6 * middle:>9.0f} us a step{middle / plain:>8.2f}", flush=True)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", action="store_true", help="what a step costs, instead of what each part does")
    parser.add_argument("--tables", help="names, separated by commas; all by default")
    parser.add_argument("--epochs", type=int, default=48)
    parser.add_argument("--data", type=Path, default=FOLDER, help="folder of the data")
    options = parser.parse_args()
    if options.steps:
        steps()
    else:
        ablation(options.tables.split(",") if options.tables else list(TABLES), options.epochs, options.data)


if __name__ == "__main__":
    main()
