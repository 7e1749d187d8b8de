"""One member's training by value: against NumPy, with every row counted once, stopped and diverged as told."""

import numpy as np
import pytest

from perceptory import (
    SGD,
    Adam,
    Cosine,
    Folds,
    GradientDescent,
    HoldOut,
    KFold,
    Momentum,
    Study,
    WeightPenalty,
    choice,
)
from perceptory.networks.base import layout
from perceptory.networks.mlp import MLP

TINY = 1e-30  # a learning rate that leaves the weights as they are


def by_hand(weights, x, t, w, hidden, penalty=0.0):
    """(cost, gradient) of a network with one hidden tanh layer, back-propagated by hand (E16-E20), mean over rows."""
    p, k = x.shape[1], t.shape[1]
    parts = np.split(weights, np.cumsum([p * hidden, hidden, hidden * k]))
    Wh, bh, Wo, bo = parts[0].reshape(p, hidden), parts[1], parts[2].reshape(hidden, k), parts[3]
    v = np.tanh(x @ Wh + bh)
    e = v @ Wo + bo - t
    share = (w / w.sum())[:, None]
    d = (share * e) @ Wo.T * (1 - v**2)
    gradient = [x.T @ d + 2 * penalty * Wh, d.sum(0), v.T @ (share * e) + 2 * penalty * Wo, (share * e).sum(0)]
    return 0.5 * np.sum(share * e**2), np.concatenate([g.ravel() for g in gradient])


@pytest.mark.usefixtures("for_users")
@pytest.mark.parametrize("weighted", [False, True])
def test_gradient_descent_equals_numpy(apart, sums, weighted):
    """Five epochs on all rows, of the full path: encoding, scaling, penalty, steps, recorded costs."""
    data = sums(30, weights=np.linspace(0.1, 3, 30) if weighted else None)
    taken = apart(
        Study(
            networks=MLP((3,)), optimizer=GradientDescent(0.3), penalty=WeightPenalty(0.01), epochs=5, patience=0,
            validation=HoldOut(0.3), precision="double", test=0,
        ),
        data,
    )  # fmt: skip
    outcome = taken.train()[0]
    (x, t, w), (xv, tv, wv) = taken.scaled(0)
    weights, train, validation = taken.starting().astype(float), [], []
    for _ in range(5):
        cost, gradient = by_hand(weights, x, t, w, 3, penalty=0.01)
        weights = weights - 0.3 * gradient
        train.append(cost)
        validation.append(by_hand(weights, xv, tv, wv, 3)[0])
    np.testing.assert_allclose(outcome.train_cost, train, rtol=1e-9)
    np.testing.assert_allclose(outcome.validation_cost, validation, rtol=1e-9)
    assert outcome.best_epoch == 1 + int(np.argmin(validation))
    if outcome.best_epoch == 5:
        np.testing.assert_allclose(outcome.weights, weights, rtol=1e-9, atol=1e-11)


@pytest.mark.usefixtures("for_users")
def test_momentum_with_a_schedule_over_epochs_equals_numpy(apart, sums):
    """Progress of a schedule runs from 0 at the first step to 1 at the last."""
    taken = apart(
        Study(
            networks=MLP((2,)), optimizer=Momentum(Cosine(0.2), momentum=0.7), epochs=6, patience=0, batch_size=100,
            validation=HoldOut(0.3), precision="double", test=0,
        ),
        sums(24),
    )  # fmt: skip
    outcome = taken.train()[0]
    (x, t, w), _ = taken.scaled(0)
    weights, v, train = taken.starting().astype(float), 0.0, []
    for step in range(6):
        cost, gradient = by_hand(weights, x, t, w, 2)
        train.append(cost)
        v = 0.7 * v - 0.2 * 0.5 * (1 + np.cos(np.pi * step / 5)) * gradient
        weights = weights + v
    np.testing.assert_allclose(outcome.train_cost, train, rtol=1e-9)


@pytest.mark.parametrize(("rows", "batch", "folds"), [(23, 8, 2), (33, 4, 5)])
def test_every_row_counts_once_an_epoch(apart, sums, rows, batch, folds):
    """With steps too small to be seen the cost of an epoch is the mean over all training rows at the starting weights:
    a row left out, or counted twice, would show. The last batch is ragged, and folds differ in their length."""
    taken = apart(
        Study(
            networks=MLP((2,)), optimizer=SGD(TINY), epochs=3, patience=0, batch_size=batch, validation=KFold(folds),
            precision="double", test=0,
        ),
        sums(rows, weights=np.random.default_rng(5).uniform(0.2, 4, rows)),
    )  # fmt: skip
    assert any(len(a) % batch for a, _ in taken.folds)
    for place, outcome in taken.train().items():
        fold = taken.groups[0].who[place][1]
        (x, t, w), (xv, tv, wv) = taken.scaled(fold)
        weights = taken.starting(place).astype(float)
        np.testing.assert_allclose(outcome.train_cost, by_hand(weights, x, t, w, 2)[0], rtol=1e-9)
        np.testing.assert_allclose(outcome.validation_cost, by_hand(weights, xv, tv, wv, 2)[0], rtol=1e-9)


def test_steps_of_an_epoch_are_as_many_as_its_batches(apart, sums):
    """With a constant gradient (absolute error, target far above) the bias moves by α a step: folds of 9 and 10 rows
    in batches of 3 take 3 and 4 steps, and the padding of the shorter one none."""
    taken = apart(
        Study(
            networks=MLP(()), optimizer=SGD(1e-3), cost="absolute", epochs=2, patience=0, batch_size=3, test=0,
            validation=Folds(((tuple(range(9)), (10, 11)), (tuple(range(1, 11)), (0, 11)))), precision="double",
        ),
        sums(12),
    )  # fmt: skip
    assert taken.groups[0].plan.ragged
    bias = layout(MLP(()), (3,), (1,)).size - 1
    members = taken.groups[0].members
    center = members.center.copy()
    center[:, 0, -1] -= 1e6
    members = members._replace(center=center)
    outcomes = taken.train(members=members)
    # no target is reached: every row pulls up, with the mean of the signs, 1
    assert outcomes[0].weights[bias] == pytest.approx(3 * 2 * 1e-3, rel=1e-9)
    assert outcomes[1].weights[bias] == pytest.approx(4 * 2 * 1e-3, rel=1e-9)


def test_rows_drawn_with_replacement(apart, sums):
    """Costs of an epoch are then means of draws: they scatter about the mean over all rows, and differ by epoch."""
    taken = apart(
        Study(
            networks=MLP((2,)), optimizer=SGD(TINY), epochs=300, patience=0, batch_size=4, sampling="replacement",
            validation=HoldOut(0.25), precision="double", test=0,
        ),
        sums(24),
    )  # fmt: skip
    outcome = taken.train()[0]
    (x, t, w), _ = taken.scaled(0)
    exact = by_hand(taken.starting().astype(float), x, t, w, 2)[0]
    spread = outcome.train_cost.std()
    assert spread > 0.01 * exact
    assert abs(outcome.train_cost.mean() - exact) < 5 * spread / np.sqrt(300)


# --- stopping ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stopped(apart, sums):
    """Overfitting on purpose: few noisy rows, a large network, eight members."""
    study = Study(
        networks=MLP((24,), "relu"), optimizer=Adam(choice(0.03, 0.06)), epochs=60, patience=4, batch_size=8,
        validation=KFold(4), test=0, seed=3,
    )  # fmt: skip
    taken = apart(study, sums(32, noise=3.0))
    return taken, taken.train()


def test_patience_counts_epochs_without_a_better_validation_cost(stopped):
    _, outcomes = stopped
    assert sum(o.status == "stopped" for o in outcomes.values()) >= 4
    for o in outcomes.values():
        assert len(o.train_cost) == len(o.validation_cost) == o.epochs
        assert o.best_epoch == 1 + int(np.argmin(o.validation_cost))
        best, since = np.inf, 0
        for e, cost in enumerate(o.validation_cost, 1):
            best, since = (cost, 0) if cost < best else (best, since + 1)
            assert (since >= 4) == (o.status == "stopped" and e == o.epochs)
        if o.status == "stopped":
            assert o.epochs == o.best_epoch + 4
        else:
            assert (o.status, o.epochs) == ("finished", 60)


def test_weights_are_those_of_the_best_epoch(stopped):
    taken, outcomes = stopped
    for place, o in outcomes.items():
        again = taken.cost_of(taken.groups[0].who[place], o.weights)
        assert again == pytest.approx(o.validation_cost[o.best_epoch - 1], rel=2e-4)
        assert again == pytest.approx(o.validation_cost.min(), rel=2e-4)


def test_outputs_are_those_of_the_best_weights(stopped):
    taken, outcomes = stopped
    for place, o in outcomes.items():
        (_, t, _), (_, tv, wv) = taken.scaled(taken.groups[0].who[place][1])
        assert o.train_output.shape == t.shape
        assert o.validation_output.shape == tv.shape
        cost = np.average(0.5 * np.sum((o.validation_output - tv) ** 2, axis=1), weights=wv)
        assert cost == pytest.approx(o.validation_cost.min(), rel=2e-4)


def test_patience_zero_goes_to_the_end_and_keeps_the_best(apart, sums, stopped):
    study = stopped[0].study.replace(patience=0)
    outcomes = apart(study, sums(32, noise=3.0)).train()
    for place, o in outcomes.items():
        assert (o.status, o.epochs) == ("finished", 60)
        assert o.best_epoch == 1 + int(np.argmin(o.validation_cost))
        short = stopped[1][place]
        assert np.array_equal(short.validation_cost, o.validation_cost[: short.epochs])  # the same run, only longer
