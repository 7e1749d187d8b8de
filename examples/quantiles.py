"""What is known of a target beside its mean: a fan of quantiles, and a Gaussian's mean and deviation.

The noise is skewed and grows with x. Quantiles follow its shape; a Gaussian knows only how wide it is.
"""

import tempfile
from pathlib import Path

import numpy as np

import perceptory as pt
from perceptory.figures import fan

random = np.random.default_rng(0)
x = random.uniform(0, 10, 1500)
y = 3 * np.sin(x) + 0.5 * x + (0.2 + 0.15 * x) * (random.gamma(2.0, size=x.size) - 2)
data = pt.read_table({"x": x, "y": y}, "y")
levels = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)

common = {
    "networks": pt.MLP((32, 32)),
    "optimizer": pt.Adam(pt.Cosine(1e-2)),
    "validation": pt.KFold(5),
    "epochs": 100,
    "score": "mae",
}
for cost in (pt.Quantile(levels), pt.GaussianLikelihood()):
    result = pt.Study(cost=cost, **common).run(data)
    tested = result.test()
    rows = result.predictions.row[result.predictions.part == "test"]
    found = result.model.predict_quantiles({"x": x[rows]}, levels)
    below = np.mean(y[rows, None] < found.values[:, 0], axis=0)
    print(f"{cost.label}: MAE on the sealed rows {tested['mae']:.3f}")
    print("   level           " + "  ".join(f"{level:.2f}" for level in levels))
    print("   share below it  " + "  ".join(f"{share:.2f}" for share in below))
    grid = np.linspace(0, 10, 200)
    figure = fan(result.model, {"x": grid}, grid, levels=levels, rows=(x[rows], y[rows]), name="x")
    path = Path(tempfile.gettempdir()) / f"{type(cost).__name__}.png"
    figure.savefig(path)
    print(f"   {path}")
