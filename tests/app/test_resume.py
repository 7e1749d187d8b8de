"""A run that is killed goes on where it was, to the same bits; Ctrl-C says how."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from perceptory.app.cli import main
from tests.app.conftest import table

# Networks of three shapes are three groups: the first is kept long before the last is compiled.
STUDY = ["--network", "mlp:4/5/3,3", "--learning-rate", "0.01/0.02", "--folds", "3", "--epochs", "40"]


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


def comparable(run: Path) -> list[Any]:
    """A run's files; of result.json all but times and what follows from them."""
    result = json.loads((run / "result.json").read_text())
    for entry in (result, *result["candidates"]):
        entry.pop("seconds")
    result.pop("digest")
    names = ("study.json", "history.parquet", "model.safetensors", "predictions.csv")
    return [result, *((run / name).read_bytes() for name in names)]


# Those that whoever runs the tests does not have ignored, as nohup has SIGHUP.
SIGNALS = [n for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if signal.getsignal(n) != signal.SIG_IGN]


def until_it_listens(process: subprocess.Popen[str]) -> None:
    """Wait until the program itself answers a signal: before that Python ends it, or says that it was interrupted."""
    status = Path(f"/proc/{process.pid}/status")
    if not status.exists():  # not on Linux
        time.sleep(1)
        return
    while not int(status.read_text().partition("SigCgt:")[2].split()[0], 16) >> (signal.SIGTERM - 1) & 1:
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)


def test_signals_end_the_program_with_a_sentence(tmp_path):
    """While it imports, reads and compiles: one after the other, all at work at the same time."""
    table(tmp_path / "data.csv")
    processes = {number: start(tmp_path, "--out", f"run{number}", "--epochs", "100000") for number in SIGNALS}
    for number, process in processes.items():
        until_it_listens(process)
        process.send_signal(number)
    for number, process in processes.items():
        said = process.communicate(timeout=60)[1]
        if process.returncode != -number:  # on a busy machine the signal may come before Python has started
            assert (process.returncode, said.count("\n")) == (128 + number, 1)
            assert said.startswith("perceptory: stopped")


@pytest.mark.slow
def test_killed_and_resumed_gives_the_same_bits(tmp_path, monkeypatch, capsys):
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
    monkeypatch.chdir(tmp_path)
    asked = ["fit", "data.csv", "--target", "y", *STUDY, "--out", "killed", "--resume"]
    assert main([*asked, "--seed", "1"]) == 2
    assert "asked something else" in capsys.readouterr().err
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
    assert comparable(run) == comparable(whole)
    capsys.readouterr()
    assert main([*asked, "--quiet"]) == 0  # nothing is left to do
    assert capsys.readouterr() == ("", "")
    assert comparable(run) == comparable(whole)
