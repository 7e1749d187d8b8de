"""Purged folds against the definition, row by row."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from perceptory.data import read_series
from perceptory.errors import InputError
from perceptory.selection.plans import BlockedKFold, KFold
from perceptory.selection.purge import dropped, overlaps, purge


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(1, 9)), min_size=4, max_size=30),
    st.integers(2, 4),
    st.booleans(),
)
def test_purge_is_what_it_says(pairs, folds, blocked):
    spans = np.array([(a, a + n) for a, n in pairs])
    before = (BlockedKFold(folds) if blocked else KFold(folds)).split(len(spans), seed=1)
    rows = [set(range(a, b)) for a, b in spans]
    expected = [[i for i in train if not any(rows[i] & rows[j] for j in validation)] for train, validation in before]
    assume(all(expected))
    after = purge(before, spans)
    for (train, validation), (_, old_validation), right in zip(after, before, expected, strict=True):
        assert train.tolist() == right
        np.testing.assert_array_equal(validation, old_validation)
    assert dropped(before, after) == [len(a) - len(e) for (a, _), e in zip(before, expected, strict=True)]


def test_windows_beside_a_validation_block():
    data = read_series({"y": np.arange(40.0)}, "y", predict="ahead", window=4)  # spans of 5 rows, one row apart
    folds = [(np.r_[0:12, 24:36], np.arange(12, 24))]
    after = purge(folds, data.spans)
    train, validation = after[0]
    assert train.tolist() == [*range(8), *range(28, 36)]
    assert validation.tolist() == list(range(12, 24))
    assert dropped(folds, after) == [8]
    assert not overlaps(data.spans, data.spans[:0]).any()


def test_nothing_is_left():
    spans = np.stack([np.arange(6), np.arange(6) + 4], axis=1)
    with pytest.raises(InputError, match=r"fold 2 of 2 has no training examples left, for all 3 share rows .* Blocked"):
        purge([(np.array([0, 1]), np.array([4, 5])), (np.array([0, 2, 4]), np.array([1, 3]))], spans)


@pytest.mark.parametrize("spans", [np.zeros((3, 2), int), np.zeros((3, 2)), np.arange(3), np.array([[0, 1, 2]])])
def test_spans_that_are_none(spans):
    with pytest.raises(InputError, match="spans need a first row"):
        purge([(np.array([0]), np.array([1]))], spans)
