"""A study in rounds: an outer optimizer says which candidates come next, and learns how the last ones did."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from perceptory import backend
from perceptory.errors import InputError, Setting
from perceptory.runs.result import Result
from perceptory.runs.run_folder import Request, RunFolder
from perceptory.selection.nested import Nested
from perceptory.selection.points import Point, Suggest, at, drawn, filled, space
from perceptory.selection.search import Choice
from perceptory.specs import Search, to_json
from perceptory.studies.checks import check_candidates, check_final, check_groups
from perceptory.studies.design import Candidate, StudyDesign, settled, with_numbers
from perceptory.studies.forecasts import for_forecasts
from perceptory.studies.groups import groups_of
from perceptory.studies.keeping import Keeping
from perceptory.studies.keys import environment
from perceptory.studies.own_code import code_of_ones_own
from perceptory.studies.prepare import for_table, for_targets, prepare
from perceptory.studies.records import Records
from perceptory.studies.run import Progress, concluded, train

DRAWS = 1000  # in a row that give nothing new, before a space counts as exhausted


class OuterOptimizer(Protocol):
    """What `Rounds.drive` takes: it says which points come next, and is told their scores."""

    def ask(self, count: int) -> Sequence[Point]: ...
    def tell(self, points: Sequence[Point], scores: Sequence[float]) -> None: ...


class Rounds:
    """A study whose candidates come round by round, from anybody: `Study.rounds`.

    space: its search values by name. All candidates of a round are trained on all folds together, as in a study; rounds
    of the same size and the same structures compile nothing new. What was evaluated before is not trained again.
    """

    def __init__(
        self,
        study: StudyDesign,
        data: Any,
        test: Any = None,
        keeping: Keeping | None = None,
        progress: Progress | None = None,
    ):
        if isinstance(study.validation, Nested) or study.discard is not None or study.start is not None:
            name = "start" if study.start is not None else "discard" if study.discard is not None else "validation"
            raise InputError(
                Setting(name), " of this kind does not go with rounds, whose candidates are not known before. Leave it"
                " out, or run the study as a whole.",
            )  # fmt: skip
        self._started, self._progress = time.perf_counter(), progress
        first = prepare(study.replace(samples=1), data, test=test)
        if first.encoded.task == "autoencode":
            raise InputError(
                "autoencoders are compared with PCA, so rounds do not know them. Run the study as a whole."
            )
        self._study = first.study.replace(samples=study.samples)
        prepared = dataclasses.replace(first, study=self._study, candidates=[], groups=[])
        self._template = _template(self._study, first.candidates[0].cost)
        self._random = np.random.default_rng(study.seed)
        self._drawn: list[dict[str, Any]] = []
        self._found = {} if keeping is None else keeping.members()  # of candidates that are still to be asked for
        self._kept = [] if keeping is None else keeping.rounds()
        self._keeping, self._number = keeping, 0
        self.records = Records(prepared, keeping=keeping)

    @property
    def space(self) -> dict[str, Search]:
        """The study's search values by name; where it has several networks, "network" is the choice among them."""
        return space(self._template)

    @property
    def candidates(self) -> list[Candidate]:
        """All that were evaluated, in the order of their first time."""
        return self.records.prepared.candidates

    def candidate(self, point: Point | Suggest) -> Candidate:
        """The candidate at a point {name: value}, or at what a function (name, search value) suggests, which is asked
        for the values that count. `InputError` for a value that the study does not search."""
        found = filled(self._template, point) if callable(point) else at(self._template, point)
        return with_numbers(settled(found))

    def ask(self, count: int = 1) -> list[dict[str, Any]]:
        """New points at random, by the study's seed, none twice: where there is no outer optimizer, or to begin with.
        Fewer where the space has no more."""
        points: list[dict[str, Any]] = []
        misses = 0
        while len(points) < count and misses < DRAWS:
            point = drawn(self._template, self._random)
            if point in self._drawn:
                misses += 1
                continue
            misses = 0
            self._drawn.append(point)
            points.append(point)
        return points

    def evaluate(self, candidates: Sequence[Candidate | Point]) -> list[float]:
        """Train these on every fold, and give their mean validation scores, nan where one diverged. candidates: as
        `candidate` makes them, or points."""
        wanted = [one if isinstance(one, Candidate) else self.candidate(one) for one in candidates]
        if not wanted:
            return []
        prepared = self.records.prepared
        wanted = for_table(for_forecasts(wanted, prepared.data), prepared.encoder, prepared.data.rows)
        wanted = for_targets(wanted, prepared.encoded)
        self._remember(wanted)
        known = self.candidates
        new = [c for i, c in enumerate(wanted) if c not in known and c not in wanted[:i]]
        if new:
            self._add(new)
        with backend.precision(self._study.arithmetic):
            train(self.records, self._progress)
        means = self.records.scores().mean(axis=(1, 2))
        return [float(means[self.candidates.index(c)]) for c in wanted]

    def drive(self, optimizer: OuterOptimizer, rounds: int, each: int) -> None:
        """So many rounds: ask the optimizer for points, evaluate them, tell it their scores."""
        for _ in range(rounds):
            points = list(optimizer.ask(each))
            optimizer.tell(points, self.evaluate(points))

    def result(self, open_test: bool = False) -> Result:
        """The result of all candidates so far, as that of a study: ranked, one chosen (or several weighed), the model.
        open_test: open the sealed rows, as `Result.test`."""
        if not self.candidates:
            raise InputError("no candidate has been evaluated yet. Call evaluate before.")
        with backend.precision(self._study.arithmetic):
            return concluded(self.records, open_test, self._started)

    def _add(self, new: list[Candidate]) -> None:
        prepared, before = self.records.prepared, len(self.candidates)
        encoded = prepared.encoded
        check_candidates(new, prepared.data, encoded, prepared.score.name)
        check_final(self._study.final, encoded.task, new)
        with backend.precision(self._study.arithmetic):
            groups = groups_of(self._study, new, prepared.split)
        check_groups(groups, self._study.memory)
        for group in groups:
            group.who = [(c + before, f, s) for c, f, s in group.who]
        self.records.prepared = dataclasses.replace(
            prepared, candidates=[*self.candidates, *new], groups=[*prepared.groups, *groups]
        )
        here = range(before, before + len(new))
        self.records.members.update({who: record for who, record in self._found.items() if who[0] in here})

    def _remember(self, wanted: list[Candidate]) -> None:
        """Keep what a round asks in the run folder, or see that it asks the same as before."""
        asked = [to_json(c, strict=False) for c in wanted]
        if self._number < len(self._kept) and self._kept[self._number] != asked:
            raise InputError(
                f"round {self._number + 1} asks for other candidates than before, so its networks cannot be used. Give"
                " the outer optimizer the same seed, or choose ", Setting("overwrite", True), ".",
            )  # fmt: skip
        if self._keeping and self._number >= len(self._kept):
            self._keeping.add_round(asked)
        self._number += 1


def _template(study: StudyDesign, cost: Any) -> Any:
    """A candidate that holds the study's search values."""
    names = ("optimizer", "penalty", "batch_size", "clip", "average", "augmentation", "start", "auxiliary")
    networks: Any = study.networks
    network = networks[0] if len(networks) == 1 else Choice(tuple(networks))
    template: Any = Candidate
    return template(network, study.cost or cost, **{name: getattr(study, name) for name in names})


@contextlib.contextmanager
def in_folder(
    study: StudyDesign,
    data: Any,
    folder: str | Path,
    *,
    test: Any = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: Callable[[dict[str, Any]], None] | None = None,
) -> Iterator[Rounds]:
    """Rounds that are kept in a run folder, which is complete once the block has ended without an error."""
    store = RunFolder(folder)
    store.prepare(resume=resume, overwrite=overwrite)
    rounds = Rounds(study, data, test, progress=progress)
    prepared = rounds.records.prepared
    request = Request(prepared.asked, f"{prepared.fingerprint} in rounds", environment() | code_of_ones_own(prepared))
    with store.writing(request, resume=resume, overwrite=overwrite):
        rounds = Rounds(study, data, test, Keeping(store), progress)
        yield rounds
        if rounds.candidates:
            result = rounds.result()
            result.fingerprint = request.fingerprint
            result.write(store)
