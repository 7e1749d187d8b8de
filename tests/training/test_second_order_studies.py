"""Second-order optimizers: what they find, and whole studies with them."""

import dataclasses

import numpy as np
import pytest

from perceptory import (
    LBFGS,
    MLP,
    RNN,
    Adam,
    BayesianRegularization,
    Candidate,
    ClipByNorm,
    GaussNewton,
    KFold,
    LevenbergMarquardt,
    Model,
    Newton,
    RBFNetwork,
    SquaredError,
    Study,
    WeightPenalty,
    choice,
    load_result,
    read_arrays,
    read_table,
)
from perceptory.errors import InputError
from perceptory.networks.base import layout
from perceptory.studies.checks import check_second_order, check_size

TINY = Study(MLP((2,)), optimizer=LevenbergMarquardt(), epochs=4, patience=0, validation=KFold(3), test=0.0,
             precision="double")  # fmt: skip


def labels(rows=60, classes=3, weights=None):
    random = np.random.default_rng(2)
    x = random.normal(size=(rows, 2))
    z = x @ random.normal(size=(2, classes)) + random.gumbel(size=(rows, classes))
    return read_table({"a": x[:, 0], "b": x[:, 1], "t": [f"c{k}" for k in z.argmax(1)]}, "t", weights=weights)


@pytest.mark.parametrize("classes", [2, 3])
def test_gauss_newton_of_a_linear_classifier_finds_scikit_learns_minimum(apart, classes):
    """For logistic regression it is iteratively reweighted least squares; the penalty λ‖w‖² is 1 / (2 C K)."""
    linear = pytest.importorskip("sklearn.linear_model")
    data = labels(classes=classes)
    study = TINY.replace(networks=MLP(()), optimizer=GaussNewton(), epochs=10, penalty=WeightPenalty(0.01))
    taken = apart(study, data, on_all_rows=True)
    (x, _, _), _ = taken.scaled(0)
    v = taken.train()[0].weights
    reference = linear.LogisticRegression(C=1 / (2 * 0.01 * 60), tol=1e-10, max_iter=500).fit(x, data.targets)
    if classes == 2:
        np.testing.assert_allclose(v, [*reference.coef_[0], *reference.intercept_], rtol=1e-5, atol=1e-7)
    else:  # intercepts are free up to a common number
        np.testing.assert_allclose(v[:6].reshape(2, 3), reference.coef_.T, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(v[6:] - v[6:].mean(), reference.intercept_, rtol=1e-4, atol=1e-6)


def test_newton_solves_a_linear_network_of_several_outputs_and_stops_there(apart):
    random = np.random.default_rng(1)
    x = random.normal(size=(20, 2))
    data = read_table(x, target=x @ [[1.0, 0.2], [0.5, -1.0]] + random.normal(size=(20, 2)))
    taken = apart(TINY.replace(networks=MLP(()), optimizer=Newton(), epochs=40), data, on_all_rows=True)
    (x, t, _), _ = taken.scaled(0)
    best = np.linalg.lstsq(np.c_[x, np.ones(20)], t, rcond=None)[0]
    (outcome,) = taken.train().values()
    np.testing.assert_allclose(outcome.weights, best.ravel(), rtol=1e-9, atol=1e-12)
    assert outcome.status == "stopped"
    assert outcome.epochs < 30


def test_what_the_optimizer_does_not_train_stays(apart, sums):
    taken = apart(TINY.replace(networks=NARROW, epochs=3), sums(20), on_all_rows=True)
    start, end = taken.starting(), taken.train()[0].weights
    where = layout(NARROW, (3,), (1,))
    held = where.vector([name.startswith("layers.0.weight") for name in where.names])
    np.testing.assert_array_equal(end[held], start[held])
    assert (end[~held] != start[~held]).all()


@dataclasses.dataclass(frozen=True)
class Held(MLP):
    """An MLP whose first weights stay."""

    def trains(self, name):
        return not name.startswith("layers.0.weight")


NARROW = Held((2,))


def test_recurrent_networks_with_backward_rules_of_their_own(apart):
    """Derivatives row by row pass through them, second ones do not."""
    random = np.random.default_rng(0)
    x = random.normal(size=(8, 5, 1))
    data = read_arrays(x, np.cumsum(x, axis=1), task="regression")
    costs = apart(TINY.replace(networks=RNN((2,)), epochs=3), data, on_all_rows=True).train()[0].train_cost
    assert (np.diff(costs) <= 0).all()
    assert costs[-1] < 0.8 * costs[0]
    with pytest.raises(InputError, match=r"Newton needs second derivatives, which RNN .* lm or lbfgs"):
        apart(TINY.replace(networks=RNN((2,)), optimizer=Newton()), data, on_all_rows=True)


# --- studies -----------------------------------------------------------------------------------------------------


def test_beside_adam_in_a_search_with_run_folder_and_model_file(tmp_path, sums):
    study = Study(MLP((2,)), optimizer=choice(Adam(0.05), LevenbergMarquardt()), epochs=5, validation=KFold(2))
    result = study.run(sums(30), folder=tmp_path / "run")
    assert result.study["precision"] == "double"
    assert {c.spec["optimizer"]["kind"] for c in result.candidates} == {"Adam", "LevenbergMarquardt"}
    assert "LevenbergMarquardt" in result.candidates[0].label  # five epochs are enough for it
    assert load_result(tmp_path / "run").best == result.best
    model = Model.load(tmp_path / "run" / "model.safetensors")
    new = sums(7, seed=3)
    np.testing.assert_array_equal(model.predict(new), result.model.predict(new))
    assert model.precision == "double"
    assert "LevenbergMarquardt" in result.summary()


def test_precision_where_none_is_said():
    assert Study().with_precision().precision == "single"
    assert Study(optimizer="lm").with_precision().precision == "double"
    assert Study(optimizer=LBFGS()).with_precision().precision == "single"
    assert Study(optimizer=choice(Adam(), BayesianRegularization())).with_precision().precision == "double"
    assert Study(optimizer="lm", precision="single").with_precision().precision == "single"
    with pytest.raises(InputError, match="unknown precision 'half'"):
        Study(precision="half")


def test_lbfgs_trains_in_single_precision(sums):
    result = Study(MLP((2,)), optimizer="lbfgs", epochs=12, validation=KFold(2), test=0).run(sums(30))
    costs = result.members[0].train_cost
    assert result.model.precision == "single"
    assert (np.diff(costs) <= 0).all()
    assert costs[-1] < 0.6 * costs[0]


def test_what_bayesian_regularization_found_reaches_the_user(tmp_path, sums):
    """γ = n - α tr(β JᵀJ + α)⁻¹ of each run, of the weights before its last step."""
    study = Study(MLP((2,)), optimizer="bayesian_regularization", epochs=6, patience=0, validation=KFold(2), test=0)
    result = study.run(sums(30), folder=tmp_path / "run")
    for facts in (m.facts for m in result.members):
        assert set(facts) == {"effective_weights", "alpha", "beta"}
        assert 0 < facts["effective_weights"] < 11
    # β is the inverse variance of the residuals of scaled targets: N - γ = 2 β Σ½r², one step before.
    facts, costs = result.members[0].facts, result.members[0].train_cost
    assert facts["beta"] == pytest.approx((15 - facts["effective_weights"]) / (2 * 15 * costs[-2]), rel=1e-6)
    assert "Effective weights" in result.summary()
    assert "of 11 (alpha" in result.summary()
    assert [m.facts for m in load_result(tmp_path / "run").members] == [m.facts for m in result.members]
    assert "effective weights" in (tmp_path / "run" / "report.html").read_text().lower()


REFUSED = {
    "dropout": ({"networks": MLP((2,), dropout=0.1)}, r"changes it by chance or by the batch .*first-order"),
    "batch norm": ({"networks": MLP((2,), norm="batch")}, "batch normalization"),
    "p = 1": ({"penalty": WeightPenalty(1e-3, p=1)}, r"smooth slope, p at least 2 and no mix, got L1 0\.001"),
    "clip": ({"clip": ClipByNorm(1.0)}, "takes no clip"),
    "evidence and penalty": ({"optimizer": "bayesian_regularization", "penalty": WeightPenalty()}, "its own penalty"),
    "no curvature": ({"cost": "absolute"}, r"has no curvature .*squared.*Adam"),
    "too many weights": (
        {"networks": MLP((1000,))},
        r"with the 5,001 weights of MLP 1000 tanh it holds 0\.186 GiB for one network and .* GiB for the \d+ of its"
        r" group\. Up to 4,096 weights are possible\. Take a smaller network, or the optimizer lbfgs or adam\.",
    ),
    "too little memory": ({"networks": MLP((60,)), "memory": 1e-3}, r"Up to 183 weights are possible"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_go_together_is_refused(name, sums):
    changes, message = REFUSED[name]
    with pytest.raises(InputError, match=message):
        Study(**{"optimizer": "lm", "epochs": 2, "validation": KFold(2), **changes}).run(sums(20))


def test_what_is_solved_needs_no_optimizer_and_is_not_refused():
    candidate = Candidate(RBFNetwork(3), SquaredError(), LevenbergMarquardt(), WeightPenalty(p=1))
    check_second_order(candidate)
    check_size(candidate.optimizer, RBFNetwork(5000), ((3,), (1,)), 1, 2.0)
