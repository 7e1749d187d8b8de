"""Recursive forecasts: a linear model of one step, rolled out, is the autoregression that statistics rolls out."""

import jax
import numpy as np
import pytest

import perceptory as pt
from perceptory.data import read_series
from perceptory.networks.beside import Places
from perceptory.networks.rollout import Roll, RolledOut

HORIZON = 6


def test_levels_and_what_the_numbers_mean():
    """By hand: steps y_h of differences add up, those of seasonal changes add up over seasons, horizons are picked."""
    steps = np.arange(1.0, 6)[:, None, None]
    for level, horizons, want in (
        ("last", (1, 2, 5), [1, 2, 5]),
        ("difference", (1, 2, 5), [1, 2, 3 + 4 + 5]),
        ("season", (1, 3, 5), [1, 3 + 1, 5 + 3 + 1]),
    ):
        roll = Roll(level, 2, horizons, 1)
        np.testing.assert_allclose(roll.numbers(steps)[0], want)
    past = np.array([[[1.0, 9.0], [5.0, 9.0]]])
    assert float(Roll("last", 1, (1,), 1).base(past)[0, 0, 0]) == 5
    assert float(Roll("mean", 1, (1,), 1).base(past)[0, 0, 0]) == 3


def test_what_is_known_comes_in_time_and_the_calendar_turns():
    """The network within says what it is told of the next step, and how its window ends."""
    angle = 2 * np.pi / 7
    places = Places((0, 1, 2), (3, 4), (5,), 4, 3, False)
    roll = Roll("none", 1, (1, 2, 3), 1, (1,), ((0, 1, angle),))
    told = []

    def inner(x, key=None):
        told.append(x)
        return x[:, 0, :1] * 0 + x[:, -1, 1:2]  # the last value of the column that is known ahead

    x = np.random.default_rng(0).normal(size=(2, 4, 6)).astype(np.float32)
    x[:, -1, 3], x[:, -1, 4] = 0, 1
    out = RolledOut(inner, places, roll)(x)
    np.testing.assert_allclose(out, np.stack([x[:, -1, 1], x[:, -3, 5], x[:, -2, 5]], axis=1), rtol=1e-6)
    turned = roll.turned(roll.turned(x[:, -1, 3:5]))
    np.testing.assert_allclose(turned[0], [np.sin(2 * angle), np.cos(2 * angle)], rtol=1e-6)
    with jax.disable_jit():
        told.clear()
        RolledOut(inner, places, roll)(x)
    first = [np.asarray(one)[0, 0] for one in told[-3:]]  # sine, cosine and what comes stand before the window
    np.testing.assert_allclose([f[0] for f in first], np.sin(angle * np.arange(3)), atol=1e-6)
    np.testing.assert_allclose([f[2] for f in first], x[0, 1:, 5], rtol=1e-6)
    np.testing.assert_allclose(np.asarray(told[-1])[0, -1, 2], x[0, -1, 2], rtol=1e-6)  # the third column stays


def test_a_linear_model_rolled_out_is_the_autoregression():
    """Against a loop of NumPy, and its error by horizon against theory, the sum of ψ² up to the horizon."""
    rng, y = np.random.default_rng(1), np.zeros(1200)
    for t in range(2, len(y)):
        y[t] = 1.2 * y[t - 1] - 0.6 * y[t - 2] + rng.normal()
    data = read_series({"y": y}, "y", predict="ahead", window=4, horizon=range(1, HORIZON + 1), season=1)
    network = pt.Windowed(pt.Linear(1e-6), level="none", scale="none", recursive=True)
    study = pt.Study(networks=network, precision="double", validation=pt.RollingOrigin(1), test=0.3)
    result = study.run(data, open_test=True)
    model = result.model
    assert model.network.label.endswith("none/none recursive")
    assert model.weights.shape == (1, 5)
    (weight,), (bias,) = ([a for n, a in model.arrays().items() if n.endswith(end)] for end in ("weight", "bias"))
    windows = np.asarray(data.inputs)[:5]
    past, factor, steps = windows[..., 0] * model.in_factor[0], model.in_factor[0, 0], []
    for _ in range(HORIZON):
        steps.append(past @ weight + bias)
        past = np.column_stack([past[:, 1:], steps[-1]])
    np.testing.assert_allclose(model.predict(windows), np.column_stack(steps) / factor, rtol=1e-9)
    psi = [1.0, 1.2]
    for _ in range(HORIZON - 2):
        psi.append(1.2 * psi[-1] - 0.6 * psi[-2])
    np.testing.assert_allclose(result.tested["rmse"], np.sqrt(np.cumsum(np.square(psi))), rtol=0.12)
    with pytest.raises(pt.InputError, match="horizons begin with the next step"):
        pt.Study(networks=network).run(read_series({"y": y}, "y", predict="ahead", window=4, horizon=2, season=1))
    with pytest.raises(pt.InputError, match="go on from one number a target"):
        pt.Study(networks=network, cost=pt.Quantile((0.1, 0.9))).run(data)
    with pytest.raises(pt.InputError, match=r"recursive forecast .* no conversion"):
        model.to_onnx("never.onnx")
