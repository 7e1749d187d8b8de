"""What a result of autoencoders is in words: what share of the variance a code keeps, and what PCA keeps."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from perceptory.results.codes import AUTOENCODE, by_width, code_width, errors_by_column, is_pca, lost, pca_beside
from perceptory.results.reconstructions import Reconstructions
from perceptory.results.result_data import ResultData
from perceptory.results.wording import thing
from perceptory.wording import count_of, number

CELLS = 12  # of a row that is shown beside what is given back, those with the largest errors
FILLED_IN = ("kinds", "widths", "channels")  # fields of the cost that follow from the data
AS_GOOD = 0.95  # of the error of PCA, from which on a network is not worth its weights


def kept(error: float) -> str:
    """'93.1 %' of the variance, from the share that is lost; below zero where the mean would be nearer."""
    return "n/a" if not math.isfinite(error) else f"{100 * (1 - error):.1f} %"


def kept_words(result: ResultData) -> str:
    """What the chosen code keeps, in validation and on the test rows, with PCA beside it."""
    chosen, pca = result.candidate(result.best), pca_beside(result)
    beside = "" if pca is None or is_pca(chosen) else f" (PCA of that width: {kept(pca.mean)})"
    tested = "" if result.tested is None else f"; {kept(lost(result.tested))} on the test {thing(result)}s"
    words = f"A code of {count_of(code_width(chosen), 'number')} keeps {kept(lost(result.validation))} of the variance"
    return f"{words} in validation{beside}{tested}"


def code_advice(result: ResultData) -> str:
    """Where a network gives back no more than principal components do."""
    chosen, pca = result.candidate(result.best), pca_beside(result)
    if is_pca(chosen):
        return (
            "Principal components were chosen: no network of that width gives back more, so the columns hang together "
            f"by straight lines, or the {thing(result)}s are too few to learn more than that."
        )
    if pca is not None and chosen.mean > AS_GOOD * pca.mean:
        return (
            f"PCA of the same width keeps {kept(pca.mean)} of the variance, the network {kept(chosen.mean)}: the "
            "simpler one does nearly as well."
        )
    return ""


def headline(result: ResultData) -> str:
    """What came out, in one sentence."""
    return f"{kept_words(result)}; {result.candidate(result.best).label} was chosen."


def own_spec(result: ResultData, spec: dict[str, Any]) -> dict[str, Any]:
    """A candidate's spec without what a study has filled in from its data."""
    cost = spec.get("cost")
    if result.task != AUTOENCODE or not isinstance(cost, dict):
        return spec
    return spec | {"cost": {k: v for k, v in cost.items() if k not in FILLED_IN}}


def learner(result: ResultData) -> str:
    """The candidate whose learning is drawn: the chosen one, or the best network where PCA was chosen."""
    networks = [c.id for c in result.candidates if not is_pca(c)]
    return networks[0] if networks and is_pca(result.candidate(result.best)) else result.best


def tiles(result: ResultData, part: str, metrics: dict[str, Any]) -> list[tuple[str, str]]:
    """(number, what it is): what is kept, what PCA keeps, the width."""
    chosen, pca = result.candidate(result.best), pca_beside(result)
    shown = [(kept(lost(metrics)), f"of the variance kept, {part}")]
    if pca is not None and not is_pca(chosen):
        shown.append((kept(pca.mean), "kept by PCA of that width, validation"))
    return [*shown, (str(code_width(chosen)), "numbers a code")]


def lost_rows(result: ResultData) -> list[tuple[str, list[str]]]:
    """(column, [training, validation, test] as printed) of what is lost of each, the worst first, and the mean."""
    rows = [(row.name, ["" if v is None else number(v) for v in row[1:]]) for row in errors_by_column(result)]
    means = [lost(part) for part in (result.train, result.validation, result.tested)]
    return [*rows, ("mean", [number(v) if math.isfinite(v) else "" for v in means])] if len(rows) > 1 else rows


# --- the page -----------------------------------------------------------------------------------------------------

Figure = dict[str, str]


def width_figures(result: ResultData, figure: Callable[..., Figure]) -> list[Figure]:
    """Where widths were compared, what each of them loses; figure(key, words, caption, draw) makes one."""
    from perceptory import figures as plots

    if len(by_width(result)) < 2:
        return []
    return [
        figure(
            "widths",
            "Share of the variance that is lost over the width of the code, with PCA beside it",
            "The wider the code, the less is lost, down to nothing where it is as wide as the data. Where networks lie "
            "below the dashed line, the columns hang together by more than straight lines.",
            lambda: plots.code_curve(result),
        )
    ]


def groups_of_figures(result: ResultData, figure: Callable[..., Figure]) -> list[dict[str, Any]]:
    """Groups of figures: errors, codes, examples given back, samples."""
    from perceptory import figures as plots

    one, several = thing(result), "columns" if thing(result) == "row" else "channels"
    errors = [
        figure(
            "columns",
            f"Share of the variance of each of the {several} that is lost",
            f"At 1 a column's mean would do as well. What the {several} with small errors hold is in the code, what "
            "those with large errors hold is not.",
            lambda: plots.errors_by_column(result),
        ),
        figure(
            "scores",
            f"Distribution of the scores of {one}s that were trained on, held out and tested",
            f"A network gives {one}s that it was trained on back better than others. New {one}s are compared with the "
            "solid line, of held-out ones: their p-value is the share of these with at least their score.",
            lambda: plots.anomaly_scores(result),
        ),
    ]
    errors = errors if len(result.targets) > 1 else errors[1:]
    held = result.reconstructions
    maps = [] if held is None else [_map(result, held, name, figure) for name in _map_colors(result, held)]
    pictures = [] if held is None or held.inputs is None else [_back(result, figure)]
    if held is not None and held.samples is not None:
        pictures.append(_sampled(result, figure))
    groups = [("", errors), ("Codes", maps), (f"Held-out {one}s beside what is given back", pictures)]
    return [{"title": title, "folded": False, "figures": figures} for title, figures in groups if figures]


def _map_colors(result: ResultData, held: Reconstructions) -> list[str | None]:
    """By what the codes are colored: the labels that were given, and the two columns of which most is kept."""
    kept = sorted((m for m in held.colors if m in result.targets), key=lambda m: _loss(result, m))
    names = [*([held.color] if held.color else []), *kept[: 1 if held.color else 2]]
    return [*names] or [""]


def _loss(result: ResultData, name: str) -> float:
    errors = result.validation.get("reconstruction_error")
    values = errors if isinstance(errors, list) else [errors]
    value = values[result.targets.index(name)] if len(values) == len(result.targets) else math.nan
    return value if isinstance(value, float) and math.isfinite(value) else math.inf


def _map(result: ResultData, held: Reconstructions, name: str | None, figure: Callable[..., Figure]) -> Figure:
    from perceptory import figures as plots

    label = "not learned, only drawn" if name == held.color else "given back among the others"
    words = f"Codes on their principal axes, colored by {name} ({label})." if name else "Codes on their principal axes."
    key = "codes" if name == held.color or not name else f"codes-{list(held.colors).index(name)}"
    return figure(key, words, words, lambda: plots.code_map(result, name))


def _back(result: ResultData, figure: Callable[..., Figure]) -> Figure:
    from perceptory import figures as plots

    return figure(
        "back",
        "The best and the worst held-out examples beside what is given back of them",
        "Each is given back by a network that did not train on it, with its mean error. The worst are what is most "
        "unlike the rest.",
        lambda: plots.reconstructed(result),
    )


def _sampled(result: ResultData, figure: Callable[..., Figure]) -> Figure:
    from perceptory import figures as plots

    words = "New examples, decoded from codes drawn from the standard normal distribution."
    return figure("samples", words, words, lambda: plots.samples(result))


def shown_rows(result: ResultData) -> list[dict[str, Any]]:
    """Of a table the best and worst held-out rows: the cells of the largest errors beside what is given back."""
    held = result.reconstructions
    if held is None or not held.cells:
        return []
    half, rows = len(held.row) // 2, []
    for k in [*range(len(held.row) - 1, half - 1, -1), *range(half)]:
        errors = [float(e) for e in held.errors[k]]
        order = sorted(range(len(errors)), key=lambda c: -errors[c] if math.isfinite(errors[c]) else math.inf)
        cells = [
            (
                held.columns[c],
                held.cells[k][c],
                held.given_back[k][c],
                number(errors[c]) if math.isfinite(errors[c]) else "",
            )
            for c in order[:CELLS]
        ]
        rows.append(
            {
                "title": f"{'Worst' if k >= half else 'Best'}: row {held.row[k]}, error {number(float(held.error[k]))}",
                "cells": cells,
                "more": len(errors) - len(cells),
            }
        )
    return rows


def sampled_rows(result: ResultData) -> tuple[list[str], list[tuple[str, ...]]]:
    """Names of columns and the rows of a table that were drawn from a variational model."""
    held = result.reconstructions
    return ([], []) if held is None or not held.sampled else (list(held.columns), list(held.sampled))


def use_words(result: ResultData, folder: str, new: str) -> list[tuple[str, str]]:
    """(what for, command) of everything that a model without a target does."""
    one = thing(result)
    uses = [
        (f"Scores, p-values and what is given back of new {one}s", f"perceptory predict {folder} {new}"),
        ("Their codes", f"perceptory encode {folder} {new} --out codes.csv"),
    ]
    if result.candidate(result.best).spec.get("network", {}).get("variational"):
        uses.append((f"New {one}s like those of the study", f"perceptory sample {folder} -n 100"))
    return uses
