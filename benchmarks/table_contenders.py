"""One fit of one contender on one split, in a process of its own, so that its seconds are those of a cold start.

`python -m benchmarks.table_contenders CONTENDER PROTOCOL TABLE SPLIT FOLDER` prints one line of JSON. A contender takes
data frames and gives predictions of the test rows: "mean" [row], or "proba" [row, class] with the classes in sorted
order; ours gives its interval and density as well. RealMLP may run in an environment that lacks perceptory.
"""

from __future__ import annotations

import json
import math
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.table_sets import TableSet, parts_of

COVERAGE, BINS = 0.9, 15
Found = dict[str, Any]


def ours(one: TableSet, train: Any, test: Any) -> Found:
    """As a user: read a file, fit with nothing asked, predict another file."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / "train.csv", Path(folder) / "test.csv"]
        for path, frame in zip(paths, (train, test), strict=True):
            frame.to_csv(path, index=False)
        start = time.perf_counter()
        import perceptory as pt

        data = pt.read_table(paths[0], one.target, task=one.task)
        new = pt.read_table(paths[1], like=data)
        result = pt.default_study(data, test=0.0).run(data, test=new)
        model = result.model
        if one.task == "classification":
            found: Found = {"proba": model.predict_proba(paths[1])}
        else:
            found = {"mean": model.predict(paths[1])}
        found["seconds"] = time.perf_counter() - start
        if one.task == "regression":
            found["interval"] = model.predict_interval(paths[1], COVERAGE)
            found["one_width"] = _one_width(result.predictions)
            found["nll"] = (result.test() or {})["nll"]
    return found


def _one_width(predictions: Any) -> float:
    """Half the width that covers the held-out rows at one width for all rows (split conformal prediction)."""
    sizes = np.sort(np.abs(predictions.target - predictions.output)[predictions.part == "validation"].ravel())
    return float(sizes[min(len(sizes), math.ceil(COVERAGE * (len(sizes) + 1))) - 1])


def _texts(frames: tuple[Any, Any], missing: str) -> tuple[list[str], list[Any]]:
    """Columns that hold categories, and frames in which they are text with a word of its own where missing."""
    names = [c for c in frames[0] if frames[0][c].dtype.kind not in "iuf"]
    out = []
    for frame in frames:
        frame = frame.copy()
        for c in names:
            frame[c] = frame[c].astype(object).where(frame[c].notna(), missing).map(str).astype(object)
        out.append(frame)
    return names, out


def _with(one: TableSet, train: Any, test: Any, fit: Callable[..., Any], missing: str = "NA") -> Found:
    """Fit and predict with a scikit-learn-like model. fit: (x, t, names of categories, x of the test rows) -> (model, x
    of the test rows as it takes them)."""
    x, x_test = (frame.drop(columns=one.target) for frame in (train, test))
    names, (x, x_test) = _texts((x, x_test), missing)
    t = train[one.target].to_numpy()
    t = np.unique(t, return_inverse=True)[1] if one.task == "classification" else t.astype(float)
    start = time.perf_counter()
    model, x_test = fit(x, t, names, x_test)
    if one.task == "classification":
        found: Found = {"proba": np.asarray(model.predict_proba(x_test), float)}
    else:
        found = {"mean": np.asarray(model.predict(x_test), float).reshape(len(x_test))}
    return found | {"seconds": time.perf_counter() - start}


def catboost(one: TableSet, train: Any, test: Any) -> Found:
    """CatBoost with its defaults, on categories as text."""

    def fit(x: Any, t: Any, names: list[str], x_test: Any) -> tuple[Any, Any]:
        from catboost import CatBoostClassifier, CatBoostRegressor

        make = CatBoostClassifier if one.task == "classification" else CatBoostRegressor
        return make(verbose=0, allow_writing_files=False).fit(x, t, cat_features=names), x_test

    return _with(one, train, test, fit)


def lightgbm(one: TableSet, train: Any, test: Any) -> Found:
    """LightGBM with its defaults, on pandas categories."""

    def fit(x: Any, t: Any, names: list[str], x_test: Any) -> tuple[Any, Any]:
        import pandas as pd
        from lightgbm import LGBMClassifier, LGBMRegressor

        for c in names:
            kind = pd.CategoricalDtype(sorted(set(x[c])))
            x[c], x_test[c] = x[c].astype(kind), x_test[c].astype(kind)
        make = LGBMClassifier if one.task == "classification" else LGBMRegressor
        return make(verbose=-1).fit(x, t), x_test

    return _with(one, train, test, fit)


def realmlp(one: TableSet, train: Any, test: Any) -> Found:
    """RealMLP with its tuned defaults, one network; missing numbers take the training rows' median."""

    def fit(x: Any, t: Any, names: list[str], x_test: Any) -> tuple[Any, Any]:
        from pytabkit import RealMLP_TD_Classifier, RealMLP_TD_Regressor

        numbers = [c for c in x if c not in names]
        middle = x[numbers].median()
        x, x_test = (frame.assign(**frame[numbers].fillna(middle)) for frame in (x, x_test))
        for c in names:
            x[c], x_test[c] = x[c].astype("category"), x_test[c].astype("category")
        make = RealMLP_TD_Classifier if one.task == "classification" else RealMLP_TD_Regressor
        model = make(device="cpu", random_state=0, n_cv=1, n_threads=1)
        return model.fit(x, t, cat_col_names=names), x_test

    return _with(one, train, test, fit)


CONTENDERS: dict[str, Callable[[TableSet, Any, Any], Found]] = {
    "ours": ours,
    "catboost": catboost,
    "lightgbm": lightgbm,
    "realmlp": realmlp,
}


def error_of(task: str, truth: np.ndarray, predicted: np.ndarray) -> float:
    """RMSE of numbers [row], or log loss of probabilities [row, class] of the places of classes [row]."""
    if task == "regression":
        return float(np.sqrt(np.mean((predicted - truth) ** 2)))
    return float(-np.log(np.clip(predicted, 1e-15, 1)[np.arange(len(truth)), truth]).mean())


def judged(one: TableSet, train: Any, test: Any, found: Found) -> dict[str, float]:
    """What is kept of a fit: RMSE or log loss, seconds, and what its intervals and probabilities are worth."""
    out = {"seconds": float(found["seconds"]), "processor_seconds": time.process_time()}
    target = test[one.target].to_numpy()
    if one.task == "classification":
        place = np.searchsorted(np.unique(train[one.target].to_numpy()), target)
        out["error"] = error_of(one.task, place, found["proba"])
        out["accuracy"] = float((np.clip(found["proba"], 1e-15, 1).argmax(axis=1) == place).mean())
        out |= calibration(found["proba"], place)
        return out
    target = target.astype(float)
    out["error"] = error_of(one.task, target, found["mean"])
    if "interval" in found:
        low, high = found["interval"].T
        out["coverage"] = float(np.mean((low <= target) & (target <= high)))
        out["interval_score"] = interval_score(low, high, target)
        around = found["mean"]
        low, high = around - found["one_width"], around + found["one_width"]
        out["coverage_of_one_width"] = float(np.mean((low <= target) & (target <= high)))
        out["interval_score_of_one_width"] = interval_score(low, high, target)
    if "nll" in found:
        out["nll"] = float(found["nll"])
    return out


def interval_score(low: np.ndarray, high: np.ndarray, target: np.ndarray) -> float:
    """Mean width and 2 / α times what targets lie outside (Gneiting & Raftery 2007), the smaller the better."""
    outside = np.maximum(low - target, 0) + np.maximum(target - high, 0)
    return float(np.mean(high - low + 2 / (1 - COVERAGE) * outside))


def expected_calibration_error(confidence: np.ndarray, right: np.ndarray) -> float:
    """Σ over bins of equal width of (share of rows) · |mean confidence - share that came true|."""
    place = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gap = np.bincount(place, confidence - right, BINS)
    return float(np.abs(gap).sum() / len(confidence))


def calibration(proba: np.ndarray, place: np.ndarray) -> dict[str, float]:
    """The expected calibration error of the likeliest class, and what perfect probabilities would show on as many rows:
    even these do not err by 0, since shares of few rows scatter."""
    confidence, random = proba.max(axis=1), np.random.default_rng(0)
    drawn = [expected_calibration_error(confidence, random.random(len(proba)) < confidence) for _ in range(200)]
    right = proba.argmax(axis=1) == place
    return {"ece": expected_calibration_error(confidence, right), "ece_of_chance": float(np.mean(drawn))}


if __name__ == "__main__":
    contender, protocol, name, number, folder = sys.argv[1:]
    table, train, test = parts_of(protocol, name, int(number), Path(folder))
    print(json.dumps(judged(table, train, test, CONTENDERS[contender](table, train, test))))
