"""A figure of what a model learned of a target's distribution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from perceptory.errors import InputError
from perceptory.figures.style import BLUE, INK, MANY, WIDE, clean, footnote, new_figure, styled
from perceptory.models.model import Model

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PALEST, DARKEST = 0.12, 0.45


@styled
def fan(
    model: Model,
    data: Any,
    along: Any,
    *,
    levels: Any = None,
    target: int = 0,
    rows: tuple[Any, Any] | None = None,
    name: str = "",
) -> Figure:
    """Bands between pairs of a model's quantiles, the lowest with the highest and so on, and the point prediction.

    data: rows for the model, [row]; along [row]: the number that they are drawn over, called `name`. levels: as for
    `Model.predict_quantiles`. target: which target column. rows: (along, target) of measured rows to draw as points.
    `InputError` for a model that has no quantiles.
    """
    quantiles = model.predict_quantiles(data, levels)
    along = np.asarray(along, float)
    if quantiles.values.ndim != 3 or along.shape != quantiles.values.shape[:1]:
        raise InputError(
            f"a fan needs one number along the axis for each of {len(quantiles.values)} rows, got shape {along.shape}."
        )
    order = np.argsort(along, kind="stable")
    values, point = (
        quantiles.values[order, target],
        np.asarray(model.predict(data)).reshape(len(along), -1)[order, target],
    )
    figure = new_figure(WIDE)
    ax = figure.add_subplot()
    notes: list[str] = []
    if rows is not None:
        given, measured = (np.asarray(a, float).ravel() for a in rows)
        step = -(-len(given) // MANY)
        ax.plot(
            given[::step], measured[::step], ls="", marker=".", ms=3.2, color=INK, mec="none", alpha=0.6,
            gid="rows", zorder=3.5, label="measured",
        )  # fmt: skip
        notes = [f"{len(given[::step])} of {len(given)} rows drawn as points"] if step > 1 else []
    _bands(ax, along[order], values, quantiles.levels)
    ax.plot(along[order], point, color=INK, lw=1.8, zorder=4, label="prediction", gid="prediction")
    ax.set_xlabel(clean(name))
    ax.set_ylabel(clean(model.targets[target]))
    ax.set_title(f"Quantiles and prediction of {clean(model.targets[target], 30)}", pad=26)
    ax.grid(axis="y")
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    for level, end, place in zip(
        quantiles.levels, values[-1], _apart(values[-1], 0.035 * np.ptp(ax.get_ylim())), strict=True
    ):
        ax.annotate(
            f"{level:g}", (along[order[-1]], end), xytext=(along[order[-1]] + 0.015 * np.ptp(ax.get_xlim()), place),
            fontsize=7.5, va="center", color=INK, annotation_clip=False,
        )  # fmt: skip
    footnote(ax, notes)
    return figure


def _bands(ax: Axes, along: np.ndarray, values: np.ndarray, levels: Sequence[float]) -> None:
    """Shades between the lowest and the highest quantile, the next two and so on, and thin lines along them.

    along: [row], rising; values: [row, level].
    """
    pairs = len(levels) // 2
    for k in range(pairs):
        low, high = k, len(levels) - 1 - k
        shade = PALEST + (DARKEST - PALEST) * (k + 1) / pairs
        ax.fill_between(along, values[:, low], values[:, high], color=BLUE, alpha=shade, lw=0, zorder=2)
    for k, level in enumerate(levels):
        middle = len(levels) % 2 == 1 and k == pairs
        ax.plot(along, values[:, k], color=BLUE, lw=0.0 if middle else 0.7, zorder=3, gid=f"quantile {level:g}")


def _apart(places: np.ndarray, least: float) -> np.ndarray:
    """Rising places moved as little as needed to lie at least so far apart, around where they were."""
    steps = np.arange(len(places)) * least
    moved = np.maximum.accumulate(places - steps) + steps
    return moved - np.mean(moved - places)
