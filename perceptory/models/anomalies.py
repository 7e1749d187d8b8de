"""How unlike the rest an example is, by what an autoencoder does not give back of it.

Each column's error e_j is compared with ē_j, its mean over rows that a network has not trained on, and the score is

    s = mean over the columns of ln(1 + e_j / ē_j),

but for constants minus the log likelihood of residuals with tails as those of Cauchy's distribution: several columns
that are somewhat off count for more than a single one that is far off. [E35]

Scores are compared with those of the held-out rows, as prediction intervals are (`models.intervals`): a row's p-value
is the share of them that are at least as large, the row itself counted,

    p(x) = (1 + #{i : s_i >= s_g(i)(x)}) / (n + 1),

where s_i is the score of held-out row i by the members that left its group out, and s_g(x) that of x by the same
members (cross-conformal p-values: Vovk 2015, Annals of Mathematics and Artificial Intelligence 74; Bates et al. 2023,
Annals of Statistics 51). If x is like the rows of the study, p <= α happens with probability of at most about α.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from perceptory.errors import InputError

MOST = 4096  # held-out scores that a model keeps: of more, every so many-th of the sorted ones, rounded upwards
LEAST = 1e-6  # a column's mean error at least: one that is always given back may be rounded otherwise


class Anomalies(NamedTuple):
    """How unlike the rest each example is.

    score: [row] mean over the columns that have a value of ln(1 + error / mean error of held-out rows); the larger, the
    more unlike. p_value: [row] the share of held-out rows with at least this score; small for what is unlike them.
    by_column: [row, column] what the score is the mean of, NaN where a value is missing.
    """

    score: np.ndarray
    p_value: np.ndarray
    by_column: np.ndarray


class HeldOut(NamedTuple):
    """Rows that some members did not train on: these members, and the rows' errors [row, column] and weights [row].
    A row of weight 2 counts as two rows, one of weight 0 not at all."""

    members: Sequence[int]
    errors: np.ndarray
    weights: np.ndarray


def with_held_out_errors(model: Any, groups: Sequence[HeldOut], best: int) -> None:
    """Put into the model's facts what `anomalies` needs, and which member encodes."""
    usual = _mean_by_column(groups)
    counts = [_row_count(group.weights) for group in groups]
    share = min(1.0, MOST / max(1, sum(counts)))
    kept = []
    for group, count in zip(groups, counts, strict=True):
        if count:
            scores = row_scores(group.errors, np.asarray(usual))
            held = _thinned(scores, group.weights, max(1, math.ceil(share * count)))
            kept.append({"members": [int(m) for m in group.members], "scores": [_short(score) for score in held]})
    model.facts |= {"held_out": kept, "usual_errors": usual, "best_member": int(best)}


def _mean_by_column(groups: Sequence[HeldOut]) -> list[float]:
    """Of each column over all rows of the groups, at least `LEAST`; 1, the error of a mean, where none has a value."""
    errors = np.concatenate([group.errors for group in groups])
    weights = np.concatenate([group.weights for group in groups])[:, None] * ~np.isnan(errors)
    total = weights.sum(axis=0)
    means = np.where(weights > 0, errors * weights, 0).sum(axis=0) / np.where(total > 0, total, 1)
    return [_short(max(mean, LEAST)) if there else 1.0 for mean, there in zip(means, total > 0, strict=True)]


def _short(number: float) -> float:
    return float(f"{number:.6g}")


def _row_count(weights: np.ndarray) -> int:
    """How many rows these count as: weights that are numbers of copies count as such, those of a smaller scale as 1."""
    return max(int(np.sum(weights > 0)), round(float(np.sum(weights))))


def _thinned(scores: np.ndarray, weights: np.ndarray, keep: int) -> np.ndarray:
    """So many of the sorted scores, at equal steps of the sum of their weights, rounded upwards."""
    order = np.argsort(scores, kind="stable")
    order = order[weights[order] > 0]
    below = np.cumsum(weights[order])
    levels = np.arange(1, keep + 1) * (below[-1] / keep)
    places = np.searchsorted(below, levels * (1 - 1e-12), side="left")
    return np.asarray(scores[order[places]])


def row_scores(errors: np.ndarray, usual: np.ndarray) -> np.ndarray:
    """[...] scores of errors [..., column] where `usual` [column] are the means; 0 where no column has a value."""
    terms, there = np.log1p(errors / usual), ~np.isnan(errors)
    return np.asarray(np.where(there, terms, 0).sum(axis=-1) / np.maximum(there.sum(axis=-1), 1))


def scores(model: Any, errors: np.ndarray) -> np.ndarray:
    """[row] from the members' errors [member, row, column]; without held-out rows `usual` errors are 1."""
    return row_scores(errors, _usual_errors(model, errors.shape[2])).mean(axis=0)


def anomalies(model: Any, errors: np.ndarray) -> Anomalies:
    """Scores and p-values of examples from the members' errors [member, row, column]."""
    groups, usual = held_out_scores(model), _usual_errors(model, errors.shape[2])
    above, total = np.ones(errors.shape[1]), 1
    for members, held in groups:
        mine = row_scores(errors[members].mean(axis=0), usual)
        above += len(held) - np.searchsorted(held, mine, side="left")
        total += len(held)
    return Anomalies(scores(model, errors), above / total, np.log1p(errors / usual).mean(axis=0))


def score_at(model: Any, level: float) -> float:
    """The score above which the p-value of a row is at most `level`, for members of several folds nearly so; infinite
    where no row was held out, or too few for such a p-value."""
    if isinstance(level, bool) or not isinstance(level, int | float | np.number) or not 0 < level < 1:
        raise InputError(f"level needs a number above 0 and below 1, got {level!r}. Example: 0.05")
    if not model.facts.get("held_out"):
        return math.inf
    held = np.sort(np.concatenate([scores for _, scores in held_out_scores(model)]))
    above = math.floor(level * (len(held) + 1) * (1 + 1e-12)) - 1
    return float(held[len(held) - 1 - above]) if above >= 0 else math.inf


def held_out_scores(model: Any) -> list[tuple[list[int], np.ndarray]]:
    """Members and the sorted scores [row] of the rows that they did not train on. `InputError` where there are none."""
    records = model.facts.get("held_out")
    if not records:
        raise InputError(
            "the model holds no errors of validation rows, so it knows no p-values. Train by a study with validation."
        )
    try:
        groups = [([int(m) for m in g["members"]], np.asarray(g["scores"], float)) for g in records]
    except (TypeError, KeyError, ValueError):
        groups = []
    fits = groups and all(
        m and 0 <= min(m) <= max(m) < len(model) and s.ndim == 1 and len(s) and np.all(np.diff(s) >= 0)
        for m, s in groups
    )
    if not fits:
        raise _altered()
    return groups


def _usual_errors(model: Any, columns: int) -> np.ndarray:
    if not model.facts.get("held_out"):
        return np.ones(columns)
    try:
        usual = np.asarray(model.facts["usual_errors"], float)
    except (TypeError, KeyError, ValueError):
        raise _altered() from None
    if usual.shape != (columns,) or not np.all(usual > 0):
        raise _altered()
    return usual


def _altered() -> InputError:
    return InputError("the held-out errors do not fit the model: the file was altered. Take another copy.")
