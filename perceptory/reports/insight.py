"""What the report adds where a result holds it: auxiliary objectives, error over the size of the network, and what the
ensemble gains."""

from __future__ import annotations

from collections.abc import Callable

from perceptory.figures.auxiliary import auxiliary_curves
from perceptory.figures.ensemble import ensemble_error
from perceptory.figures.sizes import SIZES, by_size, size_curve
from perceptory.results.auxiliary import auxiliary_words
from perceptory.results.codes import AUTOENCODE
from perceptory.results.result_data import ResultData
from perceptory.results.wording import thing

TARGETS = 3  # whose ensembles are drawn


def more_figures(result: ResultData, figure: Callable[..., dict[str, str]]) -> list[dict[str, str]]:
    """Figures of the report's part on learning; figure(key, words, caption, draw) makes one."""
    figures = []
    if any(m.auxiliary for m in result.members if m.candidate == result.best):
        figures.append(
            figure(
                "auxiliary",
                "Cost by epoch of the target and of each auxiliary objective",
                f"{auxiliary_words(result)} Medians over the networks; dotted: the best candidate that learned from no"
                " auxiliary objective. Only the cost of the target chooses epochs and candidates.",
                lambda: auxiliary_curves(result),
            )
        )
    if len(by_size(result)) >= SIZES and result.task != AUTOENCODE:  # whose widths of code differ as well
        figures.append(
            figure(
                "sizes",
                "Score on training and validation over the number of weights",
                "The best candidate of each size. To the left both scores are poor: the network is too small. To the "
                f"right the gap grows: the network memorizes the training {thing(result)}s.",
                lambda: size_curve(result),
            )
        )
    for i, one in enumerate(result.ensemble[:TARGETS]):
        figures.append(
            figure(
                f"ensemble{i}",
                "Squared error of the mean of networks over their number",
                one.statement(),
                lambda one=one: ensemble_error(one),
            )
        )
    return figures
