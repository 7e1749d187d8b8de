"""Why the mean of networks errs less than one: v/k + (k - 1) c/k, measured on sealed rows.

`python examples/see_an_ensemble.py FOLDER` keeps the figures.
"""

import sys
import tempfile
from pathlib import Path

import perceptory as pt

folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
data = pt.load_bundled("diabetes")
study = pt.Study(pt.MLP((32,)), epochs=100, validation=pt.KFold(5), seeds=2)
result = study.run(data)
result.test()
errors = pt.insight.error_decomposition(result)
print(errors)
errors.figure().savefig(folder / "ensemble.png")
pt.insight.decision_surface(result.model, data).savefig(folder / "surface.png")
pt.insight.weight_histograms(result.model).savefig(folder / "weights.png")
