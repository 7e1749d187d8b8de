"""Anomaly scores and their p-values, from errors alone: no network is trained here."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from perceptory.errors import InputError
from perceptory.models import anomalies
from perceptory.models.anomalies import HeldOut, row_scores, score_at, with_held_out_errors

USUAL = np.array([1.0, 0.5])


class Members(SimpleNamespace):
    """What is asked of a model: facts, and how many members there are."""

    facts: dict[str, Any]
    members: int

    def __len__(self) -> int:
        return self.members


def of(groups, members=1):
    model = Members(facts={}, members=members)
    with_held_out_errors(model, groups, best=0)
    return model


def test_scores_by_hand():
    errors = np.array([[1.0, 0.5], [3.0, np.nan], [np.nan, np.nan]])
    held = np.array([[0.5, 0.25], [1.5, 0.75]])
    model = of([HeldOut([0], np.array([1, 0.5]), held, np.ones(2))])
    np.testing.assert_allclose(anomalies.scores(model, errors[None]), [np.log(2), np.log(4), 0])
    found = anomalies.anomalies(model, errors[None])
    np.testing.assert_allclose(found.by_column, [[np.log(2), np.log(2)], [np.log(4), np.nan], [np.nan, np.nan]])
    held_scores = [np.log(1.5), np.log(2.5)]
    np.testing.assert_allclose(model.facts["held_out"][0]["scores"], held_scores, rtol=1e-5)
    np.testing.assert_allclose(found.p_value, [2 / 3, 1 / 3, 1])


def test_p_values_of_rows_like_the_others_are_uniform():
    """Rows of one distribution: p <= α happens about as often as α says, for one group of held-out rows and for five,
    whose members err differently."""
    random = np.random.default_rng(0)
    levels = np.array([0.02, 0.1, 0.3, 0.7])
    shares = []
    for _ in range(200):
        factor = random.uniform(0.5, 2, size=5)  # of a member's errors
        usual = [factor[m] * random.chisquare(1, (20, 3)).mean(axis=0) for m in range(5)]  # of training rows
        groups = [HeldOut([m], usual[m], factor[m] * random.chisquare(1, (20, 3)), np.ones(20)) for m in range(5)]
        new = factor[:, None, None] * random.chisquare(1, (1, 50, 3))
        one = anomalies.anomalies(of(groups[:1]), new[:1]).p_value
        five = anomalies.anomalies(of(groups, members=5), new).p_value
        shares.append([[np.mean(p <= level) for level in levels] for p in (one, five)])
    one, five = np.mean(shares, axis=0)
    assert one[0] == 0  # of 20 rows none can be that unlike
    np.testing.assert_allclose(one[1:], np.floor(levels[1:] * 21) / 21, atol=0.02)
    np.testing.assert_allclose(five, np.floor(levels * 101) / 101, atol=0.02)


def test_p_values_of_planted_rows_are_small():
    random = np.random.default_rng(0)
    model = of([HeldOut([0], np.ones(4), random.chisquare(1, (60, 4)), np.ones(60))])
    planted = random.chisquare(1, (30, 4)) + np.array([0, 15, 15, 15])
    found = anomalies.anomalies(model, planted[None])
    assert np.all(found.p_value < 0.05)
    assert np.all(np.argmin(found.by_column, axis=1) == 0)  # the column that is as usual
    assert np.all(found.score > score_at(model, 0.05))


def test_the_score_at_a_level_tells_as_the_p_value_does():
    random = np.random.default_rng(1)
    model = of([HeldOut([0], np.ones(2), random.chisquare(1, (80, 2)), np.ones(80))])
    found = anomalies.anomalies(model, random.chisquare(1, (1, 500, 2)))
    for level in (0.013, 0.05, 0.5):
        np.testing.assert_array_equal(found.score > score_at(model, level), found.p_value <= level)
    assert score_at(model, 0.01) == np.inf
    with pytest.raises(InputError, match="level needs"):
        score_at(model, 1.5)


def test_weights_are_copies_and_few_of_many_rows_are_kept():
    random = np.random.default_rng(2)
    errors, weights = random.chisquare(1, (30, 2)), random.integers(0, 3, 30).astype(float)
    copies = np.repeat(errors, weights.astype(int), axis=0)
    weighted = of([HeldOut([0], USUAL, errors, weights)]).facts
    assert weighted == of([HeldOut([0], USUAL, copies, np.ones(len(copies)))]).facts
    scaled = of([HeldOut([0], USUAL, errors, weights / 10)]).facts["held_out"][0]["scores"]
    assert len(scaled) == np.sum(weights > 0)
    many = random.chisquare(1, (10_000, 2))
    facts = of([HeldOut([0], USUAL, many, np.ones(10_000))]).facts
    kept, scores = np.array(facts["held_out"][0]["scores"]), row_scores(many, USUAL)
    assert len(kept) == anomalies.MOST
    assert kept[-1] == pytest.approx(scores.max(), rel=1e-5)
    assert np.median(kept) == pytest.approx(np.median(scores), rel=1e-2)


@pytest.mark.parametrize(
    "altered",
    [
        {"usual": [1.0]}, {"usual": [1.0, 0.0]}, {"usual": "?"}, {"usual": None}, {"members": [1]}, {"members": []},
        {"members": 0}, {"scores": [2.0, 1.0]}, {"scores": []}, {"scores": None},
    ],
)  # fmt: skip
def test_altered_facts_are_said(altered):
    model = of([HeldOut([0], USUAL, np.ones((4, 2)), np.ones(4))])
    model.facts["held_out"][0] |= altered
    with pytest.raises(InputError, match="altered"):
        anomalies.anomalies(model, np.ones((1, 3, 2)))
