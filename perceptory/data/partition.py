"""Sealed test rows: cut off before a study sees the data."""

from __future__ import annotations

import numpy as np

from perceptory.data.examples import Examples
from perceptory.data.series.timeline import Timeline
from perceptory.errors import InputError, Remedy, Setting


def seal(
    dataset: Examples, share: float, *, seed: int = 0, stratify: bool | None = None, last: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Part the rows into study and test rows: two sorted int64 arrays that hold every row once.

    share: of the rows that are test rows, at least 0 and below 1; 0 gives none. Rows are drawn by `seed`, or are the
    last ones (`last=True`, for rows in order of time). stratify: keep the share in every class (a class of two or more
    rows is then in both parts); by default for classification. Where the dataset has groups, whole groups are drawn,
    nearest to the share, and classes are not looked at. Raises `InputError` for a share that leaves fewer than two
    rows.
    """
    _check_share(share)
    rows = dataset.rows
    if share == 0:
        test = np.zeros(0, np.int64)
    elif last:
        test = np.arange(rows - round(share * rows), rows)
        _no_group_on_both_sides(dataset, test)
    else:
        random = np.random.default_rng(seed)
        classes = dataset.classes is not None if stratify is None else stratify
        if dataset.groups is not None:
            test = _whole_groups(dataset.groups, share, random)
        elif classes and dataset.classes is None:
            raise InputError("stratified test rows need a target of classes. Leave stratify out here.")
        elif classes:
            test = _every_class(dataset.targets, share, random)
        else:
            test = random.permutation(rows)[: round(share * rows)]
    inside = np.zeros(rows, bool)
    inside[test] = True
    study, test = np.flatnonzero(~inside), np.flatnonzero(inside)
    if len(study) < 2 or (share > 0 and len(test) < 2):
        raise InputError(
            f"a test share of {share} leaves {len(study)} study and {len(test)} test rows of {rows}, but both need at "
            "least 2. Choose another share, or 0 for no test rows."
        )
    return study.astype(np.int64), test.astype(np.int64)


def seal_horizons(timeline: Timeline, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Part forecasts into study and test examples, as `seal` does: the last rows of every series are what is tested.

    Of each series as many whole horizons are sealed as the share allows, at least one, and so few that one example
    remains to train on and one to validate. Series that are too short for that are not tested. Raises `InputError`,
    which says how many rows are missing, where all of them are.
    """
    _check_share(share)
    first, last = timeline.ends()
    horizon, one = timeline.horizon, int(np.ptp(timeline.seen[0]))
    lengths = last - first
    spare = lengths - one - horizon
    rows = np.minimum(np.maximum(share * lengths // horizon, 1), spare // horizon).astype(np.int64) * horizon
    test = timeline.scored[:, 0] >= (last - np.maximum(rows, 0))[timeline.series]
    if not test.any():
        longest, needed = int(lengths.max()), one + 2 * horizon
        missing, window = needed - longest, one - horizon
        smaller = window > missing
        least = f" ({missing - window + 1} with a window of 1)" if not smaller and window > 1 else ""
        unsealed = (Remedy(", or no sealed rows (", Setting("test", 0), ")"),) if missing <= horizon else ()
        raise InputError(
            f"forecasts need {needed} rows of a series, for a window with its targets takes {one}, and one horizon of "
            f"{horizon} each is validated and tested, but the longest has {longest}: {missing} "
            f"{'is' if missing == 1 else 'are'} missing{least}. Use {'a smaller window, ' if smaller else ''}"
            f"{'' if not smaller or unsealed else 'or '}a shorter horizon",
            *unsealed,
            ".",
        )
    return np.flatnonzero(~test), np.flatnonzero(test)


def _every_class(targets: np.ndarray, share: float, random: np.random.Generator) -> np.ndarray:
    """The share of every class, rounded so that the parts add up; a class of two rows or more is in both parts."""
    values, counts = np.unique(targets, return_counts=True)
    exact = share * counts
    size = np.floor(exact).astype(int)
    order = np.argsort(size - exact, kind="stable")  # largest remainder first
    size[order[: max(0, round(share * counts.sum()) - size.sum())]] += 1
    size = np.where(counts < 2, 0, np.clip(size, 1, np.maximum(counts - 1, 1)))
    return np.concatenate(
        [random.permutation(np.flatnonzero(targets == v))[:k] for v, k in zip(values, size, strict=True)]
    )


def _whole_groups(groups: np.ndarray, share: float, random: np.random.Generator) -> np.ndarray:
    values, counts = np.unique(groups, return_counts=True)
    if len(values) < 2:
        raise InputError("test rows in whole groups need at least two groups, got one. Use a test share of 0.")
    chosen: list[int] = []
    wanted, size = share * counts.sum(), 0
    for k in random.permutation(len(values)):
        if len(chosen) < len(values) - 1 and abs(size + counts[k] - wanted) < abs(size - wanted):
            chosen.append(values[k])
            size += counts[k]
    if not chosen:
        chosen.append(values[np.argmin(counts)])
    return np.flatnonzero(np.isin(groups, chosen))


def _no_group_on_both_sides(dataset: Examples, test: np.ndarray) -> None:
    if dataset.groups is None:
        return
    both = np.intersect1d(dataset.groups[test], np.delete(dataset.groups, test))
    if both.size:
        raise InputError(
            f"the last rows cannot be the test rows, for {both.size} groups have rows on both sides. Sort the rows by "
            "group, or draw whole groups (last=False)."
        )


def _check_share(share: float) -> None:
    if isinstance(share, bool) or not isinstance(share, (int, float, np.number)) or not 0 <= share < 1:
        raise InputError(f"the share of test rows needs to be at least 0 and below 1, got {share!r}. Example: 0.2")
