"""Every example runs as it is: in this process, one also in a process of its own, as a user would run it."""

import os
import runpy
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def test_there_are_examples():
    assert EXAMPLES


@pytest.mark.slow
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_it_runs(path, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "argv", [str(path)])
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
        [sys.executable, "-W", "error", "examples/train_with_optax.py"], cwd=ROOT, env=os.environ | {"PYTHONUTF8": "1"},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
