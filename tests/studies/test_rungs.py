"""Candidates that are given up on the way: by the mean over folds, to the same bits in pieces, within outer folds."""

import contextlib

import numpy as np
import pytest

from perceptory import AdamW, DiscardAfter, GradientDescent, Halving, KFold, Nested, Study, choice, read_table
from perceptory.networks.mlp import MLP
from perceptory.reports import page
from perceptory.studies import keeping
from perceptory.studies.run import run


def table(rows=60):
    random = np.random.default_rng(0)
    x = random.normal(size=(rows, 3))
    return read_table(x, x @ [2.0, -1.0, 0.5] + 0.1 * random.normal(size=rows))


# Linear networks by gradient descent: each rate alone decides how far a candidate comes, the penalty where it ends.
RATES = Study(
    MLP(()), optimizer=GradientDescent(choice(0.001, 0.003, 0.01, 0.03, 0.1)), epochs=40, patience=0,
    validation=KFold(3), test=0,
)  # fmt: skip


def statuses(result):
    return {c.id: c.status for c in result.candidates}


@pytest.fixture(scope="module")
def halved():
    return RATES.replace(discard=Halving(2, least=0.2)).run(table())


def test_the_worst_are_given_up_and_the_rest_are_as_they_were(halved):
    whole = RATES.run(table())
    assert halved.study["discard"] == {"kind": "Halving", "factor": 2, "least": 0.2}
    assert statuses(halved) == dict.fromkeys(("c5", "c4"), "ok") | dict.fromkeys(("c3", "c2", "c1"), "discarded")
    assert [c.id for c in halved.candidates[:3]] == ["c5", "c4", "c3"]  # discarded ones come after the others
    before = {(m.candidate, m.fold): m for m in whole.members}
    epochs = {}
    for m in halved.members:
        np.testing.assert_array_equal(m.train_cost, before[m.candidate, m.fold].train_cost[: m.epochs])
        assert np.isfinite([m.score, m.train_score]).all()
        epochs.setdefault(m.candidate, set()).add((m.status, m.epochs))
    discarded = [("discarded", e) for e in (10, 20)]  # five candidates: 3 go on after 10 epochs, 2 after 20
    assert epochs["c1"] == epochs["c2"] == {discarded[0]}
    assert epochs["c3"] == {discarded[1]}
    assert epochs["c5"] == {("finished", 40)}
    np.testing.assert_array_equal(halved.model.weights, whole.model.weights)
    assert halved.best == whole.best == "c5"
    words = " ".join(halved.summary().split())
    assert "3 of 5 candidates (2 candidates after 10 epochs; 1 candidate after 20 epochs)" in words


def test_one_that_is_best_late_is_lost_to_an_early_rung_and_kept_by_a_late_one():
    """A large rate with a decay that holds the weights back is there at once; a small one without overtakes it late."""
    slow, fast = AdamW(0.006, weight_decay=0.0), AdamW(0.1, weight_decay=2.0)
    late, data = RATES.replace(optimizer=choice(slow, fast), batch_size=8), table()
    assert late.run(data).best == "c1"
    early_rung, late_rung = (late.replace(discard=DiscardAfter(share, 0.5)).run(data) for share in (0.1, 0.8))
    assert (early_rung.best, statuses(early_rung)["c1"]) == ("c2", "discarded")
    assert (late_rung.best, statuses(late_rung)["c2"]) == ("c1", "discarded")


@pytest.mark.parametrize("stop", [1, 3, 5])
def test_a_run_that_is_stopped_decides_the_same(stop, halved, tmp_path, monkeypatch):
    monkeypatch.setattr(keeping, "INTERVAL", 0.0)
    monkeypatch.setattr(keeping, "SHARE", 1e9)
    monkeypatch.setattr(page, "render", lambda result: "")
    study, whole = RATES.replace(discard=Halving(2, least=0.2)), halved
    told = []

    def stopping(state):
        told.append(state)
        if len(told) == stop:
            raise KeyboardInterrupt

    with contextlib.suppress(KeyboardInterrupt):
        run(study, table(), folder=tmp_path / "run", progress=stopping)
    again = run(study, table(), folder=tmp_path / "run", resume=True)
    assert [(m.candidate, m.fold, m.status, m.epochs, m.score) for m in again.members] == [
        (m.candidate, m.fold, m.status, m.epochs, m.score) for m in whole.members
    ]
    np.testing.assert_array_equal(again.model.weights, whole.model.weights)


def test_within_outer_folds_each_decides_for_itself():
    study = RATES.replace(discard=DiscardAfter(0.25, 0.4))
    plain, nested = study.run(table()), study.replace(validation=Nested(KFold(3), KFold(3))).run(table())
    assert statuses(nested) == statuses(plain)
    np.testing.assert_array_equal(nested.model.weights, plain.model.weights)
    assert [set(fold.chosen) for fold in nested.nested.folds] == [{"c5"}] * 3
