"""The study that `fit` runs where nothing is asked: candidates chosen by measurement (benchmarks/defaults.py)."""

from __future__ import annotations

from typing import Any

from perceptory.data import Dataset
from perceptory.networks.mlp import MLP
from perceptory.optimizers.first_order import Adam
from perceptory.optimizers.schedules import Cosine
from perceptory.registry import Table
from perceptory.selection.search import choice
from perceptory.studies.study import Study

EFFORTS: Table[str] = Table("effort", {"quick": "seconds", "normal": "about a minute", "thorough": "several minutes"})


def default_study(data: Dataset, effort: str = "normal", **changes: Any) -> Study:
    """A study that suits a dataset by its number of rows; `changes` replace fields of it.

    effort: "quick", "normal" or "thorough".
    """
    EFFORTS[effort]  # raises for an unknown one
    networks = [MLP((32, 32), choice("tanh", "relu")), MLP((64, 64), choice("tanh", "relu"))]
    study = {"networks": networks, "optimizer": Adam(Cosine(choice(3e-3, 1e-2))), "epochs": 200}
    return Study(**{**study, **changes})
