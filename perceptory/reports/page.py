"""The report: one HTML file that opens offline and reads well on a screen, a phone and paper."""

from __future__ import annotations

import math
import os
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perceptory.errors import InputError
from perceptory.models.model_file import write_bytes
from perceptory.reports.examples import shape_words
from perceptory.reports.insight import more_figures
from perceptory.reports.summary import advice, as_list, evidence_words, metric_rows, naive, sealed_words
from perceptory.results.wording import judged, thing
from perceptory.wording import better, count_of, duration, metric_name, number

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from perceptory.results.result import Result

TEMPLATE = Path(__file__).parent / "templates" / "report.html"
ROWS_OPEN = 30  # of the ranking, before the rest is folded
COLUMNS_OPEN = 40  # of the data summary, before it is folded
TARGETS_OPEN = 3  # whose figures are shown, before the rest is folded
TARGETS_DRAWN = 12


def spec_words(value: Any) -> str:
    """JSON data of a spec as a person would write it: MLP(hidden=(32, 32), activation='tanh')."""
    if isinstance(value, dict):
        if set(value) == {"kind", "values"} and isinstance(value["values"], (list, tuple)):  # a search value
            return f"{value['kind']}({', '.join(spec_words(v) for v in value['values'])})"
        fields = [f"{k}={spec_words(v)}" for k, v in value.items() if k != "kind"]
        return f"{value.get('kind', '')}({', '.join(fields)})"
    if isinstance(value, (list, tuple)):
        return "(" + ", ".join(spec_words(v) for v in value) + ("," if len(value) == 1 else "") + ")"
    return repr(value)


def _asked(study: dict[str, Any]) -> list[tuple[str, list[tuple[str, bool]]]]:
    """(what, [(words, are they code)]) of the study; a list of specs has a line each."""
    rows = []
    for key, value in study.items():
        if key in ("kind", "format"):
            continue
        several = isinstance(value, (list, tuple)) and value and all(isinstance(v, dict) for v in value)
        lines = [
            spec_words(v) if isinstance(v, (dict, list, tuple)) else _plain(v) for v in (value if several else [value])
        ]
        rows.append((str(key).replace("_", " "), [(line, "(" in line) for line in lines]))
    return rows


def _plain(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    if isinstance(value, dict):
        return ", ".join(f"{k} {_plain(v)}" for k, v in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(_plain(v) for v in value)
    return number(value) if isinstance(value, float) else str(value)


def headline(result: Result) -> str:
    """What was learned, in one sentence: the test error in the target's units against predicting without a network."""
    chosen = result.candidate(result.best)
    opened = result.tested is not None
    metrics = result.tested if result.tested is not None else result.validation
    rows = int(result.data.get("test_rows" if opened else "study_rows", 0))
    where = (
        f"on {count_of(rows, f'sealed test {thing(result)}')}"
        if opened
        else f"in validation, on {count_of(rows, thing(result))}"
    )
    if result.predictions.step is not None:
        part = "test" if opened else "validation"
        steps = count_of(int((result.predictions.part == part).sum()), "step")
        where = where.replace("on ", f"on {steps} of ", 1)
    plain = naive(result)
    if result.task == "regression" and "rmse" in metrics:
        errors = as_list(metrics["rmse"])
        many = len(errors) > TARGETS_OPEN
        told = ", ".join(f"{t} {number(e)}" for t, e in zip(result.targets[:TARGETS_OPEN], errors, strict=False))
        told = f"{told} and {count_of(len(errors) - TARGETS_OPEN, 'more target')} below" if many else told
        what = result.targets[0] if len(errors) == 1 else f"{len(errors)} targets"
        size = f"of {number(errors[0])}" if len(errors) == 1 else f"({told})"
        sentence = f"{chosen.label} predicts {what} with a typical error (RMSE) {size} {where}"
        if plain and opened:
            means = ", ".join(number(v) for v in plain["rmse"][:TARGETS_OPEN]) + (", …" if many else "")
            sentence += f"; always saying the mean would err by {means}"
            if "last" in plain:
                sentence += f", saying the last known value again by {number(plain['last'])}"
        return sentence + "."
    if "accuracy" in metrics:
        where = (
            f"of {count_of(rows, f'sealed test {thing(result)}')}"
            if opened
            else f"of {count_of(rows, thing(result))} in validation"
        )
        sentence = f"{chosen.label} names the right {result.targets[0]} for {_percent(metrics['accuracy'])} {where}"
        if plain and opened:
            sentence += f"; always saying {plain['class']!r} would be right for {_percent(plain['accuracy'])}"
        return sentence + "."
    return f"{chosen.label} was chosen: {metric_name(result.score['name'])} {number(chosen.mean)} in validation."


def _percent(share: Any) -> str:
    return f"{100 * float(share):.1f} %"


def _tiles(result: Result) -> list[tuple[str, str]]:
    """(number, what it is) of the few numbers that are looked for first."""
    part, metrics = ("test", result.tested) if result.tested is not None else ("validation", result.validation)
    wanted = ("rmse", "r2", "mae") if result.task == "regression" else ("accuracy", "log_loss", "auc")
    several = len(result.targets) > 1
    tiles = []
    for name in wanted:
        if name in metrics:
            values = as_list(metrics[name])
            shown = number(sum(values) / len(values))
            tiles.append((shown, f"{part} {metric_name(name)}" + (", mean of targets" if several else "")))
    tiles.append((str(len(result.candidates)), "candidates" if len(result.candidates) != 1 else "candidate"))
    tiles.append((str(len(result.members)), "networks trained" if len(result.members) != 1 else "network trained"))
    return [*tiles, (duration(result.seconds), "in all")]


def _figure(key: str, words: str, caption: str, draw: Callable[[], Figure]) -> dict[str, str]:
    """A drawn figure, or the sentence that says why there is none."""
    from markupsafe import Markup

    from perceptory.figures.svg import to_svg

    try:
        # Safe: the SVG was serialized from a tree, which escapes every name in it.
        return {"svg": Markup(to_svg(draw(), key, words)), "caption": caption, "key": key}
    except InputError as refusal:
        return {"svg": "", "caption": f"No figure here: {refusal}", "key": key}


def _study_figures(result: Result) -> dict[str, dict[str, str]]:
    from perceptory.figures import of_results as plots

    return {
        "ranking": _figure(
            "ranking",
            "Validation score of each candidate with error bars and training score",
            "Filled: mean validation score, with a bar of one standard deviation over folds and seeds. Ticks: folds. "
            f"Open circle: the score on the {thing(result)}s trained on; the farther it is from the filled mark, the "
            "more was learned by heart.",
            lambda: plots.ranking(result),
        ),
        "curves": _figure(
            "curves",
            f"Cost by epoch on training and validation {thing(result)}s",
            "Each thin line is one network; a dot stands at its best epoch, whose weights are kept. Thick lines are "
            "medians, drawn while at least half of the networks were training. The bar is the gap at the best epoch.",
            lambda: plots.learning_curves(result),
        ),
    }


def _prediction_figures(result: Result) -> list[dict[str, Any]]:
    """Groups of figures: one a target in regression, one in all in classification. Test rows where opened."""
    from perceptory.figures import examples as plots_examples
    from perceptory.figures import of_results as plots

    part = "test" if (result.predictions.part == "test").any() else "validation"
    one, some = judged(result), f"{part} {judged(result)}s"
    if result.task != "regression":
        figures = [
            _figure(
                "confusion",
                f"Confusion matrix of the {some}",
                f"{one.capitalize()}s by the class they are of and the class they were taken for; right ones on the "
                "diagonal.",
                lambda: plots.confusion_matrix(result, part),
            ),
            _figure(
                "roc",
                f"ROC curve of the {some}",
                f"How many {one}s of a class are found, and how many others are taken for it, as the threshold moves. "
                "The nearer to the upper left corner, the better.",
                lambda: plots.roc(result, part),
            ),
            _figure(
                "calibration",
                f"Reliability diagram of the {some}",
                f"Whether probabilities mean what they say: on the diagonal, of the {one}s given 80 %, 80 % came true. "
                f"Bars are 95 % intervals; below, how many {one}s were given which probability.",
                lambda: plots.calibration(result, part),
            ),
        ]
        return [{"title": "", "folded": False, "figures": figures}]
    groups = []
    for k, name in enumerate(result.targets[:TARGETS_DRAWN]):
        figures = [
            _figure(
                f"true{k}",
                f"Predicted against true {name}, {some}",
                f"Each mark is one {one}; on the dashed line the prediction is exact.",
                lambda k=k: plots.predicted_against_true(result, part, k),  # type: ignore[misc]
            ),
            _figure(
                f"residuals{k}",
                f"Residuals of {name}, {some}",
                "What the prediction misses. A pattern here is something that the inputs tell and the network has not "
                "learned; the histogram shows whether errors are normal (dashed).",
                lambda k=k: plots.residuals(result, part, k),  # type: ignore[misc]
            ),
        ]
        if plots_examples.runs_over_time(result):
            over_time = _figure(
                f"time{k}",
                f"Target and prediction of {name} over time, {some}",
                "Solid: the target; dashed: the prediction; below, what it misses. The longest stretch without a gap, "
                f"at most {plots_examples.STRETCH} points of it.",
                lambda k=k: plots.over_time(result, part, k),  # type: ignore[misc]
            )
            figures.insert(0, over_time)
        several = len(result.targets) > 1
        groups.append({"title": name if several else "", "folded": k >= TARGETS_OPEN, "figures": figures})
    return groups


def _shown_figure(result: Result) -> dict[str, str] | None:
    """A few examples of the data, where the result holds some."""
    from perceptory.figures import of_results as plots

    facts = result.data.get("examples") or {}
    if "inputs" not in facts:
        return None
    images = facts["kind"] == "image"
    asked = ", each with its class" if images and result.classes else ", each with its target" if images else ""
    every = " The last rows are the targets." if "targets" in facts else ""
    words = f"A few of the images{asked}." if images else f"A few of the series, an input a row.{every}"
    return _figure("examples", words, words, lambda: plots.examples(result))


def _ranking_rows(result: Result) -> list[dict[str, Any]]:
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


def render(result: Result) -> str:
    """The report as one HTML text, figures inside. It loads nothing from elsewhere and runs no script."""
    from jinja2 import Environment

    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    folder = result.folder or "RUN_FOLDER"
    chosen = result.candidate(result.best)
    undrawn = len(result.targets) - TARGETS_DRAWN if result.task == "regression" else 0
    return template.render(
        title=f"perceptory: {', '.join(result.targets[:TARGETS_OPEN])}",
        headline=headline(result),
        tiles=_tiles(result),
        notes=advice(result),
        result=result,
        task=result.task if result.task == "regression" else f"{result.task} classification",
        chosen=chosen,
        chosen_spec=spec_words(chosen.spec),
        evidence=evidence_words(result),
        asked=_asked(result.study),
        columns=result.data.get("columns", []),
        columns_open=COLUMNS_OPEN,
        thing=thing(result),
        shown=_shown_figure(result),
        shape_words=shape_words(result),
        ranking=_ranking_rows(result),
        rows_open=ROWS_OPEN,
        score=metric_name(result.score["name"]),
        better=better(result.score),
        figures=_study_figures(result),
        learned=more_figures(result, _figure),
        groups=_prediction_figures(result),
        undrawn=undrawn if undrawn > 0 else 0,
        metrics=metric_rows(result),
        naive=naive(result) if result.tested is not None else None,
        number=number,
        sealed=sealed_words(result),
        environment=[(str(k).replace("_", " "), _plain(v)) for k, v in result.environment.items()],
        command=f"perceptory predict {shlex.quote(folder)} {_new_data(result)[0]}",
        new_words=_new_data(result)[1],
        python=f"from perceptory import Model\n\nmodel = Model.load({str(Path(folder, 'model.safetensors'))!r})\n"
        "model.predict(table)" + ("" if result.task == "regression" else "\nmodel.predict_proba(table)"),
    )


def _new_data(result: Result) -> tuple[str, str]:
    """(what to give on the command line, what new data need)."""
    facts = result.data.get("examples") or {}
    if thing(result) == "row":
        return "new.csv", "New rows need the columns above, in any order."
    if facts.get("kind") == "image":
        return "pictures", "A folder of pictures, which are scaled to the size above, or a NumPy file of images."
    if facts.get("predict"):
        return "new.csv", "A table of series with the inputs above; it is cut as the one of the study was."
    return "new.npz", "Arrays of the shape above, in a NumPy file."


def write_report(result: Result, path: str | os.PathLike[str]) -> Path:
    """Write the report to a file: first to a temporary name beside it, then renamed, so that no half report is left."""
    path = Path(path)
    text = render(result)
    if not path.parent.is_dir():
        raise InputError(f"the folder {str(path.parent)!r} for the report does not exist. Create it first.")
    write_bytes(path, text.encode(errors="replace"))
    return path
