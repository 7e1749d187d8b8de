"""Training elsewhere: whatever happens to workers, the study has every member once and the bits that it has here."""

import concurrent.futures
import dataclasses
import hashlib
import logging
import multiprocessing
import os
import signal
import time

import numpy as np
import pytest

import perceptory as pt
from perceptory.data import load_bundled
from perceptory.errors import InputError
from perceptory.studies import engine as engines
from perceptory.studies.engine import check_executor
from perceptory.studies.units import unit_size
from perceptory.training import remote


@pytest.fixture(scope="module")
def data():
    return load_bundled("diabetes")


def study(**changes):
    plain = {"networks": pt.MLP(hidden=pt.choice((4,), (6,))), "epochs": 3, "seeds": 2, "validation": pt.KFold(3)}
    return pt.Study(**plain | changes)


def bits(result):
    digest = hashlib.sha256()
    for member in result.members:
        digest.update(repr((member.candidate, member.fold, member.seed, member.status, member.epochs)).encode())
        digest.update(np.asarray(member.validation_cost).tobytes())
    x = np.asarray(result.predictions.output)
    return digest.update(x.tobytes()) or digest.hexdigest()


@pytest.fixture(scope="module")
def here(data):
    return bits(study().run(data))


class Engine:
    """Does what it is given at once; `faults` happen to the units in turn."""

    def __init__(self, *faults, workers=2):
        self.faults, self.max_workers, self.units = list(faults), workers, 0

    def submit(self, function, *arguments):
        future = concurrent.futures.Future()
        if function is remote.greet:
            future.set_result(function(*arguments))
            return future
        self.units += 1
        fault = self.faults.pop(0) if self.faults else None
        if fault == "gone":
            raise RuntimeError("cannot schedule new futures after shutdown")
        if fault == "hangs":
            return future
        try:
            future.set_result(fault(function, *arguments) if callable(fault) else function(*arguments))
        except Exception as error:
            future.set_exception(error)
        return future


def dies(function, *arguments):
    raise ConnectionError("worker died")


def comes_twice(function, *arguments):
    function(*arguments)
    return function(*arguments)


def cannot_read(function, unit, shared):
    remote._held.clear()
    return function(unit, shared if isinstance(shared, bytes) else "/nowhere/at/all")


def out_of_memory(function, unit, shared):
    return remote.Report(unit.name, remote.greet(), error=MemoryError())


@pytest.mark.parametrize(
    "faults",
    [
        (),
        (dies,) * 4,
        (dies,) * 40,
        (comes_twice,) * 3,
        (cannot_read,) * 3,
        (out_of_memory,),
        ("gone",),
        (None, "gone"),
    ],
    ids=["nothing", "four die", "all die", "twice", "no file", "memory", "gone at once", "gone later"],
)
def test_whatever_happens_the_bits_are_those_of_here(data, here, faults):
    engine = Engine(*faults)
    result = study().run(data, executor=engine)
    assert bits(result) == here
    facts = result.environment["cluster"]
    assert facts["units"] == 4  # 2 candidates of 6 members in blocks of 3
    assert (facts["given_out_again"] > 0) == any(f is not None and f is not comes_twice and f != "gone" for f in faults)


def test_a_unit_that_hangs_is_given_out_again(data, here, monkeypatch):
    monkeypatch.setattr(engines, "PATIENCE", 0.2)
    monkeypatch.setattr(engines, "LATE", 0.0)
    result = study().run(data, executor=Engine(None, "hangs", "hangs"))
    assert bits(result) == here
    assert result.environment["cluster"]["given_out_again"] == 2


def test_a_lost_cluster_is_said_once(data, caplog):
    with caplog.at_level(logging.WARNING, "perceptory"):
        study().run(data, executor=Engine("gone"))
    (said,) = [record.getMessage() for record in caplog.records]
    assert said == (
        "perceptory: the cluster is gone (RuntimeError: cannot schedule new futures after shutdown); the study goes on"
        " here alone."
    )


def test_unlike_processors_are_compared_once(data, caplog):
    def elsewhere(function, unit, shared):
        report = function(unit, shared)
        worker = dataclasses.replace(report.worker, environment=report.worker.environment | {"processor": "other"})
        shifted = {
            k: dataclasses.replace(o, validation_output=o.validation_output + 1) for k, o in report.outcomes.items()
        }
        return dataclasses.replace(report, worker=worker, outcomes=shifted)

    with caplog.at_level(logging.WARNING, "perceptory"):
        result = study().run(data, executor=Engine(elsewhere, elsewhere))
    (kind,) = result.environment["cluster"]["differences"]
    assert kind == "processor other"
    assert 0.1 < result.environment["cluster"]["differences"][kind] < 100  # 1 in deviations of an output
    assert sum("computes elsewhere" in record.getMessage() for record in caplog.records) == 1


def test_other_versions_are_refused(data, monkeypatch):
    def older(function, unit, shared):
        return function(dataclasses.replace(unit, versions=unit.versions | {"jax": "0.4.1"}), shared)

    with pytest.raises(InputError, match=r"has jax .* instead of 0\.4\.1.*Install the same"):
        study().run(data, executor=Engine(older))


def test_what_training_raises_is_raised(data):
    def faulty(function, unit, shared):
        report = function(dataclasses.replace(unit, group=99), shared)
        assert "Traceback" in report.traceback
        return report

    with pytest.raises(IndexError):
        study().run(data, executor=Engine(faulty))


def test_units_of_the_same_data_share_it(data):
    sent = []

    def watched(function, unit, shared):
        sent.append(shared)
        return function(unit, shared)

    study(networks=[pt.MLP(hidden=(4,)), pt.MLP(hidden=(5, 3))]).run(data, executor=Engine(*[watched] * 20))
    assert len(sent) == 4
    assert len(set(sent)) == 1
    assert not os.path.exists(sent[0])  # removed at the end


def test_what_is_learned_first_and_the_refit_are_trained_there(data):
    lesson = pt.Pretraining(pt.Masked(code=3), epochs=2)
    asked = study(networks=pt.MLP(hidden=(4,)), pretraining=lesson, final="refit", seeds=1)
    engine = Engine()
    there = asked.run(data, executor=engine)
    assert bits(there) == bits(asked.run(data))
    assert engine.units > 4


def test_a_run_that_lost_its_cluster_is_resumed_with_or_without(data, here, tmp_path):
    class Stopped(BaseException):
        pass

    def stop(state):
        if state["members_done"] >= 3:
            raise Stopped

    with pytest.raises(Stopped):
        study().run(data, executor=Engine(), folder=tmp_path / "run", progress=stop)
    engine = Engine()
    result = study().run(data, executor=engine, folder=tmp_path / "run", resume=True)
    assert engine.units == 3  # one was kept
    assert bits(result) == here
    assert pt.load_result(tmp_path / "run").validation == result.validation


@pytest.mark.parametrize(
    ("executor", "sentence"),
    [
        (object(), "executor takes an engine with submit"),
        ("tcp://scheduler", "executor takes an engine with submit"),
    ],
)
def test_no_engines(executor, sentence):
    with pytest.raises(InputError, match=sentence):
        check_executor(executor)


def test_forked_processes_are_refused():
    forked = multiprocessing.get_context("fork")
    with concurrent.futures.ProcessPoolExecutor(1, forked) as pool, pytest.raises(InputError, match="spawn"):
        check_executor(pool)


def test_streams_are_trained_on_one_machine(tmp_path):
    import polars as pl

    pl.DataFrame({"x": np.arange(500.0), "y": np.arange(500.0)}).write_parquet(tmp_path / "t.parquet")
    with pytest.raises(InputError, match="streamed table is trained on one machine"):
        study().run(pt.stream_table(tmp_path / "t.parquet", target="y"), executor=Engine())


def test_units_are_whole_blocks_and_enough_for_all_workers(data):
    from perceptory.studies.prepare import prepare

    (group, _) = prepare(study(seeds=8, validation=pt.KFold(5)), data).groups
    plan = group.plan
    for workers in (1, 2, 4, 1000):
        size = unit_size(plan, 40, workers, 1e6)
        assert size % plan.block == 0
        assert -(-40 // size) >= min(workers, 40 // plan.block)


@pytest.mark.filterwarnings("ignore")
def test_dask_workers_that_are_killed(data, here):
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=logging.CRITICAL) as local,
        Client(local, set_as_default=False) as client,
    ):
        (first, *_) = client.run(os.getpid).values()
        began = time.monotonic()

        def kill(state):
            nonlocal first
            if first:
                os.kill(first, signal.SIGKILL)
                first = 0

        result = study().run(data, executor=client, progress=kill)
        assert time.monotonic() - began < 120
    assert bits(result) == here
    assert not first
