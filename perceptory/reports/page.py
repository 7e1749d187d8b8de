"""The report: one HTML file that opens offline and reads well on a screen, a phone and paper."""

from __future__ import annotations

import math
import os
import shlex
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perceptory.errors import InputError
from perceptory.models.model_file import write_bytes
from perceptory.reports import codes
from perceptory.reports.advice import advice, naive
from perceptory.reports.drawn import (
    TARGETS_DRAWN,
    figure,
    importance_figures,
    in_a_report,
    prediction_figures,
    shown_figure,
    study_figures,
    width_figures,
)
from perceptory.reports.examples import new_data, shape_words
from perceptory.reports.headline import TARGETS_NAMED, headline, tiles
from perceptory.reports.insight import more_figures
from perceptory.reports.procedure import discarded_words, mixture_words, nested_words
from perceptory.reports.request import request_lines, spec_words, task_words
from perceptory.reports.summary import evidence_words, metric_rows, sealed_words
from perceptory.results.auxiliary import auxiliary_words
from perceptory.results.codes import AUTOENCODE
from perceptory.results.horizons import horizons_of, over_horizons
from perceptory.results.result_data import ResultData
from perceptory.results.wording import share_of, thing
from perceptory.wording import better, duration, metric_name, number

if TYPE_CHECKING:
    from jinja2 import Template

TEMPLATE = Path(__file__).parent / "templates" / "report.html"
ROWS_OPEN = 30  # of the ranking, before the rest is folded
COLUMNS_OPEN = 40  # of the data summary, before it is folded


def _naive(result: ResultData) -> dict[str, Any] | None:
    """What predicting without a network gives, of one target at several horizons one number."""
    found = naive(result) if result.tested is not None else None
    if found and "rmse" in found and horizons_of(result.targets):
        found |= {"rmse": [over_horizons({"rmse": found["rmse"]})["rmse"]]}
    return found


def _plain(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    if isinstance(value, dict):
        return ", ".join(f"{k} {_plain(v)}" for k, v in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(_plain(v) for v in value)
    return number(value) if isinstance(value, float) else str(value)


def _ranking_rows(result: ResultData) -> list[dict[str, Any]]:
    several = len(result.shares) > 1
    return [
        {
            "place": place,
            "label": c.label,
            "chosen": c.id in result.shares and not several,
            "share": share_of(result, c.id) if several else "",
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


@lru_cache(maxsize=1)
def _template() -> Template:
    from jinja2 import Environment

    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8"))


def render(result: ResultData) -> str:
    """The report as one HTML text, figures inside. It loads nothing from elsewhere and runs no script."""
    folder = result.folder or "RUN_FOLDER"
    alone = result.candidate(next(iter(result.shares))) if len(result.shares) == 1 else None
    undrawn = len(result.targets) - TARGETS_DRAWN if result.task == "regression" else 0
    return _template().render(
        title=f"perceptory: {', '.join(result.targets[:TARGETS_NAMED])}",
        headline=headline(result),
        tiles=tiles(result),
        notes=advice(result),
        data_notes=[note.said(in_a_report) for note in result.data.notes],
        result=result,
        task=task_words(result),
        label=result.label,
        rule=result.rule if result.mixture is None else "",
        chosen_spec=spec_words(codes.own_spec(result, alone.spec)) if alone else "",
        evidence=evidence_words(result),
        mixture=mixture_words(result),
        nested=nested_words(result),
        discarded=discarded_words(result),
        auxiliary=auxiliary_words(result),
        asked=request_lines(result),
        columns=result.data.columns,
        columns_open=COLUMNS_OPEN,
        thing=thing(result),
        shown=shown_figure(result),
        shape_words=shape_words(result),
        ranking=_ranking_rows(result),
        rows_open=ROWS_OPEN,
        score=metric_name(result.score["name"]),
        better=better(result.score),
        figures=study_figures(result),
        learned=[*width_figures(result), *more_figures(result, figure)],
        groups=prediction_figures(result),
        importance=importance_figures(result),
        importance_remarks=[] if result.importance is None else result.importance.remarks(),
        undrawn=undrawn if undrawn > 0 else 0,
        metrics=metric_rows(result),
        unlabeled=result.task == AUTOENCODE,
        lost=codes.lost_rows(result) if result.task == AUTOENCODE else [],
        shown_rows=codes.shown_rows(result),
        sampled=codes.sampled_rows(result),
        naive=_naive(result),
        by_target=len(result.targets) > 1 and horizons_of(result.targets) is None,
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
    return [("In a terminal", f"perceptory predict {folder} {new}" + (" --proba" if result.classes else ""))]


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
