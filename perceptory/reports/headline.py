"""What came out, in one sentence and a few numbers."""

from __future__ import annotations

from typing import Any

from perceptory.reports import codes
from perceptory.reports.advice import as_list, naive
from perceptory.results.codes import AUTOENCODE
from perceptory.results.horizons import horizons_of, over_horizons
from perceptory.results.result_data import ResultData
from perceptory.results.wording import thing
from perceptory.wording import count_of, duration, metric_name, number

TARGETS_NAMED = 3


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
    some, rest = result.targets[:TARGETS_NAMED], len(errors) - TARGETS_NAMED
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
        means = ", ".join(number(v) for v in plain["rmse"][:TARGETS_NAMED]) + (", …" if rest > 0 else "")
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


def tiles(result: ResultData) -> list[tuple[str, str]]:
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
