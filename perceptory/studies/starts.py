"""What members begin with: arrays of a trained network, in terms of the members' own scaling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, NamedTuple, Protocol

import numpy as np

from perceptory.errors import InputError
from perceptory.layers.arrays import Layout
from perceptory.layers.structure import Part
from perceptory.models.model import Model
from perceptory.networks.base import layout
from perceptory.notes import Note
from perceptory.studies.design import Candidate
from perceptory.studies.encoded_examples import EncodedExamples
from perceptory.studies.matching import InputMap, input_map, match, structure
from perceptory.studies.reuse import FROZEN, LayerRate, Reuse
from perceptory.training.given import ArrayRate, GivenStart
from perceptory.training.scaling import Scaling

Arrays = dict[str, np.ndarray]


class Turn(NamedTuple):
    """Which member of a candidate it is: its fold of so many, and its seed."""

    fold: int
    folds: int
    seed: int


@dataclass(frozen=True)
class Taken:
    """The arrays that are given. names: of all arrays of the candidate's network, in the order of its layout. source:
    of those that are given the name in the other network. layer: and the layer that they belong to, from 1."""

    names: tuple[str, ...]
    source: dict[str, str]
    layer: dict[str, int]

    def plan(self, reuse: Reuse) -> GivenStart:
        """The static side; reuse: with placeholders for traced numbers."""
        rates = _rates(reuse, self.names, self.layer)
        return GivenStart(tuple(name in self.source for name in self.names), rates, reuse.unfreeze_after)

    def of(self, arrays: Arrays) -> Arrays:
        """Of the other network's arrays those that are given, by their names here and in the order of the layout."""
        return {name: arrays[self.source[name]] for name in self.names if name in self.source}


class Beginning(Protocol):
    """What the members of a candidate begin with."""

    taken: Taken
    notes: tuple[Note, ...]

    def scaling(self, own: Scaling, turn: Turn) -> Scaling:
        """The scaling of a member whose fold has its `own`."""
        ...

    def arrays(self, own: Scaling, turn: Turn) -> list[np.ndarray]:
        """The arrays that are given, in the order of the layout."""
        ...


@dataclass
class FromModel:
    """Layers of a trained model.

    entry: the parts of the candidate's network that take over the inputs' scaling; without any, inputs are scaled as
    the model's were.
    """

    taken: Taken
    model: Model
    inputs: InputMap
    entry: tuple[Part, ...]

    def __post_init__(self) -> None:
        self.notes = self.inputs.notes

    def scaling(self, own: Scaling, turn: Turn) -> Scaling:
        if self.entry:
            return own
        k, place = self._network(turn), self.inputs.place
        center = self.model.in_center[k][place] - self.inputs.shift
        return own._replace(in_center=center, in_factor=self.model.in_factor[k][place])

    def arrays(self, own: Scaling, turn: Turn) -> list[np.ndarray]:
        k, model = self._network(turn), self.model
        where = layout(model.network, model.encoder.shape, model.outputs)
        here = self.taken.of(arrays_by_name(where, model.weights[k]))
        for part in self.entry:
            self._rescale(here, part, own, k)
        return list(here.values())

    def _network(self, turn: Turn) -> int:
        """Which network of the ensemble: they take turns."""
        return (turn.seed * turn.folds + turn.fold) % len(self.model)

    def _rescale(self, arrays: Arrays, part: Part, own: Scaling, k: int) -> None:
        """Put the first layer in terms of the study's own features and scaling.

        With x = center + z / factor in both, W' = diag(f / f') W and b' = b + ((c' - c) f) W, by feature.
        """
        model, place = self.model, self.inputs.place
        weight, bias = (next(n for n in part.names if n.rpartition(".")[2] == end) for end in ("weight", "bias"))
        old_center, old_factor = model.in_center[k], model.in_factor[k]
        old = arrays[weight].reshape(-1, len(old_center), arrays[weight].shape[-1])  # [place, feature, out]
        known = place >= 0
        source = place[known]
        ratio = np.zeros(len(place))
        varies = own.in_factor > 0
        ratio[known & varies] = old_factor[place[known & varies]] / own.in_factor[known & varies]
        new = np.zeros((len(old), len(place), old.shape[2]))
        new[:, known] = old[:, source]
        level = np.where(np.isnan(self.inputs.absent), old_center, self.inputs.absent)
        level[source] = own.in_center[known] + self.inputs.shift[known]
        arrays[bias] = arrays[bias] + np.einsum("f,pfo->o", (level - old_center) * old_factor, old)
        shape = part.shapes[part.names.index(weight)]
        arrays[weight] = (new * ratio[:, None]).reshape(shape)


@dataclass
class FromLesson:
    """Layers that are learned first, within the study; until then their arrays are zeros.

    scalings: of the folds of that lesson, or one for all of them. where: the layout of the network that learns it.
    """

    taken: Taken
    where: Layout
    scalings: list[Scaling]
    notes: tuple[Note, ...] = ()

    def scaling(self, own: Scaling, turn: Turn) -> Scaling:
        first = self.scalings[turn.fold if len(self.scalings) > 1 else 0]
        return own._replace(in_center=first.in_center, in_factor=first.in_factor)

    def arrays(self, own: Scaling, turn: Turn) -> list[np.ndarray]:
        return self.of(np.zeros(self.where.size))

    def of(self, weights: np.ndarray) -> list[np.ndarray]:
        """The arrays from what was learned [weight]."""
        return list(self.taken.of(arrays_by_name(self.where, weights)).values())


def arrays_by_name(where: Layout, weights: np.ndarray) -> Arrays:
    """The arrays of a weight vector, float64."""
    ends = np.cumsum([prod(shape) for shape in where.shapes])[:-1]
    parts = zip(where.names, where.shapes, np.split(weights.astype(float), ends), strict=True)
    return {name: part.reshape(shape) for name, shape, part in parts}


def from_model(candidate: Candidate, encoded: EncodedExamples) -> FromModel:
    """What a candidate with a `Pretrained` begins with. `InputError` where its network does not begin with the model's
    layers, or the inputs are others."""
    start: Any = candidate.start
    model = start.model.ready()
    inputs = input_map(model.encoder, encoded.encoder)
    there = structure(model.network, model.encoder.shape, model.outputs)
    features = model.encoder.shape[-1], encoded.shape[-1]
    taken, entry = _taken(candidate, encoded, there, features, model.network.label)
    return FromModel(taken, model, inputs, entry)


def from_lesson(
    candidate: Candidate, encoded: EncodedExamples, lesson: tuple[Candidate, EncodedExamples], scalings: list[Scaling]
) -> FromLesson:
    """What a candidate begins with that learns something first. lesson: the candidate that learns it, and its rows."""
    pupil, rows = lesson
    outputs = pupil.cost.shape(rows.target_shape)
    there = structure(pupil.network, rows.shape, outputs)
    features = rows.shape[-1], encoded.shape[-1]
    taken, _ = _taken(candidate, encoded, there, features, pupil.network.label)
    return FromLesson(taken, layout(pupil.network, rows.shape, outputs), scalings)


def _taken(
    candidate: Candidate, encoded: EncodedExamples, there: Sequence[Part], features: tuple[int, int], label: str
) -> tuple[Taken, tuple[Part, ...]]:
    """Which arrays are given, and the parts that the inputs come to (`Match.entry`)."""
    network, start = candidate.network, candidate.start
    outputs = encoded.cost_of(candidate).shape(encoded.target_shape)
    found = match(there, structure(network, encoded.shape, outputs), features)
    wanted = found.layers if start is None or start.layers is None else start.layers
    if not 0 < wanted <= found.layers:
        some = "no layer" if not found.layers else f"only {found.layers} of its layers"
        remedy = f", or layers={found.layers}" if found.layers else ""
        raise InputError(
            f"{network.label} begins with {some} of {label}: {found.difference}. Take a network that begins with the"
            f" same layers{remedy}."
        )
    pairs = [(source, name, k + 1) for k in range(wanted) for source, name in found.pairs[k]]
    source, layer = {name: source for source, name, _ in pairs}, {name: k for _, name, k in pairs}
    return Taken(layout(network, encoded.shape, outputs).names, source, layer), found.entry


def _rates(start: Reuse, names: Sequence[str], layers: dict[str, int]) -> tuple[ArrayRate, ...]:
    """How each array moves. layers: of those that are given, which layer they belong to."""
    if not isinstance(start.train, tuple):
        rests = start.train == FROZEN and start.unfreeze_after == 0
        return tuple(ArrayRate(0.0 if rests and name in layers else None) for name in names)
    for one in start.train:
        if not any(_means(one, name, k) for name, k in layers.items()):
            known = ", ".join(f"{k} ({name})" for name, k in layers.items())
            raise InputError(f"train names {one.name!r}, which is no layer that is taken. These are {known}.")
    rates = []
    for name in names:
        fitting = [one for one in start.train if name in layers and _means(one, name, layers[name])]
        longest = max(fitting, key=lambda one: len(one.name), default=None)
        rates.append(ArrayRate(None if longest is None else longest.factor))
    return tuple(rates)


def _means(rate: LayerRate, name: str, layer: int) -> bool:
    return rate.name == str(layer) or name == rate.name or name.startswith(rate.name + ".")
