"""Validation plans: what every fold must keep, and scikit-learn's splitters beside our own."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn import model_selection as reference

from perceptory.errors import InputError
from perceptory.selection.plans import (
    BlockedKFold,
    Folds,
    GroupKFold,
    HoldOut,
    KFold,
    LeaveOneOut,
    Repeated,
    RollingOrigin,
    Splitter,
    StratifiedKFold,
    TwoSets,
    check_folds,
    default_plan,
    plan_json,
)
from perceptory.specs import from_json, to_json

seeds = st.integers(0, 2**32)
quick = settings(max_examples=40, deadline=None)


def lists(folds):
    return [(a.tolist(), b.tolist()) for a, b in folds]


def sizes(folds):
    return [(len(a), len(b)) for a, b in folds]


def check_partition(folds, rows):
    """Every row is for validation once, and trains in all other folds."""
    assert np.sort(np.concatenate([v for _, v in folds])).tolist() == list(range(rows))
    for train, validation in folds:
        assert sorted(train.tolist() + validation.tolist()) == list(range(rows))
        assert train.dtype == validation.dtype == np.int64


def random_classes(seed, rows, k, least):
    random = np.random.default_rng(seed)
    targets = np.concatenate([np.repeat(np.arange(k), least), random.integers(0, k, max(0, rows - k * least))])
    return random.permutation(targets)


# --- plans for rows in no order ----------------------------------------------------------------------------------


@quick
@given(st.integers(2, 12), st.integers(0, 60), seeds, st.booleans())
def test_k_fold(k, more, seed, shuffle):
    rows = k + more
    plan = KFold(k, shuffle=shuffle)
    folds = plan.split(rows, seed=seed)
    check_partition(folds, rows)
    assert lists(folds) == lists(plan.split(rows, seed=seed))
    expected = list(reference.KFold(k).split(np.zeros(rows)))
    assert sizes(folds) == sizes(expected)
    if not shuffle:
        assert lists(folds) == lists(expected)


def test_another_seed_gives_other_folds():
    for plan in (KFold(5), StratifiedKFold(5), TwoSets(), HoldOut(), GroupKFold(5)):
        more = {"targets": np.arange(60) % 3} if not isinstance(plan, GroupKFold) else {"groups": np.arange(60) // 3}
        assert lists(plan.split(60, seed=0, **more)) != lists(plan.split(60, seed=1, **more))


@quick
@given(st.integers(2, 6), st.integers(2, 5), st.integers(0, 60), seeds)
def test_stratified_k_fold(k, n_classes, more, seed):
    rows = k * n_classes + more
    targets = random_classes(seed, rows, n_classes, k)
    folds = StratifiedKFold(k).split(rows, targets=targets, seed=seed)
    check_partition(folds, rows)
    count = np.array([np.bincount(targets[v], minlength=n_classes) for _, v in folds])
    assert (np.ptp(count, axis=0) <= 1).all()
    assert np.ptp(count.sum(axis=1)) <= 1
    assert all(set(targets[t]) == set(range(n_classes)) for t, _ in folds)
    theirs = reference.StratifiedKFold(k).split(np.zeros(rows), np.sort(targets))
    assert sorted(sizes(folds)) == sorted(sizes(list(theirs)))


@quick
@given(st.integers(2, 5), st.integers(0, 8), st.integers(2, 40), seeds)
def test_group_k_fold(k, more, rows, seed):
    names = np.array([f"g{i}" for i in range(k + more)])
    rows = max(rows, len(names))
    random = np.random.default_rng(seed)
    groups = np.concatenate([names, random.choice(names, rows - len(names))])
    folds = GroupKFold(k).split(rows, groups=groups, seed=seed)
    check_partition(folds, rows)
    assert all(not set(groups[t]) & set(groups[v]) for t, v in folds)
    theirs = list(reference.GroupKFold(k).split(np.zeros(rows), groups=groups))
    assert sorted(sizes(folds)) == sorted(sizes(theirs))  # the same greedy rule; who is where may differ


@quick
@given(st.integers(2, 80), st.floats(0.01, 0.99), seeds)
def test_hold_out(rows, share, seed):
    ((train, validation),) = HoldOut(share).split(rows, seed=seed)
    assert sorted(train.tolist() + validation.tolist()) == list(range(rows))
    assert len(validation) == min(max(round(share * rows), 1), rows - 1)


@quick
@given(st.integers(2, 5), st.integers(4, 80), st.floats(0.05, 0.95), seeds)
def test_stratified_hold_out(n_classes, rows, share, seed):
    rows = max(rows, 2 * n_classes)
    targets = random_classes(seed, rows, n_classes, 2)
    ((train, validation),) = HoldOut(share).split(rows, targets=targets, seed=seed)
    assert set(targets[train]) == set(range(n_classes))
    assert len(validation) == min(max(round(share * rows), 1), rows - n_classes)
    if len(validation) >= n_classes:
        assert set(targets[validation]) == set(range(n_classes))
    counts = np.bincount(targets)
    quota = counts * share
    if ((quota >= 1) & (quota <= counts - 1)).all():
        assert (abs(np.bincount(targets[validation], minlength=n_classes) - quota) <= 1.5).all()


def test_hold_out_falls_back_where_a_class_has_one_row():
    targets = np.array([0] * 9 + [1])
    assert sizes(HoldOut().split(10, targets=targets, seed=0)) == [(8, 2)]
    with pytest.raises(
        InputError, match=r"^HoldOut\(stratify=True\) needs at least 2 rows of each class, got 1 of class 'no'"
    ):
        HoldOut(stratify=True).split(10, targets=targets, seed=0, class_names=["yes", "no"])


@quick
@given(st.integers(2, 10), st.integers(2, 60), st.floats(0.05, 0.95), seeds)
def test_hold_out_of_whole_groups(n, rows, share, seed):
    rows = max(rows, n)
    groups = np.concatenate([np.arange(n), np.random.default_rng(seed).integers(0, n, rows - n)])
    ((train, validation),) = HoldOut(share).split(rows, groups=groups, seed=seed)
    assert not set(groups[train]) & set(groups[validation])
    assert len(train) + len(validation) == rows
    assert abs(len(validation) - share * rows) <= max(np.bincount(groups)) + 0.5


def test_two_sets():
    (a, b), (c, d) = TwoSets().split(21, seed=0)
    assert (len(a), len(b)) == (11, 10)
    assert a.tolist() == d.tolist()
    assert b.tolist() == c.tolist()
    assert not set(a) & set(b)
    targets = np.array([0] * 10 + [1] * 10)
    assert all(targets[t].sum() == targets[v].sum() == 5 for t, v in TwoSets().split(20, targets=targets, seed=3))


def test_leave_one_out():
    folds = LeaveOneOut().split(7, seed=0)
    assert lists(folds) == lists(reference.LeaveOneOut().split(np.zeros(7)))


# --- plans for time ----------------------------------------------------------------------------------------------


@quick
@given(st.integers(2, 8), st.integers(2, 60), st.integers(0, 6))
def test_blocked_k_fold(k, rows, gap):
    assume(rows >= k)
    try:
        folds = BlockedKFold(k, gap).split(rows, seed=0)
    except InputError:
        blocks = np.array_split(np.arange(rows), k)  # only where a gap swallows everything around a block
        assert any(b[0] <= gap and b[-1] + gap >= rows - 1 for b in blocks)
        return
    assert np.concatenate([v for _, v in folds]).tolist() == list(range(rows))
    for train, block in folds:
        assert block.tolist() == list(range(block[0], block[-1] + 1))
        far = [i for i in range(rows) if i < block[0] - gap or i > block[-1] + gap]
        assert train.tolist() == far


@quick
@given(st.integers(1, 8), st.integers(2, 60), st.integers(0, 6), st.one_of(st.none(), st.integers(1, 20)))
def test_rolling_origin(k, rows, gap, window):
    theirs = reference.TimeSeriesSplit(max(k, 2), gap=gap, max_train_size=window)
    try:
        folds = RollingOrigin(k, gap, window).split(rows, seed=0)
    except InputError:
        assert rows <= k or gap >= rows - k * (rows // (k + 1))
        if k >= 2:
            with pytest.raises(ValueError, match=r"Too many splits|Cannot have number of folds"):
                list(theirs.split(np.zeros(rows)))
        return
    assert len(folds) == k
    assert folds[-1][1][-1] == rows - 1
    for train, validation in folds:
        assert train[-1] + gap + 1 == validation[0]
        assert window is None or len(train) <= window
    if k >= 2:
        assert lists(folds) == lists(theirs.split(np.zeros(rows)))


def test_rolling_origin_by_hand():
    assert lists(RollingOrigin(3, gap=1, window=2).split(9, seed=0)) == [
        ([0, 1], [3, 4]),
        ([2, 3], [5, 6]),
        ([4, 5], [7, 8]),
    ]


# --- plans made of others ----------------------------------------------------------------------------------------


def test_repeated():
    folds = Repeated(KFold(4), times=3).split(20, seed=5)
    assert len(folds) == 12
    assert lists(folds[:4]) == lists(KFold(4).split(20, seed=5))
    parts = [lists(folds[i : i + 4]) for i in (0, 4, 8)]
    assert parts[0] != parts[1] != parts[2] != parts[0]
    for i in (0, 4, 8):
        check_partition(folds[i : i + 4], 20)
    assert lists(Repeated(KFold(4), times=5).split(20, seed=5)[:12]) == lists(folds)


@pytest.mark.parametrize(
    "plan", [KFold(5, shuffle=False), LeaveOneOut(), BlockedKFold(), Splitter(reference.KFold(3)), RollingOrigin()]
)
def test_repeating_what_never_changes_is_refused(plan):
    with pytest.raises(InputError, match="the same folds again"):
        Repeated(plan)


@pytest.mark.parametrize(
    "theirs",
    [
        reference.KFold(3),
        reference.StratifiedKFold(3, shuffle=True),
        reference.ShuffleSplit(4, random_state=3),
        reference.RepeatedStratifiedKFold(n_splits=2, n_repeats=2),
        reference.LeavePOut(2),
        reference.ShuffleSplit(2, random_state=np.random.RandomState(0)),
    ],
)
def test_any_scikit_learn_splitter(theirs):
    targets = np.arange(12) % 3
    plan = Splitter(theirs)
    folds = plan.split(12, targets=targets, seed=7)
    assert lists(folds) == lists(plan.split(12, targets=targets, seed=7))
    if getattr(theirs, "random_state", None) is None and hasattr(theirs, "random_state"):
        assert theirs.random_state is None  # the user's object is left alone
    if isinstance(theirs, reference.StratifiedKFold):
        again = reference.StratifiedKFold(3, shuffle=True, random_state=7)
        assert lists(folds) == lists(again.split(np.zeros(12), targets))
        assert lists(folds) != lists(plan.split(12, targets=targets, seed=8))


def test_group_splitter():
    groups = np.arange(12) // 3
    folds = Splitter(reference.LeaveOneGroupOut()).split(12, groups=groups, seed=0)
    assert [v.tolist() for _, v in folds] == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10, 11]]


def test_splitter_errors():
    with pytest.raises(InputError, match=r"KFold\(n_splits=9.*cannot split these rows: Cannot have number of splits"):
        Splitter(reference.KFold(9)).split(5, seed=0)
    with pytest.raises(InputError, match="an object with a split method, got 5"):
        Splitter(5)
    with pytest.raises(InputError, match="an object with a split method"):
        Splitter(reference.KFold)

    class Leaky:
        def split(self, X, y=None, groups=None):
            yield [0, 1, 2], [2, 3]

    with pytest.raises(InputError, match="1 rows in training and in validation too, the first is row 2"):
        Splitter(Leaky()).split(5, seed=0)


def test_explicit_folds():
    plan = Folds([(np.array([3, 0]), [1]), ([1], (2, 0))])
    assert lists(plan.split(4, seed=0)) == [([0, 3], [1]), ([1], [0, 2])]
    assert hash(plan) == hash(from_json(json.loads(json.dumps(to_json(plan)))))
    with pytest.raises(InputError, match="row numbers from 0 to 2, got 3"):
        plan.split(3, seed=0)


def test_explicit_rows_of_a_group_on_both_sides():
    with pytest.raises(InputError, match="fold 1 of Folds has rows of the group 'b' in training and in validation"):
        Folds([([0, 1], [2])]).split(3, groups=["a", "b", "b"], seed=0)
    with pytest.raises(InputError, match=r"of KFold has rows of the group .* Use GroupKFold"):
        KFold(3).split(9, groups=np.arange(9) % 2, seed=0)


# --- files, defaults, checks -------------------------------------------------------------------------------------

PLANS = [
    HoldOut(0.3, stratify=False),
    KFold(7),
    StratifiedKFold(3),
    GroupKFold(4),
    Repeated(StratifiedKFold(3), times=2),
    TwoSets(),
    BlockedKFold(4, gap=2),
    RollingOrigin(3, gap=1, window=50),
    LeaveOneOut(),
    Folds((((0, 1), (2,)),)),
]


@pytest.mark.parametrize("plan", PLANS, ids=lambda p: type(p).__name__)
def test_plans_are_specs_that_a_file_can_hold(plan):
    assert plan_json(plan) == to_json(plan)
    assert from_json(json.loads(json.dumps(plan_json(plan)))) == plan
    assert len({plan, plan.replace()}) == 1


def test_a_splitter_is_written_by_name_and_not_read_back():
    data = json.loads(json.dumps(plan_json(Splitter(reference.KFold(3)))))
    assert data == {"kind": "Splitter", "splitter": "KFold(n_splits=3, random_state=None, shuffle=False)"}
    with pytest.raises(InputError, match=r"only the name of the splitter KFold\(.*Pass the splitter again"):
        from_json(data)

    class Mine:
        split = reference.KFold(2).split

    assert "0x" not in plan_json(Splitter(Mine()))["splitter"]
    nested = Repeated(Splitter(reference.ShuffleSplit(2)), times=2)
    assert plan_json(nested)["plan"]["kind"] == "Splitter"
    assert len(nested.split(10, seed=0)) == 4


def test_default_plan():
    assert default_plan("regression", 442) == KFold(10)
    assert default_plan("regression", 30) == KFold(5)
    assert default_plan("regression", 20_000) == KFold(5)
    assert default_plan("regression", 100_000) == HoldOut(0.2)
    assert default_plan("binary", 442) == StratifiedKFold(10)
    assert default_plan("multiclass", 100, targets=np.array([0] * 94 + [1] * 6)) == StratifiedKFold(5)
    assert default_plan("regression", 6, groups=list("aabbcc")) == GroupKFold(3)
    assert default_plan("regression", 100, groups=np.arange(100)) == GroupKFold(5)


@pytest.mark.parametrize(
    ("folds", "message"),
    [
        ([], "gave no folds"),
        (5, "needs a list of folds, got a int"),
        ([[0, 1, 2]], "needs a pair of training and validation rows, got a list"),
        ([([0], [])], r"fold 1 of 1 of the validation plan \(validation\) needs .* at least one row number, got none"),
        ([([], [0])], r"\(training\) needs"),
        ([([0, 1], [2]), ([0, 0], [1])], r"fold 2 of 2 .*\(training\) holds row 0 more than once"),
        ([([0, 1], [1, 2])], "has 1 rows in training and in validation too, the first is row 1"),
        ([([0, -1], [2])], "row numbers from 0 to 4, got -1"),
        ([([0], [5])], "row numbers from 0 to 4, got 5"),
        ([([0.0], [1.0])], "whole row numbers, got float64"),
        ([(np.array([True, False]), [1])], "got a mask. Use numpy.flatnonzero"),
        ([([[0], [1, 2]], [3])], "a plain list of row numbers"),
        ([([[0, 1]], [3])], r"got the shape \(1, 2\)"),
    ],
)
def test_check_folds_refuses(folds, message):
    with pytest.raises(InputError, match=message) as error:
        check_folds(folds, 5)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: KFold(10).split(7, seed=0), r"^10 folds need at least 10 rows, got 7\. Use fewer folds \(folds=5\)"),
        (lambda: KFold(2).split(1, seed=0), "2 folds need at least 2 rows, got 1. Use more rows"),
        (lambda: KFold(2).split(0, seed=0), "number of rows needs a whole number of at least 1"),
        (lambda: HoldOut().split(1, seed=0), "two parts need at least 2 rows"),
        (lambda: TwoSets().split(1, seed=0), "two sets need at least 2 rows"),
        (lambda: LeaveOneOut().split(1, seed=0), "at least 2 rows"),
        (lambda: BlockedKFold(5).split(4, seed=0), r"5 folds need at least 5 rows, got 4.*folds=4"),
        (lambda: BlockedKFold(2, gap=9).split(10, seed=0), "a gap of 9 rows leaves none of 10 rows to train on"),
        (lambda: RollingOrigin(5).split(5, seed=0), r"5 folds on a rolling origin need at least 6 rows.*folds=4"),
        (lambda: RollingOrigin(2, gap=4).split(9, seed=0), "a gap of 4 rows leaves none of the first 3 of 9 rows"),
        (
            lambda: StratifiedKFold(4).split(9, targets=np.array([0] * 6 + [1] * 3), seed=0, class_names=["a", "b"]),
            r"4 stratified folds need at least 4 rows of each class, got 3 of class 'b' .* Add .*folds=3",
        ),
        (lambda: StratifiedKFold(3).split(9, seed=0), "StratifiedKFold needs classes, and the target is a number"),
        (lambda: GroupKFold(3).split(9, seed=0), "GroupKFold needs the group of each row, got none"),
        (lambda: GroupKFold(3).split(4, groups=[1, 1, 2, 2], seed=0), r"at least 3 groups, got 2.*folds=2"),
        (lambda: HoldOut().split(3, groups=[1, 1, 1], seed=0), "at least 2 groups, got 1. Use another column"),
        (lambda: GroupKFold(2).split(3, groups=[1, 2], seed=0), r"one value for each of 3 rows, got the shape \(2,\)"),
        (lambda: GroupKFold(2).split(3, groups=[1, 2, np.nan], seed=0), "a value in every row, got missing ones"),
        (
            lambda: GroupKFold(2).split(3, groups=np.array(["a", None, "b"], object), seed=0),
            "a value in every row, got missing ones",
        ),
        (
            lambda: GroupKFold(2).split(3, groups=np.array(["a", 1, "b"], object), seed=0),
            "values of one kind",
        ),
        (lambda: KFold(2).split(3, targets=[0.5, 1, 2], seed=0), "targets need one class index"),
        (lambda: KFold(2).split(3, targets=[0, 1], seed=0), "targets need one class index"),
        (lambda: KFold(2).split(3, seed=-1), "seed needs a whole number of at least 0"),
        (lambda: KFold(1), "KFold.folds needs a whole number of at least 2, got 1"),
        (lambda: HoldOut(1.0), "HoldOut.share needs a number above 0 and below 1, got 1.0"),
        (lambda: HoldOut(stratify="yes"), "HoldOut.stratify needs True, False or None"),
        (lambda: BlockedKFold(gap=-1), "BlockedKFold.gap needs a whole number of at least 0"),
        (lambda: RollingOrigin(window=0), "RollingOrigin.window needs a whole number of at least 1"),
        (lambda: Repeated(5), "Repeated.plan needs a validation plan, got 5"),
        (lambda: Repeated(KFold(3), times=0), "Repeated.times needs a whole number of at least 1"),
        (
            lambda: HoldOut(stratify=True).split(4, targets=[0, 0, 1, 1], groups=[0, 1, 2, 3], seed=0),
            "cannot hold out whole groups and stratify",
        ),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(InputError, match=message) as error:
        call()
    assert "\n" not in str(error.value)


def test_groups_of_any_kind():
    for groups in (
        np.array(["2024-01-01", "2024-01-01", "2024-01-02", "2024-01-03"], "datetime64[D]"),
        np.array(["a", "a", "b", "c"], object),
        [True, True, False, False],
    ):
        for train, validation in GroupKFold(2).split(4, groups=groups, seed=0):
            assert not set(np.asarray(groups)[train].tolist()) & set(np.asarray(groups)[validation].tolist())


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(PLANS[:-1]), st.integers(30, 70), seeds)
def test_what_every_plan_keeps(plan, rows, seed):
    targets = np.arange(rows) % 3
    groups = np.arange(rows) // 4 if isinstance(plan, GroupKFold) else None
    folds = plan.split(rows, targets=targets, groups=groups, seed=seed)
    for train, validation in folds:
        assert len(train) > 0
        assert len(validation) > 0
        assert not set(train) & set(validation)
        assert (np.diff(train) > 0).all()
        assert (np.diff(validation) > 0).all()
        assert min(train[0], validation[0]) >= 0
        assert max(train[-1], validation[-1]) < rows
    assert lists(folds) == lists(plan.split(rows, targets=targets, groups=groups, seed=seed))
