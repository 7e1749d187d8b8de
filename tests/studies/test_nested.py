"""Nested validation: the procedure within each outer fold is the study's, and nothing is compiled for it."""

import jax
import numpy as np
import pytest

from perceptory import Adam, Folds, GroupKFold, KFold, Linear, Nested, Study, choice, load_result, read_table
from perceptory.errors import InputError
from perceptory.networks.mlp import MLP
from perceptory.studies.split import validation_plan

LINEAR = Study([Linear(ridge=r) for r in (0.0, 0.1, 3.0)], validation=Nested(KFold(3), KFold(4)), test=0)


def noise(rows=48, columns=4, seed=0):
    random = np.random.default_rng(seed)
    return read_table(random.normal(size=(rows, columns)), random.normal(size=rows))


@pytest.mark.parametrize("final", ["weighted", "refit"])
def test_an_outer_fold_is_a_study_of_its_training_rows(final):
    """Linear models are solved, so they do not depend on random numbers: a study of the rows gives the same."""
    data, study = noise(), LINEAR.replace(final=final)
    nested = study.run(data).nested
    outer = KFold(3).split(48, seed=0)
    assert [fold.rows for fold in nested.folds] == [16, 16, 16]
    for k, (rows, held) in enumerate(outer):
        inner = KFold(4).split(32, seed=study.validation.inner_seed(0, k))
        alone = study.replace(validation=Folds([(a.tolist(), b.tolist()) for a, b in inner])).run(data.take(rows))
        truth = data.targets[held, 0]
        by_hand = np.sqrt(np.mean((alone.model.predict(data.take(held)) - truth) ** 2))
        assert nested.folds[k].score == pytest.approx(by_hand, rel=1e-4)
        assert nested.folds[k].promised == pytest.approx(alone.estimate.mean, rel=1e-4)
        shares = {alone.best: 1.0} if alone.mixture is None else alone.mixture.shares
        assert nested.folds[k].chosen == pytest.approx(shares)
    assert nested.mean == pytest.approx(np.mean([f.score for f in nested.folds]))
    assert nested.metrics["rmse"] == pytest.approx(nested.mean)
    assert nested.networks == 3 * 3 * 4


CHOICE = Study(
    MLP((6,), "tanh"),
    optimizer=Adam(choice(0.003, 0.01, 0.03, 0.1)),
    epochs=30,
    patience=0,
    validation=KFold(3),
    test=0,
)


def test_of_noise_the_choice_flatters_and_the_nested_error_does_not_and_nothing_is_compiled(tmp_path):
    data, compiled = noise(60), []

    def listen(event, *_, **__):
        compiled[-1] += event.endswith("backend_compile_duration")

    jax.monitoring.register_event_duration_secs_listener(listen)
    compiled.append(0)
    plain = CHOICE.run(data)
    compiled.append(0)
    plan = Nested(KFold(3), KFold(3))
    result = CHOICE.replace(validation=plan).run(data, folder=tmp_path / "run")
    compiled.append(0)
    assert compiled[1] <= compiled[0] + 1  # the chosen networks predict the outer rows
    nothing = data.targets.std()
    assert result.estimate.mean < nothing * 1.02
    assert result.nested.mean > result.estimate.mean
    assert result.nested.mean > nothing
    assert len(result.members) == len(plain.members) == 12
    assert result.nested.networks == 36
    words = " ".join(result.summary().split())
    assert "the whole procedure, choice included" in words
    page = (tmp_path / "run" / "report.html").read_text()
    assert "nested RMSE" in page
    assert "nested: 3-fold around 3-fold" in page
    read = load_result(tmp_path / "run")
    assert read.nested == result.nested
    assert read.nested.standard_error == pytest.approx(read.nested.spread / 3**0.5)


def test_plans_within_plans():
    groups = np.arange(40) // 4
    data = read_table(np.random.default_rng(0).normal(size=(40, 2)), np.arange(40.0), groups=groups)
    result = LINEAR.replace(validation=Nested(GroupKFold(2), GroupKFold(2))).run(data)
    assert [fold.rows for fold in result.nested.folds] == [20, 20]
    plan = LINEAR.replace(validation=Nested(KFold(2, shuffle=False)))
    assert validation_plan(plan, noise()).inner == KFold(5)  # what suits the rows
    with pytest.raises(InputError, match="nested already"):
        Nested(Nested(KFold(2)))
    with pytest.raises(InputError, match="outer needs a validation plan"):
        Nested(None)
