"""The arithmetic of validation plans: which fold each row belongs to. Own and small, for scikit-learn's model selection
takes seconds to import; the tests hold them against it.

`fold` arrays are [row] -> number of the fold whose validation part holds the row.
"""

from __future__ import annotations

import numpy as np

from perceptory.selection.folds import Fold


def pairs(fold: np.ndarray, folds: int) -> list[Fold]:
    """Each fold's rows for validation, all others for training."""
    return [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(folds)]


def even_folds(rows: int, folds: int) -> np.ndarray:
    """Contiguous folds of equal size, the first rows % folds of them one row longer."""
    sizes = np.full(folds, rows // folds)
    sizes[: rows % folds] += 1
    return np.repeat(np.arange(folds), sizes)


def shuffled_folds(rows: int, folds: int, random: np.random.Generator) -> np.ndarray:
    fold = np.empty(rows, int)
    fold[random.permutation(rows)] = even_folds(rows, folds)
    return fold


def stratified_folds(targets: np.ndarray, folds: int, random: np.random.Generator) -> np.ndarray:
    """Folds whose sizes, and whose numbers of rows of each class, differ by one at most.

    The rows sorted by class are dealt to the folds like cards; that fixes the numbers, chance fixes the rows.
    """
    order = np.argsort(targets, kind="stable")
    deal = np.empty(len(targets), int)
    deal[order] = np.arange(len(targets)) % folds
    fold = np.empty(len(targets), int)
    for k in np.unique(targets):
        fold[targets == k] = random.permutation(deal[targets == k])
    return fold


def share_of_classes(counts: np.ndarray, total: int) -> np.ndarray:
    """How many of `total` rows each class gives: in proportion, every class keeping one, and giving one if it can.

    counts: [class], each at least 2. Largest remainders decide; a later class wins no tie.
    """
    total = int(np.clip(total, 1, counts.sum() - len(counts)))
    quota = counts * (total / counts.sum())
    least, most = int(total >= len(counts)), counts - 1
    take = np.clip(np.floor(quota).astype(int), least, most)
    while take.sum() < total:
        take[np.argmax(np.where(take < most, quota - take, -np.inf))] += 1
    while take.sum() > total:
        take[np.argmax(np.where(take > least, take - quota, -np.inf))] -= 1
    return take


def stratified_share(targets: np.ndarray, total: int, random: np.random.Generator) -> np.ndarray:
    """Fold 0 holds `total` rows (one more or less where small classes need it), the classes in their proportions."""
    fold = np.ones(len(targets), int)
    classes, counts = np.unique(targets, return_counts=True)
    for k, take in zip(classes, share_of_classes(counts, total), strict=True):
        fold[random.permutation(np.flatnonzero(targets == k))[:take]] = 0
    return fold


def grouped_share(groups: np.ndarray, total: int, random: np.random.Generator) -> np.ndarray:
    """Fold 0 holds whole groups, taken by chance where they bring it nearer to `total` rows; one at least stays out."""
    count = np.bincount(groups)
    taken: list[int] = []
    size = 0
    for g in random.permutation(len(count))[:-1]:
        if abs(size + count[g] - total) < abs(size - total):
            taken.append(int(g))
            size += int(count[g])
    return np.where(np.isin(groups, taken or [int(np.argmin(count))]), 0, 1)


def grouped_folds(groups: np.ndarray, folds: int, random: np.random.Generator) -> np.ndarray:
    """Whole groups to folds: the largest first, each to the fold with the fewest rows; chance orders equal sizes."""
    count = np.bincount(groups)
    mixed = random.permutation(len(count))
    home, load = np.empty(len(count), int), np.zeros(folds, int)
    for g in mixed[np.argsort(-count[mixed], kind="stable")]:
        home[g] = np.argmin(load)
        load[home[g]] += count[g]
    return home[groups]
