"""The network for tables and its training, part by part: `python -m benchmarks.tabular [--steps] [--tables NAMES]`.

What a training step of the presets' networks costs beside the plain MLP of the same widths, in turns and in processor
time; and what each part does, left out of the whole network and alone in a plain one, judged on held-out rows of the
training part of the development tables (five folds of at most `--rows` rows, one network each). No test row is looked
at.
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
Fields = dict[str, Any]  # of the network, and of its training those in `TRAINING`
TRAINING = ("eps", "rate", "decay", "beta2", "targets")
PARTS: dict[str, tuple[Fields, Fields]] = {  # name: (on, off)
    "embedding of numbers": ({"numbers": "piecewise"}, {"numbers": "none"}),
    "periodic embedding instead": ({"numbers": "periodic", "width": 4, "bins": 32}, {"numbers": "none"}),
    "scaling by quartiles": ({"inputs": "robust"}, {"inputs": "standard"}),
    "scaling by quantiles instead": ({"inputs": "quantiles"}, {"inputs": "standard"}),
    "smooth clip": ({"clip": 3.0}, {"clip": 0.0}),
    "embedding of categories instead": ({"one_hot": 9}, {"one_hot": 64}),
    "scale of features": ({"feature_scale": 6.0}, {"feature_scale": 0.0}),
    "learned activation": ({"parametric": True}, {"parametric": False}),
    "steps by width": ({"scaled": True}, {"scaled": False}),
    "start from the data": ({"start": "data"}, {"start": "random"}),
    "dropout": ({}, {"dropout": 0.0}),
    "large eps": ({}, {"eps": 1e-8}),
    "large eps and its rate": ({}, {"eps": 1e-8, "rate": 1e-3}),
    "decay of weights": ({}, {"decay": 0.0}),
    "quick second moment": ({}, {"beta2": 0.999}),
    "logarithms of targets instead": ({"targets": "log"}, {}),
    "places of targets instead": ({"targets": "quantiles"}, {}),
    "predictions kept among targets instead": ({"targets": "none"}, {}),
    "4 predictions instead": ({"predictions": 4}, {}),
    "8 predictions instead": ({"predictions": 8}, {}),
    "16 predictions instead": ({"predictions": 16}, {}),
}


def variants(alone: bool, names: Sequence[str]) -> dict[str, Fields]:
    """Fields by name: whole, without each of these parts, and where asked for plain, and plain with each alone."""
    plain: Fields = {}
    for _, without in PARTS.values():
        plain |= without
    out: dict[str, Fields] = {"whole": {}}
    for name in names:
        on, without = PARTS[name]
        instead = name.endswith("instead")
        out[f"with {name}" if instead else f"without {name}"] = on if instead else without
    if alone:
        out["plain"] = plain
        for name in names:
            on, without = PARTS[name]
            out[f"plain with {name}"] = {k: v for k, v in plain.items() if k not in without} | on
    return out


def score_of(data: Any, task: str, fields: Fields, longer: float) -> float:
    """Mean RMSE or log loss on held-out rows of networks of one structure, trained as the preset does; nan where the
    part is not for these targets."""
    import perceptory as pt
    from perceptory.optimizers.schedules import CosineCycles
    from perceptory.studies.presets_tables import BATCH, EPOCHS, SMALL, table_networks, table_optimizer

    small, regression = data.rows <= SMALL, task == "regression"
    by = fields.get("targets")
    if by and (not regression or (by == "log" and np.min(data.targets) <= 0)):
        return float("nan")
    usual = table_optimizer(task)
    changes = {k: v for k, v in fields.items() if k in ("eps", "beta2")}
    changes |= {"learning_rate": CosineCycles(fields["rate"])} if "rate" in fields else {}
    changes |= {"weight_decay": fields["decay"]} if "decay" in fields else {}
    usual_networks = table_networks(task, data.rows, (), "normal", pt.Linear())
    network = next(n for n in usual_networks if isinstance(n, pt.TabularMLP) and n.numbers == "piecewise").replace(
        **{"inputs": "robust", **{k: v for k, v in fields.items() if k not in TRAINING}}
    )
    study = pt.Study(
        network,
        cost=pt.TransformedError(by) if by else None,
        optimizer=usual.replace(**changes),
        validation=pt.KFold(5),
        epochs=int(longer * EPOCHS[regression][small] / 2),
        patience=0,
        batch_size=BATCH[small],
        test=0.0,
    )
    return float(study.run(data).candidates[0].mean)


def ablation(tables: Sequence[str], rows: int, alone: bool, names: Sequence[str], longer: float, folder: Path) -> None:
    """A line a variant: on each table its score to that of the whole network, and the geometric mean."""
    import perceptory as pt

    data = {}
    for name in tables:
        one, train, _ = parts_of("tables", name, 0, folder)
        data[name] = pt.read_table(train.iloc[:rows], one.target, task=one.task), one.task
    whole: dict[str, float] = {}
    print(f"{'':<44}" + "".join(f"{name[:10]:>11}" for name in tables) + f"{'mean':>9}", flush=True)
    for variant, fields in variants(alone, names).items():
        scores = {name: score_of(table, task, fields, longer) for name, (table, task) in data.items()}
        whole = whole or scores
        ratios = np.array([scores[name] / whole[name] for name in tables])
        line = "".join(f"{ratio:>11.3f}" for ratio in ratios).replace("nan", "  -")
        print(f"{variant:<44}{line}{np.exp(np.nanmean(np.log(ratios))):>9.3f}", flush=True)


def preset_networks() -> dict[str, Any]:
    """The networks that the presets train by steps, by name: of small and of large tables, and of classes."""
    from perceptory.networks.mlp import MLP
    from perceptory.networks.tabular import TabularMLP
    from perceptory.studies.presets_tables import KERNEL_ROWS, SMALL, table_networks

    found: dict[str, Any] = {"plain": MLP(WIDTHS, "relu")}
    for task, sizes in (("regression", (SMALL, KERNEL_ROWS)), ("classification", (SMALL, KERNEL_ROWS + 1))):
        for rows in sizes:
            for network in table_networks(task, rows, (), "normal", MLP(WIDTHS)):
                if isinstance(network, TabularMLP):
                    many = network.frequencies if network.numbers == "periodic" else network.bins
                    beside = f" {network.width - 1}" if network.numbers == "periodic" else ""
                    places = ", quantiles" if network.inputs == "quantiles" else ""
                    found[f"{task} {network.numbers} {many}{beside}{places}"] = network
    return found


def steps(batch: int, categories: bool, names: str, repeats: int) -> None:
    """Processor time of a step of each of eight members, of the presets' networks and the plain MLP in turn, on eight
    numbers and, where asked for, three columns of 3, 12 and 70 categories."""
    import perceptory as pt
    from perceptory.studies.presets_tables import table_optimizer

    random = np.random.default_rng(0)
    rows = 4096 if batch > 64 else 1024
    columns: dict[str, Any] = {f"x{i}": random.normal(size=rows) for i in range(8)}
    columns["y"] = sum(np.sin(x) for x in columns.values())
    if categories:
        columns |= {f"c{n}": [f"v{k}" for k in random.integers(0, n, rows)] for n in (3, 12, 70)}
    data = pt.read_table(columns, "y", task="regression")
    every = preset_networks() | {f"{k} predictions": pt.TabularMLP(WIDTHS, predictions=k) for k in (8, 16)}
    kinds = {name: net for name, net in every.items() if name == "plain" or names in name}
    taken: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(repeats + 1):  # the first one compiles
        for name, network in kinds.items():
            each = []
            for epochs in (2, 10):
                study = pt.Study(
                    network, optimizer=table_optimizer("regression"), validation=pt.HoldOut(), seeds=8, epochs=epochs,
                    patience=0, batch_size=batch, test=0.0,
                )  # fmt: skip
                start = time.process_time()
                study.run(data)
                each.append(time.process_time() - start)
            taken[name].append((each[1] - each[0]) / (8 * 8 * -(-int(0.8 * rows) // batch)))
    plain = float(np.median(taken["plain"][1:]))
    for name, values in taken.items():
        middle = float(np.median(values[1:]))
        print(f"{name:<44}{1e6 * middle:>7.0f} us a step{middle / plain:>8.2f}", flush=True)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", action="store_true", help="what a step costs, instead of what each part does")
    parser.add_argument("--batch", type=int, default=128, help="with --steps: rows of a step")
    parser.add_argument("--categories", action="store_true", help="with --steps: columns of categories beside numbers")
    parser.add_argument("--only", default="", help="with --steps: networks whose name has this in it")
    parser.add_argument("--repeats", type=int, default=3, help="with --steps: turns that count")
    parser.add_argument("--tables", help="names, separated by commas; all by default")
    parser.add_argument("--rows", type=int, default=3000, help="of each table's training part, at most")
    parser.add_argument("--alone", action="store_true", help="each part alone too, in a plain network")
    parser.add_argument("--parts", help="names of parts, separated by commas; all by default")
    parser.add_argument("--longer", type=float, default=1.0, help="times the epochs, which are half of the preset's")
    parser.add_argument("--data", type=Path, default=FOLDER, help="folder of the data")
    options = parser.parse_args()
    if options.steps:
        steps(options.batch, options.categories, options.only, options.repeats)
    else:
        tables = options.tables.split(",") if options.tables else list(TABLES)
        names = options.parts.split(",") if options.parts else list(PARTS)
        ablation(tables, options.rows, options.alone, names, options.longer, options.data)


if __name__ == "__main__":
    main()
