"""Autoencoders as transformers and as detectors of outliers."""

from __future__ import annotations

import pickle

import numpy as np
import polars as pl
import pytest
from sklearn import decomposition
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from perceptory import LBFGS, PCA, InputError, Model, NetworkAutoencoder, NetworkAutoencoderCV, NetworkRegressor
from perceptory.estimators.codes import code_width, threshold

SMALL = {
    "hidden": (), "code": 2, "noise": 0.0, "epochs": 40, "batch_size": 16, "learning_rate": 0.02, "random_state": 0,
}  # fmt: skip


@pytest.fixture(scope="module")
def flat():
    """X [120, 4], three columns of which follow from two."""
    random = np.random.default_rng(0)
    z = random.normal(size=(120, 2))
    return 5 + 2 * np.column_stack([z, z @ [1.0, -1.0], z @ [0.5, 1.0]]) + 0.1 * random.normal(size=(120, 4))


@pytest.fixture(scope="module")
def fitted(flat):
    return NetworkAutoencoder(**SMALL).fit(flat)


def test_codes_and_back(fitted, flat):
    codes = fitted.transform(flat)
    assert codes.shape == (120, 2)
    back = fitted.inverse_transform(codes)
    np.testing.assert_allclose(back, fitted.model_.reconstruct(flat).to_numpy())
    shares = np.mean((back - flat) ** 2, axis=0) / np.mean((flat - flat.mean(axis=0)) ** 2, axis=0)
    assert fitted.score(flat) == pytest.approx(-shares.mean(), rel=0.1)  # scaled by the training rows, a share of all
    assert -0.05 < fitted.score(flat) < 0
    assert fitted.get_feature_names_out().tolist() == ["networkautoencoder0", "networkautoencoder1"]


def test_the_rows_that_were_held_out_make_p_values_and_threshold(fitted, flat):
    """All of them against the definition, from the errors of the model."""
    unlike = flat[:5] + np.array([6, 6, -6, 0])
    rows = np.concatenate([flat, unlike])
    errors = (fitted.model_.reconstruct(rows).to_numpy() - rows) ** 2 / fitted.model_.out_scale**2
    (group,) = fitted.model_.facts["held_out"]  # usual errors are those of the rows that were trained on
    scores = np.log1p(errors / group["usual"]).mean(axis=1)
    np.testing.assert_allclose(fitted.score_samples(rows), -scores, rtol=1e-9)
    held = np.array(group["scores"])
    assert 20 <= len(held) <= 28  # a fifth of 120
    expected = [(1 + np.sum(held >= s)) / (len(held) + 1) for s in scores[-5:]]
    np.testing.assert_allclose(fitted.p_values(unlike), expected)
    assert np.all(fitted.p_values(unlike) < 0.05)
    np.testing.assert_array_equal(fitted.predict(rows) == -1, fitted.p_values(rows) <= 0.05)
    anomalies = fitted.model_.anomaly_score(rows)
    np.testing.assert_allclose(anomalies.score, scores)
    np.testing.assert_allclose(anomalies.by_column.mean(axis=1), scores)


def test_a_share_of_the_training_rows(fitted, flat):
    model = clone(fitted).set_params(contamination=0.1).fit(flat)
    assert np.sum(model.predict(flat) == -1) == 12
    with pytest.raises(InputError, match="contamination needs"):
        clone(fitted).set_params(contamination=0.7).fit(flat)


def test_too_few_held_out_rows_are_said(fitted, flat):
    few = clone(fitted).set_params(level=0.001).fit(flat)
    with pytest.warns(UserWarning, match="too few rows were held out"):
        assert np.all(few.predict(flat) == 1)
    with pytest.raises(InputError, match="no errors of validation rows"):
        clone(fitted).set_params(validation_fraction=0).fit(flat).p_values(flat)


def test_in_pipelines_grids_and_columns(flat):
    pytest.importorskip("pandas")
    grid = GridSearchCV(NetworkAutoencoder(**SMALL), {"code": [1, 2]}, cv=2).fit(flat)
    assert grid.best_params_ == {"code": 2}
    columns = ColumnTransformer([("codes", grid.best_estimator_, [0, 1, 2, 3])])
    pipeline = make_pipeline(StandardScaler(), columns).set_output(transform="pandas")
    codes = pipeline.fit_transform(flat)
    assert codes.columns.tolist() == ["codes__networkautoencoder0", "codes__networkautoencoder1"]


def test_pickles_and_files(fitted, flat, tmp_path):
    fitted.to_file(tmp_path / "codes.safetensors")
    for again in (pickle.loads(pickle.dumps(fitted)), NetworkAutoencoder.from_file(tmp_path / "codes.safetensors")):
        np.testing.assert_array_equal(again.transform(flat), fitted.transform(flat))
        np.testing.assert_array_equal(again.decision_function(flat), fitted.decision_function(flat))
    assert Model.load(tmp_path / "codes.safetensors").encode(flat) == pytest.approx(fitted.transform(flat))
    with pytest.raises(InputError, match="Use that class"):
        NetworkRegressor.from_file(tmp_path / "codes.safetensors")
    assert pickle.loads(pickle.dumps(fitted)).partial_fit(flat).n_iter_ == fitted.n_iter_ + 1


def test_frames_with_categories_and_gaps(flat, tmp_path):
    frame = pl.DataFrame(
        {
            "a": np.where(np.arange(120) % 9 == 0, np.nan, flat[:, 0]),
            "b": flat[:, 2],
            "side": pl.Series(np.where(flat[:, 0] > 5, "right", "left"), dtype=pl.Categorical),
            "high": flat[:, 2] > 5,
        }
    )
    model = NetworkAutoencoder(**{**SMALL, "code": 3}).fit(frame)
    back = model.inverse_transform(model.transform(frame))
    assert back.columns == frame.columns
    assert np.mean(back["side"].to_numpy() == frame["side"].cast(pl.String).to_numpy()) > 0.9
    assert back["high"].dtype == pl.Boolean
    assert np.isfinite(model.score_samples(frame)).all()
    model.to_file(tmp_path / "model.safetensors")
    again = NetworkAutoencoder.from_file(tmp_path / "model.safetensors")
    assert again.inverse_transform(again.transform(frame)).equals(back)
    np.testing.assert_array_equal(again.p_values(frame), model.p_values(frame))
    swapped = frame.with_columns(pl.lit("left").cast(pl.Categorical).alias("side"))
    worse = model.score_samples(swapped) < model.score_samples(frame) - 0.05
    assert worse[flat[:, 0] > 6].mean() > 0.9


def test_a_study_of_codes(flat):
    unlike = np.array([30, 40])
    X = flat.copy()
    X[unlike, :2] += [6, 6]
    study = NetworkAutoencoderCV([()], code=[2], noise=0.0, epochs=10, cv=2, random_state=0).fit(X)
    assert {"PCA to 2" in label for label in study.candidates_["label"]} == {True, False}
    assert study.transform(X).shape == (120, 2)
    held = study.held_out_scores_
    assert set(np.argsort(held)[:2]) == set(unlike)  # by networks that have not seen them
    predictions = study.result_.predictions
    usual = np.mean([group["usual"] for group in study.model_.facts["held_out"]], axis=0)
    np.testing.assert_allclose(held[predictions.row], -np.log1p(predictions.output / usual).mean(axis=1))
    assert sum(len(group["scores"]) for group in study.model_.facts["held_out"]) == 120


def test_pca_is_principal_component_analysis(flat):
    ours = NetworkAutoencoder(PCA(2), validation_fraction=0, random_state=0).fit(flat)
    X = StandardScaler().fit_transform(flat)
    theirs = decomposition.PCA(2).fit(X)
    back = StandardScaler().fit(flat).inverse_transform(theirs.inverse_transform(theirs.transform(X)))
    np.testing.assert_allclose(ours.inverse_transform(ours.transform(flat)), back, rtol=1e-6)
    directions = np.asarray(ours.network_.encoder.layers[0].weight)
    angles = np.linalg.svd(theirs.components_ @ directions, compute_uv=False)
    np.testing.assert_allclose(angles, 1, rtol=1e-5)  # cosines between the subspaces


def test_a_linear_autoencoder_spans_the_principal_components(flat):
    linear = NetworkAutoencoder(
        (), 2, noise=0.0, optimizer=LBFGS(), epochs=80, validation_fraction=0, precision="double", random_state=0
    )
    X = StandardScaler().fit_transform(flat)
    theirs = decomposition.PCA(2).fit(X)
    best = np.mean((X - theirs.inverse_transform(theirs.transform(X))) ** 2)
    assert -linear.fit(flat).score(flat) == pytest.approx(best, rel=1e-3)
    decoder = np.asarray(linear.network_.decoder.layers[0].weight)  # [code, column] spans the subspace
    angles = np.linalg.svd(theirs.components_ @ np.linalg.qr(decoder.T)[0], compute_uv=False)
    np.testing.assert_allclose(angles, 1, atol=1e-4)


def test_p_values_hold_for_rows_like_those_of_training(fitted):
    """Over draws of training rows and new rows, p <= 0.2 happens with probability of about 0.2, though early stopping
    looks at the held-out rows."""
    random = np.random.default_rng(1)
    shares = []
    for _ in range(15):
        X = random.normal(size=(240, 2)) @ np.array([[1.0, 0, 1, 0.5], [0, 1, -1, 1]]) + 0.1 * random.normal(
            size=(240, 4)
        )
        shares.append(np.mean(clone(fitted).fit(X[:120]).p_values(X[120:]) <= 0.2))
    assert np.mean(shares) == pytest.approx(0.2, abs=0.06)


def test_the_width_of_a_code_is_that_of_principal_components():
    random = np.random.default_rng(0)
    X = random.normal(size=(500, 3)) @ random.normal(size=(3, 8)) + 0.01 * random.normal(size=(500, 8))
    ratios = decomposition.PCA().fit(StandardScaler().fit_transform(X)).explained_variance_ratio_
    assert code_width(X, None) == int(np.searchsorted(np.cumsum(ratios), 0.85) + 1)
    twice = np.concatenate([X, X[:100]])
    weights = np.ones(500)
    weights[:100] = 2
    assert code_width(X, weights) == code_width(twice, None)
    assert code_width(np.ones((5, 2)), None) == 1


def test_a_threshold_leaves_a_share_below():
    scores = np.array([3.0, 1.0, 2.0, 5.0])
    assert threshold(scores, np.ones(4), 0.25) == 1.5
    assert threshold(scores, np.array([1.0, 1.0, 2.0, 1.0]), 0.6) == 2.5  # weights 1 and 2 of 5
    assert threshold(scores, np.ones(4), 0.1) == 1.0  # below which there is none
