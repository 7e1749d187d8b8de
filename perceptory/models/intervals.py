"""Prediction intervals from residuals of rows that a network has not trained on.

With one network and its validation rows this is split conformal prediction (Papadopoulos et al. 2002; Vovk et al.
2005), with the members of k folds CV+, of which leave-one-out folds make jackknife+ (Barber, Candès, Ramdas &
Tibshirani 2021, Annals of Statistics 49). All are one formula: with m_g(x) the prediction of the members that left
group g of rows out, and R_i = |t_i - m_g(i)(x_i)| the n residuals, the interval of coverage 1 - α is

    from the ⌊α (n + 1)⌋-th smallest of  m_g(i)(x) - R_i  to the ⌈(1 - α) (n + 1)⌉-th smallest of  m_g(i)(x) + R_i.

If rows are exchangeable, a new row's target lies within with probability of at least 1 - α for one group, and of at
least 1 - 2α for several (mostly close to 1 - α). Early stopping looks at the same rows, which makes residuals a little
small.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from perceptory.errors import InputError
from perceptory.models.averages import mean_of

MOST = 4096  # residuals that a model keeps: of more, every so many-th of the sorted ones, rounded outwards
ROWS_AT_ONCE = 1024


def with_intervals(
    model: Any,
    residuals: Any,
    groups: np.ndarray,
    weights: np.ndarray | None = None,
    members: Sequence[Sequence[int]] | None = None,
) -> None:
    """Put into the model's facts what `predict_interval` needs.

    residuals: [row, ..., target] of rows that the group's members did not train on, in the target's units. groups:
    [row] index of the group. weights: [row] or [row, time]; what has weight 0 does not count. members: of each group
    the members that predict for it; by default all.
    """
    size = np.abs(np.asarray(residuals, float))
    if not np.all(np.isfinite(size)) or not len(size):
        return
    counts = np.ones(size.shape[:-1], bool) if weights is None else np.broadcast_to(weights, size.shape[:-1]) > 0
    of = np.broadcast_to(groups.reshape(-1, *[1] * (size.ndim - 2)), size.shape[:-1])[counts]
    size = size[counts]
    share = min(1.0, MOST / (len(size) * size.shape[1]))
    intervals = []
    for g in np.unique(of):
        here = np.sort(size[of == g], axis=0)
        keep = max(1, math.ceil(share * len(here)))
        places = np.ceil(np.arange(1, keep + 1) * len(here) / keep).astype(int) - 1
        thinned = [[float(f"{r:.6g}") for r in column] for column in here[places].T]
        who = range(len(model)) if members is None else members[int(g)]
        intervals.append({"members": [int(m) for m in who], "residuals": thinned})
    model.facts["intervals"] = intervals


def predict_interval(model: Any, table: Any, coverage: float = 0.9) -> np.ndarray:
    """`interval_of` the rows of a table, whatever `Model.predict` takes."""
    _groups(model)
    return interval_of(model, model.members(table), coverage)


def interval_of(model: Any, each: np.ndarray, coverage: float = 0.9) -> np.ndarray:
    """[row, 2] lower and upper end of the interval that holds the target with probability `coverage`.

    Of several targets [row, target, 2], each with a coverage of its own; of a target a step [row, time, 2].
    each: the members' predictions [member, row, ..., target]. `InputError` for a classifier, a model without residuals,
    and a coverage beyond what its residuals can tell.
    """
    groups = check_coverage(model, coverage)
    n = sum(len(r[0]) for _, r in groups)
    last = math.ceil(float(coverage) * (n + 1) - 1e-9)
    shape = each.shape[1:]
    means = [mean_of(model, each, members).reshape(-1, shape[-1]) for members, _ in groups]
    out = np.empty((len(means[0]), shape[-1], 2))
    for i in range(0, len(out), ROWS_AT_ONCE):
        cut = slice(i, i + ROWS_AT_ONCE)
        for k in range(shape[-1]):
            pairs = [(mean[cut, k, None], sizes[k]) for mean, (_, sizes) in zip(means, groups, strict=True)]
            low = np.concatenate([mean - r for mean, r in pairs], axis=1)
            high = np.concatenate([mean + r for mean, r in pairs], axis=1)
            out[cut, k, 0] = np.partition(low, n - last, axis=1)[:, n - last]
            out[cut, k, 1] = np.partition(high, last - 1, axis=1)[:, last - 1]
    out = out.reshape(*shape, 2)
    return out[..., 0, :] if shape[-1] == 1 else out


def check_coverage(model: Any, coverage: float) -> list[tuple[list[int], np.ndarray]]:
    """(members, residuals [target, row]) of each group of rows. `InputError` for a model without any, and for a
    coverage beyond what its residuals can tell."""
    if isinstance(coverage, bool) or not isinstance(coverage, int | float | np.number) or not 0 < coverage < 1:
        raise InputError(f"coverage needs a number above 0 and below 1, got {coverage!r}. Example: coverage=0.9")
    groups = _groups(model)
    n = sum(len(r[0]) for _, r in groups)
    if math.ceil(float(coverage) * (n + 1) - 1e-9) > n:
        least = math.ceil(coverage / (1 - float(coverage)) - 1e-9)
        raise InputError(
            f"a coverage of {coverage:g} needs at least {least} validation rows, and the model has {n}. Ask for less."
        )
    return groups


NO_REGRESSION = "is a classifier", "predict_proba"


def _groups(model: Any) -> list[tuple[list[int], np.ndarray]]:
    """(members, residuals [target, row]) of each group; `InputError` where there are none or they do not fit."""
    if model.task != "regression":
        what, use = ("gives back its inputs", "anomaly_score") if model.task == "autoencode" else NO_REGRESSION
        raise InputError(f"intervals are for regression, and this model {what}. Use {use}.")
    records = model.facts.get("intervals")
    if not records:
        raise InputError(
            "the model holds no residuals of validation rows, so it knows no intervals. Train with a share of"
            " validation rows, or by a study."
        )
    try:
        groups = [([int(m) for m in g["members"]], np.asarray(g["residuals"], float)) for g in records]
    except (TypeError, KeyError, ValueError):
        groups = []
    fits = groups and all(
        m and 0 <= min(m) <= max(m) < len(model) and r.ndim == 2 and len(r) == len(model.targets) and r.shape[1]
        for m, r in groups
    )
    if not fits or not all(np.all(r >= 0) for _, r in groups):
        raise InputError("the residuals do not fit the model: the file was altered. Take another copy.")
    return groups
