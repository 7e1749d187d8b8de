"""Which columns tell of one another, so that shuffling one of them leaves a model what it said in the others."""

from __future__ import annotations

from typing import Any

import numpy as np

STRONG = 0.8  # correlation of ranks from which two columns are said to share information
MOST_GROUPS, MOST_CATEGORIES = 5, 600  # of all columns together
FEW = 5  # rows a category at least


def sharing(columns: Any) -> list[tuple[tuple[int, ...], float]]:
    """(places, strength) of columns that share information, the strongest first: those that are connected by pairs of
    at least `STRONG`, strength being that of the strongest pair.

    Of numbers and dates |rho| by Spearman; of a category and a number the correlation ratio of ranks; of two categories
    Cramér's V; the latter two less what chance shows of so many categories (epsilon squared, Kelley 1935; Bergsma
    2013).
    """
    strengths = associations(columns)
    near = strengths >= STRONG
    np.fill_diagonal(near, False)
    left, found = set(np.flatnonzero(near.any(axis=1)).tolist()), []
    while left:
        group, new = set(), {left.pop()}
        while new:
            group |= new
            new = {int(k) for one in new for k in np.flatnonzero(near[one])} - group
        left -= group
        places = tuple(sorted(group))
        inside = strengths[np.ix_(places, places)].copy()
        np.fill_diagonal(inside, 0)
        found.append((places, float(inside.max())))
    return sorted(found, key=lambda one: -one[1])[:MOST_GROUPS]


def associations(columns: Any) -> np.ndarray:
    """[column, column] from 0 to 1, how much one column tells of another; 0 where that is not known."""
    count = len(columns.names)
    strengths = np.zeros((count, count))
    numbers = [k for k in range(count) if columns.numbers(k) is not None]
    ranks = _ranks(np.stack([columns.numbers(k) for k in numbers], axis=1)) if numbers else None
    if ranks is not None:
        strengths[np.ix_(numbers, numbers)] = np.abs(ranks.T @ ranks)
    labels, room = [], MOST_CATEGORIES
    for k in range(count):
        table = _indicators(columns.codes(k)) if k not in set(numbers) else None
        if table is not None and table.shape[1] <= room:
            labels.append((k, table))
            room -= table.shape[1]
    for place, (k, own) in enumerate(labels):
        if ranks is not None:
            strengths[k, numbers] = strengths[numbers, k] = _ratios(own, ranks)
        for other, table in labels[:place]:
            strengths[k, other] = strengths[other, k] = _cramer(own, table)
    np.fill_diagonal(strengths, 1.0)
    return np.minimum(strengths, 1.0)


def _ranks(values: np.ndarray) -> np.ndarray:
    """[row, column] ranks, of equal values their mean, of missing ones that of all; mean 0 and length 1."""
    ranks = np.zeros(values.shape)
    for own, column in zip(ranks.T, values.T, strict=True):
        there = ~np.isnan(column)
        _, place, counts = np.unique(column[there], return_inverse=True, return_counts=True)
        own[there] = (np.cumsum(counts) - (counts - 1) / 2)[place]
        own[there] -= own[there].mean() if there.any() else 0.0
    length = np.sqrt((ranks**2).sum(axis=0))
    return ranks / np.where(length > 0, length, 1.0)


def _indicators(codes: np.ndarray) -> np.ndarray | None:
    """[row, category] 0 and 1, those without a category being one of their own; None where there is one category, or
    too few rows for so many."""
    kinds, place = np.unique(np.maximum(codes, -1), return_inverse=True)
    if len(kinds) < 2 or len(kinds) * FEW > len(codes):
        return None
    table = np.zeros((len(codes), len(kinds)))
    table[np.arange(len(codes)), place] = 1
    return table


def _ratios(table: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    """[column] the correlation ratio of each column of ranks by the categories of a table."""
    n, kinds = table.shape
    between = ((table.T @ ranks) ** 2 / table.sum(axis=0)[:, None]).sum(axis=0)  # of a sum of squares of 1
    return np.sqrt(np.clip(1 - (1 - between) * (n - 1) / max(1, n - kinds), 0, 1))


def _cramer(first: np.ndarray, second: np.ndarray) -> float:
    n = len(first)
    counts = first.T @ second
    expected = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / n
    rows, kinds = counts.shape
    phi = float(((counts - expected) ** 2 / expected).sum() / n) - (rows - 1) * (kinds - 1) / (n - 1)
    fewer = min(rows - (rows - 1) ** 2 / (n - 1), kinds - (kinds - 1) ** 2 / (n - 1)) - 1
    return float(np.sqrt(max(0.0, phi) / fewer)) if fewer > 0 else 0.0
