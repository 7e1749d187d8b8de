"""The parts of a training step, and the order in which a chain has them."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from perceptory import ClipByNorm, WeightPenalty
from perceptory.optimizers.transforms import clipped, exact_zeros, penalized, scaled

W, G = (jnp.array([1.0, -0.5, 0.0, 0.0]),), (jnp.array([3.0, -4.0, 0.2, 2.0]),)
EVERY = (jnp.ones(4),)


def applied(transformation, gradient=G):
    updates, _ = transformation.update(gradient, transformation.init(W), W)
    return np.asarray(updates[0])


def test_the_penalty_adds_its_slope_where_it_counts():
    half = (jnp.array([1.0, 0.0, 1.0, 1.0]),)
    np.testing.assert_allclose(applied(penalized(WeightPenalty(0.5), half)), [4, -4, 0.2, 2], rtol=1e-6)


def test_clipping_counts_only_what_moves():
    first_two = (jnp.array([1.0, 1.0, 0.0, 0.0]),)
    np.testing.assert_allclose(applied(clipped(ClipByNorm(1.0), first_two)), [0.6, -0.8, 0, 0], rtol=1e-6)


def test_frozen_weights_do_not_move():
    assert applied(scaled((jnp.array([0.0, 1.0, 1.0, 0.0]),))).tolist() == pytest.approx([0, -4, 0.2, 0])


def test_a_weight_that_crosses_0_or_rests_there_ends_at_exactly_0():
    penalty = WeightPenalty(0.5, p=1)
    rule = optax.chain(penalized(penalty, EVERY), exact_zeros(penalty, EVERY, optax.scale(-1.0)))
    new = np.asarray(W[0]) + applied(rule)
    assert new.tolist() == [0, 0, 0, -1.5]  # crossed, crossed, rests since |0.2| < 0.5, leaves


@pytest.mark.parametrize(
    "absent", [penalized(None, EVERY), clipped(None, None), scaled(None), exact_zeros(None, EVERY, optax.identity())]
)
def test_what_is_left_out_changes_nothing(absent):
    np.testing.assert_array_equal(applied(absent), G[0])


def test_other_powers_leave_the_update_alone():
    np.testing.assert_array_equal(applied(exact_zeros(WeightPenalty(0.5), EVERY, optax.scale(-1.0))), -G[0])
