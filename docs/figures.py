"""Draw the README's two figures from the run folder of `perceptory demo`: `python docs/figures.py demo-run`."""

import sys
from pathlib import Path

import perceptory as pt
from perceptory import figures

result = pt.load_result(sys.argv[1] if len(sys.argv) > 1 else "demo-run")
for name, figure in {"ranking": figures.ranking(result), "learning": figures.learning_curves(result)}.items():
    path = Path(__file__).parent / f"{name}.png"
    figure.set_size_inches(5.6, 4.6)
    figure.savefig(path, dpi=110, pil_kwargs={"optimize": True})
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB")
