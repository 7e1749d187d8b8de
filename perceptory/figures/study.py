"""Plots of the study: how the candidates rank, how the best one learned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from perceptory.errors import InputError
from perceptory.figures.style import (
    BLUE,
    GRID,
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
from perceptory.results.result_data import CandidateResult, MemberResult, ResultData
from perceptory.results.wording import plan_words, share_of
from perceptory.selection.metrics import METRICS
from perceptory.wording import count_of, number, score_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHOWN = 25  # candidates
CURVES = 60  # members drawn as thin lines
POINTS = 160  # of a thin line


def _limits(drawn: list[CandidateResult], score: str) -> tuple[float, float]:
    """Ends of the score axis [score]: wide enough for all but candidates far worse than the rest."""
    means = np.array([c.mean for c in drawn])
    away = np.abs(means - means[0])
    spread = np.array([c.spread if np.isfinite(c.spread) else 0.0 for c in drawn])
    near = away <= 8 * max(float(np.median(away)), float(np.median(spread)), 1e-12 * abs(means[0]))
    values = [v for c, s, n in zip(drawn, spread, near, strict=True) if n for v in (c.mean - s, c.mean + s)]
    reach = max(values) - min(values)
    values += [c.train for c, n in zip(drawn, near, strict=True) if n and abs(c.train - c.mean) < 20 * (reach or 1)]
    low, high = min(values), max(values)
    margin = 0.05 * (high - low) or 0.05 * abs(low) or 1.0
    # No axis beyond what a score can reach, though a bar of one deviation may.
    floor, ceiling = METRICS[score].ends
    return max(low - margin, floor - margin / 2), min(high + margin, ceiling + margin / 2)


@styled
def ranking(result: ResultData) -> Figure:
    """Validation score of the candidates, best on top, at most 25 of them.

    Filled marker: mean over folds and seeds, with a bar of one standard deviation; small ticks: the folds; open
    marker: score on the training rows, so that the gap shows. The chosen candidates are diamonds, their names bold.
    """
    shown = result.candidates[:SHOWN]
    if not shown:
        raise InputError("this result has no candidates to rank. Was the study run?")
    if all(c.id not in result.shares for c in shown):  # one of the chosen is always shown
        shown = [*shown[:-1], result.candidate(next(iter(result.shares)))]
    figure = new_figure((WIDE[0], 1.3 + 0.42 * len(shown)))
    ax = figure.add_subplot()
    drawn = [c for c in shown if np.isfinite(c.mean)]
    low, high = _limits(drawn, result.score["name"]) if drawn else (0.0, 1.0)
    place = {c.id: i for i, c in enumerate(result.candidates, start=1)}
    for y, c in enumerate(shown):
        best = c.id in result.shares
        counts = "chosen" if len(result.shares) == 1 else share_of(result, c.id)
        words = f"{place[c.id]}  {clean(c.label, 62)}" + (f"  ({counts})" if best else "")
        ax.annotate(
            words,
            (0, y - 0.06),
            xycoords=("axes fraction", "data"),
            fontsize=8,
            fontweight="bold" if best else "normal",
            va="bottom",
            zorder=2,
            bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 0.6},
        )
        _row(ax, y, c, best, (low, high))
    promised = result.estimate.mean
    if np.isfinite(promised) and low < promised < high:
        ax.axvline(promised, color=MUTED, lw=0.8, ls=(0, (1, 2)), zorder=0.5)
    ax.set_xlim(low, high)
    ax.set_ylim(len(shown) - 0.5, -0.6)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    ax.grid(axis="x")
    ax.set_xlabel(score_axis(result.score))
    ax.set_title("Candidates by validation score", loc="left", pad=26)
    _legend(ax)
    rest = len(result.candidates) - len(shown)
    footnote(ax, [f"{count_of(rest, 'more candidate')} not drawn"] if rest else [])
    return figure


def _row(ax: Axes, y: int, c: CandidateResult, best: bool, limits: tuple[float, float]) -> None:
    """One candidate's marks just below the label at height y."""
    low, high = limits
    height, color = y + 0.18, BLUE if best else INK
    if not np.isfinite(c.mean):
        ax.annotate(c.status, (0, height), xycoords=("axes fraction", "data"), color=ORANGE, fontsize=8, va="center")
        return
    if not low <= c.mean <= high:
        right = c.mean > high
        ax.annotate(
            f"{number(c.mean)}  →" if right else f"←  {number(c.mean)}",
            (1 if right else 0, height),
            xycoords=("axes fraction", "data"),
            ha="right" if right else "left",
            va="center",
            fontsize=8,
            color=MUTED,
        )
        return
    folds = [v for v in c.per_fold if np.isfinite(v)]
    ax.plot(folds, [height] * len(folds), ls="", marker="|", ms=6, mew=0.8, color=MUTED, alpha=0.7, gid="folds")
    if np.isfinite(c.spread):
        ax.errorbar(c.mean, height, xerr=c.spread, fmt="none", ecolor=color, elinewidth=1.4, capsize=0)
    if np.isfinite(c.train):
        ax.plot(c.train, height, marker="o", ms=5, mfc=PAPER, mec=ORANGE, mew=1.3, ls="", zorder=3, gid="train")
    shape: dict[str, Any] = {"marker": "D", "ms": 6.5} if best else {"marker": "o", "ms": 5}
    ax.plot(c.mean, height, ls="", mfc=color, mec=PAPER, mew=0.6, zorder=4, gid="mean", **shape)


def _legend(ax: Axes) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], marker="D", ls="-", lw=1.4, ms=5.5, color=BLUE, label="validation ± 1 sd"),
        Line2D([], [], marker="|", ls="", ms=7, mew=1, color=MUTED, label="folds"),
        Line2D([], [], marker="o", ls="", ms=5, mfc=PAPER, mec=ORANGE, mew=1.3, label="training"),
    ]
    ax.legend(
        handles=handles, loc="lower left", bbox_to_anchor=(0, 1), ncols=3, fontsize=8, handletextpad=0.5, borderpad=0
    )


def _stack(curves: list[np.ndarray]) -> np.ndarray:
    """[member, epoch], nan where a member had ended or was not finite."""
    table = np.full((len(curves), max(len(c) for c in curves)), np.nan)
    for row, curve in zip(table, curves, strict=True):
        row[: len(curve)] = curve
    table[~np.isfinite(table)] = np.nan
    return table


def median_curve(curves: list[np.ndarray]) -> np.ndarray:
    """[epoch] median over members, as far as half of them were trained: after that it would tell of the rest only."""
    table = _stack(curves)
    enough = np.isfinite(table).sum(axis=0) * 2 >= len(curves)
    middle = np.full(table.shape[1], np.nan)
    if enough.any():
        middle[enough] = np.nanmedian(table[:, enough], axis=0)
    return middle


def _thin(curve: np.ndarray, logarithmic: bool) -> np.ndarray:
    """Places of at most POINTS epochs of a curve, first and last among them."""
    if len(curve) <= POINTS:
        return np.arange(len(curve))
    places = np.geomspace(1, len(curve), POINTS) - 1 if logarithmic else np.linspace(0, len(curve) - 1, POINTS)
    return np.unique(places.round().astype(int))


def learner(result: ResultData) -> str | None:
    """The candidate whose learning is drawn: the chosen one, or the best one that took epochs, where the chosen one was
    solved; None where all were."""
    epochs: dict[str, int] = {}
    for member in result.members:
        epochs[member.candidate] = max(epochs.get(member.candidate, 0), len(member.train_cost))
    ranked = [result.best, *(c.id for c in result.candidates)]
    return next((c for c in ranked if epochs.get(c, 0) > 1), None)


@styled
def learning_curves(result: ResultData, candidate: str | None = None) -> Figure:
    """Training and validation cost by epoch of the members of a candidate (`learner`, if None is named).

    Thin lines: the members, a dot at each one's best epoch; thick lines: their medians. A bar marks the gap between
    the medians at the median best epoch.
    """
    chosen = result.candidate(candidate or learner(result) or result.best)
    members = [m for m in result.members if m.candidate == chosen.id]
    members = [m for m in members if np.isfinite(m.train_cost).any() and np.isfinite(m.validation_cost).any()]
    if not members:
        raise InputError(f"candidate {chosen.id!r} has no member with a finite learning curve. See its status.")
    figure = new_figure(WIDE)
    ax = figure.add_subplot()
    train, validation = [m.train_cost for m in members], [m.validation_cost for m in members]
    everything = np.concatenate([c[np.isfinite(c)] for c in (*train, *validation)])
    best = int(np.median([m.best_epoch for m in members if m.best_epoch > 0] or [1]))
    epochs = max(len(c) for c in train)
    log_x = epochs >= 30 and best < epochs / 8
    log_y = bool(everything.min() > 0 and everything.max() > 8 * everything.min())
    step = max(1, -(-len(members) // CURVES))
    for m in members[::step]:
        _member(ax, m, log_x)
    middles = [median_curve(train), median_curve(validation)]
    styles: list[tuple[str, Any, str]] = [(ORANGE, (0, (4, 1.5)), "training"), (BLUE, "-", "validation")]
    for middle, (color, dashes, name) in zip(middles, styles, strict=True):
        places = np.flatnonzero(np.isfinite(middle))
        label = f"{name}, median" if len(members) > 1 else name
        ax.plot(places + 1, middle[places], color=color, ls=dashes, lw=2.2, zorder=4, label=label, gid=f"{name} median")
    if log_y:
        ax.set_yscale("log")
        log_ticks(ax.yaxis, everything.min(), everything.max())
    if log_x:
        ax.set_xscale("log")
        log_ticks(ax.xaxis, 1, epochs)
    low, high = ax.get_ylim()
    # Room below the curves for the words at the gap.
    ax.set_ylim(low * (low / high) ** 0.2 if log_y else low - 0.2 * (high - low), high)
    ax.set_xlim(*((1, epochs) if log_x else (1 - 0.01 * epochs, epochs * 1.01)))
    _gap(ax, best, middles, epochs, log_x)
    ax.grid(axis="y")
    ax.set_xlabel("epoch")
    ax.set_ylabel("cost, as trained on (scaled)")
    ax.set_title(f"Learning curves: {clean(chosen.label, 40)}", loc="left", pad=26)
    if len(members) > 1:
        ax.plot([], [], color=MUTED, lw=0.7, label=plan_words(members))
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, fontsize=8, handlelength=2.2, columnspacing=1.4)
    footnote(ax, [f"{len(members[::step])} of {len(members)} members drawn as thin lines"] if step > 1 else [])
    return figure


def _member(ax: Axes, m: MemberResult, log_x: bool) -> None:
    for curve, color, name in ((m.train_cost, ORANGE, "train"), (m.validation_cost, BLUE, "validation")):
        places = _thin(curve, log_x)
        ax.plot(places + 1, curve[places], color=color, lw=0.6, alpha=0.35, gid=f"member {name}")
    if 0 < m.best_epoch <= len(m.validation_cost):
        cost = m.validation_cost[m.best_epoch - 1]
        ax.plot(m.best_epoch, cost, marker="o", ms=2.6, mec="none", color=BLUE, ls="", zorder=5, gid="member best")


def _gap(ax: Axes, best: int, middles: list[np.ndarray], epochs: int, log_x: bool) -> None:
    """Mark the gap between the medians at the best epoch and say its size."""
    if best > len(middles[0]) or not all(np.isfinite(m[best - 1]) for m in middles):
        return
    low, high = (float(m[best - 1]) for m in middles)
    ax.axvline(best, color=MUTED, lw=0.8, ls=(0, (1, 2)), zorder=0.5)
    ax.plot([best, best], [low, high], color=INK, lw=1.6, marker="_", ms=8, mew=1.6, zorder=6, gid="gap")
    share = np.log(best) / np.log(epochs) if log_x and epochs > 1 else best / epochs
    left = share > 0.55
    words = f"best epoch {best}\ngap {number(high - low)}" + (f" ({high / low:.2f} ×)" if low > 0 else "")
    # The curves run above the gap before the best epoch and level after it, so the words stand below.
    ax.annotate(
        words,
        (best, 0),
        xycoords=("data", "axes fraction"),
        xytext=(-6 if left else 6, 5),
        textcoords="offset points",
        ha="right" if left else "left",
        va="bottom",
        fontsize=8.5,
        zorder=7,
        bbox={"facecolor": PAPER, "alpha": 0.8, "edgecolor": GRID, "lw": 0.5, "boxstyle": "round,pad=0.3"},
    )
