"""Plots of series and images: a few examples as they came, and predictions over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from perceptory.errors import InputError
from perceptory.figures.style import (
    BLUE,
    INK,
    MUTED,
    ORANGE,
    WIDE,
    clean,
    footnote,
    need_task,
    new_figure,
    rows_of,
    styled,
    target_index,
)
from perceptory.results.data_facts import ShownExamples
from perceptory.results.result_data import ResultData
from perceptory.wording import number

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STRETCH = 300  # points of a prediction over time


@styled
def few_examples(result: ResultData) -> Figure:
    """A few of the study's images with their targets, or of its series, one below the other by channel."""
    shown = result.data.examples
    if shown is None or shown.inputs is None:
        raise InputError("this result has no series or images to draw. Draw predicted_against_true, or others.")
    return _pictures(shown.inputs, shown.labels) if shown.kind == "image" else _series(result, shown, shown.inputs)


def _pictures(inputs: np.ndarray, labels: Sequence[str]) -> Figure:
    x = inputs.astype(float)
    low, high = (0.0, 255.0) if inputs.dtype == np.uint8 and x.max() > 1 else (x.min(), x.max())
    x = np.clip((x - low) / ((high - low) or 1), 0, 1)
    columns = min(8, len(x))
    rows = -(-len(x) // columns)
    figure = new_figure((WIDE[0], 0.25 + rows * (WIDE[0] / columns + 0.12)))
    for ax, picture, label in zip(figure.subplots(rows, columns, squeeze=False).flat, x, labels, strict=False):
        colored = picture.shape[-1] in (3, 4)
        ax.imshow(
            picture[..., :3] if colored else picture[..., 0], cmap="gray", vmin=0, vmax=1, interpolation="nearest"
        )
        ax.set_title(clean(label, 12), fontsize=8, fontweight="normal", loc="center", pad=2)
    for ax in figure.axes:
        ax.axis("off")
    return figure


def _series(result: ResultData, shown: ShownExamples, inputs: np.ndarray) -> Figure:
    x = inputs.astype(float)
    drawn = [(clean(c, 18), x[..., k], BLUE) for k, c in enumerate(shown.channels[: x.shape[-1]])]
    if shown.targets is not None:
        t = shown.targets.astype(float)
        drawn += [(clean(c, 18), t[..., k], INK) for k, c in enumerate(result.targets[: t.shape[-1]])]
    figure = new_figure((WIDE[0], 0.5 + 1.0 * len(drawn) + 0.3))
    axes = figure.subplots(len(drawn), len(x), sharex=True, sharey="row", squeeze=False)
    lengths = shown.lengths or [x.shape[1]] * len(x)
    for row, (name, values, color) in zip(axes, drawn, strict=True):
        for ax, one, length in zip(row, values, lengths, strict=True):
            one = one[:length]
            ax.plot(np.arange(len(one)), one, color=color, lw=1.1, marker="." if len(one) < 30 else "", ms=3)
            ax.grid(axis="y")
        row[0].set_ylabel(name, fontsize=8)
    for ax, label in zip(axes[0], shown.labels, strict=True):
        ax.set_title(clean(label, 22), fontsize=8.5, fontweight="normal", loc="left", pad=4)
    for ax in axes[-1]:
        ax.set_xlabel("step", fontsize=8)
    left = len(shown.channels) - x.shape[-1]
    footnote(axes[0, 0], [f"{left} more inputs are not drawn"] if left > 0 else [])
    return figure


def runs_over_time(result: ResultData) -> bool:
    """Whether predictions stand in an order of time."""
    return result.task == "regression" and (result.predictions.step is not None or result.data.predict == "ahead")


def stretch(result: ResultData, part: str) -> tuple[np.ndarray, np.ndarray, str]:
    """(places of the part's predictions in the order of time, their moments, what the moments count).

    The longest stretch without a gap between examples, at most STRETCH points of it.
    """
    rows_of(result, part)  # refuses a part without predictions
    p, shown, predict = result.predictions, result.data.examples, result.data.predict
    here = np.flatnonzero(np.asarray(p.part) == part)
    row = np.asarray(p.row)[here]
    if p.step is None:
        order = np.argsort(row, kind="stable")
        gaps = np.diff(row[order])
        usual = int(np.median(gaps)) if len(gaps) else 1
        first, last = _longest(gaps == usual)
        places = order[first : last + 1][:STRETCH]
        return here[places], row[places], "row of the table"
    step = np.asarray(p.step)[here]
    length, starts = int(step.max()) + 1 if shown is None else shown.shape[0], np.unique(row)
    known, best = set(starts.tolist()), [int(starts[0])]
    if predict == "every step" and shown is not None and shown.shortest is None:
        for start in starts.tolist():
            if start - length in known:
                continue
            chain = [start]
            while chain[-1] + length in known:
                chain.append(chain[-1] + length)
            best = max(best, chain, key=len)
    moment = row + step if len(best) > 1 or predict else step
    places = np.flatnonzero(np.isin(row, best))
    places = places[np.lexsort((step[places], row[places]))][:STRETCH]
    return here[places], moment[places], "row of the table" if predict else "step"


def _longest(joined: np.ndarray) -> tuple[int, int]:
    """First and last place of the longest stretch whose neighbors are all joined [place - 1] bool."""
    edges = np.flatnonzero(~joined)
    firsts, lasts = np.append(0, edges + 1), np.append(edges, len(joined))
    k = int(np.argmax(lasts - firsts))
    return int(firsts[k]), int(lasts[k])


@styled
def over_time(result: ResultData, part: str = "test", target: int | str = 0) -> Figure:
    """Target (solid) and prediction (dashed) of series over a stretch of time, and below, what the prediction misses.

    part: "validation" or "test". Raises `InputError` where predictions have no order of time.
    """
    need_task(result, "over_time", "regression")
    if not runs_over_time(result):
        raise InputError("over_time needs predictions in an order of time, of series. Use predicted_against_true.")
    index = target_index(result, target)
    places, moment, counts = stretch(result, part)
    truth = np.asarray(result.predictions.target)[places].reshape(len(places), -1)[:, index].astype(float)
    output = np.asarray(result.predictions.output)[places].reshape(len(places), -1)[:, index].astype(float)
    output[~np.isfinite(output)] = np.nan
    if np.isnan(output).all():
        raise InputError(f"no {part} step has a finite prediction. Did all members diverge?")
    gaps = np.flatnonzero(np.diff(moment) > (np.median(np.diff(moment)) if len(moment) > 1 else 1)) + 1
    drawn = [np.insert(v.astype(float), gaps, np.nan) for v in (moment, truth, output, truth - output)]
    figure = new_figure(WIDE)
    ax, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    name = clean(result.targets[index], 40)
    dots = {"marker": "o", "ms": 2.4} if len(places) <= 80 else {}
    ax.plot(drawn[0], drawn[1], color=INK, lw=1.1, label="target", gid="target", **dots)
    ax.plot(drawn[0], drawn[2], color=ORANGE, lw=1.6, ls=(0, (3, 1.3)), label="prediction", gid="prediction")
    ax.set_ylabel(name)
    ax.grid(axis="y")
    ax.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderaxespad=0.2)
    ax.set_title(f"Over time, {part}", loc="left")
    below.axhline(0, color=MUTED, lw=0.8)
    below.fill_between(drawn[0], drawn[3], color=BLUE, alpha=0.35, linewidth=0)
    below.plot(drawn[0], drawn[3], color=BLUE, lw=0.8, gid="residual")
    below.set_ylabel("residual")
    below.set_xlabel(counts)
    error = np.nanmean((truth - output) ** 2)
    footnote(ax, [f"RMSE of this stretch of {len(places)} predictions: {number(np.sqrt(error))}"])
    return figure
