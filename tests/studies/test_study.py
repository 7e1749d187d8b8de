"""Whole studies on small tables: plans, tasks, choices, sealed rows, the final model."""

import dataclasses

import numpy as np
import optax
import pytest
from sklearn.model_selection import ShuffleSplit

from perceptory import (
    Adam,
    BlockedKFold,
    Folds,
    GradientDescent,
    GroupKFold,
    HoldOut,
    KFold,
    LeaveOneOut,
    Optax,
    Repeated,
    RollingOrigin,
    Splitter,
    StratifiedKFold,
    Study,
    TwoSets,
    WeightPenalty,
    choice,
    log_uniform,
    read_table,
)
from perceptory.data import seal
from perceptory.errors import InputError
from perceptory.networks.mlp import MLP
from perceptory.selection.metrics import auc, log_loss, mse, rmse

TINY = Study(networks=MLP((3,)), optimizer=Adam(0.05), epochs=6, validation=KFold(3), batch_size=8)

LINEAR = Study(networks=MLP(()), optimizer=GradientDescent(0.1), epochs=60, validation=KFold(3))  # quick to compile


def table(rows=30, seed=0, **changes):
    random = np.random.default_rng(seed)
    x = random.normal(size=(rows, 2))
    return read_table(x, 50 + 8 * x[:, 0] - 3 * x[:, 1] + random.normal(size=rows), **changes)


def labeled(classes=("no", "yes"), rows=36, seed=0):
    random = np.random.default_rng(seed)
    names = np.array(classes)[np.arange(rows) % len(classes)]
    x = random.normal(size=(rows, 2)) + np.stack([names == classes[0], names == classes[-1]], 1) * 2.0
    return read_table({"a": x[:, 0], "b": x[:, 1], "label": names.tolist()}, "label")


# --- every validation plan ---------------------------------------------------------------------------------------

PLANS = {
    "HoldOut": (HoldOut(0.25), 1),
    "KFold": (KFold(3), 3),
    "in order": (KFold(3, shuffle=False), 3),
    "Repeated": (Repeated(KFold(2), times=2), 4),
    "TwoSets": (TwoSets(), 2),
    "BlockedKFold": (BlockedKFold(3, gap=1), 3),
    "RollingOrigin": (RollingOrigin(3), 3),
    "LeaveOneOut": (LeaveOneOut(), 24),
    "Folds": (Folds((((0, 1, 2, 3, 4, 5), (6, 7)), ((4, 5, 6, 7), (0, 1, 2)))), 2),
    "Splitter": (Splitter(ShuffleSplit(2, test_size=0.3)), 2),
    "scikit-learn's": (ShuffleSplit(2, test_size=0.3, random_state=1), 2),
    "none asked": (None, 5),
}


@pytest.mark.parametrize("name", PLANS)
def test_every_validation_plan(name):
    plan, folds = PLANS[name]
    result = LINEAR.replace(validation=plan).run(table())
    check(result, folds)


def test_plans_of_groups_and_of_classes():
    groups = np.arange(30) // 3
    result = LINEAR.replace(validation=GroupKFold(3)).run(table(groups=groups))
    check(result, 3)
    result.test()
    validation, test = (
        set(groups[result.predictions.row[result.predictions.part == p]]) for p in ("validation", "test")
    )
    assert test
    assert not test & validation  # whole groups are sealed
    check(LINEAR.replace(validation=StratifiedKFold(3)).run(labeled()), 3)


def check(result, folds):
    """What every result holds, whatever the plan."""
    assert len(result.members) == folds
    assert sorted(m.fold for m in result.members) == list(range(folds))
    best = result.candidates[0]
    assert best.id == result.best
    assert len(best.per_fold) == folds
    by_fold = [m.score for m in sorted(result.members, key=lambda m: m.fold)]
    np.testing.assert_allclose(best.per_fold, by_fold)
    assert best.mean == pytest.approx(np.mean(by_fold))
    if folds > 1:
        assert best.spread == pytest.approx(np.std(by_fold, ddof=1))
    assert len(result.model) == folds
    rows = result.predictions.row
    assert len(set(rows)) == len(rows)
    assert np.isfinite(result.predictions.output).all()


def test_two_sets_give_the_criterion_e27():
    """The validation mse is ½ [mse on A of the model fitted on B + mse on B of the model fitted on A]."""
    data = table(31)
    result = LINEAR.replace(validation=TwoSets(), test=0).run(data)
    folds = TwoSets().split(31, seed=0)
    parts = []
    for (_, validation), model in zip(folds, range(2), strict=True):
        output = result.model.members(data)[model][validation]
        parts.append(float(mse(data.targets[validation], output)[0]))
    assert sorted(map(len, (folds[0][1], folds[1][1]))) == [15, 16]
    assert result.validation["mse"] == pytest.approx(0.5 * (parts[0] + parts[1]), rel=1e-4)
    pooled = float(mse(data.targets, predicted(result))[0])
    assert result.validation["mse"] != pytest.approx(pooled, rel=1e-6)  # the halves are not of one length


def predicted(result):
    order = np.argsort(result.predictions.row)
    return result.predictions.output[order]


# --- tasks -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def regression():
    study = TINY.replace(networks=[MLP((3,)), MLP(())], optimizer=Adam(choice(0.05, 0.01)), seeds=2, epochs=12)
    data = table(40)
    return study, data, study.run(data)


def test_scores_and_metrics_are_in_the_targets_units(regression):
    study, data, result = regression
    kept, _ = seal(data, study.test, seed=study.seed)
    folds = KFold(3).split(len(kept), seed=0)
    known = data.take(kept)
    for m in result.members:
        if m.candidate == result.best:
            train, validation = folds[m.fold]
            output = result.model.members(known)[m.fold * 2 + m.seed]
            assert m.score == pytest.approx(float(rmse(known.targets[validation], output[validation])[0]), rel=1e-4)
            assert m.train_score == pytest.approx(float(rmse(known.targets[train], output[train])[0]), rel=1e-4)
    best = [m for m in result.members if m.candidate == result.best]
    assert result.validation["rmse"] == pytest.approx(np.mean([m.score for m in best]))
    assert result.train["rmse"] == pytest.approx(np.mean([m.train_score for m in best]))
    assert set(result.validation) == {"mse", "rmse", "mae", "r2", "vaf", "nll"}
    assert result.validation["mse"] > 0


def test_stored_predictions_are_those_of_members_that_did_not_train_on_the_row(regression):
    study, data, result = regression
    kept, _ = seal(data, study.test, seed=study.seed)
    known = data.take(kept)
    members = result.model.members(known)
    expected = np.zeros((len(kept), 1))
    for f, (_, validation) in enumerate(KFold(3).split(len(kept), seed=0)):
        expected[validation] = members[[2 * f, 2 * f + 1]].mean(axis=0)[validation]
    fresh = study.run(data)  # without test predictions
    assert np.array_equal(fresh.predictions.row, kept)
    assert np.array_equal(fresh.predictions.target, known.targets)
    np.testing.assert_allclose(fresh.predictions.output, expected, rtol=1e-4)


def test_candidates_are_ranked_best_first_in_a_stable_order(regression):
    study, data, result = regression
    assert [c.mean for c in result.candidates] == sorted(c.mean for c in result.candidates)
    assert {c.id for c in result.candidates} == {"c1", "c2", "c3", "c4"}
    labels = {c.id: c.label for c in result.candidates}
    assert labels == {
        "c1": "MLP 3 tanh, Adam 0.05", "c2": "MLP 3 tanh, Adam 0.01",
        "c3": "linear model, Adam 0.05", "c4": "linear model, Adam 0.01",
    }  # fmt: skip
    assert result.candidate("c3").weights == 3
    assert result.candidate("c1").weights == 13
    with pytest.raises(InputError, match=r"no candidate 'c9'\. Known: "):
        result.candidate("c9")
    again = study.run(data)
    assert [c.id for c in again.candidates] == [c.id for c in result.candidates]
    assert [c.mean for c in again.candidates] == [c.mean for c in result.candidates]
    assert np.array_equal(again.model.weights, result.model.weights)


def test_the_model_is_the_ensemble_of_the_best_candidates_members(regression):
    _, data, result = regression
    assert len(result.model) == 6
    members = result.model.members(data)
    assert members.shape == (6, 40, 1)
    np.testing.assert_allclose(result.model.predict(data), members.mean(axis=0)[:, 0])
    # an ensemble's error is no more than the mean of its members'
    errors = [float(mse(data.targets, m)[0]) for m in members]
    assert float(mse(data.targets, members.mean(axis=0))[0]) <= np.mean(errors)


def test_several_targets():
    random = np.random.default_rng(1)
    x = random.normal(size=(40, 2))
    y = np.stack([x[:, 0] * 1000, x[:, 1] - 7], axis=1) + random.normal(size=(40, 2)) * [100, 0.1]
    data = read_table({"a": x[:, 0], "b": x[:, 1], "p": y[:, 0], "q": y[:, 1]}, ["p", "q"])
    result = LINEAR.run(data)
    assert result.targets == ["p", "q"]
    big, small = result.validation["rmse"]
    assert 50 < big < 400
    assert 0.05 < small < 0.4
    assert all(v > 0.8 for v in result.validation["r2"])
    assert result.model.predict(data).shape == (40, 2)
    # the score is the mean over targets
    assert result.candidates[0].mean == pytest.approx(np.mean(result.validation["rmse"]))
    assert {name: len(values) for name, values in result.test().items()} == dict.fromkeys(result.tested, 2)
    assert {"rmse", "nll", "coverage_90"} < set(result.tested)


@pytest.mark.parametrize("classes", [("no", "yes"), ("a", "b", "c")])
def test_classes(classes):
    data = labeled(classes)
    result = LINEAR.run(data)
    assert result.task == ("binary" if len(classes) == 2 else "multiclass")
    assert result.classes == list(classes)
    assert result.score == {"name": "log_loss", "direction": "min"}
    assert set(result.validation) == {"accuracy", "log_loss", "auc", "ece"}
    p = result.model.predict_proba(data)
    assert p.shape == (36, len(classes))
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-6)
    assert np.array_equal(result.model.predict(data), np.array(classes)[p.argmax(axis=1)])
    # test metrics, from the model and the sealed rows
    found = result.test()
    rows = result.predictions.row[result.predictions.part == "test"]
    assert found["log_loss"] == pytest.approx(log_loss(data.targets[rows], p[rows]), rel=1e-5)
    assert found["auc"] == pytest.approx(auc(data.targets[rows], p[rows]), rel=1e-5)
    assert found["accuracy"] == np.mean(p[rows].argmax(axis=1) == data.targets[rows])
    assert result.validation["accuracy"] > 0.5


def test_labels_come_back_as_they_were_given():
    random = np.random.default_rng(0)
    x = random.normal(size=(30, 1))
    numbers = np.where(x[:, 0] > 0, 7, 3)
    result = LINEAR.run(read_table(x, numbers, task="classification"))
    assert set(np.unique(result.model.predict(x))) <= {3, 7}
    flags = x[:, 0] > 0
    result = LINEAR.run(read_table(x, flags))
    assert result.task == "binary"
    assert set(np.unique(result.model.predict(x))) <= {True, False}


def test_a_cost_of_another_task_is_refused():
    with pytest.raises(InputError, match="SquaredError does not suit binary"):
        TINY.replace(cost="squared").run(labeled())
    with pytest.raises(InputError, match="SoftmaxCrossEntropy does not suit regression"):
        TINY.replace(cost="softmax").run(table())


def test_row_weights_weigh():
    """Rows of weight 0 train nothing, and a row of weight 2 counts as two: the cost ends at weighted least squares'."""
    random = np.random.default_rng(0)
    x = random.normal(size=(24, 1))
    y = 3 * x[:, 0] + random.normal(size=24) * 0.2
    y[:6] += 100  # of weight 0
    weights = np.r_[np.zeros(6), np.full(9, 2.0), np.ones(9)]
    study = Study(
        networks=MLP(()), optimizer=GradientDescent(0.2), epochs=300, patience=0, test=0, precision="double",
        validation=Folds(((tuple(range(20)), tuple(range(20, 24))),)),
    )  # fmt: skip
    result = study.run(read_table(x, y, weights=weights))
    design, w = np.c_[np.ones(20), x[:20]], weights[:20]
    best = np.linalg.solve(design.T @ (w[:, None] * design), design.T @ (w * y[:20]))
    least = 0.5 * np.average((y[:20] - design @ best) ** 2, weights=w) / result.model.out_scale[0, 0] ** 2
    assert result.members[0].train_cost[-1] == pytest.approx(least, rel=1e-6)


# --- choosing ----------------------------------------------------------------------------------------------------


def test_one_standard_error_takes_a_simpler_candidate():
    study = LINEAR.replace(networks=[MLP((4,), "linear"), MLP(())], validation=KFold(4))
    data = table()
    best, simple = study.run(data), study.replace(rule="one_standard_error").run(data)
    assert [c.id for c in best.candidates] == [c.id for c in simple.candidates]
    first = best.candidates[0]
    error = np.std(first.per_fold, ddof=1) / 2
    near = [c for c in best.candidates if c.mean <= first.mean + error]
    assert simple.best == min(near, key=lambda c: c.weights).id
    assert best.best == first.id


@pytest.mark.parametrize("score", ["mae", "r2"])
def test_ranked_by_another_score(score):
    result = LINEAR.replace(optimizer=GradientDescent(choice(0.1, 0.001)), score=score).run(table())
    assert result.score["name"] == score
    means = [c.mean for c in result.candidates]
    assert means == sorted(means, reverse=score == "r2")
    assert result.candidates[0].mean == pytest.approx(result.validation[score])


def test_a_score_of_another_task_is_refused_before_any_training():
    with pytest.raises(InputError, match="the score 'auc' is for another task than regression"):
        TINY.replace(score="auc").run(table())


def test_a_sample_of_the_search_is_the_same_every_time():
    study = LINEAR.replace(optimizer=GradientDescent(log_uniform(1e-3, 1e-1)), samples=3)
    one, two = study.run(table()), study.run(table())
    rates = [c.spec["optimizer"]["learning_rate"] for c in one.candidates]
    assert len(set(rates)) == 3
    assert rates == [c.spec["optimizer"]["learning_rate"] for c in two.candidates]


def test_all_diverged_is_said_in_a_sentence():
    study = LINEAR.replace(optimizer=GradientDescent(choice(1e6, 1e7)))
    with pytest.raises(InputError, match=r"all 2 candidates diverged .* Use a smaller learning rate"):
        study.run(table())


def test_a_diverged_candidate_comes_last_and_its_numbers_are_nan():
    study = LINEAR.replace(optimizer=GradientDescent(choice(1e6, 0.1)))
    result = study.run(table())
    last = result.candidates[-1]
    assert (last.id, last.status, result.best) == ("c1", "diverged", "c2")
    assert np.isnan(last.mean)
    assert np.isnan(last.train)
    for m in result.members:
        if m.candidate == "c1":
            assert m.status == "diverged"
            assert m.epochs < 60
            assert np.isnan(m.score)
    alone = study.replace(optimizer=GradientDescent(0.1)).run(table())
    assert alone.candidates[0].mean == pytest.approx(result.candidates[0].mean, rel=1e-4)


# --- the final model ---------------------------------------------------------------------------------------------


def test_refit_trains_one_network_a_seed_on_all_study_rows():
    study = LINEAR.replace(final="refit", seeds=2, epochs=10, test=0.3)
    data = table(34)
    result = study.run(data)
    kept, _ = seal(data, 0.3, seed=0)
    assert len(result.model) == 2
    known = data.take(kept)
    np.testing.assert_allclose(result.model.out_center[0], known.targets.mean(axis=0))
    np.testing.assert_allclose(result.model.out_scale[0], known.targets.std(axis=0))
    # the folds' scores are those of a study without refit
    folds = study.replace(final="folds").run(data)
    assert [c.mean for c in folds.candidates] == [c.mean for c in result.candidates]
    assert not np.array_equal(folds.model.predict(data), result.model.predict(data))


def test_double_precision_is_near_single_and_not_the_same():
    data = table()
    single, double = LINEAR.run(data), LINEAR.replace(precision="double").run(data)
    assert single.model.weights.dtype == np.float32
    assert double.model.weights.dtype == np.float64
    difference = np.abs(single.model.predict(data) - double.model.predict(data))
    assert difference.max() > 0
    if np.allclose(single.model.weights, double.model.weights, atol=1e-3):  # the same start, to rounding
        assert difference.max() < 1e-2
    assert np.isfinite(double.test()["rmse"])
    x = np.random.default_rng(0).normal(size=(5, 2))
    assert np.array_equal(double.model.predict(x), double.model.predict(x))


def test_custom_optax_transformation():
    result = TINY.replace(optimizer=Optax(optax.lion(0.01), name="lion"), epochs=30).run(table())
    assert result.candidates[0].label == "MLP 3 tanh, lion"
    assert result.candidates[0].spec["optimizer"] == {"custom": "lion"}
    assert result.validation["r2"] > 0.3


def test_penalty_is_searched():
    study = TINY.replace(penalty=choice(None, WeightPenalty(choice(0.01, 0.1))))
    result = study.run(table())
    assert [c.label.rsplit(", ", 1)[1] for c in sorted(result.candidates, key=lambda c: c.id)] == [
        "no penalty", "L2 0.01", "L2 0.1",
    ]  # fmt: skip


# --- sealed rows -------------------------------------------------------------------------------------------------


def test_sealed_rows_are_opened_once():
    data = table(40)
    result = TINY.run(data)
    assert result.tested is None
    assert not (result.predictions.part == "test").any()
    kept, cut = seal(data, 0.2, seed=0)
    assert result.data.test_rows == len(cut) == 8
    first = result.test()
    rows = len(result.predictions.row)
    assert result.test() is first
    assert result.tested is first
    assert len(result.predictions.row) == rows == 40
    where = result.predictions.part == "test"
    assert np.array_equal(result.predictions.row[where], cut)
    assert np.array_equal(result.predictions.row[~where], kept)
    np.testing.assert_allclose(result.predictions.output[where][:, 0], result.model.predict(data.take(cut)), rtol=1e-6)
    expected = float(rmse(data.targets[cut], result.model.predict(data.take(cut))[:, None])[0])
    assert first["rmse"] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("factor", [1.0, 1e12])
def test_sealed_rows_influence_nothing(factor):
    """Other numbers in the sealed rows: the same bits everywhere until they are opened."""
    random = np.random.default_rng(0)
    x, y = random.normal(size=(40, 2)), random.normal(size=40)
    _, cut = seal(read_table(x, y), 0.2, seed=0)
    x2, y2 = x.copy(), y.copy()
    x2[cut], y2[cut] = factor * random.normal(size=(8, 2)), factor * random.normal(size=8)
    one, two = TINY.run(read_table(x, y)), TINY.run(read_table(x2, y2))
    assert np.array_equal(one.model.weights, two.model.weights)
    for a, b in zip(one.members, two.members, strict=True):
        assert np.array_equal(a.train_cost, b.train_cost)
        assert np.array_equal(a.validation_cost, b.validation_cost)
        assert (a.score, a.train_score) == (b.score, b.train_score)
    assert np.array_equal(one.predictions.output, two.predictions.output)
    for name in ("in_center", "in_factor", "out_center", "out_scale"):
        assert np.array_equal(getattr(one.model, name), getattr(two.model, name))
    assert one.test() != two.test()


def test_sealed_rows_of_one_s_own():
    data, test = table(30), table(12, seed=5)
    result = LINEAR.run(data, test=test)
    assert (result.data.study_rows, result.data.test_rows) == (30, 12)
    output = result.model.predict(test)[:, None]
    assert result.test()["rmse"] == pytest.approx(float(rmse(test.targets, output)[0]), rel=1e-6)
    with pytest.raises(InputError, match="the test data need the same target and task"):
        LINEAR.run(data, test=labeled())


def test_sealed_classes_in_another_order_are_matched_by_name():
    data = labeled(("no", "yes"))
    kept = labeled(("no", "yes"), rows=12, seed=4)
    only = kept.take(np.flatnonzero(kept.targets == 1))
    only = dataclasses.replace(only, targets=np.zeros(only.rows, int), classes=("yes",), class_values=np.array(["yes"]))
    result = LINEAR.run(data, test=only)
    p = result.model.predict_proba(only)
    assert result.test()["accuracy"] == np.mean(p.argmax(axis=1) == 1)
    other = labeled(("no", "maybe"), rows=12)
    with pytest.raises(InputError, match="classes that the study has not: maybe"):
        LINEAR.run(data, test=other)


def test_no_sealed_rows():
    result = LINEAR.replace(test=0).run(table())
    assert result.test() is None
    assert result.data.test_rows == 0
    assert len(result.predictions.row) == 30


# --- what cannot be done -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (lambda: TINY.run(np.zeros((3, 3))), r"a study runs on a Dataset, got a ndarray\. Example"),
        (lambda: TINY.replace(validation=KFold(25)).run(table(20)), "25 folds need at least 25 rows, got 16"),
        (lambda: TINY.replace(test=0).run(read_table(np.eye(8), np.full(8, 2.0))), "constant"),
        (lambda: TINY.replace(validation=Folds((((0,), (99,)),))).run(table()), "needs row numbers from 0 to"),
        (lambda: TINY.replace(validation=StratifiedKFold(3)).run(table()), "needs classes"),
        (lambda: TINY.replace(score="rsme").run(table()), "Did you mean 'rmse'"),
    ],
)
def test_messages(run, message):
    with pytest.raises(InputError, match=message) as caught:
        run()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("side", ["training", "validation"])
def test_a_fold_without_any_weight_is_refused(side):
    weights = np.ones(20)
    weights[list(range(10) if side == "training" else range(10, 20))] = 0
    study = LINEAR.replace(validation=Folds(((tuple(range(10)), tuple(range(10, 20))),)), test=0)
    with pytest.raises(InputError, match="weight"):
        study.run(table(20, weights=weights))


# --- progress and resuming ---------------------------------------------------------------------------------------


def test_progress_is_told():
    told = []
    LINEAR.replace(optimizer=GradientDescent(choice(0.01, 0.05))).run(table(), progress=told.append)
    assert told[-1]["members_done"] == told[-1]["members"] == 6
    assert told[-1]["epochs"] == 6 * 60
    assert np.isfinite(told[-1]["best"])
    assert told[-1]["score"] == "rmse"


class Interrupted(Exception):  # noqa: N818
    pass


def test_an_interrupted_run_goes_on_to_the_same_bits(tmp_path):
    study = LINEAR.replace(networks=[MLP((2,)), MLP((3,))], epochs=3, final="refit", sampling="replacement")
    whole = study.run(table())
    calls = []

    def interrupt(told):
        calls.append(told["members_done"])
        if told["members_done"] >= 3:
            raise Interrupted

    with pytest.raises(Interrupted):
        study.run(table(), folder=tmp_path / "run", progress=interrupt)
    assert not (tmp_path / "run" / "result.json").exists()
    told = []
    again = study.run(table(), folder=tmp_path / "run", resume=True, progress=told.append)
    assert told[0]["members_done"] >= 3  # what was done is not done again
    assert told[-1]["epochs"] == 9
    assert np.array_equal(again.model.weights, whole.model.weights)
    assert [c.mean for c in again.candidates] == [c.mean for c in whole.candidates]
    assert np.array_equal(again.predictions.output, whole.predictions.output)
    assert again.test() == whole.test()
    with pytest.raises(InputError, match="asked something else or of other data"):
        interrupted_again(study, tmp_path / "other")


def interrupted_again(study, folder):
    def stop(told):
        if told["members_done"]:
            raise Interrupted

    try:
        study.run(table(), folder=folder, progress=stop)
    except Interrupted:
        study.replace(epochs=7).run(table(), folder=folder, resume=True)
