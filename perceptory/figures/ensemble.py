"""The error of an ensemble over the number of its networks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from perceptory.figures.style import BLUE, INK, MUTED, ORANGE, PAPER, WIDE, clean, footnote, new_figure, styled
from perceptory.models.ensemble import ErrorDecomposition
from perceptory.wording import number

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@styled
def ensemble_error(errors: ErrorDecomposition) -> Figure:
    """Line: v/k + (k - 1) c/k over the number k of networks. Ticks at k = 1: the networks one by one; open circle: v,
    their mean; diamond: the observed error of the mean of all; dotted line: c, which no number of them goes below.
    """
    figure = new_figure(WIDE)
    ax = figure.add_subplot()
    k = errors.k
    most = max(2 * k, 10)
    over = np.arange(1, most + 1)
    ax.plot(over, errors.of(over), color=BLUE, lw=1.4, label="v/k + (k − 1) c/k", gid="expected")
    ax.plot(
        np.ones(k), errors.members, ls="", marker="_", ms=10, mew=1, color=MUTED, label="each network", gid="members"
    )
    ax.plot(
        1, errors.v, ls="", marker="o", ms=6, mfc=PAPER, mec=ORANGE, mew=1.4, label="v, their mean", gid="v", zorder=4
    )
    ax.plot(k, errors.observed, ls="", marker="D", ms=7, mfc=INK, mec=PAPER, mew=0.6, zorder=5,
            label=f"observed, mean of {k}", gid="observed")  # fmt: skip
    ax.axhline(errors.c, color=INK, lw=1.0, ls=(0, (1, 2)), label="c, the limit", gid="limit")
    gain = f"\n({100 * (1 - errors.observed / errors.v):.0f} % less than one)" if errors.v > 0 else ""
    ax.annotate(
        number(errors.observed) + gain,
        (k, errors.observed), xytext=(6, 8), textcoords="offset points", fontsize=8.5, va="bottom",
    )  # fmt: skip
    ax.annotate(number(errors.v), (1, errors.v), xytext=(9, 2), textcoords="offset points", fontsize=8.5, va="bottom")
    ax.set_xlim(0.5, most + 0.5)
    from matplotlib.ticker import MaxNLocator

    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlabel("networks in the mean, k")
    ax.set_ylabel(f"mean squared error of {clean(errors.target, 32)}")
    ax.set_title("What averaging the networks gains", loc="left", pad=40)
    ax.grid(axis="y")
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, fontsize=8, columnspacing=1.2)
    footnote(ax, [f"Errors of two networks correlate by {errors.correlation:.2f}, on {errors.rows} rows"])
    return figure
