"""A second-order optimizer in the population program, compiled as for users."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from perceptory import MLP, KFold, LevenbergMarquardt, Study, WeightPenalty, choice
from perceptory.layers.arrays import unpack
from perceptory.networks.base import layout
from perceptory.training import plan as plans

TINY = Study(MLP((2,)), optimizer=LevenbergMarquardt(), epochs=4, patience=0, validation=KFold(3), test=0.0,
             precision="double")  # fmt: skip


@pytest.fixture(scope="module")
def population(apart, sums):
    """Folds of unequal length (so that there is padding), weighted rows, two starts, a penalty, two first dampings."""
    study = TINY.replace(
        optimizer=LevenbergMarquardt(choice(1e-3, 1.0)), penalty=WeightPenalty(1e-2), seeds=2, validation=KFold(3)
    )
    taken = apart(study, sums(29, weights=np.tile([1.0, 0.5, 3.0], 10)[:29]))
    plan = taken.groups[0].plan
    with pytest.MonkeyPatch.context() as patch:  # three blocks of seven rows, one of which is padding
        patch.setattr(plans, "JACOBIAN_BYTES", 8 * 11 * plan.block * 8)
        assert plans.rows_at_once("gauss_newton", 11, plan) == 8
        return taken, taken.train()


def test_one_group_and_no_dependence_on_the_others(population):
    taken, together = population
    assert len(taken.groups) == 1
    plan = taken.groups[0].plan
    assert len(together) == 12
    assert plan.rows == 20 and min(taken.groups[0].members.count) == 19  # noqa: PT018
    for place in (0, 7):
        alone = taken.train(waiting=[place])[place]
        np.testing.assert_array_equal(alone.weights, together[place].weights)
        np.testing.assert_array_equal(alone.train_cost, together[place].train_cost)


def test_a_member_is_levenberg_marquardt_in_numpy(population):
    """Scaled rows of its own fold, mean cost, the weight penalty in the normal equations and in what is compared."""
    taken, together = population
    spec = taken.candidates[0].network
    mask = layout(spec, (3,), (1,)).weight_mask()
    with jax.enable_x64(True):
        network = spec.build((3,), (1,), key=jax.random.key(0))

    @jax.jit
    def residuals_and_jacobian(v, x, t, w):
        def residuals(v):
            return (jnp.sqrt(w / w.sum())[:, None] * (unpack(network, v)(x) - t)).ravel()

        return residuals(v), jax.jacobian(residuals)(v)

    for place in (0, 5, 11):
        candidate, fold, _ = taken.groups[0].who[place]
        mu = taken.candidates[candidate].optimizer.damping
        rows, _ = taken.scaled(fold)
        v = taken.starting(place)
        with jax.enable_x64(True):

            def at(v, rows=rows):
                return map(np.asarray, residuals_and_jacobian(v, *rows))

            def cost(v, at=at):
                e, _ = at(v)
                return 0.5 * np.sum(e**2) + 1e-2 * np.sum(v[mask] ** 2)

            costs = []
            for _ in range(4):
                e, j = at(v)
                h, g = j.T @ j + 2e-2 * np.diag(mask), j.T @ e + 2e-2 * mask * v
                for k in range(10):
                    step = -np.linalg.solve(h + mu * np.eye(len(v)), g)
                    fall = cost(v) - cost(v + step)
                    if fall > 0:
                        ratio = fall / -(g @ step + 0.5 * step @ h @ step)
                        v, mu = v + step, mu * max(1 / 3, 1 - (2 * ratio - 1) ** 3)
                        break
                    mu *= 2 ** (k + 1)
                costs.append(cost(v) - 1e-2 * np.sum(v[mask] ** 2))
        np.testing.assert_allclose(together[place].train_cost, costs, rtol=1e-8)
