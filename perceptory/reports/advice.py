"""Advice in plain words: what speaks against trusting a result, and what to do."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from perceptory.models.row_measures import CLASSES, NUMBERS
from perceptory.notes import classes_only_tested
from perceptory.reports.codes import code_advice
from perceptory.results.codes import AUTOENCODE
from perceptory.results.horizons import horizons_of
from perceptory.results.result_data import ResultData
from perceptory.results.wording import judged, the_chosen, thing
from perceptory.wording import count_of, metric_name, number

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


def advice(result: ResultData) -> list[str]:
    """Notes and warnings in plain words, the gravest first; empty where there is nothing to say."""
    notes = [_diverged(result), _useless(result), _gap(result), _last_epoch(result)]
    notes += [_test_apart(result), _few_rows(result), _tie(result), _lopsided(result)]
    return [note for note in notes if note]


def _diverged(result: ResultData) -> str:
    lost = [m for m in result.members if m.status == "diverged"]
    if not lost:
        return ""
    here = sum(m.candidate in result.shares for m in lost)
    kinds = len({m.candidate for m in lost})
    belong = f"{here} of them belong" if here else "None belongs"
    return (
        f"{len(lost)} of {count_of(len(result.members), 'training run')} diverged (the cost stopped being finite), in "
        f"{count_of(kinds, 'candidate')}. {belong} to {the_chosen(result)}. A smaller learning rate usually helps."
    )


def _useless(result: ResultData) -> str:
    if result.task == AUTOENCODE:
        return code_advice(result)
    r2 = result.validation.get("r2")
    if result.task == "regression" and r2 is not None:
        bad = [t for t, v in zip(result.targets, as_list(r2), strict=False) if not v >= 0.05]
        ahead = horizons_of(result.targets)
        if bad and ahead:
            where = "any horizon" if len(bad) == len(result.targets) else f"{len(bad)} of {len(ahead[1])} horizons"
            return (
                f"{ahead[0]} is hardly forecast better than by the mean of what is forecast, at {where} (validation R2 "
                "below 0.05). Compare the naive forecast: it may be as good as any."
            )
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


def _gap(result: ResultData) -> str:
    name, mean, word = result.score["name"], result.estimate.mean, f"{thing(result)}s"
    train = _train_score(result)
    if name == "cost" or not (math.isfinite(train) and math.isfinite(mean)):  # a cost may be negative
        return ""
    if result.score["direction"] == "max":
        wide = train - mean > _LARGE.get(name, math.inf)
    else:
        # A ratio alone would warn of 0.02 against 0.01 in log loss, where both are excellent.
        floor = {"log_loss": 0.05, "reconstruction_error": 0.02}.get(name, 0.0)
        wide = mean > _RATIO.get(name, 1.5) * train and mean - train > floor
    if not wide or _tested_as_well(result, train):
        return ""
    if horizons_of(result.targets) and all(m.epochs <= 1 for m in result.members if m.candidate in result.shares):
        return (
            f"What is forecast at the end is harder than what came before ({metric_name(name)} {number(mean)} in "
            f"validation, {number(train)} in training): the series change in time, or {word} are few."
        )
    return (
        f"The network fits its training {word} far better than {word} it has not seen ({metric_name(name)} "
        f"{number(train)} against {number(mean)} in validation): it overfits. More {word}, "
        "augmentation, a larger penalty, dropout or a smaller network help."
    )


def _tested_as_well(result: ResultData, train: float) -> bool:
    """Whether the test, which had no part in anything, shows no such gap."""
    name = result.score["name"]
    if result.tested is None or name not in result.tested or result.data.test_rows < FEW_TESTED:
        return False
    test = float(np.mean(as_list(result.tested[name])))
    if result.score["direction"] == "max":
        return train - test <= _LARGE.get(name, math.inf) / 2
    return test <= math.sqrt(_RATIO.get(name, 1.5)) * train


def _train_score(result: ResultData) -> float:
    """The final model's score on its training rows; nan where none is known."""
    if len(result.shares) == 1:
        return result.candidate(next(iter(result.shares))).train
    return float(np.mean(as_list(result.train.get(result.score["name"], math.nan))))


def _last_epoch(result: ResultData) -> str:
    if result.study.get("patience") == -1:  # the last weights are taken, so that the last epoch is no best one
        return ""
    members = [m for m in result.members if m.candidate in result.shares and m.epochs > 1]
    ended = [m for m in members if m.status == "finished" and m.best_epoch >= 0.99 * m.epochs]
    if not members or len(ended) * 2 < len(members):
        return ""
    most = max(m.epochs for m in ended)
    return (
        f"In {len(ended)} of {count_of(len(members), 'run')} of {the_chosen(result)} the last epochs were the best: "
        f"they were still learning. Train longer (epochs above {most}) or with a larger learning rate."
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
    error = _error_of_both(result)
    if result.data.test_rows < FEW_TESTED or not worse > max(2 * error, 0.1 * abs(chosen.mean)):
        return ""
    return (
        f"The test {word} are predicted worse than validation promised ({metric_name(name)} {number(test)} against "
        f"{number(chosen.mean)}, more than two standard errors, {number(error)}, apart): they may differ from the study"
        f" {word}, or {word} of one group may be in both."
    )


def _error_of_both(result: ResultData) -> float:
    """Standard error of the test score less that of validation: of scores that are a mean over rows from what each row
    errs, of others from folds, whose score scatters less than that of fewer test rows."""
    chosen = result.estimate
    folds = max(1, len({m.fold for m in result.members}))
    spread = chosen.spread if math.isfinite(chosen.spread) else 0.0
    by_rows = [error_of_score(result, part) for part in ("validation", "test")]
    fold = result.data.study_rows / folds
    by_folds = [spread / math.sqrt(folds), spread * math.sqrt(fold / max(1, result.data.test_rows))]
    both = [max(a, b) if math.isfinite(a) else b for a, b in zip(by_rows, by_folds, strict=True)]
    return math.hypot(*both)


def error_of_score(result: ResultData, part: str) -> float:
    """Standard error of a part's score, as rows drawn at random have it; nan for scores that are no mean over rows."""
    p = result.predictions
    measure = (CLASSES if result.classes else NUMBERS).get(result.score["name"])
    rows = np.asarray(p.part) == part
    if measure is None or rows.sum() < 2 or result.task == AUTOENCODE:
        return math.nan
    errors = measure.of_rows(np.asarray(p.target)[rows], np.asarray(p.output, float)[rows])
    weights = np.ones(int(rows.sum())) if p.weight is None else np.asarray(p.weight, float)[rows]
    shares = weights / weights.sum()
    mean = (shares[:, None] * errors).sum(axis=0)
    parts = shares * (measure.slope(mean) * (errors - mean)).mean(axis=1)
    return float(np.sqrt(np.sum(parts**2)))


def _few_rows(result: ResultData) -> str:
    rows = result.data.test_rows
    if result.predictions.step is not None:
        rows = int((np.asarray(result.predictions.part) == "test").sum())
    if 0 < rows < 50 and result.tested:
        tested = f"{'is' if rows == 1 else 'are'} only {count_of(rows, f'test {judged(result)}')}"
        return f"There {tested}: the test numbers are rough, so look at validation too."
    return ""


def _tie(result: ResultData) -> str:
    if len(result.shares) > 1:  # those near one another share the model
        return ""
    chosen = result.candidate(next(iter(result.shares)))
    runs = [v for v in chosen.per_fold if math.isfinite(v)]
    if len(runs) < 2:
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
