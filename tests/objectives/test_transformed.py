"""Squared error of transformed targets: what it knows of the targets, values by hand, and a study that chooses it."""

import jax
import numpy as np
import pytest
from scipy.special import ndtri

import perceptory as pt
from perceptory.errors import InputError
from perceptory.objectives.transformed import KNOTS, TRANSFORMS, TransformedError
from perceptory.specs import from_json, to_json

AMOUNTS = np.exp(np.random.default_rng(0).normal(1.0, 1.5, size=(400, 2)))
ONES = np.ones(len(AMOUNTS))


def on_scale(cost, t):
    """Targets as training sees them."""
    center, scale = cost.scale_targets(np.zeros(2), np.ones(2))
    return (t - center) / scale


def taken_back(cost, z):
    """Predictions in the targets' units."""
    return cost.unscale(cost.host_link(z), *cost.scale_targets(np.zeros(2), np.ones(2)))


def scores(cost, t):
    with jax.enable_x64(True):
        return np.asarray(jax.jit(cost.working_response)(on_scale(cost, t)))


def test_logarithms_by_hand():
    cost = TransformedError("log").for_targets(AMOUNTS, ONES)
    logs = np.log(AMOUNTS)
    expected = (logs - logs.mean(axis=0)) / logs.std(axis=0)
    np.testing.assert_allclose(scores(cost, AMOUNTS), expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(taken_back(cost, expected), AMOUNTS, rtol=1e-9)
    with jax.enable_x64(True):
        off = jax.jit(cost.per_row)(expected + np.array([1.0, -2.0]), on_scale(cost, AMOUNTS))
    np.testing.assert_allclose(off, 2.5, rtol=1e-9)
    # The mean of the scores is the mean of the logarithms.
    np.testing.assert_allclose(taken_back(cost, np.zeros((1, 2)))[0], np.exp(logs.mean(axis=0)), rtol=1e-9)


def test_places_by_hand():
    few = np.array([[5.0], [1.0], [1.0], [9.0]])
    cost = TransformedError("quantiles").for_targets(few, np.ones(4))
    np.testing.assert_allclose(cost.scores[0], ndtri([0.25, 0.625, 0.875]), rtol=1e-12)
    np.testing.assert_allclose(cost.knots[0], [0, 0.5, 1], rtol=1e-12)
    assert cost == TransformedError("quantiles").for_targets(few[[0, 1, 3]], np.array([1.0, 2.0, 1.0]))
    many = TransformedError("quantiles").for_targets(AMOUNTS, ONES)
    assert KNOTS - 4 <= len(many.knots[0]) <= KNOTS
    found = np.sort(scores(many, AMOUNTS)[:, 0])
    assert np.abs(found - ndtri((np.arange(400) + 0.5) / 400)).max() < 0.15  # linear between its knots
    np.testing.assert_allclose(taken_back(many, scores(many, AMOUNTS)), AMOUNTS, rtol=1e-6)


@pytest.mark.parametrize("by", TRANSFORMS)
def test_predictions_stay_among_what_was_seen(by):
    cost = TransformedError(by).for_targets(AMOUNTS, ONES)
    low, high = taken_back(cost, np.array([[-50.0, -50.0], [50.0, 50.0]]))
    np.testing.assert_allclose(low, AMOUNTS.min(axis=0), rtol=1e-12)
    np.testing.assert_allclose(high, AMOUNTS.max(axis=0), rtol=1e-12)
    z = np.linspace(-4, 4, 50, dtype=np.float32).reshape(25, 2)
    np.testing.assert_allclose(jax.jit(cost.inverse_link)(z), cost.host_link(z), rtol=1e-5)
    assert from_json(to_json(cost)) == cost
    assert cost.for_targets(2 * AMOUNTS, ONES) is cost  # of a model that goes on training


def test_a_study_takes_the_logarithm_where_it_helps(tmp_path):
    random = np.random.default_rng(1)
    x = random.normal(size=(300, 2))
    y = np.exp(2 * x[:, 0] + 0.05 * random.normal(size=300))
    costs = pt.choice(pt.SquaredError(), pt.TransformedError("log"))
    result = pt.Study(pt.Linear(), cost=costs, validation=pt.HoldOut(), test=0.0).run(pt.read_table(x, y))
    logarithm, plain = (one.mean for one in result.candidates)
    assert logarithm < 0.3 * plain
    model = result.model
    assert model.cost.by == "log"
    model.save(tmp_path / "model")
    predicted = pt.Model.load(tmp_path / "model").predict(3 * x)
    np.testing.assert_array_equal(predicted, model.predict(3 * x))
    assert [predicted.min(), predicted.max()] == pytest.approx([y.min(), y.max()], rel=1e-5)


def test_what_is_refused():
    with pytest.raises(InputError, match=r"logarithms need targets above 0, and 'y' goes down to 0\. .*quantiles"):
        TransformedError("log").check_targets(np.array([[0.0], [3.0]]), ("y",))
    TransformedError("quantiles").check_targets(np.array([[0.0], [3.0]]), ("y",))
    with pytest.raises(InputError, match="log"):
        TransformedError("root")
