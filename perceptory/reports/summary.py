"""A result in words: numbers as they are printed everywhere, the summary for a terminal, advice in plain words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from perceptory.errors import Door, python_words
from perceptory.notes import classes_only_tested
from perceptory.reports.codes import code_advice, kept_words
from perceptory.reports.procedure import discarded_words, mixture_words, nested_words
from perceptory.results.auxiliary import auxiliary_words
from perceptory.results.codes import AUTOENCODE, errors_by_column, lost
from perceptory.results.horizons import horizon_words, horizons_of, over_horizons
from perceptory.results.result_data import CandidateResult, MemberResult, ResultData
from perceptory.results.wording import judged, thing
from perceptory.wording import count_of, metric_name, number, one_line, printable, score_axis

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

TOP = 10  # candidates in the summary
WORST = 10  # columns in it, of autoencoders
_LARGE = {"r2": 0.15, "vaf": 15.0, "accuracy": 0.08, "auc": 0.08}  # gaps of scores that have an upper end
_RATIO = {
    "mse": 2.0,
    "rmse": 1.5,
    "mae": 1.5,
    "smape": 1.5,
    "mase": 1.5,
    "owa": 1.5,
    "log_loss": 1.6,
}  # validation / training of costs


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


def naive(result: ResultData) -> dict[str, Any] | None:
    """What predicting without a network gives on the test rows: the study rows' mean, or their most frequent class.

    {"rmse": [out]}, of a forecast also {"last": RMSE of predicting the last known value}, or {"accuracy": number,
    "class": name}; None where either part has no rows.
    """
    if result.task == AUTOENCODE:
        return None
    part, target = np.asarray(result.predictions.part), np.asarray(result.predictions.target)
    known, test = target[part == "validation"], target[part == "test"]
    if not len(known) or not len(test):
        return None
    if result.task == "regression":
        known, test = known.reshape(len(known), -1), test.reshape(len(test), -1)
        errors = {"rmse": np.sqrt(np.mean((test - known.mean(axis=0)) ** 2, axis=0)).tolist()}
        last = _last_value(result)
        return errors if last is None else errors | {"last": last}
    known, test = known.reshape(-1).astype(int), test.reshape(-1).astype(int)
    most = int(np.bincount(known).argmax())
    return {"accuracy": float(np.mean(test == most)), "class": result.classes[most] if result.classes else str(most)}


def _last_value(result: ResultData) -> float | None:
    """RMSE on the test rows of a forecast that says the last known value again; None where that is not known."""
    shown, p = result.data.examples, result.predictions
    horizon = None if shown is None else shown.horizon
    if horizon is None or len(result.targets) != 1:
        return None
    value = dict(zip(np.asarray(p.row).tolist(), np.asarray(p.target, float).reshape(-1).tolist(), strict=True))
    pairs = [(value[row], value.get(row - horizon)) for row in np.asarray(p.row)[np.asarray(p.part) == "test"].tolist()]
    errors = [truth - last for truth, last in pairs if last is not None]
    return float(np.sqrt(np.mean(np.square(errors)))) if 2 * len(errors) >= len(pairs) > 0 else None


def as_list(value: Any) -> list[float]:
    """A metric as a list of one number a target."""
    return [float(v) for v in value] if isinstance(value, (list, tuple, np.ndarray)) else [float(value)]


# --- advice ------------------------------------------------------------------------------------------------------


def advice(result: ResultData) -> list[str]:
    """Notes and warnings in plain words, the gravest first; empty where there is nothing to say."""
    chosen = result.candidate(result.best)
    members = [m for m in result.members if m.candidate == chosen.id]
    notes = [_diverged(result, chosen), _useless(result), _gap(result, chosen), _last_epoch(members)]
    notes += [_test_apart(result), _few_rows(result), _tie(result, chosen), _lopsided(result)]
    return [note for note in notes if note]


def _diverged(result: ResultData, chosen: CandidateResult) -> str:
    lost = [m for m in result.members if m.status == "diverged"]
    if not lost:
        return ""
    here = sum(m.candidate == chosen.id for m in lost)
    kinds = len({m.candidate for m in lost})
    chosen_words = (
        f" {here} of them belong to the chosen candidate." if here else " None belongs to the chosen candidate."
    )
    return (
        f"{len(lost)} of {count_of(len(result.members), 'training run')} diverged (the cost stopped being finite), in "
        f"{count_of(kinds, 'candidate')}.{chosen_words} A smaller learning rate usually helps."
    )


def _useless(result: ResultData) -> str:
    if result.task == AUTOENCODE:
        return code_advice(result)
    r2 = result.validation.get("r2")
    if result.task == "regression" and r2 is not None:
        bad = [t for t, v in zip(result.targets, as_list(r2), strict=False) if not v >= 0.05]
        if bad:
            return (
                f"The network hardly predicts {', '.join(bad)} better than the mean does (validation R2 below 0.05). "
                f"The {'columns' if thing(result) == 'row' else 'inputs'} may hold no information on it, or the "
                f"{thing(result)}s may be too few."
            )
    plain = naive(result)
    if plain and "accuracy" in plain and result.tested and result.tested.get("accuracy", 1.0) <= plain["accuracy"]:
        return (
            f"Always predicting {plain['class']!r} is correct as often on the test {thing(result)}s "
            f"({number(plain['accuracy'])}). Judge by AUC and log loss, or gather {thing(result)}s of the rarer "
            "classes."
        )
    return ""


def _gap(result: ResultData, chosen: CandidateResult) -> str:
    name, train, mean, word = result.score["name"], chosen.train, chosen.mean, f"{thing(result)}s"
    if name == "cost" or not (math.isfinite(train) and math.isfinite(mean)):  # a cost may be negative
        return ""
    if result.score["direction"] == "max":
        wide = train - mean > _LARGE.get(name, math.inf)
    else:
        # A ratio alone would warn of 0.02 against 0.01 in log loss, where both are excellent.
        floor = {"log_loss": 0.05, "reconstruction_error": 0.02}.get(name, 0.0)
        wide = mean > _RATIO.get(name, 1.5) * train and mean - train > floor
    if not wide:
        return ""
    return (
        f"The network fits its training {word} far better than {word} it has not seen ({metric_name(name)} "
        f"{number(train)} against {number(mean)} in validation): it overfits. More {word}, "
        "augmentation, a larger penalty, dropout or a smaller network help."
    )


def _last_epoch(members: list[MemberResult]) -> str:
    ended = [m for m in members if m.status == "finished" and m.epochs > 1 and m.best_epoch >= 0.99 * m.epochs]
    if not members or len(ended) * 2 < len(members):
        return ""
    most = max(m.epochs for m in ended)
    return (
        f"In {len(ended)} of {count_of(len(members), 'run')} of the chosen candidate the last epochs were the best: "
        f"it was still learning. Train longer (epochs above {most}) or with a larger learning rate."
    )


FEW_TESTED = 10  # rows whose score promises nothing


def _test_apart(result: ResultData) -> str:
    chosen = result.estimate
    name, word = result.score["name"], f"{thing(result)}s"
    if not result.tested or name not in result.tested or not math.isfinite(chosen.mean):
        return ""
    if any(classes_only_tested.describes(note) for note in result.data.notes):  # which is reason enough
        return ""
    test = float(np.mean(as_list(result.tested[name])))
    sign = 1 if result.score["direction"] == "min" else -1
    worse = sign * (test - chosen.mean)
    spread = chosen.spread if math.isfinite(chosen.spread) else 0.0
    # The score of few rows scatters more than that of a fold: by the root of how many fewer they are.
    fold = result.data.study_rows / max(1, len({m.fold for m in result.members}))
    spread *= math.sqrt(max(1.0, fold / max(1, result.data.test_rows)))
    if result.data.test_rows < FEW_TESTED or not worse > max(3 * spread, 0.2 * abs(chosen.mean)):
        return ""
    return (
        f"The test {word} are predicted worse than validation promised ({metric_name(name)} {number(test)} against "
        f"{number(chosen.mean)}): they may differ from the study {word}, or {word} of one group may be in both."
    )


def _few_rows(result: ResultData) -> str:
    rows = result.data.test_rows
    if result.predictions.step is not None:
        rows = int((np.asarray(result.predictions.part) == "test").sum())
    if 0 < rows < 50 and result.tested:
        tested = count_of(rows, f"test {judged(result)}")
        return f"There are only {tested}: the test numbers are rough, so look at validation too."
    return ""


def _tie(result: ResultData, chosen: CandidateResult) -> str:
    runs = [v for v in chosen.per_fold if math.isfinite(v)]
    if len(runs) < 2 or len(result.candidates) < 2:
        return ""
    error = float(np.std(runs, ddof=1)) / math.sqrt(len(runs))
    near = [c for c in result.candidates if c.id != chosen.id and abs(c.mean - chosen.mean) <= error]
    if not near:
        return ""
    return (
        f"{count_of(len(near), 'other candidate')} came within one standard error ({number(error)}) of the chosen one: "
        "their order is partly chance, and a simpler one may do as well."
    )


def _lopsided(result: ResultData) -> str:
    target = np.asarray(result.predictions.target)
    if result.classes is None or not len(target):
        return ""
    counts = np.bincount(target.reshape(-1).astype(int))
    share, k = counts.max() / counts.sum(), int(counts.argmax())
    if share < 0.9:
        return ""
    name = result.classes[k] if result.classes else str(k)
    share_words = f"{100 * share:.0f} % of the {thing(result)}s"
    return f"{share_words} are {name!r}: accuracy says little here; judge by AUC and log loss."


# --- terminal ----------------------------------------------------------------------------------------------------


def _parts(result: ResultData, door: Door) -> list[RenderableType]:
    """The summary piece by piece. Names go in as Text: a column called '[red]' is no markup."""
    from rich.table import Table
    from rich.text import Text

    chosen = result.candidate(result.best)
    size = f"  ({count_of(chosen.weights, 'weight')})" if result.label == chosen.label else ""
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
    parts: list[RenderableType] = [head, Text("\n".join(words) + "\n", style="dim")]
    ranking = _table(f"Candidates by validation {score_axis(result.score)}")
    ranking.add_column("", justify="right")
    ranking.add_column("candidate", overflow="fold", ratio=1)
    for column in ("mean", "spread", "training", "epoch"):
        ranking.add_column(column, justify="right", no_wrap=True)
    for place, c in enumerate(result.candidates[:TOP], start=1):
        label = Text(c.label) if c.status == "ok" else Text.assemble(c.label, (f" ({c.status})", "yellow"))
        epoch = f"{c.best_epoch:.0f}" if math.isfinite(c.best_epoch) else "n/a"
        cells = [number(c.mean), number(c.spread), number(c.train), epoch]
        mark = "*" if c.id == chosen.id else str(place)
        ranking.add_row(mark, label, *cells, style="bold" if c.id == chosen.id else "")
    parts.append(ranking)
    if len(result.candidates) > TOP:
        parts.append(Text(f"  and {count_of(len(result.candidates) - TOP, 'more candidate')}\n", style="dim"))
    parts.append(_columns_lost(result) if result.task == AUTOENCODE else _metrics(result))
    if by_step := horizon_words(result):
        parts.append(Text(by_step + "\n"))
    if result.tested is None:
        parts.append(Text(sealed_words(result), style="dim"))
    notes = advice(result) + [note.said(door) for note in result.data.notes]
    if notes:
        parts.append(Text("Notes", style="bold"))
        listed = Table.grid(padding=(0, 1))
        for note in notes:
            listed.add_row("-", Text(one_line(note)))
        parts.append(listed)
    return parts


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


def print_summary(result: ResultData, console: Console | None = None, door: Door = python_words) -> None:
    """Print the chosen candidate, the ranking, the metrics and the notes; fits 80 columns. door: whose words it uses
    for settings."""
    from rich.console import Console

    console = console or Console()
    for part in _parts(result, door):
        console.print(part, highlight=False)


def summary(result: ResultData) -> str:
    """What `print_summary` prints, as plain text of at most 80 columns."""
    import io

    from rich.console import Console

    # A file of its own, without color or terminal: the same text everywhere.
    plain = Console(file=io.StringIO(), width=80, color_system=None, force_terminal=False, legacy_windows=False)
    print_summary(result, plain)
    return "\n".join(line.rstrip() for line in plain.file.getvalue().splitlines()) + "\n"  # type: ignore[attr-defined]
