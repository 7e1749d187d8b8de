"""Regularization inside the program: gradients clipped, penalties by layer, weights averaged; a member at a time."""

from dataclasses import replace

import numpy as np
import pytest

from perceptory import (
    SGD,
    ClipByNorm,
    GradientDescent,
    HoldOut,
    Study,
    WeightAverage,
    WeightPenalty,
    choice,
    read_table,
)
from perceptory.networks.base import layout
from perceptory.networks.mlp import MLP
from perceptory.training import plan

# --- clipping ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def one_step(apart, sums):
    """(taken, starting weights, weights after one step of gradient descent) for three limits in one group."""
    study = Study(
        networks=MLP((3,)), optimizer=SGD(0.5), clip=ClipByNorm(choice(1e-3, 0.1, 1e6)), epochs=1, patience=0,
        batch_size=100, validation=HoldOut(0.3), precision="double", test=0,
    )  # fmt: skip
    taken = apart(study, sums(30))
    assert len(taken.groups) == 1  # a limit is traced
    return taken, [taken.starting(i).astype(float) for i in range(3)], taken.train()


def test_a_step_has_the_length_of_the_limit_and_the_gradients_direction(one_step):
    taken, starts, outcomes = one_step
    for i, limit in enumerate((1e-3, 0.1)):
        step = outcomes[i].weights - starts[i]
        assert np.linalg.norm(step) == pytest.approx(0.5 * limit, rel=1e-8)
        h, gradient = 1e-6, []
        who = (i, 0, 0)
        for e in np.eye(len(step)):
            pair = [taken.cost_of(who, starts[i] + s * h * e, validation=False) for s in (1, -1)]
            gradient.append((pair[0] - pair[1]) / (2 * h))
        np.testing.assert_allclose(
            step / np.linalg.norm(step), -np.array(gradient) / np.linalg.norm(gradient), atol=1e-6
        )
    assert np.linalg.norm(outcomes[2].weights - starts[2]) > 0.05  # far below its limit


def test_alone_or_among_others(one_step):
    taken, _, together = one_step
    alone = taken.train(waiting=[1])[1]
    assert np.array_equal(alone.weights, together[1].weights)


def test_large_networks_whose_arrays_stay_apart(apart, sums, monkeypatch, one_step):
    """The norm goes over all arrays together, however a state holds them."""
    taken, _, flat = one_step
    monkeypatch.setattr(plan, "FLAT_WEIGHTS", 2)
    split = apart(taken.study, sums(30))
    split.groups[0].plan = replace(split.groups[0].plan, piece=64)  # another plan, so that it is compiled anew
    for place, outcome in split.train().items():
        np.testing.assert_allclose(outcome.weights, flat[place].weights, rtol=1e-9, atol=1e-12)


# --- averages ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def averaged(apart, sums):
    study = Study(
        networks=MLP(()), optimizer=GradientDescent(0.15), average=WeightAverage(choice(0.6, 1.0, 0.0), start=0.25),
        epochs=9, patience=0, validation=HoldOut(0.3), precision="double", test=0,
    )  # fmt: skip
    taken = apart(study, sums(24))
    assert len(taken.groups) == 1  # decay and start are traced
    return taken, taken.train()


def test_the_average_is_validated_and_kept_and_not_trained(averaged):
    taken, outcomes = averaged
    (x, t, w), (xv, tv, wv) = taken.scaled(0)
    x, xv = (np.hstack([a, np.ones((len(a), 1))]) for a in (x, xv))
    for place, decay in enumerate((0.6, 1.0, 0.0)):
        weights, path, train, validation = taken.starting(place).astype(float), [], [], []
        for epoch in range(1, 10):
            e = (x @ weights)[:, None] - t
            train.append(0.5 * np.average(e[:, 0] ** 2, weights=w))
            weights = weights - 0.15 * (x.T @ (w[:, None] / w.sum() * e))[:, 0]
            path.append(weights)
            seen = np.array(path[2:] if epoch > 2 else path[-1:])
            share = decay ** np.arange(len(seen))[::-1].astype(float)
            average = share @ seen / share.sum()
            validation.append(0.5 * np.average((xv @ average - tv[:, 0]) ** 2, weights=wv))
        np.testing.assert_allclose(outcomes[place].train_cost, train, rtol=1e-9)
        np.testing.assert_allclose(outcomes[place].validation_cost, validation, rtol=1e-9)
        if outcomes[place].best_epoch == 9:
            np.testing.assert_allclose(outcomes[place].weights, average, rtol=1e-9, atol=1e-12)
    assert outcomes[1].best_epoch == 9


def test_an_averaged_member_alone_has_the_same_bits(averaged):
    taken, together = averaged
    assert np.array_equal(taken.train(waiting=[0])[0].weights, together[0].weights)


# --- penalties ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def linear():
    random = np.random.default_rng(0)
    x = random.normal(size=(60, 8))
    y = x @ [1.0, -0.8, 0.05, 0.0, 0.3, -0.02, 0.0, 0.0] + 0.3 * random.normal(size=60)
    return read_table(x, y)


def trained(apart, data, penalty):
    study = Study(
        networks=MLP(()),
        optimizer=GradientDescent(0.3),
        penalty=penalty,
        epochs=400,
        patience=0,
        test=0,
        precision="double",
    )
    taken = apart(study, data, on_all_rows=True)
    x, t, _ = taken.scaled(0)[0]
    assert len(taken.groups) == 1
    return [o.weights for _, o in sorted(taken.train().items())], x, t[:, 0]


def test_mixes_and_strengths_share_a_program_from_the_lasso_to_no_penalty(apart, linear):
    """scikit-learn's elastic net: α r ‖w‖₁ + ½ α (1 - r) ‖w‖²; ours: λ m ‖w‖₁ + λ (1 - m) ‖w‖²."""
    from sklearn.linear_model import ElasticNet, Lasso

    weights, x, t = trained(apart, linear, WeightPenalty(choice(0.1, 0.0), mix=choice(1.0, 0.6)))
    lasso = Lasso(alpha=0.1, fit_intercept=False, tol=1e-12).fit(x, t).coef_
    np.testing.assert_allclose(weights[0][:8], lasso, atol=1e-9)
    l1, l2 = 0.1 * 0.6, 2 * 0.1 * 0.4
    elastic = ElasticNet(alpha=l1 + l2, l1_ratio=l1 / (l1 + l2), fit_intercept=False, tol=1e-12).fit(x, t).coef_
    np.testing.assert_allclose(weights[1][:8], elastic, atol=1e-9)
    assert np.array_equal(weights[1][:8] == 0, elastic == 0)
    assert (elastic == 0).sum() >= 4
    free = np.linalg.lstsq(np.hstack([x, np.ones((60, 1))]), t, rcond=None)[0]
    for w in weights[2:]:  # a strength of 0 stops no weight
        np.testing.assert_allclose(w, free, atol=1e-9)


def test_each_layer_has_its_own_strength(apart, sums):
    """One step from the start: every weight shrinks by 2 α λ of its own layer, beside the step of the cost alone."""
    study = Study(
        networks=MLP((3, 2)), optimizer=SGD(0.5), epochs=1, patience=0, batch_size=100, precision="double", test=0,
        penalty=WeightPenalty(choice(0.1, 0.2), layers={"layers.0": choice(0.02, 0.3), "layers.2.weight": 0.0}),
    )  # fmt: skip
    taken = apart(study, sums(30), on_all_rows=True)
    (group,) = taken.groups
    some, h = [0, 13, 20], 1e-6  # a weight of each layer
    for place, outcome in taken.train().items():
        start, penalty = taken.starting(place).astype(float), taken.candidates[group.who[place][0]].penalty
        gradient = (start - outcome.weights)[some] / 0.5
        strengths = np.array([penalty.layers[0].strength, penalty.strength, 0.0])
        plain = [
            (taken.cost_of((0, 0, 0), start + h * e, False) - taken.cost_of((0, 0, 0), start - h * e, False)) / (2 * h)
            for e in np.eye(len(start))[some]
        ]
        np.testing.assert_allclose(gradient - 2 * strengths * start[some], plain, atol=1e-7)
    assert layout(MLP((3, 2)), (3,), (1,)).weight_mask()[some].all()
