"""Forecasts of several series beside what came."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from perceptory.errors import InputError
from perceptory.figures.style import BLUE, INK, MUTED, ORANGE, clean, footnote, new_figure, styled
from perceptory.results.result_data import ResultData

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ACROSS = 2  # panels beside one another
LONGEST = 4  # times the farthest horizon, of the past that is drawn


@styled
def last_forecasts(result: ResultData) -> Figure:
    """The last windows of several series (ink), what was forecast from them (dashed) with its interval, and what came
    (dots).

    Raises `InputError` for a result without forecasts of numbers.
    """
    shown = result.forecasts
    if shown is None:
        raise InputError("last_forecasts needs forecasts of numbers. Read the series with predict='ahead'.")
    count = len(shown.series)
    across = min(ACROSS, count)
    down = -(-count // across)
    figure = new_figure((5.6, 1.0 + max(2.4, 1.55 * down)))
    axes = figure.subplots(down, across, squeeze=False).ravel()
    far = int(shown.horizons.max())
    for k, ax in enumerate(axes):
        if k >= count:
            ax.set_axis_off()
            continue
        past = shown.history[k][-max(12, LONGEST * far) :]
        ax.plot(np.arange(1 - len(past), 1), past, color=INK, lw=1.1, label="known")
        joined = np.append(0, shown.horizons), np.append(past[-1], shown.predicted[k])
        if np.isfinite(shown.lower[k]).all():
            low, high = (np.append(past[-1], end[k]) for end in (shown.lower, shown.upper))
            label = f"{100 * shown.coverage:g} % interval"
            ax.fill_between(joined[0], low, high, color=ORANGE, alpha=0.22, linewidth=0, label=label)
        ax.plot(*joined, color=ORANGE, lw=1.6, ls=(0, (3, 1.3)), label="forecast")
        dots = {"marker": "o", "ms": 2.8, "lw": 0.9, "color": BLUE}
        ax.plot(shown.horizons, shown.truth[k], label="what came", **dots)
        ax.axvline(0, color=MUTED, lw=0.7)
        ax.grid(axis="y")
        if shown.series[k]:
            ax.set_title(clean(shown.series[k], 26), fontsize=8.5, fontweight="normal", loc="left", pad=3)
    for ax in axes[max(0, count - across) : count]:
        ax.set_xlabel("steps from the last known one", fontsize=8)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper right", ncols=4, fontsize=8)
    axes[0].set_ylabel(clean(shown.target, 20), fontsize=8)
    footnote(axes[0], [f"{clean(shown.target, 30)}, {shown.part} forecasts"])
    return figure
