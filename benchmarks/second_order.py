"""Second-order training against Adam and SciPy: `python -m benchmarks.second_order [sinc] [population] [concrete]`.

Prints one Markdown table. Compilation is apart: everything timed has run once before.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import least_squares

import perceptory as pt
from perceptory import backend
from perceptory.studies.prepare import prepare
from perceptory.studies.split import on_all_rows
from perceptory.training.driver import train_group

CONCRETE = Path("../shared/data/uci/concrete.csv")
Row = tuple[str, str, str, str]


def training(study: pt.Study, data: Any, folds: Any = None, runs: int = 2) -> tuple[list[Any], float, Any]:
    """(outcomes, seconds of the training alone, the first fold's scaling); on all rows where no folds are given."""
    splitting = on_all_rows if folds is None else lambda encoded: folds
    ready = prepare(study.replace(test=0), data, splitting=splitting, epochs=study.epochs if folds is None else None)
    (group,) = ready.groups
    with backend.precision(ready.study.arithmetic):
        for _ in range(runs):
            outcomes: dict[int, Any] = {}
            start = time.perf_counter()
            train_group(group.plan, group.members, ready.raw, finished=outcomes.update)
            seconds = time.perf_counter() - start
    return [outcomes[k] for k in sorted(outcomes)], seconds, ready.scalings[0]


def sinc() -> Iterator[Row]:
    """sinc(10 x) on [-1, 1], 20000 points, 1-20-1 tanh (61 weights): mean squared error in the units of sinc."""
    x = np.linspace(-1, 1, 20_000)
    data = pt.read_table(x[:, None], target=np.sinc(10 * x), task="regression")
    task = "sinc(10 x), 1-20-1, 20000 points"
    network = pt.MLP((20,), initializer="nguyen_widrow")
    firsts, ends, times = [], [], []
    for seed in range(8):
        study = pt.Study(network, optimizer=pt.LevenbergMarquardt(), epochs=100, patience=0, seed=seed)
        (outcome,), seconds, scaling = training(study, data)
        mse = 2 * outcome.train_cost * scaling.out_scale[0] ** 2
        times.append(seconds)
        ends.append(mse[-1])
        firsts.append(next((k + 1 for k, e in enumerate(mse) if e <= 1e-8), 0))
    hits = [k for k in firsts if k]
    yield (
        task, "LM, 100 iterations, one start",
        f"{np.median(times):.2f} s; {len(hits)} of 8 starts reach 1e-8 (after {', '.join(map(str, sorted(hits)))});"
        f" median end {np.median(ends):.1e}", "1e-8 in 100 iterations and 3 s",
    )  # fmt: skip
    study = pt.Study(network, optimizer=pt.LevenbergMarquardt(), epochs=100, patience=0, seeds=4)
    outcomes, seconds, scaling = training(study, data)
    best = min(2 * o.train_cost[-1] * scaling.out_scale[0] ** 2 for o in outcomes)
    yield task, "LM, 100 iterations, best of four starts in one program", f"{seconds:.2f} s; {best:.1e}", "the same"
    study = pt.Study(network, optimizer=pt.Adam(1e-2), epochs=10_000, patience=0, batch_size=20_000)
    (outcome,), seconds, scaling = training(study, data, runs=1)
    mse = 2 * outcome.train_cost[-1] * scaling.out_scale[0] ** 2
    yield task, "Adam, 10000 epochs of one batch", f"{seconds:.1f} s with compilation; {mse:.1e}", "beside it"


def population() -> Iterator[Row]:
    """10 folds x 20 starts of 8-10-1 (101 weights) on 1000 rows, 50 iterations, against SciPy run by run."""
    task = "200 runs of 8-10-1, 1000 rows, 50 iterations"
    random = np.random.default_rng(0)
    x = random.normal(size=(1000, 8))
    t = np.sin(x @ random.normal(size=8) / 2) + 0.3 * x[:, 0] * x[:, 1] + 0.1 * random.normal(size=1000)
    data = pt.read_table(x, target=t, task="regression")
    folds = pt.KFold(10).split(1000, seed=0)
    study = pt.Study(pt.MLP((10,)), optimizer=pt.LevenbergMarquardt(), epochs=50, patience=0, seeds=20)
    outcomes, ours, scaling = training(study, data, folds)
    costs = [o.train_cost[-1] for o in outcomes]
    yield task, "perceptory, all of them", f"{ours:.2f} s; median cost {np.median(costs):.4f}", ""
    rows = folds[0][0]
    x, t = (x[rows] - scaling.in_center) * scaling.in_factor, (t[rows] - scaling.out_center) / scaling.out_scale
    for method in ("trf", "lm"):
        seconds, costs = [], []
        for seed in range(5):
            w = 0.4 * np.random.default_rng(seed).normal(size=101)
            start = time.perf_counter()
            found = least_squares(_residuals, w, _jacobian, method=method, max_nfev=50, args=(x, t),
                                  ftol=1e-15, xtol=1e-15, gtol=1e-15)  # fmt: skip
            seconds.append(time.perf_counter() - start)
            costs.append(found.cost / len(x))
        theirs = 200 * float(np.median(seconds))
        yield (
            task, f"SciPy's least_squares, {method}, 50 evaluations, five runs, times 200",
            f"{theirs:.1f} s; median cost {np.median(costs):.4f}; perceptory takes 1/{theirs / ours:.1f}", "1/20",
        )  # fmt: skip


def _residuals(w: np.ndarray, x: np.ndarray, t: np.ndarray) -> np.ndarray:
    return np.tanh(x @ w[:80].reshape(8, 10) + w[80:90]) @ w[90:100] + w[100] - t


def _jacobian(w: np.ndarray, x: np.ndarray, t: np.ndarray) -> np.ndarray:
    v = np.tanh(x @ w[:80].reshape(8, 10) + w[80:90])
    d = (1 - v * v) * w[90:100]
    return np.concatenate([(x[:, :, None] * d[:, None]).reshape(len(x), 80), d, v, np.ones((len(x), 1))], axis=1)


def concrete() -> Iterator[Row]:
    """UCI concrete, the first 5 published splits; 5 folds of the training rows, the mean of their networks tested. What
    counts is the best epoch on the fold's validation rows: of 40 for LM and Bayesian regularization, of 1000 for Adam;
    and of 15 in single precision, which is where LM comes to Adam's error.
    """
    if not CONCRETE.exists():
        yield "concrete", "skipped", f"{CONCRETE} is absent", ""
        return
    data = pt.read_table(CONCRETE, "strength")
    random = np.random.RandomState(1)
    orders = [random.choice(range(data.rows), data.rows, replace=False) for _ in range(5)]
    kept = int(0.9 * data.rows + 0.5)
    contenders = [
        *((f"Adam, {h}", (h,), pt.Adam(pt.Cosine(1e-2)), 1000, 0, None) for h in (10, 20)),
        *((f"LM, {h}", (h,), pt.LevenbergMarquardt(), 40, 8, None) for h in (10, 20)),
        *((f"LM in single precision, {h}", (h,), pt.LevenbergMarquardt(), 15, 0, "single") for h in (10, 20)),
        *((f"Bayesian regularization, {h}", (h,), pt.BayesianRegularization(), 40, 8, None) for h in (10, 20)),
    ]
    for name, hidden, optimizer, epochs, patience, precision in contenders:
        study = pt.Study(pt.MLP(hidden), optimizer=optimizer, epochs=epochs, patience=patience, test=0.0,
                         validation=pt.KFold(5), precision=precision)  # fmt: skip
        errors, seconds, trained = [], [], []
        for order in [orders[0], *orders]:  # the first one compiles
            train, test = data.take(order[:kept]), data.take(order[kept:])
            start = time.perf_counter()
            result = study.run(train, test=test)
            seconds.append(time.perf_counter() - start)
            trained.append(result.candidates[0].seconds)
            errors.append((result.test() or {})["rmse"])
        yield (
            "concrete, first 5 splits", f"{name} hidden neurons, {epochs} epochs, 5 networks",
            f"test RMSE {np.mean(errors[1:]):.2f}; training {np.median(trained[1:]):.3f} s, study"
            f" {np.median(seconds[1:]):.2f} s", "Adam's, in a tenth",
        )  # fmt: skip


if __name__ == "__main__":
    print("| task | method | measured | to reach |\n|---|---|---|---|")
    for part in (sinc, population, concrete):
        if len(sys.argv) == 1 or part.__name__ in sys.argv[1:]:
            for row in part():
                print("| " + " | ".join(row) + " |", flush=True)
