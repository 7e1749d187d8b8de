"""What networks learn before a study's targets: from which rows, and what becomes of it."""

from __future__ import annotations

import numpy as np
import pytest

import perceptory as pt
from perceptory import backend
from perceptory.app.help import FIT_OPTIONS
from perceptory.app.starts import pretrainings
from perceptory.networks.base import layout
from perceptory.studies.prepare import prepare
from perceptory.studies.pretexts import hand_over, learn
from perceptory.studies.records import Records
from perceptory.studies.run import train

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(30, 3))
MORE = {f"x{i}": RANDOM.normal(size=12) for i in range(3)}
NETWORK = pt.MLP((4,))
LEARN = pt.Pretraining(pt.Autoencoder(code=2), epochs=3)
STUDY = pt.Study(
    NETWORK, validation=pt.HoldOut(0.3), test=0.2, epochs=3, patience=0, pretraining=LEARN, unlabeled=MORE
)  # fmt: skip
MARKER = 1e4


def rows(x=X, labels=False):
    target = np.where(X[:, 0] > 0, "yes", "no") if labels else X[:, 0] + X[:, 1]
    return pt.read_table({f"x{i}": x[:, i] for i in range(3)} | {"y": target}, target="y")


def run(study, data):
    ready = prepare(study, data)
    records = Records(ready)
    with backend.precision("single"):
        train(records, None)
    return ready, records


def learned_first(ready):
    """What is learned before the members, handed over to them."""
    outcomes = {}
    with backend.precision("single"):
        learn(ready.pretexts, finished=outcomes.update)
    hand_over(ready.groups, ready.pretexts, {place: outcome.weights for place, outcome in outcomes.items()})
    return outcomes


@pytest.fixture(scope="module")
def plain():
    return run(STUDY, rows())


def test_a_fold_learns_from_its_training_rows_and_the_unlabeled_ones(plain):
    ready, _ = plain
    (lesson,), ((train, _),) = ready.pretexts.lessons, ready.folds
    inputs = lesson.split.encoded.inputs[lesson.split.folds[0][0]]
    assert np.array_equal(inputs[: len(train)], ready.encoded.inputs[train])
    assert np.array_equal(inputs[len(train) :], np.stack(list(MORE.values()), axis=1))
    assert not len(lesson.split.folds[0][1])
    scaling = ready.groups[0].scalings[0]
    np.testing.assert_allclose(scaling.in_center, inputs.mean(axis=0))
    np.testing.assert_allclose(1 / scaling.in_factor, inputs.std(axis=0))
    np.testing.assert_allclose(scaling.out_center, ready.encoded.targets[train].mean(axis=0))


def test_what_was_learned_is_what_the_members_begin_with(plain):
    ready, records = plain
    (learned,) = records.learned.values()
    given = np.concatenate([a[0].ravel() for a in ready.groups[0].members.given])
    assert np.array_equal(given, learned.weights[:16])  # of the encoder, which comes first
    (record,) = records.members.values()
    assert record.facts == {"pretraining_cost": learned.cost}
    assert 0 < learned.cost < 3


@pytest.mark.parametrize("part", ["validation", "sealed", "training", "unlabeled"])
def test_a_planted_leak_does_not_get_through(plain, part):
    """Rows that pre-training must not see become a huge marker, which it would exploit: nothing that is trained changes
    by a bit. Of rows that it may see, everything does."""
    ready, records = plain
    x, more = X.copy(), dict(MORE)
    if part == "unlabeled":
        more = {name: np.where(np.arange(12) == 5, MARKER, column) for name, column in MORE.items()}
    else:
        here = {"validation": ready.folds[0][1], "training": ready.folds[0][0][:1]}
        sealed = np.setdiff1d(np.arange(30), ready.data.row_numbers)
        x[sealed if part == "sealed" else ready.data.row_numbers[here[part]]] = MARKER
    other, changed = run(STUDY.replace(unlabeled=more), rows(x))
    assert [np.array_equal(a, b) for a, b in zip(ready.folds[0], other.folds[0], strict=True)] == [True, True]
    (before,), (after,) = records.learned.values(), changed.learned.values()
    same = part in ("validation", "sealed")
    assert np.array_equal(before.weights, after.weights) == same
    (before,), (after,) = records.members.values(), changed.members.values()
    assert np.array_equal(before.train_cost, after.train_cost) == same


def test_unlabeled_rows_that_are_rows_of_the_study_are_left_out(plain):
    _, records = plain
    both = {name: np.concatenate([X[:, i], column]) for i, (name, column) in enumerate(MORE.items())}
    ready = prepare(STUDY.replace(unlabeled=both), rows())
    assert len(ready.unlabeled.inputs) == 12
    assert ready.unlabeled.left_out == 30
    assert any("30 were left out" in str(note) for note in ready.notes)
    assert np.array_equal(ready.pretexts.lessons[0].raw, records.prepared.pretexts.lessons[0].raw)


def test_pretraining_is_searched_beside_none(plain):
    """Whoever learns nothing first is trained as in a study without pre-training; what several begin with is learned
    once; and alone or among others, a member has the same bits."""
    study = STUDY.replace(start=None, unlabeled=None, optimizer=pt.Adam(pt.choice(1e-2, 1e-3)))
    both, records = run(study.replace(pretraining=pt.choice(None, LEARN), unlabeled=MORE), rows())
    assert len(both.candidates) == 4
    (learned,) = records.learned.values()
    assert np.array_equal(learned.weights, plain[1].learned[0, 0, 0, 0].weights)
    _, alone = run(study, rows())
    scratch = [c for c, candidate in enumerate(both.candidates) if candidate.start is None]
    for (c, f, s), record in alone.members.items():
        assert np.array_equal(record.weights, records.members[scratch[c], f, s].weights)
    same = both.candidates.index(plain[0].candidates[0])
    assert np.array_equal(records.members[same, 0, 0].weights, plain[1].members[0, 0, 0].weights)
    other = pt.Pretraining(pt.Autoencoder(code=2), epochs=4)
    several = prepare(study.replace(pretraining=pt.choice(LEARN, other, pt.Pretraining(pt.Masked(2), 4))), rows())
    assert [len(lesson.candidates) for lesson in several.pretexts.lessons] == [1, 2]


@pytest.mark.parametrize("after", [1, 2])
def test_an_interrupted_study_goes_on_to_the_same_bits(plain, tmp_path, after):
    """after: 1, when it has learned first; 2, when its members have ended."""
    kept = {1: "*.learned", 2: "*.members"}[after]

    class StopHereError(Exception):
        pass

    def stop(state):
        if list((tmp_path / "run" / "chunks").glob(kept)):
            raise StopHereError

    with pytest.raises(StopHereError):
        STUDY.run(rows(), folder=tmp_path / "run", progress=stop)
    with pytest.raises(pt.InputError, match="of other data"):
        STUDY.replace(unlabeled={k: v + 1 for k, v in MORE.items()}).run(rows(), folder=tmp_path / "run", resume=True)
    result = STUDY.run(rows(), folder=tmp_path / "run", resume=True)
    (record,) = plain[1].members.values()
    assert np.array_equal(result.model.weights[0], record.weights)
    assert "pre-trained (autoencoder to 2, 3 epochs) tuned" in result.candidates[0].label
    assert pt.Model.load(tmp_path / "run").facts["start"] == LEARN.label
    assert result.members[0].facts["pretraining_cost"] == plain[1].members[0, 0, 0].facts["pretraining_cost"]


def test_a_refit_learns_anew_on_all_rows(plain):
    """Its inputs are scaled by all study rows and the unlabeled ones, which is what its layers have learned from."""
    result = STUDY.replace(final="refit").run(rows())
    every = np.concatenate([plain[0].encoded.inputs, np.stack(list(MORE.values()), axis=1)])
    np.testing.assert_allclose(result.model.in_center, every.mean(axis=0)[None], atol=1e-12)
    assert np.all(np.isfinite(result.model.predict(MORE)))


def test_other_targets_are_learned_once_for_all_folds():
    other = pt.read_table(MORE | {"kind": np.resize(["a", "b", "c"], 12)}, target="kind")
    study = STUDY.replace(start=None, validation=pt.KFold(2), seeds=2, unlabeled=other)
    ready = prepare(study.replace(pretraining=pt.Pretraining(pt.Supervised(), epochs=2)), rows())
    learned = learned_first(ready)
    assert sorted(learned) == [(0, 0, 0, 0), (0, 0, 0, 1)]
    assert ready.pretexts.lessons[0].groups[0].plan.outputs == (3,)
    for place, (_, _, seed) in enumerate(ready.groups[0].who):
        given = np.concatenate([a[place].ravel() for a in ready.groups[0].members.given])
        assert np.array_equal(given, learned[0, 0, 0, seed].weights[:16])


def test_hidden_columns_are_filled_in():
    gap, kind = np.where(X[:, 1] > 1, np.nan, X[:, 1]), np.resize(["p", "q", "r"], 30)
    table = pt.read_table({"a": X[:, 0], "kind": kind, "gap": gap, "y": X[:, 2]}, target="y")
    task = pt.Pretraining(pt.Masked(code=2, share=0.4), epochs=2, augmentation=pt.TableAugmentation(0.1))
    ready = prepare(STUDY.replace(start=None, unlabeled=None, pretraining=task), table)
    plan = ready.pretexts.lessons[0].groups[0].plan
    assert plan.augmentation[1].only
    assert plan.columns == (0, 1, 1, 1, 2, 2)  # a; a feature for each kind; the gap and whether it is missing
    assert plan.target_columns == (0, 1, 1, 1, 2)
    (learned,) = learned_first(ready).values()
    assert 0 < learned.train_cost[-1] < 10


# --- what is refused -------------------------------------------------------------------------------------------------


def test_what_does_not_fit_is_said():
    def refused(message, **changes):
        with pytest.raises(pt.InputError, match=message):
            prepare(STUDY.replace(**({"start": None} | changes)), rows())

    two, same = {name: MORE[name] for name in ("x0", "x1")}, {f"x{i}": X[:, i] for i in range(3)}
    refused("unlabeled rows: the table lacks the column 'x2'", start=LEARN, unlabeled=two)
    refused("every unlabeled row is a row of the study", start=LEARN, unlabeled=same)
    refused("unlabeled rows are for pretraining", unlabeled=MORE)
    refused("none are given", pretraining=pt.Supervised(), unlabeled=MORE)
    refused("pretraining needs an Autoencoder, Masked, or Supervised", pretraining=3)
    refused("Leave encoder out", pretraining=pt.Autoencoder(pt.MLP((9,)), code=2))
    refused("start and pretraining are two ways", start=LEARN, pretraining=LEARN)
    refused("is solved in one step", networks=pt.RBFNetwork(3), pretraining=LEARN)
    refused("begins with no layer", networks=pt.MLP(()), pretraining=LEARN)
    coded = STUDY.replace(networks=pt.Autoencoder(NETWORK, code=2))
    with pytest.raises(pt.InputError, match="gives back its inputs already"):
        prepare(coded, pt.read_table({f"x{i}": X[:, i] for i in range(3)}, task="autoencode"))
    with pytest.raises(pt.InputError, match="train_further trains without pre-training"):
        pt.train_further(STUDY, rows())
    assert layout(NETWORK, (3,), (1,)).size == 21


def test_the_command_line_writes_tasks():
    one = pretrainings(["masked:8:patch=2"], 5)
    assert one == pt.Pretraining(pt.Masked(8, patch=2), 5)
    assert pretrainings(["none", "autoencoder:8"], None) == pt.choice(None, pt.Pretraining(pt.Autoencoder(code=8)))
    assert pretrainings(["masked:share=0.3/0.6"], None) == pt.Pretraining(pt.Masked(share=pt.choice(0.3, 0.6)))
    assert "(default: 30)" in FIT_OPTIONS["--pretrain-epochs"]
    assert pt.Pretraining(pt.Masked()).epochs == 30
