"""The cost of a network with auxiliary objectives: by hand, by finite differences, and what is missing."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from perceptory import AbsoluteError, Auxiliary, GaussianLikelihood, Huber, SoftmaxCrossEntropy, SquaredError
from perceptory.errors import InputError
from perceptory.objectives.auxiliary import auxiliary_parts
from perceptory.objectives.parts import Composite, Part, objective_costs, part_sums, whole_of

NAN = np.nan
PAIR = Composite(SquaredError(), 1, 2, (Part(SquaredError(), 0.5, None, 1, 1, 1),))
# Outputs: two heads of the main cost, one of numbers, three of classes; targets: main, number, three classes.
MIXED = Composite(
    GaussianLikelihood(beta=0.0), 1, 5,
    (Part(Huber(0.7), 0.3, None, 2, 1, 1), Part(SoftmaxCrossEntropy(), 2.0, 0.5, 3, 2, 3)),
)  # fmt: skip
TARGETS = np.array([[0.4, -1.0, 0, 1, 0], [-0.3, NAN, 1, 0, 0], [1.2, 0.8, NAN, NAN, NAN]])


def test_by_hand():
    output, target = np.array([[1.0, 2.0], [3.0, 5.0]]), np.array([[0.0, 1.0], [1.0, NAN]])
    # ½ 1² + ½ · ½ 1² in the first row; ½ 2² in the second, whose auxiliary target is missing.
    np.testing.assert_allclose(jax.jit(PAIR.per_row)(output, target), [0.75, 2.0])
    main, (other,) = jax.jit(partial(objective_costs, PAIR))(output, target, np.array([1.0, 3.0]))
    assert float(main) == pytest.approx((0.5 + 3 * 2) / 4)
    assert float(other) == pytest.approx(0.5)  # over the one row that has it
    assert PAIR.shape((2,)) == (2,)
    assert PAIR.targets_of(2) == 2


def test_slopes_agree_with_finite_differences():
    h, share = 1e-6, np.array([0.2, 0.5, 0.3])
    with jax.enable_x64(True):
        output = np.random.default_rng(0).normal(size=(3, 6))
        steps = h * np.eye(18).reshape(18, 3, 6)

        @jax.jit
        def looked(output):
            cost = MIXED.at(0.2)

            def whole(output):
                return whole_of(cost, part_sums(cost, output, TARGETS, share))

            return (
                whole(output),
                jax.grad(whole)(output),
                jnp.sum(cost.per_row(output, TARGETS) * share),
                jax.vmap(lambda step: (whole(output + step) - whole(output - step)) / (2 * h))(steps),
            )

        value, slope, rows, differences = map(np.asarray, looked(output))
    np.testing.assert_allclose(slope.ravel(), differences, atol=1e-8)
    assert float(value) == pytest.approx(float(rows), rel=1e-12)
    assert slope[1, 2] == 0
    assert not slope[2, 3:].any()


def test_curvature_is_that_of_the_parts_on_the_diagonal():
    cost = Composite(SquaredError(), 1, 4, (Part(SoftmaxCrossEntropy(), 0.5, None, 1, 1, 3),))
    output = np.random.default_rng(1).normal(size=4)

    @jax.jit
    def looked(output, target):
        return jax.hessian(lambda o: cost.per_row(o[None], target[None])[0])(output), cost.curvature(
            output[None], target[None]
        )[0]

    exact, there = looked(output, np.array([1.0, 0, 0, 1]))
    np.testing.assert_allclose(there, exact, atol=1e-6)
    _, alone = looked(output, np.array([1.0, NAN, NAN, NAN]))
    assert alone[0, 0] == 1
    assert alone.sum() == 1


def test_a_weight_fades_in_a_straight_line():
    weights = [MIXED.at(progress).parts[1].weight for progress in (0.0, 0.25, 0.5, 0.9)]
    np.testing.assert_allclose(weights, [2.0, 1.0, 0.0, 0.0])
    assert MIXED.at(0.9).parts[0].weight == 0.3  # the other one does not


def test_outputs_to_aim_at_where_targets_are_missing():
    aim = np.asarray(jax.jit(MIXED.working_response)(TARGETS))
    assert aim.shape == (3, 6)
    assert np.isfinite(aim).all()
    np.testing.assert_allclose(aim[:, 2], [-1.0, 0.0, 0.8])
    np.testing.assert_allclose(aim[0, 3:], [-1, 2, -1])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"target": 3}, "name of a column"),
        ({"target": "z", "weight": -0.1}, "at least 0, got -0.1"),
        ({"target": "z", "fade": 0}, "above 0 and at most 1"),
        ({"target": "z", "fade": 1.5}, "above 0 and at most 1"),
        ({"target": "z", "cost": "squared"}, "needs a cost"),
    ],
)
def test_what_is_refused(arguments, words):
    with pytest.raises(InputError, match=words):
        Auxiliary(**arguments)


def test_labels_and_lists():
    one = Auxiliary("depth", cost=AbsoluteError(), weight=0.25, fade=0.5)
    assert one.label == "auxiliary depth AbsoluteError 0.25 fading over 0.5"
    assert auxiliary_parts((None, one)) == (one,) == auxiliary_parts(one)
