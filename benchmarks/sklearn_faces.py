"""The estimators beside scikit-learn's own: time for the same work, accuracy at default settings.

    python -m benchmarks.sklearn_faces [fit] [study] [accuracy]

fit: one fit on 1000 rows, warm, the same epochs and batches as MLPRegressor. study: 10 folds and 16 candidates beside
GridSearchCV(MLPRegressor, n_jobs=2), the same epochs and batches. accuracy: default settings on the sets that
scikit-learn brings, mean over 10 splits, scaled inputs for the MLP estimators. tuning: the same on the splits of other
seeds that the defaults were chosen on.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

import perceptory  # noqa: F401  (before JAX)

SPLITS = range(10)
TUNING = range(100, 110)  # splits that defaults may be chosen on


def timed(work: Callable[[], Any], times: int = 3) -> float:
    """Best seconds of several runs, after one that may compile."""
    work()
    seconds = []
    for _ in range(times):
        begun = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begun)
    return min(seconds)


def table(rows: int, columns: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    X = random.normal(size=(rows, columns))
    y = np.sin(2 * X[:, 0]) + X[:, 1] * X[:, 2] + 0.5 * X[:, 3] + 0.1 * random.normal(size=rows)
    return X, y


def one_fit() -> None:
    """One fit on 1000 rows: 100 epochs, no early stopping on either side."""
    from sklearn.neural_network import MLPRegressor

    from perceptory.estimators import NetworkRegressor

    X, y = table(1000, 10)
    epochs = 100
    print("one fit, 1000 rows, 10 columns, 100 epochs: seconds")
    print(f"{'hidden':>12} {'batch':>6} {'numbers':>8} {'ours':>8} {'MLP':>8} {'ratio':>6}")
    for hidden in ((100,), (64, 64)):
        for batch in (200, 32):
            for dtype in (np.float64, np.float32):
                x, t = X.astype(dtype), y.astype(dtype)
                ours = NetworkRegressor(hidden, epochs=epochs, batch_size=batch, validation_fraction=0, random_state=0)
                theirs = MLPRegressor(
                    hidden_layer_sizes=hidden, max_iter=epochs, batch_size=batch, tol=0.0,
                    n_iter_no_change=10**6, random_state=0,
                )  # fmt: skip
                a, b = timed(lambda m=ours, x=x, t=t: m.fit(x, t)), timed(lambda m=theirs, x=x, t=t: m.fit(x, t), 1)
                print(f"{hidden!s:>12} {batch:6d} {np.dtype(dtype).name:>8} {a:8.4f} {b:8.4f} {a / b:6.2f}")


def study() -> None:
    """16 candidates (4 penalties, 4 learning rates) on 10 folds; every network trains for all epochs."""
    from sklearn.model_selection import GridSearchCV, KFold
    from sklearn.neural_network import MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from perceptory.estimators import NetworkRegressorCV

    X, y = table(500, 10)
    epochs, batch, hidden = 50, 32, (32,)
    rates, strengths = [1e-3, 3e-3, 1e-2, 3e-2], [1e-4, 1e-3, 1e-2, 1e-1]
    folds = KFold(10, shuffle=True, random_state=0)
    ours = NetworkRegressorCV(
        [hidden], learning_rate=rates, penalty=strengths, cv=folds, epochs=epochs, patience=0, batch_size=batch,
        final="refit", random_state=0,
    )  # fmt: skip
    network = MLPRegressor(
        hidden_layer_sizes=hidden, max_iter=epochs, batch_size=batch, tol=0.0, n_iter_no_change=10**6, random_state=0
    )
    theirs = GridSearchCV(
        make_pipeline(StandardScaler(), network),
        {"mlpregressor__learning_rate_init": rates, "mlpregressor__alpha": strengths},
        cv=folds, scoring="neg_root_mean_squared_error", n_jobs=2,
    )  # fmt: skip
    b = timed_once(lambda: theirs.fit(X, y))
    print("16 candidates on 10 folds, 500 rows, 10 columns, hidden (32,), batch 32, 50 epochs: seconds")
    for dtype in (np.float64, np.float32):
        x, t = X.astype(dtype), y.astype(dtype)
        a = timed(lambda x=x, t=t: ours.fit(x, t), 2)
        print(f"{np.dtype(dtype).name:>8}: ours {a:.3f}, GridSearchCV {b:.3f}, ratio {a / b:.3f}")


def timed_once(work: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def accuracy(splits: Any = SPLITS, **changes: Any) -> dict[str, tuple[float, float]]:
    """Mean over splits of R2 or accuracy on a quarter of the rows: {set: (ours, MLP's)}."""
    from sklearn import datasets
    from sklearn.model_selection import train_test_split
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from perceptory.estimators import NetworkClassifier, NetworkRegressor

    found = {}
    print(f"default settings, mean over {len(splits)} splits: R2 or accuracy")
    print(f"{'set':>14} {'ours':>8} {'MLP':>8} {'difference':>11} {'seconds':>8} {'MLP':>8}")
    for name in ("diabetes", "breast_cancer", "wine", "digits", "iris"):
        X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
        regression = name == "diabetes"
        scores, seconds = [], np.zeros(2)
        for split in splits:
            parts = train_test_split(X, y, test_size=0.25, random_state=split, stratify=None if regression else y)
            Xa, Xb, ya, yb = parts
            ours = (NetworkRegressor if regression else NetworkClassifier)(random_state=split, **changes)
            theirs = make_pipeline(
                StandardScaler(), (MLPRegressor if regression else MLPClassifier)(random_state=split)
            )
            row = []
            for i, model in enumerate((ours, theirs)):
                begun = time.perf_counter()
                row.append(model.fit(Xa, ya).score(Xb, yb))
                seconds[i] += time.perf_counter() - begun
            scores.append(row)
        a, b = np.mean(scores, axis=0)
        found[name] = (float(a), float(b))
        print(f"{name:>14} {a:8.4f} {b:8.4f} {a - b:+11.4f} {seconds[0]:8.2f} {seconds[1]:8.2f}")
    return found


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # MLP estimators say that they have not converged
    for part in sys.argv[1:] or ["fit", "study", "accuracy"]:
        {"fit": one_fit, "study": study, "accuracy": accuracy, "tuning": lambda: accuracy(TUNING)}[part]()
