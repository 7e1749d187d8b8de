"""A whole study inside `fit`: `NetworkRegressorCV` and `NetworkClassifierCV`, as LassoCV is to Lasso."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.callback import with_callbacks
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import check_cv

from perceptory.errors import InputError
from perceptory.estimators import values
from perceptory.estimators.base import ClassMixin, IntervalMixin, TableEstimator
from perceptory.estimators.history import frame_of
from perceptory.estimators.progress import study_progress
from perceptory.estimators.targets import Targets
from perceptory.estimators.translation import BATCH, activation_of, networks_of, optimizer_of, penalty_of, searched
from perceptory.networks.tabular import TabularMLP
from perceptory.objectives.penalties import WeightPenalty
from perceptory.objectives.table import LabelCrossEntropy
from perceptory.selection.base import ValidationPlan
from perceptory.selection.plans import GroupKFold, KFold, Splitter, StratifiedKFold, default_plan
from perceptory.selection.search import choice
from perceptory.studies.run import run
from perceptory.studies.study import Study
from perceptory.studies.usual import default_study

SCORES = {
    "neg_root_mean_squared_error": "rmse",
    "neg_mean_squared_error": "mse",
    "neg_mean_absolute_error": "mae",
    "neg_log_loss": "log_loss",
    "roc_auc": "auc",
}


# What stands where `hidden` is given and the rest is not.
PLAIN: dict[str, Any] = {
    "penalty": WeightPenalty(choice(1e-3, 1e-2, 1e-1)),
    "epochs": 300,
    "patience": 30,
    "batch_size": BATCH,
}


class _Given:
    """Folds that stand already; `Splitter` takes them."""

    def __init__(self, folds: list[tuple[np.ndarray, np.ndarray]]):
        self.folds = folds

    def __repr__(self) -> str:
        return f"{len(self.folds)} given folds"

    def split(self, X: Any, y: Any = None, groups: Any = None) -> list[tuple[np.ndarray, np.ndarray]]:
        return self.folds


class StudyEstimator(TableEstimator):
    """Base of the estimators that run a study."""

    _fitted_attributes: ClassVar[tuple[str, ...]] = (
        "n_features_in_", "feature_names_in_", "n_outputs_", "classes_", "best_score_", "best_label_", "_flat_target",
        "_labels",
    )  # fmt: skip

    def _study(self, precision: str | None, labels: bool, plan: Any, dataset: Any) -> Study:
        asked: dict[str, Any] = {
            "cost": LabelCrossEntropy() if labels and self.cost is None else self.cost,
            "validation": plan,
            "samples": self.n_candidates,
            "test": 0.0,
            "score": SCORES.get(self.scoring, self.scoring),
            "rule": self.rule,
            "precision": precision,
            "seed": self._seed(),
        }
        asked |= {"seeds": self.seeds} if self.seeds is not None else {}
        asked |= {"final": self.final} if self.final is not None else {}
        asked |= {"discard": self.discard} if self.discard is not None else {}
        own = dict(self._own_settings())
        if self.hidden is not None:
            return Study(**{**PLAIN, **asked, **own})
        return default_study(dataset, **asked, **own)

    def _own_settings(self) -> Iterator[tuple[str, Any]]:
        """What is said of networks and their training; of what is left out the study's own defaults, or, without
        `hidden`, those of the preset."""
        rate, preset = searched(self.learning_rate), self.hidden is None
        if not preset:
            activation = "relu" if self.activation is None else self.activation
            yield "networks", networks_of(self.hidden, activation, 0.0 if self.dropout is None else self.dropout)
        elif self.activation is not None or self.dropout is not None:
            yield "networks", [TabularMLP(**dict(self._unit_settings()))]
        if not preset or self.optimizer is not None or rate is not None:
            named = "adam" if self.optimizer is None else self.optimizer
            yield "optimizer", optimizer_of(named, 3e-3 if rate is None else rate)
        if self.penalty != "auto":
            yield "penalty", penalty_of(searched(self.penalty))
        if self.epochs is not None:
            yield "epochs", self.epochs
        if self.patience != "auto":
            yield "patience", 0 if self.patience is None else self.patience
        if self.batch_size != "auto":
            yield "batch_size", searched(self.batch_size)

    def _unit_settings(self) -> Iterator[tuple[str, Any]]:
        if self.activation is not None:
            yield "activation", searched(activation_of(self.activation))
        if self.dropout is not None:
            yield "dropout", searched(self.dropout)

    @with_callbacks
    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, groups: Any = None) -> Any:
        """Train every candidate on every fold, choose by the validation score, keep the final model.

        sample_weight: a row of weight 2 counts as two rows. groups: [row], equal for rows that stay together.
        """
        return self._run(X, y, sample_weight, groups)

    def _run(self, X: Any, y: Any, sample_weight: Any, groups: Any) -> Any:
        context = self._init_callback_context(max_subtasks=None)
        column, groups = (None, None) if groups is None else values.groups(groups)
        metadata = {n: v for n, v in (("sample_weight", sample_weight), ("groups", groups)) if v is not None}
        fit_data = {"X": X, "y": y, "metadata": metadata or None}
        context.call_on_fit_task_begin(estimator=self, **fit_data)
        inputs, targets, weights, has_weight = self._rows(X, y, sample_weight, reset=True, known=None, groups=column)
        plan = self._plan(X, y, groups, targets, has_weight)
        dataset = self._dataset(inputs, targets, weights, None if groups is None else groups[has_weight])
        with self._in_own_words():
            study = self._study(self._precision(inputs), targets.labels, plan, dataset)
        self._flat_target, self._labels = targets.flat, targets.labels
        if targets.classes is not None:
            self.classes_ = targets.classes
        with self._in_own_words():
            result = run(study, dataset, progress=study_progress(self, context, fit_data), padded=True)
        self.result_ = result
        self._keep_model(result.model)
        chosen = [m.status for m in result.members if m.candidate == result.best]
        if "diverged" in chosen:
            warnings.warn(
                f"{chosen.count('diverged')} of the {len(chosen)} networks of the chosen candidate diverged. Use a"
                " smaller learning rate, or scale inputs and targets that are extreme.",
                ConvergenceWarning,
                stacklevel=3,
            )
        self.best_score_, self.best_label_ = result.estimate.mean, result.label
        self.n_outputs_ = int(result.model.outputs[-1])
        context.call_on_fit_task_end(
            estimator=self, reconstruction_attributes=lambda: {"model_": self.model_}, **fit_data
        )
        return self

    def _plan(self, X: Any, y: Any, groups: Any, targets: Targets, has_weight: np.ndarray) -> Any:
        """The validation plan, for the rows that have a weight above 0."""
        if isinstance(self.cv, ValidationPlan):
            return self.cv
        classes = targets.values if targets.task in ("binary", "multiclass") else None
        if groups is not None and (self.cv is None or isinstance(self.cv, int)):
            return (
                GroupKFold(self.cv)
                if self.cv is not None
                else default_plan(targets.task, len(targets.values), groups[has_weight])
            )
        if groups is None and (self.cv is None or isinstance(self.cv, int)):
            count = len(targets.values)
            plan = default_plan(targets.task, count, None, classes)
            if isinstance(self.cv, int):
                plan = KFold(self.cv) if classes is None else StratifiedKFold(self.cv)
            least = count if classes is None else int(np.bincount(classes)[np.unique(classes)].min())
            folds = getattr(plan, "folds", None)
            if folds is not None and isinstance(plan, StratifiedKFold) and least < folds:
                plan = KFold(folds)  # a class of few rows cannot be in every fold
            if folds is not None and count < folds:
                raise InputError(
                    f"{folds} folds need at least {folds} rows, got n_samples = {count}. Use a smaller cv."
                )
            return plan
        place = np.full(len(has_weight), -1)
        place[has_weight] = np.arange(has_weight.sum())
        splitter = check_cv(5 if self.cv is None else self.cv, y, classifier=classes is not None)
        folds = [[place[rows][place[rows] >= 0] for rows in fold] for fold in splitter.split(X, y, groups)]
        return Splitter(_Given([(train, held) for train, held in folds]))

    @property
    def candidates_(self) -> Any:
        """A frame of all candidates, best first: id, label, mean and spread of the validation score, train, status."""
        names = ("id", "label", "mean", "spread", "train", "best_epoch", "weights", "status", "seconds")
        return frame_of({name: [getattr(c, name) for c in self.result_.candidates] for name in names})

    @property
    def history_(self) -> Any:
        """A tidy frame with a row a network and epoch: candidate, fold, seed, epoch (from 1), train_cost,
        validation_cost."""
        members = self.result_.members
        epochs = [len(m.train_cost) for m in members]

        def each(name: str) -> np.ndarray:
            return np.repeat([getattr(m, name) for m in members], epochs)

        columns = {name: each(name) for name in ("candidate", "fold", "seed")}
        columns["epoch"] = np.concatenate([np.arange(1, n + 1) for n in epochs])
        for name in ("train_cost", "validation_cost"):
            columns[name] = np.concatenate([getattr(m, name) for m in members]).astype(float)
        return frame_of(columns)

    @property
    def best_epoch_(self) -> float:
        """Mean over the folds of the chosen candidate's best epoch."""
        return self.result_.candidate(self.result_.best).best_epoch


class NetworkRegressorCV(IntervalMixin, RegressorMixin, StudyEstimator):
    """A study of networks for regression inside `fit`: candidates trained on every fold, the best one kept.

    hidden: None, what `perceptory fit` does without options (`default_study`): networks for tables, their training and
    ensemble by the number of rows. Else widths, a list of widths and of network specs, as in `NetworkRegressor`.
    activation, dropout, learning_rate, penalty, batch_size: as there; a list is a choice to search, and so is a search
    value such as `log_uniform(1e-4, 1e-1)`. Of what is left out the preset decides, or with `hidden` given it is relu,
    no dropout, Adam at 3e-3, penalties of 1e-3, 1e-2 and 1e-1, 300 epochs and a patience of 30.
    n_candidates: how many are drawn; None is all of a grid.
    cv: folds, a scikit-learn splitter, pairs of row numbers, or a validation plan such as `Nested`; None chooses by the
    number of rows. With groups, folds are of whole groups. scoring: what candidates are ranked by ("rmse", "mae", "r2",
    or scikit-learn's names); None is rmse. seeds: networks a fold.
    rule: "best", or "one_standard_error" for the simplest within one standard error of it.
    final: "folds" predicts by the mean of the best candidate's fold networks, "refit" by one trained on all rows,
    "weighted" by a weighted mean of networks of several candidates.
    discard: `Halving()` or `DiscardAfter()` gives candidates up on the way, by their mean over all folds; None trains
    them all.

    After `fit`: model_, result_ (the whole `Result`), best_score_, best_label_, best_epoch_, candidates_, history_.
    `predict_interval` is CV+.
    """

    def __init__(
        self,
        hidden: Any = None,
        activation: Any = None,
        *,
        dropout: Any = None,
        optimizer: Any = None,
        learning_rate: Any = None,
        penalty: Any = "auto",
        cost: Any = None,
        batch_size: Any = "auto",
        epochs: int | None = None,
        patience: Any = "auto",
        cv: Any = None,
        scoring: Any = None,
        n_candidates: Any = None,
        seeds: int | None = None,
        rule: str = "best",
        final: str | None = None,
        discard: Any = None,
        precision: str = "auto",
        random_state: Any = None,
        verbose: int = 0,
        **familiar: Any,
    ):
        self._store(locals(), familiar)


class NetworkClassifierCV(ClassMixin, ClassifierMixin, StudyEstimator):
    """A study of networks for classification inside `fit`; arguments as in `NetworkRegressorCV`, and class_weight.

    scoring: "log_loss" (None), "accuracy", "auc", or scikit-learn's names.
    """

    def __init__(
        self,
        hidden: Any = None,
        activation: Any = None,
        *,
        dropout: Any = None,
        optimizer: Any = None,
        learning_rate: Any = None,
        penalty: Any = "auto",
        cost: Any = None,
        class_weight: Any = None,
        batch_size: Any = "auto",
        epochs: int | None = None,
        patience: Any = "auto",
        cv: Any = None,
        scoring: Any = None,
        n_candidates: Any = None,
        seeds: int | None = None,
        rule: str = "best",
        final: str | None = None,
        discard: Any = None,
        precision: str = "auto",
        random_state: Any = None,
        verbose: int = 0,
        **familiar: Any,
    ):
        self._store(locals(), familiar)
