"""The report: one HTML file that opens offline and reads well on a screen, a phone and paper."""

from __future__ import annotations

import math
import os
import shlex
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perceptory.errors import UNSET, InputError, Setting
from perceptory.models.model_file import write_bytes
from perceptory.reports import codes
from perceptory.reports.examples import new_data, shape_words
from perceptory.reports.insight import more_figures
from perceptory.reports.procedure import discarded_words, mixture_words, nested_words
from perceptory.reports.request import request_lines, spec_words, task_words
from perceptory.reports.summary import advice, as_list, evidence_words, metric_rows, naive, sealed_words
from perceptory.results.auxiliary import auxiliary_words
from perceptory.results.codes import AUTOENCODE
from perceptory.results.horizons import by_horizon, horizons_of, over_horizons
from perceptory.results.result_data import ResultData
from perceptory.results.wording import judged, thing
from perceptory.wording import better, count_of, duration, metric_name, number

if TYPE_CHECKING:
    from jinja2 import Template
    from matplotlib.figure import Figure

TEMPLATE = Path(__file__).parent / "templates" / "report.html"
ROWS_OPEN = 30  # of the ranking, before the rest is folded
COLUMNS_OPEN = 40  # of the data summary, before it is folded
TARGETS_OPEN = 3  # whose figures are shown, before the rest is folded
TARGETS_DRAWN = 12


def _plain(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    if isinstance(value, dict):
        return ", ".join(f"{k} {_plain(v)}" for k, v in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(_plain(v) for v in value)
    return number(value) if isinstance(value, float) else str(value)


def headline(result: ResultData) -> str:
    """What came out, in one sentence: the test error in the target's units against predicting without a network."""
    if result.task == AUTOENCODE:
        return codes.headline(result)
    metrics = result.tested if result.tested is not None else result.validation
    if result.task == "regression" and "rmse" in metrics:
        return _regression_headline(result, as_list(metrics["rmse"]))
    if "accuracy" in metrics:
        return _classes_headline(result, float(metrics["accuracy"]))
    score = f"{metric_name(result.score['name'])} {number(result.estimate.mean)}"
    return f"{_capital(result.label)} was chosen: {score} in validation."


def _capital(label: str) -> str:
    return label[:1].upper() + label[1:] if label.startswith("a ") else label


def _regression_headline(result: ResultData, errors: list[float]) -> str:
    ahead = horizons_of(result.targets)
    errors = errors if ahead is None else [over_horizons({"rmse": errors})["rmse"]]
    some, rest = result.targets[:TARGETS_OPEN], len(errors) - TARGETS_OPEN
    if ahead is not None:
        what, size = f"{ahead[0]} at {count_of(len(ahead[1]), 'horizon')}", f"of {number(errors[0])}"
    elif len(errors) == 1:
        what, size = result.targets[0], f"of {number(errors[0])}"
    else:
        each = ", ".join(f"{t} {number(e)}" for t, e in zip(some, errors, strict=False))
        what = f"{len(errors)} targets"
        size = f"({each} and {count_of(rest, 'more target')} below)" if rest > 0 else f"({each})"
    label = _capital(result.label)
    sentence = f"{label} predicts {what} with a typical error (RMSE) {size} {_where(result, 'on')}"
    plain = naive(result) if result.tested is not None and ahead is None else None
    if plain:
        means = ", ".join(number(v) for v in plain["rmse"][:TARGETS_OPEN]) + (", …" if rest > 0 else "")
        sentence += f"; always predicting the mean would give {means}"
        if "last" in plain:
            sentence += f", the last known value {number(plain['last'])}"
    return sentence + "."


def _classes_headline(result: ResultData, accuracy: float) -> str:
    label = _capital(result.label)
    sentence = f"{label} predicts {result.targets[0]} correctly for {_percent(accuracy)} {_where(result, 'of')}"
    plain = naive(result) if result.tested is not None else None
    if plain:
        sentence += f"; always predicting {plain['class']!r} would be correct for {_percent(plain['accuracy'])}"
    return sentence + "."


def _where(result: ResultData, word: str) -> str:
    """'on 88 sealed test rows', or 'of 240 rows in validation', by what has been opened."""
    opened = result.tested is not None
    rows = result.data.test_rows if opened else result.data.study_rows
    where = count_of(rows, f"sealed test {thing(result)}" if opened else thing(result))
    if result.predictions.step is not None:
        steps = int((result.predictions.part == ("test" if opened else "validation")).sum())
        where = f"{count_of(steps, 'step')} of {where}"
    if opened:
        return f"{word} {where}"
    return f"in validation, on {where}" if word == "on" else f"{word} {where} in validation"


def _percent(share: Any) -> str:
    return f"{100 * float(share):.1f} %"


def _tiles(result: ResultData) -> list[tuple[str, str]]:
    """(number, what it is) of the few numbers that are looked for first."""
    part, metrics = ("test", result.tested) if result.tested is not None else ("validation", result.validation)
    counts = [
        (str(len(result.candidates)), "candidates" if len(result.candidates) != 1 else "candidate"),
        (str(len(result.members)), "networks trained" if len(result.members) != 1 else "network trained"),
        (duration(result.seconds), "in all"),
    ]
    if result.task == AUTOENCODE:
        return [*codes.tiles(result, part, metrics), *counts]
    wanted = ("rmse", "r2", "mae") if result.task == "regression" else ("accuracy", "log_loss", "auc")
    several = len(result.targets) > 1
    if horizons_of(result.targets) and "mase" in metrics:
        wanted = ("mase", "smape", "rmse")
        metrics, several = over_horizons(metrics), False
    tiles = []
    for name in wanted:
        if name in metrics:
            values = as_list(metrics[name])
            shown = number(sum(values) / len(values))
            tiles.append((shown, f"{part} {metric_name(name)}" + (", mean of targets" if several else "")))
    if result.nested is not None:
        nested = result.nested
        tiles.append((f"{number(nested.mean)} ± {number(nested.spread)}", f"nested {metric_name(nested.score)}"))
    return [*tiles, *counts]


def _figure(key: str, words: str, caption: str, draw: Callable[[], Figure]) -> dict[str, str]:
    """A drawn figure, or the sentence that says why there is none."""
    from markupsafe import Markup

    from perceptory.figures.svg import to_svg

    try:
        # Safe: the SVG was serialized from a tree, which escapes every name in it.
        return {"svg": Markup(to_svg(draw(), key, words)), "caption": caption, "key": key}
    except InputError as refusal:
        return {"svg": "", "caption": f"No figure here: {refusal.said(in_a_report)}", "key": key}


def _study_figures(result: ResultData) -> dict[str, dict[str, str]]:
    from perceptory import figures as plots

    drawn = {
        "ranking": _figure(
            "ranking",
            "Validation score of each candidate with error bars and training score",
            "Filled marks: mean validation score, with one standard deviation over folds and seeds. Ticks: single "
            f"folds. Open circles: the score on the training {thing(result)}s; the farther they lie from the filled "
            "marks, the more the network overfits.",
            lambda: plots.ranking(result),
        ),
    }
    learner = codes.learner(result) if result.task == AUTOENCODE else _learner(result)
    if learner is not None:
        drawn["curves"] = _figure(
            "curves",
            f"Cost by epoch on training and validation {thing(result)}s",
            "Each thin line is one network; the dot marks its best epoch, whose weights are kept. Thick lines are "
            "medians, drawn while at least half of the networks were still training. The bar is the gap between them "
            "at the median best epoch.",
            lambda: plots.learning_curves(result, learner),
        )
    return drawn


def _learner(result: ResultData) -> str | None:
    """The candidate whose learning is drawn: the chosen one, or the best one that took epochs, where the chosen one was
    solved; None where all were."""
    epochs: dict[str, int] = {}
    for member in result.members:
        epochs[member.candidate] = max(epochs.get(member.candidate, 0), len(member.train_cost))
    ranked = [result.best, *(c.id for c in result.candidates)]
    return next((c for c in ranked if epochs.get(c, 0) > 1), None)


def _width_figures(result: ResultData) -> list[dict[str, str]]:
    return codes.width_figures(result, _figure) if result.task == AUTOENCODE else []


def _forecast_figure(result: ResultData) -> list[dict[str, str]]:
    from perceptory import figures as plots

    if result.forecasts is None:
        return []
    caption = (
        "The last windows of some series, the forecast from each with its "
        f"{100 * result.forecasts.coverage:g} % interval, and what came."
    )
    return [_figure("forecasts", "Forecasts beside what came", caption, lambda: plots.last_forecasts(result))]


def _horizon_figure(result: ResultData) -> list[dict[str, str]]:
    from perceptory import figures as plots

    if by_horizon(result) is None:
        return []
    name = metric_name(by_horizon(result)[0])  # type: ignore[index]
    caption = f"{name} of the forecasts by how far ahead they are. Dashed: in validation; solid: on the test."
    return [_figure("horizons", f"{name} by horizon", caption, lambda: plots.error_by_horizon(result))]


def _prediction_figures(result: ResultData) -> list[dict[str, Any]]:
    """Groups of figures: one a target in regression, one in all in classification. Test rows where opened."""
    if result.task == AUTOENCODE:
        return codes.groups_of_figures(result, _figure)
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
        _figure(
            "confusion",
            f"Confusion matrix of the {some}",
            f"{one.capitalize()}s by their true class and the predicted one; correct predictions are on the diagonal.",
            lambda: plots.confusion_matrix(result, part),
        ),
        _figure(
            "roc",
            f"ROC curve of the {some}",
            "The share of a class that is found, against the share of the others that is mistaken for it, as the "
            "threshold moves. The closer to the upper left corner, the better.",
            lambda: plots.roc(result, part),
        ),
        _figure(
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
        _figure(
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
        _figure(
            f"true{k}",
            f"Predicted against true {name}, {some}",
            f"Each mark is one {one}; on the dashed line the prediction is exact.",
            lambda: plots.predicted_against_true(result, part, k),
        ),
        _figure(
            f"residuals{k}",
            f"Residuals of {name}, {some}",
            "What the prediction misses. A pattern means that there is something left to learn; the histogram "
            "compares the errors with a normal distribution (dashed).",
            lambda: plots.residuals(result, part, k),
        ),
    ]


def _shown_figure(result: ResultData) -> dict[str, str] | None:
    """A few examples of the data, where the result holds some."""
    from perceptory import figures as plots

    shown = result.data.examples
    if shown is None or shown.inputs is None:
        return None
    images = shown.kind == "image"
    labels = ", each with its class" if images and result.classes else ", each with its target" if images else ""
    every = " The last rows show the targets." if shown.targets is not None else ""
    words = f"A few of the images{labels}." if images else f"A few of the series, one row per input.{every}"
    return _figure("examples", words, words, lambda: plots.few_examples(result))


def _ranking_rows(result: ResultData) -> list[dict[str, Any]]:
    return [
        {
            "place": place,
            "label": c.label,
            "chosen": c.id == result.best,
            "status": c.status,
            "cells": [
                *(number(v) for v in (c.mean, c.spread, c.train)),
                f"{c.best_epoch:.0f}" if math.isfinite(c.mean) else "n/a",
                str(c.weights),
                duration(c.seconds),
            ],
        }
        for place, c in enumerate(result.candidates, start=1)
    ]


def in_a_report(setting: Setting) -> str:
    """A setting in words for readers who came by either door: the task "regression", the window."""
    return f"the {setting.name}" if setting.value is UNSET else f'the {setting.name} "{setting.value}"'


@lru_cache(maxsize=1)
def _template() -> Template:
    from jinja2 import Environment

    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8"))


def render(result: ResultData) -> str:
    """The report as one HTML text, figures inside. It loads nothing from elsewhere and runs no script."""
    folder = result.folder or "RUN_FOLDER"
    chosen = result.candidate(result.best)
    undrawn = len(result.targets) - TARGETS_DRAWN if result.task == "regression" else 0
    return _template().render(
        title=f"perceptory: {', '.join(result.targets[:TARGETS_OPEN])}",
        headline=headline(result),
        tiles=_tiles(result),
        notes=advice(result),
        data_notes=[note.said(in_a_report) for note in result.data.notes],
        result=result,
        task=task_words(result),
        chosen=chosen,
        chosen_spec=spec_words(codes.own_spec(result, chosen.spec)),
        evidence=evidence_words(result),
        mixture=mixture_words(result),
        nested=nested_words(result),
        discarded=discarded_words(result),
        auxiliary=auxiliary_words(result),
        asked=request_lines(result),
        columns=result.data.columns,
        columns_open=COLUMNS_OPEN,
        thing=thing(result),
        shown=_shown_figure(result),
        shape_words=shape_words(result),
        ranking=_ranking_rows(result),
        rows_open=ROWS_OPEN,
        score=metric_name(result.score["name"]),
        better=better(result.score),
        figures=_study_figures(result),
        learned=[*_width_figures(result), *more_figures(result, _figure)],
        groups=_prediction_figures(result),
        undrawn=undrawn if undrawn > 0 else 0,
        metrics=metric_rows(result),
        unlabeled=result.task == AUTOENCODE,
        lost=codes.lost_rows(result) if result.task == AUTOENCODE else [],
        shown_rows=codes.shown_rows(result),
        sampled=codes.sampled_rows(result),
        naive=naive(result) if result.tested is not None else None,
        number=number,
        sealed=sealed_words(result),
        environment=[(str(k).replace("_", " "), _plain(v)) for k, v in result.environment.items()],
        commands=_commands(result, shlex.quote(folder)),
        new_words=new_data(result)[1],
        python=_python(result, folder),
    )


def _commands(result: ResultData, folder: str) -> list[tuple[str, str]]:
    """(what for, command) of what the model does in a terminal."""
    new = new_data(result)[0]
    if result.task == AUTOENCODE:
        return codes.use_words(result, folder, new)
    return [("In a terminal", f"perceptory predict {folder} {new}")]


def _python(result: ResultData, folder: str) -> str:
    first = f"from perceptory import Model\n\nmodel = Model.load({str(Path(folder, 'model.safetensors'))!r})\n"
    if result.task == AUTOENCODE:
        return f"{first}model.encode(data)\nmodel.reconstruct(data)\nmodel.anomaly_score(data).p_value"
    return f"{first}model.predict(table)" + ("" if result.task == "regression" else "\nmodel.predict_proba(table)")


def write_report(result: ResultData, path: str | os.PathLike[str]) -> Path:
    """Write the report to a file: first to a temporary name beside it, then renamed, so that no half report is left."""
    path = Path(path)
    text = render(result)
    if not path.parent.is_dir():
        raise InputError(f"the folder {str(path.parent)!r} for the report does not exist. Create it first.")
    write_bytes(path, text.encode(errors="replace"))
    return path
