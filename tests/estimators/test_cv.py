from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GroupKFold, KFold

from perceptory import MLP, DiscardAfter, InputError, NetworkClassifierCV, NetworkRegressorCV, log_uniform

SMALL = {
    "hidden": [(4,), (8,)],
    "epochs": 30,
    "learning_rate": 0.05,
    "penalty": [1e-3, 1e-1],
    "cv": 3,
    "random_state": 0,
}


@pytest.fixture(scope="module")
def fitted(numbers):
    return NetworkRegressorCV(**SMALL).fit(*numbers)


def test_every_candidate_on_every_fold(fitted, numbers):
    X, y = numbers
    assert len(fitted.candidates_) == 4
    assert fitted.candidates_["mean"][0] == fitted.best_score_ == min(fitted.candidates_["mean"])
    assert len(fitted.model_) == 3  # the chosen candidate's fold networks
    assert fitted.score(X, y) > 0.8
    history = fitted.history_
    assert history.columns == ["candidate", "fold", "seed", "epoch", "train_cost", "validation_cost"]
    assert history.group_by("candidate", "fold").len().height == 12


def test_the_second_study_compiles_nothing(fitted, numbers, compilations):
    X, y = numbers
    clone(fitted).fit(X[:58], y[:58]).predict(X)
    clone(fitted).set_params(learning_rate=0.01, penalty=[0.0, 1.0], cv=KFold(3)).fit(X, y)
    assert compilations() == 0


def test_given_folds_and_groups(fitted, numbers):
    X, y = numbers
    rows = np.arange(60)
    folds = list(GroupKFold(3).split(X, y, rows % 3))
    given = clone(fitted).set_params(cv=folds).fit(X, y)
    grouped = clone(fitted).set_params(cv=GroupKFold(3)).fit(X, y, groups=rows % 3)
    np.testing.assert_array_equal(given.predict(X), grouped.predict(X))
    with pytest.raises(InputError, match="99 folds need at least 99 rows"):
        clone(fitted).set_params(cv=99).fit(X, y)


def test_refit_and_scores(fitted, numbers):
    X, y = numbers
    refitted = clone(fitted).set_params(final="refit", scoring="neg_mean_absolute_error").fit(X, y)
    assert len(refitted.model_) == 1
    assert refitted.result_.score["name"] == "mae"
    assert refitted.predict_interval(X).shape == (60, 2)


def test_candidates_are_given_up(fitted, numbers):
    """The choice is among those that went on, which have the bits of a study that trains all."""
    halved = clone(fitted).set_params(discard=DiscardAfter(0.5, 0.5)).fit(*numbers)
    assert sorted(halved.candidates_["status"]) == ["discarded", "discarded", "ok", "ok"]
    scores = dict(zip(fitted.candidates_["id"], fitted.candidates_["mean"], strict=True))
    assert halved.best_score_ == scores[halved.result_.best]
    assert clone(halved).get_params()["discard"] == DiscardAfter(0.5, 0.5)
    with pytest.raises(InputError, match="discard"):
        clone(fitted).set_params(discard=0.5).fit(*numbers)


def test_importance_of_columns(fitted, numbers):
    X, y = numbers
    found = fitted.importance(X, y, n_repeats=3, random_state=1)
    assert found.frame()["column"].to_list() == list(found.columns) == ["x0", "x1", "x2"]
    assert (found.rows, found.repeats) == (60, 3)
    assert fitted.importance(X, y, sample_weight=np.arange(60) < 40).rows == 40
    with pytest.raises(InputError, match="one of rmse, mae"):
        fitted.importance(X, y, score="r2")


def test_intervals_hold_what_they_promise(fitted):
    random = np.random.default_rng(1)
    X = random.normal(size=(2000, 3))
    y = 10 + np.sin(X[:, 0]) + 0.5 * X[:, 1] + 0.1 * random.normal(size=2000)
    for coverage in (0.5, 0.8, 0.9):
        low, high = fitted.predict_interval(X, coverage).T
        assert coverage - 0.05 < np.mean((low <= y) & (y <= high)) < coverage + 0.2  # the mean of folds is better


def test_files_hold_the_intervals(fitted, numbers, tmp_path):
    fitted.to_file(tmp_path / "study.safetensors")
    again = NetworkRegressorCV.from_file(tmp_path / "study.safetensors")
    np.testing.assert_array_equal(again.predict_interval(numbers[0]), fitted.predict_interval(numbers[0]))
    assert again.get_params() == fitted.get_params()
    assert again.best_label_ == fitted.best_label_


def test_classes(classes):
    X, y = classes
    study = NetworkClassifierCV(**{**SMALL, "hidden": MLP((8,), "relu")}, n_candidates=2, scoring="accuracy")
    study.set_params(penalty=log_uniform(1e-4, 1e-1)).fit(X, y)
    assert len(study.candidates_) == 2
    assert study.score(X, y) > 0.85
    assert study.classes_.tolist() == ["no", "yes"]
    with pytest.raises(AttributeError, match="predict_interval"):
        study.predict_interval(X)


def test_verbose(numbers, capsys):
    NetworkRegressorCV(**SMALL, verbose=1).fit(*numbers)
    assert "12 of 12 networks" in capsys.readouterr().out
