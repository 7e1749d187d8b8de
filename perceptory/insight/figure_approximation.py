"""J over the number of neurons and of basis functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from perceptory.figures.style import MUTED, footnote, log_ticks, new_figure, styled
from perceptory.insight.figure_flow import line_style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from perceptory.insight.approximation import ApproximationStudy


@styled
def approximation_figure(found: ApproximationStudy) -> Figure:
    """J over h on logarithmic axes, a line a p with its fitted slope; left the network, right the fixed basis. Dotted:
    what theory promises, -1 on the left, -2/p on the right, through the first point."""
    figure = new_figure((9.6, 4.4))
    panels = figure.subplots(1, 2, sharey=True)
    values = np.concatenate([found.network.ravel(), found.basis.ravel()])
    values = values[(values > 0) & np.isfinite(values)]
    titles = ("Network: all weights trained", "Fixed basis: linear weights fitted")
    for side, (ax, J, slopes) in enumerate(zip(panels, (found.network, found.basis), found.slopes(), strict=True)):
        for k, (p, row, slope) in enumerate(zip(found.inputs, J, slopes, strict=True)):
            style = line_style(k)
            ax.plot(found.neurons, row, lw=1.4, gid=f"p {p}", label=f"p = {p}: {slope}", **style)
            if side or k == 0:
                promised = -2 / p if side else -1
                top = row[0] if side else np.nanmax(J[:, 0])
                line = top * (found.neurons / found.neurons[0]) ** promised
                shown = line >= values.min() / 2
                ax.plot(found.neurons[shown], line[shown], color=style["color"] if side else MUTED, lw=0.9,
                        ls=(0, (1, 2)), gid="theory")  # fmt: skip
        ax.set_xscale("log")
        ax.set_yscale("log")
        ax.set_xlabel("neurons h" if not side else "basis functions h")
        ax.set_title(titles[side], loc="left", pad=12 + 14 * -(-len(found.inputs) // 2))
        ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, fontsize=8, handlelength=3.2)
        ax.grid(axis="y")
        ax.set_xticks(found.neurons, [str(h) for h in found.neurons])
        ax.minorticks_off()
    panels[0].set_ylabel("J, share of the function's variance")
    log_ticks(panels[0].yaxis, values.min(), values.max())
    footnote(panels[0], ["Beside p the fitted slope with its standard error", "Dotted: −1 (left) and −2/p (right)"])
    return figure
