"""Learning curves of auxiliary objectives beside the main one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from perceptory.errors import InputError
from perceptory.figures.study import median_curve
from perceptory.figures.style import BLUE, INK, MUTED, ORANGE, clean, footnote, log_ticks, new_figure, styled
from perceptory.results.auxiliary import objectives_of, without_objectives
from perceptory.results.result_data import MemberResult, ResultData

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST = 5  # objectives that are drawn


@styled
def auxiliary_curves(result: ResultData, candidate: str | None = None) -> Figure:
    """Cost by epoch of the target and of each auxiliary objective, of one candidate (the chosen one if None is named).

    Medians over the members, dashed: training, solid: validation, as far as half of them were trained. Dots in the
    first panel: the validation cost of the best candidate that learned from no auxiliary objective. A vertical line
    marks where an objective's weight has faded to 0. Raises `InputError` for a candidate without auxiliary objectives.
    """
    chosen = result.candidate(result.best if candidate is None else candidate)
    members = [m for m in result.members if m.candidate == chosen.id]
    names = list(members[0].auxiliary)[:MOST] if members else []
    if not names:
        raise InputError(
            f"candidate {chosen.id!r} has no auxiliary objective. Name one that has, or draw learning_curves."
        )
    panels = 1 + len(names)
    columns = 2 if panels == 4 else min(panels, 3)
    figure = new_figure((3.1 * columns + 0.4, 3.2 * -(-panels // columns) + 0.3))
    axes = list(np.ravel(figure.subplots(-(-panels // columns), columns, squeeze=False)))
    for ax in axes[panels:]:
        ax.set_axis_off()
    pairs = [("target", [m.train_cost for m in members], [m.validation_cost for m in members])]
    pairs += [
        (name, [m.auxiliary[name][0] for m in members], [m.auxiliary[name][1] for m in members]) for name in names
    ]
    other = without_objectives(result)
    compared = [] if other is None or other.id == chosen.id else [m for m in result.members if m.candidate == other.id]
    for ax, (name, train, validation) in zip(axes, pairs, strict=False):
        first = name == "target" and ax is axes[0]
        title = f"target: {', '.join(result.targets)}" if first else f"auxiliary: {name}"
        _panel(ax, clean(title, 34), train, validation, compared if first else [])
    for ax, one in zip(axes[1:], objectives_of(chosen)[:MOST], strict=False):
        _weight(ax, one, int(result.study.get("epochs", 0)))
    axes[0].set_ylabel("cost, as trained on (scaled)")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper left", ncols=3, fontsize=8)
    networks = f"Medians of {len(members)} networks" if len(members) > 1 else "One network"
    footnote(axes[0], [networks, clean(chosen.label, 90)])
    return figure


def _panel(
    ax: Axes, title: str, train: list[np.ndarray], validation: list[np.ndarray], compared: list[MemberResult]
) -> None:
    styles: list[tuple[Any, str, Any, str]] = [
        (train, ORANGE, (0, (4, 1.5)), "training"),
        (validation, BLUE, "-", "validation"),
    ]
    if compared:
        curves = [m.validation_cost for m in compared]
        styles.append((curves, INK, (0, (1, 1.6)), "validation without auxiliary objectives"))
    values = []
    for curves, color, dashes, name in styles:
        middle = median_curve(curves)
        places = np.flatnonzero(np.isfinite(middle))
        ax.plot(places + 1, middle[places], color=color, ls=dashes, lw=1.8, label=name, gid=f"{title} {name}")
        values.append(middle[places])
    every = np.concatenate(values)
    if len(every) and every.min() > 0 and every.max() > 8 * every.min():
        ax.set_yscale("log")
        log_ticks(ax.yaxis, every.min(), every.max())
    ax.set_xlabel("epoch")
    ax.set_title(title, loc="left", fontsize=9)
    ax.grid(axis="y")


def _weight(ax: Axes, one: dict[str, Any], epochs: int) -> None:
    """The weight, and where it has faded away."""
    words, fade = f"weight {float(one['weight']):.3g}", one.get("fade")
    low, high = ax.get_ylim()
    room = 0.12  # above the curves, for the words
    ax.set_ylim(low, high * (high / low) ** room if ax.get_yscale() == "log" else high + room * (high - low))
    if fade is not None:
        words += f", 0 from epoch {int(np.ceil(float(fade) * epochs)) + 1} on"
        end = float(fade) * epochs
        if end < ax.get_xlim()[1]:
            ax.axvline(end, color=MUTED, lw=0.9, ls=(0, (1, 2)), zorder=0.5, gid="faded")
    ax.annotate(
        words, (1, 1), xycoords="axes fraction", xytext=(0, -3), textcoords="offset points", ha="right", va="top",
        fontsize=7.5, color=MUTED,
    )  # fmt: skip
