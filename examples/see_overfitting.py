"""Overfitting: the error over the epochs, the amount of data and the size of the network.

`python examples/see_overfitting.py FOLDER` keeps the figures.
"""

import sys
import tempfile
from pathlib import Path

import perceptory as pt
from perceptory import figures as plots

folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
data = pt.load_bundled("diabetes")
large = pt.Study(pt.MLP((64,)), epochs=60, patience=0, validation=pt.KFold(4), final="folds")

curve = pt.insight.learning_curve(large, data, sizes=(20, 60, 180, 265))
print(curve, end="\n\n")
curve.figure().savefig(folder / "over the data.png")

sizes = large.replace(networks=[pt.MLP((pt.choice(1, 8, 64),))])
result = sizes.run(data)
pt.insight.size_curve(result).savefig(folder / "over the size.png")
plots.learning_curves(result, result.candidates[-1].id).savefig(folder / "over the epochs.png")
for c in sorted(result.candidates, key=lambda c: c.weights):
    print(f"{c.weights:>5} weights: validation {c.mean:.1f}, training {c.train:.1f}, best epoch {c.best_epoch:.0f}")
