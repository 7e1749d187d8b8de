"""What a study found: candidates ranked, members with their histories, metrics, predictions, the final model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from perceptory.errors import InputError

FORMAT = 1


@dataclass
class CandidateResult:
    """One candidate after training. Scores are in the score's own units; lists hold one number a fold."""

    id: str
    label: str  # short and readable: "MLP 32-32 tanh, Adam 0.01"
    spec: dict[str, Any]  # JSON data of the candidate
    weights: int  # trainable numbers of one network
    mean: float  # validation score, mean over folds and seeds; nan where every member diverged
    spread: float  # standard deviation over folds and seeds
    per_fold: list[float]  # mean over seeds, in the order of the folds
    train: float  # training score, mean over folds and seeds
    best_epoch: float  # mean over members
    status: str  # "ok" | "partly diverged" | "diverged"
    seconds: float  # its share of the training time


@dataclass
class MemberResult:
    """One training run. `train_cost` and `validation_cost` are [epoch], on the scale that is trained on."""

    candidate: str
    fold: int
    seed: int
    status: str  # "finished" (all epochs) | "stopped" (patience ran out) | "diverged"
    epochs: int  # epochs trained
    best_epoch: int  # counted from 1; 0 where no epoch was finite
    score: float  # validation score in the score's own units
    train_score: float
    train_cost: np.ndarray
    validation_cost: np.ndarray
    facts: dict[str, float] = field(default_factory=dict)  # of Bayesian regularization: effective_weights, alpha, beta


@dataclass
class Predictions:
    """Target and prediction of every row of a table, in the target's own units, in the order of `row`.

    For validation every study row is predicted by the best candidate's members that did not train on it (mean over
    them); for test by the final model.
    """

    row: np.ndarray  # [row] place in the table that was given, from 0
    part: np.ndarray  # [row] "validation" | "test"
    target: np.ndarray  # [row, out] numbers; for classification [row] class index
    output: np.ndarray  # [row, out] numbers; for classification [row, class] probabilities
    step: np.ndarray | None = None  # [row] of sequences with a target a step: which step, from 0

    def __add__(self, other: Predictions) -> Predictions:
        """These and the others after them."""
        names = [name for name in vars(self) if getattr(self, name) is not None]
        return Predictions(**{name: np.concatenate([getattr(self, name), getattr(other, name)]) for name in names})


@dataclass
class Result:
    """The whole outcome of a study."""

    study: dict[str, Any]  # what was asked, as JSON data
    task: str  # "regression" | "binary" | "multiclass"
    targets: list[str]  # names of the target columns
    classes: list[str] | None  # names of the classes, None for regression
    score: dict[str, str]  # {"name": "rmse", "direction": "min" | "max"}
    best: str  # id of the chosen candidate
    rule: str  # why it was chosen, in words
    candidates: list[CandidateResult]  # best first
    members: list[MemberResult]
    train: dict[str, Any]  # metric name -> number, or list for several targets
    validation: dict[str, Any]
    tested: dict[str, Any] | None  # metrics on the sealed rows; None until Result.test()
    predictions: Predictions
    data: dict[
        str, Any
    ]  # {"rows": n, "study_rows": n, "test_rows": n, "columns": [{"name","kind","made","note"}], "notes": []}
    environment: dict[str, Any]
    seconds: float
    model: Any = None
    folder: str | None = None
    fingerprint: str = ""
    _sealed: Callable[[], tuple[dict[str, Any], Predictions]] | None = field(default=None, repr=False)

    def candidate(self, id: str) -> CandidateResult:
        for c in self.candidates:
            if c.id == id:
                return c
        raise InputError(f"no candidate {id!r}. Known: {', '.join(c.id for c in self.candidates)}.")

    def test(self) -> dict[str, Any] | None:
        """Open the sealed test rows, once, and record their metrics; later calls return the recorded numbers.

        None where no row was sealed. With a run folder, its files are written anew with the test numbers in them.
        """
        if self.tested is None and self._sealed is not None:
            self.tested, opened = self._sealed()
            self._sealed = None
            self.predictions = self.predictions + opened
            if self.folder is not None:
                self._write(self.folder)
        return self.tested

    def save(self, folder: str | Path, *, overwrite: bool = False) -> None:
        """Write the run folder (study.json, result.json, history.parquet, model.safetensors, predictions.csv,
        report.html). A folder that holds a run is refused unless `overwrite`."""
        from perceptory.runs.run_folder import RunFolder

        store = RunFolder(folder)
        store.prepare(resume=False, overwrite=overwrite)
        store.begin(self.study, self.fingerprint, resume=False, overwrite=overwrite)
        self._write(folder)

    def _write(self, folder: str | Path) -> None:
        from perceptory.runs.run_folder import RunFolder

        RunFolder(folder).complete(self)

    def summary(self) -> str:
        """The result in plain text."""
        from perceptory.reports.summary import summary

        return summary(self)
