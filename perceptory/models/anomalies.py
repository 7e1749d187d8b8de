"""How unlike the rest an example is, by what an autoencoder does not give back of it.

Each column's error e_j is compared with ē_j, its mean over the rows that the networks trained on, and the score is

    s = mean over the columns of ln(1 + e_j / ē_j),

but for constants minus the log likelihood of residuals with tails as those of Cauchy's distribution: several columns
that are somewhat off count for more than a single one that is far off.

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
LEAST = 1e-6  # a column's usual error at least: one that is always given back may be rounded otherwise


class Anomalies(NamedTuple):
    """How unlike the rest each example is.

    score: [row] mean over the columns that have a value of ln(1 + error / mean error of training rows); the larger, the
    more unlike. p_value: [row] the share of held-out rows with at least this score; small for what is unlike them.
    by_column: [row, column] what the score is the mean of, NaN where a value is missing.
    """

    score: np.ndarray
    p_value: np.ndarray
    by_column: np.ndarray


class HeldOut(NamedTuple):
    """Rows that some members did not train on.

    members: which. usual: [column] mean errors of the rows that these did train on: they must not know the held-out
    rows, for which they would be larger than for new ones. errors: [row, column] of the held-out rows; weights: [row],
    a row of weight 2 counts as two rows, one of weight 0 not at all.
    """

    members: Sequence[int]
    usual: np.ndarray
    errors: np.ndarray
    weights: np.ndarray


def with_held_out_errors(model: Any, groups: Sequence[HeldOut], best: int) -> None:
    """Put into the model's facts what `anomalies` needs, and which member encodes."""
    counts = [_row_count(group.weights) for group in groups]
    share = min(1.0, MOST / max(1, sum(counts)))
    kept = []
    for group, count in zip(groups, counts, strict=True):
        if count:
            usual = [_short(max(error, LEAST)) for error in np.where(np.isnan(group.usual), 1.0, group.usual)]
            scores = row_scores(group.errors, np.asarray(usual))
            held = _thinned(scores, group.weights, max(1, math.ceil(share * count)))
            members = [int(m) for m in group.members]
            kept.append({"members": members, "usual": usual, "scores": [_short(score) for score in held]})
    model.facts |= {"held_out": kept, "best_member": int(best)}


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
    """[...] scores of errors [..., column] beside the usual ones [column]; 0 where no column has a value."""
    terms, there = np.log1p(errors / usual), ~np.isnan(errors)
    return np.asarray(np.where(there, terms, 0).sum(axis=-1) / np.maximum(there.sum(axis=-1), 1))


class Known(NamedTuple):
    """What a model knows of some rows that its members did not train on: their sorted scores [row]."""

    members: list[int]
    usual: np.ndarray
    scores: np.ndarray


def scores(model: Any, errors: np.ndarray) -> np.ndarray:
    """[row] from the members' errors [member, row, column]: the mean over the groups of members that left rows out;
    where none was left out, over the members, with usual errors of 1, which are those of the mean."""
    if not model.facts.get("held_out"):
        return row_scores(errors, np.ones(errors.shape[2])).mean(axis=0)
    groups = known_of(model, errors.shape[2])
    return np.asarray(np.mean([row_scores(errors[g.members].mean(axis=0), g.usual) for g in groups], axis=0))


def anomalies(model: Any, errors: np.ndarray) -> Anomalies:
    """Scores and p-values of examples from the members' errors [member, row, column]."""
    groups = known_of(model, errors.shape[2])
    above, total = np.ones(errors.shape[1]), 1
    for g in groups:
        mine = row_scores(errors[g.members].mean(axis=0), g.usual)
        above += len(g.scores) - np.searchsorted(g.scores, mine, side="left")
        total += len(g.scores)
    by_column = np.mean([np.log1p(errors[g.members].mean(axis=0) / g.usual) for g in groups], axis=0)
    return Anomalies(scores(model, errors), above / total, by_column)


def held_out_scores(model: Any, errors: np.ndarray) -> np.ndarray:
    """[row] scores of rows from their errors [row, column] by members that did not train on them."""
    return row_scores(errors, np.mean([g.usual for g in known_of(model, errors.shape[1])], axis=0))


def score_at(model: Any, level: float) -> float:
    """The score above which the p-value of a row is at most `level`, for members of several folds nearly so; infinite
    where no row was held out, or too few for such a p-value."""
    if isinstance(level, bool) or not isinstance(level, int | float | np.number) or not 0 < level < 1:
        raise InputError(f"level needs a number above 0 and below 1, got {level!r}. Example: 0.05")
    if not model.facts.get("held_out"):
        return math.inf
    held = np.sort(np.concatenate([g.scores for g in known_of(model)]))
    above = math.floor(level * (len(held) + 1) * (1 + 1e-12)) - 1
    return float(held[len(held) - 1 - above]) if above >= 0 else math.inf


def known_of(model: Any, columns: int | None = None) -> list[Known]:
    """What the model knows of the rows that were held out. `InputError` where there are none.

    columns: how many errors a row has.
    """
    records = model.facts.get("held_out")
    if not records:
        raise InputError(
            "the model holds no errors of validation rows, so it knows no p-values. Train by a study with validation."
        )
    try:
        groups = [
            Known([int(m) for m in g["members"]], np.asarray(g["usual"], float), np.asarray(g["scores"], float))
            for g in records
        ]
    except (TypeError, KeyError, ValueError):
        groups = []
    if not groups or not all(_fits(group, len(model), columns) for group in groups):
        raise InputError("the held-out errors do not fit the model: the file was altered. Take another copy.")
    return groups


def _fits(known: Known, members: int, columns: int | None) -> bool:
    held, usual = known.scores, known.usual
    return bool(
        known.members
        and 0 <= min(known.members) <= max(known.members) < members
        and held.ndim == usual.ndim == 1
        and len(held)
        and np.all(np.diff(held) >= 0)
        and len(usual) == (len(usual) if columns is None else columns)
        and np.all(usual > 0)
    )
