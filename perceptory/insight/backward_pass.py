"""Every number of one sample's forward and backward pass: as text, and on the network's graph."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from perceptory.errors import InputError
from perceptory.figures.style import BLUE, INK, MUTED, ORANGE, PAPER, clean, footnote, new_figure, styled
from perceptory.wording import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LINES = 60  # of a layer's weights in the printed table
NUMBERED = 16  # edges between two layers that carry their numbers
MOST = 16  # units of a layer that are drawn
RADIUS = 0.27
SIGNIFICANT = 3


@dataclass(frozen=True, eq=False)
class LayerGradients:
    """One layer: z = a W + b, v = σ(z). Arrays in double precision; ∂J/∂w_ij = a_i ∂J/∂z_j."""

    name: str  # "layer 1", ..., "output layer"
    activation: str
    sources: tuple[str, ...]  # names of what comes in: the inputs, or numbers of units from 1
    units: tuple[str, ...]
    inputs: np.ndarray  # a [in]: the sample, or what the layer before gives
    weight: np.ndarray  # [in, out]
    bias: np.ndarray  # [out]
    z: np.ndarray  # [out]
    v: np.ndarray  # [out]
    dv: np.ndarray  # [out] ∂J/∂v
    dz: np.ndarray  # [out] ∂J/∂z
    dw: np.ndarray  # [in, out] ∂J/∂w
    db: np.ndarray  # [out] ∂J/∂b
    keep: float = 1.0  # in use, dropout multiplies v by it
    skip: bool = False  # a is added to v


@dataclass(frozen=True, eq=False)
class Backpropagation:
    """Every number of one sample's forward and backward pass. x, t: as the network sees them (scaled)."""

    layers: tuple[LayerGradients, ...]
    x: np.ndarray  # [in]
    t: np.ndarray  # [out]
    y: np.ndarray  # [out]
    cost: float  # J
    formula: str  # of J
    inputs: tuple[str, ...]  # names
    outputs: tuple[str, ...]

    def gradient(self) -> np.ndarray:
        """[weight] all ∂J/∂w and ∂J/∂b in the order of the network's flat weight vector."""
        return np.concatenate([part.ravel() for layer in self.layers for part in (layer.dw, layer.db)])

    def table(self) -> str:
        """All numbers as aligned text."""
        lines = [self._heading()]
        for layer in self.layers:
            lines += ["", _layer_heading(layer)]
            lines += _aligned(_unit_rows(layer))
            lines += ["", *_aligned(_weight_rows(layer))]
            missing = layer.weight.size + layer.bias.size - LINES
            lines += [f"  ... and {missing} more weights in layers[...].dw"] if missing > 0 else []
        return "\n".join(lines)

    __str__ = table

    def _heading(self) -> str:
        t = [f" (target {number(v)})" for v in self.t] + [""] * (len(self.y) - len(self.t))
        outputs = ", ".join(
            f"{name} = {number(y)}{goal}" for name, y, goal in zip(self.outputs, self.y, t, strict=True)
        )
        return f"{outputs};  J = {self.formula} = {number(self.cost)}"

    def _repr_html_(self) -> str:
        parts = [f"<p>{escape(self._heading())}</p>"]
        for layer in self.layers:
            parts += [f"<h4>{escape(_layer_heading(layer))}</h4>", _html(_unit_rows(layer))]
            parts.append(_html(_weight_rows(layer)))
        return "".join(parts)

    def figure(self) -> Figure:
        """The network's graph with these numbers on it (see `network_graph`)."""
        return network_graph(self)


# --- as text -----------------------------------------------------------------------------------------------------


def _layer_heading(layer: LayerGradients) -> str:
    heading = f"{layer.name}: z = a W + b, v = {layer.activation}(z)"
    heading += f", gives {layer.keep:g} v" if layer.keep != 1 else ""
    return heading + (", plus its input" if layer.skip else "")


def _unit_rows(layer: LayerGradients) -> Iterator[tuple[str, ...]]:
    yield "unit", "z", "v", "dJ/dv", "dJ/dz"
    for name, *values in zip(layer.units, layer.z, layer.v, layer.dv, layer.dz, strict=True):
        yield name, *(number(value) for value in values)


def _weight_rows(layer: LayerGradients) -> Iterator[tuple[str, ...]]:
    yield "weight", "a", "w", "dJ/dw"
    printed = 0
    for j, unit in enumerate(layer.units):
        rows = zip(layer.sources, layer.inputs, layer.weight[:, j], layer.dw[:, j], strict=True)
        for source, *values in (*rows, ("bias", 1.0, layer.bias[j], layer.db[j])):
            if (printed := printed + 1) > LINES:
                return
            yield f"{source} -> {unit}", *(number(value) for value in values)


def _aligned(rows: Iterator[tuple[str, ...]]) -> list[str]:
    table = list(rows)
    widths = [max(len(row[k]) for row in table) for k in range(len(table[0]))]
    return [
        "  "
        + row[0].ljust(widths[0])
        + "".join("  " + cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))
        for row in table
    ]


def _html(rows: Iterator[tuple[str, ...]]) -> str:
    head, *body = list(rows)
    lines = ["<tr>" + "".join(f"<th>{escape(cell)}</th>" for cell in head) + "</tr>"]
    lines += ["<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in body]
    return f"<table>{''.join(lines)}</table>"


# --- as a figure ---------------------------------------------------------------------------------------------------


def _short(value: float) -> str:
    """Three significant digits, as short as they go."""
    return f"{value + 0.0:.{SIGNIFICANT}g}".replace("-", "−").replace("e−0", "e−").replace("e+0", "e")


@styled
def network_graph(result: Backpropagation) -> Figure:
    """Units are circles with z and v inside, ∂J/∂v and ∂J/∂z below. Weights are lines, wider for larger weights, dashed
    for negative ones; each carries w and ∂J/∂w if there are at most 16 lines between the two layers.

    Raises `InputError` if a layer has more than 16 units.
    """
    columns = [len(result.x), *(len(layer.z) for layer in result.layers)]
    if max(columns) > MOST:
        raise InputError(
            f"the graph has room for {MOST} units a layer, got {max(columns)}. Print the table instead: print(result)"
        )
    numbered = [layer.weight.size <= NUMBERED for layer in result.layers]
    tallest = max(columns)
    figure = new_figure((2.6 + 2.55 * len(result.layers), max(3.0, 1.2 + 1.3 * tallest)))
    ax = figure.add_subplot()
    gap = 2.9
    places = [[(gap * k, (n - 1) / 2 - i) for i in range(n)] for k, n in enumerate(columns)]
    for k, layer in enumerate(result.layers):
        _edges(ax, layer, places[k], places[k + 1], numbered[k])
    for (px, py), name, value in zip(places[0], result.inputs, result.x, strict=True):
        _node(ax, px, py, f"{clean(name, 12)}\n{_short(value)}", square=True)
    for k, layer in enumerate(result.layers):
        _units(ax, result, layer, places[k + 1], k == len(result.layers) - 1)
        words = f"{layer.name}\n{layer.activation}"
        ax.annotate(words, (gap * (k + 1), tallest / 2 + 0.12), ha="center", va="bottom", fontsize=8.5, color=MUTED)
    ax.annotate("inputs", (0, tallest / 2 + 0.12), ha="center", va="bottom", fontsize=8.5, color=MUTED)
    ax.set_xlim(-0.6, gap * len(result.layers) + 1.0)
    ax.set_ylim(-tallest / 2 - 0.15, tallest / 2 + 0.6)
    ax.set_aspect("equal")
    ax.axis("off")
    ax.set_title(f"J = {result.formula} = {_short(result.cost)}", loc="left")
    notes = ["In a circle z and v, below it ∂J/∂v and ∂J/∂z; on a line w and, in brackets, ∂J/∂w. Dashed: w < 0"]
    if not all(numbered):
        notes.append("Lines without numbers have no room for them: print the table")
    footnote(ax, notes)
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
    """The place on a line that is farthest from the numbers already there (which are wider than high)."""
    places = [start + share * (end - start) for share in (0.5, 0.3, 0.7, 0.4, 0.6, 0.25, 0.75, 0.35, 0.65)]

    def room(place: np.ndarray) -> float:
        away = [np.hypot(*((place - other) / (0.6, 0.25))) for other in taken]
        return min(min(away, default=2.0), 2.0)

    return max(places, key=room)


def _units(ax: Axes, result: Backpropagation, layer: LayerGradients, places: list[Any], last: bool) -> None:
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
            words = clean(result.outputs[j], 12) + (f"\nt = {_short(result.t[j])}" if j < len(result.t) else "")
            ax.annotate(words, (x + RADIUS + 0.08, y), ha="left", va="center", fontsize=8, gid="target")


def _node(ax: Axes, x: float, y: float, words: str, square: bool = False) -> None:
    from matplotlib.patches import Circle, Rectangle

    style: dict[str, Any] = {"facecolor": PAPER, "edgecolor": INK, "lw": 1.1, "zorder": 3}
    side = 1.8 * RADIUS
    ax.add_patch(
        Rectangle((x - side / 2, y - side / 2), side, side, **style) if square else Circle((x, y), RADIUS, **style)
    )
    ax.annotate(words, (x, y), ha="center", va="center", fontsize=7, zorder=4, linespacing=1.0, gid="node")
