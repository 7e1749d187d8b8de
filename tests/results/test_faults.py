"""The short form of `python -m benchmarks.faults writes`: a fault at every operation on files of a run folder."""

import contextlib
import shutil

import numpy as np
import pytest

from benchmarks.faults.writes import FAULTS, Fault, Killed, failing
from perceptory import load_result
from perceptory.errors import InputError
from perceptory.reports import page
from perceptory.runs.run_folder import Request, RunFolder


@pytest.fixture
def job(make_result, tmp_path, monkeypatch):
    """A run without its training: parts are kept, then its files written. The same for a run of another study."""
    monkeypatch.setattr(page, "render", lambda result: "page")
    results = {name: make_result(rows=12, test_rows=3, candidates=1, folds=2, seeds=1, epochs=3) for name in "ab"}

    def write(asked="a", **how):
        folder, result = RunFolder(tmp_path / "run"), results[asked]
        result.fingerprint = asked
        folder.prepare(resume=how.get("resume", False), overwrite=how.get("overwrite", False))
        with folder.writing(Request({}, asked, {}), **how):
            if not folder.complete_before:
                folder.keep("members", {"w": np.arange(3.0)}, {"of": asked})
                folder.keep_running({"w": np.arange(2.0)}, {"of": asked})
                parts = [*folder.kept("members"), folder.kept_running()]
                assert all(facts == {"of": asked} for _, facts in parts)
            folder.complete(result)

    return tmp_path / "run", write


@pytest.mark.parametrize("before", ["nothing", "another run"])
def test_no_fault_leaves_a_folder_that_cannot_be_used(job, before):
    run, write = job
    how = {"overwrite": True} if before == "another run" else {}

    def begin():
        shutil.rmtree(run, ignore_errors=True)
        if how:
            write("b")

    begin()
    clean = Fault(run)
    with failing(clean):
        write(**how)
    assert clean.count > 25
    for kind in FAULTS:
        for at in range(0, clean.count, 7 if how else 3):
            begin()
            with contextlib.suppress(InputError, Killed), failing(Fault(run, kind, at)):
                write(**how)
            try:
                write(resume=True)
            except InputError as error:
                assert "asked something else" in str(error)  # noqa: PT017
                assert how
                write(overwrite=True)
            assert load_result(run).fingerprint == "a"
            assert {p.name for p in run.iterdir()} == {
                "study.json", "result.json", "history.parquet", "predictions.csv", "report.html",
            }  # fmt: skip
