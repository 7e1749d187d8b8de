"""Error over the size of the network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from perceptory.errors import InputError
from perceptory.figures.style import (
    BLUE,
    INK,
    MUTED,
    ORANGE,
    PAPER,
    WIDE,
    clean,
    footnote,
    log_ticks,
    new_figure,
    styled,
)
from perceptory.results.result_data import CandidateResult, ResultData
from perceptory.wording import number, score_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIZES = 3  # different sizes that make a curve


def by_size(result: ResultData) -> list[CandidateResult]:
    """The best candidate of every number of weights, smallest first, but of those that learn nothing."""
    best: dict[int, CandidateResult] = {}
    for c in result.candidates:  # best first
        if _has_size(c):
            best.setdefault(c.weights, c)
    return [best[weights] for weights in sorted(best)]


def _has_size(c: CandidateResult) -> bool:
    return bool(np.isfinite(c.mean)) and c.weights > 0  # as the axis needs it


@styled
def size_curve(result: ResultData) -> Figure:
    """Validation and training score over the number of weights, of the best candidate of each size.

    Solid with circles: validation, a bar of one standard deviation over folds and seeds; dashed with open squares:
    training. Dots: other candidates of the same size. Diamonds: the chosen ones. To the left both are poor (the
    network is too small), to the right the gap grows (it memorizes the training rows). Raises `InputError` for fewer
    than three sizes.
    """
    drawn = by_size(result)
    if len(drawn) < SIZES:
        raise InputError(
            f"a curve over the size needs candidates of at least {SIZES} numbers of weights, got {len(drawn)}. "
            "Example: networks=[MLP((choice(2, 8, 32),))]"
        )
    figure = new_figure(WIDE)
    ax = figure.add_subplot()
    x = np.array([c.weights for c in drawn], float)
    mean, train = np.array([c.mean for c in drawn]), np.array([c.train for c in drawn])
    spread = np.array([c.spread if np.isfinite(c.spread) else 0.0 for c in drawn])
    ax.errorbar(x, mean, yerr=spread, fmt="none", ecolor=BLUE, elinewidth=1.0, capsize=2.5)
    ax.plot(x, mean, color=BLUE, marker="o", ms=4.5, label="validation ± 1 sd", gid="validation")
    ax.plot(x, train, color=ORANGE, ls=(0, (4, 1.5)), marker="s", ms=4.5, mfc=PAPER, label="training", gid="train")
    ids = {c.id for c in drawn}
    rest = [c for c in result.candidates if c.id not in ids and _has_size(c)]
    low, high = _limits(np.concatenate([mean, train]), spread)
    rest = [c for c in rest if low <= c.mean <= high]
    if rest:
        ax.plot([c.weights for c in rest], [c.mean for c in rest], ls="", marker=".", ms=4, color=MUTED,
                label="others", gid="others")  # fmt: skip
    chosen = [c for id in result.shares if _has_size(c := result.candidate(id))]
    what = "chosen" if len(chosen) == 1 else "in the final model"
    if chosen:
        ax.plot([c.weights for c in chosen], [c.mean for c in chosen], ls="", marker="D", ms=8, mfc=INK, mec=PAPER,
                mew=0.7, zorder=5, label=what, gid="chosen")  # fmt: skip
    if len(chosen) == 1:
        _named(ax, chosen[0], left=chosen[0].weights > np.sqrt(x[0] * x[-1]))
    ax.set_xscale("log")
    log_ticks(ax.xaxis, x[0], x[-1])
    ax.set_ylim(low, high)
    if min(mean.min(), train.min()) >= 0:  # the room below for the words is no part of the scale
        ax.set_yticks([tick for tick in ax.get_yticks() if 0 <= tick <= high])
    ax.set_xlabel("weights of the network")
    ax.set_ylabel(score_axis(result.score))
    ax.set_title("Error over the size of the network", loc="left", pad=26)
    ax.grid(axis="y")
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=4, fontsize=8, columnspacing=1.0, handletextpad=0.5)
    footnote(ax, ["Lines: of each size the candidate of the best validation score; dots: the others"])
    return figure


def _named(ax: Axes, c: CandidateResult, left: bool) -> None:
    """A candidate's name and numbers at the foot of a line through its size, on the left of it or on the right."""
    ax.axvline(c.weights, color=MUTED, lw=0.8, ls=(0, (1, 2)), zorder=0.5)
    ax.annotate(
        f"{clean(c.label, 34)}\n{number(c.mean)}, {c.weights} weights", (c.weights, 0),
        xycoords=("data", "axes fraction"), xytext=(-6 if left else 6, 5), textcoords="offset points",
        ha="right" if left else "left", va="bottom", fontsize=8, zorder=6,
        bbox={"facecolor": PAPER, "edgecolor": "none", "alpha": 0.85, "pad": 1},
    )  # fmt: skip


def _limits(values: np.ndarray, spread: np.ndarray) -> tuple[float, float]:
    values = values[np.isfinite(values)]
    low, high = float(values.min()), float(values.max())
    margin = max(0.15 * (high - low), float(np.median(spread))) or 0.1 * abs(low) or 1.0
    return low - 1.2 * margin - 0.15 * (high - low), high + 1.4 * margin
