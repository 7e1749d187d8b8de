"""J over the number of neurons and of basis functions: slopes, table and figure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from perceptory.errors import InputError
from perceptory.figures.style import MUTED, footnote, line_style, log_ticks, new_figure, styled
from perceptory.wording import number

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Slope:
    """ln J = slope · ln h + constant, by least squares; error: the slope's standard error (nan for two points)."""

    slope: float
    error: float
    constant: float

    def __str__(self) -> str:
        return f"{self.slope:.2f} ± {self.error:.2f}"


def fitted_slope(h: Any, J: Any) -> Slope:
    """The slope of J over h on logarithmic axes, from the points with J > 0. Raises `InputError` for fewer than two."""
    h, J = np.asarray(h, float), np.asarray(J, float)
    good = (J > 0) & np.isfinite(J)
    if good.sum() < 2 or len(np.unique(h[good])) < 2:
        raise InputError(f"a slope needs at least two numbers of h with J above 0, got {int(good.sum())} points.")
    x, y = np.log(h[good]), np.log(J[good])
    away = x - x.mean()
    slope = float(away @ y / (away @ away))
    rest = y - y.mean() - slope * away
    free = len(x) - 2
    error = float(np.sqrt(rest @ rest / free / (away @ away))) if free else float("nan")
    return Slope(slope, error, float(y.mean() - slope * x.mean()))


@dataclass(frozen=True, eq=False)
class ApproximationStudy:
    """J as a share of the function's variance, on points that nothing was fitted to.

    The function is known, so this is the true criterion [E26], its integral a sum over points.
    """

    neurons: np.ndarray  # [h]
    inputs: np.ndarray  # [p]
    network: np.ndarray  # [p, h] the best of the starts
    basis: np.ndarray  # [p, h]
    starts: np.ndarray  # [p, h, start] J of the network from every start

    def slopes(self) -> tuple[list[Slope], list[Slope]]:
        """(of the network, of the fixed basis) for each p. [E14] promises -1 or steeper, [E15] about -2/p."""
        network, basis = ([fitted_slope(self.neurons, J) for J in row] for row in (self.network, self.basis))
        return network, basis

    def table(self) -> str:
        """J and the slopes as text."""
        head = "  p  " + "".join(f"{f'h = {h}':>11}" for h in self.neurons) + "    slope           theory"
        lines = []
        titles = ("network: J, of O(1/h)", "fixed basis, linear weights fitted: J, of O(1/h^(2/p))")
        for title, J, slopes, own in zip(titles, (self.network, self.basis), self.slopes(), (False, True), strict=True):
            lines += [title, head]
            for p, row, slope in zip(self.inputs, J, slopes, strict=True):
                cells = "".join(f"{number(float(v)):>11}" for v in row)
                lines.append(f"{p:>3}  {cells}    {slope!s:<14}  {-2 / p if own else -1:.2f}")
            lines.append("")
        return "\n".join(lines[:-1])

    __str__ = table

    def figure(self) -> Figure:
        """J over h on logarithmic axes, one line per p (see `approximation_figure`)."""
        return approximation_figure(self)


@styled
def approximation_figure(study: ApproximationStudy) -> Figure:
    """J over h on logarithmic axes, one line per p with its fitted slope; left the network, right the fixed basis.

    Dotted lines through the first point have the slopes that theory promises: -1 on the left, -2/p on the right.
    """
    figure = new_figure((9.6, 4.4))
    panels = figure.subplots(1, 2, sharey=True)
    values = np.concatenate([study.network.ravel(), study.basis.ravel()])
    values = values[(values > 0) & np.isfinite(values)]
    titles = ("Network: all weights trained", "Fixed basis: linear weights fitted")
    for side, (ax, J, slopes) in enumerate(zip(panels, (study.network, study.basis), study.slopes(), strict=True)):
        for k, (p, row, slope) in enumerate(zip(study.inputs, J, slopes, strict=True)):
            style = line_style(k)
            ax.plot(study.neurons, row, lw=1.4, gid=f"p {p}", label=f"p = {p}: {slope}", **style)
            if side or k == 0:
                promised = -2 / p if side else -1
                top = row[0] if side else np.nanmax(J[:, 0])
                line = top * (study.neurons / study.neurons[0]) ** promised
                shown = line >= values.min() / 2
                ax.plot(study.neurons[shown], line[shown], color=style["color"] if side else MUTED, lw=0.9,
                        ls=(0, (1, 2)), gid="theory")  # fmt: skip
        ax.set_xscale("log")
        ax.set_yscale("log")
        ax.set_xlabel("neurons h" if not side else "basis functions h")
        ax.set_title(titles[side], loc="left", pad=12 + 14 * -(-len(study.inputs) // 2))
        ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, fontsize=8, handlelength=3.2)
        ax.grid(axis="y")
        ax.set_xticks(study.neurons, [str(h) for h in study.neurons])
        ax.minorticks_off()
    panels[0].set_ylabel("J, share of the function's variance")
    log_ticks(panels[0].yaxis, values.min(), values.max())
    footnote(panels[0], ["Beside p the fitted slope with its standard error", "Dotted: −1 (left) and −2/p (right)"])
    return figure
