"""Synthetic results, as a study would hand them over, made without training anything."""

from __future__ import annotations

import numpy as np
import pytest

from perceptory.notes import identifier, not_an_input
from perceptory.results.data_facts import DataFacts
from perceptory.results.predictions import Predictions
from perceptory.results.result_data import CandidateResult, MemberResult
from perceptory.runs.result import Result

LABELS = [
    "MLP 32-32 tanh, Adam 0.01, penalty 0.0001",
    "MLP 64-64 relu, Adam 0.01",
    "MLP 32-32 tanh, Adam 0.001",
    "MLP 16 tanh, Adam 0.01",
    "MLP 64-64 relu, Adam 0.001",
    "MLP 16 tanh, Adam 0.001",
    "MLP 8 sigmoid, gradient descent 0.1, momentum 0.9",
    "MLP 128-128-128 relu, gradient descent 10",
]


def _members(rng, id, score, seeds, folds, epochs, diverged, direction):
    members = []
    for seed in range(seeds):
        for fold in range(folds):
            length = int(rng.integers(epochs // 2, epochs + 1)) if not diverged else 12
            t = np.arange(1, length + 1)
            train = 0.03 + 0.9 * np.exp(-t / 25) + 0.15 / np.sqrt(t) + 0.003 * rng.standard_normal(length)
            level = 0.07 * rng.uniform(0.8, 1.3)
            validation = train + level + 2e-4 * t + 0.006 * rng.standard_normal(length)
            if diverged:
                train, validation = train * 10 ** (t / 3.0), validation * 10 ** (t / 3.0)
                train[-1] = validation[-1] = np.nan
            best = int(np.nanargmin(validation)) + 1
            status = "diverged" if diverged else "finished" if length == epochs else "stopped"
            one = score * rng.uniform(0.93, 1.07) if direction == "min" else 1 - (1 - score) * rng.uniform(0.6, 1.4)
            worse = 0.78 if direction == "min" else 1.012
            members.append(
                MemberResult(id, fold, seed, status, length, best, np.nan if diverged else one,
                             np.nan if diverged else min(one * worse, 1.0 if direction == "max" else np.inf),
                             train, validation)
            )  # fmt: skip
    return members


def build_result(
    task="regression", *, targets=("strength",), classes=None, rows=700, test_rows=150, candidates=8, folds=5, seeds=2,
    epochs=200, columns=9, seed=0, opened=True, last_diverges=True,
):  # fmt: skip
    """A `Result` with plausible numbers. The last candidate diverges in all its members unless told otherwise."""
    rng = np.random.default_rng(seed)
    direction, base = ("min", 5.1) if task == "regression" else ("max", 0.962)
    name = "rmse" if task == "regression" else "accuracy"
    ranked, members = [], []
    for k in range(candidates):
        lost = last_diverges and k == candidates - 1 and candidates > 1
        score = base * (1 + 0.07 * k + 0.05 * (k > 4)) if direction == "min" else base - 0.011 * k
        own = _members(rng, f"c{k}", score, seeds, folds, epochs, lost, direction)
        members += own
        scores = np.array([m.score for m in own])
        per_fold = [float(np.mean([m.score for m in own if m.fold == f])) for f in range(folds)]
        ranked.append(
            CandidateResult(
                id=f"c{k}",
                label=LABELS[k % len(LABELS)] + (f", variant {k // len(LABELS)}" if k >= len(LABELS) else ""),
                spec={"kind": "Candidate", "network": {"kind": "MLP", "hidden": [32, 32], "activation": "tanh"},
                      "optimizer": {"kind": "Adam", "learning_rate": 0.01}},
                weights=1377 + 100 * k, mean=float(np.mean(scores)), spread=float(np.std(scores)), per_fold=per_fold,
                train=float(np.mean([m.train_score for m in own])),
                best_epoch=float(np.mean([m.best_epoch for m in own])),
                status="diverged" if lost else "ok", seconds=3.1 + k,
            )
        )  # fmt: skip
    part = np.array(["validation"] * (rows - test_rows) + ["test"] * (test_rows if opened else 0))
    n = len(part)
    if task == "regression":
        target = rng.gamma(5, 7, (n, len(targets))) + np.arange(len(targets)) * 100
        output = target + rng.standard_normal(target.shape) * 4.8
    else:
        k = len(classes)
        target = rng.integers(0, k, n)
        logits = rng.standard_normal((n, k)) * 1.1
        logits[np.arange(n), target] += 3.4
        output = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    order = rng.permutation(n)
    predictions = Predictions(order, part, target, output)
    return Result(
        study={
            "networks": [{"kind": "MLP", "hidden": [32, 32], "activation": "tanh", "dropout": 0.0},
                         {"kind": "MLP", "hidden": [64, 64], "activation": "relu", "dropout": 0.0}],
            "optimizer": {"kind": "Adam", "learning_rate": {"kind": "Choice", "values": [0.001, 0.01]}},
            "penalty": {"kind": "WeightPenalty", "strength": {"kind": "Choice", "values": [0, 0.0001]}, "p": 2},
            "validation": {"kind": "KFold", "folds": folds}, "seeds": seeds, "epochs": epochs, "patience": 30,
            "batch_size": 32, "seed": 0, "final": "folds",
        },
        task=task, targets=list(targets), classes=list(classes) if classes else None,
        score={"name": name, "direction": direction}, best="c0", rule="smallest mean validation RMSE"
        if direction == "min" else "largest mean validation accuracy", candidates=ranked, members=members,
        train=_metrics(task, predictions, "validation", 0.8), validation=_metrics(task, predictions, "validation", 1.0),
        tested=_metrics(task, predictions, "test", 1.0) if opened and test_rows else None, predictions=predictions,
        data=DataFacts(
            rows=rows, study_rows=rows - test_rows, test_rows=test_rows,
            columns=tuple({"name": f"column {i}", "kind": "categorical" if i % 4 == 3 else "number",
                         "made": "one-hot, 5 columns" if i % 4 == 3 else "scaled to mean 0, deviation 1",
                         "note": "12 missing values, median put in" if i == 2 else ""} for i in range(columns)),
            notes=(not_an_input("id", identifier("every value differs")),),
        ),
        environment={"perceptory": "0.1.0", "jax": "0.10.1", "python": "3.11.9", "devices": ["cpu:0", "cpu:1"],
                     "precision": "float32", "platform": "Linux-6.1"},
        seconds=48.3, folder="concrete-run",
    )  # fmt: skip


def _metrics(task, predictions, part, shrink):
    rows = predictions.part == part
    target, output = predictions.target[rows], predictions.output[rows]
    if task == "regression":
        mse = ((target - output) ** 2).mean(axis=0) * shrink**2
        r2 = 1 - mse / target.var(axis=0)
        table = {"mse": mse, "rmse": np.sqrt(mse), "mae": np.abs(target - output).mean(axis=0) * shrink, "r2": r2,
                 "vaf": 100 * r2}  # fmt: skip
        return {k: v.tolist() if len(v) > 1 else float(v[0]) for k, v in table.items()}
    chosen = output[np.arange(len(target)), target]
    return {"accuracy": float((output.argmax(axis=1) == target).mean()),
            "log_loss": float(-np.log(chosen).mean() * shrink), "auc": 0.991}  # fmt: skip


@pytest.fixture
def make_result():
    """The builder itself, for tests that need another shape."""
    return build_result


@pytest.fixture(scope="session")
def regression_result():
    return build_result()


@pytest.fixture(scope="session")
def two_target_result():
    return build_result(targets=("strength", "slump"))


@pytest.fixture(scope="session")
def binary_result():
    return build_result("binary", targets=("diagnosis",), classes=("benign", "malignant"))


@pytest.fixture(scope="session")
def multiclass_result():
    return build_result("multiclass", targets=("species",), classes=("setosa", "versicolor", "virginica"))
