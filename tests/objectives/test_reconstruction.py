"""The cost of autoencoders: values by hand, balance, missing values, gradient, curvature, its errors and scaling."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from perceptory.objectives.reconstruction import Reconstruction
from perceptory.selection.metrics import reconstruction_error

TABLE = Reconstruction(kinds=("number", "class", "number"), widths=(1, 3, 2))
RANDOM = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


def targets(rows: int) -> np.ndarray:
    """A number, a category of weight 0.8 (as `scale_targets` leaves it) and a pair of numbers."""
    t = RANDOM.normal(size=(rows, 6))
    t[:, 1:4] = 0.8 * np.eye(3)[RANDOM.integers(0, 3, rows)]
    return t


def test_values_by_hand():
    output = np.array([[1.0, 0.0, np.log(2), 0.0, 3.0, 1.0]])
    target = np.array([[0.5, 0.0, 0.8, 0.0, 1.0, 2.0]])
    by_hand = 0.5 * 0.25 - 0.8 * np.log(2 / 4) + 0.5 * (4 + 1)
    np.testing.assert_allclose(TABLE.per_row(output, target), [by_hand])
    np.testing.assert_allclose(
        TABLE.errors(output, target, np.ones(1)), [[0.25, -1.6 * np.log(0.5), 5.0]]
    )  # fmt: skip


def test_what_is_missing_costs_nothing_and_has_no_error():
    output, target = RANDOM.normal(size=(2, 6)), targets(2)
    target[0, 1:4] = np.nan
    target[1, 0] = np.nan
    whole, there = TABLE.per_row(output, np.nan_to_num(target)), TABLE.per_row(output, target)
    np.testing.assert_allclose(there[1], whole[1] - 0.5 * output[1, 0] ** 2)
    gradient = jax.jit(jax.grad(lambda y: jnp.sum(TABLE.per_row(y, target))))(output)
    assert not gradient[0, 1:4].any()
    assert gradient[1, 0] == 0
    assert np.isfinite(gradient).all()
    assert np.isnan(TABLE.errors(output, target, np.ones(2))).tolist() == [[False, True, False], [True, False, False]]


def test_the_error_of_the_mean_is_1():
    """A constant costs ½ a column, whether a number or a category of many values, as `scale_targets` weighs them."""
    names = RANDOM.choice(4, 5000, p=[0.7, 0.2, 0.05, 0.05])
    given = np.stack([RANDOM.normal(7, 3, 5000), *np.eye(4)[names].T, *RANDOM.normal(size=(2, 5000))], axis=1)
    cost = Reconstruction(kinds=("number", "class", "number"), widths=(1, 4, 2))
    center, scale = cost.scale_targets(given.mean(axis=0), given.std(axis=0))
    np.testing.assert_array_equal(center[1:5], 0)
    scaled = (given - center) / scale
    best = np.concatenate([[0.0], np.log(np.bincount(names) / 5000), [0.0, 0.0]])
    errors = np.asarray(cost.errors(np.tile(best, (5000, 1)), scaled, np.ones(5000)))
    np.testing.assert_allclose(reconstruction_error(None, errors), 1, rtol=1e-9)
    np.testing.assert_allclose(np.mean(cost.per_row(np.tile(best, (5000, 1)), scaled)), 1.5, rtol=1e-9)
    back = cost.unscale(np.asarray(cost.inverse_link(np.tile(best, (1, 1)))), center, scale)
    np.testing.assert_allclose(back[0], given.mean(axis=0), rtol=1e-6)


def test_gradient_and_curvature_by_differences():
    output, target = RANDOM.normal(size=(3, 6)), targets(3)
    target[1, 4:] = np.nan

    total = jax.jit(lambda y: jnp.sum(TABLE.per_row(y, target)))
    gradient, step = jax.jit(jax.grad(total))(output), 1e-6
    for row in range(3):
        for k in range(6):
            to = np.zeros_like(output)
            to[row, k] = step
            slope = (total(output + to) - total(output - to)) / (2 * step)
            np.testing.assert_allclose(gradient[row, k], slope, rtol=1e-5, atol=1e-8)
    hessian = jax.jit(jax.hessian(lambda y: TABLE.per_row(y[None], target[:1])[0]))(output[0])
    curvature = np.asarray(jax.jit(TABLE.curvature)(output, target))
    np.testing.assert_allclose(curvature[0], hessian, atol=1e-12)
    assert not curvature[1, 4:].any()


def test_channels_of_pictures_and_steps_of_series():
    pictures, series = Reconstruction(channels=2), Reconstruction(channels=3)
    output, target = RANDOM.normal(size=(4, 12)), RANDOM.normal(size=(4, 12))
    by_channel = ((output - target) ** 2).reshape(4, 6, 2).mean(axis=1)
    np.testing.assert_allclose(pictures.errors(output, target, np.ones(4)), by_channel)
    np.testing.assert_allclose(pictures.per_row(output, target), 6 * by_channel.sum(axis=1) / 2)
    output, target = RANDOM.normal(size=(2, 5, 3)), RANDOM.normal(size=(2, 5, 3))
    weight = np.array([[1.0, 1, 1, 1, 1], [2.0, 1, 0, 0, 0]])
    errors = series.errors(output, target, weight)
    np.testing.assert_allclose(errors[1], ((output - target)[1, :2] ** 2).mean(axis=0))
