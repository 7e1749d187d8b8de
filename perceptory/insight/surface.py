"""A model's prediction over two of its columns, the others held at typical values."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from perceptory.data import Dataset, Encoder
from perceptory.errors import InputError
from perceptory.figures.style import INK, MUTED, PAPER, clean, footnote, new_figure, styled
from perceptory.models.averages import mean_of
from perceptory.models.model import Model
from perceptory.registry import did_you_mean
from perceptory.results.codes import AUTOENCODE
from perceptory.wording import number

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MARKERS = "osD^vP*X"
HATCHES = ("////", "....", "\\\\\\\\", "++", "xx", "oo", "--", "||")
POINTS = 400  # rows drawn
ACROSS = 4  # columns of the legend
HELD = 4  # of the other columns that are named


def decision_surface(
    model: Model, data: Dataset, columns: tuple[str, str] | None = None, *, target: int | str = 0, resolution: int = 60
) -> Figure:
    """The model's prediction over two numeric columns, the others held at their median or most frequent category.

    Regression: labeled contour lines, darker where the prediction is larger. Classification: one hatched region per
    class, a thick boundary, and contour lines of the most probable class's probability. Marks are rows of `data`, with
    one shape per class; they differ in the other columns too, so a mark may lie in the region of another class.

    model: of a table.
    data: the rows that are drawn, and from which ranges, medians and most frequent categories are taken.
    columns: two names; None takes the two columns that change the prediction most on their own.
    target: which of several targets, by place or name.
    resolution: points along each side.

    Raises `InputError` if there are no two such columns.
    """
    if not isinstance(model.encoder, Encoder) or not isinstance(data, Dataset):
        raise InputError("decision_surface needs a model of a table and a Dataset, as read_table gives it.")
    used = {plan.name for plan in model.encoder.columns if plan.used}
    numeric = [c.name for c in data.columns if c.name in used and c.kind == "numeric"]
    place = model.targets.index(target) if isinstance(target, str) and target in model.targets else target
    if model.task == AUTOENCODE:
        raise InputError("an autoencoder predicts no target that could be drawn. Use figures.code_map.")
    if model.task == "regression" and (not isinstance(place, int) or not 0 <= place < len(model.targets)):
        raise InputError(f"target needs one of {', '.join(model.targets)} or its place, got {target!r}.")
    by_name = {c.name: c for c in data.columns}
    a, b = _two(model, data, columns, numeric)
    sides = [np.linspace(np.nanmin(v), np.nanmax(v), resolution) for v in (by_name[a].values, by_name[b].values)]
    grid = dict(zip((a, b), (g.ravel() for g in np.meshgrid(*sides)), strict=True))
    values = mean_of(model, model.members(_with(data, grid))).reshape(resolution, resolution, -1)
    held = [c for c in data.columns if c.name in used and c.name not in grid]
    words = [f"{clean(c.name, 20)} = {_text(_usual(c.kind, c.values))}" for c in held]
    more = f" and {len(words) - HELD} more" if len(words) > HELD else ""
    note = f"Held at their medians: {', '.join(words[:HELD])}{more}" if words else ""
    shown = np.linspace(0, data.rows - 1, min(POINTS, data.rows)).astype(int)
    marks = (by_name[a].values[shown], by_name[b].values[shown], data.targets[shown])
    if model.task == "regression":
        return _levels((a, b), sides, values[..., int(place)], marks, model.targets[int(place)], note)
    return _regions((a, b), sides, values, marks, tuple(str(c) for c in model.classes), note)  # type: ignore[union-attr]


def _with(data: Dataset, values: dict[str, np.ndarray]) -> Dataset:
    """Rows with these values of some columns, the other columns at their typical value."""
    rows = len(next(iter(values.values())))
    columns = [
        replace(c, data=values[c.name] if c.name in values else np.full(rows, _usual(c.kind, c.values), c.values.dtype))
        for c in data.columns
    ]
    return Dataset(tuple(columns), data.target_names, "regression", np.zeros((rows, 1)))


def _two(model: Model, data: Dataset, columns: Any, numeric: list[str]) -> tuple[str, str]:
    if len(numeric) < 2:
        raise InputError(f"decision_surface needs two numeric columns that the model uses, got {numeric}.")
    if columns is None:
        moved = []
        for c in data.columns:
            if c.name in numeric:
                line = np.nanquantile(c.values, np.linspace(0.05, 0.95, 15))
                means = mean_of(model, model.members(_with(data, {c.name: line})))
                moved.append((float(means.std(axis=0).sum()), c.name))
        first, second = sorted(moved, key=lambda m: -m[0])[:2]
        return first[1], second[1]
    if not isinstance(columns, tuple | list) or len(columns) != 2 or columns[0] == columns[1]:
        raise InputError(f"columns needs two names, got {columns!r}. Example: columns={tuple(numeric[:2])}")
    for name in columns:
        if name not in numeric:
            raise InputError(f"no numeric column {name!r} in the model.{did_you_mean(name, numeric)}")
    return columns[0], columns[1]


def _usual(kind: str, values: np.ndarray) -> Any:
    if kind in ("numeric", "date"):
        return float(np.nanmedian(values))
    return Counter(v for v in values.tolist() if v is not None and v == v).most_common(1)[0][0]


def _text(value: Any) -> str:
    return number(value) if isinstance(value, float) else clean(value, 20)


@styled
def _levels(names: Any, sides: Any, values: np.ndarray, marks: Any, target: str, note: str) -> Figure:
    figure = new_figure((6.2, 4.6))
    ax = figure.add_subplot()
    filled = ax.contourf(*sides, values, levels=10, cmap="Greys", alpha=0.55)
    lines = ax.contour(*sides, values, levels=filled.levels, colors=INK, linewidths=0.8)
    ax.clabel(lines, fontsize=7.5, fmt=number)
    ax.plot(marks[0], marks[1], ls="", marker="o", ms=2.2, mfc=PAPER, mec=MUTED, mew=0.6, gid="rows")
    figure.colorbar(filled, ax=ax, label=clean(target), format=lambda v, _: number(v))
    _finish(ax, names, f"Prediction of {clean(target, 40)}", note)
    return figure


@styled
def _regions(names: Any, sides: Any, values: np.ndarray, marks: Any, classes: tuple[str, ...], note: str) -> Figure:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    figure = new_figure((6.2, 4.6))
    ax = figure.add_subplot()
    winner, sure = values.argmax(axis=-1), values.max(axis=-1)
    handles: list[Any] = []
    for k, name in enumerate(classes):
        hatch, shape = HATCHES[k % len(HATCHES)], MARKERS[k % len(MARKERS)]
        mine = winner == k
        if mine.any():
            ahead = values[..., k] - np.delete(values, k, axis=-1).max(axis=-1)
            region = ax.contourf(*sides, ahead, levels=[0.0, 2.0], colors="none", hatches=[hatch])
            region.set_edgecolor("#b8bec6")
            region.set_linewidth(0)
            region.set_gid(f"region {name}")
            if not mine.all():
                ax.contour(*sides, ahead, levels=[0.0], colors=INK, linewidths=1.8)
        rows = marks[2] == k
        ax.plot(
            marks[0][rows], marks[1][rows], ls="", marker=shape, ms=4, mfc=PAPER, mec=INK, mew=0.8, gid=f"rows {name}"
        )
        handles.append(Patch(facecolor="none", edgecolor=MUTED, hatch=hatch, label=f"says {clean(name, 20)}"))
        handles.append(Line2D([], [], ls="", marker=shape, ms=4, mfc=PAPER, mec=INK, label=f"is {clean(name, 20)}"))
    levels = [level for level in (0.6, 0.8, 0.95) if sure.min() < level < sure.max()]
    if levels:
        lines = ax.contour(*sides, sure, levels=levels, colors=MUTED, linewidths=0.8, linestyles="--")
        ax.clabel(lines, fontsize=7, fmt=lambda v: f"{v:g}")
    ax.legend(handles=handles, loc="lower left", bbox_to_anchor=(0, 1), ncols=min(ACROSS, len(classes)), fontsize=7.5)
    _finish(ax, names, "What the model says", note, pad=14 + 14 * -(-2 * len(classes) // min(ACROSS, len(classes))))
    return figure


def _finish(ax: Any, names: Any, title: str, note: str, pad: float = 10) -> None:
    ax.set_xlabel(clean(names[0]))
    ax.set_ylabel(clean(names[1]))
    ax.set_title(title, loc="left", pad=pad)
    footnote(ax, [note] if note else [])
