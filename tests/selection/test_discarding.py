"""Rungs by hand, and who goes on beyond them."""

import numpy as np
import pytest

from perceptory import DiscardAfter, Halving
from perceptory.errors import InputError
from perceptory.selection.discarding import going_on


def test_rungs_of_successive_halving():
    assert Halving(2, least=0.05).rungs(160, 16) == [(10, 8), (20, 4), (40, 2), (80, 1)]
    assert Halving(2, least=0.1).rungs(160, 16) == [(20, 8), (40, 4), (80, 2)]
    assert Halving(3, least=0.05).rungs(90, 27) == [(10, 9), (30, 3)]
    assert Halving(3, least=0.05).rungs(90, 10) == [(10, 4), (30, 2)]
    assert Halving(3, least=0.1).rungs(90, 27) == [(10, 9), (30, 3)]
    assert Halving() == Halving(2, least=0.05)
    assert Halving(2).rungs(100, 1) == []
    assert Halving(2).rungs(1, 8) == []  # a single epoch: nothing is known before the end
    work = [16, *(keep for _, keep in Halving(2, least=0.05).rungs(160, 16))]
    ends = [0, *(epochs for epochs, _ in Halving(2, least=0.05).rungs(160, 16)), 160]
    assert sum(k * (b - a) for k, a, b in zip(work, ends, ends[1:], strict=False)) == 160 * 16 * 3 / 16


def test_one_rung_after_a_share():
    assert DiscardAfter(0.25, 0.3).rungs(80, 10) == [(20, 3)]
    assert DiscardAfter(0.001, 0.01).rungs(80, 10) == [(1, 1)]
    assert DiscardAfter(0.25, 0.9).rungs(80, 2) == []


@pytest.mark.parametrize(
    "make", [lambda: Halving(1), lambda: Halving(least=0), lambda: DiscardAfter(1.0), lambda: DiscardAfter(keep=True)]
)
def test_what_is_no_share_is_refused(make):
    with pytest.raises(InputError, match="needs a"):
        make()


def test_the_best_go_on_as_they_are_ranked():
    scores = np.array([[[3.0], [3.0]], [[1.0], [np.nan]], [[2.0], [2.5]], [[0.5], [0.5]]])
    size = np.ones(4)
    assert going_on(scores, "min", size, {0, 1, 2, 3}, 2) == {2, 3}
    assert going_on(scores, "min", size, {0, 1, 2}, 2) == {0, 2}  # one that diverged in part comes last
    assert going_on(scores, "max", size, {0, 2, 3}, 1) == {0}
