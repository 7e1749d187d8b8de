"""`perceptory predict` and `perceptory report`: what is done with a finished run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from perceptory.app.door import command_line
from perceptory.app.new_data import read_new
from perceptory.app.output import write_frames
from perceptory.app.unlabeled import check_out, frame, say_notes, scores, warnings_as_notes
from perceptory.data.tables.table import label
from perceptory.errors import InputError
from perceptory.notes import Note, too_few_for_intervals


def predict(
    run: str,
    data: str,
    out: str | None,
    proba: bool,
    members: bool,
    coverage: float | None = None,
    formulas: bool = False,
) -> None:
    """Write predictions to a file, CSV or Parquet, or as CSV to standard output, a large table's piece by piece; notes
    go to standard error. coverage: of intervals, None for none. formulas: as of `write_frames`."""
    from perceptory.data.ahead import ahead
    from perceptory.models.intervals import check_coverage
    from perceptory.models.model import Model

    check_out(out, data, run)
    model = Model.load(run)
    if proba and model.classes is None:
        what = "gives back its inputs" if model.task == "autoencode" else "predicts numbers"
        raise InputError(f"--proba needs a model of classes, and this one {what}. Leave it out.")
    if coverage is not None:
        check_coverage(model, coverage)
    notes: list[Note] = []

    def predicted() -> Iterator[Any]:
        for new in ahead(read_new(model, data)):
            if model.task == "autoencode":
                notes.extend(new.notes)
                yield frame(scores(model, new, members))
                continue
            learned = new.distributions(model)
            more = [] if coverage is None else ends(model, new, learned, coverage)
            if new.lines is not None:
                learned = learned[:, *new.lines]
            networks = model.cost.point_prediction(learned)
            notes.extend(new.notes)
            yield frame([*columns(model, new.names, networks, proba, members), *beside(model, learned), *more])

    with warnings_as_notes():
        write_frames(out, ahead(predicted()), formulas=formulas)
    say_notes(notes)


def given(data: str | None, only_ahead: dict[str, bool]) -> str:
    """The file of a plain prediction, which needs one."""
    if data is None:
        raise InputError("predict needs the data to predict, or --ahead for the future of a run's own series.")
    for option, asked in only_ahead.items():
        if asked:
            raise InputError(f"{option} is for --ahead. Leave it out.")
    return data


def forecast(
    run: str,
    data: str | None,
    out: str | None,
    coverage: float | None,
    origins: int | None,
    *,
    future: str | None = None,
    refused: dict[str, bool],
    formulas: bool,
) -> None:
    """Write the future of series, from the end of DATA on or of what the run was given. future: a file of the rows
    after the end, with what is known ahead. refused: options that do not go with it. formulas: as of `write_frames`."""
    from perceptory.models.horizon_intervals import knows_intervals
    from perceptory.models.model import Model

    for option, asked in refused.items():
        if asked:
            raise InputError(f"{option} does not go with --ahead. Leave it out.")
    for path in (data, future):
        if path is not None:
            if not Path(path).is_file():
                raise InputError(f"there is no file {path!r}.")
            check_out(out, path, run)
    if origins is not None and data is None:
        raise InputError("--origins needs the series, to tell what came. Name their file after the run.")
    model = Model.load(run)
    with warnings_as_notes():
        ahead = model.forecast(data, coverage=coverage, origins=1 if origins is None else origins, future=future)
    write_frames(out, iter([frame(ahead.columns())]), formulas=formulas)
    if coverage is None and ahead.lower is None and ahead.quantiles is None and knows_intervals(model):
        say_notes([too_few_for_intervals()])


def backtest(run: str, data: str, origins: int, every: int | None, coverage: float | None, out: str | None) -> None:
    """Print the scores of forecasts from several moments of the past; out: a file for these forecasts."""
    from perceptory.models.model import Model

    if not Path(data).is_file():
        raise InputError(f"there is no file {data!r}.")
    check_out(out, data, run)
    with warnings_as_notes():
        back = Model.load(run).backtest(data, origins=origins, every=every, coverage=coverage)
    if out is not None:
        write_frames(out, iter([frame(back.forecast.columns())]))
    for line in back.lines():
        print(line.rstrip())


def columns(
    model: Any, lines: list[tuple[str, Any]], networks: np.ndarray, proba: bool, members: bool
) -> list[tuple[str, Any]]:
    """(name, values) of what is predicted: `lines`, prediction, probabilities, and each network's own of both.

    lines: (name, values) of what each line stands for, such as its row. networks: [member, row, out] numbers or
    [member, row, class] probabilities.
    """
    from perceptory.models.averages import mean_of
    from perceptory.runs.contents import prediction_columns

    names = None if model.classes is None else [label(c) for c in model.classes]
    targets, outputs = prediction_columns(
        SimpleNamespace(task=model.task, targets=model.targets, classes=names)  # type: ignore[arg-type]
    )
    named_values = [*lines]
    parts = [("", mean_of(model, networks))]
    if members:
        parts += [(f" (network {k})", one) for k, one in enumerate(networks, start=1)]
    for ending, values in parts:
        if names is not None:
            predicted = np.asarray(names, dtype=object)[values.argmax(axis=1)]
            named_values.append((f"predicted {targets[0]}{ending}", predicted.tolist()))
        if names is None or proba:
            named_values += [(f"{name}{ending}", values[:, i]) for i, name in enumerate(outputs)]
    return named_values


def ends(model: Any, new: Any, learned: np.ndarray, coverage: float) -> list[tuple[str, Any]]:
    """(name, values) of both ends of each target's interval, and of its deviation where `beside` does not give it."""
    from perceptory.models.distribution import knows_deviation
    from perceptory.models.intervals import deviation_of, interval_of

    each = model.cost.point_prediction(learned)
    interval = interval_of(model, new.array, each, coverage).reshape(*each.shape[1:], 2)
    deviation = deviation_of(model, new.array, each)
    if new.lines is not None:
        interval, deviation = interval[*new.lines], deviation[*new.lines]
    found = []
    for k, target in enumerate(model.targets):
        found += [(f"lower end of {target}", interval[:, k, 0]), (f"upper end of {target}", interval[:, k, 1])]
        if not knows_deviation(model.cost):
            found.append((f"deviation of {target}", deviation[:, k]))
    return found


def beside(model: Any, learned: np.ndarray) -> list[tuple[str, Any]]:
    """(name, values) of quantiles and deviations, where the model's cost learned them; learned: [member, row, ...]."""
    from perceptory.models.distribution import deviation, quantiles
    from perceptory.objectives.table import GaussianLikelihood, Quantile

    targets = list(enumerate(model.targets))
    if isinstance(model.cost, Quantile):
        by_level = quantiles(model.cost, learned, shares=model.shares)
        levels = list(enumerate(by_level.levels))
        return [(f"quantile {level:g} of {t}", by_level.values[:, i, j]) for i, t in targets for j, level in levels]
    if isinstance(model.cost, GaussianLikelihood):
        return [(f"deviation of {t}", deviation(model.cost, learned, model.shares)[:, i]) for i, t in targets]
    return []


def report(run: str, out: str | None) -> None:
    """Draw the report of a run again and print its summary."""
    from rich.console import Console

    from perceptory.reports.page import write_report
    from perceptory.reports.summary import print_summary
    from perceptory.runs.result import load_result

    result = load_result(run)
    path = Path(out) if out is not None else Path(run) / "report.html"
    if path.is_dir():
        raise InputError(f"--out needs a file, and {path} is a folder. Example: --out {path}/report.html")
    path = write_report(result, path)
    print_summary(result, Console(), command_line)
    print(f"\nReport   {path}")
