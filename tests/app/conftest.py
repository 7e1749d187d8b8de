"""A small table, a run of it, and the command line called in this process."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from perceptory.app.cli import main
from perceptory.figures import svg

to_svg = svg.to_svg
TINY = ["--network", "mlp:4", "--learning-rate", "0.01", "--folds", "2", "--epochs", "3"]


def table(path: Path, rows: int = 40) -> Path:
    """A table of two numbers, a color and y = a + 2 b + noise."""
    random = np.random.default_rng(0)
    a, b = random.normal(size=(2, rows))
    y = a + 2 * b + 0.1 * random.normal(size=rows)
    lines = [f"{a[i]:.6f},{b[i]:.6f},{('red', 'green')[i % 2]},{y[i]:.6f}" for i in range(rows)]
    path.write_text("\n".join(["a,b,color,y", *lines]) + "\n")
    return path


@pytest.fixture
def perceptory(tmp_path, monkeypatch, capsys):
    """Call the command line in an empty folder: (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def call(*argv: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main([str(a) for a in argv])
        return (code, *capsys.readouterr())

    return call


@pytest.fixture(scope="session")
def run(tmp_path_factory) -> Path:
    """A finished run folder beside its table, data.csv."""
    folder = tmp_path_factory.mktemp("run")
    data = table(folder / "data.csv")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(svg, "to_svg", to_svg)  # whichever file asks first, the report is whole
        assert main(["fit", str(data), "--target", "y", *TINY, "--out", str(folder / "out"), "--quiet"]) == 0
    return folder / "out"
