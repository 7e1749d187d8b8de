"""What leaks and what does not: folds of series against the definition, row by row, and planted leaks."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from perceptory.data import read_series
from perceptory.data.partition import seal_horizons
from perceptory.data.series.timeline import Timeline, overlaps
from perceptory.errors import InputError
from perceptory.selection.plans import BlockedKFold, KFold, RollingOrigin, in_time
from perceptory.selection.purge import dropped, purge


def timeline_of(pairs, ahead=False):
    """Examples (first row, inputs, targets) of one series."""
    pairs = np.array(pairs)
    ends = pairs.sum(axis=1)
    seen = np.stack([pairs[:, 0], ends], axis=1)
    return Timeline(np.zeros(len(pairs), int), seen, np.stack([ends - pairs[:, 2], ends], axis=1), ahead)


def forecasts(lengths, window, horizon):
    table = {"id": np.repeat(np.arange(len(lengths)), lengths), "y": np.arange(sum(lengths)) ** 0.5}
    return read_series(
        table, "y", predict="ahead", series="id", window=window, horizon=range(1, horizon + 1), inputs="y"
    )


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(1, 9), st.integers(1, 3)), min_size=4, max_size=30),
    st.integers(2, 4),
    st.booleans(),
)
def test_purge_is_what_it_says(pairs, folds, blocked):
    timeline = timeline_of(pairs)
    before = (BlockedKFold(folds) if blocked else KFold(folds)).split(len(timeline), seed=1)
    seen = [set(range(*span)) for span in timeline.seen]
    scored = [set(range(*span)) for span in timeline.scored]
    expected = [[i for i in train if not any(seen[i] & scored[j] for j in judged)] for train, judged in before]
    assume(all(expected))
    after = purge(before, timeline)
    for (train, validation), (_, old_validation), right in zip(after, before, expected, strict=True):
        assert train.tolist() == right
        np.testing.assert_array_equal(validation, old_validation)
    assert dropped(before, after) == [len(a) - len(e) for (a, _), e in zip(before, expected, strict=True)]


def test_windows_beside_a_validation_block():
    """Before the block one may share inputs with it; behind it lie windows of what the block forecasts."""
    data = read_series({"y": np.arange(40.0)}, "y", predict="ahead", window=4)
    folds = [(np.r_[0:12, 24:36], np.arange(12, 24))]  # example i forecasts row i + 4 from rows i to i + 3
    train, validation = purge(folds, data.timeline)[0]
    assert train.tolist() == [*range(12), *range(28, 36)]
    assert validation.tolist() == list(range(12, 24))
    assert not overlaps(data.timeline.seen, data.timeline.seen[:0]).any()


def test_nothing_is_left():
    timeline = timeline_of([(i, 3, 1) for i in range(6)])
    words = r"fold 2 of 2 has no training examples left, for all 3 have seen targets .*validation=RollingOrigin\(\)"
    with pytest.raises(InputError, match=words):
        purge([(np.array([0, 1]), np.array([4, 5])), (np.array([2, 4, 5]), np.array([1, 3]))], timeline)


@pytest.mark.parametrize("spans", [np.zeros((3, 2), int), np.zeros((3, 2)), np.arange(3), np.array([[0, 1, 2]])])
def test_spans_that_are_none(spans):
    with pytest.raises(InputError, match="seen needs a first row"):
        Timeline(np.zeros(3, int), spans, spans)


# --- forecasts ----------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(8, 60), min_size=1, max_size=4), st.integers(1, 5), st.integers(1, 4), st.floats(0, 0.5))
def test_sealed_and_rolling_origin_are_what_they_say(lengths, window, horizon, share):
    """No row that is scored was seen by what trains before it; every series is scored up to its last row; and nothing
    is left out that an honest forecaster at the origin could have used."""
    lengths = [max(n, window + horizon) for n in lengths]
    assume(max(lengths) >= window + 3 * horizon)
    data = forecasts(lengths, window, horizon)
    study, test = seal_horizons(data.timeline, share)
    study = study[~data.timeline.leaks(study, test)]
    ends = np.cumsum(lengths)
    for s, length in enumerate(lengths):
        mine = test[data.timeline.series[test] == s]
        if length < window + 3 * horizon:
            assert not len(mine)
            continue
        sealed = ends[s] - data.timeline.scored[mine].min()
        assert sealed % horizon == 0
        assert sealed == horizon or sealed <= share * length
        assert data.timeline.scored[mine].max() == ends[s]
        assert (data.timeline.series[study] == s).sum() == length - sealed - window - horizon + 1
    known = data.take(study)
    plan = in_time(known.timeline)
    folds = plan.split(known.rows, seed=0, timeline=known.timeline)
    assert not any(dropped(folds, purge(folds, known.timeline)))
    own = known.timeline
    for train, judged in folds:
        for s in np.unique(own.series[judged]):
            origin = own.scored[judged[own.series[judged] == s], 0].min()
            mine = np.flatnonzero(own.series == s)
            assert sorted(train[own.series[train] == s]) == sorted(mine[own.seen[mine, 1] <= origin])
    last = {s: own.scored[own.series == s].max() for s in np.unique(own.series)}
    assert all(last[s] == own.scored[folds[-1][1]][own.series[folds[-1][1]] == s].max() for s in last)


def test_a_series_of_three_horizons_beside_the_window():
    data = forecasts([10 + 3 * 6], 10, 6)
    study, test = seal_horizons(data.timeline, 0.2)
    known = data.take(study[~data.timeline.leaks(study, test)])
    ((train, judged),) = in_time(known.timeline).split(known.rows, seed=0, timeline=known.timeline)
    scored = known.timeline.scored
    assert [scored[train].tolist(), scored[judged].tolist()] == [[[10, 16]], [[16, 22]]]
    assert data.timeline.scored[test].tolist() == [[22, 28]]
    with pytest.raises(
        InputError, match=r"forecasts need 28 rows .* has 27: 1 is missing\. Use a smaller window.*test=0"
    ):
        seal_horizons(forecasts([27], 10, 6).timeline, 0.2)
    with pytest.raises(InputError, match=r"12: 2 are missing .1 with .*. Use a shorter horizon, or no"):
        seal_horizons(forecasts([12], 2, 4).timeline, 0.2)
    with pytest.raises(InputError, match=r"30: 6 are missing .1 with a window of 1.\. Use a shorter horizon, or no"):
        seal_horizons(forecasts([30], 6, 10).timeline, 0.2)
    with pytest.raises(InputError, match=r"16: 17 are missing .15 with a window of 1.\. Use a shorter horizon\.$"):
        seal_horizons(forecasts([16], 3, 10).timeline, 0.2)  # for that, unsealed rows are too few as well
    short = forecasts([21], 10, 6).timeline
    with pytest.raises(InputError, match=r"needs 22 rows .* has 21: 1 is missing\. .*\) or a shorter horizon\.$"):
        in_time(short).split(len(short), seed=0, timeline=short)


def recalled(data, train, judged):
    """Forecasts of one that memorizes: the value itself where it was seen in training, else the last one known."""
    seen = {int(row) for a, b in data.timeline.seen[train] for row in range(a, b)}
    rows = data.timeline.scored[judged, 0]
    return np.where([int(row) in seen for row in rows], data.targets[judged, 0], data.inputs[judged, -1, 0])


@pytest.mark.parametrize("plan", [RollingOrigin(4), BlockedKFold(4), RollingOrigin(2, block=7, window=9, gap=2)])
def test_a_planted_leak_does_not_pay(plan):
    """Noise cannot be foretold. Folds in time without the purge let a memorizer foretell it; purged, they do not."""
    y = np.random.default_rng(3).normal(size=60)
    data = read_series({"y": y}, "y", predict="ahead", window=8)
    honest = purge(plan.split(data.rows, seed=0, timeline=data.timeline), data.timeline)
    for train, judged in honest:
        assert np.all(recalled(data, train, judged) == data.inputs[judged, -1, 0])
        scored = judged[::2]  # what stands between them has seen their targets
        leaky = np.setdiff1d(np.arange(data.rows), scored)
        assert np.any(recalled(data, leaky, scored) == data.targets[scored, 0])
        with pytest.raises(InputError, match="has no training examples left"):
            purge([(judged[1::2], scored)], data.timeline)


def test_windows_of_a_plan_in_time():
    timeline = forecasts([40, 30], 4, 2).timeline
    folds = RollingOrigin(3, gap=1, window=5, block=4).split(len(timeline), seed=0, timeline=timeline)
    for k, (train, judged) in enumerate(folds):
        for s, end in ((0, 40), (1, 70)):
            cut = end - 2 - (3 - k) * 4 + 1
            own, score = train[timeline.series[train] == s], judged[timeline.series[judged] == s]
            assert timeline.scored[score, 0].tolist() == list(range(cut, cut + 4))
            assert timeline.scored[own, 0].tolist() == list(range(cut - 7, cut - 2))
