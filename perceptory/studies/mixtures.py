"""Final models of several candidates: shares by greedy selection over held-out predictions, and what they promise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from perceptory.results.predictions import judged_rows
from perceptory.selection.greedy import BY_ERROR, cross_fitted, greedy_shares, losses_of, shares_by_error
from perceptory.selection.metrics import METRICS, OWN_COST, score, score_for
from perceptory.studies.records import Records

BLOCKS = 10  # of folds, at most, whose shares are selected without them; of one fold's rows half as many


@dataclass(frozen=True, eq=False)
class Mixture:
    """candidates: places, the greatest share first. shares: of each, 1 together.

    outputs: [row of the fold's validation rows, ...] by fold, predicted with shares that were selected without the
    rows of the fold (or, where there is one fold, of the row's block): what an honest estimate is of. per_fold: their
    scores. selected: the score of the shares on the rows that they were selected on.
    """

    candidates: tuple[int, ...]
    shares: tuple[float, ...]
    outputs: dict[int, np.ndarray]
    per_fold: tuple[float, ...]
    selected: float

    @property
    def mean(self) -> float:
        return float(np.mean(self.per_fold))


def mixture_of(records: Records, order: Sequence[int], best: int) -> Mixture:
    """Shares of candidates in the mean, by greedy selection on rows that their members did not train on, or by their
    errors there (`Study.final`).

    order: candidates that may be chosen, best first. best: the chosen one; candidates go in whose outputs are of its
    kind (those of a likelihood only with its own) and none of whose folds lacks a network.
    """
    prepared = records.prepared
    held = {c: _held_out(records, c) for c in order}
    own = prepared.candidates[best].cost
    able = [c for c in order if len(held[c]) == len(prepared.folds) and _mixes(prepared.candidates[c].cost, own)]
    able = able or [best]
    folds = sorted(held[able[0]])
    truth, weights = prepared.encoded.judged
    places = [prepared.folds[f][1] for f in folds]
    flat = [
        [judged_rows(truth[rows], held[c][f], weights[rows]) for f, rows in zip(folds, places, strict=True)]
        for c in able
    ]
    outputs = np.stack([np.concatenate([part[1] for part in one]) for one in flat])
    target, counts = (np.concatenate([part[k] for part in flat[0]]) for k in (0, 2))
    rows = np.concatenate([_judged_places(p, weights[p]) for p in places])
    fold = np.repeat(np.arange(len(folds)), [len(part[0]) for part in flat[0]])
    name, task = prepared.score.name, prepared.encoded.task
    units = None if prepared.encoded.units is None else np.concatenate([prepared.encoded.units[p] for p in places])
    name = score_for(task, None, units is not None).name if name == OWN_COST else name
    choose = shares_by_error if prepared.study.final == BY_ERROR else greedy_shares
    by = "rmse" if prepared.study.final == BY_ERROR and METRICS[name].better == "max" else name  # errors are above 0
    losses = [
        losses_of(by, task, target[own], outputs[:, own], counts[own], None if units is None else units[own])
        for own in ([fold == k for k in range(len(folds))] if choose is shares_by_error else [fold >= 0])
    ]  # errors as candidates are ranked by: the mean over folds
    shares = choose(lambda n: np.mean([one(n) for one in losses], axis=0), len(able))
    blocks = _blocks(fold, rows, prepared.study.seed)
    honest = cross_fitted(by, task, target, outputs, counts, blocks, rows, units, choose)

    def scored(here: np.ndarray) -> float:
        own = None if units is None else units[here]
        return score(name, task, target[here], honest[here], counts[here], own)

    per_fold = [scored(fold == k) for k in range(len(folds))]
    mixed = np.tensordot(shares, outputs, axes=1)
    inside = sorted(np.flatnonzero(shares), key=lambda k: -shares[k])
    return Mixture(
        tuple(able[k] for k in inside),
        tuple(float(shares[k]) for k in inside),
        {f: _as_held(honest[fold == k], held[able[0]][f], weights[places[k]]) for k, f in enumerate(folds)},
        tuple(per_fold),
        score(name, task, target, mixed, counts, units),
    )


def _held_out(records: Records, candidate: int) -> dict[int, np.ndarray]:
    """By fold the mean, over its sound members, of what they predict for the fold's validation rows."""
    by_fold: dict[int, list[np.ndarray]] = {}
    for (_, fold, _), record in records.sound_members(candidate).items():
        by_fold.setdefault(fold, []).append(record.output)
    means = {fold: np.mean(outputs, axis=0) for fold, outputs in by_fold.items()}
    return {fold: mean for fold, mean in means.items() if np.isfinite(mean).all()}


def _mixes(cost: object, own: object) -> bool:
    """Whether networks of both costs can stand in one mean: outputs of one kind."""
    return cost == own or (getattr(cost, "heads", 1) == 1 and getattr(own, "heads", 1) == 1)


def _judged_places(rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The row of each item that is judged: of sequences each step that counts is one."""
    return rows if weights.ndim == 1 else rows[np.nonzero(weights > 0)[0]]


def _blocks(fold: np.ndarray, rows: np.ndarray, seed: int) -> np.ndarray:
    """[item] its block: folds, some together where there are many; of a single fold parts of its rows."""
    if fold.max() > 0:
        return fold % BLOCKS
    distinct, place = np.unique(rows, return_inverse=True)
    deal = np.random.default_rng(seed).permutation(len(distinct)) % max(2, BLOCKS // 2)
    return np.asarray(deal[place])


def _as_held(items: np.ndarray, like: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Items back in the shape of a fold's outputs, with nothing where a step does not count."""
    if weights.ndim == 1:
        return items
    out = like.copy()
    out[weights > 0] = items
    return out
