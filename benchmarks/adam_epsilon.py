"""Where Adam's epsilon stands and how large it is: `python -m benchmarks.adam_epsilon [task ...]`.

On every split of a task's rows, each network is trained once an optimizer: Adam with `eps` beside the root, of several
sizes, and E25 as printed (`eps_root` = 1e-6 under the root). Nothing else differs but the random starts, which follow
from the candidate; each run is an ensemble of the folds' networks, its rate chosen by validation. The table gives the
geometric mean over a task's pairs of test error / test error of `eps` = 1e-8 (RMSE, log loss, or free-run RMSE), its
standard error as a factor, and how many networks diverged. "noise" is eps 1e-8 once more with other starts: what
remains between two equal optimizers.

Tables, records and images of ../shared/data (its README has the sources), in part, so that all of it takes minutes.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import perceptory as pt  # isort: skip, it sets up what JAX runs on

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent / "examples"))

import published_records

FOLDER = Path("../shared/data")
NUMBERS: dict[str, dict[str, float]] = {
    "eps 1e-8": {"eps": 1e-8, "eps_root": 0.0},
    "noise": {"eps": 1.0000001e-8, "eps_root": 0.0},
    "eps 1e-6": {"eps": 1e-6, "eps_root": 0.0},
    "eps 1e-4": {"eps": 1e-4, "eps_root": 0.0},
    "eps 1e-3": {"eps": 1e-3, "eps_root": 0.0},
    "E25": {"eps": 0.0, "eps_root": 1e-6},
}
ROWS = 2500  # of a table, at most
SPLITS = 4  # of a table into study and test rows
GRU = pt.GRU((8,))
RATES = (3e-3, 1e-2)
TABLES = {  # target, columns left out
    "uci/concrete": ("strength", ()),
    "uci/kin8nm": ("y", ()),
    "uci/power-plant": ("power", ()),
    "uci/wine-quality-red": ("quality", ()),
    "tables/abalone": ("rings", ()),
    "tables/california": ("median_house_value", ()),
    "tables/diamonds": ("price", ()),
    "tables/adult": ("income", ()),
    "tables/german_credit": ("risk", ()),
    "tables/phoneme": ("nasal", ()),
    "tables/titanic": ("survived", ("alive",)),
}


@dataclass(frozen=True)
class Case:
    """One split: what is trained, and on what."""

    study: pt.Study
    data: Any
    test: Any
    metric: str


def table(name: str) -> Iterator[Case]:
    target, left_out = TABLES[name]
    task = "classification" if target in ("risk", "nasal", "survived", "income") else None
    data = pt.read_table(FOLDER / f"{name}.csv", target, task=task, ignore=left_out)
    for split in range(SPLITS):
        rows = np.random.default_rng(split).permutation(data.rows)[:ROWS]
        cut = round(0.75 * len(rows))
        for network in (pt.MLP((32, 32), "relu"), pt.MLP((64, 64), "tanh")):
            yield Case(
                pt.Study(network, epochs=60, patience=20, test=0, seed=split, validation=pt.KFold(4)),
                data.take(np.sort(rows[:cut])), data.take(np.sort(rows[cut:])),
                "rmse" if data.task == "regression" else "log_loss",
            )  # fmt: skip


def system(name: str, networks: list[Any], epochs: int, steps: int) -> Iterator[Case]:
    """`steps` of a record, by the protocol of examples/published_records.py but shorter."""
    protocol = published_records.PROTOCOLS[name]
    parts = protocol.divide(published_records.read(str(FOLDER / "sysid" / f"{name}.csv")))
    train, test = ({k: v[:steps] for k, v in part.items()} for part in parts)
    data = protocol.data(train)
    for seed in range(2):
        for network in networks:
            study = pt.Study(
                network, epochs=epochs, patience=0, test=0, seed=seed, batch_size=16, score="rmse",
                validation=published_records.blocks(data, len(train["y"]), 4, 2),
            )  # fmt: skip
            yield Case(study, data, protocol.data(test, whole=True), "rmse")


def lenet() -> Iterator[Case]:
    train, test = (pt.read_images(FOLDER / "mnist", part=part) for part in ("train", "test"))
    network = pt.CNN((6, 16), kernel=5, padding=("same", "valid"), hidden=(120, 84), activation="tanh")
    for split in range(3):
        rows = np.sort(np.random.default_rng(split).permutation(train.rows)[:1500])
        yield Case(
            pt.Study(network, epochs=5, patience=0, test=0, seed=split, batch_size=32, validation=pt.HoldOut(0.2)),
            train.take(rows), test.take(np.arange(split * 2000, split * 2000 + 2000)), "log_loss",
        )  # fmt: skip


TASKS: dict[str, Callable[[], Iterator[Case]]] = {
    **{name: lambda name=name: table(name) for name in TABLES},  # type: ignore[misc]
    "sysid/silverbox": lambda: system("silverbox", [pt.NARX((8,), input_lags=3, output_lags=3), GRU], 30, 4000),
    "sysid/cascaded_tanks": lambda: system("cascaded_tanks", [GRU, pt.LSTM((8,))], 20, 512),
    "mnist, LeNet-5": lenet,
}


def errors_of(task: str) -> tuple[np.ndarray, np.ndarray]:
    """Test errors and shares of networks that diverged, [run, variant]."""
    errors, diverged = [], []
    for case in TASKS[task]():
        errors.append([])
        diverged.append([])
        for numbers in NUMBERS.values():
            optimizer = pt.choice(*(pt.Adam(pt.Cosine(rate), **numbers) for rate in RATES))
            result = case.study.replace(optimizer=optimizer).run(case.data, test=case.test)
            errors[-1].append((result.test() or {})[case.metric])
            diverged[-1].append(np.mean([m.status == "diverged" for m in result.members]))
    return np.array(errors), np.array(diverged)


def line(name: str, errors: np.ndarray, diverged: np.ndarray, seconds: float) -> str:
    logs = np.log(errors / errors[:, :1])
    spread = logs.std(0, ddof=1) / np.sqrt(len(logs))
    cells = [
        f"{np.exp(m):.3f} ×/÷ {np.exp(s):.3f}" + (f" ({d:.0%} div.)" if d else "")
        for m, s, d in zip(logs.mean(0), spread, diverged.mean(0), strict=True)
    ]
    base = np.exp(np.log(errors[:, 0]).mean())
    return f"| {name} | {len(errors)} | {base:.4g} | {' | '.join(cells[1:])} | {seconds:.0f} |"


if __name__ == "__main__":
    print(f"| task | pairs | error at eps 1e-8 | {' | '.join(list(NUMBERS)[1:])} | s |")
    print(f"|{'---|' * (len(NUMBERS) + 3)}")
    tables, everything = [], []
    for name in sys.argv[1:] or TASKS:
        since = time.perf_counter()
        errors, diverged = errors_of(name)
        print(line(name, errors, diverged, time.perf_counter() - since), flush=True)
        everything.append((errors, diverged))
        if name in TABLES:
            tables.append((errors, diverged))
    for label, group in (("all tables", tables), ("all", everything)):
        if len(group) > 1:
            errors, diverged = (np.concatenate([g[k] for g in group]) for k in (0, 1))
            print(line(label, errors, diverged, 0))
