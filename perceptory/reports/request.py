"""What was asked of a study, as the report tells it: what differs from the defaults, and what the defaults came to."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from typing import Any

from perceptory.results.result_data import ResultData
from perceptory.results.wording import thing
from perceptory.selection.ranking import LOST
from perceptory.specs import SPECS, to_json
from perceptory.wording import better, count_of, metric_name, number

SEARCHES = {"Choice": "choice", "Uniform": "uniform", "LogUniform": "log_uniform", "Integers": "integers"}
OWN_LINES = {  # fields of a study that have a line of their own
    "networks", "cost", "optimizer", "validation", "epochs", "patience", "seeds", "score", "rule", "final", "precision",
    "test",
}  # fmt: skip
Lines = list[tuple[str, bool]]  # (words, are they code)


def spec_words(value: Any) -> str:
    """JSON data of a spec as it would be written in Python, without defaults: MLP((32, 32), activation='relu').

    The first field says what the spec is about, so it stands there even where it is the default (unless that is None).
    """
    if isinstance(value, dict):
        kind = str(value.get("kind", ""))
        if kind == "Choice" and isinstance(value.get("values"), (list, tuple)):
            return f"choice({', '.join(spec_words(v) for v in value['values'])})"
        default = defaults_of(kind)
        words = []
        for place, (name, part) in enumerate((k, v) for k, v in value.items() if k != "kind"):
            if kind in SPECS and part is not None and (place == 0 or kind in SEARCHES):
                words.append(spec_words(part))
            elif not (name in default and default[name] == part):
                words.append(f"{name}={spec_words(part)}")
        return f"{SEARCHES.get(kind, kind)}({', '.join(words)})"
    if isinstance(value, (list, tuple)):
        return "(" + ", ".join(spec_words(v) for v in value) + ("," if len(value) == 1 else "") + ")"
    return repr(value)


def defaults_of(kind: str) -> dict[str, Any]:
    """Field -> default, as JSON data, of a kind of spec; {} of one that is not known here."""
    if kind not in SPECS:
        return {}
    fields = [f for f in dataclasses.fields(SPECS[kind]) if f.default is not dataclasses.MISSING]
    return {f.name: to_json(f.default, strict=False) for f in fields}


# --- validation plans --------------------------------------------------------------------------------------------

PLANS: dict[str, Callable[[dict[str, Any]], str]] = {
    "KFold": lambda p: f"{p['folds']}-fold" + ("" if p.get("shuffle", True) else ", in the order of the rows"),
    "StratifiedKFold": lambda p: f"{p['folds']}-fold, classes in equal shares",
    "GroupKFold": lambda p: f"{p['folds']}-fold, groups kept whole",
    "BlockedKFold": lambda p: (
        f"{p['folds']} blocks of time" + (f", {p['gap']} left out between" if p.get("gap") else "")
    ),
    "RollingOrigin": lambda p: f"{p['folds']} times, trained on the past and judged on what comes next",
    "HoldOut": lambda p: f"a share of {number(p['share'])} held out",
    "TwoSets": lambda p: "two halves, each judging the network that was trained on the other",
    "LeaveOneOut": lambda p: "leave-one-out",
    "Repeated": lambda p: f"{plan_words(p['plan'])}, {p['times']} times",
    "Splitter": lambda p: str(p["splitter"]),
    "Nested": lambda p: (
        f"nested: {plan_words(p['outer'])} around {plan_words(p['inner']) if p['inner'] else 'the usual folds'}"
    ),
}


def plan_words(plan: dict[str, Any]) -> str:
    """A validation plan in words, from its JSON data; as it would be written in Python where there are none."""
    try:
        return PLANS[str(plan.get("kind"))](plan)
    except KeyError:
        return spec_words(plan)


# --- lines of the report -----------------------------------------------------------------------------------------


def request_lines(result: ResultData) -> list[tuple[str, Lines]]:
    """(what, its lines) in the order in which a reader asks: networks, how trained, how judged, what was kept."""
    study = result.study
    default = defaults_of("Study")
    networks = study.get("networks") or []
    lines: list[tuple[str, Lines]] = [
        (
            "networks",
            [(spec_words(n), True) for n in (networks if isinstance(networks, (list, tuple)) else [networks])],
        ),
        ("cost", [_cost(result)]),
        ("optimizer", [(spec_words(study.get("optimizer")), True)]),
    ]
    for name, value in study.items():
        if name not in OWN_LINES | {"kind", "format"} and not (name in default and default[name] == value):
            lines.append((name.replace("_", " "), [_value(value)]))
    lines += [
        ("training", [(_training(study), False)]),
        ("validation", [(_validation(result), False)]),
        ("score", [(_score(result), False)]),
        ("final model", [(_final(result), False)]),
    ]
    return [(name, [line for line in words if line[0]]) for name, words in lines]


def _value(value: Any) -> tuple[str, bool]:
    if isinstance(value, (dict, list, tuple)):
        return spec_words(value), True
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value], False
    return (number(value) if isinstance(value, float) else str(value)), False


def _cost(result: ResultData) -> tuple[str, bool]:
    configured = result.study.get("cost")
    if configured is not None:
        return spec_words(configured), True
    cost = result.candidate(result.best).spec.get("cost")
    kind = str(cost.get("kind", "")) if isinstance(cost, dict) else ""
    task = task_words(result)
    return f"{_spaced(kind) or 'its own'} (by default for {task})", False


def task_words(result: ResultData) -> str:
    """'regression', 'multiclass classification', 'reconstruction'."""
    if result.task == "autoencode":
        return "reconstruction"
    return result.task if result.task == "regression" else f"{result.task} classification"


def _spaced(kind: str) -> str:
    """'SquaredError' -> 'squared error'."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", kind).lower()


def _training(study: dict[str, Any]) -> str:
    words = f"at most {count_of(int(study.get('epochs', 0)), 'epoch')}"
    patience = study.get("patience")
    if patience == -1:
        words = f"{words[8:]}, whose last weights count"
    elif patience:
        words += f"; a network stops after {patience} without a better validation cost"
    if study.get("precision") == "double":
        words += "; in double precision"
    return words


def _validation(result: ResultData) -> str:
    configured, used = result.study.get("validation"), result.data.validation
    nested = isinstance(configured, dict) and configured.get("kind") == "Nested"  # whose inner plan may follow the rows
    words = plan_words((used if nested else configured) or used or {})
    if configured is None and used is not None:
        rows = result.data.study_rows
        words += f" (by default for {count_of(rows, thing(result))})"
    seeds = int(result.study.get("seeds", 1))
    return words + (f", {seeds} starts a fold" if seeds > 1 else "")


def _score(result: ResultData) -> str:
    words = f"{metric_name(result.score['name'])}, {better(result.score)} is better"
    if result.study.get("score") is None:
        words += f" (by default for {'classes' if result.classes else task_words(result)})"
    if result.study.get("rule") == "narrow_code":
        words += f"; the narrowest code is chosen that keeps {1 - LOST:.0%} of the variance"
    if result.study.get("rule") == "one_standard_error":
        words += "; of those within one standard error of the best, the simplest is chosen"
    return words


def _final(result: ResultData) -> str:
    networks = sum(m.candidate == result.best and m.status != "diverged" for m in result.members)
    if result.study.get("final") == "refit":
        return f"trained anew on all study {thing(result)}s, for the mean best epoch"
    if result.mixture is not None:
        inside = sum(m.candidate in result.mixture.shares and m.status != "diverged" for m in result.members)
        of = count_of(len(result.mixture.shares), "candidate")
        if result.study.get("final") == "weighted_refit":
            return f"the weighted mean of networks of {of}, trained anew on all study {thing(result)}s"
        return f"the weighted mean of the {count_of(inside, 'network')} of {of}"
    return f"the mean of the {count_of(networks, 'network')} of the chosen candidate"
