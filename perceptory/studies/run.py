"""Running a study: prepare, train every group, rank, choose, assemble the result."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from perceptory import backend
from perceptory.catalog import PRECISIONS
from perceptory.data.tables.streamed import StreamedTable
from perceptory.errors import InputError, Setting
from perceptory.kernels import build
from perceptory.models.model_file import load
from perceptory.networks.custom import Custom
from perceptory.notes import beyond_memory
from perceptory.runs.contents import MODEL
from perceptory.runs.result import Result, load_result
from perceptory.runs.run_folder import Request, RunFolder
from perceptory.studies.all_rows import learns_from_all, with_all_rows
from perceptory.studies.assemble import result_of
from perceptory.studies.cluster import Cluster
from perceptory.studies.design import StudyDesign
from perceptory.studies.extremes import hints
from perceptory.studies.groups import Group
from perceptory.studies.keeping import Keeping
from perceptory.studies.keys import environment
from perceptory.studies.nesting import choose, judged_outside
from perceptory.studies.own_code import code_of_ones_own
from perceptory.studies.prepare import Prepared, prepare
from perceptory.studies.pretexts import Pretexts, hand_over, learn
from perceptory.studies.records import Records
from perceptory.studies.rungs import train_in_rungs
from perceptory.studies.sealing import SealedRows
from perceptory.studies.streaming import PreparedStream, prepare_streamed
from perceptory.studies.units import Job
from perceptory.training.ahead import compiled_ahead
from perceptory.training.driver import Outcome, Pause, Running, further, train_group
from perceptory.training.pace import Pace
from perceptory.training.plan import Member, ProgramPlan
from perceptory.training.streamed import train_streamed

log = logging.getLogger("perceptory")

Progress = Callable[[dict[str, Any]], None]


def run(
    study: StudyDesign,
    data: Any,
    *,
    test: Any = None,
    folder: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    open_test: bool = False,
    progress: Progress | None = None,
    executor: Any = None,
    padded: bool = False,
) -> Result:
    """See `Study.run`. padded: sizes rounded up, so that data of nearly the same size share compiled programs."""
    started = time.perf_counter()
    cluster = None if executor is None else Cluster(executor)
    if cluster is not None and isinstance(data, StreamedTable):
        raise InputError("a streamed table is trained on one machine. Leave the cluster out.")
    if cluster is not None and study.discard is not None:
        raise InputError(
            "candidates are discarded on one machine, where all stand at once. Leave ",
            Setting("discard"),
            " or the cluster out.",
        )
    if folder is None:
        prepared = _prepared(study, data, test, padded)
        return _result(Records(prepared, cluster=cluster), progress, open_test, started)
    store = RunFolder(folder)
    store.prepare(resume=resume, overwrite=overwrite)
    prepared = _prepared(study, data, test, padded)
    request = Request(prepared.asked, prepared.fingerprint, environment() | code_of_ones_own(prepared))
    with store.writing(request, resume=resume, overwrite=overwrite):
        if store.complete_before:
            finished = _finished(store, prepared)
            if finished is not None:
                store.drop_parts()
                return finished
        result = _result(_recalled(prepared, store, cluster), progress, open_test, started)
        result.write(store)
    return result


def _result(records: Records, progress: Progress | None, open_test: bool, started: float) -> Result:
    """Train what is not trained, and conclude."""
    with backend.precision(records.prepared.study.arithmetic):
        train(records, progress)
    return concluded(records, open_test, started)


def concluded(records: Records, open_test: bool, started: float) -> Result:
    """Choose, assemble, and open the sealed rows if asked."""
    prepared = records.prepared
    with backend.precision(prepared.study.arithmetic):
        ids, own = _ids(len(prepared.candidates)), records.of_part(0)
        try:
            choice = choose(own, ids)
        except InputError as error:  # where nothing could be learned, a value that is far off may be why
            raise InputError(error, *hints(prepared.sealed.notes)) from None
        nested = judged_outside(records, ids)
    result = result_of(own, choice.ranking, choice.chosen, ids, choice.model, started, choice.mixture)
    result.nested, result.fingerprint = nested, prepared.fingerprint
    if isinstance(result.sealed, SealedRows) and learns_from_all(prepared):
        mixture = choice.mixture
        inside, shares = ([choice.chosen.index], [1.0]) if mixture is None else (mixture.candidates, mixture.shares)
        result.sealed = replace(result.sealed, anew=partial(with_all_rows, own, inside, shares))
    if open_test:
        result.test()
    return result


def _prepared(study: StudyDesign, data: Any, test: Any, padded: bool) -> Prepared:
    if not isinstance(data, StreamedTable):
        prepared = prepare(study, data, test=test, padded=padded)
        for note in prepared.sealed.notes:
            if beyond_memory.describes(note):  # before the machine stands still over it
                log.warning("perceptory: %s", note)
        return prepared
    if test is not None:
        raise InputError("a streamed table is tested on a share of its own rows. Leave the test data out.")
    return prepare_streamed(study, data)


def _finished(store: RunFolder, prepared: Prepared) -> Result | None:
    """The run that the folder holds, where nothing of it is left to do; None, and a warning, where it is damaged."""
    try:
        result = load_result(store.path)
        if result.tested is None and result.data.test_rows:
            return None  # its sealed rows are with this process, and may be opened
        candidate = next(c for c, id in enumerate(_ids(len(prepared.candidates))) if id == result.best)
        network = prepared.candidates[candidate].network
        if (store.path / MODEL).is_file():
            result.model = load(store.path, network if isinstance(network, Custom) else None)
    except (InputError, StopIteration) as error:
        log.warning("perceptory: the finished run is made anew, since its files are damaged: %s", error)
        return None
    return result


def _recalled(prepared: Prepared, store: RunFolder, cluster: Cluster | None) -> Records:
    """The members that the run folder holds already."""
    keeping = Keeping(store)
    return Records(prepared, keeping.members(), keeping=keeping, learned=keeping.learned(), cluster=cluster)


def train(records: Records, progress: Progress | None) -> None:
    """Train and judge every member that is not among the records."""
    prepared = records.prepared
    display = _Display(records, progress)
    if prepared.pretexts is not None:
        _learn_first(prepared.pretexts, records, display)
    if records.cluster is not None:
        _train_elsewhere(records.cluster, records, display)
        return
    groups, dtype = _to_compile(records), PRECISIONS[prepared.study.arithmetic]
    build.begin(*((kernel, dtype) for plan, _ in groups for kernel in plan.network.kernels))
    ahead = [] if isinstance(prepared, PreparedStream) else groups[1:]
    with compiled_ahead(ahead, prepared.raw, prepared.study.arithmetic) as begins:
        _train_here(records, display, begins)


def _to_compile(records: Records) -> list[tuple[ProgramPlan, Member]]:
    """Of groups with members to train."""
    return [(g.plan, g.members) for g in records.prepared.groups if any(who not in records.members for who in g.who)]


def _train_here(records: Records, display: _Display, begins: Callable[[], None]) -> None:
    """begins: to be called when the training of a group begins."""
    prepared = records.prepared
    one = partial(_train, records=records, display=display, begins=begins)
    if prepared.study.discard is not None:
        train_in_rungs(records, partial(one, paces={}))
        return
    for group in prepared.groups:
        waiting = [place for place, who in enumerate(group.who) if who not in records.members]
        begun = time.perf_counter()
        if waiting:
            one(group, waiting)
        candidates = {c for c, _, _ in group.who}
        took = time.perf_counter() - begun
        records.seconds |= dict.fromkeys(candidates, took / len(candidates))


def _learn_first(pretexts: Pretexts, records: Records, display: _Display) -> None:
    """Train what the waiting members begin with, but for what is known, and hand it over to them."""
    prepared, keeping = records.prepared, records.keeping
    every = [who for group in prepared.groups for who in group.who if who[0] in pretexts.of]
    wanted = {pretexts.place(*who) for who in every if who not in records.members} - records.learned.keys()
    display.next_group()
    learn(
        pretexts, wanted, finished=records.add_learned, progress=display.show, keeping=keeping, cluster=records.cluster
    )  # fmt: skip
    hand_over(prepared.groups, pretexts, {place: one.weights for place, one in records.learned.items()})


def _train_elsewhere(cluster: Cluster, records: Records, display: _Display) -> None:
    """Train every group's members on a cluster, all groups at once."""
    if records.keeping:
        records.keeping.check_kernels()

    def job(group: Group) -> Job:
        waiting = [place for place, who in enumerate(group.who) if who not in records.members]
        candidates = {c for c, _, _ in group.who}

        def finished(outcomes: dict[int, Outcome]) -> None:
            records.add((group.who[place], outcome) for place, outcome in outcomes.items())

        def took(seconds: float) -> None:
            for c in candidates:
                records.seconds[c] = records.seconds.get(c, 0.0) + seconds / len(candidates)

        return Job(group.plan, group.members, records.prepared.raw, waiting, finished, took)

    display.next_group()
    cluster.train([job(group) for group in records.prepared.groups], display.show)


def _train(
    group: Group,
    waiting: list[int],
    standing: Running | None = None,
    pause: Pause | None = None,
    *,
    records: Records,
    display: _Display,
    begins: Callable[[], None],
    paces: dict[int, Pace] | None = None,
) -> None:
    """standing: states of members that go on from a rung; pause: where they are to stand next; paces: of groups, by
    identity, from rung to rung."""
    keeping = records.keeping
    running = further(keeping.running("members", group.who) if keeping else None, standing)
    look = keeping.look("members", group.who) if keeping else None
    if keeping:
        keeping.check_kernels()

    def finished(outcomes: dict[int, Outcome]) -> None:
        records.add((group.who[place], outcome) for place, outcome in outcomes.items())

    display.next_group()
    begins()
    prepared = records.prepared
    if isinstance(prepared, PreparedStream):
        checkpoint = keeping.stream(prepared.groups.index(group)) if keeping else None
        train_streamed(
            group.plan, group.members, prepared.portions, waiting=waiting, finished=finished,
            progress=partial(display.show, each=prepared.portions.size), checkpoint=checkpoint,
        )  # fmt: skip
        return
    train_group(
        group.plan, group.members, prepared.raw, waiting=waiting, running=running, finished=finished,
        progress=display.show, look=look, pause=pause,
        pace=None if paces is None else paces.setdefault(id(group), Pace(group.plan)),
    )  # fmt: skip


def _ids(count: int) -> list[str]:
    return [f"c{i + 1:0{len(str(count))}d}" for i in range(count)]


class _Display:
    """Tells `progress` after every segment how far the study is."""

    def __init__(self, records: Records, progress: Progress | None):
        self.records, self.progress = records, progress
        self.started, self.recalled = time.perf_counter(), len(records.members)
        self.epochs_before = self.epochs_here = 0  # of earlier groups, of this one
        self.begun = self.started  # of this group
        groups = records.prepared.groups
        waiting = [(g, place) for g in groups for place, who in enumerate(g.who) if who not in records.members]
        self.most_epochs = sum(int(g.members.epochs[place]) for g, place in waiting)

    def next_group(self) -> None:
        self.begun = time.perf_counter()
        self.epochs_before += self.epochs_here
        self.epochs_here = 0

    def show(self, epochs: int, each: int = 0) -> None:
        """epochs: trained of this group; each: rows of an epoch, where it is a portion of a stream."""
        self.epochs_here = epochs
        if self.progress:
            total = sum(len(group.who) for group in self.records.prepared.groups)
            seconds = time.perf_counter() - self.started
            state = self.records.state(total, self.recalled, self.epochs_before + epochs, seconds)
            if self.records.cluster is not None:
                state["workers"] = self.records.cluster.engine.at_work
            if each:
                training = max(time.perf_counter() - self.begun, 1e-9)
                state["rows_per_second"] = epochs * each / training
                state["seconds_left"] = training / epochs * (self.most_epochs - self.epochs_before - epochs)
            self.progress(state)
