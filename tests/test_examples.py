"""Every example runs, with few epochs."""

import runpy
import sys
import tempfile
from pathlib import Path

import pytest

from perceptory.studies import design, groups

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
# The others run as they are. One network is looked at like the next.
WHOLE = {"see_approximation"}  # its candidates are the points of a curve
ARGUMENTS = {"adding_problem": ["--networks", "RNN", "--length", "20", "--examples", "300"]}


def test_there_are_examples():
    assert EXAMPLES


@pytest.fixture
def little_training(monkeypatch, path):
    """Trainings end after two epochs, and the first three candidates stand for the others: what an example prints is
    not looked at."""
    wanted, expand = groups._epochs, design.expand_each
    monkeypatch.setattr(groups, "_epochs", lambda *arguments: min(2, wanted(*arguments)))
    if path.stem not in WHOLE:
        monkeypatch.setattr(design, "expand_each", lambda *arguments: expand(*arguments)[:3])


@pytest.mark.slow
@pytest.mark.usefixtures("little_training")
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
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
