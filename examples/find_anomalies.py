"""Find unusual rows of a table without being told what is unusual: an autoencoder beside an isolation forest.

The table: cells of 357 benign tumors and of 19 malignant ones, whose diagnosis nobody tells.
"""

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score

from perceptory import NetworkAutoencoder

cells = load_breast_cancer(as_frame=True)
benign, malignant = (np.flatnonzero(cells.target == kind) for kind in (1, 0))
rows = np.concatenate([benign, malignant[:19]])
table, rare = cells.data.iloc[rows], np.arange(len(rows)) >= len(benign)

network = NetworkAutoencoder(hidden=(), noise=2.0, random_state=0).fit(table)
forest = IsolationForest(random_state=0).fit(table)
for name, detector in (("autoencoder", network), ("isolation forest", forest)):
    print(f"{name}: area under the ROC curve {roc_auc_score(rare, -detector.score_samples(table)):.3f}")

p_values = network.p_values(table)
below = [f"{np.mean(p_values[rows] <= 0.05):.0%}" for rows in (~rare, rare)]
print(f"p <= 0.05: {below[0]} of the benign, {below[1]} of the malignant")
found = network.model_.anomaly_score(table.rename(columns=str))
print("\nthe most unusual rows, and their three columns that are hardest to tell from the others")
for row in np.argsort(-found.score)[:5]:
    names = cells.data.columns[np.argsort(-found.by_column[row])[:3]]
    print(f"{'malignant' if rare[row] else 'benign':9s} p = {p_values[row]:.3f}  {', '.join(names)}")
