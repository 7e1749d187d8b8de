"""The figures of the report, each with its caption."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from perceptory.errors import UNSET, InputError, Setting
from perceptory.reports import codes
from perceptory.results.codes import AUTOENCODE
from perceptory.results.horizons import by_horizon
from perceptory.results.result_data import ResultData
from perceptory.results.wording import judged, thing
from perceptory.wording import metric_name

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TARGETS_OPEN = 3  # whose figures are shown, before the rest is folded
TARGETS_DRAWN = 12


def in_a_report(setting: Setting) -> str:
    """A setting in words for readers who came by either door: the task "regression", the window, or spikes set to
    "keep"."""
    if setting.value is UNSET:
        return f"the {setting.name}"
    if setting.name == "task":
        return f'the task "{setting.value}"'
    if isinstance(setting.value, list | tuple):
        return f"{setting.name} set to {', '.join(map(str, setting.value))}"
    value = f'"{setting.value}"' if isinstance(setting.value, str) else str(setting.value).lower()
    return f"{setting.name} set to {value}"


def figure(key: str, words: str, caption: str, draw: Callable[[], Figure]) -> dict[str, str]:
    """A drawn figure, or the sentence that says why there is none."""
    from markupsafe import Markup

    from perceptory.figures.svg import to_svg

    try:
        # Safe: the SVG was serialized from a tree, which escapes every name in it.
        return {"svg": Markup(to_svg(draw(), key, words)), "caption": caption, "key": key}
    except InputError as refusal:
        return {"svg": "", "caption": f"No figure here: {refusal.said(in_a_report)}", "key": key}


def study_figures(result: ResultData) -> dict[str, dict[str, str]]:
    from perceptory import figures as plots
    from perceptory.figures.study import learner

    drawn = {
        "ranking": figure(
            "ranking",
            "Validation score of each candidate with error bars and training score",
            "Filled marks: mean validation score, with one standard deviation over folds and seeds. Ticks: single "
            f"folds. Open circles: the score on the training {thing(result)}s; the farther they lie from the filled "
            "marks, the more the network overfits. Dotted: what validation promises of the final model.",
            lambda: plots.ranking(result),
        ),
    }
    candidate = codes.learner(result) if result.task == AUTOENCODE else learner(result)
    if candidate is not None:
        drawn["curves"] = figure(
            "curves",
            f"Cost by epoch on training and validation {thing(result)}s",
            "Each thin line is one network; the dot marks its best epoch, whose weights are kept. Thick lines are "
            "medians, drawn while at least half of the networks were still training. The bar is the gap between them "
            "at the median best epoch.",
            lambda: plots.learning_curves(result, candidate),
        )
    return drawn


def width_figures(result: ResultData) -> list[dict[str, str]]:
    return codes.width_figures(result, figure) if result.task == AUTOENCODE else []


def _forecast_figure(result: ResultData) -> list[dict[str, str]]:
    from perceptory import figures as plots

    if result.forecasts is None:
        return []
    caption = (
        "The last windows of some series, the forecast from each with its "
        f"{100 * result.forecasts.coverage:g} % interval, and what came."
    )
    return [figure("forecasts", "Forecasts beside what came", caption, lambda: plots.last_forecasts(result))]


def _horizon_figure(result: ResultData) -> list[dict[str, str]]:
    from perceptory import figures as plots

    if by_horizon(result) is None:
        return []
    name = metric_name(by_horizon(result)[0])  # type: ignore[index]
    caption = f"{name} of the forecasts by how far ahead they are. Dashed: in validation; solid: on the test."
    return [figure("horizons", f"{name} by horizon", caption, lambda: plots.error_by_horizon(result))]


def importance_figures(result: ResultData) -> list[dict[str, str]]:
    """Which columns the model rests on, and how predictions move with them; [] where that is not known."""
    from perceptory import figures as plots

    found = result.importance
    if found is None:
        return []
    name = metric_name(found.score)
    drawn = [
        figure(
            "importance",
            f"Rise of the {name} when a column is shuffled, by column",
            f"By how much the {name} rises when the values of one column are shuffled among {found.looked_at()}: what"
            " the model loses without that column, beside the others. Whiskers: two standard errors. Open bars are not"
            f" told from 0.{' Names in italics share information.' if found.shared else ''}",
            lambda: plots.importance(result),
        )
    ]
    if found.effects:
        drawn.append(
            figure(
                "effects",
                "How predictions move with the most important columns",
                "How the prediction moves with one column while the others stay what they are in each row (accumulated"
                " local effects), around its mean. Marks below: where the rows lie.",
                lambda: plots.effects(result),
            )
        )
    return drawn


def prediction_figures(result: ResultData) -> list[dict[str, Any]]:
    """Groups of figures: one a target in regression, one in all in classification. Test rows where opened."""
    if result.task == AUTOENCODE:
        return codes.groups_of_figures(result, figure)
    part = "test" if (result.predictions.part == "test").any() else "validation"
    if result.task != "regression":
        return [{"title": "", "folded": False, "figures": _class_figures(result, part)}]
    several = len(result.targets) > 1
    ahead = [*_forecast_figure(result), *_horizon_figure(result)]
    return [
        *([{"title": "", "folded": False, "figures": ahead}] if ahead else []),
        *(
            {
                "title": name if several else "",
                "folded": k >= TARGETS_OPEN or (several and bool(ahead)),
                "figures": _target_figures(result, part, k, name),
            }
            for k, name in enumerate(result.targets[:TARGETS_DRAWN])
        ),
    ]


def _class_figures(result: ResultData, part: str) -> list[dict[str, str]]:
    """Confusion matrix, ROC curve, calibration."""
    from perceptory import figures as plots

    one, some = judged(result), f"{part} {judged(result)}s"
    return [
        figure(
            "confusion",
            f"Confusion matrix of the {some}",
            f"{one.capitalize()}s by their true class and the predicted one; correct predictions are on the diagonal.",
            lambda: plots.confusion_matrix(result, part),
        ),
        figure(
            "roc",
            f"ROC curve of the {some}",
            "The share of a class that is found, against the share of the others that is mistaken for it, as the "
            "threshold moves. The closer to the upper left corner, the better.",
            lambda: plots.roc(result, part),
        ),
        figure(
            "calibration",
            f"Reliability diagram of the {some}",
            f"Whether a probability can be taken at its word: on the diagonal, 80 % of the {one}s that were given "
            f"80 % came true. Bars are 95 % intervals; below, how many {one}s were given each probability. The "
            f"expected calibration error is the mean distance from the diagonal; chance alone shows some of it.",
            lambda: plots.calibration(result, part),
        ),
    ]


def _target_figures(result: ResultData, part: str, k: int, name: str) -> list[dict[str, str]]:
    """Of one target: over time where it has a time, predicted against true, residuals."""
    from perceptory import figures as plots
    from perceptory.figures.examples import STRETCH, runs_over_time

    one, some = judged(result), f"{part} {judged(result)}s"
    over_time = (
        figure(
            f"time{k}",
            f"Target and prediction of {name} over time, {some}",
            "Solid: the target; dashed: the prediction; below: the error. The longest stretch without a gap, "
            f"at most {STRETCH} points of it.",
            lambda: plots.over_time(result, part, k),
        )
        if runs_over_time(result)
        else None
    )
    return [
        *([over_time] if over_time else []),
        figure(
            f"true{k}",
            f"Predicted against true {name}, {some}",
            f"Each mark is one {one}; on the dashed line the prediction is exact.",
            lambda: plots.predicted_against_true(result, part, k),
        ),
        figure(
            f"residuals{k}",
            f"Residuals of {name}, {some}",
            "What the prediction misses. A pattern means that there is something left to learn; the histogram "
            "compares the errors with a normal distribution (dashed).",
            lambda: plots.residuals(result, part, k),
        ),
    ]


def shown_figure(result: ResultData) -> dict[str, str] | None:
    """A few examples of the data, where the result holds some."""
    from perceptory import figures as plots

    shown = result.data.examples
    if shown is None or shown.inputs is None:
        return None
    images = shown.kind == "image"
    labels = ", each with its class" if images and result.classes else ", each with its target" if images else ""
    every = " The last rows show the targets." if shown.targets is not None else ""
    words = f"A few of the images{labels}." if images else f"A few of the series, one row per input.{every}"
    return figure("examples", words, words, lambda: plots.few_examples(result))
