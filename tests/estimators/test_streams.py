"""Training in several calls: what "auto" and "balanced" count; arguments that a file gives back as they were."""

from datetime import date

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from perceptory import (
    SGD,
    InputError,
    KernelRidge,
    Linear,
    NetworkClassifier,
    NetworkRegressor,
    RBFNetwork,
    TabularMLP,
)

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(2000, 4))
Y = 2 * X[:, 0] + 3 * X[:, 1]
LABELS = np.where(Y + RANDOM.normal(size=len(Y)) > 2, "p", "n")  # one in three


def slope(estimator):
    return np.polyfit(Y, estimator.predict(X), 1)[0]


def parts(size):
    return [slice(k, k + size) for k in range(0, len(X), size)]


def test_a_stream_is_penalized_by_all_its_rows_not_by_those_of_a_call():
    stream = NetworkRegressor(hidden=(16,), learning_rate=1e-2, random_state=0)
    for _ in range(10):
        for rows in parts(50):
            stream.partial_fit(X[rows], Y[rows])
    assert stream._rows_seen == len(X)  # further passes over the same parts are not further rows
    assert slope(stream) == pytest.approx(1, abs=0.02)  # 0.89 where a call's own rows counted


def test_a_warm_start_in_parts_counts_all_rows():
    stream = NetworkRegressor(hidden=(16,), epochs=10, warm_start=True, validation_fraction=0, random_state=0)
    for rows in parts(200):
        stream.fit(X[rows], Y[rows])
    assert stream._rows_seen == len(X)
    assert slope(stream) == pytest.approx(1, abs=0.02)
    fresh = NetworkRegressor(hidden=(16,), epochs=1, random_state=0).fit(X[:200], Y[:200]).fit(X[:300], Y[:300])
    assert fresh._rows_seen == 300  # without a warm start nothing is left of an earlier fit


def test_weights_are_rows():
    once = NetworkRegressor(hidden=(4,), epochs=2, random_state=0).fit(X[:100], Y[:100], np.full(100, 3.0))
    assert once._rows_seen == 300


def test_balanced_goes_by_the_classes_of_all_calls():
    """Parts of one class each: by a part alone both classes would have weight 1."""
    order = np.argsort(LABELS, kind="stable")
    stream = NetworkClassifier(hidden=(4,), class_weight="balanced", random_state=0)
    for rows in np.array_split(order, 10):
        stream.partial_fit(X[rows], LABELS[rows], classes=["n", "p"])
    np.testing.assert_array_equal(stream._class_rows_seen, [np.sum(LABELS == "n"), np.sum(LABELS == "p")])
    weights = stream._class_weighted(stream._targets(LABELS, stream.classes_), None)
    assert np.sum(weights[LABELS == "n"]) == pytest.approx(np.sum(weights[LABELS == "p"]))


def test_rows_of_a_stream_are_in_the_file(tmp_path):
    stream = NetworkRegressor(hidden=(4,), random_state=0).partial_fit(X[:50], Y[:50])
    stream.to_file(tmp_path / "stream.safetensors")
    again = NetworkRegressor.from_file(tmp_path / "stream.safetensors").partial_fit(X[50:80], Y[50:80])
    assert again._rows_seen == 80


@pytest.mark.parametrize(
    "class_weight",
    [
        {0: 1.0, 1: 5.0}, {False: 1.0, True: 2.5}, {"a": 1, "b": 2}, {np.int64(0): 1.0, np.int64(1): 2.0},
        {date(2020, 1, 1): 1.0, date(2021, 1, 1): 2.0}, {2.0: 1.0, 3.0: 3.0}, "balanced", None,
    ],
)  # fmt: skip
def test_class_weights_come_back_from_a_file_with_their_types(tmp_path, class_weight):
    labels = list(class_weight) if isinstance(class_weight, dict) else [0, 1]
    if isinstance(labels[0], date):
        labels = ["a", "b"]  # scikit-learn takes no dates as classes; the argument is kept all the same
        fitted = NetworkClassifier(hidden=(2,), epochs=1, random_state=0)
    else:
        fitted = NetworkClassifier(hidden=(2,), epochs=1, random_state=0, class_weight=class_weight)
    y = np.asarray(labels)[(Y[:40] > 0).astype(int)]
    fitted.fit(X[:40], y)
    fitted.class_weight = class_weight
    fitted.to_file(tmp_path / "m.safetensors")
    again = NetworkClassifier.from_file(tmp_path / "m.safetensors").class_weight
    assert again == class_weight
    if isinstance(class_weight, dict):
        assert [type(k) for k in again] == [type(k) for k in class_weight]


@pytest.mark.parametrize("network", [Linear(), KernelRidge(4), RBFNetwork(3)])
def test_what_is_solved_does_not_go_on_in_silence(network):
    """It was left as it was, whatever rows came."""
    fitted = NetworkRegressor(network, epochs=1, random_state=0).fit(X[:30], Y[:30])
    with pytest.raises(
        InputError, match=r"a network that is solved .* has no training that could go on. Fit it to all"
    ):
        fitted.partial_fit(X[30:60], Y[30:60])


def test_a_network_for_tables_goes_on():
    stream = NetworkRegressor(TabularMLP((3,)), random_state=0).partial_fit(X[:30], Y[:30])
    before = stream.model_.weights
    stream.partial_fit(X[30:60], Y[30:60])
    assert (stream._rows_seen, stream.n_iter_) == (60, 2)
    assert (stream.model_.weights != before).any()


def test_a_diverged_network_warns():
    with pytest.warns(ConvergenceWarning, match="diverged"):
        NetworkRegressor(hidden=(8,), activation="linear", optimizer=SGD(30.0), epochs=30, random_state=0).fit(X, Y)
