"""Plots of a regression's predictions: against the truth, and what is left over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from perceptory.errors import InputError
from perceptory.figures.style import (
    BLUE,
    INK,
    MANY,
    MUTED,
    ORANGE,
    TALL,
    clean,
    footnote,
    need_task,
    new_figure,
    rows_of,
    styled,
    target_index,
)
from perceptory.results.result_data import ResultData
from perceptory.results.wording import judged
from perceptory.wording import count_of, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def _finite(
    result: ResultData, part: str, target: int | str
) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[str], str]:
    """Target, output and weight [row] of one target where both are finite and the row counts, what to say of the rest,
    the target's name."""
    index = target_index(result, target)
    truth, output, weight = rows_of(result, part)
    truth, output = truth.reshape(len(truth), -1)[:, index], output.reshape(len(output), -1)[:, index]
    counts = weight > 0
    fine = np.isfinite(truth) & np.isfinite(output) & counts
    if not fine.any():
        raise InputError(
            f"no {part} {judged(result)} has a finite prediction of {result.targets[index]!r}. Did all members diverge?"
        )
    lost = int((counts & ~fine).sum())
    words = [f"{count_of(lost, judged(result))} without a finite prediction not drawn"] if lost else []
    w, name = weight[fine], clean(result.targets[index], 40)
    words += ["numbers by weight"] if np.ptp(w) > 0 else []
    return truth[fine].astype(float), output[fine].astype(float), w, words, name


def _cloud(
    ax: Axes, x: np.ndarray, y: np.ndarray, x_range: tuple[float, float], y_range: tuple[float, float], word: str
) -> str:
    """Draw rows as points, many of them as counted cells; returns what the cells mean, or ''."""
    from matplotlib.colors import LinearSegmentedColormap, LogNorm, to_rgba

    if len(x) <= MANY:
        size = 22 if len(x) < 150 else 14 if len(x) < 800 else 8
        alpha = 0.75 if len(x) < 150 else 0.5 if len(x) < 800 else 0.35
        # The picture of many points is smaller than their outlines.
        raster: dict[str, Any] = {"rasterized": len(x) > 600}
        ax.scatter(x, y, s=size, color=BLUE, alpha=alpha, linewidths=0, gid="rows", **raster)
        return ""
    shades = LinearSegmentedColormap.from_list("rows", [(*to_rgba(BLUE)[:3], 0.22), (*to_rgba(BLUE)[:3], 1.0)])
    cells = ax.hexbin(
        x, y, gridsize=48, extent=(*x_range, *y_range), mincnt=1, cmap=shades, norm=LogNorm(), linewidths=0, gid="rows"
    )
    return f"{len(x)} {word}s in cells: the darker, the more, up to {int(np.max(np.asarray(cells.get_array())))} in one"


def _beyond(ax: Axes, x: np.ndarray, y: np.ndarray, y_range: tuple[float, float], word: str) -> list[str]:
    """Mark rows outside the axis by triangles at its edge; returns what to say of them."""
    above, below = y > y_range[1], y < y_range[0]
    for rows, edge, marker in ((above, y_range[1], "^"), (below, y_range[0], "v")):
        if rows.any():
            n = min(int(rows.sum()), 200)
            ax.plot(x[rows][:n], [edge] * n, ls="", marker=marker, ms=5, color=ORANGE, clip_on=False, gid="beyond")
    n = int(above.sum() + below.sum())
    return [f"{count_of(n, word)} beyond the axis, at its edge"] if n else []


@styled
def predicted_against_true(result: ResultData, part: str = "test", target: int | str = 0) -> Figure:
    """Prediction against truth of one target, in its own units, with the line on which both are equal.

    part: "validation" or "test". Predictions farther outside the target's range than half of it are drawn at the
    edge. Raises `InputError` for classification and where the part has no rows.
    """
    need_task(result, "predicted_against_true", "regression")
    truth, output, w, words, name = _finite(result, part, target)
    low, high = float(truth.min()), float(truth.max())
    span = (high - low) or abs(high) or 1.0
    near = output[(output > low - span / 2) & (output < high + span / 2)]
    low, high = min(low, *near, low), max(high, *near, high)
    low, high = low - 0.04 * span, high + 0.04 * span
    figure = new_figure(TALL)
    ax = figure.add_subplot()
    ax.plot([low, high], [low, high], color=INK, lw=0.9, ls=(0, (5, 2)), zorder=3, gid="equal")
    inside = (output >= low) & (output <= high)
    cells = _cloud(ax, truth[inside], output[inside], (low, high), (low, high), judged(result))
    words += _beyond(ax, truth, output, (low, high), judged(result))
    ax.set_xlim(low, high)
    ax.set_ylim(low, high)
    ax.set_box_aspect(1)
    ax.set_yticks([t for t in ax.get_xticks() if low <= t <= high])
    ax.set_xticks(ax.get_yticks())
    ax.grid()
    ax.set_xlabel(f"true {name}")
    ax.set_ylabel(f"predicted {name}")
    ax.set_title(f"Predicted against true, {count_of(len(truth), f'{part} {judged(result)}')}", loc="left")
    error = truth - output
    variance = float(np.average((truth - np.average(truth, weights=w)) ** 2, weights=w))
    squared = float(np.average(error**2, weights=w))
    facts = [f"RMSE {number(np.sqrt(squared))}", f"MAE {number(np.average(np.abs(error), weights=w))}"]
    facts += [f"R² {number(1 - squared / variance)}"] if variance > 0 else []
    ax.text(0.03, 0.97, "\n".join(facts), transform=ax.transAxes, va="top", linespacing=1.5)
    footnote(ax, ([cells] if cells else []) + words)
    return figure


@styled
def residuals(result: ResultData, part: str = "test", target: int | str = 0) -> Figure:
    """Residuals (true - predicted) of one target against the prediction, and their histogram beside it.

    The histogram's line is the normal density of the same mean and standard deviation. Residuals beyond six robust
    standard deviations are drawn at the edge. Raises `InputError` as `predicted_against_true` does.
    """
    need_task(result, "residuals", "regression")
    truth, output, w, words, name = _finite(result, part, target)
    error = truth - output
    robust = 1.4826 * float(np.median(np.abs(error - np.median(error))))
    reach = float(np.abs(error).max()) or 1.0
    if robust > 0:
        reach = min(reach, 6 * robust + abs(float(np.median(error))))
    reach *= 1.05
    figure = new_figure(TALL)
    ax, side = figure.subplots(1, 2, sharey=True, width_ratios=(3.2, 1))
    ax.axhline(0, color=INK, lw=0.9, ls=(0, (5, 2)), zorder=3)
    inside = np.abs(error) <= reach
    left, right = float(output[inside].min()), float(output[inside].max())
    margin = 0.04 * (right - left) or 1.0
    cells = _cloud(ax, output[inside], error[inside], (left - margin, right + margin), (-reach, reach), judged(result))
    words += _beyond(ax, np.clip(output, left, right), error, (-reach, reach), judged(result))
    ax.set_xlim(left - margin, right + margin)
    ax.set_ylim(-reach, reach)
    ax.grid()
    ax.set_xlabel(f"predicted {name}")
    ax.set_ylabel("residual, true − predicted")
    ax.set_title(f"Residuals, {count_of(len(truth), f'{part} {judged(result)}')}", loc="left")
    _histogram(side, error, reach, w)
    footnote(ax, ([cells] if cells else []) + words)
    return figure


def _histogram(ax: Axes, error: np.ndarray, reach: float, w: np.ndarray) -> None:
    """Residuals [row] of weights w as a sideways histogram of densities with the normal curve of the same moments."""
    mean = float(np.average(error, weights=w))
    deviation = float(np.sqrt(np.average((error - mean) ** 2, weights=w)))
    # Freedman and Diaconis's width, which residuals far out do not stretch.
    low, high = np.percentile(error, (25, 75))
    width = 2 * (high - low) / len(error) ** (1 / 3)
    bins = int(np.clip(2 * reach / width, 9, 60)) if width > 0 else 25
    heights, edges = np.histogram(error, bins=bins, range=(-reach, reach), weights=w)
    density = heights / (w.sum() * np.diff(edges))
    ax.barh(edges[:-1], density, np.diff(edges), align="edge", color=BLUE, alpha=0.35, linewidth=0)
    ax.stairs(density, edges, orientation="horizontal", color=BLUE, lw=0.8)
    if deviation > 0:
        grid = np.linspace(-reach, reach, 201)
        normal = np.exp(-0.5 * ((grid - mean) / deviation) ** 2) / (deviation * np.sqrt(2 * np.pi))
        ax.plot(normal, grid, color=INK, lw=1.3, ls=(0, (4, 1.5)), gid="normal")
    ax.axhline(0, color=INK, lw=0.9, ls=(0, (5, 2)))
    ax.set_xticks([])
    ax.set_xlim(left=0)
    ax.spines["bottom"].set_visible(False)
    ax.tick_params(axis="y", length=0, labelleft=False)
    ax.set_xlabel(f"dashed: normal\nmean {number(mean)}\nsd {number(deviation)}", color=MUTED, fontsize=8)
