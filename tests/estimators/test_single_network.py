from __future__ import annotations

import pickle

import numpy as np
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from perceptory import (
    MLP,
    Adam,
    InputError,
    Model,
    NetworkClassifier,
    NetworkRegressor,
    Study,
    WeightPenalty,
    train_further,
)
from perceptory.data import Column, Dataset

SMALL = {"hidden": (8,), "epochs": 60, "learning_rate": 0.05, "random_state": 0}


@pytest.fixture(scope="module")
def fitted(numbers):
    return NetworkRegressor(**SMALL, validation_fraction=0.1).fit(*numbers)


def test_it_is_the_study_of_the_same_arguments(fitted, numbers):
    X, y = numbers
    dataset = Dataset(tuple(Column(f"x{k}", "numeric", X[:, k]) for k in range(3)), ("y",), "regression", y[:, None])
    seed = int(np.random.RandomState(0).randint(2**31 - 1))
    study = Study(
        MLP((8,), "relu"), optimizer=Adam(0.05), penalty=WeightPenalty(4 / 60), epochs=60, batch_size=200,
        precision="double", seed=seed,
    )  # fmt: skip
    same = train_further(study, dataset, validation=0.1).model
    np.testing.assert_array_equal(fitted.predict(X), same.predict(X))
    assert fitted.score(X, y) > 0.8


def test_what_training_left(fitted):
    assert len(fitted.loss_curve_) == fitted.n_iter_ == len(fitted.history_) <= 60
    assert np.argmin(fitted.validation_curve_) + 1 == fitted.best_epoch_
    assert fitted.history_.columns == ["epoch", "train_cost", "validation_cost"]
    assert fitted.status_ in ("finished", "stopped")
    assert [w.shape for w in fitted.coefs_] == [(3, 8), (8, 1)]
    assert [b.shape for b in fitted.intercepts_] == [(8,), (1,)]
    assert "NetworkRegressor" in fitted._repr_html_()


def test_weights_give_the_prediction(fitted, numbers):
    X, _ = numbers
    model = fitted.model_
    (a, b), (c, d) = fitted.coefs_, fitted.intercepts_
    hidden = np.maximum((X - model.in_center[0]) * model.in_factor[0] @ a + c, 0)
    np.testing.assert_allclose(fitted.predict(X), ((hidden @ b + d) * model.out_scale + model.out_center)[:, 0])


def test_the_second_fit_compiles_nothing(fitted, numbers, compilations):
    X, y = numbers
    for rows in (60, 59, 57):  # as folds differ
        clone(fitted).fit(X[:rows], y[:rows]).predict(X)
    clone(fitted).set_params(learning_rate=0.01, penalty=0.1, epochs=40, random_state=3).fit(X, y)
    NetworkRegressor((8,), epochs=60).fit(X + 1, 2 * y)
    assert compilations() == 0


def test_names_of_mlp_estimators():
    familiar = NetworkRegressor(
        hidden_layer_sizes=(8,), max_iter=60, learning_rate_init=0.05, solver="adam", n_iter_no_change=7
    )
    assert repr(familiar) == repr(NetworkRegressor((8,), epochs=60, learning_rate=0.05, patience=7))
    assert familiar.set_params(max_iter=5).get_params()["epochs"] == 5
    assert clone(familiar).hidden == (8,)
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'alpha'.*penalty="):
        NetworkRegressor(alpha=1e-4)
    with pytest.raises(TypeError, match="Did you mean 'hidden'"):
        NetworkRegressor(hiden=3)
    with pytest.raises(TypeError, match="two values"):
        NetworkRegressor((8,), hidden_layer_sizes=(9,))


def test_bad_arguments_are_said_at_fit(numbers):
    for arguments, said in (
        ({"optimizer": "addam"}, "addam"),
        ({"activation": "rellu"}, "rellu"),
        ({"validation_fraction": 1.5}, "validation_fraction"),
        ({"epochs": 0}, "epochs"),
    ):
        with pytest.raises(InputError, match=said):
            NetworkRegressor(**arguments).fit(*numbers)
    with pytest.raises(NotFittedError):
        NetworkRegressor().predict(numbers[0])


def test_files(fitted, classes, tmp_path):
    X = classes[0]
    path = tmp_path / "network.safetensors"
    fitted.to_file(path)
    again = NetworkRegressor.from_file(path)
    np.testing.assert_array_equal(again.predict(X), fitted.predict(X))
    np.testing.assert_array_equal(again.predict_interval(X, 0.5), fitted.predict_interval(X, 0.5))
    assert again.get_params() == fitted.get_params()
    assert again.loss_curve_ == fitted.loss_curve_
    np.testing.assert_array_equal(Model.load(path).predict(X), fitted.predict(X))
    assert again.partial_fit(X, X[:, 0]).n_iter_ == fitted.n_iter_ + 1
    with pytest.raises(InputError, match="Use that class"):
        NetworkClassifier.from_file(path)
    other = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(other.predict(X), fitted.predict(X))


def test_partial_fit_goes_on_where_it_was(numbers):
    X, y = numbers
    whole = NetworkRegressor(**{**SMALL, "epochs": 5}, validation_fraction=0).fit(X, y)
    steps = NetworkRegressor(**SMALL)
    for _ in range(5):
        steps.partial_fit(X, y)
    np.testing.assert_allclose(steps.predict(X), whole.predict(X), rtol=1e-9)
    assert steps.n_iter_ == 5
    np.testing.assert_allclose(steps.loss_curve_, whole.loss_curve_, rtol=1e-9)
    scale = steps.model_.out_scale.copy()
    steps.partial_fit(X[:7], y[:7] * 100)
    np.testing.assert_array_equal(steps.model_.out_scale, scale)


def test_warm_start_goes_on(numbers):
    X, y = numbers
    network = NetworkRegressor(**{**SMALL, "epochs": 3, "warm_start": True, "validation_fraction": 0})
    first = network.fit(X, y).loss_
    assert network.fit(X, y).loss_curve_[3] < first
    assert network.n_iter_ == 6
    with pytest.raises(ValueError, match="features"):
        network.fit(X[:, :2], y)


def test_a_given_validation_set(numbers):
    X, y = numbers
    network = NetworkRegressor(**SMALL).fit(X[:40], y[:40], X_val=X[40:], y_val=y[40:])
    np.testing.assert_array_equal(network._trained.rows, np.arange(40, 60))
    assert np.isfinite(network.validation_curve_).all()


def test_integer_weights_are_copies(numbers):
    X, y = numbers
    w = np.arange(60) % 3
    weighted = NetworkRegressor(**SMALL, validation_fraction=0.2).fit(X, y, sample_weight=w)
    repeated = NetworkRegressor(**SMALL, validation_fraction=0.2).fit(X.repeat(w, axis=0), y.repeat(w))
    np.testing.assert_allclose(weighted.predict(X), repeated.predict(X), rtol=1e-9)


def test_classes(classes):
    X, y = classes
    network = NetworkClassifier(**SMALL).fit(X, y)
    assert network.classes_.tolist() == ["no", "yes"]
    assert set(network.predict(X)) == {"no", "yes"}
    assert network.score(X, y) > 0.85
    np.testing.assert_allclose(network.predict_proba(X).sum(axis=1), 1)
    heavy = NetworkClassifier(**SMALL, class_weight={"no": 20, "yes": 1}).fit(X, y)
    assert (heavy.predict(X) == "no").mean() > (network.predict(X) == "no").mean()
    with pytest.raises(InputError, match="not there before"):
        network.partial_fit(X, np.where(y == "no", "no", "maybe"))


def test_partial_fit_takes_the_classes_to_come(classes):
    X, y = classes
    network = NetworkClassifier(**SMALL).partial_fit(X[y == "no"], y[y == "no"], classes=["no", "yes"])
    assert network.partial_fit(X, y).predict_proba(X).shape == (60, 2)


def test_several_labels(numbers):
    X, _ = numbers
    Y = np.stack([X[:, 0] > 0, X[:, 1] > 0, X[:, 0] > 1], axis=1).astype(int)
    network = NetworkClassifier(**SMALL).fit(X, Y)
    assert network.predict_proba(X).shape == (60, 3)
    assert network.score(X, Y) > 0.7  # every label of a row right
    assert set(np.unique(network.predict(X))) == {0, 1}


def test_several_targets(numbers):
    X, y = numbers
    network = NetworkRegressor(**SMALL, validation_fraction=0.2).fit(X, np.stack([y, -y], axis=1))
    assert network.predict(X).shape == (60, 2)
    assert network.predict_interval(X, 0.5).shape == (60, 2, 2)


def test_frames_keep_names_and_categories(numbers):
    X, y = numbers
    pd = pytest.importorskip("pandas")
    kind = np.where(np.arange(60) % 2, "left", "right")
    columns = {"a": X[:, 0], "kind": kind, "b": X[:, 1]}
    y = y + 3 * (kind == "left")
    frame = pl.DataFrame(columns).with_columns(pl.col("kind").cast(pl.Categorical))
    network = NetworkRegressor(**SMALL).fit(frame, y)
    assert network.feature_names_in_.tolist() == ["a", "kind", "b"]
    assert network.model_.encoder.feature_names == ("a", "kind=left", "kind=right", "b")
    assert set(network.importance(frame, y).columns) == {"a", "kind", "b"}
    same = pd.DataFrame(columns).astype({"kind": "category"})
    np.testing.assert_array_equal(network.predict(same), network.predict(frame))
    np.testing.assert_array_equal(network.predict(frame.to_arrow()), network.predict(frame))
    for text in (pl.DataFrame(columns), pd.DataFrame(columns), np.array(frame.rows(), object)):
        with pytest.raises(ValueError, match=r"could not convert string to float.*OneHotEncoder"):
            NetworkRegressor(**SMALL).fit(text, y)


def test_more_than_fifty_categories():
    towns = pl.Series([f"t{k % 60}" for k in range(360)], dtype=pl.Categorical)
    network = NetworkRegressor(**SMALL).fit(pl.DataFrame({"town": towns}), np.arange(360.0))
    assert network.model_.encoder.shape == (60,)


def test_missing_values(numbers):
    X, y = numbers
    holes = X.copy()
    holes[::5, 1] = np.nan
    network = NetworkRegressor(**SMALL).fit(holes, y)
    assert np.isfinite(network.predict(holes)).all()
    assert len(network.model_.encoder.feature_names) == 4


def test_verbose(numbers, capsys):
    NetworkRegressor(**SMALL, verbose=1).fit(*numbers)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("epoch 6 of 60: cost ")
    assert len(lines) <= 10


def test_a_spec_as_network(numbers):
    X, y = numbers
    network = NetworkRegressor(MLP((8,), "tanh"), optimizer=Adam(0.05), epochs=60, random_state=0).fit(X, y)
    assert network.model_.network == MLP((8,), "tanh")
    assert network.score(X, y) > 0.8


def test_second_order(numbers):
    X, y = numbers
    network = NetworkRegressor((4,), "tanh", solver="lbfgs", penalty=1e-2, epochs=60, random_state=0).fit(X, y)
    assert network.score(X, y) > 0.85
    before = network.n_iter_
    assert network.partial_fit(X, y).n_iter_ == before + 1


def test_other_classes_in_a_second_fit(classes):
    X, y = classes
    network = NetworkClassifier(**SMALL).fit(X, y)
    again = np.where(y == "no", "never", "maybe")
    network.fit(X[:40], again[:40], X_val=X[40:], y_val=again[40:])
    assert network.classes_.tolist() == ["maybe", "never"]
