"""Studies under each cost, the whole way: the recorded cost, the file, what the model says of a target."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm

from perceptory import MLP, Adam, Folds, Model, RBFNetwork, Study, choice, read_table
from perceptory.data import read_arrays, read_series
from perceptory.errors import InputError
from perceptory.networks.narx import NARX
from perceptory.networks.recurrent import RNN
from perceptory.objectives.table import (
    CustomCost,
    GaussianLikelihood,
    Huber,
    PoissonLikelihood,
    Quantile,
    SavedCost,
    SigmoidCrossEntropy,
    SigmoidSquaredError,
)

ROWS = 40
TRAIN, VALIDATION = np.arange(28), np.arange(28, 40)
QUICK = {"epochs": 4, "patience": 0, "test": 0, "optimizer": Adam(3e-2), "validation": Folds([(TRAIN, VALIDATION)])}
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(ROWS, 2))
Y = 100 + 20 * np.sin(X[:, 0]) + 5 * RANDOM.normal(size=ROWS)
COUNTS = RANDOM.poisson(np.exp(3 + X[:, 0])).astype(float)


def cubed(output, target):
    return jnp.sum(jnp.abs(output - target) ** 3, axis=-1)


def pinball(level, target, quantile):
    return np.maximum(level * (target - quantile), (level - 1) * (target - quantile))


def run(cost, targets, tmp_path):
    """The study's model, come through a file, and the validation cost that was recorded at its best epoch."""
    result = Study(MLP((2,)), cost=cost, **QUICK).run(read_table(X, targets))
    result.model.save(tmp_path / "m.safetensors")
    model = Model.load(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(model.distributions(X), result.model.distributions(X))
    np.testing.assert_array_equal(result.predictions.row, VALIDATION)
    if model.classes is None:
        shown = model.predict(X)[VALIDATION]
        np.testing.assert_allclose(result.predictions.output.reshape(shown.shape), shown, rtol=1e-5)
        error = result.predictions.target.reshape(shown.shape) - shown
        np.testing.assert_allclose(result.validation["mse"], np.mean(error**2, axis=0), rtol=1e-4)
    member = result.members[0]
    return result, model, member.validation_cost[member.best_epoch - 1]


def test_huber(tmp_path):
    result, model, recorded = run(Huber(0.5), Y, tmp_path)
    r = np.abs(model.predict(X) - Y)[VALIDATION] / Y[TRAIN].std()
    assert recorded == pytest.approx(np.mean(np.where(r < 0.5, r**2 / 2, 0.5 * (r - 0.25))), rel=1e-4)
    with pytest.raises(InputError, match=r"trained by Huber 0\.5 has no quantiles. Train one with cost=Quantile"):
        model.predict_quantiles(X)
    assert model.predict_deviation(X).shape == model.predict(X).shape  # from its residuals
    assert result.candidates[0].spec["cost"] == {"kind": "Huber", "delta": 0.5}


def test_quantiles_of_two_targets(tmp_path):
    both = np.stack([Y, -3 * Y + RANDOM.normal(size=ROWS)], axis=1)
    _, model, recorded = run(Quantile((0.2, 0.5, 0.9)), both, tmp_path)
    levels, values = model.predict_quantiles(X)
    assert levels == (0.2, 0.5, 0.9)
    assert values.shape == (ROWS, 2, 3)
    assert np.all(np.diff(values, axis=-1) > 0)
    np.testing.assert_array_equal(values[..., 1], model.predict(X))
    scale = both[TRAIN].std(axis=0)
    costs = sum(pinball(q, both, values[..., k]) / scale for k, q in enumerate(levels))
    assert recorded == pytest.approx(costs[VALIDATION].sum(axis=1).mean(), rel=1e-4)
    np.testing.assert_array_equal(model.predict_quantiles(X, (0.9,)).values, values[..., 2:])
    with pytest.raises(InputError, match=r"learned the levels 0.2, 0.5, 0.9, and 0.7 is not among them"):
        model.predict_quantiles(X, 0.7)


def test_gaussian_of_two_targets(tmp_path):
    both = np.stack([Y, 1000 * X[:, 1] + RANDOM.normal(size=ROWS)], axis=1)
    _, model, recorded = run(GaussianLikelihood(), both, tmp_path)
    mean, deviation, scale = model.predict(X), model.predict_deviation(X), both[TRAIN].std(axis=0)
    assert mean.shape == deviation.shape == both.shape
    costs = np.log(deviation / scale) + 0.5 * ((both - mean) / deviation) ** 2
    assert recorded == pytest.approx(costs[VALIDATION].sum(axis=1).mean(), rel=1e-4)
    values = model.predict_quantiles(X, (0.1, 0.5, 0.7)).values  # one network: a normal distribution
    expected = norm.ppf([0.1, 0.5, 0.7], mean[..., None], deviation[..., None])
    np.testing.assert_allclose(values, expected, rtol=1e-12)


def test_poisson(tmp_path):
    _, model, recorded = run(PoissonLikelihood(), COUNTS, tmp_path)
    rate, mean = model.predict(X) / COUNTS[TRAIN].mean(), COUNTS[TRAIN].mean()
    assert rate.min() > 0
    assert model.out_center[0, 0] == 0
    assert recorded == pytest.approx(np.mean(rate - COUNTS / mean * np.log(rate), where=np.arange(ROWS) > 27), rel=1e-4)
    with pytest.raises(InputError, match=r"needs targets of at least 0 \(counts\), and 'y' goes down to"):
        Study(cost="poisson").run(read_table(X, COUNTS - 50))


def test_sigmoid_with_squared_error(tmp_path):
    labels = np.where(Y > 100, "yes", "no")
    result, model, recorded = run(SigmoidSquaredError(), labels, tmp_path)
    wrong = model.predict_proba(X)[:, 1] - (labels == "yes")
    assert recorded == pytest.approx(np.mean(wrong[VALIDATION] ** 2) / 2, rel=1e-4)
    assert result.validation["log_loss"] > 0


def test_class_weights_move_the_cost_and_not_the_metrics(tmp_path):
    labels = np.where(np.arange(ROWS) % 5 > 0, "often", "rare")
    result, model, recorded = run(SigmoidCrossEntropy("balanced"), labels, tmp_path)
    assert model.cost == SigmoidCrossEntropy("balanced")
    p = model.predict_proba(X)
    own = -np.log(np.where(labels == "often", p[:, 0], p[:, 1]))[VALIDATION]
    count = (labels[TRAIN] == "often").sum()  # of the training rows alone
    weight = np.where(labels == "often", 14 / count, 14 / (28 - count))[VALIDATION]
    assert recorded == pytest.approx(np.average(own, weights=weight), rel=1e-4)
    assert result.validation["log_loss"] == pytest.approx(own.mean(), rel=1e-4)
    assert result.study["cost"]["class_weight"] == "balanced"


def test_candidates_are_ranked_by_their_own_cost():
    """The likelihood of the validation rows; the candidate whose mean is as good and whose deviation is not loses."""
    asked = Study([MLP((2,)), MLP((3,))], cost=GaussianLikelihood(), score="cost", **QUICK)
    result = asked.run(read_table(X, Y))
    found = {m.candidate: m for m in result.members}
    for c in result.candidates:
        member = found[c.id]
        assert c.mean == member.validation_cost[member.best_epoch - 1]
        assert c.train == member.train_cost[member.best_epoch - 1]
    assert result.candidates[0].mean < result.candidates[1].mean
    assert result.score == {"name": "cost", "direction": "min"}
    assert "Candidates by validation cost (smaller is better)" in result.summary()
    with pytest.raises(InputError, match=r"they have several \(Huber 0\.5, Huber 1\)\. Use one cost, or another score"):
        Study(MLP((2,)), cost=choice(Huber(0.5), Huber(1.0)), score="cost", **QUICK).run(read_table(X, Y))


def test_a_cost_of_ones_own(tmp_path):
    result, model, recorded = run(CustomCost(cubed, "cubed"), Y, tmp_path)
    r = np.abs(model.predict(X) - Y)[VALIDATION] / Y[TRAIN].std()
    assert recorded == pytest.approx(np.mean(r**3), rel=1e-4)
    assert model.cost == SavedCost("cubed")
    assert result.study["cost"] == {"custom": "CustomCost cubed"}


def test_gaussian_of_a_series(tmp_path):
    """One output a step: examples of 5 steps, mean and deviation of each."""
    steps = np.arange(8 * 5).reshape(8, 5) % 5
    u = RANDOM.normal(size=(8, 5, 1))
    y = 50 + 10 * np.cumsum(u, axis=1) + (1 + steps[..., None]) * RANDOM.normal(size=(8, 5, 1))
    train, validation = np.arange(6), np.arange(6, 8)
    study = Study(RNN((2,)), cost=GaussianLikelihood(), **QUICK | {"validation": Folds([(train, validation)])})
    result = study.run(read_arrays(u, y))
    result.model.save(tmp_path / "m.safetensors")
    model = Model.load(tmp_path / "m.safetensors")
    assert model.outputs == (5, 2)
    mean, deviation = model.predict(u), model.predict_deviation(u)
    assert mean.shape == deviation.shape == (8, 5)
    np.testing.assert_allclose(model.predict_quantiles(u, 0.5).values[..., 0, 0], mean, rtol=1e-12)
    own, scale = y[validation, :, 0], y[train].std()
    costs = np.log(deviation[validation] / scale) + 0.5 * ((own - mean[validation]) / deviation[validation]) ** 2
    member = result.members[0]
    assert member.validation_cost[member.best_epoch - 1] == pytest.approx(costs.mean(), rel=1e-4)
    assert result.validation["rmse"] == pytest.approx(np.sqrt(np.mean((own - mean[validation]) ** 2)), rel=1e-4)
    np.testing.assert_allclose(result.predictions.output[:, 0], mean[validation].ravel(), rtol=1e-5)


def test_networks_that_cannot_take_a_cost_say_so():
    with pytest.raises(InputError, match=r"RBF 3.* is solved by least squares.*Train all of it \(train=\"all\"\)"):
        Study(RBFNetwork(3), cost="gaussian").run(read_table(X, Y))
    series = read_series({"u": Y, "y": Y**2}, "y", inputs="u", predict="every step", window=5, known="all")
    for cost in ("quantile", "poisson"):
        with pytest.raises(InputError, match=r"NARX .* feeds its outputs back.*Use squared, absolute or huber"):
            Study(NARX((2,)), cost=cost).run(series)
