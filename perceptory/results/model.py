"""The model that a study gives: an ensemble of trained networks with its encoding and scaling, ready for use."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from perceptory.data.encoding import Encoder
from perceptory.errors import InputError

ROWS_AT_ONCE = 8192


@dataclass
class Model:
    """k networks of one structure. Predictions are the mean over them, in the target's own units.

    weights: [k, weight]; in_center, in_factor: [k, in]; out_center, out_scale: [k, out].
    """

    task: str
    targets: tuple[str, ...]
    classes: np.ndarray | None  # the labels as the user gave them
    encoder: Encoder
    network: Any
    cost: Any
    outputs: int
    weights: np.ndarray
    in_center: np.ndarray
    in_factor: np.ndarray
    out_center: np.ndarray
    out_scale: np.ndarray
    precision: str = "single"
    facts: dict[str, Any] = field(default_factory=dict)  # what the file says of its origin

    def __len__(self) -> int:
        return len(self.weights)

    def __repr__(self) -> str:
        label = getattr(self.network, "label", type(self.network).__name__)
        return f"Model({self.task}, {len(self)} x {label}, target {', '.join(self.targets)})"

    def members(self, table: Any) -> np.ndarray:
        """Predictions of each network: [member, row, out] numbers, or [member, row, class] probabilities."""
        return self.members_of(self.encoder.transform(table))

    def members_of(self, inputs: np.ndarray) -> np.ndarray:
        """As `members`, from encoded inputs [row, in] (NaN is missing)."""
        if inputs.ndim != 2 or inputs.shape[1] != self.in_center.shape[1]:
            raise InputError(f"expected inputs [row, {self.in_center.shape[1]}], got shape {inputs.shape}.")
        if not len(inputs):
            raise InputError("there is no row to predict. Give at least one.")
        parts = [self._part(inputs[i : i + ROWS_AT_ONCE]) for i in range(0, len(inputs), ROWS_AT_ONCE)]
        return np.concatenate(parts, axis=1)

    def _part(self, inputs: np.ndarray) -> np.ndarray:
        from perceptory import backend

        with backend.precision(self.precision) as dtype:
            x = (inputs - self.in_center[:, None]) * self.in_factor[:, None]
            x = np.nan_to_num(x, nan=0.0, posinf=np.inf, neginf=-np.inf).astype(dtype)
            # Round the number of rows up to a power of two: few shapes, few compilations.
            rows = 1 << max(4, (len(inputs) - 1).bit_length())
            x = np.pad(x, ((0, 0), (0, rows - len(inputs)), (0, 0)))
            forward = _forward(self.network, self.cost, self.in_center.shape[1], self.outputs)
            output = np.asarray(forward(self.weights.astype(dtype), x))[:, : len(inputs)].astype(float)
        if self.task == "regression":
            return output * self.out_scale[:, None] + self.out_center[:, None]
        return output

    def mean(self, inputs: np.ndarray) -> np.ndarray:
        """[row, out] ensemble mean from encoded inputs."""
        return self.members_of(inputs).mean(axis=0)

    def predict(self, table: Any) -> np.ndarray:
        """Numbers [row] (or [row, out] for several targets), or class labels [row]."""
        mean = self.members(table).mean(axis=0)
        if self.classes is not None:
            return self.classes[mean.argmax(axis=1)]
        return mean[:, 0] if mean.shape[1] == 1 else mean

    def predict_proba(self, table: Any) -> np.ndarray:
        """Probabilities [row, class], classes in the order of `classes`."""
        if self.classes is None:
            raise InputError("predict_proba needs a classifier, and this model is a regression. Use predict.")
        return self.members(table).mean(axis=0)

    def save(self, path: str | Path) -> None:
        """Write a model file (safetensors with a JSON description; no code)."""
        from perceptory.results.modelfile import save

        save(self, path)

    @staticmethod
    def load(path: str | Path) -> Model:
        """Read a model file, or the one in a run folder."""
        from perceptory.results.modelfile import load

        return load(path)


@lru_cache(maxsize=64)
def _forward(network: Any, cost: Any, inputs: int, outputs: int) -> Any:
    """Compiled: (weights [k, weight], x [k, row, in]) -> predictions [k, row, out]."""
    import jax

    from perceptory.networks.base import unpack

    def one(weights: Any, x: Any) -> Any:
        net = unpack(network.build(inputs, outputs, key=jax.random.key(0)), weights)
        return cost.link(net(x))

    return jax.jit(jax.vmap(one))
