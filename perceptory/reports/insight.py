"""What the report adds where a result holds it: error over the size of the network, and what the ensemble gains."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from perceptory.figures.ensemble import ensemble_error
from perceptory.figures.sizes import SIZES, by_size, size_curve
from perceptory.models.ensemble import ErrorDecomposition
from perceptory.results.result import Result
from perceptory.results.wording import thing

TARGETS = 3  # whose ensembles are drawn


def more_figures(result: Result, figure: Callable[..., dict[str, str]]) -> list[dict[str, str]]:
    """Figures of the report's part on learning; figure(key, words, caption, draw) makes one."""
    figures = []
    if len(by_size(result)) >= SIZES:
        figures.append(
            figure(
                "sizes",
                "Score on training and validation over the number of weights",
                "The best candidate of each size. To the left both scores are poor: the network is too small. To the "
                f"right the gap grows: the network memorizes the training {thing(result)}s.",
                lambda: size_curve(result),
            )
        )
    for i, data in enumerate(_ensembles(result)[:TARGETS]):
        one = ErrorDecomposition.from_json(data)
        figures.append(
            figure(
                f"ensemble{i}",
                "Squared error of the mean of networks over their number",
                one.statement(),
                lambda one=one: ensemble_error(one),
            )
        )
    return figures


def _ensembles(result: Result) -> list[dict[str, Any]]:
    return list(result.data.get("ensemble") or [])
