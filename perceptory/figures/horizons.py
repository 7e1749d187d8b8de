"""Error of forecasts by how far ahead they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from perceptory.errors import InputError
from perceptory.figures.style import BLUE, MUTED, WIDE, new_figure, styled
from perceptory.results.horizons import by_horizon, horizons_of
from perceptory.results.result_data import ResultData
from perceptory.wording import metric_name

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@styled
def error_by_horizon(result: ResultData) -> Figure:
    """MASE (or RMSE) over the horizon: dashed in validation, solid on the test rows where they were opened.

    Raises `InputError` for a result without several horizons of one target.
    """
    found, ahead = by_horizon(result), horizons_of(result.targets)
    if found is None or ahead is None:
        raise InputError(
            "errors by horizon need forecasts at several horizons. Read the series with horizon=range(1, 13)."
        )
    name, order = found[0], np.argsort(ahead[1])
    figure = new_figure(WIDE)
    ax = figure.add_subplot()
    for metrics, line, color, label in (
        (result.validation, "--", MUTED, "validation"),
        (result.tested or {}, "-", BLUE, "test"),
    ):
        if name in metrics:
            values = np.asarray(metrics[name], float)[order]
            ax.plot(found[1], values, line, color=color, marker="o", markersize=3, label=label)
    ax.set_xlabel("steps ahead")
    ax.set_ylabel(metric_name(name))
    ax.set_title(f"{metric_name(name)} by steps ahead", loc="left")
    ax.set_ylim(bottom=0)
    ax.legend(frameon=False)
    return figure
