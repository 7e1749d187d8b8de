"""Training with discarding: all candidates come to a rung, their means over folds are compared, the worst are given up.

Groups are trained one after the other up to the rung's epochs; members that stand there are kept on the host with their
states, and those of candidates that go on are put back to the same bits. A decision is made within each part of the
study, so the choice within an outer fold of nested validation knows nothing of the others. What stands at a rung, and
each decision, is kept in the run folder, so that a run that goes on decides the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from perceptory.selection.discarding import Rung, going_on
from perceptory.studies.groups import Group, Who
from perceptory.studies.parts import Part
from perceptory.studies.record import Record
from perceptory.studies.records import Records, judge_discarded, validation_score
from perceptory.training.driver import Outcome, Pause, Running

Standing = dict[int, set[int]]  # by part the candidates that have not been discarded
Train = Callable[[Group, list[int], Running | None, Pause | None], None]


@dataclass
class AtRung:
    """Members that stand at a rung: by who, leaves of its state and costs so far; its outcome, as if it had ended."""

    states: dict[Who, tuple[list[np.ndarray], np.ndarray]] = field(default_factory=dict)
    outcomes: dict[Who, Outcome] = field(default_factory=dict)

    def running(self, group: Group) -> Running | None:
        """Those of a group, to go on."""
        here = [(place, self.states[who]) for place, who in enumerate(group.who) if who in self.states]
        if not here:
            return None
        leaves = [np.stack(arrays) for arrays in zip(*(state for _, (state, _) in here), strict=True)]
        return Running(np.array([place for place, _ in here]), leaves, [costs for _, (_, costs) in here])


def train_in_rungs(records: Records, train: Train) -> None:
    """Train all members but those of candidates that are given up on the way.

    train(group, places, states that some go on from, where to pause) trains members of a group.
    """
    prepared, keeping = records.prepared, records.keeping
    discard = prepared.study.discard
    rungs = [] if discard is None else discard.rungs(prepared.study.epochs, len(prepared.candidates))
    standing: Standing = {k: set(range(len(prepared.candidates))) for k in range(len(_parts(records)))}
    before = AtRung()
    decided = [] if keeping is None else keeping.decisions()
    for number, rung in enumerate(rungs):
        if number < len(decided):
            standing = {int(k): set(kept) for k, kept in decided[number].items()}
            if number == len(decided) - 1 and keeping is not None:
                before = _of_rung(records, number)
            continue
        here = AtRung() if keeping is None else _of_rung(records, number)
        for group in prepared.groups:
            _advance(records, group, standing, before, here, (number, rung), train)
        standing = _decide(records, standing, here, rung)
        if keeping:
            keeping.add_decision({str(k): sorted(kept) for k, kept in standing.items()})
        before = here
    for group in prepared.groups:
        _advance(records, group, standing, before, None, None, train)


def _parts(records: Records) -> tuple[Part, ...]:
    prepared = records.prepared
    return prepared.parts or (Part(0, len(prepared.folds), np.arange(0), np.arange(0)),)


def _of_rung(records: Records, number: int) -> AtRung:
    kept = AtRung()
    for states, own in records.keeping.at_rung(number) if records.keeping else ():
        kept.states |= states
        kept.outcomes |= own
    return kept


def _advance(
    records: Records,
    group: Group,
    standing: Standing,
    before: AtRung,
    here: AtRung | None,
    rung: tuple[int, Rung] | None,
    train: Train,
) -> None:
    """Train the members of a group that stand, up to a rung or to the end."""
    part_of = {f: k for k, part in enumerate(_parts(records)) for f in range(part.begin, part.end)}
    done: Mapping[Who, Any] = records.members if here is None else records.members | here.outcomes
    places = [p for p, who in enumerate(group.who) if who[0] in standing[part_of[who[1]]] and who not in done]
    if not places:
        return
    begun = time.perf_counter()
    pause = None
    if here is not None and rung is not None:

        def paused(running: Running, outcomes: dict[int, Outcome]) -> None:
            who = [group.who[int(place)] for place in running.places]
            new = {w: outcomes[int(p)] for w, p in zip(who, running.places, strict=True)}
            states = {w: ([leaf[i] for leaf in running.state], running.costs[i]) for i, w in enumerate(who)}
            here.states.update(states)
            here.outcomes.update(new)
            if records.keeping:
                records.keeping.add_at_rung(rung[0], states, new)

        pause = Pause(rung[1].epochs, paused)
    train(group, places, before.running(group), pause)
    candidates = {group.who[p][0] for p in places}
    took = (time.perf_counter() - begun) / len(candidates)
    for c in candidates:
        records.seconds[c] = records.seconds.get(c, 0.0) + took


def _decide(records: Records, standing: Standing, here: AtRung, rung: Rung) -> Standing:
    """Who goes on; the members of the others that stand at the rung are added to the records as discarded."""
    prepared = records.prepared
    at_rung = {who: validation_score(prepared, who, outcome) for who, outcome in here.outcomes.items()}
    scores_of = {who: record.score for who, record in records.members.items()} | at_rung
    after: Standing = {}
    given_up: dict[Who, Record] = {}
    for k, part in enumerate(_parts(records)):
        scores = np.full((len(prepared.candidates), part.end - part.begin, prepared.study.seeds), np.nan)
        for (c, f, s), score in scores_of.items():
            if part.begin <= f < part.end:
                scores[c, f - part.begin, s] = score
        best = going_on(scores, prepared.score.direction, prepared.complexity, standing[k], rung.keep)
        unfinished = {c for c, f, _ in here.outcomes if part.begin <= f < part.end}
        after[k] = {c for c in standing[k] if c in best or c not in unfinished}
        given_up |= {
            who: judge_discarded(prepared, who, outcome, at_rung[who])
            for who, outcome in here.outcomes.items()
            if part.begin <= who[1] < part.end and who[0] not in after[k]
        }
    records.add_judged(given_up)
    return after
