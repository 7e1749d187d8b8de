"""Which columns a model rests on, and how its predictions move with them."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from perceptory.errors import InputError
from perceptory.figures.style import (
    BLUE,
    INK,
    LINES,
    MARKERS,
    MUTED,
    WIDE,
    clean,
    footnote,
    new_figure,
    styled,
)
from perceptory.models.effects import Effect
from perceptory.models.importance import Importance
from perceptory.models.row_measures import NUMBERS
from perceptory.results.result_data import ResultData
from perceptory.wording import count_of, metric_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 20  # drawn
CLASSES = 3  # lines of an effect


@styled
def importance(source: Importance | ResultData) -> Figure:
    """Bars: by how much the score rises when a column is shuffled among rows, at most 20 columns; whiskers: two
    standard errors; open bars: those that are not told from 0. Names in italics: columns that tell of one another.

    source: what `Model.importance` gave, or a result whose sealed rows have been opened.
    """
    found = _of(source)
    count = min(len(found.columns), COLUMNS)
    figure = new_figure((WIDE[0], 1.15 + 0.27 * count))
    ax = figure.add_subplot()
    sharing = {name for one in found.shared for name in one.columns}
    places = np.arange(count)
    for k in range(count):
        told = found.counts(k)
        ax.barh(k, found.values[k], height=0.62, color=BLUE if told else "none", edgecolor=BLUE, lw=0.8)
    ax.errorbar(
        found.values[:count], places, xerr=2 * found.errors[:count], ls="", color=INK, lw=1, capsize=2.5, zorder=4
    )
    ax.axvline(0, color=MUTED, lw=0.8)
    ax.set_yticks(places, [clean(name, 30) for name in found.columns[:count]])
    for name, words in zip(found.columns, ax.get_yticklabels(), strict=False):
        words.set_fontstyle("italic" if name in sharing else "normal")
    ax.set_ylim(count - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x")
    ax.set_xlabel(f"rise of the {metric_name(found.score)}" + (" in standard deviations" if found.unit else ""))
    ax.set_title("How much predictions rest on each column", loc="left")
    rest = len(found.columns) - count
    footnote(ax, [f"{count_of(rest, 'more column')} not drawn"] if rest else [])
    return figure


@styled
def effects(source: Importance | ResultData) -> Figure:
    """Accumulated local effects of the most important columns, one panel each: how the prediction moves with the column
    while the others stay what they are. Marks below: where the rows lie; dots: categories and truth values.
    """
    of = _of(source)
    found, classes = of.effects, of.score not in NUMBERS
    if not found:
        raise InputError("there is no effect to draw: no column's importance is told from 0, or rows hold series.")
    high = -(-len(found) // 2)
    figure = new_figure((WIDE[0], 0.55 + 1.75 * high))
    panels = figure.subplots(high, 2, squeeze=False, sharey=True)
    for ax, effect in zip(panels.flat, found, strict=False):
        _panel(ax, effect)
    for ax in panels.flat[len(found) :]:
        ax.set_visible(False)
    several = len(found[0].outputs) > 1
    if several:
        figure.legend(
            *panels.flat[0].get_legend_handles_labels(), loc="outside lower center", ncols=CLASSES, fontsize=8
        )
    what = "predictions" if several else clean(found[0].outputs[0], 24)
    if classes:
        what = "probabilities" if several else f"P({what})"
    figure.supylabel(f"change of {what}", fontsize=9)
    figure.suptitle("How predictions move with a column", x=0.02, ha="left", fontsize=10, fontweight="bold")
    return figure


def _of(source: Any) -> Importance:
    found = source.importance if isinstance(source, ResultData) else source
    if not isinstance(found, Importance):
        raise InputError(
            "this result holds no importance of columns: its sealed rows have not been opened, or it would have taken"
            " long. Give what Model.importance returns."
        )
    return found


def _panel(ax: Axes, effect: Effect) -> None:
    categories = effect.kind in ("categorical", "boolean")
    at = np.arange(len(effect.points)) if categories else np.asarray(effect.points, float)
    for k, name in enumerate(effect.outputs[:CLASSES]):
        color, dashes = LINES[k]
        ax.plot(
            at, effect.values[:, k], color=color, ls="" if categories else dashes, lw=1.4,
            marker=MARKERS[k] if categories else None, ms=4, label=clean(name, 16),
        )  # fmt: skip
    ax.axhline(0, color=MUTED, lw=0.6, ls=(0, (1, 2)), zorder=0)
    if categories:
        _name_points(ax, effect)
    else:
        below: dict[str, Any] = {"transform": ax.get_xaxis_transform(), "clip_on": False}
        ax.plot(at, np.full(len(at), 0.02), ls="", marker="|", ms=5, mew=0.7, color=MUTED, **below)
        if effect.kind == "date":
            ax.xaxis.set_major_formatter(lambda day, _: str(date(1970, 1, 1) + timedelta(days=int(day)))[:7])
            ax.tick_params(axis="x", labelsize=7)
        ax.locator_params(axis="x", nbins=4)
    ax.locator_params(axis="y", nbins=5)
    ax.set_title(clean(effect.column, 34), loc="left", fontsize=8.5, fontweight="normal", pad=3)
    ax.grid(axis="y")


def _name_points(ax: Axes, effect: Effect) -> None:
    """Write the names of categories below."""
    names = ["false", "true"] if effect.kind == "boolean" else [clean(p, 14) for p in effect.points]
    turned: dict[str, Any] = {"rotation": 30, "ha": "right"} if len(names) > 3 else {}
    ax.set_xticks(np.arange(len(names)), names, fontsize=7, **turned)
    ax.set_xlim(-0.5, len(names) - 0.5)
