"""Tables that scikit-learn ships: nothing is downloaded."""

from __future__ import annotations

from typing import Any

import numpy as np

from perceptory.data.tables.dataset import Dataset
from perceptory.data.tables.reader import read_table
from perceptory.registry import Registry

BUNDLED: Registry[str] = Registry(
    "bundled table",
    {
        "diabetes": "progression",
        "breast_cancer": "diagnosis",
        "wine": "cultivar",
        "digits": "digit",
        "iris": "species",
        "linnerud": "Weight, Waist, Pulse",
    },
)
"""Name and target(s) of each table."""


def load_bundled(name: str) -> Dataset:
    """One of scikit-learn's own tables, in raw units; classes carry their names. Unknown names raise `InputError`."""
    targets = BUNDLED[name].split(", ")
    from sklearn import datasets

    options: dict[str, Any] = {"scaled": False} if name == "diabetes" else {}
    bunch = getattr(datasets, f"load_{name}")(**options)
    columns = {str(n): bunch.data[:, k] for k, n in enumerate(bunch.feature_names)}
    values = bunch.target
    if name in ("breast_cancer", "wine", "iris"):
        values = np.asarray(bunch.target_names)[values]
    for k, target in enumerate(targets):
        columns[target] = values[:, k] if len(targets) > 1 else values
    return read_table(columns, targets)
