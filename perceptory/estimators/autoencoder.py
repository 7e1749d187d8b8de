"""Networks without targets: `NetworkAutoencoder` and `NetworkAutoencoderCV`, transformers that also detect outliers."""

from __future__ import annotations

import warnings
from typing import Any, ClassVar, cast

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, OutlierMixin, TransformerMixin
from sklearn.callback import with_callbacks
from sklearn.utils.validation import _num_samples, check_array

from perceptory.augmentation.base import Augmentation
from perceptory.augmentation.tables import TableAugmentation
from perceptory.data.tables.encoder import Encoder
from perceptory.data.tables.reconstruction import table_of, targets_of_table
from perceptory.data.tables.table import Table
from perceptory.errors import InputError
from perceptory.estimators.base import TableEstimator, share_of
from perceptory.estimators.codes import code_width, threshold
from perceptory.estimators.cv import StudyEstimator
from perceptory.estimators.history import frame_of
from perceptory.estimators.single_network import SingleNetwork
from perceptory.estimators.tables import encoded, encoder_for
from perceptory.estimators.targets import Targets
from perceptory.estimators.translation import network_of, networks_of, searched
from perceptory.models import anomalies, autoencoding
from perceptory.networks.autoencoder import Autoencoder, CodedNetwork
from perceptory.networks.base import Network
from perceptory.selection.metrics import reconstruction_error
from perceptory.studies.study import Study


class CodeEstimator(ClassNamePrefixFeaturesOutMixin, TransformerMixin, OutlierMixin, TableEstimator):
    """Base of the autoencoders: codes and back, and how unlike the rest a row is."""

    cost = None  # the task's own

    def _targets(self, y: Any, known: Any = None) -> Targets:
        return Targets("autoencode", y, (), False)

    def _rows(self, X: Any, y: Any, sample_weight: Any, *, reset: bool, **options: Any) -> tuple[Any, ...]:
        """As the other estimators have them; y is not looked at."""
        nothing = np.empty((_num_samples(X), 0))
        inputs, targets, weights, has_weight = super()._rows(X, nothing, sample_weight, reset=reset, **options)
        if reset:
            self.code_ = self.code
            if isinstance(self.code, str) and self.code == "auto":
                encoder = encoder_for(inputs, self._feature_names(), (), {})
                self.code_ = code_width(encoded(encoder, inputs), weights)
        return inputs, targets, weights, has_weight

    def _leave_out(self, inputs: Any, targets: Targets, beside: dict[str, Any]) -> None:
        """Nothing: there is no target to copy, and all columns of X are given back."""

    # --- what is asked ------------------------------------------------------------------------------------------

    def _autoencoder(self, encoder: Any, number: Any) -> Any:
        """The network of an encoder; `number` makes specs of arguments that may be searched."""
        if isinstance(encoder, CodedNetwork):
            return encoder
        return Autoencoder(
            encoder,
            code=number(self.code_),
            variational=number(self.variational),
            sparsity=number(self.sparsity),
            tied=self.tied,
        )

    def _augmentation(self, number: Any) -> Any:
        noise = self.noise
        if noise is None or isinstance(noise, Augmentation):
            return noise
        solved = isinstance(self.hidden, Network) and self.hidden.solved  # has no batches that noise could be added to
        return None if solved or (isinstance(noise, int | float) and noise == 0) else TableAugmentation(number(noise))

    def _columns(self) -> Encoder:
        """What makes inputs of the columns."""
        return cast(Encoder, self._fitted().encoder)

    # --- codes --------------------------------------------------------------------------------------------------

    def transform(self, X: Any) -> np.ndarray:
        """Codes [row, code]; of a variational autoencoder their means."""
        model = self._fitted()
        return autoencoding.codes_of(model, *self._encoded(X))

    def inverse_transform(self, X: Any) -> Any:
        """Rows [row, column] in their own units, of codes X [row, code]: an array, or, where some columns are not
        numbers, a data frame of the library that `sklearn.set_config(transform_output=...)` names, else of polars."""
        model = self._fitted()
        targets = autoencoding.decode(model, check_array(X, dtype=np.float64), None)
        if set(model.cost.kinds) == {"number"} and targets.shape[1] == self.n_features_in_:
            return targets
        return frame_of(table_of(self._columns(), targets).to_dict())

    @property
    def _n_features_out(self) -> int:
        return int(self._fitted().network.code)

    # --- outliers -----------------------------------------------------------------------------------------------

    def _errors(self, X: Any) -> np.ndarray:
        """[member, row, column] errors of rows."""
        model, inputs = self._fitted(), self._inputs(X)
        table = isinstance(inputs, Table)
        targets = targets_of_table(self._columns(), inputs) if table else np.asarray(inputs, np.float64)
        return autoencoding.errors_of(model, encoded(model.encoder, inputs), targets, np.ones(len(targets)), None)

    def score_samples(self, X: Any) -> np.ndarray:
        """[row] minus the anomaly score (see `Model.anomaly_score`): the lower, the more unlike the training rows."""
        return -anomalies.scores(self._fitted(), self._errors(X))

    def p_values(self, X: Any) -> np.ndarray:
        """[row] the share of held-out rows that are at least as unlike the training rows, the row itself counted.

        Of rows that are like those of the training, a share of at most about α has p <= α (conformal p-values, see
        `perceptory.models.autoencoding`). `InputError` where no row was held out.
        """
        return anomalies.anomalies(self._fitted(), self._errors(X)).p_value

    def decision_function(self, X: Any) -> np.ndarray:
        """[row] score_samples(X) - offset_: below 0 for outliers."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> np.ndarray:
        """[row] -1 for outliers, 1 for others."""
        decision = self.decision_function(X)
        if np.isneginf(self.offset_):
            warnings.warn(
                f"too few rows were held out for p-values of {self.level:.3g}, so no row counts as an outlier. Use more"
                ' rows, a larger level, or a share as contamination instead of "auto".',
                UserWarning,
                stacklevel=2,
            )
        return np.where(decision < 0, -1, 1)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Minus the share of the columns' variance (of categories, their entropy) that is not reconstructed, the mean
        over the columns: 0 is best, -1 is what the mean of each column gives. For searches over parameters."""
        errors = self._errors(X).mean(axis=0)
        return -float(np.nanmean(reconstruction_error(None, errors, self._weights(sample_weight, len(errors)))))

    def _set_offset(self, X: Any, sample_weight: Any) -> None:
        """The score below which a row is an outlier. X: the training rows."""
        share = self.contamination
        if isinstance(share, str) and share == "auto":
            self.offset_ = -anomalies.score_at(self._fitted(), self.level)
            return
        if isinstance(share, bool | str) or not isinstance(share, int | float | np.number) or not 0 < share <= 0.5:
            raise InputError(
                f'contamination needs "auto" or a share above 0 and up to 0.5, got {share!r}. Example: 0.1'
            )
        scores = self.score_samples(X)
        weights = self._weights(sample_weight, len(scores))
        self.offset_ = threshold(scores, np.ones(len(scores)) if weights is None else weights, float(share))


class NetworkAutoencoder(CodeEstimator, SingleNetwork):
    """An autoencoder, as scikit-learn's transformers and outlier detectors are: X -> code -> X.

    hidden: widths of the encoder's hidden layers, which the decoder mirrors, or a network spec: an encoder such as
    `MLP((64,), norm="layer")`, or the whole, `Autoencoder(...)` or `PCA(8)`. () is linear.
    code: width of the code; "auto" is the number of principal components that hold 85 % of the variance, see code_.
    noise: deviation of the noise on the numbers that training reconstructs from (denoising; 1 is the deviation of a
    column), or an augmentation spec. Where training rows hold the outliers that are looked for, a linear network with
    much noise does not learn them: hidden=(), noise=2.0. variational: β of the evidence bound, 0 leaves it out.
    sparsity: strength of a penalty on |code|. tied: the decoder's weights are the encoder's, transposed.
    validation_fraction: share of the rows that are held out: they stop training early, as in `NetworkRegressor`, and
    all p-values and thresholds come from them, as training rows are reconstructed too well. level: the p-value at and
    below which a row is an outlier. contamination: "auto" goes by level; a share of the training rows, as scikit-learn
    has it, goes by the scores of these rows instead.
    The other arguments and attributes are those of `NetworkRegressor`, and code_ and offset_. y is not looked at.

    A data frame may hold categories, truth values and dates; what is missing (nan, null) costs nothing. After
    `partial_fit`, which holds out no rows, there are no p-values.
    """

    _fitted_attributes: ClassVar[tuple[str, ...]] = (*SingleNetwork._fitted_attributes, "code_", "offset_")

    def __init__(
        self,
        hidden: Any = (100,),
        code: Any = "auto",
        activation: Any = "tanh",
        *,
        noise: Any = 0.5,
        variational: Any = 0.0,
        sparsity: Any = 0.0,
        tied: bool = False,
        dropout: Any = 0.0,
        optimizer: Any = "adam",
        learning_rate: Any = 1e-2,
        penalty: Any = 0.0,
        batch_size: Any = "auto",
        epochs: int = 300,
        patience: int = 30,
        validation_fraction: float = 0.2,
        contamination: Any = "auto",
        level: float = 0.05,
        precision: str = "auto",
        random_state: Any = None,
        warm_start: bool = False,
        verbose: int = 0,
        **familiar: Any,
    ):
        self._store(locals(), familiar)

    def _network(self) -> Any:
        return self._autoencoder(network_of(self.hidden, self.activation, self.dropout), lambda value: value)

    def _study(self, precision: str | None, labels: bool, rows: float) -> Study:
        study = super()._study(precision, labels, rows)
        return study.replace(augmentation=self._augmentation(lambda value: value))

    @with_callbacks
    def fit(
        self, X: Any, y: Any = None, sample_weight: Any = None, *, X_val: Any = None, sample_weight_val: Any = None
    ) -> Any:
        """Train on X [row, column].

        A share `validation_fraction` of the rows is held out; X_val (and sample_weight_val) instead of it, where given.
        sample_weight: a row of weight 2 counts as two rows. With warm_start=True training goes on from the weights of
        the last fit.
        """
        start = self._start() if self.warm_start else None
        held = (X_val, None, sample_weight_val) if X_val is not None else share_of(self.validation_fraction)
        return self._train(X, y, sample_weight, held=held, start=start, epochs=self.epochs)

    @with_callbacks
    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Any:
        """One more epoch on these rows, from the weights, scaling and optimizer that there are; no row is held out."""
        return self._train(X, y, sample_weight, held=0.0, start=self._start(), epochs=1)

    def _train(self, X: Any, y: Any, sample_weight: Any, **options: Any) -> Any:
        super()._train(X, y, sample_weight, **options)
        self._set_offset(X, sample_weight)
        return self


class NetworkAutoencoderCV(CodeEstimator, StudyEstimator):
    """A study of autoencoders inside `fit`: candidates trained on every fold, the best one kept, PCA among them.

    hidden, code, activation, noise, variational, sparsity, dropout, learning_rate, penalty, batch_size: as in
    `NetworkAutoencoder`; a list is a choice to search, and so is a search value. PCA of every width of code is a
    candidate as well. scoring: None is the share of the variance that is not reconstructed, which a wider code
    always makes smaller: rule="one_standard_error" takes the simplest within one standard error of the best.
    level, contamination: as in `NetworkAutoencoder`. Every training row is held out by the networks of its fold, and
    all of these errors count for p-values and thresholds (cross-conformal); an outlier's score is the mean over all
    networks. held_out_scores_ [row]: `score_samples` of the training rows by the networks that did not train on them,
    which finds outliers among the training rows themselves.
    The other arguments and attributes are those of `NetworkRegressorCV`. Codes are those of the network that validated
    best.
    """

    _fitted_attributes: ClassVar[tuple[str, ...]] = (
        *StudyEstimator._fitted_attributes,
        "code_",
        "offset_",
        "held_out_scores_",
    )

    def __init__(
        self,
        hidden: Any = ((100,), (100, 50)),
        code: Any = "auto",
        activation: Any = "tanh",
        *,
        noise: Any = 0.5,
        variational: Any = 0.0,
        sparsity: Any = 0.0,
        tied: bool = False,
        dropout: Any = 0.0,
        optimizer: Any = "adam",
        learning_rate: Any = 1e-2,
        penalty: Any = 0.0,
        batch_size: Any = "auto",
        epochs: int = 300,
        patience: int = 30,
        cv: Any = None,
        scoring: Any = None,
        n_candidates: Any = None,
        seeds: int = 1,
        rule: str = "best",
        final: str = "folds",
        discard: Any = None,
        contamination: Any = "auto",
        level: float = 0.05,
        precision: str = "auto",
        random_state: Any = None,
        verbose: int = 0,
        **familiar: Any,
    ):
        self._store(locals(), familiar)

    def _study(self, precision: str | None, labels: bool, plan: Any, dataset: Any) -> Study:
        study = super()._study(precision, labels, plan, dataset)
        encoders = networks_of(self.hidden, self.activation, self.dropout)
        networks = [self._autoencoder(encoder, searched) for encoder in encoders]
        return study.replace(networks=networks, augmentation=self._augmentation(searched))

    @with_callbacks
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None, *, groups: Any = None) -> Any:
        """Train every candidate on every fold, choose by the validation score, keep the final model.

        sample_weight: a row of weight 2 counts as two rows. groups: [row], equal for rows that stay together.
        """
        self._run(X, y, sample_weight, groups)
        self._set_offset(X, sample_weight)
        weights = self._weights(sample_weight, _num_samples(X))
        counted = np.arange(_num_samples(X)) if weights is None else np.flatnonzero(weights > 0)
        held = self.result_.predictions
        self.held_out_scores_ = np.full(_num_samples(X), np.nan)
        self.held_out_scores_[counted[held.row]] = -anomalies.held_out_scores(self.model_, held.output)
        return self
