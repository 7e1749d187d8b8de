"""Nested 5 x 5 validation of 16 candidates on diabetes: `python -m benchmarks.nested`.

Against scikit-learn's way: GridSearchCV of MLPRegressor inside cross_val_score. Both compare the same widths, penalties
and learning rates with as many epochs; ours also makes the final model and its naive estimate. Wall time and processor
time; ours from a cold start (nothing imported or compiled before) and again. The table comes from scikit-learn, whose
import counts for neither.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings

import numpy as np

RATES, PENALTIES = (1e-3, 3e-3, 1e-2, 3e-2), (1e-4, 1e-3, 1e-2, 1e-1)


def ours(x: np.ndarray, y: np.ndarray, epochs: int) -> tuple[float, float]:
    """Mean and standard deviation over the outer folds."""
    from perceptory import MLP, Adam, KFold, Nested, Study, WeightPenalty, choice, read_table

    study = Study(
        MLP((32,), "relu"), optimizer=Adam(choice(*RATES)), penalty=WeightPenalty(choice(*PENALTIES)), test=0,
        validation=Nested(KFold(5), KFold(5)), epochs=epochs, patience=epochs // 5, batch_size=32,
    )  # fmt: skip
    nested = study.run(read_table(x, y)).nested
    return nested.mean, nested.spread


def theirs(x: np.ndarray, y: np.ndarray, epochs: int) -> tuple[float, float]:
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
    from sklearn.neural_network import MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    warnings.simplefilter("ignore", ConvergenceWarning)
    network = MLPRegressor(
        hidden_layer_sizes=(32,), batch_size=32, max_iter=epochs, early_stopping=True, n_iter_no_change=epochs // 5
    )
    model = TransformedTargetRegressor(make_pipeline(StandardScaler(), network), transformer=StandardScaler())
    name = "regressor__mlpregressor__"
    grid = {f"{name}learning_rate_init": RATES, f"{name}alpha": PENALTIES}
    score = "neg_root_mean_squared_error"
    inner = GridSearchCV(model, grid, cv=KFold(5, shuffle=True, random_state=0), scoring=score)
    errors = -cross_val_score(inner, x, y, cv=KFold(5, shuffle=True, random_state=1), scoring=score)
    return float(errors.mean()), float(errors.std(ddof=1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=100)
    options = parser.parse_args()
    os.environ["PERCEPTORY_CACHE"] = "off"
    from sklearn.datasets import load_diabetes

    x, y = load_diabetes(return_X_y=True, scaled=False)
    seconds = {}
    for name, way in (("ours, cold", ours), ("ours, again", ours), ("scikit-learn", theirs)):
        wall, processor = time.perf_counter(), time.process_time()
        mean, spread = way(x, y, options.epochs)
        seconds[name] = wall, processor = time.perf_counter() - wall, time.process_time() - processor
        print(f"{name:<14} RMSE {mean:.2f} ± {spread:.2f}, {wall:.1f} s, processor {processor:.1f} s", flush=True)
    for k, what in enumerate(("wall", "processor")):
        cold, again, them = (seconds[name][k] for name in ("ours, cold", "ours, again", "scikit-learn"))
        print(f"{what}: 1/{them / cold:.0f} cold, 1/{them / again:.0f} again")


if __name__ == "__main__":
    main()
