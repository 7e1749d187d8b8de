"""A model whose networks are of several structures, each with a share of the mean."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

from perceptory.errors import InputError
from perceptory.models.layer_weights import MEASURED
from perceptory.models.model import Model

STRUCTURE = ("network", "weights", "in_center", "in_factor", "out_center", "out_scale")


class WeightedModel(Model):
    """The weighted mean of several models of one table and target: y = Σ_p s_p · (mean over the networks of part p).

    parts: each a `Model` of networks of one structure, the one with the greatest share first. part_shares: [part], of
    each part in the mean, 1 together. Predictions, probabilities, intervals, members and files are those of any
    `Model`; what asks for the structure of all networks (`network`, `weights`, ...) raises `InputError`: ask a part.
    """

    def __init__(self, parts: Sequence[Model], part_shares: Sequence[float], facts: dict[str, Any] | None = None):
        first = parts[0]
        shares = np.asarray(part_shares, float)
        alike = all(p.outputs == first.outputs and p.cost.heads == first.cost.heads for p in parts)
        if len(shares) != len(parts) or not np.all(shares > 0) or abs(shares.sum() - 1) > 1e-6 or not alike:
            raise InputError(
                f"a weighted model needs parts of one kind of output, each with a share above 0 that sum to 1, got"
                f" {len(parts)} parts with the shares {shares.tolist()}."
            )
        self.task, self.targets, self.classes = first.task, first.targets, first.classes
        self.encoder, self.cost, self.outputs = first.encoder, first.cost, first.outputs
        self._parts, self.part_shares = tuple(parts), shares
        self.facts = {} if facts is None else facts
        self.precision = first.precision
        self.heads = None
        self.ends = first.ends

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)
        if name == "precision":
            object.__setattr__(self, "_parts", tuple(_with_precision(part, value) for part in self._parts))

    def __getattr__(self, name: str) -> Any:
        if name in STRUCTURE:
            raise InputError(
                f"this model weighs networks of {len(self._parts)} candidates, which have no {name} in common. Take one"
                " of its parts, such as model.parts[0], or choose one candidate: final='folds'."
            )
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    @property
    def parts(self) -> tuple[Model, ...]:
        return self._parts

    @property
    def shares(self) -> np.ndarray:
        """[k] of each network in the mean, 1 together."""
        return np.concatenate([np.full(len(p), s / len(p)) for p, s in zip(self._parts, self.part_shares, strict=True)])

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    def __repr__(self) -> str:
        each = [
            f"{share:.2f} of {len(part)} x {getattr(part.network, 'label', type(part.network).__name__)}"
            for part, share in zip(self._parts, self.part_shares, strict=True)
        ]
        return f"Model({self.task}, {', '.join(each)}, target {', '.join(self.targets)})"

    def with_facts(self, facts: dict[str, Any]) -> WeightedModel:
        changed = copy.copy(self)
        changed.facts = facts
        return changed

    @property
    def _kernel(self) -> None:
        """Each part has its own."""

    def distributions(self, table: Any) -> np.ndarray:
        if any(part._kernel is None for part in self._parts) or self.encoder.one(table) is not None:
            return super().distributions(table)
        features = self.encoder.many(table)  # once for all parts
        return super().distributions(table) if features is None else self._of_parts(features)

    def _of_parts(self, features: Any) -> np.ndarray:
        return np.concatenate([part.distributions(features) for part in self._parts])

    def distributions_of(self, inputs: np.ndarray, lengths: np.ndarray | None = None) -> np.ndarray:
        return np.concatenate([part.distributions_of(inputs, lengths) for part in self._parts])

    def networks(self) -> list[Any]:
        return [network for part in self._parts for network in part.networks()]

    def arrays(self, member: int = 0) -> dict[str, np.ndarray]:
        part, place = self._place(member)
        return part.arrays(place)

    def with_arrays(self, arrays: Any, member: int = 0) -> Model:
        part, place = self._place(member)
        new = part.with_arrays(arrays, place)
        facts = {name: fact for name, fact in self.facts.items() if name not in MEASURED}
        return WeightedModel([new if p is part else p for p in self._parts], self.part_shares.tolist(), facts)

    def head(self, name: str) -> Model:
        return WeightedModel([part.head(name) for part in self._parts], self.part_shares.tolist())

    def _place(self, member: int) -> tuple[Model, int]:
        """The part that holds a network, and its place there."""
        if isinstance(member, bool) or not isinstance(member, int | np.integer) or not 0 <= member < len(self):
            raise InputError(f"member needs a number from 0 to {len(self) - 1}, got {member!r}.")
        ends = np.cumsum([len(part) for part in self._parts])
        k = int(np.searchsorted(ends, member, side="right"))
        return self._parts[k], int(member) - int(ends[k] - len(self._parts[k]))


def _with_precision(part: Model, precision: str) -> Model:
    if part.precision == precision:
        return part
    changed = copy.copy(part)
    changed.precision = precision
    return changed
