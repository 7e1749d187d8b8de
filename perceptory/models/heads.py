"""Heads that a model keeps: what auxiliary objectives taught its networks to say beside the target."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from perceptory.errors import InputError
from perceptory.networks.base import layout
from perceptory.objectives.parts import HeadCost
from perceptory.objectives.table import Cost
from perceptory.registry import did_you_mean
from perceptory.wording import listed


@dataclass(frozen=True)
class Head:
    """What one auxiliary objective aims at, in so many target columns. classes: their names, or None for numbers."""

    about: str
    task: str
    classes: tuple[str, ...] | None
    cost: Cost
    columns: int


@dataclass(frozen=True, eq=False)
class Heads:
    """The heads of k networks. weights: [k, weight of heads], what their outputs add to the weights of the networks
    without them. center, scale: [k, target column of all heads]."""

    each: tuple[Head, ...]
    weights: np.ndarray
    center: np.ndarray
    scale: np.ndarray

    @property
    def outputs(self) -> int:
        """Outputs of all heads."""
        return sum(head.cost.outputs(head.columns) for head in self.each)

    def model(self, model: Any, name: str) -> Any:
        """A model of the same networks that predicts what the head of this name aims at."""
        names = [head.about for head in self.each]
        if name not in names:
            raise InputError(f"there is no head {name!r}.{did_you_mean(name, names)} There are: {listed(names)}.")
        place = names.index(name)
        before, head = self.each[:place], self.each[place]
        outputs = (*model.outputs[:-1], model.outputs[-1] + self.outputs)
        column = sum(one.columns for one in before)
        columns = slice(column, column + head.columns)
        first = model.outputs[-1] + sum(one.cost.outputs(one.columns) for one in before)
        return dataclasses.replace(
            model,
            task=head.task,
            targets=(name,) if head.columns == 1 or head.classes else tuple(f"{name} {k}" for k in range(head.columns)),
            classes=None if head.classes is None else np.array(head.classes),
            cost=HeadCost(head.cost, first, head.cost.outputs(head.columns)),
            outputs=outputs,
            weights=whole_weights(model, outputs, self.weights),
            out_center=self.center[:, columns],
            out_scale=self.scale[:, columns],
            heads=None,
        )


def whole_weights(model: Any, outputs: tuple[int, ...], heads: np.ndarray) -> np.ndarray:
    """[k, weight] of the networks with their heads, which give `outputs`."""
    inputs = model.encoder.shape
    from perceptory.networks.heads import places_without_heads

    places = places_without_heads(model.network, inputs, outputs, model.outputs)
    whole = np.empty((len(model.weights), layout(model.network, inputs, outputs).size), model.weights.dtype)
    whole[:, places] = model.weights
    whole[:, places_of_heads(places, whole.shape[1])] = heads
    return whole


def places_of_heads(places: np.ndarray, size: int) -> np.ndarray:
    """All places in a weight vector of this size but those of the networks without heads."""
    rest = np.ones(size, bool)
    rest[places] = False
    return np.flatnonzero(rest)
