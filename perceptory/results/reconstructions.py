"""What a report shows of an autoencoder: examples beside what is given back, codes, samples, scores of both sorts."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from perceptory.results.data_facts import packed, unpacked

ARRAYS = ("row", "error", "errors", "inputs", "outputs", "usual", "train_scores", "codes", "code_row", "samples")


@dataclass(frozen=True, eq=False)
class Reconstructions:
    """A part of what a study of autoencoders has seen, small enough for a report.

    row: [shown] places in the data of the held-out rows that are shown, best first. error: [shown] the mean of theirs.
    columns: names of those columns of a table that are shown, or of the channels. errors: [shown, column].
    cells, given_back: [shown][column] of a table, in words. inputs, outputs: [shown, *shape] of other examples,
        thinned.
    usual: [column] of all columns, the usual errors that anomaly scores compare with. train_scores: [some] anomaly
        scores of rows by a network that was trained on them.
    codes: [some, axis] places of rows on the principal axes of the codes, at most two, by the network that validated
        best. spread: the share of the codes' variance along each. code_row: [some] places in the data.
    colors: by name, a value of each of these rows: numbers, or texts; None where there is none. color: the name that
        the user gave, or None.
    samples: [n, *shape] thinned, or None; sampled: [n][column] of a table, in words. Both of a variational model only.
    """

    row: np.ndarray
    error: np.ndarray
    columns: tuple[str, ...]
    errors: np.ndarray
    cells: tuple[tuple[str, ...], ...]
    given_back: tuple[tuple[str, ...], ...]
    inputs: np.ndarray | None
    outputs: np.ndarray | None
    usual: np.ndarray
    train_scores: np.ndarray
    codes: np.ndarray
    spread: tuple[float, ...]
    code_row: np.ndarray
    colors: dict[str, tuple[float | str | None, ...]]
    color: str | None
    samples: np.ndarray | None = None
    sampled: tuple[tuple[str, ...], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain JSON data; `from_json` reads it back."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        arrays = {name: None if values[name] is None else packed(values[name]) for name in ARRAYS}
        texts = {name: [list(row) for row in values[name]] for name in ("cells", "given_back", "sampled")}
        colors = {name: list(given) for name, given in self.colors.items()}
        return values | arrays | texts | {"colors": colors, "columns": list(self.columns), "spread": list(self.spread)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Reconstructions:
        """Read `to_json`'s data. Raises `KeyError`, `TypeError` or `ValueError` for what does not fit."""
        arrays = {name: None if data[name] is None else unpacked(data[name]) for name in ARRAYS}
        texts = {name: tuple(map(tuple, data[name])) for name in ("cells", "given_back", "sampled")}
        colors = {name: tuple(given) for name, given in data["colors"].items()}
        lists = {"colors": colors, "columns": tuple(data["columns"]), "spread": tuple(data["spread"])}
        return cls(**data | arrays | texts | lists)
