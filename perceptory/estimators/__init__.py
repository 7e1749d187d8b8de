"""Estimators for scikit-learn: they store arguments, translate them to specs and delegate to `Study` and `Model`."""

from perceptory.estimators.autoencoder import NetworkAutoencoder, NetworkAutoencoderCV
from perceptory.estimators.cv import NetworkClassifierCV, NetworkRegressorCV
from perceptory.estimators.sequences import SequenceRegressor
from perceptory.estimators.single_network import NetworkClassifier, NetworkRegressor

__all__ = [
    "NetworkAutoencoder",
    "NetworkAutoencoderCV",
    "NetworkClassifier",
    "NetworkClassifierCV",
    "NetworkRegressor",
    "NetworkRegressorCV",
    "SequenceRegressor",
]
