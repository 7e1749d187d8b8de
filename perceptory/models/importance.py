"""Which columns a model's predictions rest on: how much worse they get when a column's values are shuffled."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from perceptory.errors import InputError
from perceptory.models.effects import Effect, effects_of
from perceptory.models.exchange import Judged, judged
from perceptory.models.row_measures import Measure, measure_of
from perceptory.models.shared_information import sharing
from perceptory.wording import count_of, listed, metric_name, number

WORK = 8e10  # multiplications that take two cores a second or two: one a weight and prediction of a row
LEAST_WORK = 2e5  # of a row, for what predicting costs besides
LEAST_ROWS, MOST_REPEATS = 200, 10
DRAWN = 4  # columns whose effects are looked at
NAMED = 3  # columns in a sentence


@dataclass(frozen=True)
class Shared:
    """Columns of which each tells much of another: strength is that of the strongest pair, value what the score rises
    by when all of them are shuffled together, error its standard error."""

    columns: tuple[str, ...]
    strength: float
    value: float
    error: float


@dataclass(frozen=True, eq=False)
class Importance:
    """By how much a model's score gets worse when the values of one column are shuffled among rows.

    columns: the most important first. values: [column] the rise of `score`, in the units of `unit`. errors: [column]
    its standard error, of drawing other rows and of shuffling them otherwise. base: the score as it is.
    rows: how many were looked at, of `of`. repeats: how often each column was shuffled. shared: columns that tell of
    one another. effects: of the most important columns, how predictions move with them.

    A column that is not told from 0 by two standard errors is one that this model could do without on such rows, beside
    the other columns: what it tells may stand in one of `shared` too. It says nothing of causes.
    """

    columns: tuple[str, ...]
    values: np.ndarray
    errors: np.ndarray
    score: str
    base: float
    unit: str
    rows: int
    of: int
    repeats: int
    shared: tuple[Shared, ...] = ()
    effects: tuple[Effect, ...] = ()

    def counts(self, k: int) -> bool:
        """Whether the k-th column's importance is told from 0 by two standard errors."""
        return bool(self.values[k] > 2 * self.errors[k])

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self) -> list[str]:
        """The columns as a table, and what is to be known of it; of many columns those that matter most."""
        shown = self.columns[: SHOWN if self.shortened else None]
        width = max(map(len, (name[:LONGEST] for name in shown)), default=0)
        each = [self._line(k, width) for k in range(len(shown))]
        left = len(self.columns) - len(shown)
        if left:
            most = _told(self.values[len(shown)], self.errors[len(shown)])
            each.append(f"  and {count_of(left, 'more column')}, none above {most}")
        return [f"{self.heading()}:", *each, *self.remarks()]

    @property
    def shortened(self) -> bool:
        """Whether `lines` leaves columns out, which `frame` has."""
        return len(self.columns) > SHOWN + 4

    def heading(self) -> str:
        """What the numbers are."""
        return (
            f"Importance: the rise of the {metric_name(self.score)} ({number(self.base)}{self.unit}) when a column is"
            f" shuffled among {self.looked_at()}"
        )

    def looked_at(self) -> str:
        """'300 rows', or '300 of 10000 rows'."""
        return count_of(self.rows, "row") if self.rows == self.of else f"{self.rows} of {count_of(self.of, 'row')}"

    def _line(self, k: int, width: int) -> str:
        name = self.columns[k] if len(self.columns[k]) <= LONGEST else self.columns[k][: LONGEST - 1] + "…"
        none = "" if self.counts(k) else "   not told from 0"
        return f"  {name.ljust(width)}  {_told(self.values[k], self.errors[k])}{none}"

    def remarks(self) -> list[str]:
        """Sentences on columns that share information, without which a low importance would be misread."""
        if not self.shared:
            return []
        why = (
            "Some columns share information: alone, each may look too small, since the others tell it too, or too"
            " large, since it then contradicts them. Shuffled together:"
        )
        each = [
            f"  {listed(one.columns, NAMED + 3)} (rank correlation up to {one.strength:.2f})"
            f"  {_told(one.value, one.error)}"
            for one in self.shared[:GROUPS]
        ]
        left = len(self.shared) - len(each)
        return [why, *each, *([f"  and {count_of(left, 'more group')} of columns"] if left else [])]

    def most(self, count: int = NAMED) -> str:
        """The columns that matter most in one line, "" where none is told from 0."""
        some = [k for k in range(len(self.columns)) if self.counts(k)][:count]
        each = [f"{self.columns[k]} {_told(self.values[k], self.errors[k]).partition(' ')[0]}" for k in some]
        return ", ".join(each)

    def frame(self) -> Any:
        """A polars data frame with a line a column: column, importance, standard error."""
        import polars as pl

        return pl.DataFrame({"column": list(self.columns), "importance": self.values, "standard error": self.errors})

    def to_json(self) -> dict[str, Any]:
        """Plain JSON data; `from_json` reads it back."""
        arrays = {name: np.asarray(getattr(self, name)).tolist() for name in ("values", "errors")}
        return {
            **vars(self), **arrays, "columns": list(self.columns),
            "shared": [vars(one) | {"columns": list(one.columns)} for one in self.shared],
            "effects": [one.to_json() for one in self.effects],
        }  # fmt: skip

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Importance:
        """Read `to_json`'s data. Raises `KeyError` or `TypeError` for what does not fit."""
        arrays = {name: np.array([np.nan if v is None else v for v in data[name]]) for name in ("values", "errors")}
        shared = tuple(Shared(**one | {"columns": tuple(one["columns"])}) for one in data["shared"])
        effects = tuple(map(Effect.from_json, data["effects"]))
        columns = tuple(data["columns"])
        base = float("nan") if data["base"] is None else data["base"]
        return cls(**data | arrays | {"columns": columns, "shared": shared, "effects": effects, "base": base})


LONGEST = 40  # characters of a column's name in a table
SHOWN, GROUPS = 20, 12  # lines for columns, and for those that share information


def _told(value: float, error: float) -> str:
    """A number with its error, of which two digits count: '0.158 ± 0.022', '18600 ± 2800'."""
    if not (np.isfinite(value) and np.isfinite(error) and error > 0):
        return f"{number(value)} ± {number(error)}"
    places = 1 - int(np.floor(np.log10(error)))
    if places > 8 or max(abs(value), error) >= 1e7:
        return f"{number(value)} ± {number(error)}"
    value, error = round(float(value), places) + 0.0, round(float(error), places)  # no -0
    return f"{value:.{max(places, 0)}f} ± {error:.{max(places, 0)}f}"


# --- what is measured -------------------------------------------------------------------------------------------------


def importance(
    model: Any, data: Any, *, score: str | None = None, repeats: int | None = None, rows: int | None = None,
    seed: int = 0, work: float = WORK,
) -> Importance:  # fmt: skip
    """See `Model.importance`. work: how many multiplications are spent where neither repeats nor rows are given."""
    given = data if isinstance(data, Judged) else judged(model, data)
    given = given.weighted()
    measure = measure_of(model, score)
    for name, value, least in (("repeats", repeats, 1), ("rows", rows, 2)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
            raise InputError(f"{name} needs a whole number of at least {least}, got {value!r}.")
    names = given.columns.names
    if given.rows < 2:
        raise InputError("importance needs at least two rows with a target: a column's values come from other rows.")
    count, times = _sizes(model, len(names), given.rows, rows, repeats, work)
    rng = np.random.default_rng(seed)
    some = given if count == given.rows else given.take(np.sort(rng.choice(given.rows, count, replace=False)))
    some = replace(some, truth=np.asarray(some.truth))
    found = _Measured(model, some, measure, times, rng)
    each = [found.of((k,)) for k in range(len(names))]
    order = sorted(range(len(names)), key=lambda k: -each[k][0])
    shared = [
        Shared(tuple(names[k] for k in places), strength, *found.of(places))
        for places, strength in sharing(some.columns)
    ]
    counted = [k for k in order if each[k][0] > 2 * each[k][1]][:DRAWN]
    return Importance(
        columns=tuple(names[k] for k in order),
        values=np.array([each[k][0] for k in order]),
        errors=np.array([each[k][1] for k in order]),
        score=measure.name, base=found.base, unit=_unit(model), rows=count, of=given.rows, repeats=times,
        shared=tuple(sorted(shared, key=lambda one: -one.value)),
        effects=effects_of(model, some.columns, counted, found.predicted),
    )  # fmt: skip


def affordable(model: Any, rows: int, work: float) -> bool:
    """Whether importance costs no more than this work, and no program has to be compiled."""
    columns = sum(plan.used for plan in model.encoder.columns)
    alone = all(part._kernel is not None for part in model.parts)
    return alone and rows >= 2 and _predictions(model, columns, work) >= min(rows, LEAST_ROWS)


def _predictions(model: Any, columns: int, work: float) -> int:
    """Of how many rows, with each of so many columns shuffled once."""
    of_a_step = sum(part.weights.size for part in model.parts)
    of_a_row = max(LEAST_WORK, of_a_step * math.prod(model.encoder.shape[:-1]))
    return int(work / of_a_row / (columns + 1))


def _sizes(model: Any, columns: int, there: int, rows: int | None, repeats: int | None, work: float) -> tuple[int, int]:
    """How many rows, and how often each column is shuffled: another row says more than another repeat."""
    predictions = _predictions(model, columns, work)
    least = max(LEAST_ROWS, predictions // (repeats or 1))
    count = min(there, least if rows is None else rows)
    return count, min(MOST_REPEATS, max(1, predictions // count)) if repeats is None else repeats


def _unit(model: Any) -> str:
    """What is said behind the score: of several targets it is a mean."""
    count = len(model.targets) if model.classes is None else 1
    return "" if count == 1 else f" standard deviations, mean of {count} targets"


class _Measured:
    """The score of some examples, and what becomes of it when columns are shuffled."""

    def __init__(self, model: Any, some: Judged, measure: Measure, repeats: int, rng: np.random.Generator):
        self._model, self._some, self._measure = model, some, measure
        n = some.rows
        # The same rows lend to the same rows in all columns: what differs between columns is theirs.
        self._cycles = [rng.permutation(n) for _ in range(repeats)]
        self._shares = _shares(some.weights)
        self._scale = _scale(some.truth) if model.classes is None else 1.0
        self.predicted = some.columns.predicted(model)
        self._own = self._errors(self.predicted)
        self._mean = (self._shares[:, None] * self._own).sum(axis=0)
        self.base = float(np.mean(measure.whole(self._mean)))

    def of(self, places: tuple[int, ...]) -> tuple[float, float]:
        """(rise of the score, its standard error) when the columns of these places are shuffled together.

        Each row receives another row's values once a repeat, and lends its own once. What it errs more as the one and
        makes another row err more as the other are its part in the error (a U-statistic's projection, Hoeffding 1948).
        """
        received, lent = np.zeros_like(self._own), np.zeros_like(self._own)
        for cycle in self._cycles:
            donors = np.empty(len(cycle), np.int64)
            donors[cycle] = np.roll(cycle, 1)  # along one cycle through all rows, so that no row lends to itself
            shuffled = self._some.columns.shuffled(places, donors).predicted(self._model)
            worse = (self._errors(shuffled) - self._own) / len(self._cycles)
            received += worse
            lent[donors] += worse * (self._shares / self._shares[donors])[:, None]
        rise = (self._shares[:, None] * received).sum(axis=0)
        mean, measure = self._mean + rise, self._measure
        slope, before = measure.slope(mean), measure.slope(self._mean)
        parts = slope * (received + lent - 2 * rise) + (slope - before) * (self._own - self._mean)
        each, n = self._shares * parts.mean(axis=1), len(self._own)
        value = float(np.mean(measure.whole(mean) - measure.whole(self._mean)))
        return value, float(np.sqrt(n / (n - 1) * np.sum(each**2)))

    def _errors(self, predicted: np.ndarray) -> np.ndarray:
        """[row, target] what each row errs, of steps their mean."""
        truth = self._some.truth
        if self._model.classes is not None:
            return self._measure.of_rows(truth, predicted)
        errors = self._measure.of_rows(truth / self._scale, predicted / self._scale)
        if errors.ndim == 3:
            w = self._some.weights[..., None] if self._some.weights.ndim == 2 else np.ones((*errors.shape[:2], 1))
            errors = (w * errors).sum(axis=1) / np.maximum(w.sum(axis=1), np.finfo(float).tiny)
        return errors


def _shares(weights: np.ndarray) -> np.ndarray:
    """[row] of each in a mean; rows of weight 0 are no rows of it."""
    of_row = weights if weights.ndim == 1 else weights.sum(axis=1)
    return np.asarray(of_row / of_row.sum())


def _scale(truth: np.ndarray) -> np.ndarray | float:
    """1, or of several targets the standard deviation of each, without which the largest would stand for all."""
    if truth.shape[-1] == 1:
        return 1.0
    spread = truth.reshape(-1, truth.shape[-1]).std(axis=0)
    return np.where(spread > 0, spread, 1.0)
