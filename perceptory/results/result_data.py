"""What a study came to: candidates ranked, members with their histories, metrics, predictions, the final model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from perceptory.errors import InputError
from perceptory.models.ensemble import ErrorDecomposition
from perceptory.models.importance import Importance
from perceptory.results.data_facts import DataFacts
from perceptory.results.mixture import MixtureResult
from perceptory.results.nested import NestedResult
from perceptory.results.predictions import Predictions
from perceptory.results.reconstructions import Reconstructions
from perceptory.results.shown_forecasts import ShownForecasts
from perceptory.wording import count_of


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
    status: str  # "ok" | "partly diverged" | "diverged" | "discarded", whose scores are those of its last epochs
    seconds: float  # its share of the training time


@dataclass
class MemberResult:
    """One training run. `train_cost` and `validation_cost` are [epoch], on the scale that is trained on."""

    candidate: str
    fold: int
    seed: int
    status: (
        str  # "finished" (all epochs) | "stopped" (patience ran out) | "diverged" | "discarded" (with its candidate)
    )
    epochs: int  # epochs trained
    best_epoch: int  # counted from 1; 0 where no epoch was finite
    score: float  # validation score in the score's own units
    train_score: float
    train_cost: np.ndarray
    validation_cost: np.ndarray
    facts: dict[str, float] = field(default_factory=dict)  # of Bayesian regularization: effective_weights, alpha, beta
    # Name of an auxiliary objective -> [2, epoch] its training and validation cost, on the scale that is trained on.
    auxiliary: dict[str, np.ndarray] = field(default_factory=dict)


@dataclass(repr=False)
class ResultData:
    """The outcome of a study as data: what reports and figures read, and what a run folder holds."""

    study: dict[str, Any]  # what was asked, as JSON data
    task: str  # "regression" | "binary" | "multiclass" | "autoencode"
    targets: list[str]  # names of the target columns; of autoencoders, of what errors are told apart by
    classes: list[str] | None  # names of the classes, None where there are none
    score: dict[str, str]  # {"name": "rmse", "direction": "min" | "max"}
    best: str  # id of the chosen candidate
    rule: str  # why it was chosen, in words
    candidates: list[CandidateResult]  # best first
    members: list[MemberResult]
    train: dict[str, Any]  # metric name -> number, or list for several targets
    validation: dict[str, Any]
    tested: dict[str, Any] | None  # metrics on the sealed rows; None until they have been opened
    predictions: Predictions
    data: DataFacts
    environment: dict[str, Any]
    seconds: float
    ensemble: tuple[ErrorDecomposition, ...] = ()  # of the sealed rows, one a target: what the mean of networks gains
    reconstructions: Reconstructions | None = None  # of autoencoders: what the report shows
    forecasts: ShownForecasts | None = None  # of forecasts: what the report shows
    importance: Importance | None = None  # of the sealed rows: which columns the final model rests on
    mixture: MixtureResult | None = None  # where the final model weighs several candidates
    nested: NestedResult | None = None  # where validation is nested: what the whole procedure errs
    model: Any = None  # the final `Model`; None where the result was read from a run folder
    folder: str | None = None  # where it is written
    fingerprint: str = ""

    def candidate(self, id: str) -> CandidateResult:
        """The candidate of that id. Raises `InputError` for another one."""
        for c in self.candidates:
            if c.id == id:
                return c
        raise InputError(f"no candidate {id!r}. Known: {', '.join(c.id for c in self.candidates)}.")

    @property
    def shares(self) -> dict[str, float]:
        """What each candidate counts in the final model, by id: of one candidate {its id: 1}."""
        return {self.best: 1.0} if self.mixture is None else self.mixture.shares

    @property
    def label(self) -> str:
        """The final model in a few words: the chosen candidate's label, or how many candidates are weighed."""
        if len(self.shares) == 1:
            return self.candidate(next(iter(self.shares))).label
        return f"a weighted mean of {len(self.shares)} candidates"

    @property
    def estimate(self) -> CandidateResult | MixtureResult:
        """What validation promises of the final model: `mean`, `spread` and `per_fold` of its score."""
        return self.candidate(self.best) if self.mixture is None else self.mixture

    def __repr__(self) -> str:
        data, name = self.data, self.score["name"]
        scores = [f"{name} {self.estimate.mean:.4g} on validation"]
        if self.nested is not None:
            scores.append(f"{self.nested.mean:.4g} ± {self.nested.spread:.2g} nested")
        if self.tested is not None and isinstance(self.tested.get(name), int | float):
            scores.append(f"{self.tested[name]:.4g} on test")
        sealed = f", {data.test_rows} {'sealed' if self.tested is None else 'for the test'}" if data.test_rows else ""
        return (
            f"{type(self).__name__}: {count_of(len(self.candidates), 'candidate')}, "
            f"{count_of(len(self.members), 'network')}\n"
            f"  chosen {', '.join(self.shares)}: {self.label}\n"
            f"  {', '.join(scores)}\n"
            f"  {data.rows} rows: {data.study_rows} for the study{sealed}"
        )
