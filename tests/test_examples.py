"""Every example runs: in this process with few epochs, and one as it is in a process of its own."""

import os
import runpy
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from perceptory.studies import groups

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
# The others run as they are. One network is looked at like the next.
ARGUMENTS = {"adding_problem": ["--networks", "RNN", "--length", "20", "--examples", "300"]}
ALONE = "train_with_optax"  # in a process of its own


def test_there_are_examples():
    assert EXAMPLES


@pytest.fixture
def few_epochs(monkeypatch):
    """Trainings end after eight epochs: what an example prints is not looked at."""
    wanted = groups._epochs
    monkeypatch.setattr(groups, "_epochs", lambda *arguments: min(8, wanted(*arguments)))


@pytest.mark.slow
@pytest.mark.usefixtures("few_epochs")
@pytest.mark.parametrize("path", [path for path in EXAMPLES if path.stem != ALONE], ids=lambda p: p.stem)
def test_it_runs(path, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "argv", [str(path), *ARGUMENTS.get(path.stem, [])])
    monkeypatch.syspath_prepend(str(path.parent))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # where they leave their figures
    try:
        runpy.run_path(str(path), run_name="__main__")
    finally:
        for other in EXAMPLES:  # that it imported
            sys.modules.pop(other.stem, None)
    assert capsys.readouterr().out.strip()


def test_one_runs_in_a_process_of_its_own():
    done = subprocess.run(
        [sys.executable, "-W", "error", f"examples/{ALONE}.py"], cwd=ROOT, env=os.environ | {"PYTHONUTF8": "1"},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
