"""Plots of a classification: which classes are taken for which, and how far probabilities can be trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from perceptory.errors import InputError
from perceptory.figures.style import (
    BLUE,
    GRID,
    INK,
    LINES,
    MUTED,
    PAPER,
    TALL,
    clean,
    footnote,
    need_task,
    new_figure,
    rows_of,
    styled,
)
from perceptory.models.temperature import BINS, reliability_bins
from perceptory.results.result_data import ResultData
from perceptory.results.wording import judged
from perceptory.wording import count_of, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FILL, ON_FILL = "#0b62a4", "#fefefe"  # the same by day and by night, so that the numbers on it stay readable


def _finite(
    result: ResultData, part: str, plot: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[str], list[str]]:
    """Class index [row], probabilities [row, class], weights [row], names of the classes, what to say of rows left
    out; rows of weight 0 do not count."""
    need_task(result, plot, "classification")
    truth, output, weight = rows_of(result, part)
    counts = weight > 0
    fine = np.isfinite(output).all(axis=1) & counts
    if not fine.any():
        raise InputError(f"no {part} {judged(result)} has finite probabilities. Did all members diverge?")
    lost = int((counts & ~fine).sum())
    words = [f"{count_of(lost, judged(result))} without finite probabilities not drawn"] if lost else []
    names = [clean(c, 18) for c in result.classes or [str(k) for k in range(output.shape[1])]]
    words += ["By weight"] if np.ptp(weight[fine]) > 0 else []
    return truth[fine].reshape(-1).astype(int), output[fine], weight[fine], names, words


def confusion_counts(truth: np.ndarray, output: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
    """[true class, predicted class] number of rows, or their weight, the predicted class being the most probable one.

    weight: [row]; equal ones count rows.
    """
    rows = weight is None or np.ptp(weight) == 0
    each: Any = 1 if rows else weight
    table = np.zeros((output.shape[1], output.shape[1]), dtype=int if rows else float)
    np.add.at(table, (truth, output.argmax(axis=1)), each)
    return table


@styled
def confusion_matrix(result: ResultData, part: str = "test") -> Figure:
    """Rows by true class and predicted class: counts, shaded by their share of the true class."""
    truth, output, weight, names, words = _finite(result, part, "confusion_matrix")
    table = confusion_counts(truth, output, weight)
    total = table.sum(axis=1, keepdims=True)
    share = table / np.where(total > 0, total, 1)
    shown = str if table.dtype == int else number
    n = len(names)
    figure = new_figure(TALL if n <= 14 else (7.2, 6.6))
    ax = figure.add_subplot()
    from matplotlib.colors import LinearSegmentedColormap, to_rgba

    shades = LinearSegmentedColormap.from_list("share", [(*to_rgba(FILL)[:3], 0.0), (*to_rgba(FILL)[:3], 1.0)])
    ax.pcolormesh(share, cmap=shades, vmin=0, vmax=1, edgecolors=GRID, linewidth=0.6 if n <= 30 else 0)
    size = 11 if n <= 3 else 9 if n <= 7 else 7.5 if n <= 12 else 5.5
    for row, column in np.ndindex(n, n) if n <= 30 else ():
        count = table[row, column]
        words_in = shown(count) if n > 7 else f"{shown(count)}\n{100 * share[row, column]:.1f} %"
        if count or n <= 7:
            color = ON_FILL if share[row, column] > 0.45 else INK if count else MUTED
            ax.text(column + 0.5, row + 0.5, words_in, ha="center", va="center", fontsize=size, color=color)
    step = -(-n // 40)
    ticks, labels = np.arange(0, n, step) + 0.5, names[::step]
    slanted = n * max(len(name) for name in labels) > 60
    ax.set_xticks(ticks, labels, rotation=45 if slanted else 0, ha="right" if slanted else "center")
    ax.set_yticks(ticks, labels)
    if slanted:
        ax.tick_params(axis="x", pad=1)
    if n > 20:
        ax.tick_params(labelsize=6)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.invert_yaxis()
    ax.set_box_aspect(1)
    ax.set_xlabel(f"predicted {clean(result.targets[0], 40)}")
    ax.set_ylabel(f"true {clean(result.targets[0], 40)}")
    right = f"{100 * np.trace(table) / table.sum():.1f} %" if shown is number else str(np.trace(table))
    ax.set_title(f"Confusion matrix, {right} of {count_of(len(truth), f'{part} {judged(result)}')} correct", loc="left")
    footnote(
        ax, (["Shade and percent: share of the true class"] if n <= 7 else ["Shade: share of the true class"]) + words
    )
    return figure


def roc_points(
    positive: np.ndarray, score: np.ndarray, weight: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, float]:
    """False and true positive rates [threshold] and the area under them; rows of equal score move together.

    positive: [row] bool with both values present; score: [row], larger speaks for positive. weight: [row], or None.
    """
    order = np.argsort(-score, kind="stable")
    hits, ordered = positive[order], score[order]
    w = np.ones(len(score), int) if weight is None or np.ptp(weight) == 0 else weight[order]
    last = np.flatnonzero(np.append(np.diff(ordered) != 0, True))
    true = np.append(0, np.cumsum(w * hits)[last]) / (w * hits).sum()
    false = np.append(0, np.cumsum(w * ~hits)[last]) / (w * ~hits).sum()
    return false, true, float(np.trapezoid(true, false))


def _corners(false: np.ndarray, true: np.ndarray, most: int = 400) -> np.ndarray:
    """Places of the points that a drawing of the curve needs: its corners, at most `most` of them."""
    run, rise = np.diff(false), np.diff(true)
    keep = np.ones(len(false), dtype=bool)
    keep[1:-1] = ~np.isclose(run[:-1] * rise[1:], run[1:] * rise[:-1], rtol=1e-9, atol=1e-15)
    places = np.flatnonzero(keep)
    return places[np.unique(np.linspace(0, len(places) - 1, min(most, len(places))).round().astype(int))]


@styled
def roc(result: ResultData, part: str = "test") -> Figure:
    """Receiver operating characteristic with its area; for several classes each against the rest.

    Of more than eight classes the eight with the smallest area are named, the others drawn in gray.
    """
    truth, output, weight, names, words = _finite(result, part, "roc")
    kinds = [1] if result.task == "binary" else list(range(len(names)))
    curves = []
    for k in kinds:
        positive = truth == k
        if positive.all() or not positive.any():
            words.append(f"No curve for {names[k]}: needs {judged(result)}s of this class and of others")
            continue
        curves.append((k, *roc_points(positive, output[:, k], weight)))
    if not curves:
        raise InputError(
            f"roc needs {part} {judged(result)}s of at least two classes, got {judged(result)}s of one class only."
        )
    figure = new_figure(TALL)
    ax = figure.add_subplot()
    ax.plot([0, 1], [0, 1], color=MUTED, lw=0.9, ls=(0, (1, 2)), gid="chance")
    named = sorted(curves, key=lambda c: c[3])[: len(LINES)]
    for k, false, true, _ in (c for c in curves if all(c[0] != d[0] for d in named)):
        places = _corners(false, true)
        ax.plot(false[places], true[places], color=MUTED, lw=0.6, alpha=0.6, gid=f"class {k}")
    for (color, dashes), (k, false, true, area) in zip(LINES, sorted(named), strict=False):
        places = _corners(false, true)
        ax.plot(
            false[places], true[places], color=color, ls=dashes, label=f"{names[k]}  {number(area)}", gid=f"class {k}"
        )
    rest = len(curves) - len(named)
    mean = f", mean {number(np.mean([c[3] for c in curves]))}" if len(curves) > 1 else ""
    ax.legend(loc="lower right", title=f"area under the curve{mean}", title_fontsize=8, alignment="left")
    _along(ax, 0.44, "chance")
    _unit_square(ax)
    if result.task == "binary":
        ax.set_xlabel(f"share of {names[0]} taken for {names[1]}")
        ax.set_ylabel(f"share of {names[1]} found")
        ax.set_title(f"ROC curve, {count_of(len(truth), f'{part} {judged(result)}')}", loc="left")
    else:
        ax.set_xlabel("share of the other classes taken for this class")
        ax.set_ylabel("share of this class found")
        ax.set_title(
            f"ROC curves, each class against the rest, {count_of(len(truth), f'{part} {judged(result)}')}", loc="left"
        )
    if rest:
        words.append(f"{rest} classes with larger areas are gray")
    footnote(ax, words)
    return figure


def _along(ax: Axes, at: float, words: str) -> None:
    """Words just below the diagonal, turned with it."""
    turn: dict[str, Any] = {"rotation": 45, "rotation_mode": "anchor", "transform_rotates_text": True}
    ax.text(at + 0.012, at - 0.022, words, color=MUTED, fontsize=8, va="top", **turn)


def _unit_square(ax: Axes) -> None:
    ax.set_xlim(-0.015, 1.015)
    ax.set_ylim(-0.015, 1.015)
    ax.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "0.25", "0.5", "0.75", "1"])
    ax.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "0.25", "0.5", "0.75", "1"])
    ax.grid()


def reliability(
    probability: np.ndarray, correct: np.ndarray, weight: np.ndarray | None = None
) -> dict[str, np.ndarray | float]:
    """Bins of equal width over probability: count, mean probability, share that came true, its 95 % interval (Wilson).

    probability: [row]; correct: [row] bool, whether it came true; weight: [row], or None. `error` is the mean distance
    of the two, weighted by rows: the expected calibration error. `by_chance` is what it would be, by the normal
    approximation, if every probability were right: √(2/π Σ p (1 - p)) a bin, summed, over all rows. Of unequal weights
    a bin counts as (Σ w)² / Σ w² rows.
    """
    bins = reliability_bins(probability)
    w = np.ones(len(probability)) if weight is None or np.ptp(weight) == 0 else weight / weight.mean()

    def binned(values: np.ndarray) -> np.ndarray:
        return np.bincount(bins, weights=values, minlength=BINS)

    used = np.bincount(bins, minlength=BINS) > 0
    total = binned(w)[used]
    n = total**2 / binned(w**2)[used]
    mean, share = binned(w * probability)[used] / total, binned(w * correct)[used] / total
    z = 1.959964
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    error = float(np.sum(total * np.abs(mean - share)) / total.sum())
    by_chance = float(np.sqrt(2 / np.pi * binned(w**2 * probability * (1 - probability))).sum() / total.sum())
    return {"count": binned(w), "mean": mean, "share": share, "low": middle - half, "high": middle + half,
            "error": error, "by_chance": by_chance}  # fmt: skip


@styled
def calibration(result: ResultData, part: str = "test") -> Figure:
    """Reliability diagram: of the rows given a probability, the share for which it came true, with 95 % intervals.

    Binary: the probability of the second class. Several classes: that of the class that was chosen.
    """
    truth, output, weight, names, words = _finite(result, part, "calibration")
    binary = result.task == "binary"
    probability = output[:, 1] if binary else output.max(axis=1)
    correct = truth == 1 if binary else output.argmax(axis=1) == truth
    bins = reliability(probability, correct, weight)
    figure = new_figure(TALL)
    ax, below = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    ax.plot([0, 1], [0, 1], color=MUTED, lw=0.9, ls=(0, (1, 2)), gid="equal")
    _along(ax, 0.7, "perfect calibration")
    ax.vlines(bins["mean"], bins["low"], bins["high"], color=BLUE, lw=1.2)
    ax.plot(bins["mean"], bins["share"], color=BLUE, lw=0.8, marker="o", ms=5.5, mec=PAPER, mew=0.6, gid="bins")
    error = f"expected calibration error {bins['error']:.3f}\n({bins['by_chance']:.3f} by chance alone)"
    ax.text(0.03, 0.97, error, transform=ax.transAxes, va="top")
    _unit_square(ax)
    ax.set_ylabel(f"share that was {names[1]}" if binary else "share that was correct")
    ax.set_title(f"Calibration, {count_of(len(truth), f'{part} {judged(result)}')}", loc="left")
    edges = np.linspace(0, 1, BINS + 1)
    below.bar(edges[:-1], bins["count"], 1 / BINS, align="edge", color=BLUE, alpha=0.35, linewidth=0)
    below.stairs(np.asarray(bins["count"]), edges, color=BLUE, lw=0.8)
    below.set_ylabel(f"{judged(result)}s")
    below.locator_params(axis="y", nbins=3, integer=True)
    below.set_xlabel(f"probability given to {names[1]}" if binary else "probability given to the chosen class")
    footnote(ax, words)
    return figure
