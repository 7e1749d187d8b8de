"""Auxiliary objectives: a forecast that learns nearer moments beside its own, where the study finds that it pays.

Water runs through two tanks, one below the other. The level of the lower one is to be forecast 16 steps ahead; its
levels in between are auxiliary targets, on heads of the same network that the model drops. A weight of 0 stands beside
the others, so the study itself says whether they help. `python examples/auxiliary_objective.py FOLDER` keeps figures.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np

import perceptory as pt
from perceptory.figures import auxiliary_curves

folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
random = np.random.default_rng(0)
inflow = np.repeat(random.uniform(0.2, 1.2, 60), 8)  # changes every eight steps
upper, lower = np.zeros(480), np.zeros(480)
for t in range(479):
    between = 0.6 * np.sqrt(upper[t])
    upper[t + 1] = max(upper[t] + 0.2 * (inflow[t] - between), 0)
    lower[t + 1] = max(lower[t] + 0.2 * (between - 0.5 * np.sqrt(lower[t])), 0)
table = {"inflow": inflow, "level": lower + 0.03 * random.normal(size=480)}

data = pt.read_series(table, "level", predict="ahead", inputs=["inflow", "level"], window=8, horizon=[4, 8, 12, 16])
nearer = data.target_names[:-1]
weights = [tuple(pt.Auxiliary(name, weight=w, fade=0.8) for name in nearer) for w in (0.0, 0.3, 1.0)]
study = pt.Study(pt.MLP((16,)), auxiliary=pt.choice(*weights), epochs=100, validation=pt.BlockedKFold(4))
result = study.run(data)
for candidate in result.candidates:
    print(f"{candidate.mean:.4f} {candidate.label}")
print(result.summary().partition("\n\n")[0])
print(f"sealed last fifth: RMSE {result.test()['rmse']:.4f}", end="\n\n")

agreement = pt.insight.auxiliary_agreement(study, data, candidate=2, epochs=20)
print(agreement)
agreement.figure().savefig(folder / "gradients.png")
learned = next(c for c in result.candidates if c.spec["auxiliary"][0]["weight"] > 0)
auxiliary_curves(result, learned.id).savefig(folder / "curves.png")
