"""A study's finished members: their scores, for ranking and shown as progress."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from perceptory.data.series.rolled import taken
from perceptory.models.units import in_own_units
from perceptory.results.predictions import judged_rows
from perceptory.selection.metrics import OWN_COST, evaluate
from perceptory.selection.metrics import score as score_of
from perceptory.studies.cluster import Cluster
from perceptory.studies.groups import Who
from perceptory.studies.keeping import Keeping
from perceptory.studies.prepare import Prepared
from perceptory.studies.record import DISCARDED, Learned, Place, Record, sampled_rows
from perceptory.training.driver import Outcome
from perceptory.training.scaling import targets_as

PIECE = 1 << 15  # windows that are cut at once, to put forecasts back into their units


@dataclass
class Records:
    """The finished members of a prepared study."""

    prepared: Prepared
    members: dict[Who, Record] = field(default_factory=dict)
    seconds: dict[int, float] = field(default_factory=dict)  # a candidate's share of the training time
    keeping: Keeping | None = None  # where there is a run folder
    learned: dict[Place, Learned] = field(default_factory=dict)  # what networks have learned before
    cluster: Cluster | None = None  # what trains in place of this process

    @property
    def kernels(self) -> dict[str, str] | None:
        """The kernels that members were trained with, in words; None where all were trained in this process."""
        if self.keeping is None:
            return None if self.cluster is None else self.cluster.engine.kernels
        return self.keeping.all_kernels()

    def sound_members(self, candidate: int) -> dict[Who, Record]:
        """The candidate's members that did not diverge, in the order of folds and seeds."""
        own = {who: self.members[who] for who in sorted(self.members) if who[0] == candidate}
        return {who: record for who, record in own.items() if record.sound}

    def of_part(self, number: int) -> Records:
        """Those of a part of the study's folds (`Prepared.of_part`)."""
        prepared = self.prepared
        if len(prepared.parts) < 2:
            return self
        part = prepared.parts[number]
        inside = {(c, f - part.begin, s): r for (c, f, s), r in self.members.items() if part.begin <= f < part.end}
        keeping = self.keeping if number == 0 else None  # a refit within an outer fold is made anew
        return Records(prepared.of_part(number), inside, self.seconds, keeping, self.learned, self.cluster)

    def scores(self) -> np.ndarray:
        """[candidate, fold, seed] validation scores; nan where a member diverged."""
        prepared = self.prepared
        scores = np.full((len(prepared.candidates), len(prepared.folds), prepared.study.seeds), np.nan)
        for who, record in self.members.items():
            scores[who] = record.score
        return scores

    def discarded(self) -> set[int]:
        """Candidates that were given up before their last epoch."""
        return {c for (c, _, _), record in self.members.items() if record.status == DISCARDED}

    def add(self, outcomes: Iterable[tuple[Who, Outcome]]) -> None:
        """Judge members that have ended, and keep them in the run folder where there is one."""
        self.add_judged({who: judge(self.prepared, who, outcome) for who, outcome in outcomes})

    def add_judged(self, new: dict[Who, Record]) -> None:
        """Add members that are judged already, and keep them in the run folder where there is one."""
        pretexts = self.prepared.pretexts
        for (c, f, s), record in new.items():
            if pretexts is not None and c in pretexts.of:
                record.facts["pretraining_cost"] = self.learned[pretexts.place(c, f, s)].cost
        self.members.update(new)
        if self.keeping:
            if self.cluster is not None:
                self.keeping.kernels |= self.cluster.engine.kernels
            self.keeping.add(new)

    def add_learned(self, outcomes: dict[Place, Outcome]) -> None:
        """Keep what networks have learned before, in the run folder too where there is one."""
        new = {place: Learned(outcome.weights, float(outcome.train_cost[-1])) for place, outcome in outcomes.items()}
        self.learned.update(new)
        if self.keeping:
            self.keeping.add_learned(new)

    def state(self, total: int, recalled: int, epochs: int, seconds: float) -> dict[str, Any]:
        """What a progress display shows; `best` is the best mean of a candidate all of whose members are done.

        total: members of the study. recalled: of these, read from a run folder. epochs, seconds: of this run.
        """
        by_candidate: dict[int, list[float]] = {}
        for (c, _, _), record in self.members.items():
            by_candidate.setdefault(c, []).append(record.score)
        score, complete = self.prepared.score, len(self.prepared.folds) * self.prepared.study.seeds
        means = [float(np.mean(s)) for s in by_candidate.values() if len(s) == complete and np.all(np.isfinite(s))]
        best = (min if score.direction == "min" else max)(means, default=float("nan"))
        done = len(self.members)
        fresh = done - recalled
        return {
            "members_done": done,
            "members": total,
            "epochs": epochs,
            "epochs_per_second": epochs / max(seconds, 1e-9),
            "score": score.name,
            "best": best,
            "seconds": seconds,
            "seconds_left": seconds / fresh * (total - done) if fresh else float("nan"),
        }


def judge(prepared: Prepared, who: Who, outcome: Outcome) -> Record:
    """Scores of a finished member in the target's own units."""
    encoded, own_cost, diverged = prepared.encoded, prepared.score.name == OWN_COST, outcome.status == "diverged"
    train_rows, validation_rows = _rows(prepared, who)
    train_output = _predicted(prepared, who, outcome.train_output, train_rows)
    output = _predicted(prepared, who, outcome.validation_output, validation_rows)
    sampled = _sampled(prepared, train_rows, train_output, validation_rows, output)

    def metrics(rows: np.ndarray, y: np.ndarray) -> tuple[dict[str, Any], float]:
        judged, units = _judged(prepared, rows, y)
        values = evaluate(encoded.task, *judged, units=units)
        score = float("nan") if own_cost else values.get(prepared.score.name)
        if isinstance(score, int | float):
            return values, float(score)
        return values, score_of(prepared.score.name, encoded.task, *judged, units=units)

    train, train_score = metrics(train_rows, train_output)
    validation, score = metrics(validation_rows, output)
    if own_cost and not diverged:
        best = outcome.best_epoch - 1
        train_score, score = float(outcome.train_cost[best]), float(outcome.validation_cost[best])
    return Record(
        outcome.status, outcome.epochs, outcome.best_epoch, outcome.weights, outcome.train_cost,
        outcome.validation_cost, output, train, validation,
        float("nan") if diverged else score, float("nan") if diverged else train_score, outcome.facts,
        outcome.auxiliary, sampled,
    )  # fmt: skip


def judge_discarded(prepared: Prepared, who: Who, outcome: Outcome, score: float) -> Record:
    """Of a member that is given up; score: its `validation_score`. It is ranked and drawn by its scores, and nobody
    asks for metrics or predictions, which are left out."""
    train_score = _score(prepared, who, outcome, outcome.train_cost, outcome.train_output, _rows(prepared, who)[0])
    return Record(
        DISCARDED, outcome.epochs, outcome.best_epoch, outcome.weights, outcome.train_cost, outcome.validation_cost,
        outcome.validation_output[:0].astype(float), {}, {}, score, train_score, outcome.facts, outcome.auxiliary,
    )  # fmt: skip


def _sampled(
    prepared: Prepared, train_rows: np.ndarray, train: np.ndarray, validation_rows: np.ndarray, validation: np.ndarray
) -> np.ndarray:
    """`Record.sampled`; none of tasks whose members' mean is not looked at, and of one fold."""
    if prepared.encoded.task == "autoencode" or len(prepared.folds) < 2:
        return np.zeros((0, 1), np.float32)
    count = prepared.encoded.count
    place = np.full(count, -1)
    rows = sampled_rows(count)
    place[rows] = np.arange(len(rows))
    sampled = np.full((len(rows), *validation.shape[1:]), np.nan, np.float32)
    for own, output in ((train_rows, train), (validation_rows, validation)):
        here = place[own] >= 0
        with np.errstate(over="ignore"):  # beyond single precision is infinite
            sampled[place[own][here]] = output[here]
    return sampled


def validation_score(prepared: Prepared, who: Who, outcome: Outcome) -> float:
    """`Record.score` of a member as it stands, without all the rest that `judge` computes."""
    rows = _rows(prepared, who)[1]
    return _score(prepared, who, outcome, outcome.validation_cost, outcome.validation_output, rows)


def _rows(prepared: Prepared, who: Who) -> tuple[np.ndarray, np.ndarray]:
    """The fold's training rows that are shown, and its validation rows."""
    train, validation = prepared.folds[who[1]]
    return prepared.encoded.shown(train), validation


def _judged(
    prepared: Prepared, rows: np.ndarray, output: np.ndarray
) -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray], Any]:
    """What metrics take of these rows' predictions: (truth, predictions, weights), and the units of scaled errors."""
    truth, weights = prepared.encoded.judged
    units = None if prepared.encoded.units is None else taken(prepared.encoded.units, rows)
    return judged_rows(taken(truth, rows), output, weights[rows]), units


def _score(
    prepared: Prepared, who: Who, outcome: Outcome, costs: np.ndarray, output: np.ndarray, rows: np.ndarray
) -> float:
    """Of these rows at the best epoch, nan where there is none. costs: [epoch]; output: of the rows."""
    if outcome.best_epoch == 0:
        return float("nan")
    if prepared.score.name == OWN_COST:
        return float(costs[outcome.best_epoch - 1])
    judged, units = _judged(prepared, rows, _predicted(prepared, who, output, rows))
    return score_of(prepared.score.name, prepared.encoded.task, *judged, units=units)


def _predicted(prepared: Prepared, who: Who, output: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """A member's predictions of these rows, in the target's own units."""
    if prepared.encoded.task != "regression":
        return output.astype(float)
    network, cost = prepared.candidates[who[0]].network, prepared.candidates[who[0]].cost
    own = prepared.scaling_of(who) if network.windows is not None else prepared.scalings[who[1]]
    scaling = targets_as(own, cost)
    units = scaling.out_center, scaling.out_scale
    if network.windows is None:
        return np.asarray(cost.point_prediction(in_own_units(network, cost, output.astype(float), units, rows)))
    found = np.empty((len(rows), *prepared.encoded.target_shape))
    for k in range(0, len(rows), PIECE):
        part, inputs = output[k : k + PIECE].astype(float), prepared.encoded.inputs_at(rows[k : k + PIECE])
        found[k : k + PIECE] = cost.point_prediction(in_own_units(network, cost, part, units, inputs))
    return found
