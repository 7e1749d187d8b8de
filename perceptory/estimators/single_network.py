"""One network: `NetworkRegressor` and `NetworkClassifier`."""

from __future__ import annotations

import hashlib
import pickle
import warnings
from typing import Any, ClassVar

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.callback import with_callbacks
from sklearn.exceptions import ConvergenceWarning

from perceptory.estimators.base import ClassMixin, IntervalMixin, TableEstimator, share_of
from perceptory.estimators.history import HistoryMixin
from perceptory.estimators.progress import wants_each, watcher
from perceptory.estimators.tables import stacked
from perceptory.estimators.targets import Targets
from perceptory.estimators.translation import BATCH, network_of, optimizer_of, penalty_of
from perceptory.objectives.table import LabelCrossEntropy
from perceptory.studies.one_network import Trained, train_further
from perceptory.studies.study import Study

LEAST = 8  # rows (by weight) below which none is set aside for validation


class SingleNetwork(HistoryMixin, TableEstimator):
    """Base of the estimators that train one network."""

    _fitted_attributes: ClassVar[tuple[str, ...]] = (
        "n_features_in_", "feature_names_in_", "n_iter_", "best_epoch_", "n_outputs_", "classes_", "status_",
        "_flat_target", "_labels", "_costs", "_rows_seen", "_class_rows_seen",
    )  # fmt: skip

    # --- what is asked ------------------------------------------------------------------------------------------

    def _network(self) -> Any:
        return network_of(self.hidden, self.activation, self.dropout)

    def _study(self, precision: str | None, labels: bool, rows: float) -> Study:
        return Study(
            self._network(),
            cost=LabelCrossEntropy() if labels and self.cost is None else self.cost,
            optimizer=optimizer_of(self.optimizer, self.learning_rate),
            penalty=penalty_of(self.penalty, rows),
            epochs=self.epochs,
            patience=0 if self.patience is None else self.patience,
            batch_size=BATCH if self.batch_size == "auto" else self.batch_size,
            precision=precision,
            seed=self._seed(),
        )

    # --- fit ----------------------------------------------------------------------------------------------------

    @with_callbacks
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Any:
        """Train on X [row, column] and y.

        A share `validation_fraction` of the rows decides when to stop and which epoch's weights are kept; X_val, y_val
        (and sample_weight_val) instead of it, where given. Without either all rows train for all epochs. sample_weight:
        a row of weight 2 counts as two rows. With warm_start=True training goes on from the weights of the last fit.
        """
        start = self._start() if self.warm_start else None
        held = (X_val, y_val, sample_weight_val) if X_val is not None else share_of(self.validation_fraction)
        return self._train(X, y, sample_weight, held=held, start=start, epochs=self.epochs)

    @with_callbacks
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """One more epoch on these rows, from the weights, scaling and optimizer that there are; no validation."""
        return self._train(X, y, sample_weight, held=0.0, start=self._start(), epochs=1)

    def _start(self) -> Any:
        return getattr(self, "_trained", None) or getattr(self, "model_", None)

    def _train(
        self, X: Any, y: Any, sample_weight: Any, *, held: Any, start: Any, epochs: int, known: Any = None
    ) -> Any:
        """held: a share of the rows for validation, or (X, y, sample_weight) of other rows."""
        context = self._init_callback_context(max_subtasks=epochs)
        fit_data = {"X": X, "y": y, "metadata": None if sample_weight is None else {"sample_weight": sample_weight}}
        context.call_on_fit_task_begin(estimator=self, **fit_data)
        inputs, targets, weights, _ = self._rows(X, y, sample_weight, reset=start is None, known=known)
        count = len(targets.values)
        if isinstance(held, tuple):
            own, more, w_own, _ = self._rows(*held, reset=False, known=targets.classes, trained_on=False)
            if weights is not None or w_own is not None:
                parts = ((weights, count), (w_own, len(more.values)))
                weights = np.concatenate([np.ones(n) if w is None else w for w, n in parts])
            inputs, held = stacked(inputs, own), np.arange(count, count + len(more.values))
            targets.values = np.concatenate([targets.values, more.values])
        elif held == 0 or (count if weights is None else weights.sum()) < LEAST:
            held = None
        with self._in_own_words():
            study = self._study(self._precision(inputs), targets.labels, self._rows_seen)
        self._flat_target, self._labels = targets.flat, targets.labels
        if targets.classes is not None:
            self.classes_ = targets.classes
        with self._in_own_words():
            trained = train_further(
                study,
                self._dataset(inputs, targets, weights),
                validation=held,
                start=start,
                epochs=epochs,
                watch=watcher(self, context, epochs, fit_data),
                each=wants_each(self),
                constant=True,
            )
        self._keep(trained, continued=start is not None)
        context.call_on_fit_task_end(
            estimator=self, reconstruction_attributes=lambda: {"model_": self.model_}, **fit_data
        )
        return self

    def _count(self, inputs: Any, targets: Targets, weights: np.ndarray | None, *, reset: bool) -> None:
        """Add to the rows, and rows of each class, that were trained on in all calls; rows that come again, as in
        several passes over the same parts of the data, count once."""
        if reset or not hasattr(self, "_rows_seen"):
            self._rows_seen, self._class_rows_seen = 0.0, None
            self._calls_seen: set[bytes] = set()
        content = pickle.dumps((inputs, targets.values, weights), protocol=5)  # a digest of it, never read back
        call = hashlib.blake2b(content, digest_size=16).digest()
        calls = self.__dict__.setdefault("_calls_seen", set())  # a file does not keep it
        if call in calls:
            return
        calls.add(call)
        # Weights that are numbers of copies count as such, and those of another scale change nothing.
        count = len(targets.values)
        self._rows_seen += float(count if weights is None else max(count, weights.sum()))
        if targets.task != "regression" and targets.classes is not None:
            more = np.bincount(targets.values, weights, minlength=len(targets.classes)).astype(float)
            self._class_rows_seen = more if self._class_rows_seen is None else self._class_rows_seen + more

    def _keep(self, trained: Trained, continued: bool) -> None:
        self._keep_model(trained.model)
        self._trained = trained
        costs = np.stack([trained.train_cost, trained.validation_cost], axis=1)
        self._costs = np.concatenate([self._costs, costs]) if continued and hasattr(self, "_costs") else costs
        self.n_iter_ = len(self._costs)
        self.best_epoch_ = trained.best_epoch
        self.status_ = trained.status
        if trained.status == "diverged":
            warnings.warn(
                f"Training diverged after {trained.epochs} epochs; the weights are those of the best epoch before."
                " Use a smaller learning rate, or scale inputs and targets that are extreme.",
                ConvergenceWarning,
                stacklevel=4,
            )
        self.n_outputs_ = int(trained.model.outputs[-1])


class NetworkRegressor(IntervalMixin, RegressorMixin, SingleNetwork):
    """A neural network for regression, as scikit-learn's estimators are.

    hidden: widths of the hidden layers, or a network spec such as `MLP((64,), norm="layer")` or `RBFNetwork(20)`.
    activation: name of the hidden layers' function. dropout: probability that a hidden unit is dropped in training.
    optimizer: "adam", "momentum", "sgd", ... or a spec such as `AdamW(1e-2)`; learning_rate goes with a name.
    penalty: strength of an L2 penalty on the weights, or a `WeightPenalty`; "auto" is 4 / rows, where
    rows of all calls of `partial_fit` and of a warm start count. cost: a cost spec, such
    as `Quantile((0.1, 0.9))`; None is squared error. batch_size: rows a step; "auto" is 200.
    epochs: most epochs. patience: epochs without a better validation cost before training stops; the best epoch's
    weights are kept. validation_fraction: share of the rows set aside for that; 0 trains on all rows for all epochs.
    precision: "single", "double", or "auto": single for float32 inputs, else double, as in scikit-learn.
    random_state, warm_start, verbose: as in scikit-learn. Names of MLPRegressor that mean the same are taken too
    (hidden_layer_sizes, max_iter, learning_rate_init, n_iter_no_change, solver).

    After `fit`: model_ (a perceptory `Model`), network_, coefs_, intercepts_, n_iter_, best_epoch_, status_
    ("finished" | "stopped" | "diverged"), loss_curve_, validation_curve_, history_, n_features_in_, feature_names_in_,
    n_outputs_. Inputs and targets are scaled within: no StandardScaler is needed.
    """

    def __init__(
        self,
        hidden: Any = (100,),
        activation: Any = "relu",
        *,
        dropout: Any = 0.0,
        optimizer: Any = "adam",
        learning_rate: Any = 3e-3,
        penalty: Any = "auto",
        cost: Any = None,
        batch_size: Any = "auto",
        epochs: int = 300,
        patience: int = 30,
        validation_fraction: float = 0.1,
        precision: str = "auto",
        random_state: Any = None,
        warm_start: bool = False,
        verbose: int = 0,
        **familiar: Any,
    ):
        self._store(locals(), familiar)


class NetworkClassifier(ClassMixin, ClassifierMixin, SingleNetwork):
    """A neural network for classification, as scikit-learn's estimators are: two or more classes, or several labels.

    class_weight: None, "balanced" or a dict, as in scikit-learn; it multiplies the sample weights, and "balanced" goes
    by the rows of all calls of `partial_fit`. y [row, label] of 0 and 1 is multi-label: each label has a probability of
    its own. By default all rows train for all epochs, held back by the penalty, as few rows make a validation share
    costly; validation_fraction=0.1 stops early. The other arguments and attributes are those of `NetworkRegressor`, and
    classes_.
    """

    def __init__(
        self,
        hidden: Any = (100,),
        activation: Any = "relu",
        *,
        dropout: Any = 0.0,
        optimizer: Any = "adam",
        learning_rate: Any = 3e-3,
        penalty: Any = "auto",
        cost: Any = None,
        class_weight: Any = None,
        batch_size: Any = "auto",
        epochs: int = 300,
        patience: int = 30,
        validation_fraction: float = 0.0,
        precision: str = "auto",
        random_state: Any = None,
        warm_start: bool = False,
        verbose: int = 0,
        **familiar: Any,
    ):
        self._store(locals(), familiar)

    @with_callbacks
    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Any:
        """One more epoch on these rows, from the weights, scaling and optimizer that there are; no validation.

        classes: all labels that there will be; needed in the first call where y lacks some.
        """
        return self._train(X, y, sample_weight, held=0.0, start=self._start(), epochs=1, known=classes)
