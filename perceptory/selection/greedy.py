"""Greedy selection of an ensemble with replacement (Caruana, Niculescu-Mizil, Crew & Ksikes 2004, ICML).

Of candidates with held-out predictions y_c one is added at a time, each as often as it helps: after m rounds the
ensemble predicts (1/m) Σ_c n_c y_c, and round m + 1 raises that n_c which makes the loss of the mean least. Of all
rounds the ensemble with the least loss is taken; shares are n_c / m.

Where few rows are held out, what they select is partly chance, and `shares_by_error` takes all candidates instead,
each with a share in proportion to 1 / loss⁴ of its own.

A loss that is the least of many is a promise that is not kept. `cross_fitted` measures the procedure instead: each
block of rows is predicted with shares that were selected on the rows of all other blocks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from perceptory.selection.metrics import METRICS, score

BY_ERROR = "weighted_by_error"  # `Study.final`, of numbers
POWER, LEAST_SHARE = 4, 0.02  # of shares by error
ROUNDS = 50  # so that a share is a multiple of 1/m, m <= 50
LEAST = np.finfo(float).eps  # of a probability, as `metrics.log_loss` has it

Losses = Callable[[np.ndarray], np.ndarray]  # [candidate] n -> [candidate] loss of the mean with one more of each


def greedy_shares(losses: Losses, candidates: int, rounds: int = ROUNDS) -> np.ndarray:
    """[candidate] shares that sum to 1. losses: counts n [candidate] -> [candidate] the loss with one more of each;
    of equal losses the first candidate is taken."""
    counts, best, least = np.zeros(candidates), np.zeros(candidates), np.inf
    for _ in range(rounds):
        loss = np.nan_to_num(losses(counts), nan=np.inf)
        counts[int(np.argmin(loss))] += 1
        if loss.min() < least - 1e-12 * abs(least if np.isfinite(least) else 0):
            best, least = counts.copy(), float(loss.min())
    if not best.any():  # nothing is finite: the first one, as ranked
        best[0] = 1
    return best / best.sum()


def shares_by_error(losses: Losses, candidates: int) -> np.ndarray:
    """[candidate] shares in proportion to loss^-4 of each alone, those below `LEAST_SHARE` 0; losses are above 0."""
    own = np.maximum(np.nan_to_num(losses(np.zeros(candidates)), nan=np.inf), np.finfo(float).tiny)
    shares = (own.min() / own) ** POWER if np.isfinite(own.min()) else np.eye(candidates)[0]
    shares = np.where(shares < LEAST_SHARE * shares.sum(), 0.0, shares)
    return np.asarray(shares / shares.sum())


def losses_of(
    name: str, task: str, truth: np.ndarray, outputs: np.ndarray, weights: np.ndarray, units: Any = None
) -> Losses:
    """The losses of a score, the less the better. truth [row, target] or [row] class index; outputs [candidate, row,
    target] or [candidate, row, class]; weights [row]; units [row, target] of forecasts, as `metrics.mase` has them."""
    if name in ("rmse", "mse"):
        return _squared(truth, outputs, weights, root=name == "rmse")
    if name == "log_loss":
        return _logarithmic(truth, outputs, weights)
    sign = 1.0 if METRICS[name].better == "min" else -1.0

    def losses(counts: np.ndarray) -> np.ndarray:
        total = np.tensordot(counts, outputs, axes=1)
        means = ((total + one) / (counts.sum() + 1) for one in outputs)
        return np.array([sign * score(name, task, truth, mean, weights, units) for mean in means])

    return losses


def _squared(truth: np.ndarray, outputs: np.ndarray, weights: np.ndarray, root: bool) -> Losses:
    """By products of errors: E_cd = Σ w e_c e_d / Σ w of each target, so that a mean with counts n errs nᵀ E n / m²."""
    errors = outputs - truth
    products = np.einsum("crt,drt,r->tcd", errors, errors, weights / weights.sum(), optimize=True)

    def losses(counts: np.ndarray) -> np.ndarray:
        with_each = np.einsum("tcd,d->tc", products, counts)
        now = np.einsum("tc,c->t", with_each, counts)
        squared = now[:, None] + 2 * with_each + np.einsum("tcc->tc", products)
        squared = np.maximum(squared, 0) / (counts.sum() + 1) ** 2
        return np.asarray((np.sqrt(squared) if root else squared).mean(axis=0))

    return losses


def _logarithmic(truth: np.ndarray, outputs: np.ndarray, weights: np.ndarray) -> Losses:
    """Of the true class's probability alone."""
    true = outputs[:, np.arange(len(truth)), truth]
    shares = weights / weights.sum()

    def losses(counts: np.ndarray) -> np.ndarray:
        means = (counts @ true + true) / (counts.sum() + 1)
        return np.asarray(-(np.log(np.clip(means, LEAST, 1 - LEAST)) @ shares))

    return losses


def cross_fitted(
    name: str,
    task: str,
    truth: np.ndarray,
    outputs: np.ndarray,
    weights: np.ndarray,
    blocks: np.ndarray,
    rows: np.ndarray,
    units: Any = None,
    choose: Callable[[Losses, int], np.ndarray] = greedy_shares,
) -> np.ndarray:
    """[item, ...] predictions of each item by shares selected on the items of other blocks, none of whose rows is
    among the block's. blocks: [item] its block; rows: [item] its row, since a row may be held out more than once.
    choose: how shares are selected.
    Arguments else as `losses_of`."""
    mixed = np.empty(outputs.shape[1:])
    for block in np.unique(blocks):
        here = blocks == block
        others = ~np.isin(rows, rows[here]) & (weights > 0)
        if others.any():
            own = None if units is None else units[others]
            shares = choose(losses_of(name, task, *_of(others, truth, outputs, weights), own), len(outputs))
        else:
            shares = np.full(len(outputs), 1 / len(outputs))
        mixed[here] = np.tensordot(shares, outputs[:, here], axes=1)
    return mixed


def _of(chosen: np.ndarray, truth: Any, outputs: Any, weights: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return truth[chosen], outputs[:, chosen], weights[chosen]
