"""A network's graph with the numbers of one sample's forward and backward pass on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from perceptory.errors import InputError
from perceptory.figures.style import BLUE, INK, MUTED, ORANGE, PAPER, clean, footnote, new_figure, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from perceptory.insight.backward import Backpropagation, LayerGradients

NUMBERED = 16  # edges between two layers that carry their numbers
MOST = 16  # units of a layer that are drawn
RADIUS = 0.27
SIGNIFICANT = 3


def _short(value: float) -> str:
    """Three significant digits, as short as they go."""
    return f"{value + 0.0:.{SIGNIFICANT}g}".replace("-", "−").replace("e−0", "e−").replace("e+0", "e")


@styled
def network_graph(found: Backpropagation) -> Figure:
    """Units as circles with z and v, ∂J/∂v and ∂J/∂z below them; weights as lines, dashed where negative, the wider the
    larger; on each line w and ∂J/∂w where it has room (at most 16 lines between two layers), else only the line.

    Raises `InputError` where a layer has more than 16 units.
    """
    columns = [len(found.x), *(len(layer.z) for layer in found.layers)]
    if max(columns) > MOST:
        raise InputError(
            f"the graph has room for {MOST} units a layer, got {max(columns)}. Print the table instead: print(result)"
        )
    numbered = [layer.weight.size <= NUMBERED for layer in found.layers]
    tallest = max(columns)
    figure = new_figure((2.6 + 2.55 * len(found.layers), max(3.0, 1.2 + 1.3 * tallest)))
    ax = figure.add_subplot()
    gap = 2.9
    places = [[(gap * k, (n - 1) / 2 - i) for i in range(n)] for k, n in enumerate(columns)]
    for k, layer in enumerate(found.layers):
        _edges(ax, layer, places[k], places[k + 1], numbered[k])
    for (px, py), name, value in zip(places[0], found.inputs, found.x, strict=True):
        _node(ax, px, py, f"{clean(name, 12)}\n{_short(value)}", square=True)
    for k, layer in enumerate(found.layers):
        _units(ax, found, layer, places[k + 1], k == len(found.layers) - 1)
        words = f"{layer.name}\n{layer.activation}"
        ax.annotate(words, (gap * (k + 1), tallest / 2 + 0.12), ha="center", va="bottom", fontsize=8.5, color=MUTED)
    ax.annotate("inputs", (0, tallest / 2 + 0.12), ha="center", va="bottom", fontsize=8.5, color=MUTED)
    ax.set_xlim(-0.6, gap * len(found.layers) + 1.0)
    ax.set_ylim(-tallest / 2 - 0.15, tallest / 2 + 0.6)
    ax.set_aspect("equal")
    ax.axis("off")
    ax.set_title(f"J = {found.formula} = {_short(found.cost)}", loc="left")
    told = ["In a circle z and v, below it ∂J/∂v and ∂J/∂z; on a line w and, in brackets, ∂J/∂w. Dashed: w < 0"]
    if not all(numbered):
        told.append("Lines without numbers have no room for them: print the table")
    footnote(ax, told)
    return figure


def _edges(ax: Axes, layer: LayerGradients, before: list[Any], after: list[Any], numbered: bool) -> None:
    most = float(np.abs(layer.weight).max()) or 1.0
    taken: list[Any] = []
    for i, (x0, y0) in enumerate(before):
        for j, (x1, y1) in enumerate(after):
            w, d = float(layer.weight[i, j]), float(layer.dw[i, j])
            ax.plot(
                [x0, x1], [y0, y1], color=BLUE if w >= 0 else ORANGE, ls="-" if w >= 0 else (0, (4, 2)),
                lw=0.5 + 1.8 * abs(w) / most, zorder=1, gid="weight",
            )  # fmt: skip
            if numbered:
                taken.append(_free(np.array([x0, y0]), np.array([x1, y1]), taken))
                ax.annotate(
                    f"{_short(w)}\n[{_short(d)}]", taken[-1], ha="center", va="center", fontsize=6.5, color=INK,
                    zorder=2, linespacing=0.95, gid="weight number",
                    bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 0.4, "alpha": 0.9},
                )  # fmt: skip


def _free(start: np.ndarray, end: np.ndarray, taken: list[np.ndarray]) -> np.ndarray:
    """The place on a line that is farthest from numbers that stand already (they are wider than high)."""
    places = [start + share * (end - start) for share in (0.5, 0.3, 0.7, 0.4, 0.6, 0.25, 0.75, 0.35, 0.65)]

    def room(place: np.ndarray) -> float:
        away = [np.hypot(*((place - other) / (0.6, 0.25))) for other in taken]
        return min(min(away, default=2.0), 2.0)

    return max(places, key=room)


def _units(ax: Axes, found: Backpropagation, layer: LayerGradients, places: list[Any], last: bool) -> None:
    for j, (x, y) in enumerate(places):
        _node(ax, x, y, f"{_short(layer.z[j])}\n{_short(layer.v[j])}")
        words = f"{_short(layer.dv[j])}\n{_short(layer.dz[j])}"
        ax.annotate(words, (x, y - RADIUS - 0.03), ha="center", va="top", fontsize=6.5, color=ORANGE, zorder=4,
                    linespacing=0.95, gid="gradient",
                    bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 0.3, "alpha": 0.9})  # fmt: skip
        ax.annotate(f"b {_short(layer.bias[j])} [{_short(layer.db[j])}]", (x, y + RADIUS + 0.03), ha="center",
                    va="bottom", fontsize=6.5, zorder=4, gid="bias",
                    bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 0.3, "alpha": 0.9})  # fmt: skip
        if last:
            words = clean(found.outputs[j], 12) + (f"\nt = {_short(found.t[j])}" if j < len(found.t) else "")
            ax.annotate(words, (x + RADIUS + 0.08, y), ha="left", va="center", fontsize=8, gid="target")


def _node(ax: Axes, x: float, y: float, words: str, square: bool = False) -> None:
    from matplotlib.patches import Circle, Rectangle

    style: dict[str, Any] = {"facecolor": PAPER, "edgecolor": INK, "lw": 1.1, "zorder": 3}
    side = 1.8 * RADIUS
    ax.add_patch(
        Rectangle((x - side / 2, y - side / 2), side, side, **style) if square else Circle((x, y), RADIUS, **style)
    )
    ax.annotate(words, (x, y), ha="center", va="center", fontsize=7, zorder=4, linespacing=1.0, gid="node")
