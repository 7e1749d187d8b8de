"""The development tables with their splits, for `benchmarks.tables`; read by contenders that have no perceptory."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path("../shared/data")
LARGE = 3000  # rows from which one split is enough


@dataclass(frozen=True)
class TableSet:
    """A table to be learned. path: below the folder of data. ignore: columns that give the target away. first: how many
    rows of RandomState(7).permutation are taken; None takes all. joined: columns in whose place one of many categories
    stands: their texts together or, of numbers, which of `places` rows is the nearest one."""

    path: str
    target: str
    task: str  # "regression" | "classification"
    ignore: tuple[str, ...] = ()
    first: int | None = None
    joined: tuple[str, ...] = ()
    places: int = 0

    def frame(self, folder: Path = FOLDER) -> Any:
        """The rows that are used, as a pandas data frame."""
        import pandas as pd

        table = pd.read_csv(folder / self.path).drop(columns=list(self.ignore))
        if self.first is not None:
            table = table.iloc[np.random.RandomState(7).permutation(len(table))[: self.first]].reset_index(drop=True)
        if not self.joined:
            return table
        parts, others = table[list(self.joined)], table.drop(columns=list(self.joined))
        if self.places:
            x = parts.to_numpy(float)
            near = [int(np.argmin(np.sum((row - x[: self.places]) ** 2, axis=1))) for row in x]
            return others.assign(group=[f"g{place}" for place in near])
        return others.assign(group=parts.fillna("NA").astype(str).agg("|".join, axis=1))


TABLES = {
    "abalone": TableSet("tables/abalone.csv", "rings", "regression"),
    "adult": TableSet("tables/adult.csv", "income", "classification", first=10_000),
    "california": TableSet("tables/california.csv", "median_house_value", "regression", first=10_000),
    "concrete": TableSet("uci/concrete.csv", "strength", "regression"),
    "diamonds": TableSet("tables/diamonds.csv", "price", "regression", first=10_000),
    "german_credit": TableSet("tables/german_credit.csv", "risk", "classification"),
    "kin8nm": TableSet("uci/kin8nm.csv", "y", "regression", first=6000),
    "phoneme": TableSet("tables/phoneme.csv", "nasal", "classification"),
    "power-plant": TableSet("uci/power-plant.csv", "power", "regression", first=6000),
    "titanic": TableSet("tables/titanic.csv", "survived", "classification", ignore=("alive",)),
    "wine": TableSet("uci/wine-quality-red.csv", "quality", "regression"),
}
# The published protocol of the UCI tables takes all rows, and 20 splits of its own.
UCI = {
    "concrete": TABLES["concrete"],
    "power-plant": TableSet("uci/power-plant.csv", "power", "regression"),
    "wine": TABLES["wine"],
    "kin8nm": TableSet("uci/kin8nm.csv", "y", "regression"),
}
# Columns of hundreds of categories, such as postal codes, made of these tables.
CATEGORIES = {
    "places": replace(TABLES["california"], joined=("longitude", "latitude"), places=400),
    "grades": replace(TABLES["diamonds"], joined=("cut", "color", "clarity")),
    "jobs": replace(TABLES["adult"], joined=("workclass", "education", "occupation"), ignore=("education_num",)),
}
PROTOCOLS = {"tables": TABLES, "uci": UCI, "categories": CATEGORIES}


def splits_of(rows: int) -> list[int]:
    """Numbers of the splits: two of a small table, one of a large one."""
    return [0, 1] if rows < LARGE else [0]


def split(rows: int, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Places of the training and test rows: the first 80 % of RandomState(100 + number).permutation, and the rest."""
    order = np.random.RandomState(100 + number).permutation(rows)
    kept = int(0.8 * rows)
    return order[:kept], order[kept:]


def uci_split(rows: int, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Split `number` of the UCI protocol: numpy.random.seed(1) once, then one draw for each split; 90 % train."""
    random = np.random.RandomState(1)
    for _ in range(number + 1):
        order = random.choice(range(rows), rows, replace=False)
    kept = int(0.9 * rows + 0.5)
    return order[:kept], order[kept:]


def parts_of(protocol: str, name: str, number: int, folder: Path = FOLDER) -> tuple[TableSet, Any, Any]:
    """(table, training rows, test rows) of a split under one of `PROTOCOLS`, as pandas data frames."""
    one = PROTOCOLS[protocol][name]
    whole = one.frame(folder)
    train, test = (uci_split if protocol == "uci" else split)(len(whole), number)
    return one, whole.iloc[train].reset_index(drop=True), whole.iloc[test].reset_index(drop=True)
