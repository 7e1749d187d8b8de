"""Gradients of a network in training by layer and by time step: what was recorded, and a figure of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from perceptory.figures.style import INK, clean, footnote, line_style, log_ticks, new_figure, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LOWEST = 1e-12  # of the greatest norm that is drawn
MOMENTS = 4  # records that are drawn by time


@dataclass(frozen=True)
class Finding:
    """One problem of a network's gradients, and its remedy."""

    kind: str  # "vanishing", "exploding", "dead", "saturated" or "diverged"
    where: str  # a layer, layers, or a time of training
    words: str  # what was observed
    remedy: str  # what to change

    def __str__(self) -> str:
        return f"{self.kind.capitalize()} ({self.where}): {self.words} {self.remedy}"


@dataclass(frozen=True, eq=False)
class GradientFlow:
    """Norms of the cost's gradient on the same training rows, at the start and after some epochs."""

    label: str  # of the network
    gated: bool  # whether it is recurrent with gates, which pass gradients on through time
    steps: np.ndarray  # [record] optimizer steps done
    layers: tuple[str, ...]
    norms: np.ndarray  # [record, layer] ‖∂J/∂W‖ / √(number of weights): what a weight of the layer sees
    weights: np.ndarray  # [record, layer] root mean square of the weights themselves
    costs: np.ndarray  # [record] J on those rows
    by_time: np.ndarray | None  # [record, recurrent layer, time step] ‖∂J/∂h_t‖
    every: bool  # whether each step has an output, so that every h_t has a gradient of its own
    hidden: tuple[tuple[str, str, int], ...]  # (layer, activation, units) of those below
    flat: np.ndarray  # [record, hidden layer] share of units that are flat on (nearly) all rows
    diverged: bool
    findings: tuple[Finding, ...] = ()

    def summary(self) -> str:
        """The findings in plain words, each with its remedy."""
        head = f"{self.label}: {len(self.layers)} layers, {int(self.steps[-1])} steps of training"
        if not self.findings:
            return f"{head}. Gradients reach every layer; no unit is dead or saturated."
        return "\n".join([f"{head}.", *(f"- {f}" for f in self.findings)])

    __str__ = summary

    def figure(self) -> Figure:
        """By layer over steps, flat units, and by time step (see `gradient_flow_figure`)."""
        return gradient_flow_figure(self)


@styled
def gradient_flow_figure(flow: GradientFlow) -> Figure:
    """Left: the root mean square of ∂J/∂w of each layer over the steps of training. Then, where units can be flat, the
    share that is dead or saturated; where the network is recurrent, ‖∂J/∂h_t‖ by time step at some moments."""
    looked = len(flow.hidden) > 0 and bool(flow.flat.any())
    timed = flow.by_time is not None
    layers = 0 if flow.by_time is None else flow.by_time.shape[1]
    count = 1 + looked + layers
    figure = new_figure((min(12.0, 4.9 * count), 4.1))
    panels = np.ravel(figure.subplots(1, count, squeeze=False))
    x = np.maximum(flow.steps, 0.5)  # the start has a place on a logarithmic axis
    _norms(panels[0], flow, x)
    if looked:
        _flat(panels[1], flow, x)
    if timed:
        for layer in range(layers):
            _times(panels[1 + looked + layer], flow, layer)
    footnote(panels[0], [f"{clean(flow.label)}, the same training rows each time"])
    return figure


def _shown(norms: np.ndarray, top: float) -> np.ndarray:
    """Norms for a logarithmic axis; where there is no gradient at all (padding), nothing is drawn."""
    return np.where(norms > 0, np.maximum(norms, LOWEST * top), np.nan)


def _norms(ax: Any, flow: GradientFlow, x: np.ndarray) -> None:
    top = float(np.nanmax(np.where(np.isfinite(flow.norms), flow.norms, np.nan)))
    for k, name in enumerate(flow.layers):
        values = _shown(flow.norms[:, k], top)
        ax.plot(x, values, label=name, gid=name, lw=1.3, **line_style(k))
    ax.set_xscale("log")
    ax.set_yscale("log")
    start_tick(ax, x)
    _log(ax)
    ax.set_xlabel("steps of training")
    ax.set_ylabel("gradient of a weight (root mean square)")
    columns = 3 if len(flow.layers) > 2 else 2
    ax.set_title("Gradients by layer", loc="left", pad=8 + 14 * -(-len(flow.layers) // columns))
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, fontsize=7.5, handlelength=3.2)
    ax.grid(axis="y")


def _log(ax: Any) -> None:
    low, high = ax.get_ylim()
    log_ticks(ax.yaxis, low, high)


def start_tick(ax: Any, x: np.ndarray) -> None:
    from matplotlib.ticker import NullLocator

    decades = [float(10**k) for k in range(8) if x[1:].size and x[1:].min() <= 10**k <= x[1:].max()]
    first = decades or [float(x[-1])]
    ax.set_xticks([x[0], *first], ["start", *(f"{t:g}" for t in first)])
    ax.xaxis.set_minor_locator(NullLocator())


def _flat(ax: Any, flow: GradientFlow, x: np.ndarray) -> None:
    for k, (name, activation, units) in enumerate(flow.hidden):
        if flow.flat[:, k].any():
            label = f"{name}, {units} {activation}"
            ax.plot(x, 100 * flow.flat[:, k], label=label, gid=f"flat {name}", lw=1.3, **line_style(k))
    ax.set_xscale("log")
    start_tick(ax, x)
    ax.set_ylim(-3, 103)
    ax.set_xlabel("steps of training")
    ax.set_ylabel("units that are flat on the rows, %")
    lines = len(ax.lines)
    ax.set_title("Dead or saturated units", loc="left", pad=8 + 14 * -(-lines // 2))
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, fontsize=7.5, handlelength=3.2)
    ax.grid(axis="y")


def _times(ax: Any, flow: GradientFlow, layer: int) -> None:
    norms = flow.by_time[:, layer]  # type: ignore[index]
    top = float(np.nanmax(np.where(np.isfinite(norms), norms, np.nan)))
    moments = np.unique(np.linspace(0, len(norms) - 1, min(MOMENTS, len(norms))).round().astype(int))
    time = np.arange(1, norms.shape[1] + 1)
    for k, record in enumerate(moments):
        style = line_style(k) | {"markevery": (k * 3, max(1, len(time) // 8))}
        when = "start" if flow.steps[record] == 0 else f"step {int(flow.steps[record])}"
        ax.plot(time, _shown(norms[record], top), label=when, gid=f"time {when}", lw=1.3, **style)
    ax.set_yscale("log")
    _log(ax)
    ax.set_xlabel("time step t")
    ax.set_ylabel("norm of the gradient by the state at t", color=INK)
    many = flow.by_time.shape[1] > 1  # type: ignore[union-attr]
    ax.set_title("Gradients by time" + (f", layer {layer + 1}" if many else ""), loc="left", pad=8 + 14 * 2)
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, fontsize=7.5, handlelength=3.2)
    ax.grid(axis="y")
