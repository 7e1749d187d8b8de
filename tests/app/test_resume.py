"""A run that is killed goes on where it was, to the same bits; Ctrl-C says how."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from tests.app.conftest import table

# Networks of four shapes are four groups: the first is kept long before the last is compiled.
STUDY = ["--network", "mlp:4/5/6/3,3", "--learning-rate", "0.01/0.02", "--folds", "3", "--epochs", "40"]


def start(folder: Path, *more: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "perceptory", "fit", "data.csv", "--target", "y", *STUDY, *more]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def stop_when_kept(process: subprocess.Popen[str], run: Path, by: signal.Signals) -> None:
    """Send the signal as soon as a finished network is kept."""
    deadline = time.monotonic() + 60
    while not list((run / "chunks").glob("*.members")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)
    os.kill(process.pid, by)


def scores(run: Path) -> list[tuple]:
    result = json.loads((run / "result.json").read_text())
    members = [(m["candidate"], m["fold"], m["score"], m["train_score"], m["status"]) for m in result["members"]]
    return [result["best"], result["test"], result["validation"], members]


@pytest.mark.slow
def test_killed_and_resumed_gives_the_same_bits(tmp_path):
    table(tmp_path / "data.csv")
    whole, run = tmp_path / "whole", tmp_path / "killed"
    undisturbed = start(tmp_path, "--out", "whole", "--quiet")
    assert undisturbed.communicate(timeout=120) == ("", "")
    assert undisturbed.returncode == 0

    process = start(tmp_path, "--out", "killed")
    stop_when_kept(process, run, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not (run / "result.json").exists()
    kept = {p.name: p.read_bytes() for p in (run / "chunks").iterdir() if p.suffix == ".members"}
    assert kept

    # Another question is refused, and nothing that is kept is touched.
    other = start(tmp_path, "--out", "killed", "--resume", "--seed", "1")
    assert "asked something else" in other.communicate()[1]
    assert other.returncode == 2
    assert {n: (run / "chunks" / n).read_bytes() for n in kept} == kept

    # Ctrl-C while it goes on: it says how to go on again.
    again = start(tmp_path, "--out", "killed", "--resume")
    deadline = time.monotonic() + 60
    while again.poll() is None and len(list((run / "chunks").glob("*.members"))) <= len(kept):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    again.send_signal(signal.SIGINT)
    _, said = again.communicate()
    if not (run / "result.json").exists():  # on a busy machine the signal may come when all is done
        assert again.returncode == 130
        command = " ".join(["fit data.csv --target y", *STUDY, "--out killed --resume"])
        assert said == f"perceptory: stopped. What is trained is kept; go on with: perceptory {command}\n"
        last = start(tmp_path, "--out", "killed", "--resume", "--quiet")
        assert last.communicate() == ("", "")
        assert last.returncode == 0
    assert scores(run) == scores(whole)
    one, two = load_file(run / "model.safetensors"), load_file(whole / "model.safetensors")
    assert one.keys() == two.keys()
    assert all(one[k].tobytes() == two[k].tobytes() for k in one)
    assert (run / "predictions.csv").read_bytes() == (whole / "predictions.csv").read_bytes()
