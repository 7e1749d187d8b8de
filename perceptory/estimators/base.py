"""What all estimators share: arguments, input, what is told of training, predictions, files."""

from __future__ import annotations

import contextlib
import inspect
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.callback import CallbackSupportMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_consistent_length, check_is_fitted

from perceptory.data import Dataset, RawColumn
from perceptory.data.tables.beside import order_differs
from perceptory.data.tables.sources import column_of
from perceptory.errors import InputError, Setting, Written, python_words
from perceptory.estimators import values
from perceptory.estimators.files import read_estimator, write_estimator
from perceptory.estimators.tables import checked_inputs, columns_of, copies_in, encoded, encoder_for, names_of, take
from perceptory.estimators.targets import Targets, class_targets, class_weighted, number_targets
from perceptory.estimators.translation import ARGUMENTS, SAME, translated
from perceptory.models.model import Model
from perceptory.notes import NoteWarning, values_beside


def other_order(what: str) -> str:
    """The warning of values whose index is that of X in another order, which scikit-learn does not look at."""
    return (
        f"{what} has the same index as X, in another order, and rows are taken as they come. If they belong together by"
        f" their index, give {what}.reindex(X.index)."
    )


class NetworkEstimator(CallbackSupportMixin, BaseEstimator):
    """Base of the estimators. Subclasses say what `fit` trains and what their targets are."""

    # --- arguments ----------------------------------------------------------------------------------------------

    def __init_subclass__(cls, **options: Any) -> None:
        # The signature holds the arguments by their names here; the familiar ones are another way to write them.
        super().__init_subclass__(**options)
        parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]
        cls.__signature__ = inspect.Signature([p for p in parameters if p.kind != p.VAR_KEYWORD])

    def set_params(self, **params: Any) -> Any:
        """Set arguments by their names here, or by those of scikit-learn's MLP estimators."""
        own = {name: value for name, value in params.items() if name.partition("__")[0] in SAME}
        params = {name: value for name, value in params.items() if name not in own}
        return super().set_params(**params, **translated(own, self.get_params(deep=False), type(self).__name__))

    def _store(self, given: dict[str, Any], familiar: dict[str, Any]) -> None:
        """Store constructor arguments; `familiar` are those by names of `translation.SAME`, which win over defaults."""
        defaults = {n: p.default for n, p in inspect.signature(type(self)).parameters.items()}
        named = {n: v for n, v in given.items() if n in defaults}
        set_here = {n: v for n, v in named.items() if v is not defaults[n]}
        familiar = translated(familiar, named, type(self).__name__)
        for name in familiar.keys() & set_here.keys():
            raise TypeError(f"{type(self).__name__}() got two values for {name!r}")
        for name, value in {**named, **familiar}.items():
            setattr(self, name, value)

    def _door(self, setting: Setting) -> str | None:
        """A setting as an argument of this estimator, None where it has no such argument."""
        name = ARGUMENTS.get(setting.name, setting.name)
        if isinstance(setting.value, Written):  # a plan or spec of a study, which an estimator does not take
            return None
        if name not in inspect.signature(type(self)).parameters or setting.owner not in ("", "Study"):
            return None
        return python_words(Setting(name, setting.value))

    @contextlib.contextmanager
    def _in_own_words(self) -> Iterator[None]:
        """An `InputError` of what is called inside speaks of this estimator's arguments."""
        try:
            yield
        except InputError as error:
            raise InputError(error.said(self._door)) from None

    def _seed(self) -> int:
        """The study's seed from random_state; another one each time where that is None."""
        return int(check_random_state(self.random_state).randint(2**31 - 1))

    def _precision(self, inputs: Any) -> str | None:
        """A study's precision; None is single, or double where the optimizer needs it."""
        if self.precision != "auto":
            return self.precision
        return None if getattr(inputs, "dtype", None) == np.float32 else "double"

    # --- input --------------------------------------------------------------------------------------------------

    def _inputs(self, X: Any, *, reset: bool = False) -> Any:
        return checked_inputs(self, X, reset=reset)

    def _encoded(self, X: Any) -> tuple[np.ndarray, np.ndarray | None]:
        """Inputs of the networks for X, and lengths of series."""
        return encoded(self.model_.encoder, self._inputs(X)), None

    def _weights(self, sample_weight: Any, count: int) -> np.ndarray | None:
        sample_weight = values.weights(sample_weight)
        if sample_weight is None:
            return None
        return _check_sample_weight(sample_weight, np.empty((count, 1)), dtype=np.float64, ensure_non_negative=True)

    # --- what fit leaves ----------------------------------------------------------------------------------------

    def _keep_model(self, model: Model) -> None:
        # Predictions are computed in double precision, whatever training was: the same row gives the same number
        # in any company.
        model.precision = "double"
        self.model_ = model

    @property
    def network_(self) -> Any:
        """The trained network as an Equinox module (the first one, where there are several): it takes scaled inputs
        and gives scaled outputs, see `Model.networks`."""
        return self._fitted().networks()[0]

    @property
    def coefs_(self) -> list[np.ndarray]:
        """Weight matrices [in, out] of the layers, on scaled inputs and outputs, as MLPRegressor has them."""
        return [np.asarray(layer.weight) for layer in self._layers()]

    @property
    def intercepts_(self) -> list[np.ndarray]:
        """Bias vectors [out] of the layers, on scaled inputs and outputs."""
        return [np.asarray(layer.bias) for layer in self._layers()]

    def _layers(self) -> list[Any]:
        import jax

        from perceptory.layers.dense import Dense

        parts = jax.tree.leaves(self.network_, is_leaf=lambda part: isinstance(part, Dense))
        layers = [part for part in parts if isinstance(part, Dense)]
        if not layers:
            raise AttributeError("the network has no dense layers; its arrays are in network_")
        return layers

    def _fitted(self) -> Model:
        check_is_fitted(self, "model_")
        return self.model_

    def _mean(self, X: Any) -> np.ndarray:
        """[row, ...] the model's prediction for X."""
        model = self._fitted()
        return model.mean(*self._encoded(X))

    # --- files --------------------------------------------------------------------------------------------------

    def to_file(self, path: str | Path) -> None:
        """Write the fitted estimator as a model file: weights and a description, no code. Unlike a pickle it is safe to
        read from strangers, and `Model.load` and the command line read it as well."""
        self._fitted()
        write_estimator(self, path)

    @classmethod
    def from_file(cls, path: str | Path) -> Any:
        """Read what `to_file` wrote. `InputError` for a damaged file and for one of another estimator."""
        return read_estimator(cls, path)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model_")

    def _feature_names(self) -> list[str]:
        return names_of(self)


class TableEstimator(NetworkEstimator):
    """Base of the estimators whose X is a table [row, column]; a missing value is nan."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def _targets(self, y: Any, known: Any = None) -> Targets:
        raise NotImplementedError

    def _rows(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        *,
        reset: bool,
        known: Any,
        trained_on: bool = True,
        groups: RawColumn | None = None,
    ) -> tuple[Any, ...]:
        """Inputs, targets and weights of the rows that have a weight above 0, and which rows those are [row] bool.

        trained_on: whether these are training rows, which count for "auto" and "balanced". groups: [row], which like
        y and weights are to be no input where X holds them, too.
        """
        inputs = self._inputs(X, reset=reset)
        for what, given in (("y", y), ("sample_weight", sample_weight)):
            if order_differs(given, X):
                warnings.warn(other_order(what), UserWarning, stacklevel=4)
        if known is None and not reset:
            known = getattr(self, "classes_", None)
        targets = self._targets(y, known)
        check_consistent_length(X, targets.values)
        weights = self._weights(sample_weight, len(targets.values))
        if reset:
            self._leave_out(inputs, targets, {"sample_weight": weights, "groups": groups})
        if trained_on:
            self._count(inputs, targets, weights, reset=reset)
        weights = self._class_weighted(targets, weights)
        has_weight = np.ones(len(targets.values), bool) if weights is None else weights > 0
        if weights is not None and not weights.all():
            inputs, targets = take(inputs, has_weight), targets.take(has_weight)
            weights = weights[has_weight]
        if reset and len(targets.values) < 2:
            raise InputError("training needs at least 2 rows with a weight above 0, got 1 sample.")
        return inputs, targets, weights, has_weight

    def _leave_out(self, inputs: Any, targets: Targets, beside: dict[str, Any]) -> None:
        """Take note of the columns of X that hold what is given beside it, which a network would only copy."""
        given = {
            what: [values if isinstance(values, RawColumn) else column_of(what, values)]
            for what, values in beside.items()
            if values is not None
        }
        self._copies = copies_in(inputs, self._feature_names(), {"target": targets.columns(), **given})
        for name, what in self._copies.items():
            warnings.warn(NoteWarning(values_beside(name, what)), stacklevel=5)

    def _count(self, inputs: Any, targets: Targets, weights: np.ndarray | None, *, reset: bool) -> None:
        """Take note of rows to train on, where an estimator trains in several calls."""

    def _class_weighted(self, targets: Targets, weights: np.ndarray | None) -> np.ndarray | None:
        return weights

    def _dataset(self, inputs: Any, targets: Targets, weights: np.ndarray | None, groups: Any = None) -> Any:
        names = self._feature_names()
        return Dataset(
            columns=columns_of(inputs, names),
            target_names=targets.names,
            task=targets.task,  # type: ignore[arg-type]
            targets=targets.values,
            classes=targets.class_names(),
            class_values=targets.class_values(),
            weights=weights,
            groups=groups,
            encoder=encoder_for(inputs, names, targets.names, getattr(self, "_copies", {})),
        )

    def importance(
        self, X: Any, y: Any, sample_weight: Any = None, *, score: str | None = None, n_repeats: int | None = None,
        max_samples: int | None = None, random_state: Any = 0,
    ) -> Any:  # fmt: skip
        """How much predictions rest on each column of X: `Model.importance`, an `Importance`, which prints, has a
        `frame()` and arrays `columns`, `values` and `errors`, and tells which columns share information.

        X, y, sample_weight: rows that the estimator was not fitted on. A category or a date is one column.
        score: "rmse" or "mae", of classes "log_loss" or "accuracy". n_repeats, max_samples: shuffles of each column and
        rows looked at, by default as many as take a second or two. random_state: of both draws.
        `sklearn.inspection.permutation_importance` takes these estimators too; it predicts each shuffle of all rows.
        """
        model = self._fitted()
        with self._in_own_words():
            inputs, targets, weights, _ = self._rows(X, y, sample_weight, reset=False, known=None, trained_on=False)
            data = self._dataset(inputs, targets, weights)
            seed = int(check_random_state(random_state).randint(2**31 - 1))
            return model.importance(data, score=score, repeats=n_repeats, rows=max_samples, seed=seed)


class IntervalMixin:
    """Regression: numbers and intervals."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()  # type: ignore[misc]
        tags.target_tags.multi_output = True
        return tags

    def _targets(self, y: Any, known: Any = None) -> Targets:
        return number_targets(y, self)

    def predict(self, X: Any) -> np.ndarray:
        """Numbers [row], or [row, target] for several targets, in the targets' units."""
        mean = self._mean(X)  # type: ignore[attr-defined]
        return mean[..., 0] if self._flat_target else mean  # type: ignore[attr-defined]

    def predict_interval(self, X: Any, coverage: float = 0.9) -> np.ndarray:
        """[row, 2] lower and upper ends between which the target of a new row lies with probability `coverage`.

        Of several targets [row, target, 2]. As wide as the residuals of rows like this one that were not trained on:
        conformal prediction by the validation rows, or by the held-out rows of a study (`perceptory.models.intervals`).
        """
        from perceptory.models.intervals import interval_of

        model = self._fitted()  # type: ignore[attr-defined]
        inputs, lengths = self._encoded(X)  # type: ignore[attr-defined]
        return interval_of(model, inputs, model.members_of(inputs, lengths), coverage)

    def predict_deviation(self, X: Any) -> np.ndarray:
        """Standard deviation of each row's target, shaped as `predict`: from the same residuals, or what a Gaussian
        cost learned (see `Model.predict_deviation`)."""
        from perceptory.models.distribution import deviation, knows_deviation
        from perceptory.models.intervals import deviation_of

        model = self._fitted()  # type: ignore[attr-defined]
        inputs, lengths = self._encoded(X)  # type: ignore[attr-defined]
        if knows_deviation(model.cost):
            deviations = deviation(model.cost, model.distributions_of(inputs, lengths), model.shares)
        else:
            deviations = deviation_of(model, inputs, model.members_of(inputs, lengths))
        return deviations[..., 0] if self._flat_target else deviations  # type: ignore[attr-defined]


class ClassMixin:
    """Classification: labels and probabilities."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()  # type: ignore[misc]
        tags.classifier_tags.multi_label = True
        return tags

    def _targets(self, y: Any, known: Any = None) -> Targets:
        return class_targets(y, self, known)

    def _class_weighted(self, targets: Targets, weights: np.ndarray | None) -> np.ndarray | None:
        rows_so_far = getattr(self, "_class_rows_seen", None)
        return class_weighted(targets, self.class_weight, weights, rows_so_far)  # type: ignore[attr-defined]

    def predict(self, X: Any) -> np.ndarray:
        """The most probable class of each row [row]; of several labels 0 or 1 [row, label]."""
        mean = self._mean(X)  # type: ignore[attr-defined]
        if self._labels:  # type: ignore[attr-defined]
            return (mean > 0.5).astype(int)
        return self.classes_[mean.argmax(axis=1)]  # type: ignore[attr-defined]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities [row, class], in the order of classes_; of several labels that of 1 [row, label]."""
        return self._mean(X)  # type: ignore[attr-defined]


def share_of(validation_fraction: Any) -> float:
    """0 (no validation rows) or a share below 1; `InputError` for anything else."""
    value = 0 if validation_fraction is None else validation_fraction
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not 0 <= value < 1:
        raise InputError(f"validation_fraction needs a number from 0 to below 1, got {value!r}. Example: 0.1")
    return float(value)
