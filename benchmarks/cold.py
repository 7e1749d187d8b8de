"""Whole processes to be timed from outside: `python -m benchmarks.cold perceptory|sklearn TABLE | members COUNT`."""

from __future__ import annotations

import sys
from pathlib import Path

RATES = [1e-3, 2e-3, 5e-3, 1e-2]
STRENGTHS = [1e-5, 1e-4, 1e-3, 1e-2]


def write_table(path: Path) -> None:
    """scikit-learn's diabetes table as CSV, so that both processes read the same file."""
    from sklearn.datasets import load_diabetes

    data = load_diabetes(scaled=False)
    lines = [",".join([*data.feature_names, "progression"])]
    lines += [",".join(map(repr, [*map(float, x), float(t)])) for x, t in zip(data.data, data.target, strict=True)]
    path.write_text("\n".join(lines) + "\n")


def perceptory(table: str) -> None:
    """16 candidates x 10 folds x 100 epochs, no early stopping."""
    import perceptory as pt

    study = pt.Study(
        [pt.MLP((32, 32), "relu")],
        optimizer=pt.Adam(pt.choice(*RATES)),
        penalty=pt.WeightPenalty(pt.choice(*STRENGTHS)),
        validation=pt.KFold(10),
        epochs=100,
        patience=0,
        batch_size=32,
        test=0.0,
    )
    result = study.run(pt.read_table(table, "progression"))
    print(result.best, result.candidates[0].mean)


def sklearn(table: str) -> None:
    """The same work in scikit-learn, on both cores."""
    import warnings

    import numpy as np
    from sklearn.model_selection import GridSearchCV, KFold
    from sklearn.neural_network import MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    warnings.simplefilter("ignore")
    import os

    os.environ["PYTHONWARNINGS"] = "ignore"
    numbers = np.loadtxt(table, delimiter=",", skiprows=1)
    x, t = numbers[:, :-1], numbers[:, -1]
    net = MLPRegressor(hidden_layer_sizes=(32, 32), batch_size=32, max_iter=100, tol=0.0, n_iter_no_change=1000)
    search = GridSearchCV(
        make_pipeline(StandardScaler(), net),
        {"mlpregressor__learning_rate_init": RATES, "mlpregressor__alpha": STRENGTHS},
        cv=KFold(10, shuffle=True, random_state=0),
        scoring="neg_root_mean_squared_error",
        n_jobs=2,
        refit=False,
    )
    search.fit(x, (t - t.mean()) / t.std())
    print(search.best_params_)


def members(count: int) -> None:
    """Train `count` members of 8-32-32-1 for 20 epochs; prints seconds without compilation, and peak GiB in all."""
    import resource

    from benchmarks.contenders import population

    run = population(8, (32, 32), 1, 32, count, 416, 20)
    seconds = run() * count * 20 * 13
    print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)


if __name__ == "__main__":
    which, argument = sys.argv[1:]
    {"perceptory": perceptory, "sklearn": sklearn, "members": lambda n: members(int(n))}[which](argument)
