"""In the company of scikit-learn's other estimators."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import BaggingRegressor, StackingRegressor
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.inspection import permutation_importance
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from perceptory import NetworkClassifier, NetworkRegressor

SMALL = {"hidden": (8,), "epochs": 60, "learning_rate": 0.05, "random_state": 0}


@pytest.fixture(scope="module")
def network():
    return NetworkRegressor(**SMALL)


def test_a_grid_compiles_one_program_a_width(network, numbers, compilations):
    X, y = numbers
    network.fit(X, y).predict(X)
    before = compilations()
    grid = GridSearchCV(network, {"learning_rate": [0.01, 0.05], "penalty": [1e-3, 1e-1], "max_iter": [40, 60]}, cv=3)
    grid.fit(X, y)
    assert grid.best_score_ > 0.7
    assert compilations() - before <= 1  # predictions of fewer rows


def test_halving(network, numbers):
    X, y = numbers
    search = HalvingGridSearchCV(
        network, {"learning_rate": [0.001, 0.05]}, resource="epochs", min_resources=20, max_resources=40, factor=2, cv=2
    )
    assert search.fit(X, y).best_params_["learning_rate"] == 0.05


def test_columns_in_a_pipeline_with_frames(network, numbers):
    pd = pytest.importorskip("pandas")
    X, y = numbers
    frame = pd.DataFrame({"a": X[:, 0], "side": np.where(X[:, 2] > 0, "left", "right"), "b": X[:, 1]})
    columns = ColumnTransformer(
        [("words", OneHotEncoder(sparse_output=False), ["side"]), ("rest", StandardScaler(), ["a", "b"])]
    )
    model = make_pipeline(columns, network).set_output(transform="pandas").fit(frame, y)
    assert model[-1].feature_names_in_.tolist() == ["words__side_left", "words__side_right", "rest__a", "rest__b"]
    assert model.score(frame, y) > 0.7
    with sklearn.config_context(transform_output="pandas"):
        assert isinstance(model[-1].history_, pd.DataFrame)


def test_predictions_of_folds_and_two_processes(network, numbers):
    X, y = numbers
    one = cross_val_predict(network, X, y, cv=2)
    two = cross_val_predict(network, X, y, cv=2, n_jobs=2)
    np.testing.assert_allclose(two, one, rtol=1e-6)


def test_ensembles_of_it(network, numbers, classes):
    X, y = numbers
    assert StackingRegressor([("network", network), ("line", Ridge())], cv=2).fit(X, y).score(X, y) > 0.7
    assert BaggingRegressor(network, 2, random_state=0).fit(X, y).score(X, y) > 0.6
    calibrated = CalibratedClassifierCV(NetworkClassifier(**SMALL), cv=2).fit(*classes)
    assert calibrated.score(*classes) > 0.8


def test_inspection(network, numbers):
    pytest.importorskip("matplotlib").use("agg")
    from sklearn.inspection import PartialDependenceDisplay

    X, y = numbers
    network = sklearn.base.clone(network).fit(X, y)
    importance = permutation_importance(network, X, y, n_repeats=2, random_state=0).importances_mean
    assert importance[2] < importance[1] < importance[0]
    display = PartialDependenceDisplay.from_estimator(network, X, [0], grid_resolution=5)
    assert np.ptp(display.pd_results[0]["average"]) > 0.5


def test_weights_are_routed(network, numbers):
    X, y = numbers
    weights = (X[:, 0] > 0).astype(float)
    with sklearn.config_context(enable_metadata_routing=True):
        asked = sklearn.base.clone(network).set_fit_request(sample_weight=True)
        unweighted = StandardScaler().set_fit_request(sample_weight=False)
        routed = make_pipeline(unweighted, asked).fit(X, y, sample_weight=weights)
    scaled = StandardScaler().fit_transform(X)
    direct = sklearn.base.clone(network).fit(scaled, y, sample_weight=weights)
    np.testing.assert_array_equal(routed.predict(X), direct.predict(scaled))
