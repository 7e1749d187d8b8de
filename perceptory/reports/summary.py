"""The summary for a terminal, and the numbers as they are printed everywhere."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import numpy as np

from perceptory.errors import Door, python_words
from perceptory.notes import Note
from perceptory.reports.advice import advice
from perceptory.reports.codes import kept_words
from perceptory.reports.procedure import discarded_words, mixture_words, nested_words
from perceptory.results.auxiliary import auxiliary_words
from perceptory.results.codes import AUTOENCODE, errors_by_column, lost
from perceptory.results.horizons import horizon_words, horizons_of, over_horizons
from perceptory.results.result_data import ResultData
from perceptory.results.wording import share_of, thing
from perceptory.wording import count_of, metric_name, number, one_line, printable, score_axis

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

TOP = 10  # candidates in the summary
WORST = 10  # columns in it, of autoencoders


def evidence_words(result: ResultData) -> str:
    """What Bayesian regularization found of the chosen candidate, its networks' mean; "" without."""
    facts = [m.facts for m in result.members if m.candidate == result.best and "effective_weights" in m.facts]
    if not facts:
        return ""
    weights, alpha, beta = (number(np.mean([f[k] for f in facts])) for k in ("effective_weights", "alpha", "beta"))
    of = result.candidate(result.best).weights
    return f"Effective weights {weights} of {of} (alpha {alpha}, beta {beta}; mean of {count_of(len(facts), 'run')})"


def metric_rows(result: ResultData) -> list[tuple[str, str, list[str]]]:
    """(metric, target or '', [train, validation, test]) as printed; for several targets a row each, of one target at
    several horizons their mean."""
    parts = [result.train, result.validation, result.tested or {}]
    if horizons_of(result.targets):
        parts = [over_horizons(part) for part in parts]
    names = list(dict.fromkeys(name for part in parts for name in part))
    rows = []
    for name in names:
        values = [part.get(name) for part in parts]
        length = max((len(v) for v in values if isinstance(v, (list, tuple, np.ndarray))), default=0)
        for k in range(length or 1):
            cells = []
            for v in values:
                one = v[k] if isinstance(v, (list, tuple, np.ndarray)) else v
                cells.append("" if one is None else number(float(one)))
            # A metric that is a number for the whole of several targets stands without a target.
            target = result.targets[k] if length > 1 and k < len(result.targets) else ""
            rows.append((metric_name(name), target, cells))
    return rows


def _parts(result: ResultData, door: Door, said: Collection[Note]) -> list[RenderableType]:
    """The summary piece by piece. Names go in as Text: a column called '[red]' is no markup."""
    from rich.table import Table
    from rich.text import Text

    chosen = result.candidate(next(iter(result.shares)))
    weights = count_of(chosen.weights, "weight") if chosen.weights else "nothing in it is learned"
    size = f"  ({weights})" if len(result.shares) == 1 else ""
    head = Text.assemble(("Chosen  ", "bold"), (result.label, "bold green"), size)
    rule = result.rule if result.mixture is None else mixture_words(result)
    found = (
        rule,
        discarded_words(result),
        nested_words(result),
        evidence_words(result),
        auxiliary_words(result),
        _kept(result),
    )
    words = [word for word in found if word]
    parts: list[RenderableType] = [head, Text("".join(f"{word}\n" for word in words), style="dim")]
    parts += _ranking(result)
    parts.append(_columns_lost(result) if result.task == AUTOENCODE else _metrics(result))
    if most := importance_words(result):
        parts.append(Text(most + "\n"))
    if by_step := horizon_words(result):
        parts.append(Text(by_step + "\n"))
    if result.tested is None:
        parts.append(Text(sealed_words(result), style="dim"))
    notes = advice(result) + [note.said(door) for note in result.data.notes if note not in said]
    if notes:
        parts.append(Text("Notes", style="bold"))
        listed = Table.grid(padding=(0, 1))
        for note in notes:
            listed.add_row("-", Text(one_line(note)))
        parts.append(listed)
    return parts


def _ranking(result: ResultData) -> list[RenderableType]:
    """The best candidates and all that have a share in the final model."""
    from rich.text import Text

    several = len(result.shares) > 1
    table = _table(f"Candidates by validation {score_axis(result.score)}")
    table.add_column("", justify="right")
    table.add_column("candidate", overflow="fold", ratio=1)
    for column in (*(["share"] if several else []), "mean", "spread", "training", "epoch"):
        table.add_column(column, justify="right", no_wrap=True)
    shown = [(k, c) for k, c in enumerate(result.candidates, start=1) if k <= TOP or c.id in result.shares]
    for place, c in shown:
        label = Text(c.label) if c.status == "ok" else Text.assemble(c.label, (f" ({c.status})", "yellow"))
        epoch = f"{c.best_epoch:.0f}" if math.isfinite(c.best_epoch) else "n/a"
        share = [share_of(result, c.id)] if several else []
        mark = "*" if c.id in result.shares and not several else str(place)
        cells = [*share, number(c.mean), number(c.spread), number(c.train), epoch]
        table.add_row(mark, label, *cells, style="bold" if mark == "*" else "")
    rest = len(result.candidates) - len(shown)
    return [table, *([Text(f"  and {count_of(rest, 'more candidate')}\n", style="dim")] if rest else [])]


def _kept(result: ResultData) -> str:
    return kept_words(result) if result.task == AUTOENCODE else ""


def _metrics(result: ResultData) -> Table:
    """Every metric of the chosen candidate, a row each, or a row a target."""
    from rich.text import Text

    several = any(target for _, target, _ in metric_rows(result))
    ahead = horizons_of(result.targets)
    goal = f"{ahead[0]}, mean over {count_of(len(ahead[1]), 'horizon')}" if ahead else ", ".join(result.targets)
    of = "" if several else f" for {printable(goal)}"
    metrics = _table(Text(f"Metrics{of}"))
    metrics.add_column("", no_wrap=True)
    if several:
        metrics.add_column("target", overflow="fold")
    for column in ("training", "validation", "test"):
        metrics.add_column(column, justify="right", no_wrap=True)
    for metric, target, cells in metric_rows(result):
        metrics.add_row(metric, *([Text(printable(target))] if several else []), *(cell or "-" for cell in cells))
    return metrics


def importance_words(result: ResultData) -> str:
    """The columns that the final model rests on most, in one line; "" where that is not known or none is told from
    0."""
    found = result.importance
    most = "" if found is None else found.most()
    if found is None or not most:
        return ""
    return f"Columns that matter most, by the rise of the {metric_name(found.score)} when shuffled: {printable(most)}"


def _columns_lost(result: ResultData) -> Table:
    """What is lost of the variance of each column, the worst columns first."""
    from rich.text import Text

    rows = errors_by_column(result)
    more = f" (worst {WORST} of {len(rows)})" if len(rows) > WORST else ""
    table = _table(f"Share of the variance lost{more}")
    table.add_column("", overflow="fold")
    for part in ("training", "validation", "test"):
        table.add_column(part, justify="right", no_wrap=True)
    for row in rows[:WORST]:
        cells = ["-" if v is None else number(v) for v in row[1:]]
        table.add_row(Text(printable(row.name)), *cells)
    means = [
        number(v) if math.isfinite(v) else "-" for v in map(lost, (result.train, result.validation, result.tested))
    ]
    if len(rows) > 1:
        table.add_row("mean of all" if more else "mean", *means, style="bold")
    return table


def _table(title: Any) -> Any:
    from rich import box
    from rich.table import Table

    return Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)


def sealed_words(result: ResultData) -> str:
    """Why there are no test numbers."""
    rows = result.data.test_rows
    if rows:
        sealed = count_of(rows, f"sealed test {thing(result)}")
        return f"The {sealed} have not been opened: result.test() reads them, once."
    return f"No test {thing(result)}s were sealed, so there are no test numbers."


def print_summary(
    result: ResultData, console: Console | None = None, door: Door = python_words, said: Collection[Note] = ()
) -> None:
    """Print the chosen candidate, the ranking, the metrics and the notes; fits 80 columns.

    door: whose words it uses for settings. said: notes on the data that have been told before.
    """
    from rich.console import Console

    console = console or Console()
    for part in _parts(result, door, said):
        console.print(part, highlight=False)


def summary(result: ResultData) -> str:
    """What `print_summary` prints, as plain text of at most 80 columns."""
    import io

    from rich.console import Console

    # A file of its own, without color or terminal: the same text everywhere.
    plain = Console(file=io.StringIO(), width=80, color_system=None, force_terminal=False, legacy_windows=False)
    print_summary(result, plain)
    return "\n".join(line.rstrip() for line in plain.file.getvalue().splitlines()) + "\n"  # type: ignore[attr-defined]
