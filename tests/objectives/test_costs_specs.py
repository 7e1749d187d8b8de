"""Costs as specs: checks, files, class weights, targets that suit, functions of one's own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from perceptory.errors import InputError
from perceptory.objectives.table import (
    COSTS,
    CustomCost,
    GammaLikelihood,
    GaussianLikelihood,
    Huber,
    PoissonLikelihood,
    Quantile,
    SavedCost,
    SigmoidCrossEntropy,
    SoftmaxCrossEntropy,
    mean_cost,
    total_cost,
)
from perceptory.specs import from_json, partition, to_json


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Huber(0), "Huber.delta needs a number above 0, got 0"),
        (lambda: Quantile((0.5, 0.1)), r"Quantile.levels needs rising numbers between 0 and 1, got \(0.5, 0.1\)"),
        (lambda: Quantile(()), "rising numbers"),
        (lambda: Quantile(1.0), "rising numbers"),
        (lambda: Quantile((0.5, 0.5)), "rising numbers"),
        (lambda: Quantile("half"), "rising numbers between 0 and 1, got 'half'"),
        (lambda: GaussianLikelihood(beta=2), "GaussianLikelihood.beta needs a number from 0 to 1, got 2"),
        (lambda: GaussianLikelihood(floor=0), "floor needs a number above 0"),
        (lambda: SoftmaxCrossEntropy("even"), "class_weight needs weights of at least 0.*got 'even'.*balanced"),
        (lambda: SoftmaxCrossEntropy((1.0, -1.0)), "class_weight needs weights of at least 0"),
        (lambda: SigmoidCrossEntropy((0.0, 0.0)), "not all of them 0"),
        (lambda: CustomCost(3), "CustomCost.function needs a function"),
        (lambda: CustomCost(lambda o, t: o), "needs a name where its function has none"),
        (lambda: CustomCost(np.square, "f", prediction="log"), "unknown prediction 'log'"),
        (lambda: CustomCost(np.square, "f", prediction="exp", per_target=2), "several outputs per target go with"),
    ],
)
def test_bad_values_are_refused(make, said):
    with pytest.raises(InputError, match=said):
        make()


@pytest.mark.parametrize(
    "cost",
    [
        *(cost() for cost in COSTS.values()), Huber(0.3), Quantile([0.2, 0.7]), Quantile(0.9),
        GaussianLikelihood(0, 0.1),
        SoftmaxCrossEntropy("balanced"), SoftmaxCrossEntropy([1, 2.5, 3]), SavedCost("mine", per_target=2),
    ],
    ids=lambda cost: cost.label,
)  # fmt: skip
def test_json_there_and_back(cost):
    assert from_json(to_json(cost)) == cost
    assert hash(from_json(to_json(cost))) == hash(cost)


def test_numbers_that_the_program_does_not_depend_on_are_traced():
    assert partition(Huber(0.3))[1] == (0.3,)
    assert partition(GaussianLikelihood(floor=0.1))[1] == (0.1,)
    assert partition(Quantile((0.2, 0.7)))[1] == ()


def test_outputs_for_targets():
    several = {name: cost().outputs(2) for name, cost in COSTS.items() if cost().heads > 1}
    assert several == {"quantile": 6, "gaussian": 4}
    assert Huber().outputs(2) == 2
    assert GaussianLikelihood().shape((7, 2)) == (7, 4)
    with pytest.raises(
        InputError, match=r"of one shape \(2 outputs per target for GaussianLikelihood.*\(3, 2\), \(3, 2\)"
    ):
        total_cost(GaussianLikelihood(), jnp.zeros((3, 2)), jnp.zeros((3, 2)), jnp.ones(3))
    with pytest.raises(InputError, match="of one shape"):
        total_cost(Quantile(), jnp.zeros(3), jnp.zeros(1), jnp.ones(()))


def test_poisson_needs_counts_and_gamma_amounts():
    PoissonLikelihood().check_targets(np.array([[0.0], [2.0], [np.nan]]), ("n",))
    with pytest.raises(InputError, match=r"needs targets of at least 0 \(counts\), and 'debt' goes down to -2"):
        PoissonLikelihood().check_targets(np.array([[0.0, 1.0], [3.0, -2.0]]), ("n", "debt"))
    GammaLikelihood().check_targets(np.array([[0.5], [2.0], [np.nan]]), ("n",))
    with pytest.raises(InputError, match=r"needs targets above 0 \(amounts\), and 'price' goes down to 0\. .* poisson"):
        GammaLikelihood().check_targets(np.array([[0.0], [3.0]]), ("price",))


# --- class weights -----------------------------------------------------------------------------------------------


def test_balanced_weights_are_those_of_scikit_learn():
    labels = np.array([0] * 5 + [1] * 2 + [2] * 13)
    cost = SoftmaxCrossEntropy("balanced")
    theirs = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    np.testing.assert_allclose(cost.balance(labels, np.ones(20), 3), theirs, rtol=1e-14)
    assert from_json(to_json(cost)) == cost
    # A row of weight 2 is two rows.
    weights = np.where(labels == 1, 2.0, 1.0)
    np.testing.assert_allclose(cost.balance(labels, weights, 3), 22 / 3 / np.array([5, 4, 13]), rtol=1e-14)
    np.testing.assert_allclose(cost.balance(labels, weights, 4)[3], 1.0)  # a class without rows
    cost.check_classes(("a", "b", "c"))
    for other in (SoftmaxCrossEntropy(), SoftmaxCrossEntropy((1, 2, 3)), Huber()):
        assert len(other.balance(labels, weights, 3)) == 0
        other.check_classes(("a", "b", "c"))
    with pytest.raises(InputError, match=r"one weight for each of 3 classes \(a, b, c\), got 2"):
        SoftmaxCrossEntropy((1, 2)).check_classes(("a", "b", "c"))


def test_the_weight_of_a_row_is_its_classs():
    one_hot = jnp.eye(3)[jnp.array([2, 0, 1])]
    np.testing.assert_allclose(SoftmaxCrossEntropy((0.5, 2.0, 7.0)).row_weight(one_hot), [7.0, 0.5, 2.0])
    np.testing.assert_allclose(SigmoidCrossEntropy((0.5, 2.0)).row_weight(jnp.array([[1.0], [0.0]])), [2.0, 0.5])
    balance = jnp.array([0.5, 2.0, 7.0])
    np.testing.assert_allclose(SoftmaxCrossEntropy("balanced").row_weight(one_hot, balance), [7.0, 0.5, 2.0])
    two = SigmoidCrossEntropy("balanced").row_weight(jnp.array([[1.0], [0.0]]), balance[:2])
    np.testing.assert_allclose(two, [2.0, 0.5])
    assert SigmoidCrossEntropy((0.5, 2.0)).has_class_weights
    for cost in (SigmoidCrossEntropy(), SoftmaxCrossEntropy(), Huber()):
        assert not cost.has_class_weights
        np.testing.assert_array_equal(cost.row_weight(jnp.ones((2, 1))), [1.0, 1.0])


# --- one's own ---------------------------------------------------------------------------------------------------


def fourth(output, target):
    return jnp.sum((output - target) ** 4, axis=-1)


def test_a_cost_of_ones_own():
    cost = CustomCost(fourth)
    assert cost.label == "CustomCost fourth"
    assert cost.tasks == ("regression",)
    value = mean_cost(cost, jnp.array([[1.0], [3.0]]), jnp.zeros((2, 1)), jnp.ones(2))
    assert float(value) == 41.0
    assert to_json(cost, strict=False) == {"custom": "CustomCost fourth"}
    with pytest.raises(InputError, match=r"of CustomCost sum needs to give one number per row, shape \(2,\), got \(\)"):
        CustomCost(lambda o, t: jnp.sum(o - t), "sum").per_row(jnp.zeros((2, 1)), jnp.zeros((2, 1)))


def test_what_a_file_keeps_of_it_predicts_alike():
    z = jnp.array([[0.3, -1.0, 2.0]])
    for prediction, task in (("exp", "regression"), ("softmax", "multiclass"), ("identity", "regression")):
        cost = CustomCost(fourth, prediction=prediction, targets_scaled="mean")
        stored = from_json(to_json(cost.without_code()))
        assert isinstance(stored, SavedCost)
        assert stored.tasks == (task,)
        assert stored.scaling == ("mean" if task == "regression" else "standard")
        np.testing.assert_array_equal(stored.inverse_link(z), cost.inverse_link(z))
    np.testing.assert_allclose(CustomCost(fourth, prediction="exp").inverse_link(z), np.exp(z), rtol=1e-6)
    np.testing.assert_allclose(CustomCost(fourth, prediction="softmax").inverse_link(z), jax.nn.softmax(z), rtol=1e-6)
    half = CustomCost(fourth, prediction="sigmoid").inverse_link(jnp.zeros((1, 1)))
    np.testing.assert_allclose(half, [[0.5, 0.5]])
    with pytest.raises(InputError, match="a model file holds no code, so the cost 'fourth' of your own"):
        stored.per_row(z, z)


def test_several_outputs_a_target_of_ones_own():
    cost = CustomCost(fourth, per_target=2)
    assert cost.shape((5, 3)) == (5, 6)
    np.testing.assert_array_equal(cost.inverse_link(jnp.arange(6.0)), [0, 1, 2])
    np.testing.assert_array_equal(cost.working_response(jnp.array([[1.0, 2.0]])), [[1, 2, 0, 0]])
    assert not cost.outputs_are_targets
    assert CustomCost(fourth).outputs_are_targets
