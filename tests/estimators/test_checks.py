"""scikit-learn's own checks, all of them, with none expected to fail."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from perceptory import MLP
from perceptory.estimators import (
    NetworkAutoencoder,
    NetworkClassifier,
    NetworkClassifierCV,
    NetworkRegressor,
    NetworkRegressorCV,
    SequenceRegressor,
)
from perceptory.training import size_classes as buckets

# Patience is as long as training: twenty validation rows may be lucky in the first epochs.
SMALL: dict[str, Any] = {"hidden": (8,), "epochs": 60, "patience": 60, "learning_rate": 0.05, "batch_size": 512}
STUDY: dict[str, Any] = {**SMALL, "penalty": 0.0, "cv": 2, "patience": 0, "epochs": 30, "precision": "double"}


@pytest.fixture(autouse=True)
def _their_warnings():
    """scikit-learn's checks raise warnings of their own on purpose; here, errors are what counts."""
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        yield


@pytest.fixture(scope="module", autouse=True)
def _few_programs():
    """All of the checks' numbers of rows in two sizes: compiling for them takes most of the time."""
    old, buckets.SMALL = buckets.SMALL, 256
    yield
    buckets.SMALL = old


@parametrize_with_checks(
    [
        NetworkRegressor(**SMALL, precision="double"),
        NetworkClassifier(**SMALL),
        NetworkRegressorCV(**STUDY),
        NetworkClassifierCV(**STUDY),
        NetworkAutoencoder(**SMALL, code=2, noise=0.0, precision="double"),
        SequenceRegressor(**{**SMALL, "hidden": MLP((8,)), "precision": "double", "validation_fraction": 0.0}),
    ]
)
def test_estimator(estimator, check):
    check(estimator)
